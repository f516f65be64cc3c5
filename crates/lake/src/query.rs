//! SQL: one SELECT over a workspace's events and the tables its caller gives, within limits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext, col, lit};
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use model::{Timestamp, Value};
use object_store::local::LocalFileSystem;
use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;

use crate::files::{self, SCHEMA};
use crate::guard::{STACK_BYTES, parse, with_stack};
use crate::{Error, Lake, udf};

/// The lake's directory to the engine: no name of a directory is read as a pattern.
const FILES: &str = "lake://files/";
/// Functions that make much memory of few words, which no memory limit sees.
const GREEDY: [&str; 9] = [
    "array_repeat",
    "array_resize",
    "generate_series",
    "list_repeat",
    "list_resize",
    "lpad",
    "range",
    "repeat",
    "rpad",
];

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

/// The tables a query names.
///
/// # Errors
/// As [`Lake::query`].
pub fn table_names_in(sql: &str) -> Result<Vec<String>, Error> {
    let statement = parse(sql)?;
    let references = with_stack(|| {
        let state = SessionContext::new().state();
        state.resolve_table_references(&statement).map_err(|error| explain(&error))
    })?;
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
        let seconds = limits.seconds;
        let late = || Error::Limited(format!("The query took longer than {seconds} s: ask for less."));
        let answer = tokio::time::timeout(Duration::from_secs(seconds), async {
            let context = self.context(workspace, tables, limits).await?;
            let (mut send, receive) = oneshot::channel();
            let rows = limits.rows;
            // A thread of its own: the planner does not yield, and must hold up nobody else.
            let work = move || {
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = send.send(Err(error.into()));
                        return;
                    }
                };
                let answer = runtime.block_on(async {
                    tokio::select! {
                        () = send.closed() => None,
                        answer = run(context, statement, rows) => Some(answer),
                    }
                });
                if let Some(answer) = answer {
                    // Nobody may be waiting any more.
                    let _ = send.send(answer);
                }
                runtime.shutdown_background();
            };
            std::thread::Builder::new().name("query".to_owned()).stack_size(STACK_BYTES).spawn(work)?;
            // The engine panics where a text column outgrows 2 GB; nothing of ours is changed by a query.
            receive.await.unwrap_or_else(|_| {
                Err(Error::Limited("The query cannot be run as it is: ask for less.".to_owned()))
            })
        })
        .await
        .map_err(|_| late())??;
        Ok(Answer { took_ms: timer.elapsed().as_millis() as u64, ..answer })
    }

    async fn context(
        &self,
        workspace: i64,
        tables: Vec<Table>,
        limits: &QueryLimits,
    ) -> Result<SessionContext, Error> {
        let invalid = |error: DataFusionError| explain(&error);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
            .build_arc()
            .map_err(invalid)?;
        let config = SessionConfig::new().with_information_schema(false).with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime);
        for function in udf::all().into_iter().chain(crate::condition::functions()) {
            context.register_udf(function);
        }
        for name in GREEDY {
            context.deregister_udf(name);
            context.deregister_udtf(name);
        }
        self.register_events(&context, workspace).await?;
        for table in tables {
            let batch = columns_of(&table)?;
            let name = table.name.clone();
            let memory = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(invalid)?;
            context.register_table(name, Arc::new(memory)).map_err(invalid)?;
        }
        Ok(context)
    }

    async fn register_events(&self, context: &SessionContext, workspace: i64) -> Result<(), Error> {
        let invalid = |error: DataFusionError| Error::Unavailable(error.to_string());
        let (manifest, buffered) = self.snapshot();
        let mine: Vec<&crate::Row> =
            buffered.iter().map(|row| &**row).filter(|row| row.workspace == workspace).collect();
        let memory = MemTable::try_new(SCHEMA.clone(), vec![vec![files::batch(&mine)?]]).map_err(invalid)?;
        let mut frame = context.read_table(Arc::new(memory)).map_err(invalid)?;
        // The engine takes a file that is not there for an empty one.
        if let Some(lost) = manifest
            .files
            .iter()
            .find(|file| file.workspace == workspace && !self.dir.join(&file.path).exists())
        {
            tracing::error!(path = lost.path, "a file of the lake is gone");
            return Err(Error::Corrupt("a file is gone".to_owned()));
        }
        let paths: Vec<String> = manifest
            .files
            .iter()
            .filter(|file| file.workspace == workspace)
            .map(|file| format!("{FILES}{}", file.path))
            .collect();
        if !paths.is_empty() {
            let store = LocalFileSystem::new_with_prefix(&self.dir)
                .map_err(|error| Error::Unavailable(error.to_string()))?;
            let url = ObjectStoreUrl::parse(FILES).map_err(invalid)?;
            context.register_object_store(url.as_ref(), Arc::new(store));
            let options = ParquetReadOptions::default().schema(&SCHEMA).parquet_pruning(true);
            let stored = context.read_parquet(paths, options).await.map_err(invalid)?;
            frame = stored.union(frame).map_err(invalid)?;
        }
        let owners = self.owners_now();
        let has_moved = owners.has_moved();
        let resolve = udf::resolve(owners);
        let columns: Vec<_> = SCHEMA
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                // The position is read only where it can matter.
                "profile_id" => {
                    let position = if has_moved { col("position") } else { lit(0_i64) };
                    resolve.call(vec![col("profile_id"), position]).alias("profile_id")
                }
                name => col(name),
            })
            .chain([col("name").alias("event")])
            .collect();
        let frame = frame.select(columns).map_err(invalid)?;
        context.register_table("events", frame.into_view()).map_err(invalid)?;
        Ok(())
    }
}

/// Plans and runs one SELECT.
async fn run(context: SessionContext, statement: Statement, rows_max: usize) -> Result<Answer, Error> {
    let invalid = |error: DataFusionError| explain(&error);
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
            if rows.len() == rows_max {
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

/// An error of the planner or the run, for people.
fn explain(error: &DataFusionError) -> Error {
    let text = error.strip_backtrace();
    if let DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) =
        error.find_root()
    {
        // Names of files are for the operator, not for who asks.
        tracing::error!(error = text, "a query cannot read the lake's files");
        return Error::Unavailable("a file cannot be read".to_owned());
    }
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
