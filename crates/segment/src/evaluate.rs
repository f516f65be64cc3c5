//! Whether conditions hold at an instant, when that can change, and why.

use expr::{
    Aggregate, Attributes, Comparison, Condition, Consented, Figure, Op, Passage, Says, Test, Window, bucket,
    test_value,
};
use jiff::tz::TimeZone;
use model::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::sequence::Pattern;
use crate::state::{Entry, Series, State, millionths};
use crate::view::{View, counts, earlier};
use crate::{lifecycle, sequence, traits};

/// Whether it holds, and the next instant at which that can change without an event; never later than the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub holds: bool,
    pub changes_at: Option<Timestamp>,
}

/// Why a condition holds or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The part, as text of the language; `and`, `or`, `not` for groups.
    pub text: String,
    /// The part in plain English.
    pub sentence: String,
    /// Whether it holds.
    pub holds: bool,
    /// The value that was tested.
    pub value: Option<String>,
    /// The deciding events, latest first; at most ten.
    pub evidence: Vec<Evidence>,
    /// When it changes if nothing happens.
    pub until: Option<Timestamp>,
    /// The parts of a group.
    pub children: Vec<Explanation>,
}

/// An event that decided a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event's name.
    pub name: String,
    /// When it happened.
    pub at: Timestamp,
}

/// A condition with its leaves bound to features and segments.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Leaf { condition: Box<Condition>, features: Vec<u32>, segment: Option<u32>, figure: Option<Box<Figure>> },
}

/// The outcome of a leaf with what an explanation shows of it.
pub(crate) struct Found<'a> {
    pub outcome: Outcome,
    pub value: Option<Value>,
    pub events: &'a [Entry],
}

impl Node {
    fn leaves(&self) -> Vec<&Node> {
        match self {
            Node::And(parts) | Node::Or(parts) => parts.iter().flat_map(Node::leaves).collect(),
            Node::Not(part) => part.leaves(),
            leaf @ Node::Leaf { .. } => vec![leaf],
        }
    }

