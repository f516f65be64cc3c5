//! When a schedule in cron's grammar is due, in a time zone, over its changes of the clock.

use std::cmp::Ordering;
use std::str::FromStr;

use croner::Cron;
use croner::errors::CronError;
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, ZonedDateTime as Zoned};
use model::Timestamp;

use crate::Error;

/// A schedule: minute, hour, day of the month, month, day of the week, in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 100;

impl Schedule {
    /// Reads a pattern and the name of a time zone.
    ///
    /// # Errors
    /// `Invalid` says what of the two is not understood.
    pub fn parse(pattern: &str, zone: &str) -> Result<Schedule, Error> {
        let known = TimeZone::get(zone).map_err(|_| {
            Error::invalid("unknown_timezone", "/timezone", format!("The time zone '{zone}' is unknown."))
        })?;
        let refuse = |why: &str| {
            let message = format!(
                "The schedule '{pattern}' is not understood: {why}. Write minute, hour, day, month and weekday, as \
                 '0 3 * * *' for three o'clock every night."
            );
            Error::invalid("invalid_schedule", "/schedule", message)
        };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(Error::invalid("invalid_schedule", "/schedule", "The schedule is too long."));
        }
        if !pattern.starts_with('@') && pattern.split_whitespace().count() != 5 {
            return Err(refuse("it has not five parts"));
        }
        let cron = Cron::from_str(pattern).map_err(|error| refuse(&error.to_string()))?;
        let schedule = Schedule { cron, zone: known };
        if schedule.after(Timestamp::from_secs(0)).is_none() {
            return Err(refuse("no day is ever like that"));
        }
        Ok(schedule)
    }

    /// The first instant of the schedule after another one.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = Wall(at.to_jiff().to_zoned_datetime(self.zone.clone()));
        let next = self.cron.find_next_occurrence(&at, false).ok()?;
        Some(Timestamp::from_micros(next.0.timestamp().as_microsecond()))
    }
}

/// An instant in a time zone.
#[derive(Clone)]
struct Wall(Zoned);

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.0.datetime();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(at.year()), at.month() as u32, at.day() as u32),
            CivilTime::from_parts_unchecked(at.hour() as u32, at.minute() as u32, at.second() as u32),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(self.0.weekday().to_sunday_zero_offset() as u32)
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Wall>, CronError> {
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let at = jiff::civil::DateTime::new(
            year,
            civil.month() as i8,
            civil.day() as i8,
            civil.hour() as i8,
            civil.minute() as i8,
            civil.second() as i8,
            0,
        )
        .map_err(|_| CronError::InvalidDate)?;
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(at);
        let zoned = |found: Result<Zoned, jiff::Error>| found.map(Wall).map_err(|_| CronError::InvalidTime);
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(zoned(ambiguous.unambiguous())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(zoned(ambiguous.clone().earlier())?, zoned(ambiguous.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Wall> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Wall)
    }

    fn cmp_instant(&self, other: &Wall) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, zone: &str, after: &str, expected: &str) {
        let schedule = Schedule::parse(pattern, zone).unwrap();
        let next = schedule.after(Timestamp::parse(after).unwrap()).unwrap();
        assert_eq!(next, Timestamp::parse(expected).unwrap(), "{pattern} in {zone} after {after}");
    }

    #[test]
    fn a_schedule_follows_its_zone_over_changes_of_the_clock() {
        check("0 3 * * *", "UTC", "2026-01-05T03:00:00Z", "2026-01-06T03:00:00Z");
        check("0 3 * * *", "Asia/Dhaka", "2026-01-05T12:00:00Z", "2026-01-05T21:00:00Z");
        check("0 9 * * 1", "Europe/Berlin", "2026-03-26T00:00:00Z", "2026-03-30T07:00:00Z");
        check("*/15 * * * *", "UTC", "2026-01-05T12:01:00Z", "2026-01-05T12:15:00Z");
        // The hour that does not exist in spring does not swallow the run of the day.
        check("30 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        for (pattern, zone) in [
            ("", "UTC"),
            ("* * *", "UTC"),
            ("61 * * * *", "UTC"),
            ("* * * * * *", "UTC"),
            ("0 0 30 2 *", "UTC"),
            ("0 3 * * *", "Moon/Base"),
            (&"1,".repeat(200), "UTC"),
        ] {
            let error = Schedule::parse(pattern, zone).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{pattern} in {zone}: {error}");
        }
    }
}
