//! SQL: one SELECT over a workspace's events and the tables its caller gives, within limits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext, col};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use futures::StreamExt;
use model::{Timestamp, Value};
use serde::Serialize;
use serde_json::json;

use crate::files::{self, SCHEMA};
use crate::{Error, Lake, udf};

/// Bytes of a query's text.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Open parentheses within each other.
const NESTING_MAX: usize = 100;

/// The type of a given table's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Yes or no.
    Boolean,
    /// Instants, as microseconds since 1970 UTC.
    Timestamp,
}

/// A table of present state, as its caller gives it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<(String, ColumnType)>,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
}

/// What a query may use.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// Rows of the answer.
    pub rows: usize,
    /// Time. Units: seconds.
    pub seconds: u64,
    /// Memory. Units: bytes.
    pub memory_bytes: usize,
}

impl Default for QueryLimits {
    fn default() -> QueryLimits {
        QueryLimits { rows: 10_000, seconds: 30, memory_bytes: 512 << 20 }
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
    /// There would be more rows.
    pub truncated: bool,
    /// How long it took.
    pub took_ms: u64,
}

/// The columns of `events`: (name, type).
pub fn events_columns() -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> =
        SCHEMA.fields().iter().map(|field| (field.name().clone(), kind(field.data_type()))).collect();
    out.push(("event".to_owned(), "text".to_owned()));
    out
}

fn kind(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Boolean => "boolean",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "float",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        other if other.is_integer() => "integer",
        _ => "other",
    }
    .to_owned()
}

/// Refuses text that no parser should see.
fn guard(sql: &str) -> Result<(), Error> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(Error::Limited(format!("The query is longer than {TEXT_BYTES_MAX} bytes.")));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in sql.bytes() {
        match byte {
            b'(' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > NESTING_MAX {
        return Err(Error::Limited(format!(
            "The query nests {deepest} parentheses; at most {NESTING_MAX} are read."
        )));
    }
    Ok(())
}

fn parse(sql: &str) -> Result<Statement, Error> {
    guard(sql)?;
    let mut statements = DFParser::parse_sql(sql)
        .map_err(|error| Error::Invalid(format!("The SQL is not understood: {error}")))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(Statement::Statement(statement)), true) if matches!(*statement, Sql::Query(_)) => {
            Ok(Statement::Statement(statement))
        }
        (None, _) => Err(Error::Invalid("The query is empty: write a SELECT.".to_owned())),
        _ => Err(Error::Invalid("Only one SELECT is answered; nothing can be changed here.".to_owned())),
    }
}

/// The tables a query names.
///
/// # Errors
/// As [`Lake::query`].
pub fn table_names_in(sql: &str) -> Result<Vec<String>, Error> {
    let statement = parse(sql)?;
    let context = SessionContext::new();
    let references = context
        .state()
        .resolve_table_references(&statement)
        .map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(references.into_iter().map(|reference| reference.table().to_owned()).collect())
}

impl Lake {
    /// Answers one SELECT over `events` of a workspace and the given tables.
    ///
    /// # Errors
    /// `Invalid` for what is no SELECT or names what is not there, `Limited` at a limit.
    pub async fn query(
        &self,
        workspace: i64,
        sql: &str,
        tables: Vec<Table>,
        limits: &QueryLimits,
    ) -> Result<Answer, Error> {
        let timer = tokio::time::Instant::now();
        let statement = parse(sql)?;
        let answer = tokio::time::timeout(
            Duration::from_secs(limits.seconds),
            self.run(workspace, statement, tables, limits),
        )
        .await
        .map_err(|_| {
            Error::Limited(format!("The query took longer than {} s: ask for less.", limits.seconds))
        })??;
        Ok(Answer { took_ms: timer.elapsed().as_millis() as u64, ..answer })
    }

