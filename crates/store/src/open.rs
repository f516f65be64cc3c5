//! Opening the store: the lock on the data directory, the schema, one write connection and a pool of readers.

use std::fs::File;
use std::path::Path;

use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use crate::Error;

/// Present state. One connection writes; readers see the last commit.
pub struct Store {
    pub(crate) writer: Mutex<SqliteConnection>,
    pub(crate) readers: SqlitePool,
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
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked(dir.display().to_string())),
            Err(std::fs::TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }
}

impl Store {
    /// Opens or creates `store.db` in `dir`.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be opened, `Corrupt` when it is not a store.
    pub async fn open(dir: &Path) -> Result<Store, Error> {
        let options = crate::log::options(&dir.join("store.db"));
        let mut writer = SqliteConnection::connect_with(&options).await?;
        sqlx::raw_sql(include_str!("schema.sql")).execute(&mut writer).await?;
        let readers =
            SqlitePoolOptions::new().max_connections(8).connect_with(options.read_only(true)).await?;
        Ok(Store { writer: Mutex::new(writer), readers })
    }

    /// Waits for the write connection.
    pub(crate) async fn write(&self) -> MutexGuard<'_, SqliteConnection> {
        self.writer.lock().await
    }
}
