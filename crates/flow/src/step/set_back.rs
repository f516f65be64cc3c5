//! When the machine's clock is set back, every membership is decided anew by the clock as it stands: events that now
//! lie ahead do not count yet. What changes by that, and what changes back as the same time passes again, was told
//! before: it carries a cause of its own and fires no journey. Waits keep the instants they end at.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::time::SECOND;
use model::{Event, Position, ProfileId, Timestamp, Trust, Value, WorkspaceId};

use super::{Key, Step};
use crate::platform::Platform;
use crate::{Error, codec};

/// Why a membership changed that had been told before.
pub(crate) const CAUSE: &str = "the clock was set back";
/// Less than this is no step: clocks are slewed, and threads read them out of turn.
const STEP_MIN: i64 = SECOND;
/// Profiles decided in one transaction.
const PROFILES_AT_ONCE: i64 = 1_000;

/// Whether an event of ours tells of a membership that changed by no deed: it fires no journey.
pub(super) fn tells_nothing_new(event: &Event, cause: &Value) -> bool {
    let told = [&segment::Cause::Definition.to_string(), CAUSE, crate::split::CAUSE];
    event.trust == Trust::Internal && cause.as_str().is_some_and(|cause| told.contains(&cause))
}

/// What is known of the clock, and which memberships were undone because it was set back.
#[derive(Debug)]
pub(crate) struct SetBack {
    last: AtomicI64,
    newest: AtomicI64,
    undone: Mutex<HashSet<(WorkspaceId, ProfileId, String)>>,
}

impl Default for SetBack {
    fn default() -> SetBack {
        let never = || AtomicI64::new(Timestamp::MIN.micros());
        SetBack { last: never(), newest: never(), undone: Mutex::default() }
    }
}

impl SetBack {
    fn undone(&self) -> MutexGuard<'_, HashSet<(WorkspaceId, ProfileId, String)>> {
        self.undone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, now: Timestamp) {
        self.last.store(now.micros(), Ordering::Release);
        let newest = self.newest.fetch_max(now.micros(), Ordering::AcqRel);
        if newest <= now.micros() {
            self.undone().clear();
        }
    }

    /// Whether a change was told before. `undoes`: it is one that the step of the clock itself makes.
    pub(super) fn repeats(&self, key: Key, segment: &str, undoes: bool) -> bool {
        if self.newest.load(Ordering::Acquire) == self.last.load(Ordering::Acquire) && !undoes {
            return false;
        }
        let what = (key.0, key.1, segment.to_owned());
        if undoes {
            self.undone().insert(what);
            return true;
        }
        self.undone().remove(&what)
    }
}

impl Platform {
    /// Notes what was stored last before this start: the clock may have been set back meanwhile.
    pub(crate) async fn remember_clock(&self) -> Result<(), Error> {
        if let Some((position, bytes)) = self.log.read(self.log.head(), 1).await?.first() {
            self.set_back.read(codec::decode_event(*position, bytes)?.received_at);
        }
        Ok(())
    }

    /// Decides every membership anew when the clock was set back since it was read last.
    pub(crate) async fn mind_clock(&self, now: Timestamp) -> Result<(), Error> {
        let last = Timestamp::from_micros(self.set_back.last.load(Ordering::Acquire));
        if last > Timestamp::MIN && now + STEP_MIN < last {
            tracing::warn!(
                seconds = (last - now) / SECOND,
                "the clock was set back; memberships are decided anew"
            );
            for workspace in self.workspaces_in_force() {
                let mut after = ProfileId(0);
                loop {
                    let _one = self.wake.step.lock().await;
                    let rows = self.store.scan_profiles(workspace, after, PROFILES_AT_ONCE).await?;
                    let Some(row) = rows.last() else { break };
                    after = row.id;
                    let at = Position(self.stepped.load(Ordering::Acquire));
                    let mut step = Step::new(self, at, at, self.store.max_profile_id().await?);
                    step.set_back(rows)?;
                    step.commit().await?;
                }
            }
        }
        self.set_back.read(now);
        Ok(())
    }
}

impl Step<'_> {
    fn set_back(&mut self, rows: Vec<store::ProfileRow>) -> Result<(), Error> {
        self.undoes = true;
        for row in rows {
            let key = (row.workspace, row.id);
            self.read(row)?;
            if let Some(working) = self.profiles.get_mut(&key) {
                working.hot.segments.unsettle();
            }
            self.settle(key);
            self.dirty.insert(key);
        }
        Ok(())
    }
}
