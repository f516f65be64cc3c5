//! `rapport import`: streams a file through a mapping into the same intake as the collector.
//!
//! Rejected rows go to a file beside the input, each with its reason. Importing again changes nothing: every event's id
//! follows from its row. An import that was interrupted is repeated from the start and ends in the same state.

mod convert;
mod decimal;
mod mapping;
mod people;
mod rows;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flow::{Outcome, Platform};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Map, Trust, Value, WorkspaceId};
use serde::Serialize;
use serde_json::json;

use crate::command::BadInput;
use convert::{Converter, Ready, Taken};
pub use rows::Format;
use rows::{Fault, Opened};

const BATCH_CALLS: usize = 1_000;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Calls of the tracking API, or rows that a mapping turns into them.
    Events,
    /// People: one a row, known by `user_id` or `email`; the other columns are attributes. Or rows for a mapping.
    Profiles,
    /// Items of the catalogue `products`, one a row, named by `product_id`.
    Catalog,
    /// Addresses that must not be written to, one a row in the column `email`; `reason` may stand beside.
    Suppressions,
}

/// What came of an import.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows read.
    pub rows: u64,
    /// Rows a rule left out on purpose.
    pub left_out: u64,
    /// Rows or calls refused, with reasons in `rejected_file`.
    pub rejected: u64,
    /// Events, items or addresses stored.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Where the rejected rows are.
    pub rejected_file: Option<PathBuf>,
    /// Why the file could not be read to its end; what stood before is stored.
    pub ended_early: Option<String>,
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
    /// The catalogue that items go to.
    pub catalog: String,
}

struct Rejected {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Rejected {
    /// What an earlier import of the same file left is taken away: it says nothing about this one.
    fn beside(input: &Path) -> Rejected {
        let mut name = input.file_name().unwrap_or_default().to_owned();
        name.push(".rejected.ndjson");
        let path = input.with_file_name(name);
        let _ = std::fs::remove_file(&path);
        Rejected { path, file: None, count: 0 }
    }

    fn file(&mut self) -> Result<&mut BufWriter<File>> {
        if self.file.is_none() {
            let file = File::create(&self.path).or_else(|_| {
                // Where the input's directory cannot be written, the present one takes it.
                self.path = PathBuf::from(self.path.file_name().unwrap_or_default());
                File::create(&self.path)
            });
            let file = file.with_context(|| format!("cannot write {}", self.path.display()))?;
            self.file = Some(BufWriter::new(file));
        }
        self.file.as_mut().context("the file of rejected rows is not open")
    }

    fn write(&mut self, line: u64, reason: &str, row: &Value) -> Result<()> {
        self.count += 1;
        let file = self.file()?;
        serde_json::to_writer(&mut *file, &json!({"line": line, "reason": reason, "row": row}))?;
        file.write_all(b"\n")?;
        Ok(())
    }

    fn finish(mut self, report: &mut Report) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.flush()?;
            report.rejected_file = Some(self.path);
        }
        report.rejected = self.count;
        Ok(())
    }
}

fn bad(job: &Job, reason: impl std::fmt::Display) -> anyhow::Error {
    BadInput(format!("{}: {reason}", job.file.display())).into()
}

fn open(job: &Job, delimiter: Option<char>, bar: &ProgressBar) -> Result<Opened> {
    let format = job.format.or_else(|| Format::of(&job.file));
    let format = format.ok_or_else(|| bad(job, "its name does not tell the format: say --format"))?;
    if format == Format::Parquet {
        let columns = lake::parquet_columns(&job.file).map_err(|error| bad(job, error))?;
        let rows = lake::read_parquet(&job.file).map_err(|error| bad(job, error))?;
        let rows = (1..).zip(rows.map(|row| row.map_err(|error| Fault::File(error.to_string()))));
        return Ok(Opened { columns: Some(columns), rows: Box::new(rows) });
    }
    let tabs = job.file.file_name().is_some_and(|name| name.to_string_lossy().contains(".tsv"));
    let delimiter = delimiter.unwrap_or(if tabs { '\t' } else { ',' });
    let delimiter =
        u8::try_from(delimiter).map_err(|_| bad(job, "the delimiter is not one ASCII character"))?;
    let on_read = bar.clone();
    rows::open(&job.file, format, delimiter, move |bytes| on_read.inc(bytes))
        .map_err(|reason| bad(job, reason))
}