    async fn run(
        &self,
        workspace: i64,
        statement: Statement,
        tables: Vec<Table>,
        limits: &QueryLimits,
    ) -> Result<Answer, Error> {
        let invalid = |error: datafusion::error::DataFusionError| explain(&error);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
            .build_arc()
            .map_err(invalid)?;
        let config = SessionConfig::new().with_information_schema(false).with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime);
        for function in udf::all(self.aliases()) {
            context.register_udf(function);
        }
        self.register_events(&context, workspace).await?;
        for table in tables {
            let batch = columns_of(&table)?;
            let name = table.name.clone();
            let memory = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(invalid)?;
            context.register_table(name, Arc::new(memory)).map_err(invalid)?;
        }
        let plan = context.state().statement_to_plan(statement).await.map_err(invalid)?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(invalid)?;
        let frame = context.execute_logical_plan(plan).await.map_err(invalid)?;
        let columns = frame
            .schema()
            .fields()
            .iter()
            .map(|field| Column { name: field.name().clone(), kind: kind(field.data_type()) })
            .collect();
        let mut stream = frame.execute_stream().await.map_err(invalid)?;
        let mut rows: Vec<Vec<Value>> = Vec::new();
        let mut truncated = false;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(invalid)?;
            let columns = batch.columns().iter().map(cells).collect::<Result<Vec<_>, _>>()?;
            for at in 0..batch.num_rows() {
                if rows.len() == limits.rows {
                    truncated = true;
                    break;
                }
                rows.push(columns.iter().map(|column| column[at].clone()).collect());
            }
            if truncated {
                break;
            }
        }
        Ok(Answer { columns, rows, truncated, took_ms: 0 })
    }

    async fn register_events(&self, context: &SessionContext, workspace: i64) -> Result<(), Error> {
        let invalid = |error: datafusion::error::DataFusionError| Error::Unavailable(error.to_string());
        let (manifest, buffered) = self.snapshot();
        let mine: Vec<&crate::Row> =
            buffered.iter().map(|row| &**row).filter(|row| row.workspace == workspace).collect();
        let memory = MemTable::try_new(SCHEMA.clone(), vec![vec![files::batch(&mine)?]]).map_err(invalid)?;
        let mut frame = context.read_table(Arc::new(memory)).map_err(invalid)?;
        let paths: Vec<String> = manifest
            .files
            .iter()
            .filter(|file| file.workspace == workspace)
            .map(|file| self.dir.join(&file.path))
            .map(|path| std::path::absolute(&path).unwrap_or(path).display().to_string())
            .collect();
        if !paths.is_empty() {
            let options = ParquetReadOptions::default().schema(&SCHEMA).parquet_pruning(true);
            let stored = context.read_parquet(paths, options).await.map_err(invalid)?;
            frame = stored.union(frame).map_err(invalid)?;
        }
        let resolve = udf::resolve(self.aliases());
        let columns: Vec<_> = SCHEMA
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "profile_id" => resolve.call(vec![col("profile_id")]).alias("profile_id"),
                name => col(name),
            })
            .chain([col("name").alias("event")])
            .collect();
        let frame = frame.select(columns).map_err(invalid)?;
        context.register_table("events", frame.into_view()).map_err(invalid)?;
        Ok(())
    }
}

/// An error of the planner or the run, for people.
fn explain(error: &datafusion::error::DataFusionError) -> Error {
    let text = error.strip_backtrace();
    if text.contains("Resources exhausted") || text.contains("memory") && text.contains("Failed to allocate")
    {
        return Error::Limited(
            "The query needs more memory than it may have: group or filter more.".to_owned(),
        );
    }
    if text.contains("table") && text.contains("not found") {
        return Error::Invalid(format!("{text}. There are: events, profiles, memberships, messages."));
    }
    Error::Invalid(text)
}

fn columns_of(table: &Table) -> Result<RecordBatch, Error> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (place, (name, column)) in table.columns.iter().enumerate() {
        let cells = table.rows.iter().map(|row| row.get(place).unwrap_or(&Value::Null));
        let array: ArrayRef = match column {
            ColumnType::Text => Arc::new(cells.map(Value::as_str).collect::<StringArray>()),
            ColumnType::Integer => Arc::new(cells.map(Value::as_i64).collect::<Int64Array>()),
            ColumnType::Float => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
            ColumnType::Boolean => Arc::new(cells.map(Value::as_bool).collect::<BooleanArray>()),
            ColumnType::Timestamp => {
                Arc::new(cells.map(Value::as_i64).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        };
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// The cells of a column as JSON.
pub fn cells(column: &ArrayRef) -> Result<Vec<Value>, Error> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let micros = match column.data_type() {
        DataType::Timestamp(unit, _) => Some(match unit {
            TimeUnit::Second => 1_000_000,
            TimeUnit::Millisecond => 1_000,
            _ => 1,
        }),
        _ => None,
    };
    let nanos = matches!(column.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _));
    let whole = if micros.is_some() { Some(arrow::compute::cast(column, &DataType::Int64)?) } else { None };
    let mut out = Vec::with_capacity(column.len());
    for at in 0..column.len() {
        if column.is_null(at) {
            out.push(Value::Null);
            continue;
        }
        if let (Some(whole), Some(factor)) = (&whole, micros) {
            let raw = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(whole).value(at);
            let micros = if nanos { raw / 1_000 } else { raw.saturating_mul(factor) };
            out.push(json!(Timestamp::from_micros(micros)));
            continue;
        }
        let text = formatter.value(at).to_string();
        out.push(match column.data_type() {
            DataType::Boolean => json!(text == "true"),
            other if other.is_integer() => text.parse::<i64>().map_or(json!(text), |number| json!(number)),
            other if other.is_floating() => text.parse::<f64>().map_or(json!(text), |number| json!(number)),
            _ => json!(text),
        });
    }
    Ok(out)
}
