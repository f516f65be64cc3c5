//! Lifecycles: stopped, resumed, regularly, and values held for a time.

use expr::{Span, Window};
use jiff::tz::TimeZone;
use model::Timestamp;

use crate::state::{Entry, Series, Val};
use crate::view::{counts, earlier, enters_at, leaves_at};

/// Whether it holds, and when that can change.
pub(crate) type Answer = (bool, Option<Timestamp>);

fn at(entry: &Entry) -> Timestamp {
    Timestamp::from_micros(entry.at)
}

/// What has happened, and the instant of the first event that has not.
fn passed(series: &Series, now: Timestamp) -> (&[Entry], Option<Timestamp>) {
    let place = series.entries.partition_point(|entry| entry.at <= now.micros());
    (&series.entries[..place], series.entries.get(place).map(at))
}

/// At least `times` in `before`, then nothing for `quiet`. The latest `times` events decide.
pub(crate) fn stopped(
    series: &Series,
    quiet: Span,
    times: u32,
    before: Span,
    zone: &TimeZone,
    now: Timestamp,
) -> Answer {
    let (events, ahead) = passed(series, now);
    let Some(last) = events.last() else { return (false, ahead) };
    let silent = quiet.after(at(last), zone);
    if silent > now {
        return (false, earlier(ahead, Some(silent).filter(|at| *at != Timestamp::MAX)));
    }
    let Some(earliest) = events.len().checked_sub(times as usize) else { return (false, ahead) };
    let end = before.after(quiet.after(at(&events[earliest]), zone), zone);
    (now < end, earlier(ahead, Some(end).filter(|end| *end > now && *end != Timestamp::MAX)))
}

/// An event in the window that came after a pause. `first` keeps the earliest event of all.
pub(crate) fn resumed(
    series: &Series,
    first: &Series,
    window: &Option<Window>,
    pause: Span,
    zone: &TimeZone,
    now: Timestamp,
) -> Answer {
    let (events, ahead) = passed(series, now);
    let mut holds = false;
    let mut enters = None;
    let mut leaves: Option<Timestamp> = None;
    let mut for_ever = false;
    for (place, event) in events.iter().enumerate() {
        let earlier_ones = events[..place].partition_point(|each| each.at < event.at);
        let former = match earlier_ones.checked_sub(1) {
            Some(place) => Some(&events[place]),
            None => first.entries.first().filter(|each| each.at < event.at),
        };
        if former.is_none_or(|former| pause.after(at(former), zone) > at(event)) {
            continue;
        }
        let (inside, _) = counts(window, at(event), zone, now);
        if inside {
            holds = true;
            match leaves_at(window, at(event), zone) {
                Some(end) => leaves = leaves.max(Some(end)),
                None => for_ever = true,
            }
        } else {
            enters = earlier(enters, enters_at(window, at(event), zone).filter(|at| *at > now));
        }
    }
    let end = leaves.filter(|at| holds && !for_ever && *at > now);
    (holds, earlier(ahead, earlier(enters, end)))
}

/// At least `times` in each of at least `periods` of the last periods, counted back from now.
pub(crate) fn regularly(
    series: &Series,
    times: u32,
    periods: u32,
    last: Span,
    zone: &TimeZone,
    now: Timestamp,
) -> (bool, Option<Timestamp>, u32) {
    let (events, ahead) = passed(series, now);
    let mut changes_at = ahead;
    let mut newer = events.len();
    let mut many = 0;
    for number in 1..=last.amount {
        let span = Span { amount: number, unit: last.unit };
        let older = events.partition_point(|entry| span.after(at(entry), zone) <= now);
        many += u32::from(newer.saturating_sub(older) >= times as usize);
        newer = older;
        let next = events.get(older).map(|entry| span.after(at(entry), zone));
        changes_at = earlier(changes_at, next.filter(|at| *at != Timestamp::MAX));
    }
    (many >= periods, changes_at, many)
}

/// Since when the value has passed its test without a break. At one instant a failing value outweighs a passing one.
pub(crate) fn held_since(events: &[Entry]) -> Option<Timestamp> {
    let failed = events.iter().rev().find(|entry| entry.value == Val::Bool(false)).map(|entry| entry.at);
    events.iter().find(|entry| failed.is_none_or(|failed| entry.at > failed)).map(at)
}

/// The last value passes and has done so for the span.
pub(crate) fn held(series: &Series, span: Span, zone: &TimeZone, now: Timestamp) -> Answer {
    let (events, ahead) = passed(series, now);
    let Some(since) = held_since(events) else { return (false, ahead) };
    let turn = span.after(since, zone);
    (turn <= now, earlier(ahead, Some(turn).filter(|at| *at > now && *at != Timestamp::MAX)))
}
