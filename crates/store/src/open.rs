//! Opening the store: the lock on the data directory, the schema, one write connection and a pool of readers.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use crate::Error;
use crate::sql::{Lite, Pool, Session, query};

/// Where log and state are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `log.db` and `store.db` in this directory.
    Directory(PathBuf),
    /// The schema `rapport` of this PostgreSQL database, `postgres://…`.
    Postgres(String),
}

/// Present state. One connection writes; readers see the last commit.
pub struct Store {
    writer: Mutex<Writer>,
    pub(crate) readers: Pool,
}

struct Writer {
    session: Session,
    /// How to connect again; SQLite's connection does not break.
    address: Option<PgConnectOptions>,
}

/// Holds a data directory for this process until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory, making it when it is not there.
    ///
    /// # Errors
    /// `Locked` when another process has it.
    pub fn take(dir: &Path) -> Result<DirectoryLock, Error> {
        let unavailable = |error: std::io::Error| {
            Error::Unavailable(format!("the data directory {} cannot be used: {error}", dir.display()))
        };
        std::fs::create_dir_all(dir).map_err(unavailable)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(dir.join("lock"))
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {
                // Who holds it, for the message of whoever comes next.
                file.set_len(0).map_err(unavailable)?;
                write!(file, "{}", std::process::id()).map_err(unavailable)?;
                Ok(DirectoryLock { _file: file })
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                let holder = holder
                    .trim()
                    .parse::<u32>()
                    .map_or_else(|_| String::new(), |process| format!(", held by process {process},"));
                Err(Error::Locked(format!("the data directory {}{holder}", dir.display())))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }
}

/// One open database file or schema: a session that writes, and readers.
pub(crate) struct Opened {
    pub session: Session,
    pub readers: Pool,
    pub address: Option<PgConnectOptions>,
}

/// Opens `name` at a location and makes its tables.
///
/// # Errors
/// `Unavailable` when it cannot be opened, `Corrupt` when it is something else, `Locked` when another process writes it.
pub(crate) async fn open(
    location: &Location,
    name: &str,
    readers: u32,
    schema: &str,
) -> Result<Opened, Error> {
    match location {
        Location::Directory(dir) => {
            let options = sqlite_options(&dir.join(format!("{name}.db")));
            let mut session =
                Session::Sqlite(Box::new(Lite::new(SqliteConnection::connect_with(&options).await?)));
            session.script(schema.to_owned()).await?;
            let pool = SqlitePoolOptions::new()
                .max_connections(readers)
                .connect_with(options.read_only(true))
                .await?;
            Ok(Opened { session, readers: Pool::Sqlite(pool), address: None })
        }
        Location::Postgres(url) => {
            let address = postgres_options(url)?;
            let mut session = connect(&address, name).await?;
            session.script(postgres_schema(schema)).await?;
            let pool = PgPoolOptions::new()
                .max_connections(readers)
                .acquire_timeout(Duration::from_secs(10))
                .connect_with(address.clone())
                .await?;
            Ok(Opened { session, readers: Pool::Postgres(pool), address: Some(address) })
        }
    }
}

/// Connects a writer of PostgreSQL and takes the lock of its name, which the session holds until it ends.
pub(crate) async fn connect(address: &PgConnectOptions, name: &str) -> Result<Session, Error> {
    let one = PgConnection::connect_with(address).await?;
    let mut session = Session::Postgres(Box::new(one));
    session.script("CREATE SCHEMA IF NOT EXISTS rapport".to_owned()).await?;
    let key = xxhash_rust::xxh3::xxh3_64(format!("rapport {name}").as_bytes()) as i64;
    // A former session of ours may take a moment to be noticed as gone.
    for attempt in 0..20 {
        let free: bool = query("SELECT pg_try_advisory_lock($1)").bind(key).scalar(&mut session).await?;
        if free {
            return Ok(session);
        }
        if attempt < 19 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let database = address.get_database().unwrap_or("postgres");
    Err(Error::Locked(format!("the database {database} on {}", address.get_host())))
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30))
        .pragma("cache_size", "-65536")
        // No memory map: a failing disk must be an error, not a signal.
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

fn postgres_options(url: &str) -> Result<PgConnectOptions, Error> {
    // The parser's message may quote the address, and with it a password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::Unavailable(
            "the store's address cannot be read: expected postgres://user:password@host:port/database"
                .to_owned(),
        )
    })?;
    Ok(options
        .application_name("rapport")
        // A commit is durable before it is answered, whatever the server's default is.
        .options([("search_path", "rapport"), ("synchronous_commit", "on")])
        .disable_statement_logging())
}

/// The same tables in PostgreSQL's words.
fn postgres_schema(schema: &str) -> String {
    schema
        .replace("id INTEGER PRIMARY KEY", "id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
        .replace("number INTEGER PRIMARY KEY", "number BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
        .replace(" INTEGER", " BIGINT")
        .replace(" BLOB", " BYTEA")
        .replace(" WITHOUT ROWID", "")
}

impl Store {
    /// Opens or creates the store.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, `Corrupt` when it is not a store, `Locked` when another process writes it.
    pub async fn open(location: &Location) -> Result<Store, Error> {
        let opened = open(location, "store", 8, include_str!("schema.sql")).await?;
        Ok(Store {
            writer: Mutex::new(Writer { session: opened.session, address: opened.address }),
            readers: opened.readers,
        })
    }

    /// Waits for the write connection; one to PostgreSQL that broke is made anew.
    pub(crate) async fn write(&self) -> Result<WriteGuard<'_>, Error> {
        let mut writer = self.writer.lock().await;
        if let Writer { session: Session::Postgres(one), address: Some(address) } = &mut *writer
            && one.ping().await.is_err()
        {
            tracing::warn!("the connection to the store broke; connecting again");
            writer.session = connect(&address.clone(), "store").await?;
        }
        Ok(WriteGuard(writer))
    }
}

/// The write connection, for one writer at a time.
pub(crate) struct WriteGuard<'a>(MutexGuard<'a, Writer>);

impl std::ops::Deref for WriteGuard<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0.session
    }
}

impl std::ops::DerefMut for WriteGuard<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0.session
    }
}