    /// The parts that all have to hold; itself when it is none of several.
    pub(crate) fn parts(&self) -> std::slice::Iter<'_, Node> {
        if let Node::And(parts) = self { parts.iter() } else { std::slice::from_ref(self).iter() }
    }

    pub(crate) fn features(&self) -> Vec<u32> {
        let mut out = Vec::new();
        for leaf in self.leaves() {
            if let Node::Leaf { features, .. } = leaf {
                out.extend(features);
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    pub(crate) fn segments(&self) -> Vec<u32> {
        let mut out = Vec::new();
        for leaf in self.leaves() {
            if let Node::Leaf { segment, .. } = leaf {
                out.extend(segment);
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    pub(crate) fn evaluate(&self, state: &State, attributes: &dyn Attributes, now: Timestamp) -> Outcome {
        let join = |parts: &[Node], all: bool| {
            let mut joined = Outcome { holds: all, changes_at: None };
            for part in parts {
                let outcome = part.evaluate(state, attributes, now);
                joined.holds =
                    if all { joined.holds && outcome.holds } else { joined.holds || outcome.holds };
                joined.changes_at = earlier(joined.changes_at, outcome.changes_at);
            }
            joined
        };
        match self {
            Node::And(parts) => join(parts, true),
            Node::Or(parts) => join(parts, false),
            Node::Not(part) => {
                let outcome = part.evaluate(state, attributes, now);
                Outcome { holds: !outcome.holds, ..outcome }
            }
            Node::Leaf { .. } => self.leaf(state, attributes, now).outcome,
        }
    }

    /// Whether it holds, without when that changes.
    pub(crate) fn holds(&self, state: &State, attributes: &dyn Attributes, now: Timestamp) -> bool {
        self.evaluate(state, attributes, now).holds
    }

    /// The outcome of a leaf; of a group, that it does not hold.
    fn leaf<'a>(&self, state: &'a State, attributes: &dyn Attributes, now: Timestamp) -> Found<'a> {
        let Node::Leaf { condition, features, segment, figure } = self else {
            return answer((false, None), None, &[]);
        };
        if let (Some(figure), Condition::Attribute { test, .. }) = (figure, &**condition) {
            let series = features.first().and_then(|id| state.features.get(id)).unwrap_or(EMPTY);
            return traits::tested(figure, series, test, &attributes.zone(), now);
        }
        leaf(condition, features, *segment, state, attributes, now)
    }

    /// The features of sequences that are complete for ever: the mark, then the steps.
    pub(crate) fn complete(
        &self,
        state: &State,
        attributes: &dyn Attributes,
        now: Timestamp,
    ) -> Vec<Vec<u32>> {
        let mut out = Vec::new();
        for each in self.leaves() {
            let Node::Leaf { condition, features, .. } = each else { continue };
            let open = |id: &u32| !state.features.contains_key(id);
            if crate::feature::is_final(condition)
                && features.first().is_some_and(open)
                && each.leaf(state, attributes, now).outcome.holds
            {
                out.push(features.clone());
            }
        }
        out
    }

    /// The first instant after now at which the whole has the other answer; gives up after some steps.
    fn turns_at(&self, state: &State, attributes: &dyn Attributes, now: Timestamp) -> Option<Timestamp> {
        let start = self.evaluate(state, attributes, now);
        let mut next = start.changes_at?;
        for _ in 0..400 {
            let outcome = self.evaluate(state, attributes, next);
            if outcome.holds != start.holds {
                return Some(next);
            }
            next = outcome.changes_at.filter(|later| *later > next)?;
        }
        None
    }

    pub(crate) fn explain(&self, state: &State, attributes: &dyn Attributes, now: Timestamp) -> Explanation {
        let until = self.turns_at(state, attributes, now);
        let group = |word: &str, parts: &[Node], holds: bool| Explanation {
            text: word.to_owned(),
            sentence: match word {
                "and" => "All of these hold".to_owned(),
                "or" => "At least one of these holds".to_owned(),
                _ => "This does not hold".to_owned(),
            },
            holds,
            value: None,
            evidence: Vec::new(),
            until,
            children: parts.iter().map(|part| part.explain(state, attributes, now)).collect(),
        };
        let holds = self.evaluate(state, attributes, now).holds;
        match self {
            Node::And(parts) => group("and", parts, holds),
            Node::Or(parts) => group("or", parts, holds),
            Node::Not(part) => group("not", std::slice::from_ref(part), holds),
            Node::Leaf { condition, figure, .. } => {
                let found = self.leaf(state, attributes, now);
                let events = figure.as_ref().map_or_else(|| condition.events(), |figure| figure.events());
                let name = match &**condition {
                    Condition::Passed { passage: Passage::Entered, .. } => "Segment Entered".to_owned(),
                    Condition::Passed { .. } => "Segment Exited".to_owned(),
                    _ => events.first().map(|event| event.name.clone()).unwrap_or_default(),
                };
                let evidence =
                    |entry: &Entry| Evidence { name: name.clone(), at: Timestamp::from_micros(entry.at) };
                Explanation {
                    text: condition.to_string(),
                    sentence: expr::describe(condition),
                    holds,
                    value: found.value.map(|value| match value {
                        Value::String(text) => text,
                        value => value.to_string(),
                    }),
                    evidence: found.events.iter().rev().take(10).map(evidence).collect(),
                    until,
                    children: Vec::new(),
                }
            }
        }
    }
}

/// Whether the time since an event, which is a span long at `turn`, compares so.
pub(crate) fn since_holds(op: Op, turn: Timestamp, now: Timestamp) -> bool {
    match op {
        Op::Greater => now > turn,
        Op::LessOrEqual => now <= turn,
        Op::Less => now < turn,
        _ => now >= turn,
    }
}

/// Whether one occasion lies after or before another.
pub(crate) fn in_order(left: Option<Timestamp>, right: Option<Timestamp>, comparison: Comparison) -> bool {
    match (left, right, comparison) {
        (Some(left), Some(right), Comparison::After) => left > right,
        (Some(left), Some(right), Comparison::Before) => left < right,
        (Some(_), None, Comparison::After) => true,
        _ => false,
    }
}

pub(crate) const EMPTY: &Series = &Series { entries: Vec::new(), folded: None };

fn leaf<'a>(
    condition: &Condition,
    features: &[u32],
    segment: Option<u32>,
    state: &'a State,
    attributes: &dyn Attributes,
    now: Timestamp,
) -> Found<'a> {
    let series = |number: usize| features.get(number).and_then(|id| state.features.get(id)).unwrap_or(EMPTY);
    let zone = &attributes.zone();
    let still = |holds: bool, value: Option<Value>| Found {
        outcome: Outcome { holds, changes_at: None },
        value,
        events: &[],
    };
    match condition {
        Condition::Attribute { path, test } => {
            let value = attributes.get(&path.dotted());
            let leaf = test_value(test, value.as_deref(), now, zone);
            let outcome = Outcome { holds: leaf.holds, changes_at: leaf.changes_at };
            Found { outcome, value: value.map(|value| value.into_owned()), events: &[] }
        }
        Condition::Did { window, .. } => {
            let mut found = count(series(0), window, &at_least_one(), zone, now);
            found.value = None;
            found
        }
        Condition::Count { window, test, .. } => count(series(0), window, test, zone, now),
        Condition::Aggregate { function, window, test, .. } => {
            let view = View::of(series(0), window, zone, now);
            let value = figure_of(*function, &view);
            let holds = test_value(test, value.as_ref(), now, zone).holds;
            Found { outcome: Outcome { holds, changes_at: view.changes_at(0) }, value, events: view.inside }
        }
        Condition::Periods { period, window, test, .. } => {
            let view = View::of(series(0), window, zone, now);
            let mut many = 0;
            let mut last = None;
            for entry in view.inside {
                let number = Some(bucket(*period, Timestamp::from_micros(entry.at), zone));
                many += u64::from(number != last);
                last = number;
            }
            let value = Value::from(many);
            let holds = test_value(test, Some(&value), now, zone).holds;
            Found {
                outcome: Outcome { holds, changes_at: view.changes_at(0) },
                value: Some(value),
                events: view.inside,
            }
        }
        Condition::Since { which, op, span, .. } => {
            let view = View::of(series(0), &None, zone, now);
            let Some(entry) = view.occasion(*which) else {
                return Found {
                    outcome: Outcome { holds: false, changes_at: view.changes_at(0) },
                    value: None,
                    events: &[],
                };
            };
            let turn = span.after(Timestamp::from_micros(entry[0].at), zone);
            let holds = since_holds(*op, turn, now);
            let turn = if matches!(op, Op::Greater | Op::LessOrEqual) { turn + 1 } else { turn };
            let turn = Some(turn).filter(|turn| *turn > now && *turn != Timestamp::MAX);
            let changes_at = earlier(turn, view.changes_at(0));
            let value = Some(Value::from(format!("last at {}", Timestamp::from_micros(entry[0].at))));
            Found { outcome: Outcome { holds, changes_at }, value, events: entry }
        }
        Condition::Order { left, comparison, right } => {
            let left_view = View::of(series(0), &None, zone, now);
            let right_view = View::of(series(1), &None, zone, now);
            let first = left_view.occasion(left.which);
            let at = |entry: &[Entry]| Timestamp::from_micros(entry[0].at);
            let holds = in_order(first.map(at), right_view.occasion(right.which).map(at), *comparison);
            let changes_at = earlier(left_view.changes_at(0), right_view.changes_at(0));
            Found { outcome: Outcome { holds, changes_at }, value: None, events: first.unwrap_or(&[]) }
        }
        Condition::InSegment { .. } => {
            let member = segment.and_then(|id| state.members.get(&id));
            still(member.is_some_and(|member| member.held), None)
        }
        Condition::Passed { window, .. } => {
            let mut found = count(series(0), window, &at_least_one(), zone, now);
            found.value = None;
            found
        }
        Condition::Sequence { then, whole, same, window, .. } => {
            let marked = usize::from(crate::feature::is_final(condition));
            if marked == 1 && series(0).folded.is_some() {
                return still(true, None);
            }
            let all: Vec<&Series> = (marked..features.len()).map(series).collect();
            let chain = sequence::follow(
                &all,
                &Pattern { then, whole: *whole, same: same.is_some() },
                window,
                zone,
                now,
            );
            let view = View::of(series(marked), &None, zone, now);
            answer((chain.holds, chain.changes_at), None, view.inside)
        }
        Condition::FirstTime { window, .. } => {
            let view = View::of(series(0), &None, zone, now);
            let Some(first) = view.occasion(expr::Which::First) else {
                return answer((false, view.enters_at()), None, &[]);
            };
            let at = Timestamp::from_micros(first[0].at);
            answer(counts(&Some(window.clone()), at, zone, now), Some(at.to_string().into()), first)
        }
        Condition::Stopped { quiet, times, before, .. } => {
            let series = series(0);
            answer(lifecycle::stopped(series, *quiet, *times, *before, zone, now), None, &series.entries)
        }
        Condition::Resumed { window, pause, .. } => {
            let (all, first) = (series(0), series(1));
            answer(lifecycle::resumed(all, first, window, *pause, zone, now), None, &all.entries)
        }
        Condition::Regularly { times, periods, last, .. } => {
            let series = series(0);
            let (holds, at, many) = lifecycle::regularly(series, *times, *periods, *last, zone, now);
            answer((holds, at), Some(many.into()), &series.entries)
        }
        Condition::Held { path, test, span } => {
            let value = attributes.get(&path.dotted());
            let passes = test_value(test, value.as_deref(), now, zone).holds;
            let (held, changes_at) = lifecycle::held(series(0), *span, zone, now);
            answer((passes && held, changes_at), value.map(|value| value.into_owned()), &[])
        }
        Condition::Elements { quantifier, path, filter } => {
            let value = attributes.get(&path.dotted());
            still(expr::elements_pass(*quantifier, value.as_deref(), filter), value.map(|v| v.into_owned()))
        }
        Condition::Consent { says, about, by, window } => {
            let (holds, changes_at) = consented(*says, about, by, window, attributes, now);
            answer((holds, changes_at), None, &[])
        }
        Condition::Random { from, to, name } => {
            let place = attributes.seed().map(|seed| expr::draw(name, &seed));
            still(place.is_some_and(|place| *from <= place && place < *to), place.map(Value::from))
        }
        Condition::Everyone => still(true, None),
        Condition::And { .. } | Condition::Or { .. } | Condition::Not { .. } => still(false, None),
    }
}

fn at_least_one() -> Test {
    Test::Compare { op: Op::GreaterOrEqual, value: expr::Literal::Number(1.0) }
}

pub(crate) fn answer(
    (holds, changes_at): (bool, Option<Timestamp>),
    value: Option<Value>,
    events: &[Entry],
) -> Found<'_> {
    Found { outcome: Outcome { holds, changes_at }, value, events }
}

