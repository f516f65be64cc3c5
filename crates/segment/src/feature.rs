//! Features: the parts into which conditions fall, each kept once under its canonical text.

use std::collections::BTreeMap;

use expr::{
    Aggregate, Condition, EventPattern, Filter, Literal, Passage, Path, Span, Test, When, Which, Window,
};
use jiff::tz::TimeZone;
use model::time::DAY;
use model::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::COUNT_MAX;
use crate::state::{Entry, Series, Val};

/// What is dropped is older than a window by this much: clocks step back and zones move.
const SLACK: i64 = 2 * DAY;

/// Stable numbers of features and conditions by canonical text; kept by the caller beside the states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureIds {
    ids: BTreeMap<String, u32>,
    last: u32,
}

impl FeatureIds {
    /// The number of a text; the flag says that it is new.
    pub(crate) fn number(&mut self, text: &str) -> (u32, bool) {
        if let Some(id) = self.ids.get(text) {
            return (*id, false);
        }
        self.last += 1;
        self.ids.insert(text.to_owned(), self.last);
        (self.last, true)
    }

    /// Forgets what is no longer used; its numbers are never given again.
    pub(crate) fn keep(&mut self, used: impl Fn(u32) -> bool) {
        self.ids.retain(|_, id| used(*id));
    }
}

/// A feature, as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureInfo {
    /// Its stable number.
    pub id: u32,
    /// Its canonical text.
    pub text: String,
    /// The events it listens to.
    pub events: Vec<String>,
}

/// What a feature keeps of its events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Keep {
    /// The latest so many.
    Latest(usize),
    /// The earliest so many.
    Earliest(usize),
    /// All within the window.
    All,
    /// The earliest and latest of every quarter of an hour within the window.
    Quarters,
    /// Count, sum, extremes.
    Total,
    /// How often each value occurred.
    Tally,
    /// The decayed points, by their half-life in microseconds.
    Score(i64),
    /// Whether a value passed its test, as far back as its span.
    Held(Span),
}

/// What a property must be for its event to be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Number,
    Scalar,
}

/// Events that machines cause too; those by people count unless a filter speaks of the actor.
pub(crate) const BY_PEOPLE: [&str; 2] = ["Email Opened", "Email Link Clicked"];
/// The call that sets attributes.
const IDENTIFY: &str = "identify";

#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub name: String,
    pub filter: Option<Filter>,
    /// Opens and clicks by machines do not count unless the filter speaks of the actor.
    pub people_only: bool,
    pub weight: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Feature {
    pub id: u32,
    pub text: String,
    pub listeners: Vec<Listener>,
    pub property: Option<(Path, Kind)>,
    pub keep: Keep,
    pub window: Option<Window>,
    /// How long events are kept beyond the window.
    pub beyond: Option<Span>,
    /// What the property must pass, for a value that is held.
    pub test: Option<Test>,
    /// The feature whose presence says that nothing more needs to be kept here.
    pub mark: Option<u32>,
}

impl Feature {
    pub(crate) fn new(
        event: &EventPattern,
        window: Option<Window>,
        keep: Keep,
        property: Option<(Path, Kind)>,
    ) -> Feature {
        let kept = match &keep {
            Keep::Latest(many) => format!("latest {many}"),
            Keep::Earliest(many) => format!("earliest {many}"),
            keep => format!("{keep:?}").to_lowercase(),
        };
        let property_text = property
            .as_ref()
            .map_or(String::new(), |(path, kind)| format!(" {kind:?}({path})").to_lowercase());
        let window_text = window.as_ref().map_or(String::new(), |window| format!(" {window}"));
        let mention = event.filter.as_ref().is_some_and(|filter| filter.mentions("actor"));
        let listener = Listener {
            name: event.name.clone(),
            filter: event.filter.clone(),
            people_only: !mention,
            weight: 0.0,
        };
        Feature {
            id: 0,
            text: format!("{kept}{property_text} of {event}{window_text}"),
            listeners: vec![listener],
            property,
            keep,
            window,
            beyond: None,
            test: None,
            mark: None,
        }
    }

    /// Keeps events for longer than the window.
    fn beyond(mut self, span: Span) -> Feature {
        self.text += &format!(" and {span} before");
        self.beyond = Some(span);
        self
    }

