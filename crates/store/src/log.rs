//! The embedded log: accepted events in order, durable before the answer, each message id once for ever.
//!
//! Requests that wait are committed together. One row of `batch` holds all payloads of a commit; `seen` holds a 128-bit
//! hash of (workspace, message id) for every event ever accepted, written in the same transaction.

use std::collections::HashMap;
use std::path::Path;

use model::{Position, WorkspaceId};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::Error;

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
    readers: SqlitePool,
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

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(std::time::Duration::from_secs(30))
        .pragma("cache_size", "-65536")
        // No memory map: a failing disk must be an error, not a signal.
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

impl Log {
    /// Opens or creates `log.db` in `dir`.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be opened, `Corrupt` when it is not a log.
    pub async fn open(dir: &Path) -> Result<Log, Error> {
        let options = options(&dir.join("log.db"));
        let mut writer = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut writer).await?;
        let position: i64 = sqlx::query_scalar("SELECT position FROM head").fetch_one(&mut writer).await?;
        let readers =
            SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let (head_sender, head) = watch::channel(position);
        tokio::spawn(write(writer, requests, head_sender));
        Ok(Log { queue, head, readers })
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
            let row = sqlx::query(
                "SELECT first, count, checksum, payload FROM batch WHERE first <= $1 ORDER BY first DESC LIMIT 1",
            )
            .bind(next)
            .fetch_optional(&self.readers)
            .await?;
            let Some(row) = row else { break };
            let (first, count): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if next >= first + count {
                break;
            }
            let payload: &[u8] = row.try_get(3)?;
            if xxh3_64(payload) as i64 != row.try_get::<i64, _>(2)? {
                return Err(Error::Corrupt(format!(
                    "the log's record at position {first}: its checksum does not hold"
                )));
            }
            for (position, bytes) in (first..).zip(Records(payload)) {
                if position >= next && out.len() < events_max {
                    out.push((Position(position), bytes.to_vec()));
                }
            }
            next = first + count;
        }
        Ok(out)
    }

    /// Removes whole records before `to`; their message ids stay known.
    ///
    /// # Errors
    /// `Unavailable` when the log does not answer.
    pub async fn oldest(&self) -> Result<Position, Error> {
        let first: Option<i64> =
            sqlx::query_scalar("SELECT min(first) FROM batch").fetch_one(&self.readers).await?;
        Ok(Position(first.unwrap_or(1)))
    }
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

async fn write(
    mut connection: SqliteConnection,
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
        let result = commit(&mut connection, &appends).await;
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
                let text = error.to_string();
                for request in waiting {
                    let _ = request.answer.send(Err(Error::Unavailable(text.clone())));
                }
            }
        }
    }
}

fn key(append: &Append) -> (i64, i64) {
    let hash = xxh3_128_with_seed(append.message_id.as_bytes(), append.workspace.0 as u64);
    ((hash >> 64) as i64, hash as i64)
}

async fn commit(
    connection: &mut SqliteConnection,
    appends: &[&Append],
) -> Result<(Vec<Outcome>, i64), Error> {
    // Within the commit the first of equal ids counts.
    let mut first: HashMap<(i64, i64), usize> = HashMap::with_capacity(appends.len());
    let mut json = String::with_capacity(appends.len() * 64);
    json.push('[');
    for (number, append) in appends.iter().enumerate() {
        let key = key(append);
        if let std::collections::hash_map::Entry::Vacant(entry) = first.entry(key) {
            entry.insert(number);
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&format!("[{},{},{}]", key.0, key.1, append.body_hash as i64));
        }
    }
    json.push(']');
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let fresh = sqlx::query(
        "INSERT INTO seen (high, low, body) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true \
         ON CONFLICT DO NOTHING RETURNING high, low",
    )
    .bind(&json)
    .fetch_all(&mut *transaction)
    .await?;
    let mut is_fresh = vec![false; appends.len()];
    for row in &fresh {
        if let Some(number) = first.get(&(row.try_get(0)?, row.try_get(1)?)) {
            is_fresh[*number] = true;
        }
    }
    let head: i64 = sqlx::query_scalar("SELECT position FROM head").fetch_one(&mut *transaction).await?;
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
            let key = key(append);
            let body = match first.get(&key) {
                Some(winner) if is_fresh[*winner] => appends[*winner].body_hash as i64,
                _ => {
                    sqlx::query_scalar("SELECT body FROM seen WHERE high = $1 AND low = $2")
                        .bind(key.0)
                        .bind(key.1)
                        .fetch_one(&mut *transaction)
                        .await?
                }
            };
            outcomes.push(Outcome::Duplicate { conflict: body != append.body_hash as i64 });
        }
    }
    if position > head {
        sqlx::query("INSERT INTO batch (first, count, checksum, payload) VALUES ($1, $2, $3, $4)")
            .bind(head + 1)
            .bind(position - head)
            .bind(xxh3_64(&payload) as i64)
            .bind(&payload)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE head SET position = $1").bind(position).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok((outcomes, position))
}