fn consented(
    says: Says,
    about: &str,
    by: &Option<String>,
    window: &Option<Window>,
    attributes: &dyn Attributes,
    now: Timestamp,
) -> (bool, Option<Timestamp>) {
    let yes = matches!(says, Says::Consents | Says::Subscribed);
    if by.is_none() && window.is_none() && yes {
        let holds =
            if says == Says::Consents { attributes.consents(about) } else { attributes.subscribed(about) };
        return (holds, None);
    }
    let Some(Consented { given, at, by: how }) = attributes.consent(about) else { return (false, None) };
    if given != yes || by.as_ref().is_some_and(|by| how.as_ref() != Some(by)) {
        return (false, None);
    }
    match (window, at) {
        (None, _) => (true, None),
        (Some(_), None) => (false, None),
        (window, Some(at)) => counts(window, at, &attributes.zone(), now),
    }
}

pub(crate) fn count<'a>(
    series: &'a Series,
    window: &Option<Window>,
    test: &Test,
    zone: &TimeZone,
    now: Timestamp,
) -> Found<'a> {
    let view = View::of(series, window, zone, now);
    let folded = view.series.folded.as_ref().map_or(0, |folded| folded.count);
    let many = folded + view.inside.len() as u64;
    let holds_at = |many: u64| test_value(test, Some(&Value::from(many)), now, zone).holds;
    let holds = holds_at(many);
    // Every event that leaves makes the number smaller by one: find the first that turns the answer.
    let turn = (0..view.inside.len()).find(|gone| holds_at(many - *gone as u64 - 1) != holds);
    let changes_at = earlier(view.enters_at(), turn.and_then(|gone| view.leaves_at(gone)));
    Found { outcome: Outcome { holds, changes_at }, value: Some(Value::from(many)), events: view.inside }
}

