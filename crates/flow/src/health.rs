//! How the parts of the server are, told by what can be seen of them: waiting work, the last error of each worker, the
//! transport's last answers, free disk.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use model::time::{MINUTE, SECOND};
use model::{Position, Timestamp, WorkspaceId};

use crate::platform::Platform;
use crate::{Error, codec};

/// Work that waits longer than this deserves a look.
const WAIT_WARN: i64 = 10 * SECOND;
/// Work that waits longer than this does not move.
const WAIT_DOWN: i64 = 2 * MINUTE;
/// An error this long ago is history, if work goes on.
const ERROR_FRESH: i64 = 5 * MINUTE;
/// Free disk below this deserves a look.
const FREE_WARN_BYTES: u64 = 1 << 30;
/// Free disk below this stops writing soon.
const FREE_DOWN_BYTES: u64 = 100 << 20;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Somebody should look.
    Warn,
    /// It does not work.
    Down,
}

impl Status {
    /// The word in JSON and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Down => "down",
        }
    }
}

/// A part and how it is.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// In a sentence.
    pub detail: String,
}

/// The last error of each worker.
#[derive(Debug, Default)]
pub struct Faults(Mutex<BTreeMap<&'static str, (Timestamp, String)>>);

impl Faults {
    /// Keeps a worker's error.
    pub(crate) fn note(&self, worker: &'static str, at: Timestamp, error: &Error) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(worker, (at, error.to_string()));
    }

    fn fresh(&self, worker: &str, now: Timestamp) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(worker).filter(|(at, _)| now - *at < ERROR_FRESH).map(|(_, error)| error.clone())
    }
}

fn waiting(micros: i64) -> Status {
    match micros {
        wait if wait > WAIT_DOWN => Status::Down,
        wait if wait > WAIT_WARN => Status::Warn,
        _ => Status::Ok,
    }
}

fn room(free: u64) -> Status {
    match free {
        free if free < FREE_DOWN_BYTES => Status::Down,
        free if free < FREE_WARN_BYTES => Status::Warn,
        _ => Status::Ok,
    }
}

impl Platform {
    /// How long the oldest event that has not been stepped has waited. Units: milliseconds.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn lag_ms(&self) -> Result<i64, Error> {
        let stepped = self.stepped.load(Ordering::Acquire);
        let next = self.log.read(Position(stepped + 1), 1).await?;
        let Some((position, bytes)) = next.first() else { return Ok(0) };
        let event = codec::decode_event(*position, bytes)?;
        Ok(((self.clock.now() - event.received_at) / 1_000).max(0))
    }

    /// The parts of the server and how they are.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn health(&self, workspace: WorkspaceId) -> Result<Vec<Part>, Error> {
        let now = self.clock.now();
        let wait = self.lag_ms().await? * 1_000;
        let lag = self.lag_events();
        let behind = (self.stepped.load(Ordering::Acquire) - self.lake.position()).max(0);
        let (due, oldest) = self.store.messages_due(now).await?;
        let overdue = oldest.map_or(0, |at| now - at);
        let step = self.part(
            "Step",
            waiting(wait),
            format!("{lag} events to go, the oldest for {} ms", wait / 1_000),
        );
        let lake = if behind > 100_000 { Status::Warn } else { Status::Ok };
        let lake = self.part("Lake", lake, format!("{behind} stepped events to go"));
        let name = self.transport_name(workspace).await?;
        let mail = self.part("Mail", waiting(overdue), format!("{due} messages due; {name}"));
        let relay = self.store.emitted(1).await?.len();
        let relay =
            self.part("Relay", Status::Ok, if relay == 0 { "nothing waits" } else { "at work" }.to_owned());
        let mut parts = vec![step, lake, relay, mail];
        let paused = self.paused_by_server(workspace).await?;
        if !paused.is_empty() {
            let all: Vec<String> =
                paused.iter().map(|(name, why)| format!("'{name}' is paused: {why}")).collect();
            parts.push(Part { name: "Journeys", status: Status::Warn, detail: all.join(" ") });
        }
        parts.extend(self.coupon_health(workspace).await?);
        parts.extend(self.disk());
        Ok(parts)
    }

    /// A part with the last error of its worker, if that is fresh.
    fn part(&self, name: &'static str, status: Status, detail: String) -> Part {
        match self.faults.fresh(name, self.clock.now()) {
            Some(error) => {
                Part { name, status: status.max(Status::Warn), detail: format!("{detail}; lately: {error}") }
            }
            None => Part { name, status, detail },
        }
    }

    fn disk(&self) -> Option<Part> {
        let found = rustix::fs::statvfs(&self.options.data_dir).ok()?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let detail = format!("{:.1} GB free in the data directory", free as f64 / f64::from(1 << 30));
        Some(Part { name: "Disk", status: room(free), detail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_work_and_a_full_disk_are_told() {
        assert_eq!(waiting(SECOND), Status::Ok);
        assert_eq!(waiting(WAIT_WARN + 1), Status::Warn);
        assert_eq!(waiting(WAIT_DOWN + 1), Status::Down);
        assert_eq!(
            [room(10 << 30), room(500 << 20), room(1 << 20)],
            [Status::Ok, Status::Warn, Status::Down]
        );
    }

    #[test]
    fn an_error_is_told_while_it_is_fresh() {
        let faults = Faults::default();
        let at = Timestamp::from_secs(1_000);
        faults.note("Step", at, &Error::Unavailable("the store is gone".to_owned()));
        assert_eq!(faults.fresh("Step", at + SECOND).as_deref(), Some("the store is gone"));
        assert_eq!(faults.fresh("Step", at + ERROR_FRESH), None);
        assert_eq!(faults.fresh("Mail", at), None);
    }
}
