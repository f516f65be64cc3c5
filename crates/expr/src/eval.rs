//! Evaluation of single comparisons against values: what needs no history of events.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::tz::TimeZone;
use model::{Timestamp, Value};

use crate::When;
use crate::ast::{Filter, Literal, Month, Path, Test, Weekday};
use crate::calendar::{anniversary, date_of, day_of, instant_of, next_midnight, shift_day};

/// What a condition reads of a profile besides its events.
pub trait Attributes {
    /// The attribute at a dotted path; `None` when it is absent.
    fn get(&self, path: &str) -> Option<Cow<'_, Value>>;

    /// The profile's time zone, or its workspace's.
    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    /// Whether the profile consents to a purpose.
    fn consents(&self, purpose: &str) -> bool {
        let _ = purpose;
        false
    }

    /// Whether the profile is subscribed to a topic.
    fn subscribed(&self, topic: &str) -> bool {
        let _ = topic;
        false
    }
}

/// A profile of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAttributes;

impl Attributes for NoAttributes {
    fn get(&self, _path: &str) -> Option<Cow<'_, Value>> {
        None
    }
}

/// A plain object of attributes; UTC, no consent.
impl Attributes for model::Map {
    fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        if let Some(value) = model::Map::get(self, path) {
            return Some(Cow::Borrowed(value));
        }
        let (first, rest) = path.split_once('.')?;
        rest.split('.')
            .try_fold(model::Map::get(self, first)?, |value, name| value.get(name))
            .map(Cow::Borrowed)
    }
}

/// The outcome of a leaf at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whether it holds.
    pub holds: bool,
    /// The next instant at which it can change without a new value; never later than the true one.
    pub changes_at: Option<Timestamp>,
}

impl Leaf {
    fn still(holds: bool) -> Leaf {
        Leaf { holds, changes_at: None }
    }
}

/// Tests an attribute.
pub fn evaluate_attribute(path: &Path, test: &Test, attributes: &dyn Attributes, now: Timestamp) -> Leaf {
    let value = attributes.get(&path.dotted());
    test_value(test, value.as_deref(), now, &attributes.zone())
}

/// The value at a path of nested objects.
pub fn lookup<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    path.names().iter().try_fold(value, |value, name| value.get(name))
}

