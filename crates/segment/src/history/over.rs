//! Conditions over columns, for all profiles at once: a set of numbers for each part.
//!
//! Occurrences, counts, figures and occasions are kept in arrays by profile number; everything else is decided by the
//! stream's own code from the events of one profile after another (`series`), or in one pass in the order of time
//! (`chain`).

use std::collections::HashMap;

use expr::{Aggregate, Condition, Test, Which, Window, test_value};
use jiff::tz::TimeZone;
use model::column::{Bits, Rows, covers};
use model::{Timestamp, Value};

use super::bounds::{Bounds, bounds};
use super::mask::{Mask, Range};
use super::people::{One, People, Zones};
use crate::engine::Engine;
use crate::evaluate::{self, Node};
use crate::feature::{BY_PEOPLE, Feature, Listener};
use crate::state::{State, millionths};
use crate::view::counts;

/// Columns, people and the instant that is asked about.
pub(crate) struct Over<'a> {
    pub engine: &'a Engine,
    pub rows: &'a [Rows],
    /// Which profile each number has become part of.
    pub owners: Option<&'a [u32]>,
    pub people: &'a People,
    pub zones: Zones,
    pub now: Timestamp,
    /// Who is in the segments that have been decided, by the numbers of their conditions.
    pub members: HashMap<u32, Bits>,
}

/// Rows of one name that one listener may take, and which of them it takes.
pub(crate) struct Part<'a> {
    pub rows: &'a Rows,
    pub listener: &'a Listener,
    pub range: Range,
    pub mask: Mask,
}

/// Where a window lies: once for all, or by the place of each profile's zone.
pub(crate) enum Reach {
    Same(Bounds),
    Zoned(Vec<Bounds>),
}

impl Reach {
    pub fn outer(&self) -> Bounds {
        match self {
            Reach::Same(bounds) => *bounds,
            Reach::Zoned(all) => all
                .iter()
                .fold((i64::MAX, i64::MIN), |outer, each| (outer.0.min(each.0), outer.1.max(each.1))),
        }
    }
}

/// How dear a part is: the cheap ones go first and leave fewer profiles to the others.
fn cost(node: &Node) -> u32 {
    match node {
        Node::And(parts) | Node::Or(parts) => parts.iter().map(cost).sum(),
        Node::Not(part) => cost(part),
        Node::Leaf { condition, features, .. } => match **condition {
            Condition::Everyone | Condition::InSegment { .. } => 0,
            Condition::Did { .. } | Condition::Passed { .. } => 2,
            Condition::Count { .. } | Condition::FirstTime { .. } | Condition::Since { .. } => 3,
            Condition::Order { .. } => 4,
            Condition::Sequence { .. } => 40,
            _ if features.is_empty() => 1,
            _ => 10,
        },
    }
}

impl<'a> Over<'a> {
    pub fn size(&self) -> usize {
        self.people.present.size()
    }

    /// Decides all conditions, those that are referred to first; the last one is the answer.
    pub fn decide(mut self) -> Bits {
        let mut last = Bits::empty(self.size());
        for each in &self.engine.conditions {
            last = self.node(&each.root, &self.people.present);
            self.members.insert(each.id, last.clone());
        }
        last
    }

