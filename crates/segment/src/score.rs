//! Scores, and the one that every workspace begins with: `engagement_score`, how engaged a profile is, from 0 to 100,
//! true the moment after a click.
//!
//! Every event below adds its weight, which halves every 30 days. With `raw` the sum of the decayed weights,
//! `score = 100 · (1 − 2^(−raw / 4))`. So 50 is four decayed points, 80 is 9.3 (about three clicks and an open in
//! the last days; somebody who opens every week stays near 69, who clicks every two weeks near 92).
//! Opens and clicks by machines do not count.

use expr::{EventPattern, Figure, Span, Term, Unit};
use model::Timestamp;
use model::time::DAY;

use crate::Trait;

/// The name of the trait.
pub const NAME: &str = "engagement_score";
/// Weight of one event, by name.
pub const WEIGHTS: [(&str, f64); 6] = [
    ("Email Opened", 1.0),
    ("Email Link Clicked", 3.0),
    ("Page Viewed", 0.5),
    ("Product Viewed", 0.5),
    ("Product Added", 1.0),
    ("Order Completed", 3.0),
];
/// How long a weight takes to halve. Units: microseconds.
pub const HALF_LIFE: i64 = 30 * DAY;
/// Decayed points that make a score of 50.
pub const POINTS_OF_FIFTY: f64 = 4.0;

/// The trait as it ships; a workspace may define it otherwise.
pub fn definition() -> Trait {
    let term = |(name, weight): &(&str, f64)| Term {
        weight: *weight,
        event: EventPattern { name: (*name).to_owned(), filter: None },
    };
    let half_life = Span { amount: (HALF_LIFE / DAY) as u32, unit: Unit::Days };
    let terms = WEIGHTS.iter().map(term).collect();
    Trait { name: NAME.to_owned(), figure: Figure::Score { terms, half_life, fifty: Some(POINTS_OF_FIFTY) } }
}

/// What is left of `points` after `elapsed` microseconds, at the half-life of `engagement_score`.
pub fn decayed(points: f64, elapsed: i64) -> f64 {
    decayed_by(points, elapsed, HALF_LIFE)
}

/// What is left of `points` after `elapsed` microseconds.
pub fn decayed_by(points: f64, elapsed: i64, half_life: i64) -> f64 {
    points * (-(elapsed as f64) / half_life as f64).exp2()
}

/// The `engagement_score` of so many decayed points.
pub fn scaled(points: f64) -> f64 {
    scaled_by(points, POINTS_OF_FIFTY)
}

/// The score from 0 to 100 of so many decayed points, when `fifty` points make 50.
pub fn scaled_by(points: f64, fifty: f64) -> f64 {
    100.0 * (1.0 - (-points / fifty).exp2())
}

/// The instant at which a score falls to `threshold`, when it has `points` at `at`. With `fifty`, on the scale to 100.
pub fn falls_to(
    points: f64,
    at: Timestamp,
    threshold: f64,
    fifty: Option<f64>,
    half_life: i64,
) -> Option<Timestamp> {
    if threshold <= 0.0 || points <= 0.0 || (fifty.is_some() && threshold >= 100.0) {
        return None;
    }
    let target = fifty.map_or(threshold, |fifty| -fifty * (1.0 - threshold / 100.0).log2());
    let elapsed = half_life as f64 * (points / target).log2();
    (elapsed >= 0.0).then(|| at + elapsed.ceil() as i64)
}
