//! Sequences: whether some chain of events follows a pattern of steps, and when that can change.
//!
//! A chain begins with an event inside the window. Each later step looks from the step before: an event strictly
//! later, by `within` less than that long after. `not … within` closes when that time is over without such an
//! event, and the next step counts from there; `not` alone forbids events up to the next step, or up to now.

use std::collections::BTreeMap;

use expr::{Span, Then, Window};
use jiff::tz::TimeZone;
use model::Timestamp;

use crate::state::{Series, Val};
use crate::view::{View, earlier, leaves_at};

/// Whether a chain is complete, and when that can change.
pub(crate) struct Chain {
    pub holds: bool,
    pub changes_at: Option<Timestamp>,
}

/// Where a chain stands: spans count from `base`, the next event is at `from` or later, it began at `origin`.
#[derive(Clone, Copy)]
struct Reached {
    base: i64,
    from: i64,
    origin: i64,
}

/// Instants of each step's events, in order.
type Steps = Vec<Vec<i64>>;

/// What a sequence asks for behind its first event.
pub(crate) struct Pattern<'a> {
    pub then: &'a [Then],
    /// In how long a time after the first event all others happen.
    pub whole: Option<Span>,
    /// All events have one value.
    pub same: bool,
}

/// Follows a sequence through the series of its steps, in their order.
pub(crate) fn follow(
    series: &[&Series],
    pattern: &Pattern<'_>,
    window: &Option<Window>,
    zone: &TimeZone,
    now: Timestamp,
) -> Chain {
    let Pattern { then, same, .. } = *pattern;
    let mut changes_at = None;
    let mut groups: BTreeMap<&Val, Steps> = BTreeMap::new();
    for (number, series) in series.iter().enumerate() {
        let forbidden = number > 0 && then[number - 1].not;
        let view = View::of(series, if forbidden { &None } else { window }, zone, now);
        changes_at = earlier(changes_at, view.enters_at());
        for entry in view.inside {
            // Chains begin at the first step: a value that is not there needs no place.
            let key = if same { &entry.value } else { &Val::None };
            let steps = match groups.get_mut(key) {
                Some(steps) => steps,
                None if number == 0 => {
                    groups.entry(key).or_insert_with(|| vec![Vec::new(); series_count(then)])
                }
                None => continue,
            };
            steps[number].push(entry.at);
        }
    }
    let mut ends_at: Option<Option<Timestamp>> = None;
    for steps in groups.values() {
        let (origin, closing) = latest(steps, pattern, zone, now);
        changes_at = earlier(changes_at, closing);
        let Some(origin) = origin else { continue };
        let leaves = leaves_at(window, Timestamp::from_micros(origin), zone);
        ends_at = Some(match ends_at {
            None => leaves,
            Some(known) => known.zip(leaves).map(|(a, b)| a.max(b)),
        });
    }
    if let Some(end) = ends_at {
        changes_at = earlier(changes_at, end.filter(|at| *at > now));
    }
    Chain { holds: ends_at.is_some(), changes_at }
}

fn series_count(then: &[Then]) -> usize {
    then.len() + 1
}

/// The latest beginning of a complete chain, and the next instant at which a silence is long enough.
fn latest(
    steps: &Steps,
    pattern: &Pattern<'_>,
    zone: &TimeZone,
    now: Timestamp,
) -> (Option<i64>, Option<Timestamp>) {
    let mut reached: Vec<Reached> =
        steps[0].iter().map(|at| Reached { base: *at, from: at + 1, origin: *at }).collect();
    let mut forbidden: Vec<&[i64]> = Vec::new();
    let mut closing: Option<Timestamp> = None;
    let after = |span: &Span, base: i64| span.after(Timestamp::from_micros(base), zone);
    for (step, events) in pattern.then.iter().zip(&steps[1..]) {
        match (step.not, &step.within) {
            (true, None) => forbidden.push(events),
            (true, Some(span)) => {
                reached.retain_mut(|each| {
                    let end = after(span, each.base);
                    let quiet = is_quiet(events, each.from, end.micros())
                        && forbidden.iter().all(|list| is_quiet(list, each.from, end.micros()));
                    if quiet && end > now && end != Timestamp::MAX {
                        closing = earlier(closing, Some(end));
                    }
                    *each = Reached { base: end.micros(), from: end.micros(), ..*each };
                    quiet && end <= now
                });
                forbidden.clear();
            }
            (false, within) => {
                let mut next = Vec::new();
                for at in events {
                    // The nearest beginning before an event serves best: least time, least that can be forbidden.
                    let place = reached.partition_point(|each| each.from <= *at);
                    let Some(before) = place.checked_sub(1).map(|place| reached[place]) else { continue };
                    let in_time = within.as_ref().is_none_or(|span| *at < after(span, before.base).micros());
                    let in_whole =
                        pattern.whole.as_ref().is_none_or(|span| *at < after(span, before.origin).micros());
                    if in_time && in_whole && forbidden.iter().all(|list| is_quiet(list, before.from, *at)) {
                        next.push(Reached { base: *at, from: at + 1, origin: before.origin });
                    }
                }
                reached = next;
                forbidden.clear();
            }
        }
    }
    let until = now.micros().saturating_add(1);
    reached.retain(|each| forbidden.iter().all(|list| is_quiet(list, each.from, until)));
    (reached.iter().map(|each| each.origin).max(), closing)
}

/// Whether no event lies in [from, until).
fn is_quiet(events: &[i64], from: i64, until: i64) -> bool {
    events.get(events.partition_point(|at| *at < from)).is_none_or(|at| *at >= until)
}
