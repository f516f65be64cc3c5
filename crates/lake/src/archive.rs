//! The archive: rows in memory, flushed to files, each log position exactly once.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::Timestamp;
use model::time::MINUTE;

use crate::files::{self, FileEntry, Manifest};
use crate::owners::Owners;
use crate::{Error, scan};

/// Rows in memory after which a flush is due.
const BUFFER_ROWS_MAX: usize = 200_000;
/// Bytes in memory after which a flush is due.
const BUFFER_BYTES_MAX: usize = 64 << 20;
/// A row waits no longer than this for its file.
const BUFFER_AGE_MAX: i64 = MINUTE;
/// Files of one day that are merged once there are so many.
const COMPACT_FILES_MIN: usize = 4;
/// A file of so many rows is left as it is.
const COMPACT_ROWS_MAX: u64 = 500_000;
/// A file of so many bytes in memory is left as it is; with the next one, far below the 2 GB that a column may have.
const COMPACT_BYTES_MAX: u64 = 256 << 20;

/// An event as a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The log position.
    pub position: i64,
    /// The workspace.
    pub workspace: i64,
    /// The profile, 0 when unknown.
    pub profile_id: i64,
    /// The sender's id of the event.
    pub message_id: String,
    /// The call that carried it.
    pub call: String,
    /// The event's name.
    pub name: String,
    /// As given.
    pub user_id: Option<String>,
    /// As given.
    pub anonymous_id: Option<String>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When the sender's clock says it happened.
    pub original_timestamp: Timestamp,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// JSON.
    pub properties: String,
    /// JSON.
    pub context: String,
    /// browser, server, import, internal.
    pub trust: String,
    /// History.
    pub backfill: bool,
}

impl Row {
    fn bytes(&self) -> usize {
        200 + self.properties.len() + self.context.len()
    }
}

#[derive(Default)]
struct Buffer {
    rows: Vec<Arc<Row>>,
    bytes: usize,
    position: i64,
}

/// The lake of one data directory.
pub struct Lake {
    pub(crate) dir: PathBuf,
    buffer: Mutex<Buffer>,
    manifest: RwLock<Arc<Manifest>>,
    /// The number of the last try to write, also of one that failed: no path is written twice.
    writing: Mutex<u64>,
    pub(crate) owners: RwLock<Arc<Owners>>,
    pub(crate) columns: crate::columns::Cache,
}

