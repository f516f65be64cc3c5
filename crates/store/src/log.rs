//! The log: accepted events in order, durable before the answer, each message id once for ever.
//!
//! Requests that wait are committed together. One row of `batch` holds all payloads of a commit; `seen` holds a 128-bit
//! hash of (workspace, message id) for every event ever accepted, written in the same transaction.

use std::collections::HashMap;
use std::fmt::Write as _;

use model::{Position, WorkspaceId};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, oneshot, watch};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::Error;
use crate::open::{Location, connect, open};
use crate::sql::{List, Pool, Session, query};

/// Calls that may wait for a commit.
const QUEUE_MAX: usize = 1_024;
/// Events of one commit; what is more waits for the next.
const COMMIT_EVENTS_MAX: usize = 20_000;

/// An event to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id, unique in the workspace for ever.
    pub message_id: String,
    /// A hash of its body: tells a retry from a conflict.
    pub body_hash: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored at this position.
    Accepted(Position),
    /// Seen before; the first one counts.
    Duplicate {
        /// The first one had another body.
        conflict: bool,
    },
}

struct Request {
    appends: Vec<Append>,
    answer: oneshot::Sender<Result<Vec<Outcome>, Error>>,
}

/// The log. Cheap to share behind a reference; appends go through one writer task.
pub struct Log {
    queue: mpsc::Sender<Request>,
    head: watch::Receiver<i64>,
    readers: Pool,
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS batch (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, checksum INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS seen (
  high INTEGER NOT NULL, low INTEGER NOT NULL, body INTEGER NOT NULL, PRIMARY KEY (high, low)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL);
INSERT INTO head (one, position) VALUES (1, 0) ON CONFLICT DO NOTHING;
";

impl Log {
    /// Opens or creates the log.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, `Corrupt` when it is not a log, `Locked` when another process writes it.
    pub async fn open(location: &Location) -> Result<Log, Error> {
        let mut opened = open(location, "log", 4, SCHEMA).await?;
        let position: i64 = query("SELECT position FROM head").scalar(&mut opened.session).await?;
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let (head_sender, head) = watch::channel(position);
        tokio::spawn(run(opened.session, opened.address, requests, head_sender));
        Ok(Log { queue, head, readers: opened.readers })
    }

    /// Appends events; durable when it returns. The answers are in the order of `appends`.
    ///
    /// # Errors
    /// `Full` when too much waits, `Unavailable` when nothing was stored.
    pub async fn append(&self, appends: Vec<Append>) -> Result<Vec<Outcome>, Error> {
        let (answer, outcome) = oneshot::channel();
        self.queue.try_send(Request { appends, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Full { retry_after_s: 1 },
            mpsc::error::TrySendError::Closed(_) => {
                Error::Unavailable("the log's writer has ended".to_owned())
            }
        })?;
        outcome.await.map_err(|_| Error::Unavailable("the log's writer has ended".to_owned()))?
    }

    /// The position of the newest event; 0 when there is none.
    pub fn head(&self) -> Position {
        Position(*self.head.borrow())
    }

    /// Signals each new head.
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.head.clone()
    }

    /// Events from `from` on, at most `events_max`, in order.
    ///
    /// # Errors
    /// `Corrupt` when a record's checksum does not hold.
    pub async fn read(&self, from: Position, events_max: usize) -> Result<Vec<(Position, Vec<u8>)>, Error> {
        let mut out = Vec::new();
        let mut next = from.0.max(1);
        while out.len() < events_max {
            let row = query(
                "SELECT first, count, checksum, payload FROM batch WHERE first <= $1 ORDER BY first DESC LIMIT 1",
            )
            .bind(next)
            .fetch_optional(&self.readers)
            .await?;
            let Some(row) = row else { break };
            let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            if next >= first + count {
                break;
            }
            let payload: Vec<u8> = row.get(3)?;
            if checksum(first, count, &payload) != row.get::<i64>(2)? {
                return Err(Error::Corrupt(format!(
                    "the log's record at position {first}: its checksum does not hold"
                )));
            }
            let payload = payload.as_slice();
            for (position, bytes) in (first..).zip(Records(payload)) {
                if position >= next && out.len() < events_max {
                    out.push((Position(position), bytes.to_vec()));
                }
            }
            next = first + count;
        }
        Ok(out)
    }

    /// The position of the oldest event that is still there; 1 when nothing was ever removed.
    ///
    /// # Errors
    /// `Unavailable` when the log does not answer.
    pub async fn oldest(&self) -> Result<Position, Error> {
        let first: Option<i64> = query("SELECT min(first) FROM batch").scalar(&self.readers).await?;
        Ok(Position(first.unwrap_or(1)))
    }
}

/// Over everything that a damaged row could get wrong: place, number and bytes.
fn checksum(first: i64, count: i64, payload: &[u8]) -> i64 {
    xxh3_64_with_seed(payload, (first as u64).rotate_left(20) ^ count as u64) as i64
}

/// Length-prefixed records.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (record, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(record)
    }
}

