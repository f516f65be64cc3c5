//! What each command does, on top of the platform.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use flow::{Limits, Options, Platform};
use model::{Clock, ProfileId, Value, WorkspaceId};
use serde_json::json;

use crate::config::{Configuration, Settings};
use crate::{demo, import};

pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId(1);

/// Marks an error as the caller's: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// An error in a file, as `file:line:column: message`. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Located(pub String);

/// `rapport render`.
#[derive(Args)]
pub struct Render {
    /// The template
    #[arg(long, value_name = "FILE")]
    template: PathBuf,
    /// Its language
    #[arg(long, default_value = "liquid")]
    engine: Engine,
    /// The template is MJML once rendered
    #[arg(long)]
    mjml: bool,
    /// Its data, a JSON object
    #[arg(long, value_name = "FILE.json")]
    data: PathBuf,
    /// What to print
    #[arg(long, default_value = "html")]
    format: Print,
    /// What is escaped
    #[arg(long, default_value = "html")]
    escape: Escape,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Liquid,
    Handlebars,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Print {
    Html,
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Escape {
    Html,
    None,
}

/// `rapport segment …`.
#[derive(Subcommand)]
pub enum Ask {
    /// How many profiles a condition holds for
    Count {
        /// The condition
        condition: String,
        #[command(flatten)]
        settings: Configuration,
    },
    /// Some of the profiles a condition holds for
    Sample {
        /// The condition
        condition: String,
        #[command(flatten)]
        settings: Configuration,
    },
    /// The condition as SQL over the tables of `rapport query`
    Sql {
        /// The condition
        condition: String,
        #[command(flatten)]
        settings: Configuration,
    },
    /// Why a condition holds, or does not, for one profile
    Explain {
        /// The condition
        condition: String,
        /// The profile
        #[arg(long)]
        profile: i64,
        #[command(flatten)]
        settings: Configuration,
    },
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(4 << 20)
        .build()
        .context("cannot start the runtime")
}

fn logging(settings: &Settings) {
    let filter = settings.log.clone().unwrap_or_else(|| "info,sqlx=warn,datafusion=warn".to_owned());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format.as_deref() {
        Some("json") => subscriber.json().init(),
        _ => subscriber.with_target(false).init(),
    }
}

fn options(settings: &Settings, demo: bool) -> Options {
    Options {
        data_dir: settings.data(),
        store_url: settings.store.clone(),
        base_url: settings.base_url(),
        demo,
        smtp_url: if demo { None } else { settings.smtp_url.clone() },
        from: settings.from.clone(),
        bootstrap_write_key: settings.bootstrap_write_key.clone(),
        bootstrap_api_key: settings.bootstrap_api_key.clone(),
        limits: limits(settings),
    }
}

fn limits(settings: &Settings) -> Limits {
    let usual = Limits::default();
    Limits {
        ingest_inflight_bytes_max: settings
            .ingest_inflight_bytes_max
            .unwrap_or(usual.ingest_inflight_bytes_max),
        connections_max: settings.connections_max.unwrap_or(usual.connections_max),
        ..usual
    }
}

/// `rapport serve`.
pub fn serve(settings: Settings, as_json: bool) -> Result<()> {
    logging(&settings);
    runtime()?.block_on(listen(&settings, None, as_json))
}

/// `rapport demo`.
pub fn demo(settings: Settings, plan: demo::Plan, as_json: bool) -> Result<()> {
    let mut settings = settings;
    settings.data.get_or_insert_with(|| PathBuf::from("rapport-demo"));
    settings.check()?;
    if plan.profiles == 0 {
        return Err(BadInput("--profiles: a shop has at least one shopper".to_owned()).into());
    }
    logging(&settings);
    runtime()?.block_on(listen(&settings, Some(plan), as_json))
}

async fn listen(settings: &Settings, plan: Option<demo::Plan>, as_json: bool) -> Result<()> {
    let address = settings.listen();
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another with --listen"))?;
    let platform = Platform::open(options(settings, plan.is_some()), Clock::system()).await?;
    let items = match &plan {
        Some(plan) => demo::prepare(&platform, plan).await?,
        None => Vec::new(),
    };
    let workers = platform.start();
    let token = platform.setup_token().await?;
    announce(&platform, &token, as_json).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let shop = plan.map(|plan| tokio::spawn(demo::run(platform.clone(), plan, items, stop.clone())));
    let connections = platform.options.limits.connections_max;
    api::serve(listener, connections, api::router(platform.clone()), shutdown()).await?;
    stop.store(true, Ordering::Relaxed);
    if let Some(shop) = shop {
        shop.await?;
    }
    workers.stop().await;
    Ok(())
}

async fn announce(platform: &Platform, token: &str, as_json: bool) -> Result<()> {
    let base = &platform.options.base_url;
    let data = platform.options.data_dir.display();
    let transport = platform.transport_name(WORKSPACE).await?;
    if as_json {
        let started = json!({
            "url": base, "console": format!("{base}/?token={token}"), "data": data.to_string(), "mail": transport,
            "version": env!("CARGO_PKG_VERSION"),
        });
        println!("{started}");
    } else {
        eprintln!();
        eprintln!("  Rapport {}", env!("CARGO_PKG_VERSION"));
        eprintln!("  Console   {base}/?token={token}");
        eprintln!("  Data      {data}");
        eprintln!("  Mail      {transport}");
        eprintln!();
    }
    Ok(())
}

async fn shutdown() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
    eprintln!("stopping: finishing what has begun");
}

/// Opens the data directory, runs the workers until they have caught up with the log, and then `ask`.
pub(crate) async fn with_platform<T>(
    settings: &Settings,
    ask: impl AsyncFnOnce(&Arc<Platform>) -> Result<T>,
) -> Result<T> {
    let platform = Platform::open(options(settings, false), Clock::system()).await?;
    let workers = platform.start_without_sending();
    let answer = ask(&platform).await;
    workers.stop().await;
    answer
}

pub(crate) async fn catch_up(platform: &Platform) {
    while platform.lag_events() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// `rapport import`.
pub fn import(settings: &Settings, what: import::What, job: &import::Job, as_json: bool) -> Result<()> {
    runtime()?.block_on(with_platform(settings, async |platform| {
        let report = import::run(platform, WORKSPACE, what, job).await?;
        catch_up(platform).await;
        if as_json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            let what = match what {
                import::What::Events | import::What::Profiles => "events",
                import::What::Catalog => "items",
                import::What::Suppressions => "addresses",
            };
            println!("{} rows read", report.rows);
            println!("{} {what} stored, {} there already", report.accepted, report.duplicates);
            println!("{} rows left out by a rule, {} rejected", report.left_out, report.rejected);
            if let Some(path) = &report.rejected_file {
                println!("rejected rows and reasons: {}", path.display());
            }
        }
        match report.ended_early {
            None => Ok(()),
            Some(reason) => Err(anyhow::anyhow!(
                "{}: {reason}. What stood before is stored; import the whole file again, nothing counts twice",
                job.file.display()
            )),
        }
    }))
}

/// `rapport query`.
pub fn query(settings: &Settings, sql: &str, as_json: bool) -> Result<()> {
    runtime()?.block_on(with_platform(settings, async |platform| {
        catch_up(platform).await;
        let answer = platform.query(WORKSPACE, sql).await?;
        if as_json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
            return Ok(());
        }
        let names: Vec<&str> = answer.columns.iter().map(|column| column.name.as_str()).collect();
        println!("{}", names.join("\t"));
        for row in &answer.rows {
            let cells: Vec<String> = row.iter().map(cell).collect();
            println!("{}", cells.join("\t"));
        }
        eprintln!(
            "{} rows in {} ms{}",
            answer.rows.len(),
            answer.took_ms,
            if answer.truncated { ", cut" } else { "" }
        );
        Ok(())
    }))
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `rapport segment`.
pub fn segment(ask: Ask, as_json: bool) -> Result<()> {
    let (Ask::Count { settings, .. }
    | Ask::Sample { settings, .. }
    | Ask::Sql { settings, .. }
    | Ask::Explain { settings, .. }) = &ask;
    let settings = settings.clone().resolve()?;
    runtime()?.block_on(with_platform(&settings, async |platform| {
        catch_up(platform).await;
        let (text, answer) = match &ask {
            Ask::Count { condition, .. } => {
                let preview = platform.preview(WORKSPACE, condition).await?;
                let text = format!("{} of {} profiles", preview.count, preview.total);
                (text, json!({"count": preview.count, "total": preview.total, "took_ms": preview.took_ms}))
            }
            Ask::Sample { condition, .. } => {
                let preview = platform.preview(WORKSPACE, condition).await?;
                let ids: Vec<String> = preview.sample.iter().map(ToString::to_string).collect();
                (ids.join("\n"), json!({"count": preview.count, "sample": preview.sample}))
            }
            Ask::Sql { condition, .. } => {
                let sql = platform.statement(WORKSPACE, condition).await?;
                (sql.clone(), json!({"sql": sql}))
            }
            Ask::Explain { condition, profile, .. } => {
                let explanation = platform.explain(WORKSPACE, condition, ProfileId(*profile)).await?;
                let answer = serde_json::to_value(explanation)?;
                (serde_json::to_string_pretty(&answer)?, answer)
            }
        };
        if as_json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
        } else {
            println!("{text}");
        }
        Ok(())
    }))
}

