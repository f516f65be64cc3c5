//! The end-to-end load driver: real HTTP against the real release binary, judged by the CPU time of the processes.
//!
//! `cargo run --release -p xtask -- bench [SCENARIO …]`. Ratios of two things run in turn; absolute figures carry the
//! machine's noise. Results go to `docs/performance.md` by hand, with the machine and the method.

mod figure;
mod http;
mod load;
mod mail;
mod parts;
pub mod peer;
mod preview;
mod server;
mod sink;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use figure::{Round, round, show, show_histogram, show_latencies, show_ratio};
use http::Connection;
use server::{Process, Server};

/// Rounds of each scenario; spread is shown.
const ROUNDS: usize = 5;
/// Events of one request.
const BATCH_EVENTS: usize = 500;
/// Requests of one round.
const REQUESTS: usize = 120;
/// How long an open-loop load goes on. Units: seconds.
const PACED_SECONDS: usize = 20;
/// Requests for one page in a round.
const PAGES: usize = 5_000;

const SCENARIOS: &[(&str, &str, fn() -> Result<()>)] = &[
    ("ingest", "HTTP batch to durable log, beside parsing alone and beside PostgreSQL's COPY", ingest),
    ("membership", "HTTP batch through log and step to memberships; latency at half load", membership),
    ("mail", "event to mail handed over, beside the sum of its parts", mail::run),
    ("pages", "open and click endpoints beside an empty GET", pages),
    (
        "preview",
        "conditions counted over all history, beside DuckDB and DataFusion (RAPPORT_BENCH_EVENTS, RAPPORT_BENCH_PROFILES)",
        preview::run,
    ),
];

/// Runs the named scenarios, or all.
pub fn run(names: &[String]) -> Result<()> {
    if names.iter().any(|name| name == "--list") {
        for (name, what, _) in SCENARIOS {
            println!("{name:12} {what}");
        }
        return Ok(());
    }
    for name in names {
        if !SCENARIOS.iter().any(|(known, _, _)| known == name) {
            bail!("unknown scenario '{name}'; see `xtask bench --list`");
        }
    }
    for (name, what, scenario) in SCENARIOS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("\n{name}: {what}");
            scenario().with_context(|| format!("scenario {name}"))?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the driver is configured by its environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Bodies of one round.
fn bodies(round: usize) -> Vec<String> {
    (0..REQUESTS).map(|request| load::batch(round, request, BATCH_EVENTS)).collect()
}

fn ingest() -> Result<()> {
    let server = Server::start(None)?;
    let parse = Process::peer(&["parse"])?;
    let postgres = environment("RAPPORT_TEST_POSTGRES");
    let copy = postgres.as_deref().map(|url| Process::peer(&["copy", url])).transpose()?;
    if copy.is_none() {
        println!("  PostgreSQL's COPY is skipped: RAPPORT_TEST_POSTGRES names no server");
    }
    let (mut stored, mut parsed, mut copied): (Vec<Round>, Vec<Round>, Vec<Round>) = Default::default();
    for number in 0..ROUNDS {
        let bodies = bodies(number);
        let flood = |process: &Process| -> Result<usize> {
            load::flood(&process.address, "/v1/batch", &bodies)?;
            Ok(REQUESTS * BATCH_EVENTS)
        };
        // The step follows at its own pace; what it costs belongs to the next scenario.
        stored.push(round(&server.process, || flood(&server.process))?);
        server.wait_idle()?;
        parsed.push(round(&parse, || flood(&parse))?);
        if let Some(copy) = &copy {
            copied.push(round(copy, || flood(copy))?);
        }
    }
    show("to the durable log (step running)", &stored);
    show("parsed and answered, nothing kept", &parsed);
    show_ratio("log beside parsing", &stored, &parsed);
    if copy.is_some() {
        show("COPY (without dedupe; client's CPU alone)", &copied);
        show_ratio("log beside COPY", &stored, &copied);
    }
    println!("  peak memory of the server {} MB", server.process.peak_mb()?);
    Ok(())
}

fn membership() -> Result<()> {
    let server = Server::start(None)?;
    server.segments()?;
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        let bodies = bodies(number);
        rounds.push(round(&server.process, || {
            load::flood(&server.process.address, "/v1/batch", &bodies)?;
            server.wait_idle()?;
            Ok(REQUESTS * BATCH_EVENTS)
        })?);
    }
    show("event to membership, 5 segments", &rounds);
    println!("  peak memory of the server {} MB", server.process.peak_mb()?);

    let mut rates: Vec<f64> = rounds.iter().map(|r| r.count as f64 / r.wall_s).collect();
    rates.sort_by(f64::total_cmp);
    let half = rates[rates.len() / 2] / 2.0;
    let events = 50;
    let requests = (half * PACED_SECONDS as f64) as usize / events;
    let bodies: Vec<String> = (0..requests).map(|request| load::batch(ROUNDS, request, events)).collect();
    let each = Duration::from_secs_f64(events as f64 / half);
    let before = server.histogram("rapport_membership_seconds")?;
    let answers = load::paced(&server.process.address, "/v1/batch", &bodies, each)?;
    server.wait_idle()?;
    let after = server.histogram("rapport_membership_seconds")?;
    println!("  at half load, {half:.0} events/s in requests of {events}:");
    show_latencies("  intended instant to durable answer", answers);
    show_histogram("  receipt to membership", &before, &after);
    Ok(())
}

fn pages() -> Result<()> {
    let (server, html) = mail::delivered()?;
    let link = |kind: &str| -> Result<String> {
        let start = html.find(kind).with_context(|| format!("no link {kind} in the mail"))?;
        let rest = &html[start..];
        Ok(rest[..rest.find('"').unwrap_or(rest.len())].to_owned())
    };
    let (open, click) = (link("/t/o/")?, link("/t/c/")?);
    let paths = [
        ("an empty GET", "/healthz".to_owned(), 200),
        ("open: token read, event durable, picture", open, 200),
        ("click: token read, event durable, redirect", click, 302),
    ];
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); paths.len()];
    for _ in 0..ROUNDS {
        for ((_, path, expected), rounds) in paths.iter().zip(&mut rounds) {
            rounds.push(round(&server.process, || {
                let mut connection = Connection::open(&server.process.address)?;
                for _ in 0..PAGES {
                    let status = connection.get(path)?;
                    if status != *expected {
                        bail!("{path} answered {status}");
                    }
                }
                Ok(PAGES)
            })?);
            server.wait_idle()?;
        }
    }
    for ((what, ..), rounds) in paths.iter().zip(&rounds) {
        show(what, rounds);
    }
    show_ratio("open beside the empty GET", &rounds[1], &rounds[0]);
    show_ratio("click beside the empty GET", &rounds[2], &rounds[0]);
    Ok(())
}