impl Lake {
    /// Opens or creates `lake` in `dir`; what a crash left half done is removed.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be used.
    pub fn open(dir: &Path) -> Result<Lake, Error> {
        let dir = dir.join("lake");
        std::fs::create_dir_all(&dir)?;
        let manifest = files::newest(&dir)?;
        files::sweep(&dir, &manifest)?;
        let buffer = Buffer { position: manifest.archived_position, ..Buffer::default() };
        let writing = Mutex::new(manifest.number);
        Ok(Lake {
            dir,
            buffer: Mutex::new(buffer),
            manifest: RwLock::new(Arc::new(manifest)),
            writing,
            owners: RwLock::default(),
            columns: crate::columns::Cache::new(crate::columns::BYTES_MAX),
        })
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files and the rows in memory at one instant.
    pub(crate) fn snapshot(&self) -> (Arc<Manifest>, Vec<Arc<Row>>) {
        let buffer = self.buffer();
        let manifest = self.manifest.read().unwrap_or_else(PoisonError::into_inner).clone();
        (manifest, buffer.rows.clone())
    }

    /// The last log position in files.
    pub fn archived_position(&self) -> i64 {
        self.manifest.read().unwrap_or_else(PoisonError::into_inner).archived_position
    }

    /// The last log position known, memory included.
    pub fn position(&self) -> i64 {
        self.buffer().position
    }

    /// Takes rows in the order of their positions; what is known already is left out.
    ///
    /// # Errors
    /// None now; a full disk may come to matter here.
    pub fn append(&self, rows: Vec<Row>) -> Result<(), Error> {
        let mut buffer = self.buffer();
        for row in rows {
            if row.position > buffer.position {
                buffer.position = row.position;
                buffer.bytes += row.bytes();
                buffer.rows.push(Arc::new(row));
            }
        }
        Ok(())
    }

    /// Whether it is time to write a file.
    pub fn needs_flush(&self, now: Timestamp) -> bool {
        let buffer = self.buffer();
        let old = buffer.rows.first().is_some_and(|row| now - row.received_at > BUFFER_AGE_MAX);
        old || buffer.rows.len() > BUFFER_ROWS_MAX || buffer.bytes > BUFFER_BYTES_MAX
    }

    /// Writes what is in memory to files and makes them count. Blocking.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses; the rows stay in memory.
    pub fn flush(&self) -> Result<(), Error> {
        let mut tried = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (manifest, rows) = self.snapshot();
        let Some(last) = rows.last() else { return Ok(()) };
        *tried += 1;
        let mut next =
            Manifest { number: *tried, archived_position: last.position, files: manifest.files.clone() };
        let mut parts: BTreeMap<(i64, String), Vec<&Row>> = BTreeMap::new();
        for row in &rows {
            let day = row.received_at.to_string().chars().take(10).collect();
            parts.entry((row.workspace, day)).or_default().push(row);
        }
        for ((workspace, day), mut rows) in parts {
            rows.sort_by(|a, b| (&a.name, a.timestamp, a.position).cmp(&(&b.name, b.timestamp, b.position)));
            let path = format!("workspace={workspace}/day={day}/part-{:012}.parquet", next.number);
            files::write(&self.dir.join(&path), &[files::batch(&rows)?])?;
            let mut names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
            names.dedup();
            let bytes = rows.iter().map(|row| row.bytes() as u64).sum();
            next.files.push(FileEntry { path, workspace, day, rows: rows.len() as u64, bytes, names });
        }
        files::commit(&self.dir, &next)?;
        let mut buffer = self.buffer();
        let many = rows.len();
        buffer.bytes -= buffer.rows.drain(..many).map(|row| row.bytes()).sum::<usize>();
        *self.manifest.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    /// Merges small files of a day. The number of files that went is returned. Blocking.
    ///
    /// # Errors
    /// `Unavailable` when the disk refuses; nothing has changed then.
    pub fn compact(&self) -> Result<usize, Error> {
        let mut tried = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (manifest, _) = self.snapshot();
        let mut days: BTreeMap<(i64, &str), Vec<&FileEntry>> = BTreeMap::new();
        let small = |file: &&FileEntry| file.rows < COMPACT_ROWS_MAX && file.bytes < COMPACT_BYTES_MAX;
        for file in manifest.files.iter().filter(small) {
            days.entry((file.workspace, &file.day)).or_default().push(file);
        }
        days.retain(|_, files| files.len() >= COMPACT_FILES_MIN);
        let merges: Vec<_> = days
            .into_iter()
            .flat_map(|(key, files)| merges(&files).into_iter().map(move |m| (key, m)))
            .collect();
        if merges.is_empty() {
            return Ok(0);
        }
        *tried += 1;
        let mut next = Manifest { number: *tried, ..(*manifest).clone() };
        let mut gone = 0;
        for (at, ((workspace, day), parts)) in merges.into_iter().enumerate() {
            let batches = scan::whole(&self.dir, &parts)?;
            let path = format!("workspace={workspace}/day={day}/part-{:012}-{at}.parquet", next.number);
            let merged = scan::sorted(&batches)?;
            let rows = parts.iter().map(|part| part.rows).sum();
            if merged.num_rows() as u64 != rows {
                return Err(Error::Corrupt(format!(
                    "the files of workspace {workspace}, {day} hold {} rows instead of {rows}",
                    merged.num_rows()
                )));
            }
            files::write(&self.dir.join(&path), &[merged])?;
            let mut names: Vec<String> = parts.iter().flat_map(|part| part.names.clone()).collect();
            names.sort_unstable();
            names.dedup();
            let bytes = parts.iter().map(|part| part.bytes).sum();
            next.files.retain(|file| !parts.iter().any(|part| part.path == file.path));
            next.files.push(FileEntry { path, workspace, day: day.to_owned(), rows, bytes, names });
            gone += parts.len();
        }
        files::commit(&self.dir, &next)?;
        *self.manifest.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        // The merged files stay until the next start: a scan may be reading them.
        Ok(gone)
    }
}

/// The files of a day in groups of at least two that may be merged: each ends with the file that makes it large.
fn merges<'a>(files: &[&'a FileEntry]) -> Vec<Vec<&'a FileEntry>> {
    let mut out: Vec<Vec<&FileEntry>> = Vec::new();
    let (mut rows, mut bytes) = (u64::MAX, u64::MAX);
    for file in files {
        match out.last_mut() {
            Some(group) if rows < COMPACT_ROWS_MAX && bytes < COMPACT_BYTES_MAX => {
                group.push(file);
                rows += file.rows;
                bytes += file.bytes;
            }
            _ => {
                out.push(vec![file]);
                (rows, bytes) = (file.rows, file.bytes);
            }
        }
    }
    out.retain(|group| group.len() > 1);
    out
}

/// Follows a chain of aliases to its end.
pub fn follow(aliases: &HashMap<i64, i64>, id: i64) -> Option<i64> {
    let mut found = *aliases.get(&id)?;
    // Chains are short; a circle would be a fault elsewhere and must not hang us.
    for _ in 0..100 {
        match aliases.get(&found) {
            Some(next) => found = *next,
            None => return Some(found),
        }
    }
    Some(found)
}
