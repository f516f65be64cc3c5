//! What is happening right now: counters, the last hour by minute, the most recent events, a feed for watchers.
//!
//! Held in memory only; everything here is derivable from the log, the store and the lake.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::time::{MINUTE, SECOND};
use model::{Event, ProfileId, Timestamp, WorkspaceId};
use serde::Serialize;
use tokio::sync::broadcast;

/// Events kept for the live debugger.
const RECENT_MAX: usize = 1_000;
/// Minutes of history kept.
const MINUTES: usize = 60;
/// At most this many events a second are kept as rows; all are counted.
const ROWS_PER_SECOND_MAX: u32 = 50;

/// What became of one item of a call to the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Stored.
    Accepted,
    /// Seen before; the first one counts.
    Duplicate,
    /// Refused, with reasons.
    Rejected,
}

/// One row of the live debugger. Shape: JSON as the console shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Recent {
    /// A number that grows with each row.
    pub sequence: u64,
    /// The workspace; never serialised, rows are filtered by it.
    #[serde(skip)]
    pub workspace: WorkspaceId,
    /// The log position, when accepted.
    pub position: Option<i64>,
    /// The sender's id of the event.
    pub message_id: String,
    /// When it happened.
    pub at: Timestamp,
    /// When we received it.
    pub received_at: Timestamp,
    /// The call that carried it.
    pub call: String,
    /// The event's name.
    pub name: String,
    /// The profile, when known already.
    pub profile_id: Option<ProfileId>,
    /// Who it speaks of: e-mail or id as given.
    pub who: String,
    /// The properties as given.
    pub properties: model::Value,
    /// The context as given.
    pub context: model::Value,
    /// What became of it.
    pub outcome: Fate,
    /// Why it was rejected.
    pub reasons: Vec<Reason>,
}

/// Why an item was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable code.
    pub code: String,
    /// What happened, why, and what to do.
    pub message: String,
    /// Where in the item.
    pub path: String,
}

/// Counts of one minute.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Minute {
    /// When the minute began.
    pub at: Timestamp,
    /// Events stored.
    pub accepted: u64,
    /// Events refused.
    pub rejected: u64,
    /// Events seen before.
    pub duplicates: u64,
}

/// Upper limits of the latency histogram. Units: seconds.
const LATENCY_SECONDS: [f64; 10] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

#[derive(Default)]
struct Inner {
    latency: [u64; 11],
    minutes: VecDeque<Minute>,
    recent: VecDeque<Arc<Recent>>,
    sequence: u64,
    row_second: i64,
    rows_in_second: u32,
    rate_second: i64,
    rate_now: u64,
    rate_last: u64,
}

/// Counters and recent rows of this process.
pub struct Live {
    inner: Mutex<Inner>,
    feed: broadcast::Sender<Arc<Recent>>,
    /// Events stored since start.
    pub accepted: AtomicU64,
    /// Items refused since start.
    pub rejected: AtomicU64,
    /// Items seen before, since start.
    pub duplicates: AtomicU64,
    /// Same id with another body, since start.
    pub conflicts: AtomicU64,
    /// Mails handed over since start.
    pub messages_accepted: AtomicU64,
    /// Events stepped since start.
    pub stepped: AtomicU64,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            inner: Mutex::default(),
            feed: broadcast::channel(256).0,
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            messages_accepted: AtomicU64::new(0),
            stepped: AtomicU64::new(0),
        }
    }
}

impl Live {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what became of `count` items at `now`.
    pub fn count(&self, fate: Fate, count: u64, now: Timestamp) {
        let counter = match fate {
            Fate::Accepted => &self.accepted,
            Fate::Duplicate => &self.duplicates,
            Fate::Rejected => &self.rejected,
        };
        counter.fetch_add(count, Ordering::Relaxed);
        let mut inner = self.inner();
        let start = Timestamp::from_micros(now.micros().div_euclid(MINUTE) * MINUTE);
        if inner.minutes.back().is_none_or(|last| last.at < start) {
            inner.minutes.push_back(Minute { at: start, ..Minute::default() });
            if inner.minutes.len() > MINUTES {
                inner.minutes.pop_front();
            }
        }
        if let Some(minute) = inner.minutes.back_mut() {
            match fate {
                Fate::Accepted => minute.accepted += count,
                Fate::Duplicate => minute.duplicates += count,
                Fate::Rejected => minute.rejected += count,
            }
        }
        if fate == Fate::Accepted {
            inner.roll(now);
            inner.rate_now += count;
        }
    }

