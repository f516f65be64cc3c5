//! A fill while it runs, as somebody sees it and what he may ask of it: how far it is, to rest, to go on, to be given up.
//!
//! It rests between two parts of its work; the stream never rests with it. What is given up before the definition is in
//! force was never written; afterwards the former version is put in force again, as an edit like any other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use model::{Timestamp, WorkspaceId};
use tokio::sync::watch;

use crate::Error;
use crate::fill::Progress;
use crate::platform::Platform;

/// Events of history between two looks at what is wished.
pub(crate) const LOOK_EVENTS: u64 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    GoOn,
    Rest,
    GiveUp,
}

/// A fill, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filling {
    /// Names it: kind and id of the definition.
    pub key: String,
    /// The definition's kind.
    pub kind: String,
    /// The definition.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// There is no former version of it in force.
    pub is_new: bool,
    /// History is read, and profiles are decided one after another.
    pub is_in_force: bool,
    /// It rests.
    pub is_paused: bool,
    /// It is being given up.
    pub is_cancelled: bool,
    /// Events of history that were read.
    pub history_events: u64,
    /// No more than so many are to be read.
    pub history_events_max: u64,
    /// Profiles whose memberships were decided.
    pub profiles_done: u64,
    /// Profiles there are.
    pub profiles_total: u64,
    /// When it began.
    pub started_at: Timestamp,
}

/// A fill at work.
pub(crate) struct Running {
    kind: String,
    id: String,
    name: String,
    is_new: bool,
    started_at: Timestamp,
    is_in_force: AtomicBool,
    pub history_events: AtomicU64,
    pub history_events_max: AtomicU64,
    pub profiles_done: AtomicU64,
    pub profiles_total: AtomicU64,
    wish: watch::Sender<Wish>,
    /// Whether it came to its end; none while it is at work.
    ended: watch::Sender<Option<bool>>,
}

impl Running {
    pub fn new(row: &store::DefinitionRow, is_new: bool, now: Timestamp) -> Running {
        Running {
            kind: row.kind.clone(),
            id: row.id.clone(),
            name: row.name.clone(),
            is_new,
            ..Running::nameless(now)
        }
    }

    /// One that nobody can ask for anything: what a crash left, or the way back.
    pub fn nameless(now: Timestamp) -> Running {
        Running {
            kind: String::new(),
            id: String::new(),
            name: String::new(),
            is_new: false,
            started_at: now,
            is_in_force: AtomicBool::new(false),
            history_events: AtomicU64::new(0),
            history_events_max: AtomicU64::new(0),
            profiles_done: AtomicU64::new(0),
            profiles_total: AtomicU64::new(0),
            wish: watch::Sender::new(Wish::GoOn),
            ended: watch::Sender::new(None),
        }
    }

    fn key(&self) -> String {
        format!("{}:{}", self.kind, self.id)
    }

    pub fn progress(&self) -> Progress {
        Progress {
            history_events: self.history_events.load(Ordering::Relaxed),
            profiles_done: self.profiles_done.load(Ordering::Relaxed),
            profiles_total: self.profiles_total.load(Ordering::Relaxed),
        }
    }

    fn seen(&self) -> Filling {
        let Progress { history_events, profiles_done, profiles_total } = self.progress();
        let wish = *self.wish.borrow();
        Filling {
            key: self.key(),
            kind: self.kind.clone(),
            id: self.id.clone(),
            name: self.name.clone(),
            is_new: self.is_new,
            is_in_force: self.is_in_force(),
            is_paused: wish == Wish::Rest,
            is_cancelled: wish == Wish::GiveUp,
            history_events,
            history_events_max: self.history_events_max.load(Ordering::Relaxed),
            profiles_done,
            profiles_total,
            started_at: self.started_at,
        }
    }

    pub fn is_in_force(&self) -> bool {
        self.is_in_force.load(Ordering::Acquire)
    }

    pub fn came_in_force(&self) {
        self.is_in_force.store(true, Ordering::Release);
    }

    pub fn is_given_up(&self) -> bool {
        *self.wish.borrow() == Wish::GiveUp
    }

