//! Spans, dates and the calendar of conditions: where a window ends, to the microsecond, in a profile's zone.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use model::{Timestamp, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long. Minutes to weeks are elapsed time (a day is 24 hours); months and years follow the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// From 1.
    pub amount: u32,
    /// Of what.
    pub unit: Unit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

impl Unit {
    /// All of them, shortest first.
    pub const ALL: [Unit; 7] =
        [Unit::Seconds, Unit::Minutes, Unit::Hours, Unit::Days, Unit::Weeks, Unit::Months, Unit::Years];

    /// The plural word.
    pub const fn word(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Minutes => "minutes",
            Unit::Hours => "hours",
            Unit::Days => "days",
            Unit::Weeks => "weeks",
            Unit::Months => "months",
            Unit::Years => "years",
        }
    }

    /// Reads the singular or plural word.
    pub fn from_word(word: &str) -> Option<Unit> {
        let word = word.to_ascii_lowercase();
        Self::ALL.into_iter().find(|unit| unit.word() == word || unit.word().strip_suffix('s') == Some(&word))
    }

    fn micros(self) -> Option<i64> {
        match self {
            Unit::Seconds => Some(model::time::SECOND),
            Unit::Minutes => Some(model::time::MINUTE),
            Unit::Hours => Some(model::time::HOUR),
            Unit::Days => Some(model::time::DAY),
            Unit::Weeks => Some(7 * model::time::DAY),
            Unit::Months | Unit::Years => None,
        }
    }
}

impl Span {
    /// The largest amount: 200 years of it in seconds do not fit, and no window needs more.
    pub const AMOUNT_MAX: u32 = 1_000_000;

    /// The first instant that is a whole span after `from`: where something that happened at `from` falls out of
    /// a window of this length. Never goes backwards as `from` goes forwards: a month after 30 January at noon
    /// is the beginning of 1 March, not an hour of 28 February.
    pub fn after(self, from: Timestamp, zone: &TimeZone) -> Timestamp {
        if let Some(unit) = self.unit.micros() {
            return from + unit.saturating_mul(i64::from(self.amount));
        }
        let local = zone.to_datetime(from.to_jiff());
        let Some((date, whole)) = self.shift(local.date(), 1) else { return Timestamp::MAX };
        if whole { instant(date.to_datetime(local.time()), zone) } else { instant(date.at(0, 0, 0, 0), zone) }
    }

    /// The first instant from which `to` is at most a span ahead.
    pub fn before(self, to: Timestamp, zone: &TimeZone) -> Timestamp {
        if let Some(unit) = self.unit.micros() {
            return to - unit.saturating_mul(i64::from(self.amount));
        }
        let local = zone.to_datetime(to.to_jiff());
        let Some((date, whole)) = self.shift(local.date(), -1) else { return Timestamp::MIN };
        if whole { instant(date.to_datetime(local.time()), zone) } else { instant(date.at(0, 0, 0, 0), zone) }
    }

    /// Calendar shift by this span; false beside the date when the day does not exist there and the first of the
    /// next month stands for it.
    fn shift(self, date: Date, sign: i64) -> Option<(Date, bool)> {
        let months = i64::from(self.amount) * if self.unit == Unit::Years { 12 } else { 1 } * sign;
        let first = date.first_of_month().checked_add(jiff::Span::new().try_months(months).ok()?).ok()?;
        if date.day() <= first.days_in_month() {
            return Some((Date::new(first.year(), first.month(), date.day()).ok()?, true));
        }
        Some((first.checked_add(1.month()).ok()?, false))
    }

    /// Microseconds when it is elapsed time, not calendar time.
    pub fn micros(self) -> Option<i64> {
        self.unit.micros().map(|unit| unit.saturating_mul(i64::from(self.amount)))
    }

    /// Microseconds it can last at most.
    pub fn micros_max(self) -> i64 {
        let unit = match self.unit {
            Unit::Months => 31 * model::time::DAY,
            Unit::Years => 366 * model::time::DAY,
            _ => self.unit.micros().unwrap_or(0),
        };
        unit.saturating_mul(i64::from(self.amount))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.unit.word();
        let word = if self.amount == 1 { &word[..word.len() - 1] } else { word };
        write!(f, "{} {word}", self.amount)
    }
}

