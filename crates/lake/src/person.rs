//! Every event of one profile, whole.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use model::Timestamp;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};

use crate::{Error, Lake, Row};

impl Lake {
    /// The rows of a profile up to a position, in the order of the log. Their `profile_id` is the number that is stored.
    /// Blocking.
    ///
    /// Cost: a read of the column `profile_id` of all files, and of all columns of the rows that are found.
    ///
    /// # Errors
    /// `Limited` when there are more than `rows_max`, `Corrupt` when a file cannot be read.
    pub fn rows_of(
        &self,
        workspace: i64,
        profile: i64,
        up_to_position: i64,
        rows_max: usize,
    ) -> Result<Vec<Row>, Error> {
        let (manifest, buffered) = self.snapshot();
        let owners = self.owners_now();
        let stored = owners.stored_as(profile);
        let mut out: Vec<Row> = Vec::new();
        let mut each = |row: Row| {
            if row.position <= up_to_position && owners.of(row.profile_id, row.position) == profile {
                if out.len() == rows_max {
                    return Err(Error::Limited(format!("the profile has more than {rows_max} events")));
                }
                out.push(row);
            }
            Ok(())
        };
        for file in manifest.files.iter().filter(|file| file.workspace == workspace) {
            read(&self.dir.join(&file.path), workspace, &stored, &mut each)?;
        }
        for row in
            buffered.iter().filter(|row| row.workspace == workspace && stored.contains(&row.profile_id))
        {
            each(row.as_ref().clone())?;
        }
        out.sort_by_key(|row| row.position);
        Ok(out)
    }
}

fn read(
    path: &Path,
    workspace: i64,
    profiles: &HashSet<i64>,
    each: &mut dyn FnMut(Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["profile_id"]);
    let wanted = profiles.clone();
    let theirs = ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        Ok(BooleanArray::from_unary(ids, |id| wanted.contains(&id)))
    });
    for batch in builder.with_row_filter(RowFilter::new(vec![Box::new(theirs)])).build()? {
        rows(&batch?, path, workspace, each)?;
    }
    Ok(())
}

fn rows(
    batch: &RecordBatch,
    path: &Path,
    workspace: i64,
    each: &mut dyn FnMut(Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let column = |name: &str| {
        let found = batch.column_by_name(name);
        found.ok_or_else(|| Error::Corrupt(format!("{} has no column {name}", path.display())))
    };
    let whole = |name: &str| column(name).map(|column| column.as_primitive::<Int64Type>());
    let text = |name: &str| column(name).map(|column| column.as_string::<i32>());
    let instant = |name: &str| column(name).map(|column| column.as_primitive::<TimestampMicrosecondType>());
    let (positions, profiles) = (whole("position")?, whole("profile_id")?);
    let (ids, names, calls) = (text("message_id")?, text("name")?, text("call")?);
    let (users, browsers) = (text("user_id")?, text("anonymous_id")?);
    let (properties, contexts, trusts) = (text("properties")?, text("context")?, text("trust")?);
    let (times, received, original) =
        (instant("timestamp")?, instant("received_at")?, instant("original_timestamp")?);
    let backfill = column("backfill")?.as_boolean();
    let maybe = |column: &StringArray, at: usize| (!column.is_null(at)).then(|| column.value(at).to_owned());
    for at in 0..batch.num_rows() {
        each(Row {
            position: positions.value(at),
            workspace,
            profile_id: profiles.value(at),
            message_id: ids.value(at).to_owned(),
            call: calls.value(at).to_owned(),
            name: names.value(at).to_owned(),
            user_id: maybe(users, at),
            anonymous_id: maybe(browsers, at),
            timestamp: Timestamp::from_micros(times.value(at)),
            original_timestamp: Timestamp::from_micros(original.value(at)),
            received_at: Timestamp::from_micros(received.value(at)),
            properties: properties.value(at).to_owned(),
            context: contexts.value(at).to_owned(),
            trust: trusts.value(at).to_owned(),
            backfill: backfill.value(at),
        })?;
    }
    Ok(())
}
