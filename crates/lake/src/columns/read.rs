//! Parts of a file: which names it has where, and ranges of its rows.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use model::column::{Coded, Names};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use super::extract::Extractor;
use crate::Error;
use crate::owners::Owners;

/// Rows read at once.
const BATCH_ROWS: usize = 8_192;

/// The rows of one name in a file: they lie together, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The events' name.
    pub name: String,
    /// Where they lie.
    pub rows: Range<usize>,
    /// The earliest. Units: microseconds since 1970 UTC.
    pub first: i64,
    /// The latest. Units: microseconds since 1970 UTC.
    pub last: i64,
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, Error> {
    let column = batch.column_by_name(name);
    column
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::Corrupt(format!("a file of the lake has no column {name}")))
}

/// Passes a range of rows to `each`, in order.
fn read(
    path: &Path,
    columns: &[&str],
    range: Option<Range<usize>>,
    each: &mut dyn FnMut(&RecordBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    if let Some(range) = range {
        let (mut groups, mut skipped, mut start) = (Vec::new(), None, 0);
        for (number, group) in builder.metadata().row_groups().iter().enumerate() {
            let end = start + group.num_rows() as usize;
            if end > range.start && start < range.end {
                skipped.get_or_insert(range.start - start);
                groups.push(number);
            }
            start = end;
        }
        let selectors = vec![RowSelector::skip(skipped.unwrap_or(0)), RowSelector::select(range.len())];
        builder = builder.with_row_groups(groups).with_row_selection(RowSelection::from(selectors));
    }
    for batch in builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()? {
        each(&batch?)?;
    }
    Ok(())
}

/// Which names a file has, and where.
pub fn slices(path: &Path) -> Result<Vec<Slice>, Error> {
    let mut out: Vec<Slice> = Vec::new();
    let mut at = 0;
    read(path, &["name", "timestamp"], None, &mut |batch| {
        let names = column(batch, "name")?.as_string::<i32>();
        let times = column(batch, "timestamp")?.as_primitive::<TimestampMicrosecondType>().values();
        for row in 0..batch.num_rows() {
            let (name, time) = (names.value(row), times[row]);
            match out.last_mut().filter(|slice| slice.name == name && slice.last <= time) {
                Some(slice) => (slice.rows.end, slice.last) = (at + row + 1, time),
                None => {
                    let rows = at + row..at + row + 1;
                    out.push(Slice { name: name.to_owned(), rows, first: time, last: time });
                }
            }
        }
        at += batch.num_rows();
        Ok(())
    })?;
    Ok(out)
}

/// Whose the rows of a range are and when they happened.
pub fn base(path: &Path, range: Range<usize>, owners: &Owners) -> Result<(Vec<u32>, Vec<i64>), Error> {
    let (mut profiles, mut times) = (Vec::with_capacity(range.len()), Vec::with_capacity(range.len()));
    let many = range.len();
    let all = ["profile_id", "timestamp", "position"];
    let columns = if owners.has_moved() { &all[..] } else { &all[..2] };
    read(path, columns, Some(range), &mut |batch| {
        let ids = column(batch, "profile_id")?.as_primitive::<Int64Type>().values();
        if owners.has_moved() {
            let positions = column(batch, "position")?.as_primitive::<Int64Type>().values();
            profiles.extend(ids.iter().zip(positions).map(|(id, at)| number(owners.given(*id, *at))));
        } else {
            profiles.extend(ids.iter().map(|id| number(*id)));
        }
        times.extend_from_slice(
            column(batch, "timestamp")?.as_primitive::<TimestampMicrosecondType>().values(),
        );
        Ok(())
    })?;
    if profiles.len() == many { Ok((profiles, times)) } else { Err(short(path)) }
}

fn short(path: &Path) -> Error {
    Error::Corrupt(format!("{} has fewer rows than it had", path.display()))
}

/// A profile's number; one that no profile has stands for what is no number of ours.
pub fn number(id: i64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// Properties of the rows of a range.
pub fn properties(path: &Path, range: Range<usize>, wanted: &[Names]) -> Result<Vec<Coded>, Error> {
    let mut extractor = Extractor::new(wanted);
    let mut many = range.len();
    read(path, &["properties"], Some(range), &mut |batch| {
        let texts = column(batch, "properties")?.as_string::<i32>();
        many = many.saturating_sub(texts.len());
        (0..texts.len()).for_each(|row| extractor.take(texts.value(row)));
        Ok(())
    })?;
    if many == 0 { Ok(extractor.finish()) } else { Err(short(path)) }
}