    /// Those among some for whom a part holds.
    fn node(&self, node: &Node, among: &Bits) -> Bits {
        let in_order = |parts: &'_ [Node]| {
            let mut order: Vec<usize> = (0..parts.len()).collect();
            order.sort_by_key(|at| cost(&parts[*at]));
            order
        };
        match node {
            Node::And(parts) => {
                let mut rest = among.clone();
                for at in in_order(parts) {
                    rest = self.node(&parts[at], &rest);
                }
                rest
            }
            Node::Or(parts) => {
                let (mut rest, mut out) = (among.clone(), Bits::empty(self.size()));
                for at in in_order(parts) {
                    let found = self.node(&parts[at], &rest);
                    rest.and_not(&found);
                    out.or(&found);
                }
                out
            }
            Node::Not(part) => {
                let mut rest = among.clone();
                rest.and_not(&self.node(part, among));
                rest
            }
            Node::Leaf { condition, features, segment, figure } => {
                // A trait is computed by the stream's own code.
                let mut found = match figure {
                    Some(_) => self.series(node, condition, features, among),
                    None => self.leaf(node, condition, features, *segment, among),
                };
                found.and(among);
                found
            }
        }
    }

    pub fn feature(&self, id: u32) -> &'a Feature {
        self.engine.feature(id)
    }

    fn leaf(
        &self,
        node: &Node,
        condition: &Condition,
        features: &[u32],
        segment: Option<u32>,
        among: &Bits,
    ) -> Bits {
        match condition {
            Condition::Everyone => among.clone(),
            Condition::InSegment { .. } => {
                let members = segment.and_then(|id| self.members.get(&id));
                members.cloned().unwrap_or_else(|| Bits::empty(self.size()))
            }
            Condition::Attribute { path, test } => self.attribute(&path.dotted(), among, |value, zone| {
                test_value(test, value, self.now, zone).holds
            }),
            Condition::Elements { quantifier, path, filter } => {
                let passes =
                    |value: Option<&Value>, _: &TimeZone| expr::elements_pass(*quantifier, value, filter);
                self.attribute(&path.dotted(), among, passes)
            }
            Condition::Did { window, .. } | Condition::Passed { window, .. } => {
                let mut out = Bits::empty(self.size());
                self.each(features[0], window, |number, _| out.add(number));
                out
            }
            Condition::Count { window, test, .. } => {
                let mut many = vec![0_u32; self.size()];
                self.each(features[0], window, |number, _| many[number] = many[number].saturating_add(1));
                let mut known: Vec<Option<bool>> = Vec::new();
                self.those(among, |number| {
                    let many = many[number] as usize;
                    if known.len() <= many {
                        known.resize(many + 1, None);
                    }
                    *known[many].get_or_insert_with(|| {
                        test_value(test, Some(&Value::from(many)), self.now, &TimeZone::UTC).holds
                    })
                })
            }
            Condition::Aggregate { function, window, test, .. }
                if matches!(
                    function,
                    Aggregate::Sum | Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum
                ) =>
            {
                self.figures(*function, features[0], window, test, among)
            }
            Condition::Since { which, op, span, .. } => {
                let at = self.occasions(features[0], *which);
                self.those(among, |number| {
                    at[number].is_some_and(|at| {
                        let turn = span.after(at, &self.zones.all[self.zones.place(self.people, number)]);
                        evaluate::since_holds(*op, turn, self.now)
                    })
                })
            }
            Condition::Order { left, comparison, right } => {
                let first = self.occasions(features[0], left.which);
                let second = self.occasions(features[1], right.which);
                self.those(among, |number| evaluate::in_order(first[number], second[number], *comparison))
            }
            Condition::FirstTime { window, .. } => {
                let at = self.occasions(features[0], Which::First);
                let window = Some(window.clone());
                self.those(among, |number| {
                    let zone = &self.zones.all[self.zones.place(self.people, number)];
                    at[number].is_some_and(|at| counts(&window, at, zone, self.now).0)
                })
            }
            Condition::Sequence { then, whole, same, window, .. } => {
                let steps = &features[usize::from(crate::feature::is_final(condition))..];
                // Who lacks a step that must happen need not be asked.
                let mut among = among.clone();
                for (step, feature) in then.iter().zip(&steps[1..]) {
                    if !step.not {
                        let mut some = Bits::empty(self.size());
                        self.each(*feature, window, |number, _| some.add(number));
                        among.and(&some);
                    }
                }
                let plain = whole.is_none() && same.is_none();
                let spans: Option<Vec<i64>> = then
                    .iter()
                    .map(|step| match &step.within {
                        _ if step.not => None,
                        None => Some(i64::MAX),
                        Some(span) => span.micros(),
                    })
                    .collect();
                match spans {
                    Some(spans) if plain => self.chain(steps, &spans, window, &among),
                    _ => self.series(node, condition, features, &among),
                }
            }
            // What is decided by attributes alone.
            _ if features.is_empty() => {
                let nothing = State::default();
                self.those(among, |number| node.holds(&nothing, &self.one(number), self.now))
            }
            _ => self.series(node, condition, features, among),
        }
    }

    pub fn one(&self, number: usize) -> One<'_> {
        One { people: self.people, zones: &self.zones, number }
    }

    /// Those among some that pass.
    pub fn those(&self, among: &Bits, mut passes: impl FnMut(usize) -> bool) -> Bits {
        let mut out = Bits::empty(self.size());
        among.iter().filter(|number| passes(*number)).for_each(|number| out.add(number));
        out
    }

    fn attribute(
        &self,
        path: &str,
        among: &Bits,
        passes: impl Fn(Option<&Value>, &TimeZone) -> bool,
    ) -> Bits {
        let Some(fact) = self.people.attributes.get(path) else {
            return self.those(among, |_| passes(None, &self.zones.all[0]));
        };
        if let [zone] = &self.zones.all[..] {
            // Asked once for each distinct value.
            let table: Vec<bool> = fact.values.iter().map(|value| passes(value.as_ref(), zone)).collect();
            return self.those(among, |number| table[fact.code(number)]);
        }
        self.those(among, |number| {
            passes(fact.get(number), &self.zones.all[self.zones.place(self.people, number)])
        })
    }

    pub fn reach(&self, window: &Option<Window>) -> Reach {
        let mut all: Vec<Bounds> = self.zones.all.iter().map(|zone| bounds(window, zone, self.now)).collect();
        match all.pop() {
            Some(last) if all.iter().all(|each| *each == last) => Reach::Same(last),
            Some(last) => {
                all.push(last);
                Reach::Zoned(all)
            }
            None => Reach::Same((i64::MAX, i64::MIN)),
        }
    }

    /// The rows a feature takes within bounds, a part for each of its listeners and names.
    pub fn parts(&self, feature: &'a Feature, (from, until): Bounds) -> Vec<Part<'a>> {
        let mut out = Vec::new();
        for listener in &feature.listeners {
            for rows in self.rows.iter().filter(|rows| covers(&listener.name, &rows.name)) {
                let start = rows.times.partition_point(|at| *at < from);
                let end = rows.times.partition_point(|at| *at < until);
                if start >= end {
                    continue;
                }
                let range = Range { start, end };
                let mut mask = Mask::All;
                if listener.people_only && BY_PEOPLE.contains(&rows.name.as_str()) {
                    let by_a_person = |actor: Option<&Value>| {
                        actor.is_none_or(|actor| actor.is_null() || actor.as_str() == Some("person"))
                    };
                    mask = Mask::by_value(rows, &["actor".to_owned()], range, by_a_person);
                }
                if let Some(filter) = &listener.filter {
                    mask = mask.both(Mask::of(filter, rows, range));
                }
                if mask != Mask::None {
                    out.push(Part { rows, listener, range, mask });
                }
            }
        }
        out
    }

    /// Passes the profile and the row of every row of a part that lies in reach.
    pub fn walk(&self, part: &Part<'_>, reach: &Reach, mut each: impl FnMut(usize, usize)) {
        let size = self.size();
        let (profiles, times) = (&part.rows.profiles[..], &part.rows.times[..]);
        let mut take = |row: usize| {
            let mut number = profiles[row] as usize;
            if let Some(owners) = self.owners {
                number = owners.get(number).map_or(usize::MAX, |owner| *owner as usize);
            }
            if number >= size {
                return;
            }
            if let Reach::Zoned(all) = reach {
                let (from, until) = all[self.zones.place(self.people, number)];
                if times[row] < from || times[row] >= until {
                    return;
                }
            }
            each(number, row);
        };
        match &part.mask {
            Mask::None => {}
            Mask::All => (part.range.start..part.range.end).for_each(take),
            Mask::Some(words) => {
                let many = part.range.end - part.range.start;
                for (at, word) in words.iter().enumerate() {
                    let mut rest = *word;
                    if many - at * 64 < 64 {
                        rest &= (1 << (many - at * 64)) - 1;
                    }
                    while rest != 0 {
                        take(part.range.start + at * 64 + rest.trailing_zeros() as usize);
                        rest &= rest - 1;
                    }
                }
            }
        }
    }

    /// Passes the profile and the instant of every event of a feature that a window holds now.
    fn each(&self, feature: u32, window: &Option<Window>, mut each: impl FnMut(usize, i64)) {
        let reach = self.reach(window);
        for part in self.parts(self.feature(feature), reach.outer()) {
            let times = &part.rows.times[..];
            self.walk(&part, &reach, |number, row| each(number, times[row]));
        }
    }

    /// The first or last event of each profile.
    fn occasions(&self, feature: u32, which: Which) -> Vec<Option<Timestamp>> {
        let nothing = if which == Which::First { i64::MAX } else { i64::MIN };
        let mut at = vec![nothing; self.size()];
        self.each(feature, &None, |number, time| {
            let known = at[number];
            at[number] = if which == Which::First { known.min(time) } else { known.max(time) };
        });
        at.into_iter().map(|at| (at != nothing).then(|| Timestamp::from_micros(at))).collect()
    }

    /// A sum, an average or an extreme of each profile, tested. Sums are in millionths, as in the stream.
    fn figures(
        &self,
        function: Aggregate,
        feature: u32,
        window: &Option<Window>,
        test: &Test,
        among: &Bits,
    ) -> Bits {
        let (size, reach) = (self.size(), self.reach(window));
        let (sums, extremes) = match function {
            Aggregate::Sum | Aggregate::Average => (size, 0),
            _ => (0, size),
        };
        let mut many = vec![0_u32; size];
        let mut sum = vec![0_i128; sums];
        let largest = function == Aggregate::Maximum;
        let mut extreme = vec![if largest { f64::NEG_INFINITY } else { f64::INFINITY }; extremes];
        let feature = self.feature(feature);
        for part in self.parts(feature, reach.outer()) {
            let Some((path, _)) = &feature.property else { continue };
            let Some(coded) = part.rows.properties.get(path.names()) else { continue };
            let value = |value: &Option<Value>| {
                let number = feature.value_of(part.listener, value.as_ref())?.number();
                Some((number, millionths(number)))
            };
            let table: Vec<Option<(f64, i128)>> = coded.values.iter().map(value).collect();
            self.walk(&part, &reach, |number, row| {
                let Some((value, whole)) = table[coded.codes.get(row)] else { return };
                many[number] += 1;
                if sums > 0 {
                    sum[number] = sum[number].saturating_add(whole);
                } else {
                    let known = extreme[number];
                    extreme[number] = if largest { known.max(value) } else { known.min(value) };
                }
            });
        }
        self.those(among, |number| {
            let some = many[number] > 0;
            let value: Option<Value> = match function {
                Aggregate::Sum => Some((sum[number] as f64 / 1e6).into()),
                Aggregate::Average => {
                    some.then(|| (sum[number] as f64 / 1e6 / f64::from(many[number])).into())
                }
                _ => some.then(|| extreme[number].into()),
            };
            test_value(test, value.as_ref(), self.now, &TimeZone::UTC).holds
        })
    }
}

/// Whether the answer of a leaf goes by the calendar of the profile.
pub(crate) fn reads_zone(leaf: &Condition) -> bool {
    let test = match leaf {
        Condition::Attribute { test, .. } | Condition::Held { test, .. } => Some(test),
        Condition::Aggregate { test, .. } => Some(test),
        _ => None,
    };
    let plain = |test: &Test| {
        matches!(
            test,
            Test::Missing
                | Test::Present
                | Test::Compare { .. }
                | Test::Between { .. }
                | Test::In { .. }
                | Test::NotIn { .. }
                | Test::StartsWith { .. }
                | Test::EndsWith { .. }
                | Test::Contains { .. }
                | Test::ContainsAny { .. }
                | Test::ContainsAll { .. }
                | Test::Matches { .. }
                | Test::Length { .. }
        )
    };
    match leaf {
        Condition::Everyone
        | Condition::Random { .. }
        | Condition::Elements { .. }
        | Condition::InSegment { .. }
        | Condition::Order { .. } => false,
        Condition::Attribute { .. } => !test.is_none_or(plain),
        leaf => crate::dependence::depends_on_attributes(leaf) || !test.is_none_or(plain),
    }
}
