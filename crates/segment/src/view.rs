//! The events of a feature as a window sees them at an instant: which are inside, and when that changes.

use expr::{Window, next_midnight};
use jiff::tz::TimeZone;
use model::Timestamp;

use crate::state::{Entry, Series};

/// The events of a series as a window sees them now. Events lie in order of time, enter and leave in that order.
pub(crate) struct View<'a, 'w> {
    pub series: &'a Series,
    pub inside: &'a [Entry],
    /// Events that have not entered yet.
    ahead: &'a [Entry],
    window: &'w Option<Window>,
    zone: &'w TimeZone,
    now: Timestamp,
}

impl<'a, 'w> View<'a, 'w> {
    pub fn of(
        series: &'a Series,
        window: &'w Option<Window>,
        zone: &'w TimeZone,
        now: Timestamp,
    ) -> View<'a, 'w> {
        let entries = &series.entries[..];
        let passed = entries.partition_point(|entry| entry.at <= now.micros());
        let before = |edge: Timestamp| entries.partition_point(|entry| entry.at < edge.micros());
        let left = |entry: &Entry| leaves_at(window, at(entry), zone).is_some_and(|at| at <= now);
        let entered = |entry: &Entry| enters_at(window, at(entry), zone).is_some_and(|at| at <= now);
        let (from, to, next) = match window {
            None => (0, passed, passed),
            Some(Window::InLast { .. } | Window::Today) => {
                (entries[..passed].partition_point(left), passed, passed)
            }
            Some(Window::BeforeLast { .. } | Window::Ago { .. }) => {
                let to = entries[..passed].partition_point(entered);
                (entries[..passed].partition_point(left), to, to)
            }
            Some(Window::Since { when }) => (before(when.start(zone)), passed, passed),
            Some(Window::Before { when }) => (0, before(when.start(zone)).min(passed), passed),
            Some(Window::Between { from, to }) => {
                (before(from.start(zone)), before(to.end(zone)).min(passed), passed)
            }
        };
        let inside = if from < to { &entries[from..to] } else { &[] };
        View { series, inside, ahead: &entries[next..], window, zone, now }
    }

    /// When an event enters that lies ahead, or when so many more than `skip` events have left.
    pub fn changes_at(&self, skip: usize) -> Option<Timestamp> {
        earlier(self.enters_at(), self.leaves_at(skip))
    }

    /// When the next event enters.
    pub fn enters_at(&self) -> Option<Timestamp> {
        let next = at(self.ahead.first()?);
        enters_at(self.window, next, self.zone)
            .map(|at| at.max(next))
            .or(Some(next))
            .filter(|at| *at > self.now)
    }

    /// When the event at this place leaves.
    pub fn leaves_at(&self, place: usize) -> Option<Timestamp> {
        let entry = self.inside.get(place)?;
        leaves_at(self.window, at(entry), self.zone).filter(|at| *at > self.now)
    }

    /// The first or last event, as a slice of one.
    pub fn occasion(&self, which: expr::Which) -> Option<&'a [Entry]> {
        match which {
            expr::Which::First => self.inside.get(..1),
            expr::Which::Last => self.inside.len().checked_sub(1).and_then(|last| self.inside.get(last..)),
        }
    }
}

fn at(entry: &Entry) -> Timestamp {
    Timestamp::from_micros(entry.at)
}

pub(crate) fn earlier(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    left.into_iter().chain(right).min()
}

/// When something that happened at an instant begins to count; `None` when it never does.
pub(crate) fn enters_at(window: &Option<Window>, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let within = match window {
        None | Some(Window::InLast { .. } | Window::Today) => true,
        Some(Window::BeforeLast { span } | Window::Ago { to: span, .. }) => {
            return Some(span.after(at, zone)).filter(|at| *at != Timestamp::MAX);
        }
        Some(Window::Since { when }) => at >= when.start(zone),
        Some(Window::Before { when }) => at < when.start(zone),
        Some(Window::Between { from, to }) => at >= from.start(zone) && at < to.end(zone),
    };
    within.then_some(at)
}

/// When something that happened at an instant no longer counts.
pub(crate) fn leaves_at(window: &Option<Window>, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    match window {
        Some(Window::InLast { span } | Window::Ago { from: span, .. }) => {
            Some(span.after(at, zone)).filter(|end| *end != Timestamp::MAX)
        }
        Some(Window::Today) => Some(next_midnight(at, zone)),
        _ => None,
    }
}

/// Whether something that happened at an instant counts now, and when that changes.
pub(crate) fn counts(
    window: &Option<Window>,
    at: Timestamp,
    zone: &TimeZone,
    now: Timestamp,
) -> (bool, Option<Timestamp>) {
    let Some(enters) = enters_at(window, at, zone) else { return (false, None) };
    let leaves = leaves_at(window, at, zone);
    let holds = enters <= now && leaves.is_none_or(|leaves| now < leaves);
    (holds, [Some(enters), leaves].into_iter().flatten().filter(|at| *at > now).min())
}
