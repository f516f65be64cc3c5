//! When people shop: a year with its seasons, a week with its days, a day with its hours.

use model::Timestamp;
use model::time::{DAY, HOUR, MINUTE};

use super::random::Random;

/// How busy each month is, January first. The year ends in sales and presents.
const MONTHS: [f64; 12] = [0.95, 0.85, 0.90, 0.95, 1.00, 0.95, 0.80, 0.85, 1.00, 1.05, 1.45, 1.50];
/// How busy each day of the week is, Monday first.
const DAYS: [f64; 7] = [1.05, 0.95, 0.95, 1.00, 0.95, 0.85, 1.20];
/// How busy each hour is where the shopper lives: quiet nights, a rise at noon, most after supper.
const HOURS: [f64; 24] = [
    0.25, 0.12, 0.06, 0.04, 0.04, 0.10, 0.30, 0.55, 0.75, 0.85, 0.90, 1.00, 1.25, 1.15, 0.95, 0.90, 0.95,
    1.10, 1.30, 1.55, 1.75, 1.65, 1.15, 0.60,
];

fn civil(at: Timestamp) -> Option<jiff::civil::Date> {
    let instant = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_datetime(instant).date())
}

/// How busy the day of `at` is: 1 on average.
pub fn day_factor(at: Timestamp) -> f64 {
    let Some(date) = civil(at) else { return 1.0 };
    let month = MONTHS[usize::try_from(date.month() - 1).unwrap_or(0) % 12];
    let day = DAYS[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0) % 7];
    month * day
}

/// The month and the day of the month.
pub fn month_and_day(at: Timestamp) -> (i8, i8) {
    civil(at).map_or((1, 1), |date| (date.month(), date.day()))
}

/// An instant on the day of `at` at an hour at which people shop, `offset_h` hours ahead of UTC.
pub fn hour_of_day(random: &mut Random, at: Timestamp, offset_h: f64) -> Timestamp {
    let total: f64 = HOURS.iter().sum();
    let mut rest = random.unit() * total;
    let hour = HOURS
        .iter()
        .position(|weight| {
            rest -= weight;
            rest < 0.0
        })
        .unwrap_or(20) as i64;
    let midnight = at.micros().div_euclid(DAY) * DAY;
    let minutes = (random.unit() * 60.0 * MINUTE as f64) as i64;
    Timestamp::from_micros(midnight + hour * HOUR - (offset_h * HOUR as f64) as i64 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn december_is_busier_than_july_and_evenings_than_nights() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let month = |month: u32| -> f64 {
            (1..=28).map(|day| day_factor(at(&format!("2026-{month:02}-{day:02}T12:00:00Z")))).sum()
        };
        assert!(month(12) > 1.5 * month(7));
        let mut random = Random::new(7, 1);
        let hours: Vec<i64> = (0..2_000)
            .map(|_| {
                hour_of_day(&mut random, at("2026-06-10T00:00:00Z"), 0.0).micros().rem_euclid(DAY) / HOUR
            })
            .collect();
        let between = |from, to| hours.iter().filter(|hour| (from..to).contains(*hour)).count();
        assert!(between(18, 22) > 8 * between(1, 5));
    }
}
