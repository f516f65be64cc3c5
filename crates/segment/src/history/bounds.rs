//! Where in time the events lie that a window holds at an instant.

use expr::{Span, Window};
use jiff::tz::TimeZone;
use model::Timestamp;
use model::time::DAY;

use crate::view::{enters_at, leaves_at};

/// From the first on, before the second. Units: microseconds since 1970 UTC.
pub(crate) type Bounds = (i64, i64);

/// The first instant after those for which `passed` holds; it holds for all before one instant and for none after.
pub(crate) fn first_after(earliest: i64, end: i64, passed: impl Fn(Timestamp) -> bool) -> i64 {
    let (mut low, mut high) = (earliest, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if passed(Timestamp::from_micros(middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Instants that a window holds now. The same predicates decide as in the stream, so that the edges are the same.
pub(crate) fn bounds(window: &Option<Window>, zone: &TimeZone, now: Timestamp) -> Bounds {
    let end = now.micros().saturating_add(1);
    // A span is never longer than this; calendars and zones add less than three days.
    let earliest = |span: &Span| (now - span.micros_max() - 3 * DAY).micros();
    let left = |from: i64| {
        first_after(from, end, |at| leaves_at(window, at, zone).is_some_and(|leaves| leaves <= now))
    };
    let entered = |from: i64| {
        first_after(from, end, |at| enters_at(window, at, zone).is_some_and(|enters| enters <= now))
    };
    match window {
        None => (i64::MIN, end),
        Some(Window::InLast { span }) => (left(earliest(span)), end),
        Some(Window::Today) => (left((now - 3 * DAY).micros()), end),
        Some(Window::BeforeLast { span }) => (i64::MIN, entered(earliest(span))),
        Some(Window::Ago { from, to }) => (left(earliest(from)), entered(earliest(to))),
        Some(Window::Since { when }) => (when.start(zone).micros(), end),
        Some(Window::Before { when }) => (i64::MIN, end.min(when.start(zone).micros())),
        Some(Window::Between { from, to }) => (from.start(zone).micros(), end.min(to.end(zone).micros())),
    }
}