async fn run(
    mut session: Session,
    address: Option<PgConnectOptions>,
    mut requests: mpsc::Receiver<Request>,
    head: watch::Sender<i64>,
) {
    while let Some(first) = requests.recv().await {
        let mut waiting = vec![first];
        let mut events = waiting[0].appends.len();
        while events < COMMIT_EVENTS_MAX {
            let Ok(more) = requests.try_recv() else { break };
            events += more.appends.len();
            waiting.push(more);
        }
        let appends: Vec<&Append> = waiting.iter().flat_map(|request| &request.appends).collect();
        let result = match alive(&mut session, address.as_ref()).await {
            Ok(()) => commit(&mut session, &appends).await,
            Err(error) => Err(error),
        };
        match result {
            Ok((outcomes, position)) => {
                head.send_if_modified(|head| std::mem::replace(head, position) != position);
                let mut outcomes = outcomes.into_iter();
                for request in waiting {
                    let mine = outcomes.by_ref().take(request.appends.len()).collect();
                    // A caller that went away has its events stored all the same.
                    let _ = request.answer.send(Ok(mine));
                }
            }
            Err(error) => {
                tracing::error!(%error, "events could not be stored");
                let text = match error {
                    Error::Unavailable(text) => text,
                    other => other.to_string(),
                };
                for request in waiting {
                    let _ = request.answer.send(Err(Error::Unavailable(text.clone())));
                }
            }
        }
    }
}

/// Connects again where the connection broke.
async fn alive(session: &mut Session, address: Option<&PgConnectOptions>) -> Result<(), Error> {
    if let (Session::Postgres(one), Some(address)) = (&mut *session, address)
        && one.ping().await.is_err()
    {
        tracing::warn!("the connection to the log broke; connecting again");
        *session = connect(address, "log").await?;
    }
    Ok(())
}

type Key = (i64, i64);

fn key(append: &Append) -> Key {
    let hash = xxh3_128_with_seed(append.message_id.as_bytes(), append.workspace.0 as u64);
    ((hash >> 64) as i64, hash as i64)
}

async fn commit(session: &mut Session, appends: &[&Append]) -> Result<(Vec<Outcome>, i64), Error> {
    let keys: Vec<Key> = appends.iter().map(|append| key(append)).collect();
    // Within the commit the first of equal ids counts.
    let mut first: HashMap<Key, usize> = HashMap::with_capacity(appends.len());
    for (number, key) in keys.iter().enumerate() {
        first.entry(*key).or_insert(number);
    }
    let mut list = String::with_capacity(first.len() * 64);
    for (key, number) in &first {
        let comma = if list.is_empty() { '[' } else { ',' };
        let _ = write!(list, "{comma}[{},{},{}]", key.0, key.1, appends[*number].body_hash as i64);
    }
    list.push_str(if list.is_empty() { "[]" } else { "]" });
    let mut transaction = session.begin().await?;
    let fresh = query(
        "INSERT INTO seen (high, low, body) SELECT j.int(0), j.int(1), j.int(2) FROM list($1) AS j WHERE true \
         ON CONFLICT DO NOTHING RETURNING high, low",
    )
    .bind(List(list))
    .fetch_all(&mut transaction)
    .await?;
    let mut is_fresh = vec![false; appends.len()];
    for row in &fresh {
        if let Some(number) = first.get(&(row.get(0)?, row.get(1)?)) {
            is_fresh[*number] = true;
        }
    }
    // What each known id was first stored with: tells a retry from a conflict.
    let known: Vec<Value> = first
        .iter()
        .filter(|(_, number)| !is_fresh[**number])
        .map(|(key, _)| json!([key.0, key.1]))
        .collect();
    let mut bodies: HashMap<Key, i64> = HashMap::new();
    if !known.is_empty() {
        let rows = query(
            "SELECT s.high, s.low, s.body FROM list($1) AS j CROSS JOIN seen AS s \
             WHERE s.high = j.int(0) AND s.low = j.int(1)",
        )
        .bind(known)
        .fetch_all(&mut transaction)
        .await?;
        for row in rows {
            bodies.insert((row.get(0)?, row.get(1)?), row.get(2)?);
        }
    }
    let head: i64 = query("SELECT position FROM head").scalar(&mut transaction).await?;
    let mut payload = Vec::with_capacity(appends.iter().map(|a| a.payload.len() + 4).sum());
    let mut outcomes = Vec::with_capacity(appends.len());
    let mut position = head;
    for (number, append) in appends.iter().enumerate() {
        if is_fresh[number] {
            position += 1;
            payload.extend_from_slice(&(append.payload.len() as u32).to_le_bytes());
            payload.extend_from_slice(&append.payload);
            outcomes.push(Outcome::Accepted(Position(position)));
        } else {
            let winner = first.get(&keys[number]).filter(|winner| is_fresh[**winner]);
            let body = match winner {
                Some(winner) => appends[*winner].body_hash as i64,
                None => *bodies
                    .get(&keys[number])
                    .ok_or_else(|| Error::Corrupt("a known message id without its row".to_owned()))?,
            };
            outcomes.push(Outcome::Duplicate { conflict: body != append.body_hash as i64 });
        }
    }
    if position > head {
        let (first, count) = (head + 1, position - head);
        query("INSERT INTO batch (first, count, checksum, payload) VALUES ($1, $2, $3, $4)")
            .bind(first)
            .bind(count)
            .bind(checksum(first, count, &payload))
            .bind(payload)
            .execute(&mut transaction)
            .await?;
        query("UPDATE head SET position = $1").bind(position).execute(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok((outcomes, position))
}