pub(crate) fn figure_of(function: Aggregate, view: &View<'_, '_>) -> Option<Value> {
    let folded = view.series.folded.as_deref();
    let many = folded.map_or(0, |folded| folded.count) + view.inside.len() as u64;
    let sum = view.inside.iter().fold(folded.map_or(0, |folded| folded.sum), |sum, entry| {
        sum.saturating_add(millionths(entry.value.number()))
    }) as f64
        / 1e6;
    let numbers = || view.inside.iter().map(|entry| entry.value.number());
    let tally = || {
        let mut tally = folded.map(|folded| folded.tally.clone()).unwrap_or_default();
        for entry in view.inside {
            *tally.entry(entry.value.clone()).or_default() += 1;
        }
        tally
    };
    match function {
        Aggregate::Sum => Some(sum.into()),
        Aggregate::Average => (many > 0).then(|| (sum / many as f64).into()),
        Aggregate::Minimum => (many > 0)
            .then(|| numbers().fold(folded.map_or(f64::INFINITY, |folded| folded.min), f64::min).into()),
        Aggregate::Maximum => {
            let start = folded.map_or(f64::NEG_INFINITY, |folded| folded.max);
            (many > 0).then(|| numbers().fold(start, f64::max).into())
        }
        Aggregate::Distinct => Some((tally().len() as u64).into()),
        // Of equally frequent values the first in order.
        Aggregate::Top => {
            let tally = tally();
            let most = tally.values().max()?;
            tally.iter().find(|(_, many)| *many == most).map(|(value, _)| value.to_value())
        }
        Aggregate::First => view.inside.first().map(|entry| entry.value.to_value()),
        Aggregate::Last => view.inside.last().map(|entry| entry.value.to_value()),
    }
}