    /// Entries into or exits from the segment with this key.
    pub(crate) fn passed(passage: Passage, key: &str, window: &Option<Window>) -> Option<Feature> {
        let path = Path::new(vec!["segment".to_owned()])?;
        let test = Test::Compare { op: expr::Op::Equal, value: Literal::Text(key.to_owned()) };
        let name = if passage == Passage::Entered { "Segment Entered" } else { "Segment Exited" };
        let event = EventPattern { name: name.to_owned(), filter: Some(Filter::Property { path, test }) };
        Some(Feature::new(&event, window.clone(), counted(window, 1), None))
    }

    fn held(path: &Path, test: &Test, span: Span) -> Feature {
        let event = EventPattern { name: IDENTIFY.to_owned(), filter: None };
        let property = Some((path.clone(), Kind::Scalar));
        let mut feature = Feature::new(&event, None, Keep::Held(span), property);
        feature.text = format!("held {path} {test} for {span}");
        feature.test = Some(test.clone());
        feature
    }

    /// The features a leaf needs, in the order in which its evaluation asks for them.
    pub(crate) fn of(leaf: &Condition) -> Option<Vec<Feature>> {
        let occasion = |which: Which, event: &EventPattern| {
            let keep = if which == Which::Last { Keep::Latest(1) } else { Keep::Earliest(1) };
            Feature::new(event, None, keep, None)
        };
        Some(match leaf {
            Condition::Did { event, window } => {
                vec![Feature::new(event, window.clone(), counted(window, 1), None)]
            }
            Condition::Count { event, window, test } => {
                let many = count_needed(test);
                let keep = match window {
                    None if many > 8 => Keep::Total,
                    _ if many > COUNT_MAX => return None,
                    window => counted(window, many),
                };
                vec![Feature::new(event, window.clone(), keep, None)]
            }
            Condition::Aggregate { function, property, event, window, .. } => {
                let (kind, unbounded) = match function {
                    Aggregate::Sum | Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum => {
                        (Kind::Number, Keep::Total)
                    }
                    Aggregate::Distinct | Aggregate::Top => (Kind::Scalar, Keep::Tally),
                    Aggregate::First => (Kind::Scalar, Keep::Earliest(1)),
                    Aggregate::Last => (Kind::Scalar, Keep::Latest(1)),
                };
                let keep = match (window, function) {
                    (None, _) => unbounded,
                    (Some(Window::BeforeLast { .. }), Aggregate::First) => Keep::Earliest(1),
                    (Some(Window::BeforeLast { .. }), _) => Keep::All,
                    (window, Aggregate::Last) => counted(window, 1),
                    _ => Keep::All,
                };
                vec![Feature::new(event, window.clone(), keep, Some((property.clone(), kind)))]
            }
            Condition::Periods { event, window, .. } => {
                let edges = match window {
                    Some(Window::Since { when } | Window::Before { when }) => vec![when],
                    Some(Window::Between { from, to }) => vec![from, to],
                    _ => Vec::new(),
                };
                let instants = edges.iter().any(|when| matches!(when, When::At(_)));
                let keep = if instants { Keep::All } else { Keep::Quarters };
                vec![Feature::new(event, window.clone(), keep, None)]
            }
            Condition::Since { which, event, .. } => vec![occasion(*which, event)],
            Condition::Order { left, right, .. } => {
                vec![occasion(left.which, &left.event), occasion(right.which, &right.event)]
            }
            Condition::Sequence { first, then, same, window, .. } => {
                let reach = match window {
                    Some(Window::Ago { from, .. }) => Some(Window::InLast { span: *from }),
                    Some(Window::InLast { .. } | Window::Today | Window::Since { .. }) => window.clone(),
                    _ => None,
                };
                let property = same.as_ref().map(|path| (path.clone(), Kind::Scalar));
                let patterns = std::iter::once(first).chain(then.iter().map(|step| &step.event));
                let steps =
                    patterns.map(|event| Feature::new(event, reach.clone(), Keep::All, property.clone()));
                if is_final(leaf) { with_mark(leaf, steps) } else { steps.collect() }
            }
            Condition::FirstTime { event, .. } => vec![occasion(Which::First, event)],
            Condition::Stopped { event, quiet, times, before } => {
                let window = Some(Window::InLast { span: *quiet });
                vec![Feature::new(event, window, Keep::Latest(*times as usize), None).beyond(*before)]
            }
            Condition::Resumed { event, window, pause } => {
                let reach = match window {
                    Some(Window::Ago { from, .. }) => Some(Window::InLast { span: *from }),
                    Some(Window::InLast { .. } | Window::Today) => window.clone(),
                    _ => None,
                };
                let within = reach.is_some();
                let all = Feature::new(event, reach, Keep::All, None);
                let all = if within { all.beyond(*pause) } else { all };
                vec![all, occasion(Which::First, event)]
            }
            Condition::Regularly { event, last, .. } => {
                vec![Feature::new(event, Some(Window::InLast { span: *last }), Keep::All, None)]
            }
            Condition::Held { path, test, span } => vec![Feature::held(path, test, *span)],
            _ => Vec::new(),
        })
    }

