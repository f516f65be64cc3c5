//! The brake: a journey whose mails cannot be composed for too many people is paused before the rest goes the same way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use model::{Map, Value, WorkspaceId};
use store::{Gate, GateVerdict, MessageRow, Told};

use crate::Error;
use crate::pause::HELD;
use crate::platform::Platform;

/// The setting: above which share of failures a journey is paused. Units: per cent.
pub(crate) const LIMIT: &str = "failures_percent_max";
/// What it is where nothing is set.
pub(crate) const LIMIT_USUAL: u64 = 20;
/// The latest messages whose share counts.
const WINDOW: usize = 200;
/// Fewer failures than this say nothing.
const FAILED_LEAST: usize = 20;

/// How composing went lately, by what sends.
#[derive(Default)]
pub(crate) struct Brake(Mutex<HashMap<(WorkspaceId, String), VecDeque<bool>>>);

impl Brake {
    /// Notes one message; when the share of failures is above the limit: (failed, of). It begins anew then.
    fn note(
        &self,
        workspace: WorkspaceId,
        source: &str,
        failed: bool,
        percent_max: u64,
    ) -> Option<(usize, usize)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (workspace, source.to_owned());
        // Who never failed takes no room.
        if !failed && !all.contains_key(&key) {
            return None;
        }
        let lately = all.entry(key).or_default();
        if lately.len() == WINDOW {
            lately.pop_front();
        }
        lately.push_back(failed);
        let (many, of) = (lately.iter().filter(|failed| **failed).count(), lately.len());
        // One that fails for everybody is stopped early; a share needs a whole window to be one.
        let share = if of < WINDOW && many < of { WINDOW } else { of };
        let above = many >= FAILED_LEAST && many as u64 * 100 > percent_max * share as u64;
        above.then(|| {
            lately.clear();
            (many, of)
        })
    }
}

/// The limit of a workspace.
pub(crate) fn percent_max(settings: &Map) -> u64 {
    settings.get(LIMIT).and_then(Value::as_u64).unwrap_or(LIMIT_USUAL)
}

impl Platform {
    /// Notes how composing a message went, and pauses its journey when too many fail.
    pub(crate) async fn braked(&self, message: &MessageRow, failure: Option<&str>) -> Result<(), Error> {
        let source = message.journey.as_deref().unwrap_or(&message.template);
        let registry = self.registry(message.workspace);
        let limit = percent_max(&registry.settings);
        let tripped = self.brake.note(message.workspace, source, failure.is_some(), limit);
        let (Some((failed, of)), Some(error)) = (tripped, failure) else { return Ok(()) };
        let reason = format!(
            "{failed} of the latest {of} mails could not be composed, above the limit of {limit} %. The last: {error} Mend the \
             template '{}', then resume.",
            message.template
        );
        self.faults.note("Mail", self.clock.now(), &Error::Unavailable(reason.clone()));
        match &message.journey {
            Some(journey) => self.pause_because(message.workspace, journey, &reason, "brake").await,
            None => Ok(()),
        }
    }

    /// The journey of this message is paused.
    pub(crate) fn stands_still(&self, message: &MessageRow) -> bool {
        let registry = self.registry(message.workspace);
        let journey = message.journey.as_ref().and_then(|id| registry.journeys.get(id));
        journey.is_some_and(|journey| !journey.live)
    }

    /// Holds a message until its journey goes on. It is not composed before: what it fails at may be mended by then.
    pub(crate) async fn put_aside(&self, message: &MessageRow) -> Result<(), Error> {
        let gate = Gate {
            id: message.id.clone(),
            address_key: self.address_key(message.workspace, &message.recipient),
            trace: message.trace.clone(),
            composed: None,
        };
        let hold = |_: &store::GateFacts| GateVerdict::Hold(HELD.to_owned());
        match self.store.gate(&gate, &hold, &|_| Told::default()).await {
            Ok(_) | Err(store::Error::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: WorkspaceId = WorkspaceId(1);

    fn tripped(brake: &Brake, failed: impl Fn(usize) -> bool, many: usize) -> Option<usize> {
        (0..many).find(|n| brake.note(W, "j", failed(*n), 20).is_some())
    }

    #[test]
    fn one_that_fails_for_everybody_is_stopped_after_twenty_and_a_share_above_the_limit_within_a_window() {
        assert_eq!(tripped(&Brake::default(), |_| true, 1_000), Some(FAILED_LEAST - 1));
        let third = tripped(&Brake::default(), |n| n % 3 == 0, 1_000);
        assert!(third.is_some_and(|n| n < WINDOW), "{third:?}");
    }

    #[test]
    fn a_share_below_the_limit_stops_nothing_however_many_there_are() {
        assert_eq!(tripped(&Brake::default(), |n| n % 10 == 0, 100_000), None);
        assert_eq!(
            tripped(&Brake::default(), |n| n % 5 == 0, 100_000),
            None,
            "exactly the limit is not above it"
        );
        // A bad start is forgiven when the rest is well.
        assert_eq!(tripped(&Brake::default(), |n| n < FAILED_LEAST - 1, 100_000), None);
    }

    #[test]
    fn journeys_are_counted_apart_and_begin_anew_after_a_stop() {
        let brake = Brake::default();
        for _ in 0..FAILED_LEAST - 1 {
            assert_eq!(brake.note(W, "a", true, 20), None);
            assert_eq!(brake.note(W, "b", true, 20), None);
        }
        assert!(brake.note(W, "a", true, 20).is_some());
        assert_eq!(brake.note(W, "a", true, 20), None);
        assert!(brake.note(W, "b", true, 20).is_some());
    }
}