/// `rapport openapi`.
pub fn openapi() -> Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(api::openapi::text().as_bytes()).context("cannot print the document")
}

/// `rapport render`.
pub fn render(render: &Render, as_json: bool) -> Result<()> {
    let source = std::fs::read_to_string(&render.template)
        .map_err(|error| BadInput(format!("{}: {error}", render.template.display())))?;
    let data = std::fs::read_to_string(&render.data)
        .map_err(|error| BadInput(format!("{}: {error}", render.data.display())))?;
    let data: Value = serde_json::from_str(&data).map_err(|error| {
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        Located(format!("{}:{}:{}: {reason}", render.data.display(), error.line(), error.column()))
    })?;
    let engine = match render.engine {
        Engine::Liquid => template::Engine::Liquid,
        Engine::Handlebars => template::Engine::Handlebars,
    };
    let options = template::Options {
        escape: render.escape == Escape::Html,
        now: Clock::system().now(),
        ..template::Options::default()
    };
    let (output, trace) = template::render_document_as(engine, &source, render.mjml, &data, &options)
        .map_err(|error| Located(format!("{}:{error}", render.template.display())))?;
    match if as_json { Print::Json } else { render.format } {
        Print::Html => print!("{output}"),
        Print::Text => print!("{}", template::plain::from_html(&output)),
        Print::Json => {
            let missing: Vec<&str> = trace.missing.iter().map(|missing| missing.name.as_str()).collect();
            println!("{}", serde_json::to_string_pretty(&json!({"html": output, "missing": missing}))?);
        }
    }
    Ok(())
}