    /// Rests as long as it is wished.
    ///
    /// # Errors
    /// `Conflict` when it is to be given up.
    pub async fn go_on(&self) -> Result<(), Error> {
        let mut wish = self.wish.subscribe();
        loop {
            let now = *wish.borrow_and_update();
            match now {
                Wish::GoOn => return Ok(()),
                Wish::GiveUp => return Err(self.given_up()),
                Wish::Rest => {
                    // The sender is ours.
                    let _ = wish.changed().await;
                }
            }
        }
    }

    fn given_up(&self) -> Error {
        Error::Conflict(format!(
            "Putting the {} '{}' in force was cancelled: {}.",
            self.kind,
            self.name,
            if self.is_new { "there is none" } else { "the former version stays" }
        ))
    }
}

/// Says that a fill has ended, however it does: nobody may wait for ever.
pub(crate) struct AtWork {
    shared: Arc<crate::fill::Shared>,
    workspace: WorkspaceId,
    pub running: Arc<Running>,
    pub is_done: bool,
}

impl AtWork {
    pub fn begin(shared: &Arc<crate::fill::Shared>, workspace: WorkspaceId, running: Running) -> AtWork {
        let running = Arc::new(running);
        let mut all = shared.running.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(workspace, running.clone());
        AtWork { shared: shared.clone(), workspace, running, is_done: false }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut all = self.shared.running.write().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.workspace).is_some_and(|running| Arc::ptr_eq(running, &self.running)) {
            all.remove(&self.workspace);
        }
        // A reader of history that rests while its edit is dropped ends.
        self.running.wish.send_replace(Wish::GiveUp);
        self.running.ended.send_replace(Some(self.is_done));
    }
}

impl Platform {
    fn running(&self, workspace: WorkspaceId) -> Option<Arc<Running>> {
        let all = self.fills.shared.running.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&workspace).cloned()
    }

    /// How far the definition that is being put in force has got; none when none is.
    pub fn progress(&self, workspace: WorkspaceId) -> Option<Progress> {
        self.running(workspace).map(|running| running.progress())
    }

    /// The fills at work: one at most, as one edit follows another.
    pub fn fills(&self, workspace: WorkspaceId) -> Vec<Filling> {
        self.running(workspace)
            .into_iter()
            .map(|running| running.seen())
            .filter(|fill| !fill.id.is_empty())
            .collect()
    }

    fn named_fill(&self, workspace: WorkspaceId, key: &str) -> Result<Arc<Running>, Error> {
        let found = self.running(workspace).filter(|running| running.key() == key && !running.id.is_empty());
        found.ok_or_else(|| {
            Error::Missing(format!("Nothing is being filled as '{key}': it may have come to its end."))
        })
    }

    /// Lets a fill rest, or go on. The stream goes on all the time, and whoever does something is decided.
    ///
    /// # Errors
    /// `Missing` when it is not at work, `Conflict` when it is being given up.
    pub fn rest_fill(&self, workspace: WorkspaceId, key: &str, rests: bool) -> Result<Filling, Error> {
        let running = self.named_fill(workspace, key)?;
        let wish = if rests { Wish::Rest } else { Wish::GoOn };
        let taken = running.wish.send_if_modified(|now| {
            let open = *now != Wish::GiveUp;
            if open {
                *now = wish;
            }
            open
        });
        if taken { Ok(running.seen()) } else { Err(Error::Conflict("It is being cancelled.".to_owned())) }
    }

    /// Gives a fill up and waits for it: what was new is not there, what was edited is as it was.
    ///
    /// # Errors
    /// `Missing` when it is not at work, `Conflict` when it came to its end before.
    pub async fn cancel_fill(&self, workspace: WorkspaceId, key: &str) -> Result<(), Error> {
        let running = self.named_fill(workspace, key)?;
        let mut ended = running.ended.subscribe();
        running.wish.send_replace(Wish::GiveUp);
        let done = ended.wait_for(Option::is_some).await.map(|done| *done);
        match done {
            Ok(Some(true)) => {
                Err(Error::Conflict("It came to its end before it could be cancelled.".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