/// Refuses a file without the columns that are needed, before anything is stored.
fn need(job: &Job, opened: &Opened, missing: &[String]) -> Result<()> {
    let Some(columns) = opened.columns.as_ref().filter(|_| !missing.is_empty()) else { return Ok(()) };
    let quoted =
        |names: &[String]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let mut reason = format!("it has no column {}; it has {}", quoted(missing), quoted(columns));
    if columns.len() == 1
        && let Some(sign) = columns[0].chars().find(|c| [';', '\t', '|', ','].contains(c))
    {
        reason.push_str(&format!(": say delimiter = {sign:?} in the mapping"));
    }
    Err(bad(job, reason))
}

/// Imports a file.
///
/// # Errors
/// When the file or its mapping cannot be read, or the store refuses for good.
pub async fn run(platform: &Platform, workspace: WorkspaceId, what: What, job: &Job) -> Result<Report> {
    let bar = progress(job)?;
    let mut importer = Importer {
        platform,
        workspace,
        job,
        report: Report::default(),
        rejected: Rejected::beside(&job.file),
    };
    match what {
        What::Events | What::Profiles => importer.calls(what, &bar).await?,
        What::Catalog => importer.catalog(&bar).await?,
        What::Suppressions => importer.suppressions(&bar).await?,
    }
    bar.finish_and_clear();
    let Importer { mut report, rejected, .. } = importer;
    rejected.finish(&mut report)?;
    Ok(report)
}

struct Importer<'a> {
    platform: &'a Platform,
    workspace: WorkspaceId,
    job: &'a Job,
    report: Report,
    rejected: Rejected,
}

