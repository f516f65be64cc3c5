//! Columns, Parquet files and manifests on disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use crate::{Error, Row};

/// Rows of one row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// The columns of a file.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("position", DataType::Int64, false),
        Field::new("message_id", DataType::Utf8, false),
        Field::new("profile_id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("call", DataType::Utf8, false),
        Field::new("user_id", DataType::Utf8, true),
        Field::new("anonymous_id", DataType::Utf8, true),
        Field::new("timestamp", instant(), false),
        Field::new("received_at", instant(), false),
        Field::new("original_timestamp", instant(), false),
        Field::new("properties", DataType::Utf8, false),
        Field::new("context", DataType::Utf8, false),
        Field::new("trust", DataType::Utf8, false),
        Field::new("backfill", DataType::Boolean, false),
    ]))
});

/// A file that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the lake's directory.
    pub path: String,
    /// Whose events.
    pub workspace: i64,
    /// The day they arrived.
    pub day: String,
    /// How many.
    pub rows: u64,
    /// Their columns in memory, at most; 0 when not known. Units: bytes.
    #[serde(default)]
    pub bytes: u64,
    /// The names of the events in it.
    pub names: Vec<String>,
}

/// The state of the lake after a flush.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// From 1; the newest counts.
    pub number: u64,
    /// The last log position in the files.
    pub archived_position: i64,
    /// The files that count.
    pub files: Vec<FileEntry>,
}

/// The rows as columns.
pub fn batch(rows: &[&Row]) -> Result<RecordBatch, Error> {
    let text = |get: fn(&Row) -> &str| {
        Arc::new(rows.iter().map(|row| Some(get(row))).collect::<StringArray>()) as ArrayRef
    };
    let maybe = |get: fn(&Row) -> Option<&str>| {
        Arc::new(rows.iter().map(|row| get(row)).collect::<StringArray>()) as ArrayRef
    };
    let whole =
        |get: fn(&Row) -> i64| Arc::new(rows.iter().map(|row| get(row)).collect::<Int64Array>()) as ArrayRef;
    let instant = |get: fn(&Row) -> i64| {
        let values: Vec<i64> = rows.iter().map(|row| get(row)).collect();
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef
    };
    let columns = vec![
        whole(|row| row.position),
        text(|row| &row.message_id),
        whole(|row| row.profile_id),
        text(|row| &row.name),
        text(|row| &row.call),
        maybe(|row| row.user_id.as_deref()),
        maybe(|row| row.anonymous_id.as_deref()),
        instant(|row| row.timestamp.micros()),
        instant(|row| row.received_at.micros()),
        instant(|row| row.original_timestamp.micros()),
        text(|row| &row.properties),
        text(|row| &row.context),
        text(|row| &row.trust),
        Arc::new(rows.iter().map(|row| Some(row.backfill)).collect::<BooleanArray>()) as ArrayRef,
    ];
    Ok(RecordBatch::try_new(SCHEMA.clone(), columns)?)
}

/// Writes columns to a new file and waits for the disk.
pub fn write(path: &Path, batches: &[RecordBatch]) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let level = ZstdLevel::try_new(3)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let file = File::create(path)?;
    let mut writer = ArrowWriter::try_new(file, SCHEMA.clone(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    let file = writer.into_inner()?;
    file.sync_all()?;
    // The file's entry in its directory must be as durable as the manifest that will name it; so must the day's
    // and the workspace's.
    for dir in path.ancestors().skip(1).take(3) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn manifest_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("manifest-{number:012}.json"))
}

/// The numbers of the manifests that are there, in order.
fn numbers(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("manifest-")?.strip_suffix(".json")?.parse::<u64>().ok());
        out.extend(number);
    }
    out.sort_unstable();
    Ok(out)
}

/// The newest manifest.
///
/// # Errors
/// `Corrupt` when there are manifests and none counts: to begin anew would remove all files.
pub fn newest(dir: &Path) -> Result<Manifest, Error> {
    let mut numbers = numbers(dir)?;
    let first = numbers.len() == 1 && numbers[0] == 1;
    let (mut torn, any) = (false, !numbers.is_empty());
    while let Some(number) = numbers.pop() {
        let bytes = fs::read(manifest_path(dir, number))?;
        // A torn newest manifest was never announced: the one before it counts.
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
            torn = true;
            continue;
        };
        // Only a manifest that was announced loses files of the one before it: then it is damaged, not torn.
        if torn && let Some(lost) = manifest.files.iter().find(|file| !dir.join(&file.path).exists()) {
            return Err(Error::Corrupt(format!(
                "a manifest after number {number} cannot be read, and number {number} names {}, which is gone",
                lost.path
            )));
        }
        return Ok(manifest);
    }
    if any && !first {
        return Err(Error::Corrupt(format!("no manifest in {} can be read", dir.display())));
    }
    Ok(Manifest::default())
}

/// Makes a manifest the newest: it is there whole or not at all.
pub fn commit(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    let text = serde_json::to_vec(manifest).map_err(|error| Error::Corrupt(error.to_string()))?;
    let unfinished = dir.join("manifest.unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&unfinished, manifest_path(dir, manifest.number))?;
    File::open(dir)?.sync_all()?;
    for number in numbers(dir)?.into_iter().filter(|number| number + 2 < manifest.number) {
        // It is in nobody's way; the next commit or start tries again.
        let _ = fs::remove_file(manifest_path(dir, number));
    }
    Ok(())
}

/// Removes files that the manifest does not name, written before a crash or merged into others, and torn manifests.
pub fn sweep(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    for number in numbers(dir)?.into_iter().filter(|number| *number > manifest.number) {
        fs::remove_file(manifest_path(dir, number))?;
    }
    let known: std::collections::HashSet<PathBuf> =
        manifest.files.iter().map(|file| dir.join(&file.path)).collect();
    let unfinished = dir.join("manifest.unfinished");
    if unfinished.exists() {
        fs::remove_file(unfinished)?;
    }
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") && !known.contains(&path) {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}
