//! What needs the events of one profile after another: they are gathered from the columns by profile, and the stream's
//! own code decides.

use std::collections::{BTreeMap, HashMap};

use expr::{Condition, Path};
use model::Value;
use model::column::{Bits, Coded};

use super::over::{Over, Part, Reach};
use crate::evaluate::Node;
use crate::feature::Feature;
use crate::state::{Entry, Series, State, Val};

/// The events of a feature, those of a profile together.
struct Gathered {
    /// Where those of each profile begin; one more than there are profiles.
    starts: Vec<usize>,
    at: Vec<i64>,
    value: Vec<u32>,
    /// What the numbers of `value` stand for.
    values: Vec<Val>,
}

impl Gathered {
    fn has(&self, number: usize) -> bool {
        self.starts[number] < self.starts[number + 1]
    }

    fn fill(&self, number: usize, series: &mut Series) {
        series.entries.clear();
        for place in self.starts[number]..self.starts[number + 1] {
            let value = self.values[self.value[place] as usize].clone();
            series.entries.push(Entry { at: self.at[place], value });
        }
        if !series.entries.is_sorted() {
            series.entries.sort_unstable();
        }
    }
}

/// Whether a leaf never holds for somebody without events of its first feature.
fn needs_events(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::Sequence { .. }
            | Condition::Stopped { .. }
            | Condition::Resumed { .. }
            | Condition::Regularly { .. }
            | Condition::Held { .. }
    )
}

/// Whether a leaf reads more of a profile than its zone.
fn reads_more(condition: &Condition) -> bool {
    matches!(condition, Condition::Held { .. })
}

impl Over<'_> {
    /// Those among some for whom a leaf holds, by the events of each.
    pub(crate) fn series(&self, node: &Node, condition: &Condition, features: &[u32], among: &Bits) -> Bits {
        let mut gathered: Vec<(u32, Gathered)> = Vec::new();
        let mut some = Bits::empty(self.size());
        for id in features {
            let feature = self.feature(*id);
            if feature.listeners.is_empty() {
                // The mark of a sequence: nothing is complete before it is looked at.
                continue;
            }
            let events = self.gather(feature, among);
            if gathered.is_empty() || !needs_events(condition) {
                some.or(&self.those(among, |number| events.has(number)));
            }
            gathered.push((*id, events));
        }
        let mut state = State::default();
        let holds = |state: &State, number: usize| node.holds(state, &self.one(number), self.now);
        // Who has no events is asked once for each zone.
        let mut without: HashMap<usize, bool> = HashMap::new();
        let mut nothing = |number: usize| {
            if needs_events(condition) {
                return false;
            }
            if reads_more(condition) {
                return holds(&State::default(), number);
            }
            let place = self.zones.place(self.people, number);
            *without.entry(place).or_insert_with(|| holds(&State::default(), number))
        };
        self.those(among, |number| {
            if !some.has(number) {
                return nothing(number);
            }
            for (id, events) in &gathered {
                events.fill(number, state.features.entry(*id).or_default());
            }
            holds(&state, number)
        })
    }

    /// The events of a feature that may count, by profile.
    fn gather(&self, feature: &Feature, among: &Bits) -> Gathered {
        let bounds = feature.bounds(self.now);
        let reach = Reach::Same(bounds);
        let mut interned: BTreeMap<Val, u32> = BTreeMap::new();
        let mut found: Vec<(u32, u32, i64)> = Vec::new();
        for part in self.parts(self.feature(feature.id), bounds) {
            let value_of = values_of(feature, &part, &mut interned);
            let times = &part.rows.times[..];
            self.walk(&part, &reach, |number, row| {
                if among.has(number)
                    && let Some(value) = value_of(row)
                {
                    found.push((number as u32, value, times[row]));
                }
            });
        }
        let mut starts = vec![0; self.size() + 1];
        for (number, _, _) in &found {
            starts[*number as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut at, mut value) = (vec![0; found.len()], vec![0; found.len()]);
        let mut next = starts.clone();
        for (number, code, time) in found {
            let place = &mut next[number as usize];
            (at[*place], value[*place]) = (time, code);
            *place += 1;
        }
        let mut values = vec![Val::None; interned.len()];
        for (each, number) in interned {
            values[number as usize] = each;
        }
        Gathered { starts, at, value, values }
    }
}

/// The number of the value that a feature keeps of a row of a part; `None` when it does not take the row.
fn values_of<'p>(
    feature: &'p Feature,
    part: &Part<'p>,
    interned: &mut BTreeMap<Val, u32>,
) -> Box<dyn Fn(usize) -> Option<u32> + 'p> {
    let mut number = |value: Val| {
        let next = interned.len() as u32;
        *interned.entry(value).or_insert(next)
    };
    let Some((path, _)) = &feature.property else {
        let value = feature.value_of(part.listener, None).map(number);
        return Box::new(move |_| value);
    };
    let column = |names: &[String]| part.rows.properties.get(names).map(AsRef::as_ref);
    if feature.test.is_some() {
        let (yes, no) = (number(Val::Bool(true)), number(Val::Bool(false)));
        let stated = Stated::of(path, &column);
        return Box::new(move |row| {
            let value = stated.get(row)?;
            Some(if feature.passes(value) { yes } else { no })
        });
    }
    let Some(coded) = column(path.names()) else {
        let value = feature.value_of(part.listener, None).map(number);
        return Box::new(move |_| value);
    };
    let table: Vec<Option<u32>> = coded
        .values
        .iter()
        .map(|value| feature.value_of(part.listener, value.as_ref()).map(&mut number))
        .collect();
    Box::new(move |row| table[coded.codes.get(row)])
}

/// An attribute as a call states it: by its whole name, or within another one.
struct Stated<'p> {
    whole: Option<&'p Coded>,
    first: Option<&'p Coded>,
    within: Option<&'p Coded>,
}

impl<'p> Stated<'p> {
    fn of(path: &Path, column: &dyn Fn(&[String]) -> Option<&'p Coded>) -> Stated<'p> {
        Stated {
            whole: column(&[path.dotted().into_owned()]),
            first: column(&path.names()[..1]),
            within: column(path.names()),
        }
    }

    /// `None` when the call does not speak of it.
    fn get(&self, row: usize) -> Option<Option<&'p Value>> {
        let value = |coded: Option<&'p Coded>| coded.and_then(|it| it.values[it.codes.get(row)].as_ref());
        if let Some(whole) = value(self.whole) {
            return Some(Some(whole));
        }
        value(self.first)?;
        Some(value(self.within))
    }
}