impl Importer<'_> {
    /// The row, unless it cannot be read: that is noted then.
    fn row(&mut self, line: u64, row: rows::Row) -> Result<Option<Map>> {
        match row {
            Ok(row) => {
                self.report.rows += 1;
                Ok(Some(row))
            }
            Err(Fault::Row(reason)) => {
                self.report.rows += 1;
                self.rejected.write(line, &reason, &Value::Null)?;
                Ok(None)
            }
            Err(Fault::File(reason)) => {
                self.report.ended_early = Some(format!("nothing can be read from line {line} on: {reason}"));
                Ok(None)
            }
        }
    }

    async fn calls(&mut self, what: What, bar: &ProgressBar) -> Result<()> {
        let mut converter = self.converter(what)?;
        let delimiter = converter.as_ref().and_then(|converter| converter.compiled().mapping.delimiter);
        let opened = open(self.job, delimiter, bar)?;
        match (&converter, &opened.columns) {
            (Some(converter), Some(there)) => need(self.job, &opened, &converter.compiled().missing(there))?,
            (None, Some(there)) if what == What::Profiles => {
                need(self.job, &opened, &people::missing(there))?;
            }
            (None, Some(there)) if !there.iter().any(|column| column == "type") => {
                need(self.job, &opened, &["type".to_owned()])?;
            }
            _ => {}
        }
        let mut ready: Vec<Ready> = Vec::new();
        for (line, row) in opened.rows {
            let Some(row) = self.row(line, row)? else { continue };
            match &mut converter {
                None if what == What::Profiles => match people::identify(&row) {
                    Ok(call) => ready.push(Ready { line, call }),
                    Err(reason) => self.rejected.write(line, &reason, &Value::Object(row))?,
                },
                None => ready.push(Ready { line, call: with_id(row) }),
                Some(converter) => {
                    match converter.take(line, &row) {
                        Taken::Used => {}
                        Taken::LeftOut => self.report.left_out += 1,
                        Taken::Refused(reason) => self.rejected.write(line, &reason, &Value::Object(row))?,
                    }
                    ready.append(&mut converter.ready);
                }
            }
            if ready.len() >= BATCH_CALLS {
                self.send(&mut ready).await?;
            }
        }
        if let Some(converter) = &mut converter {
            converter.finish();
            ready.append(&mut converter.ready);
        }
        self.send(&mut ready).await
    }

    fn converter(&self, what: What) -> Result<Option<Converter>> {
        let Some(path) = &self.job.map else { return Ok(None) };
        let named = |reason: &dyn std::fmt::Display| BadInput(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let compiled = mapping::compile(&text).map_err(|error| named(&format!("{error:#}")))?;
        if what == What::Profiles
            && let Some(rule) = compiled.mapping.event.iter().find(|rule| rule.call != "identify")
        {
            return Err(named(&format!(
                "a rule makes '{}' calls: profiles are made by call = \"identify\"",
                rule.call
            ))
            .into());
        }
        Ok(Some(Converter::new(compiled).map_err(|reason| named(&reason))?))
    }

    async fn send(&mut self, ready: &mut Vec<Ready>) -> Result<()> {
        let (mut lines, mut calls): (Vec<u64>, Vec<Value>) =
            ready.drain(..).map(|Ready { line, call }| (line, call)).unzip();
        if self.job.backfill {
            for call in &mut calls {
                if call["context"].is_object() {
                    call["context"]["backfill"] = json!(true);
                } else {
                    call["context"] = json!({"backfill": true});
                }
            }
        }
        while !calls.is_empty() {
            let rest = calls.split_off(calls.len().min(BATCH_CALLS));
            let outcomes =
                self.platform.ingest_calls(self.workspace, &calls, Trust::Import, "import").await?;
            for ((line, call), item) in lines.drain(..calls.len()).zip(&calls).zip(outcomes) {
                match item.outcome {
                    Outcome::Accepted => self.report.accepted += 1,
                    Outcome::Duplicate { .. } => self.report.duplicates += 1,
                    Outcome::Rejected(reasons) => {
                        let reasons: Vec<String> = reasons.into_iter().map(|reason| reason.message).collect();
                        self.rejected.write(line, &reasons.join("; "), call)?;
                    }
                }
            }
            calls = rest;
        }
        Ok(())
    }

    async fn catalog(&mut self, bar: &ProgressBar) -> Result<()> {
        let opened = open(self.job, None, bar)?;
        let there = opened.columns.clone().unwrap_or_default();
        if !there.iter().any(|column| column == "product_id" || column == "id") {
            need(self.job, &opened, &["product_id".to_owned()])?;
        }
        let mut rows = Vec::new();
        for (line, row) in opened.rows {
            let Some(row) = self.row(line, row)? else { continue };
            rows.push((line, Value::Object(convert::typed(&row))));
            if rows.len() >= BATCH_CALLS {
                self.put(&mut rows).await?;
            }
        }
        self.put(&mut rows).await
    }

    async fn put(&mut self, rows: &mut Vec<(u64, Value)>) -> Result<()> {
        let (lines, rows): (Vec<u64>, Vec<Value>) = std::mem::take(rows).into_iter().unzip();
        let taken = self.platform.take_items(self.workspace, &self.job.catalog, rows.clone(), false).await?;
        self.report.accepted += taken.written as u64;
        for refused in taken.refused {
            self.rejected.write(lines[refused.row], &refused.reason, &rows[refused.row])?;
        }
        Ok(())
    }

    async fn suppressions(&mut self, bar: &ProgressBar) -> Result<()> {
        let opened = open(self.job, None, bar)?;
        let there = opened.columns.clone().unwrap_or_default();
        if !there.iter().any(|column| column == "email") {
            need(self.job, &opened, &["email".to_owned()])?;
        }
        for (line, row) in opened.rows {
            let Some(row) = self.row(line, row)? else { continue };
            let email = row.get("email").and_then(Value::as_str).unwrap_or_default();
            let reason = row.get("reason").and_then(Value::as_str).unwrap_or("import");
            let known = flow::SUPPRESSION_REASONS.contains(&reason);
            let reason = if known { reason } else { "import" };
            if self.platform.suppression(self.workspace, email).await?.is_some() {
                self.report.duplicates += 1;
                continue;
            }
            match self.platform.suppress(self.workspace, email, reason).await {
                Ok(_) => self.report.accepted += 1,
                Err(error) if error.kind() == model::Kind::Invalid => {
                    self.rejected.write(line, &error.to_string(), &Value::Object(row))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A call without an id gets one that follows from what it says, so that the same file twice counts once.
fn with_id(row: Map) -> Value {
    let named = row.get("messageId").is_some_and(|id| !id.is_null());
    let mut call = Value::Object(row);
    if !named {
        let digest = xxhash_rust::xxh3::xxh3_128(call.to_string().as_bytes());
        call["messageId"] = json!(format!("import-{digest:032x}"));
    }
    call
}

fn progress(job: &Job) -> Result<ProgressBar> {
    let size = std::fs::metadata(&job.file).map_err(|error| bad(job, error))?.len();
    let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")?;
    Ok(ProgressBar::new(size).with_style(style))
}