/// Tests a value; absent and null are missing. A test that does not fit the value's type is false.
pub fn test_value(test: &Test, value: Option<&Value>, now: Timestamp, zone: &TimeZone) -> Leaf {
    let value = value.filter(|value| !value.is_null());
    let Some(value) = value else { return Leaf::still(matches!(test, Test::Missing)) };
    let text = |check: &dyn Fn(&str) -> bool| Leaf::still(value.as_str().is_some_and(check));
    let date =
        |check: &dyn Fn(jiff::civil::Date) -> bool| Leaf::still(date_of(value, zone).is_some_and(check));
    match test {
        Test::Missing => Leaf::still(false),
        Test::Present => Leaf::still(true),
        Test::Compare { op, value: literal } => {
            Leaf::still(compare(value, literal).is_some_and(|ordering| op.accepts(ordering)))
        }
        Test::Between { low, high } => {
            let above = compare(value, low).is_some_and(Ordering::is_ge);
            Leaf::still(above && compare(value, high).is_some_and(Ordering::is_le))
        }
        Test::In { values } => Leaf::still(values.iter().any(|each| equal(value, each))),
        Test::NotIn { values } => Leaf::still(!values.iter().any(|each| equal(value, each))),
        Test::StartsWith { text: start } => text(&|text| text.starts_with(start.as_str())),
        Test::EndsWith { text: end } => text(&|text| text.ends_with(end.as_str())),
        Test::Contains { value: part } => Leaf::still(contains(value, part)),
        Test::ContainsAny { values } => Leaf::still(values.iter().any(|part| contains(value, part))),
        Test::ContainsAll { values } => Leaf::still(values.iter().all(|part| contains(value, part))),
        Test::Matches { pattern } => text(&|text| pattern.is_found_in(text)),
        Test::InLast { span } => {
            instant_of(value, zone).map_or(Leaf::still(false), |at| between(at, span.after(at, zone), now))
        }
        Test::InNext { span } => {
            instant_of(value, zone).map_or(Leaf::still(false), |at| between(span.before(at, zone), at, now))
        }
        Test::Before { when } => Leaf::still(instant_of(value, zone).is_some_and(|at| at < when.start(zone))),
        Test::After { when } => Leaf::still(instant_of(value, zone).is_some_and(|at| at >= when.end(zone))),
        Test::On { when } => Leaf::still(
            instant_of(value, zone).is_some_and(|at| at >= when.start(zone) && at < when.end(zone)),
        ),
        Test::Today => date_of(value, zone).map_or(Leaf::still(false), |date| {
            let day = When::Date(date);
            between(day.start(zone), day.end(zone), now)
        }),
        Test::AnniversaryToday => date_of(value, zone).map_or(Leaf::still(false), |date| {
            let today = day_of(now, zone);
            let holds = anniversary(date, today.year()) == Some(today);
            Leaf { holds, changes_at: Some(next_midnight(now, zone)) }
        }),
        Test::AnniversaryInNext { span } => date_of(value, zone).map_or(Leaf::still(false), |date| {
            let today = day_of(now, zone);
            let last = shift_day(today, *span, 1).unwrap_or(today);
            let holds = (today.year()..=last.year())
                .take(3)
                .filter_map(|year| anniversary(date, year))
                .any(|day| today <= day && day <= last);
            Leaf { holds, changes_at: Some(next_midnight(now, zone)) }
        }),
        Test::InMonth { month } => {
            date(&|date| Month::ALL.get(date.month() as usize - 1).is_some_and(|there| there == month))
        }
        Test::OnWeekday { weekday } => date(&|date| {
            let there = date.weekday().to_monday_zero_offset() as usize;
            Weekday::ALL.get(there).is_some_and(|there| there == weekday)
        }),
    }
}

/// Holds in [from, until); changes at both.
fn between(from: Timestamp, until: Timestamp, now: Timestamp) -> Leaf {
    let changes_at = [from, until].into_iter().find(|at| *at > now && *at != Timestamp::MAX);
    Leaf { holds: from <= now && now < until, changes_at }
}

fn compare(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(left), Literal::Number(right)) => left.as_f64()?.partial_cmp(right),
        (Value::String(left), Literal::Text(right)) => Some(left.as_str().cmp(right)),
        (Value::Bool(left), Literal::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn equal(value: &Value, literal: &Literal) -> bool {
    compare(value, literal) == Some(Ordering::Equal)
}

fn contains(value: &Value, part: &Literal) -> bool {
    match (value, part) {
        (Value::Array(elements), part) => elements.iter().any(|element| equal(element, part)),
        (Value::String(text), Literal::Text(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

impl Filter {
    /// Whether an object of properties, or a row, passes. Dates without a zone are read in UTC.
    pub fn matches(&self, properties: &Value) -> bool {
        match self {
            Filter::And { all } => all.iter().all(|part| part.matches(properties)),
            Filter::Or { any } => any.iter().any(|part| part.matches(properties)),
            Filter::Not { filter } => !filter.matches(properties),
            Filter::Property { path, test } => {
                test_value(test, lookup(properties, path), Timestamp::default(), &TimeZone::UTC).holds
            }
            Filter::AnyOf { path, filter } => {
                elements(properties, path).is_some_and(|list| list.iter().any(|each| filter.matches(each)))
            }
            Filter::AllOf { path, filter } => elements(properties, path)
                .is_some_and(|list| !list.is_empty() && list.iter().all(|each| filter.matches(each))),
        }
    }
}

fn elements<'a>(properties: &'a Value, path: &Path) -> Option<&'a Vec<Value>> {
    lookup(properties, path)?.as_array()
}