/// A day of the profile's calendar, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// A whole day in the profile's zone.
    Date(Date),
    /// An instant.
    At(Timestamp),
}

impl When {
    /// Reads `2027-01-01` or `2027-01-01T10:00:00Z`.
    pub fn parse(text: &str) -> Option<When> {
        if text.len() == 10 {
            return text.parse().ok().map(When::Date);
        }
        let instant = text.parse::<Instant>().ok()?;
        Some(When::At(Timestamp::from_micros(instant.as_microsecond())))
    }

    /// Its first instant.
    pub fn start(self, zone: &TimeZone) -> Timestamp {
        match self {
            When::Date(date) => instant(date.at(0, 0, 0, 0), zone),
            When::At(at) => at,
        }
    }

    /// The first instant after it.
    pub fn end(self, zone: &TimeZone) -> Timestamp {
        match self {
            When::Date(date) => {
                date.checked_add(1.day()).map_or(Timestamp::MAX, |next| instant(next.at(0, 0, 0, 0), zone))
            }
            When::At(at) => at + 1,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Date(date) => write!(f, "{date}"),
            When::At(at) => write!(f, "{at}"),
        }
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<When, D::Error> {
        let text = String::deserialize(deserializer)?;
        When::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not a date or an instant")))
    }
}

fn instant(local: DateTime, zone: &TimeZone) -> Timestamp {
    match zone.to_ambiguous_zoned_datetime(local).compatible() {
        Ok(zoned) => Timestamp::from_micros(zoned.timestamp().as_microsecond()),
        Err(_) if local.year() > 0 => Timestamp::MAX,
        Err(_) => Timestamp::MIN,
    }
}

/// The instant a value names: RFC 3339 text, a local date and time, or a date (its midnight in the zone).
pub fn instant_of(value: &Value, zone: &TimeZone) -> Option<Timestamp> {
    let text = value.as_str()?;
    if text.len() < 10 || text.len() > 64 {
        return None;
    }
    if let Ok(at) = text.parse::<Instant>() {
        return Some(Timestamp::from_micros(at.as_microsecond()));
    }
    text.parse::<DateTime>().ok().map(|local| instant(local, zone))
}

/// The date a value names; the date as written when it has no offset.
pub(crate) fn date_of(value: &Value, zone: &TimeZone) -> Option<Date> {
    let text = value.as_str()?;
    if text.len() < 10 || text.len() > 64 {
        return None;
    }
    if let Ok(at) = text.parse::<Instant>() {
        return Some(zone.to_datetime(at).date());
    }
    text.parse::<DateTime>().ok().map(|local| local.date())
}

/// The day an instant falls on.
pub fn day_of(at: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(at.to_jiff()).date()
}

/// The first instant of the day after.
pub fn next_midnight(at: Timestamp, zone: &TimeZone) -> Timestamp {
    When::Date(day_of(at, zone)).end(zone)
}

/// The number of the calendar period an instant falls into; equal numbers are the same period.
pub fn bucket(period: crate::Period, at: Timestamp, zone: &TimeZone) -> i64 {
    let local = zone.to_datetime(at.to_jiff());
    let date = local.date();
    let day = date.since(Date::constant(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()));
    match period {
        crate::Period::Hours => day * 24 + i64::from(local.hour()),
        crate::Period::Days => day,
        crate::Period::Weeks => (day + 3).div_euclid(7),
        crate::Period::Months => i64::from(date.year()) * 12 + i64::from(date.month()),
    }
}

/// This year's day of an anniversary: 29 February falls on 28 February in a common year.
pub(crate) fn anniversary(date: Date, year: i16) -> Option<Date> {
    let first = Date::new(year, date.month(), 1).ok()?;
    Date::new(year, date.month(), date.day().min(first.days_in_month())).ok()
}

/// A day moved by a span, whole days at least.
pub(crate) fn shift_day(date: Date, span: Span, sign: i64) -> Option<Date> {
    match span.unit {
        Unit::Months | Unit::Years => span.shift(date, sign).map(|(day, _)| day),
        _ => {
            let days = span.micros()? / model::time::DAY;
            date.checked_add(jiff::Span::new().try_days(days * sign).ok()?).ok()
        }
    }
}
