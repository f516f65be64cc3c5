//! Instants as whole microseconds since 1970 UTC; calendars and zones come from `jiff` at the edges.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant. Units: microseconds since 1970-01-01T00:00:00Z. JSON: RFC 3339 text; binary formats: the integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in 24 hours.
pub const DAY: i64 = 24 * HOUR;

impl Timestamp {
    /// The earliest instant.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// Later than every instant: "never".
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From microseconds since 1970 UTC.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// From seconds since 1970 UTC.
    pub const fn from_secs(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(SECOND))
    }

    /// Microseconds since 1970 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339 (`2026-11-24T10:00:00.123Z`, offsets allowed) or a bare date (midnight UTC).
    pub fn parse(text: &str) -> Option<Timestamp> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Some(Timestamp(instant.as_microsecond()));
        }
        let date = text.parse::<jiff::civil::Date>().ok()?;
        let instant = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp(instant.as_microsecond()))
    }

    /// The same instant for calendar arithmetic; clamped to the range `jiff` knows.
    pub fn to_jiff(self) -> jiff::Timestamp {
        let clamped =
            self.0.clamp(jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond());
        jiff::Timestamp::from_microsecond(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// Adds microseconds, saturating.
impl Add<i64> for Timestamp {
    type Output = Timestamp;
    fn add(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }
}

/// Subtracts microseconds, saturating.
impl Sub<i64> for Timestamp {
    type Output = Timestamp;
    fn sub(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_sub(micros))
    }
}

/// Microseconds between two instants, saturating.
impl Sub for Timestamp {
    type Output = i64;
    fn sub(self, other: Timestamp) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Timestamp::parse(&text)
                .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not an RFC 3339 instant")))
        } else {
            i64::deserialize(deserializer).map(Timestamp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_text_and_back() {
        for text in ["2026-11-24T10:00:00.123456Z", "1969-12-31T23:59:59Z"] {
            let instant = Timestamp::parse(text).unwrap();
            assert_eq!(instant.to_string(), text);
            let json = serde_json::to_string(&instant).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), instant);
        }
        assert_eq!(Timestamp::parse("2026-01-02").unwrap().to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(Timestamp::parse("tomorrow"), None);
    }
}
