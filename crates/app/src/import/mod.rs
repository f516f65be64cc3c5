//! `rapport import`: streams a file through a mapping into the same intake as the collector.
//!
//! Rejected rows go to a file beside the input, each with its reason. Importing again changes nothing: every event's id
//! follows from its row.

mod convert;
mod mapping;
mod rows;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flow::{Outcome, Platform};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Trust, Value, WorkspaceId};
use serde::Serialize;
use serde_json::json;

use convert::{Converter, Taken};
pub use rows::Format;

const BATCH_CALLS: usize = 1_000;

/// What came of an import.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Rows a rule left out on purpose.
    pub left_out: u64,
    /// Rows or calls refused, with reasons in `rejected_file`.
    pub rejected: u64,
    /// Events stored.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Where the rejected rows are.
    pub rejected_file: Option<PathBuf>,
}

/// What to import and how.
pub struct Job {
    /// The file.
    pub file: PathBuf,
    /// Its mapping; without one, rows are calls in Segment's form.
    pub map: Option<PathBuf>,
    /// The format, when the name does not tell.
    pub format: Option<Format>,
    /// History: fires nothing.
    pub backfill: bool,
}

struct Rejected {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Rejected {
    fn write(&mut self, line: u64, reason: &str, row: &Value) -> Result<()> {
        if self.file.is_none() {
            let file =
                File::create(&self.path).with_context(|| format!("cannot write {}", self.path.display()))?;
            self.file = Some(BufWriter::new(file));
        }
        self.count += 1;
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, &json!({"line": line, "reason": reason, "row": row}))?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Imports events.
///
/// # Errors
/// When the file or its mapping cannot be read, or the log refuses for good.
pub async fn events(platform: &Platform, workspace: WorkspaceId, job: &Job) -> Result<Report> {
    let format = job
        .format
        .or_else(|| Format::of(&job.file))
        .with_context(|| format!("say --format: the name {} does not tell it", job.file.display()))?;
    let mut converter = match &job.map {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(Converter::new(mapping::compile(&text).with_context(|| path.display().to_string())?)?)
        }
        None => None,
    };
    let delimiter = converter.as_ref().and_then(Converter::delimiter);
    let bar = progress(&job.file)?;
    let on_read = bar.clone();
    let rows: Box<dyn Iterator<Item = (u64, rows::Row)>> = if format == Format::Parquet {
        bar.set_length(0);
        let rows =
            lake::read_parquet(&job.file).with_context(|| format!("cannot read {}", job.file.display()))?;
        Box::new((1..).zip(rows.map(|row| row.map_err(|error| error.to_string()))))
    } else {
        rows::open(&job.file, format, delimiter, move |bytes| on_read.inc(bytes))?
    };
    let mut report = Report::default();
    let mut rejected = Rejected { path: rejected_path(&job.file), file: None, count: 0 };
    let mut calls = Vec::new();
    for (line, row) in rows {
        report.rows += 1;
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                rejected.write(line, &reason, &Value::Null)?;
                continue;
            }
        };
        match &mut converter {
            None => calls.push(Value::Object(row)),
            Some(converter) => {
                match converter.take(&row) {
                    Taken::Used => {}
                    Taken::LeftOut => report.left_out += 1,
                    Taken::Refused(reason) => rejected.write(line, &reason, &Value::Object(row))?,
                }
                calls.append(&mut converter.ready);
            }
        }
        if calls.len() >= BATCH_CALLS {
            send(platform, workspace, job.backfill, &mut calls, &mut report, &mut rejected).await?;
        }
    }
    if let Some(converter) = &mut converter {
        converter.finish();
        calls.append(&mut converter.ready);
    }
    send(platform, workspace, job.backfill, &mut calls, &mut report, &mut rejected).await?;
    if let Some(file) = &mut rejected.file {
        file.flush()?;
        report.rejected_file = Some(rejected.path.clone());
    }
    report.rejected = rejected.count;
    bar.finish_and_clear();
    Ok(report)
}

/// Imports items of the catalogue `products`; each row names itself by `product_id` or `id`.
///
/// # Errors
/// When the file cannot be read or the store refuses.
pub async fn catalog(platform: &Platform, workspace: WorkspaceId, job: &Job) -> Result<Report> {
    let format =
        job.format.or_else(|| Format::of(&job.file)).context("say --format: the name does not tell it")?;
    let mut report = Report::default();
    let mut rejected = Rejected { path: rejected_path(&job.file), file: None, count: 0 };
    let mut items = Vec::new();
    for (line, row) in rows::open(&job.file, format, None, |_| ())? {
        report.rows += 1;
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                rejected.write(line, &reason, &Value::Null)?;
                continue;
            }
        };
        match row.get("product_id").or_else(|| row.get("id")).and_then(Value::as_str) {
            Some(id) => items.push((id.to_owned(), Value::Object(row.clone()))),
            None => rejected.write(line, "the row has no product_id", &Value::Object(row))?,
        }
        if items.len() >= BATCH_CALLS {
            report.accepted += items.len() as u64;
            platform.put_items(workspace, "products", std::mem::take(&mut items)).await?;
        }
    }
    report.accepted += items.len() as u64;
    platform.put_items(workspace, "products", items).await?;
    report.rejected = rejected.count;
    Ok(report)
}

async fn send(
    platform: &Platform,
    workspace: WorkspaceId,
    backfill: bool,
    calls: &mut Vec<Value>,
    report: &mut Report,
    rejected: &mut Rejected,
) -> Result<()> {
    for mut chunk in std::mem::take(calls).chunks(BATCH_CALLS).map(<[Value]>::to_vec) {
        if backfill {
            for call in &mut chunk {
                call["context"] = json!({"backfill": true});
            }
        }
        let outcomes = platform.ingest_calls(workspace, &chunk, Trust::Import, "import").await?;
        for (call, item) in chunk.iter().zip(outcomes) {
            match item.outcome {
                Outcome::Accepted => report.accepted += 1,
                Outcome::Duplicate { .. } => report.duplicates += 1,
                Outcome::Rejected(reasons) => {
                    let reasons: Vec<String> = reasons.into_iter().map(|reason| reason.message).collect();
                    rejected.write(0, &reasons.join("; "), call)?;
                }
            }
        }
    }
    Ok(())
}

fn rejected_path(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".rejected.ndjson");
    let beside = file.with_file_name(&name);
    // Beside the input where that can be written, else in the present directory.
    match File::options().append(true).create(true).open(&beside) {
        Ok(_) => {
            if std::fs::metadata(&beside).is_ok_and(|m| m.len() == 0) {
                let _ = std::fs::remove_file(&beside);
            }
            beside
        }
        Err(_) => PathBuf::from(name),
    }
}

fn progress(file: &Path) -> Result<ProgressBar> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot open {}", file.display()))?.len();
    let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")?;
    Ok(ProgressBar::new(size).with_style(style))
}