    /// Takes an event into the series.
    pub(crate) fn take(
        &self,
        listener: &Listener,
        series: &mut Series,
        at: Timestamp,
        properties: &Value,
        now: Timestamp,
    ) -> bool {
        let value = match &self.property {
            Some((path, _)) if self.test.is_some() => {
                Feature::stated(path, properties).map(|value| Val::Bool(self.passes(value)))
            }
            Some((path, _)) => self.value_of(listener, expr::lookup(properties, path)),
            None => self.value_of(listener, None),
        };
        let Some(value) = value else { return false };
        if self.is_outside(at, now) {
            return false;
        }
        series.insert(Entry { at: at.micros(), value });
        self.trim(series, now);
        true
    }

    /// What is kept of an event whose property has this value; `None` when the event is not kept.
    pub(crate) fn value_of(&self, listener: &Listener, property: Option<&Value>) -> Option<Val> {
        if matches!(self.keep, Keep::Score(_)) {
            return Some(Val::Number(listener.weight));
        }
        let Some((_, kind)) = &self.property else { return Some(Val::None) };
        match (property, kind) {
            (Some(Value::Number(number)), _) => {
                number.as_f64().filter(|number| number.is_finite()).map(Val::Number)
            }
            (Some(Value::String(text)), Kind::Scalar) => Some(Val::Text(text.clone())),
            (Some(Value::Bool(value)), Kind::Scalar) => Some(Val::Bool(*value)),
            _ => None,
        }
    }

