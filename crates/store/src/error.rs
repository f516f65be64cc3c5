//! What can go wrong below the flow: damaged data, a full queue, a store that does not answer.

use model::Kind;

/// An error of the log or the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the data directory or the database.
    #[error("{0} is in use by another process: stop that one first, or choose another place")]
    Locked(String),
    /// The consumed position is not the expected one: somebody else stepped.
    #[error("the position of '{consumer}' is {found}, expected {expected}: another worker has moved it")]
    Moved {
        /// Whose position.
        consumer: String,
        /// What the caller believed.
        expected: i64,
        /// What is stored.
        found: i64,
    },
    /// No such row.
    #[error("{0}")]
    Missing(String),
    /// An idempotency key came again with another body.
    #[error("the idempotency key '{0}' was used before with another body")]
    Reused(String),
    /// Too much is waiting to be stored.
    #[error("too many events wait to be stored; try again in {retry_after_s} s")]
    Full {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The database does not answer; nothing of the call was stored.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// Stored bytes are not what was written.
    #[error("damaged data: {0}")]
    Corrupt(String),
}

impl Error {
    /// What it asks of the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Locked(_) | Error::Moved { .. } | Error::Reused(_) => Kind::Conflict,
            Error::Missing(_) => Kind::Missing,
            Error::Full { .. } => Kind::Limited,
            Error::Unavailable(_) => Kind::Unavailable,
            Error::Corrupt(_) => Kind::Corrupt,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        let text = error.to_string();
        // Source: SQLite's result codes, SQLITE_FULL.
        if text.contains("disk is full") {
            return Error::Unavailable(
                "the disk is full: make room; nothing of the call was stored".to_owned(),
            );
        }
        if text.contains("malformed") || text.contains("not a database") {
            Error::Corrupt(text)
        } else {
            Error::Unavailable(text)
        }
    }
}