    /// Notes a stepped batch: how long its events took from receipt to membership.
    pub fn stepped_batch(&self, events: &[Event], now: Timestamp) {
        self.stepped.fetch_add(events.len() as u64, Ordering::Relaxed);
        let mut inner = self.inner();
        for event in events {
            let seconds = (now - event.received_at) as f64 / SECOND as f64;
            let place =
                LATENCY_SECONDS.iter().position(|limit| seconds <= *limit).unwrap_or(LATENCY_SECONDS.len());
            inner.latency[place] += 1;
        }
    }

    /// How many events took at most so many seconds from receipt to membership; the last counts the rest.
    pub fn latency(&self) -> Vec<(f64, u64)> {
        let inner = self.inner();
        let limits = LATENCY_SECONDS.iter().copied().chain([f64::INFINITY]);
        limits.zip(inner.latency.iter().copied()).collect()
    }

    /// Whether one more row fits into this second; callers build rows only then.
    pub fn wants_row(&self, now: Timestamp) -> bool {
        let mut inner = self.inner();
        let second = now.micros().div_euclid(SECOND);
        if inner.row_second != second {
            inner.row_second = second;
            inner.rows_in_second = 0;
        }
        inner.rows_in_second += 1;
        inner.rows_in_second <= ROWS_PER_SECOND_MAX
    }

    /// Keeps a row and passes it to watchers.
    pub fn push(&self, mut row: Recent) {
        let mut inner = self.inner();
        inner.sequence += 1;
        row.sequence = inner.sequence;
        let row = Arc::new(row);
        inner.recent.push_back(row.clone());
        if inner.recent.len() > RECENT_MAX {
            inner.recent.pop_front();
        }
        drop(inner);
        // Nobody watching is fine.
        let _ = self.feed.send(row);
    }

    /// The rows kept for a workspace, newest first.
    pub fn recent(&self, workspace: WorkspaceId) -> Vec<Arc<Recent>> {
        self.inner().recent.iter().rev().filter(|row| row.workspace == workspace).cloned().collect()
    }

    /// Rows from now on, of every workspace; the watcher filters.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Recent>> {
        self.feed.subscribe()
    }

    /// Events accepted in the last full second.
    pub fn events_per_second(&self, now: Timestamp) -> u64 {
        let mut inner = self.inner();
        inner.roll(now);
        inner.rate_last
    }

    /// The last hour, oldest first.
    pub fn minutes(&self) -> Vec<Minute> {
        self.inner().minutes.iter().copied().collect()
    }
}

impl Inner {
    fn roll(&mut self, now: Timestamp) {
        let second = now.micros().div_euclid(SECOND);
        if second != self.rate_second {
            self.rate_last = if second == self.rate_second + 1 { self.rate_now } else { 0 };
            self.rate_now = 0;
            self.rate_second = second;
        }
    }
}

/// The row of an accepted or duplicate event.
pub fn row(event: &Event, outcome: Fate, position: Option<i64>) -> Recent {
    let json = |text: &str| serde_json::from_str(text).unwrap_or(model::Value::Null);
    Recent {
        sequence: 0,
        workspace: event.workspace,
        position,
        message_id: event.message_id.clone(),
        at: event.timestamp,
        received_at: event.received_at,
        call: event.call.name().to_owned(),
        name: event.name.clone(),
        profile_id: None,
        who: event.user_id.clone().or_else(|| event.anonymous_id.clone()).unwrap_or_default(),
        properties: json(&event.properties),
        context: json(&event.context),
        outcome,
        reasons: Vec::new(),
    }
}