    /// The attribute of this path that a call states; `None` when the call does not speak of it.
    fn stated<'a>(path: &Path, properties: &'a Value) -> Option<Option<&'a Value>> {
        match properties.get(path.dotted().as_ref()) {
            Some(value) => Some(Some(value)),
            None => {
                properties.get(path.names().first()?)?;
                Some(expr::lookup(properties, path))
            }
        }
    }

    /// Whether a stated attribute passes the test of a value that is held.
    pub(crate) fn passes(&self, value: Option<&Value>) -> bool {
        let holds = |test| expr::test_value(test, value, Timestamp::default(), &TimeZone::UTC).holds;
        self.test.as_ref().is_some_and(holds)
    }

    /// From which instant on and before which one an event may count now. Units: microseconds since 1970 UTC.
    pub(crate) fn bounds(&self, now: Timestamp) -> (i64, i64) {
        let utc = TimeZone::UTC;
        let end = now.micros().saturating_add(1);
        let from = match &self.window {
            None | Some(Window::BeforeLast { .. } | Window::Before { .. }) => i64::MIN,
            Some(Window::Since { when }) => (when.start(&utc) - SLACK).micros(),
            Some(Window::Between { from, .. }) => (from.start(&utc) - SLACK).micros(),
            Some(window) => {
                let span = match window {
                    Window::InLast { span } | Window::Ago { from: span, .. } => span.micros_max(),
                    _ => DAY,
                };
                let beyond = self.beyond.map_or(0, Span::micros_max);
                let earliest = (now - span - beyond - 5 * SLACK).micros();
                crate::history::first_after(earliest, end, |at| self.is_outside(at, now))
            }
        };
        let until = match &self.window {
            Some(Window::Before { when }) => end.min((when.start(&utc) + SLACK + 1).micros()),
            Some(Window::Between { to, .. }) => end.min((to.end(&utc) + SLACK + 1).micros()),
            _ => end,
        };
        (from, until)
    }

    /// Whether an event at this instant can never count again.
    fn is_outside(&self, at: Timestamp, now: Timestamp) -> bool {
        let utc = TimeZone::UTC;
        // Months differ in length: what is kept beyond a window has some days more.
        let gone = |end: Timestamp| match self.beyond {
            None => end + SLACK <= now,
            Some(span) => span.after(end, &utc) + 3 * SLACK <= now,
        };
        match &self.window {
            None | Some(Window::BeforeLast { .. }) => false,
            Some(Window::InLast { span } | Window::Ago { from: span, .. }) => gone(span.after(at, &utc)),
            Some(Window::Today) => gone(at + DAY),
            Some(Window::Since { when }) => at + SLACK < when.start(&utc),
            Some(Window::Before { when }) => at > when.start(&utc) + SLACK,
            Some(Window::Between { from, to }) => at + SLACK < from.start(&utc) || at > to.end(&utc) + SLACK,
        }
    }

    /// Drops what can never count again.
    pub(crate) fn trim(&self, series: &mut Series, now: Timestamp) {
        let passed = series.entries.partition_point(|entry| entry.at <= now.micros());
        match self.keep {
            Keep::Latest(many) => {
                series.entries.drain(..passed.saturating_sub(many));
            }
            Keep::Earliest(many) => series.entries.truncate(many),
            Keep::Held(span) => {
                // Before the latest failure nothing matters; of what has passed for longer than the span, one does.
                let passed = &series.entries[..passed];
                let failed = passed.iter().rposition(|entry| entry.value == Val::Bool(false)).unwrap_or(0);
                let old = |entry: &Entry| {
                    span.after(Timestamp::from_micros(entry.at), &TimeZone::UTC) + SLACK <= now
                };
                let first = passed.partition_point(old).saturating_sub(1).max(failed);
                let keeps_failure = passed.get(failed).is_some_and(|entry| entry.value == Val::Bool(false));
                let from = if keeps_failure { failed + 1 } else { failed };
                if first > from {
                    series.entries.drain(from..first);
                }
                series.entries.drain(..failed);
            }
            Keep::Total | Keep::Tally | Keep::Score(_) => series.fold(passed, &self.keep),
            Keep::Quarters => {
                let quarter = |entry: &Entry| entry.at.div_euclid(15 * model::time::MINUTE);
                let entries = &series.entries[..passed];
                let middle: Vec<bool> = (0..passed)
                    .map(|n| {
                        n > 0
                            && n + 1 < passed
                            && quarter(&entries[n - 1]) == quarter(&entries[n])
                            && quarter(&entries[n + 1]) == quarter(&entries[n])
                    })
                    .collect();
                if middle.contains(&true) {
                    let mut number = 0;
                    series.entries.retain(|_| {
                        number += 1;
                        !middle.get(number - 1).copied().unwrap_or(false)
                    });
                }
            }
            Keep::All => {}
        }
        let gone = series
            .entries
            .partition_point(|entry| self.is_outside(Timestamp::from_micros(entry.at), now))
            .min(series.entries.len());
        if gone > 0 && !matches!(self.window, Some(Window::Before { .. })) {
            series.entries.drain(..gone);
        }
        let beyond = series.entries.len().saturating_sub(crate::ENTRIES_MAX);
        series.entries.drain(..beyond);
    }
}

/// Whether a sequence that holds once holds for ever: nothing is forbidden in it and no window moves.
pub(crate) fn is_final(leaf: &Condition) -> bool {
    matches!(leaf, Condition::Sequence { then, window: None, .. } if then.iter().all(|step| !step.not))
}

/// The steps of a sequence that may come to its end, behind the mark that it has.
fn with_mark(leaf: &Condition, steps: impl Iterator<Item = Feature>) -> Vec<Feature> {
    let mark = Feature {
        id: 0,
        text: format!("complete {leaf}"),
        listeners: Vec::new(),
        property: None,
        keep: Keep::All,
        window: None,
        beyond: None,
        test: None,
        mark: None,
    };
    let own = steps.map(|step| Feature { text: format!("{} until {leaf}", step.text), ..step });
    std::iter::once(mark).chain(own).collect()
}

/// How a count within a window is kept: the latest suffice unless the window ends before the present.
fn counted(window: &Option<Window>, many: usize) -> Keep {
    match window {
        Some(Window::Before { .. } | Window::Between { .. } | Window::Ago { .. }) => Keep::All,
        Some(Window::BeforeLast { .. }) => Keep::Earliest(many),
        _ => Keep::Latest(many),
    }
}

/// How many events must be told apart for a test of their number.
fn count_needed(test: &Test) -> usize {
    let number = |literal: &Literal| match literal {
        Literal::Number(number) if *number >= 0.0 => (number.min(1e12) as usize).saturating_add(2),
        _ => 1,
    };
    match test {
        Test::Compare { value, .. } => number(value),
        Test::Between { low, high } => number(low).max(number(high)),
        Test::In { values } | Test::NotIn { values } => values.iter().map(number).max().unwrap_or(1),
        _ => 1,
    }
}
