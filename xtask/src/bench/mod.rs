//! The end-to-end load driver: real HTTP against the real release binary, judged by the CPU time of the processes.
//!
//! `cargo run --release -p xtask -- bench [SCENARIO …]`. Ratios of two things run in turn; absolute figures carry the
//! machine's noise. Results go to `docs/performance.md` by hand, with the machine and the method.

mod http;
mod server;

use anyhow::{Context, Result, bail};

use http::Connection;
use server::Server;

/// Rounds of each scenario; spread is shown.
const ROUNDS: usize = 5;
/// Events of one request.
const BATCH_EVENTS: usize = 500;
/// Requests of one round.
const REQUESTS: usize = 120;

const SCENARIOS: &[(&str, &str, fn() -> Result<()>)] = &[
    ("ingest", "HTTP batch to durable log, beside a request that is parsed and refused", ingest),
    ("membership", "HTTP batch through log and step to memberships", membership),
    ("pages", "open and click endpoints beside an empty GET", pages),
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

/// One request's body: `events` product views by people of this round.
fn body(round: usize, request: usize, events: usize, known_names: bool) -> String {
    let mut out = String::with_capacity(events * 220);
    out.push_str("{\"writeKey\":\"bench-write-key-0123456789abcdef\",\"batch\":[");
    for event in 0..events {
        if event > 0 {
            out.push(',');
        }
        let person = (request * events + event) * 7 % 20_000;
        let kind = if known_names { "track" } else { "unknown-call" };
        out.push_str(&format!(
            "{{\"type\":\"{kind}\",\"event\":\"Product Viewed\",\"userId\":\"bench-{person}\",\
             \"messageId\":\"b-{round}-{request}-{event}\",\"properties\":{{\"product_id\":\"p-{}\",\
             \"category\":\"Shoes\",\"price\":{}.5,\"url\":\"https://shop.example/p/{event}\"}}}}",
            event % 240,
            event % 90,
        ));
    }
    out.push_str("]}");
    out
}

struct Round {
    events: usize,
    wall_s: f64,
    cpu_s: f64,
}

impl Round {
    fn rate(&self) -> f64 {
        self.events as f64 / self.wall_s
    }

    fn micros_cpu(&self) -> f64 {
        self.cpu_s * 1e6 / self.events as f64
    }
}

fn show(what: &str, rounds: &[Round]) {
    let spread = |values: Vec<f64>| {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        (values[0], values[values.len() / 2], values[values.len() - 1])
    };
    let (low, mid, high) = spread(rounds.iter().map(Round::rate).collect());
    let (cpu_low, cpu_mid, cpu_high) = spread(rounds.iter().map(Round::micros_cpu).collect());
    println!(
        "  {what:34} {mid:>9.0}/s (min {low:.0}, max {high:.0})   server CPU {cpu_mid:.2} µs each (min {cpu_low:.2}, max {cpu_high:.2})"
    );
}

fn send_round(server: &Server, round: usize, valid: bool) -> Result<Round> {
    let bodies: Vec<String> =
        (0..REQUESTS).map(|request| body(round, request, BATCH_EVENTS, valid)).collect();
    let cpu = server.cpu_s()?;
    let timer = server::Timer::start();
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let bodies = &bodies;
                scope.spawn(move || -> Result<()> {
                    let mut connection = Connection::open(&server.address)?;
                    for body in bodies.iter().skip(worker).step_by(4) {
                        let status = connection.post("/v1/batch", &server.write_key, body)?;
                        if status != 200 {
                            bail!("the collector answered {status}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a sender died"))??;
        }
        Ok(())
    })?;
    Ok(Round { events: REQUESTS * BATCH_EVENTS, wall_s: timer.seconds(), cpu_s: server.cpu_s()? - cpu })
}

fn ingest() -> Result<()> {
    let server = Server::start()?;
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        stored.push(send_round(&server, round, true)?);
        server.wait_idle()?;
        refused.push(send_round(&server, round, false)?);
    }
    show("stored", &stored);
    show("parsed and refused (kept aside)", &refused);
    println!("  peak memory {} MB", server.peak_mb()?);
    Ok(())
}

fn membership() -> Result<()> {
    let server = Server::start()?;
    server.segments()?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let cpu = server.cpu_s()?;
        let timer = server::Timer::start();
        let sent = send_round(&server, round, true)?;
        server.wait_idle()?;
        rounds.push(Round { events: sent.events, wall_s: timer.seconds(), cpu_s: server.cpu_s()? - cpu });
    }
    show("event to membership", &rounds);
    println!("  peak memory {} MB", server.peak_mb()?);
    let latency = server.metric_lines("rapport_membership_seconds")?;
    for line in latency {
        println!("  {line}");
    }
    Ok(())
}

fn pages() -> Result<()> {
    let server = Server::start()?;
    for (what, path) in [
        ("GET /healthz", "/healthz"),
        ("open, token refused", "/t/o/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("click, token refused", "/t/c/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let cpu = server.cpu_s()?;
            let timer = server::Timer::start();
            let mut connection = Connection::open(&server.address)?;
            for _ in 0..5_000 {
                connection.get(path)?;
            }
            rounds.push(Round { events: 5_000, wall_s: timer.seconds(), cpu_s: server.cpu_s()? - cpu });
        }
        show(what, &rounds);
    }
    Ok(())
}
