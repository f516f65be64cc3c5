//! `engagement_score`: how engaged a profile is, from 0 to 100, true the moment after a click.
//!
//! Every event below adds its weight, which halves every 30 days. With `raw` the sum of the decayed weights,
//! `score = 100 · (1 − 2^(−raw / 4))`. So 50 is four decayed points, 80 is 9.3 (about three clicks and an open in
//! the last days; somebody who opens every week stays near 69, who clicks every two weeks near 92).
//! Opens and clicks by machines do not count.

use model::Timestamp;
use model::time::DAY;

/// The name of the computed trait.
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

/// What is left of `points` after `elapsed` microseconds.
pub fn decayed(points: f64, elapsed: i64) -> f64 {
    points * (-(elapsed as f64) / HALF_LIFE as f64).exp2()
}

/// The score of so many decayed points.
pub fn scaled(points: f64) -> f64 {
    100.0 * (1.0 - (-points / POINTS_OF_FIFTY).exp2())
}

/// The instant at which a score falls to `threshold`, when it has `points` at `at`.
pub fn falls_to(points: f64, at: Timestamp, threshold: f64) -> Option<Timestamp> {
    if threshold <= 0.0 || threshold >= 100.0 || points <= 0.0 {
        return None;
    }
    let target = -POINTS_OF_FIFTY * (1.0 - threshold / 100.0).log2();
    let elapsed = HALF_LIFE as f64 * (points / target).log2();
    (elapsed >= 0.0).then(|| at + elapsed.ceil() as i64)
}
