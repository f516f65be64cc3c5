//! Evaluation of single comparisons against values: what needs no history of events.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::tz::TimeZone;
use model::{Timestamp, Value};

use crate::When;
use crate::ast::{Filter, Literal, Month, Path, Quantifier, Test, Weekday};
use crate::calendar::{anniversary, date_of, day_of, instant_of, next_midnight, shift_day};

/// What a condition reads of a profile besides its events.
pub trait Attributes {
    /// The attribute at a dotted path; `None` when it is absent.
    fn get(&self, path: &str) -> Option<Cow<'_, Value>>;

    /// The profile's time zone, or its workspace's.
    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }

    /// What stays the same for this profile as long as it exists: what a random draw goes by.
    fn seed(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// What the profile said last of a purpose or topic, and when and how.
    fn consent(&self, about: &str) -> Option<Consented> {
        (self.consents(about) || self.subscribed(about)).then_some(Consented {
            given: true,
            at: None,
            by: None,
        })
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

/// What a profile said of a purpose or topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consented {
    /// Yes or no.
    pub given: bool,
    /// When, as far as known.
    pub at: Option<Timestamp>,
    /// How: a form, a preference page, an import; as far as known.
    pub by: Option<String>,
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

/// The value at a path of nested objects; `it` is an element itself that is no object.
pub fn lookup<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    if !value.is_object() && path.names() == ["it"] {
        return Some(value);
    }
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
        Test::BeforeLast { span } => instant_of(value, zone)
            .map_or(Leaf::still(false), |at| between(span.after(at, zone), Timestamp::MAX, now)),
        // In (now, now + span] from `before` on; further ahead until then.
        Test::AfterNext { span } => instant_of(value, zone)
            .map_or(Leaf::still(false), |at| between(Timestamp::MIN, span.before(at, zone), now)),
        Test::BetweenDates { from, to } => {
            Leaf::still(instant_of(value, zone).is_some_and(|at| at >= from.start(zone) && at < to.end(zone)))
        }
        Test::Length { op, number } => {
            let length = match value {
                Value::Array(elements) => Some(elements.len()),
                Value::String(text) => Some(text.chars().count()),
                _ => None,
            };
            Leaf::still(length.is_some_and(|length| op.accepts(length.cmp(&(*number as usize)))))
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
        Test::AnniversaryInNext { span } | Test::AnniversaryInLast { span } => {
            date_of(value, zone).map_or(Leaf::still(false), |date| {
                let sign = if matches!(test, Test::AnniversaryInNext { .. }) { 1 } else { -1 };
                let today = day_of(now, zone);
                let other = shift_day(today, *span, sign).unwrap_or(today);
                let (first, last) = if sign > 0 { (today, other) } else { (other, today) };
                // Of a span longer than a year every day is an anniversary.
                let holds = (first.year()..=last.year())
                    .take(3)
                    .filter_map(|year| anniversary(date, year))
                    .any(|day| first <= day && day <= last);
                Leaf { holds, changes_at: Some(next_midnight(now, zone)) }
            })
        }
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
            Filter::Elements { quantifier, path, filter } => {
                elements_pass(*quantifier, lookup(properties, path), filter)
            }
        }
    }
}

/// Whether the elements of a list pass: any; all, of at least one; none, of a list that is there.
pub fn elements_pass(quantifier: Quantifier, list: Option<&Value>, filter: &Filter) -> bool {
    let Some(list) = list.and_then(Value::as_array) else { return false };
    let mut passes = list.iter().map(|each| filter.matches(each));
    match quantifier {
        Quantifier::Any => passes.any(|passes| passes),
        Quantifier::All => !list.is_empty() && passes.all(|passes| passes),
        Quantifier::None => !passes.any(|passes| passes),
    }
}

/// Where a profile falls in a random draw, in per cent from 0 up to but not 100. The same for one seed and name.
///
/// Source: FNV-1a over both texts, mixed by the finaliser of SplitMix64.
pub fn draw(name: &str, seed: &str) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes().chain([0]).chain(seed.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) % 1_000_000) as f64 / 10_000.0
}
