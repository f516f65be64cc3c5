//! History by the file: the columns a condition needs, without SQL.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use model::column::covers;
use model::{Map, Timestamp, Value};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::files::{FileEntry, SCHEMA};
use crate::{Error, Lake};

/// Rows read at once.
const BATCH_ROWS: usize = 8_192;

/// One event of a scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanRow<'a> {
    /// The log position.
    pub position: i64,
    /// The profile as it is now.
    pub profile_id: i64,
    /// The event's name.
    pub name: &'a str,
    /// When it happened.
    pub timestamp: Timestamp,
    /// JSON; `{}` when not asked for.
    pub properties: &'a str,
}

impl Lake {
    /// Passes every event of a workspace with one of `names` (all when empty; `Email *` is all
    /// names that begin so) up to a position to `each`, in no
    /// particular order. Blocking.
    ///
    /// # Errors
    /// `Corrupt` when a file cannot be read.
    pub fn scan(
        &self,
        workspace: i64,
        names: &[String],
        up_to_position: i64,
        with_properties: bool,
        each: &mut dyn FnMut(&ScanRow<'_>),
    ) -> Result<(), Error> {
        let (manifest, buffered) = self.snapshot();
        let owners = self.owners_now();
        let wanted = |name: &str| names.is_empty() || names.iter().any(|known| covers(known, name));
        for file in manifest.files.iter().filter(|file| file.workspace == workspace) {
            if !file.names.iter().any(|name| wanted(name)) {
                continue;
            }
            scan_file(&self.dir.join(&file.path), with_properties, &mut |row| {
                if row.position <= up_to_position && wanted(row.name) {
                    each(&ScanRow { profile_id: owners.of(row.profile_id, row.position), ..*row });
                }
            })?;
        }
        for row in buffered {
            if row.workspace == workspace && row.position <= up_to_position && wanted(&row.name) {
                each(&ScanRow {
                    position: row.position,
                    profile_id: owners.of(row.profile_id, row.position),
                    name: &row.name,
                    timestamp: row.timestamp,
                    properties: if with_properties { &row.properties } else { "{}" },
                });
            }
        }
        Ok(())
    }
}

impl Lake {
    /// No more rows than these have to be looked at for events of these names (all when empty).
    pub fn rows_at_most(&self, workspace: i64, names: &[String]) -> u64 {
        let (manifest, buffered) = self.snapshot();
        let wanted = |name: &str| names.is_empty() || names.iter().any(|known| covers(known, name));
        let files = manifest.files.iter().filter(|file| file.workspace == workspace);
        let files = files.filter(|file| file.names.iter().any(|name| wanted(name)));
        let rows: u64 = files.map(|file| file.rows).sum();
        let theirs = buffered.iter().filter(|row| row.workspace == workspace && wanted(&row.name));
        rows + theirs.count() as u64
    }
}

fn scan_file(path: &Path, with_properties: bool, each: &mut dyn FnMut(&ScanRow<'_>)) -> Result<(), Error> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mut columns = vec!["position", "profile_id", "name", "timestamp"];
    if with_properties {
        columns.push("properties");
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    for batch in builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()? {
        let batch = batch?;
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| Error::Corrupt(format!("{} has no column {name}", path.display())))
        };
        let positions = column("position")?.as_primitive::<Int64Type>();
        let profiles = column("profile_id")?.as_primitive::<Int64Type>();
        let names = column("name")?.as_string::<i32>();
        let times = column("timestamp")?.as_primitive::<TimestampMicrosecondType>();
        let properties = if with_properties { Some(column("properties")?.as_string::<i32>()) } else { None };
        for at in 0..batch.num_rows() {
            each(&ScanRow {
                position: positions.value(at),
                profile_id: profiles.value(at),
                name: names.value(at),
                timestamp: Timestamp::from_micros(times.value(at)),
                properties: properties.map_or("{}", |column| column.value(at)),
            });
        }
    }
    Ok(())
}

/// Whole files as columns.
pub fn whole(dir: &Path, files: &[&FileEntry]) -> Result<Vec<RecordBatch>, Error> {
    let mut out = Vec::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(dir.join(&file.path))?)?.build()?;
        for batch in reader {
            out.push(batch?);
        }
    }
    Ok(out)
}

/// All rows in the order files have: name, time, position.
pub fn sorted(batches: &[RecordBatch]) -> Result<RecordBatch, Error> {
    let all = concat_batches(&SCHEMA, batches)?;
    let keys = ["name", "timestamp", "position"].into_iter().filter_map(|name| {
        let values = all.column_by_name(name)?.clone();
        Some(SortColumn { values, options: None })
    });
    let order: UInt32Array = lexsort_to_indices(&keys.collect::<Vec<_>>(), None)?;
    let columns =
        all.columns().iter().map(|column| take(column, &order, None)).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(SCHEMA.clone(), columns)?)
}

/// The names of a Parquet file's columns.
///
/// # Errors
/// When the file cannot be opened or is no Parquet.
pub fn parquet_columns(path: &Path) -> Result<Vec<String>, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    Ok(reader.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// The rows of any Parquet file as JSON objects, streamed.
///
/// # Errors
/// When the file cannot be opened; damaged parts are yielded as errors.
pub fn read_parquet(path: &Path) -> Result<impl Iterator<Item = Result<Map, Error>> + use<>, Error> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(1_024).build()?;
    Ok(reader.flat_map(|batch| {
        match batch.map_err(Error::from).and_then(|batch| objects(&Arc::new(batch))) {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }
    }))
}

fn objects(batch: &RecordBatch) -> Result<Vec<Map>, Error> {
    let mut out = vec![Map::new(); batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let cells = crate::query::cells(column)?;
        for (row, cell) in out.iter_mut().zip(cells) {
            if cell != Value::Null {
                row.insert(field.name().clone(), cell);
            }
        }
    }
    Ok(out)
}
