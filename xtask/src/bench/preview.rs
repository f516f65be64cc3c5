//! Previews over history beside DuckDB, with a table of its own, and DataFusion over the same lake: the same questions,
//! the same answers, the CPU time of each.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use model::time::{DAY, HOUR, MINUTE};
use model::{Clock, Timestamp};
use serde_json::json;

use super::figure::Timer;
use super::server::{Server, cpu_of};
use super::{ROUNDS, environment, load};

/// How far back history goes. Units: microseconds.
const HISTORY: i64 = 90 * DAY;
/// Nothing happened for so long behind each edge of a window: the answers stay the same while the bench runs.
const QUIET: i64 = 3 * HOUR;
/// Rows of one flush, as the server does it.
const FLUSH_ROWS: usize = 200_000;
/// Times that a question is asked in a round, at most: the kernel accounts in hundredths of a second.
const TIMES_MAX: f64 = 20.0;
/// About how long a question is asked in a round. Units: seconds.
const ROUND_S: f64 = 0.5;

const VIEWED: &str = "Product Viewed";
const ADDED: &str = "Product Added";
const ORDERED: &str = "Order Completed";

struct Question {
    condition: String,
    duckdb: Option<String>,
    datafusion: Option<String>,
}

/// One system's rounds of one question. Units: seconds for each time it was asked.
#[derive(Default)]
struct Figures {
    first: Option<(f64, f64)>,
    rounds: Vec<(f64, f64)>,
}

impl Figures {
    /// How often a question is asked in a round, by how long it took a moment ago.
    fn times(&self) -> usize {
        let wall = self.rounds.last().or(self.first.as_ref()).map_or(ROUND_S, |figures| figures.0);
        (ROUND_S / wall).clamp(1.0, TIMES_MAX) as usize
    }

    fn mid(&self) -> f64 {
        self.spread(|round| round.1).1
    }

    fn spread(&self, figure: impl Fn(&(f64, f64)) -> f64) -> (f64, f64, f64) {
        let mut all: Vec<f64> = self.rounds.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        match &all[..] {
            [] => (0.0, 0.0, 0.0),
            all => (all[0], all[all.len() / 2], all[all.len() - 1]),
        }
    }

    fn show(&self, who: &str) {
        if self.rounds.is_empty() {
            return;
        }
        let (low, wall, high) = self.spread(|round| round.0);
        let (cpu_low, cpu, cpu_high) = self.spread(|round| round.1);
        let first = self.first.map_or(String::new(), |(wall, cpu)| {
            format!("; the first time {:.0} ms, CPU {:.0} ms", wall * 1e3, cpu * 1e3)
        });
        println!(
            "    {who:12} {:.1} ms ({:.1} to {:.1}), CPU {:.1} ms ({:.1} to {:.1}){first}",
            wall * 1e3,
            low * 1e3,
            high * 1e3,
            cpu * 1e3,
            cpu_low * 1e3,
            cpu_high * 1e3
        );
    }
}

/// `xtask bench preview`.
pub fn run() -> Result<()> {
    let events: usize = environment("RAPPORT_BENCH_EVENTS").map_or(Ok(2_000_000), |text| text.parse())?;
    let people: usize =
        environment("RAPPORT_BENCH_PROFILES").map_or(Ok(load::PEOPLE), |text| text.parse())?;
    let mut server = Server::start(None)?;
    let timer = Timer::start();
    for start in (0..people).step_by(128_000) {
        let bodies: Vec<String> = (start..people.min(start + 128_000))
            .step_by(2_000)
            .map(|from| identified(from, people.min(from + 2_000)))
            .collect();
        load::flood(&server.process.address, "/v1/import", &bodies)?;
    }
    server.wait_idle()?;
    println!("  {people} people identified over HTTP in {:.0} s", timer.elapsed().as_secs_f64());
    let (now, timer) = (Clock::system().now(), Timer::start());
    server.again(|data| fill(data, now, events, people as u64))?;
    println!("  {events} events written into the lake directly in {:.0} s", timer.elapsed().as_secs_f64());
    let mut duck = Duck::start(&server.lake())?;
    let questions = questions(now);
    for question in &questions {
        ask(question, &server, duck.as_mut())?;
    }
    println!("  peak memory of the server {} MB", server.process.peak_mb()?);
    Ok(())
}

fn ask(question: &Question, server: &Server, mut duck: Option<&mut Duck>) -> Result<()> {
    println!("  {}", question.condition);
    let mut ours = Figures::default();
    let (mut ducks, mut fusions) = (Figures::default(), Figures::default());
    let preview = || -> Result<u64> {
        let answer = server.ask("/api/segments/preview", &json!({"where": question.condition}))?;
        answer["count"].as_u64().context("the preview has no count")
    };
    let cpu = || server.process.cpu_s();
    let (found, first) = timed(1, &cpu, preview)?;
    ours.first = Some(first);
    let mut refused = None;
    for round in 0..ROUNDS {
        let (again, figures) = timed(ours.times(), &cpu, preview)?;
        ours.rounds.push(figures);
        agree("the same question asked again", found, again)?;
        if let (Some(duck), Some(sql)) = (duck.as_deref_mut(), &question.duckdb) {
            let id = duck.child.id().to_string();
            let cpu = || cpu_of(&id);
            let mut query = || duck.ask(sql);
            if round == 0 {
                ducks.first = Some(timed(1, &cpu, &mut query)?.1);
            }
            let (theirs, figures) = timed(ducks.times(), &cpu, query)?;
            ducks.rounds.push(figures);
            agree("DuckDB", found, theirs)?;
        }
        if let (None, Some(sql)) = (&refused, &question.datafusion) {
            let query = || -> Result<u64> {
                let answer = server.ask("/api/query", &json!({"sql": sql}))?;
                answer["rows"][0][0].as_u64().context("the query has no number")
            };
            match timed(1, &cpu, query) {
                Ok((theirs, figures)) => {
                    fusions.rounds.push(figures);
                    agree("DataFusion", found, theirs)?;
                }
                Err(error) => refused = Some(error.to_string()),
            }
        }
    }
    println!("    {found} people");
    ours.show("columns");
    ducks.show("DuckDB");
    fusions.show("DataFusion");
    if let Some(error) = refused {
        println!("    DataFusion is skipped: {error}");
    }
    if !ducks.rounds.is_empty() {
        println!("    {:.2} × DuckDB's CPU time", ours.mid() / ducks.mid());
    }
    Ok(())
}

fn agree(who: &str, ours: u64, theirs: u64) -> Result<()> {
    if ours != theirs {
        bail!("{who}: {theirs} people instead of {ours}");
    }
    Ok(())
}

/// The answer, and wall and CPU time for each of so many times. Units: seconds.
fn timed(
    times: usize,
    cpu: &dyn Fn() -> Result<f64>,
    mut work: impl FnMut() -> Result<u64>,
) -> Result<(u64, (f64, f64))> {
    let before = cpu()?;
    let timer = Timer::start();
    let mut answer = 0;
    for _ in 0..times {
        answer = work()?;
    }
    let wall = timer.elapsed().as_secs_f64();
    let each = times as f64;
    Ok((answer, (wall / each, (cpu()? - before) / each)))
}

fn questions(now: Timestamp) -> Vec<Question> {
    let micros = |days: i64| (now - days * DAY).micros();
    let text = |days: i64| (now - days * DAY).to_string();
    let days = 2 * DAY;
    // Of the forms tried (this one, ASOF JOIN, window functions) DuckDB is fastest with this one.
    let duck_steps = format!(
        "WITH a AS (SELECT profile_id, moment FROM events WHERE name = '{VIEWED}'), \
         b AS (SELECT profile_id, moment FROM events WHERE name = '{ADDED}'), \
         c AS (SELECT profile_id, moment FROM events WHERE name = '{ORDERED}') \
         SELECT count(DISTINCT c.profile_id) FROM c \
         JOIN b ON c.profile_id = b.profile_id AND c.moment > b.moment AND c.moment < b.moment + {days} \
         JOIN a ON a.profile_id = b.profile_id AND b.moment > a.moment AND b.moment < a.moment + {days}"
    );
    let fusion_steps = format!(
        "WITH e AS (SELECT profile_id, name, timestamp AS moment FROM events \
         WHERE name IN ('{VIEWED}', '{ADDED}', '{ORDERED}')), \
         one AS (SELECT *, max(CASE WHEN name = '{VIEWED}' THEN moment END) OVER (PARTITION BY profile_id ORDER BY moment \
         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS former_view FROM e), \
         two AS (SELECT *, max(CASE WHEN name = '{ADDED}' AND former_view > moment - INTERVAL '2 days' THEN moment END) \
         OVER (PARTITION BY profile_id ORDER BY moment ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS former FROM one) \
         SELECT count(DISTINCT profile_id) FROM two WHERE name = '{ORDERED}' AND former > moment - INTERVAL '2 days'"
    );
    vec![
        Question {
            condition: format!("did \"{ORDERED}\" in last 30 days"),
            duckdb: Some(format!(
                "SELECT count(DISTINCT profile_id) FROM events WHERE name = '{ORDERED}' AND moment > {}",
                micros(30)
            )),
            datafusion: Some(format!(
                "SELECT count(DISTINCT profile_id) FROM events WHERE name = '{ORDERED}' AND timestamp > '{}'",
                text(30)
            )),
        },
        Question {
            condition: format!(
                "count \"{VIEWED}\" where category = \"Shoes\" in last 30 days >= 3 and not did \"{ORDERED}\" in last 7 days"
            ),
            duckdb: Some(format!(
                "SELECT count(*) FROM (SELECT profile_id FROM events WHERE name = '{VIEWED}' AND category = 'Shoes' \
                 AND moment > {} GROUP BY profile_id HAVING count(*) >= 3) AS v ANTI JOIN (SELECT profile_id FROM events \
                 WHERE name = '{ORDERED}' AND moment > {}) AS o ON v.profile_id = o.profile_id",
                micros(30),
                micros(7)
            )),
            datafusion: Some(format!(
                "SELECT count(*) FROM (SELECT profile_id FROM events WHERE name = '{VIEWED}' AND timestamp > '{}' \
                 AND json_text(properties, 'category') = 'Shoes' GROUP BY profile_id HAVING count(*) >= 3) AS v \
                 WHERE profile_id NOT IN (SELECT profile_id FROM events WHERE name = '{ORDERED}' AND timestamp > '{}')",
                text(30),
                text(7)
            )),
        },
        Question {
            condition: format!(
                "\"{VIEWED}\" then \"{ADDED}\" within 2 days then \"{ORDERED}\" within 2 days"
            ),
            duckdb: Some(duck_steps),
            datafusion: Some(fusion_steps),
        },
        Question {
            condition: format!(
                "country = \"BD\" and plan in (\"pro\", \"team\") and did \"{ORDERED}\" in last 30 days"
            ),
            duckdb: None,
            datafusion: None,
        },
    ]
}

/// The body of a request that identifies some people.
fn identified(from: usize, until: usize) -> String {
    let call = |person: usize| {
        let country = ["BD", "NP", "DE", "US", "FR"][person % 5];
        let plan = ["free", "pro", "team"][person / 5 % 3];
        json!({
            "type": "identify", "userId": format!("bench-{person}"), "messageId": format!("who-{person}"),
            "traits": {"country": country, "plan": plan, "age": 18 + person % 60},
        })
    };
    let batch: Vec<_> = (from..until).map(call).collect();
    json!({"writeKey": super::server::write_key(), "batch": batch}).to_string()
}

/// A well mixed number. Source: SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Writes events as if they had come in one after another: no two at one instant, none behind an edge of a window.
fn fill(data: &Path, now: Timestamp, events: usize, people: u64) -> Result<()> {
    let lake = lake::Lake::open(data)?;
    // Beyond every position of the log: the server reads nothing of it again.
    let first = lake.position().max(1 << 40);
    let edges = [30, 7].map(|days| (now - days * DAY - MINUTE).micros());
    let step = (HISTORY - 2 * (QUIET + MINUTE) - HOUR) / events as i64;
    let mut rows = Vec::with_capacity(FLUSH_ROWS);
    for number in 0..events {
        let mut at = (now - HISTORY).micros() + number as i64 * step;
        for edge in edges {
            if at >= edge {
                at += QUIET + MINUTE;
            }
        }
        rows.push(event(first + 1 + number as i64, number as u64, Timestamp::from_micros(at), people));
        if rows.len() == FLUSH_ROWS || number + 1 == events {
            lake.append(std::mem::take(&mut rows))?;
            lake.flush()?;
        }
    }
    lake.compact()?;
    Ok(())
}

fn event(position: i64, number: u64, at: Timestamp, people: u64) -> lake::Row {
    let (who, what) = (mixed(number), mixed(number ^ 0x5555_5555_5555_5555));
    let name = match what % 40 {
        0 => ORDERED,
        1..=3 => ADDED,
        _ => VIEWED,
    };
    let properties = format!(
        "{{\"product_id\":\"p-{}\",\"category\":\"{}\",\"price\":{}.5,\"revenue\":{},\"url\":\"https://shop.example/p/{}\"}}",
        what / 64 % 240,
        ["Shoes", "Bags", "Hats", "Coats"][(what >> 32) as usize % 4],
        what / 256 % 90,
        what / 1_024 % 200,
        number % 2_000,
    );
    lake::Row {
        position,
        workspace: 1,
        profile_id: (who % people) as i64 + 1,
        message_id: format!("b-{number}"),
        call: "track".to_owned(),
        name: name.to_owned(),
        user_id: None,
        anonymous_id: None,
        timestamp: at,
        original_timestamp: at,
        received_at: at,
        properties,
        context: "{}".to_owned(),
        trust: "server".to_owned(),
        backfill: false,
    }
}

/// DuckDB in a process of its own; killed when dropped.
struct Duck {
    child: Child,
    into: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Duck {
    /// Loads the lake's files; `None`, with a message, when there is no Python with DuckDB.
    fn start(lake: &Path) -> Result<Option<Duck>> {
        let Some(python) = environment("RAPPORT_BENCH_PYTHON") else {
            println!("  DuckDB is skipped: RAPPORT_BENCH_PYTHON names no Python that has the package duckdb");
            return Ok(None);
        };
        let threads = std::thread::available_parallelism()?.to_string();
        let files = format!("{}/workspace=1/*/*.parquet", lake.display());
        let timer = Timer::start();
        let mut child = Command::new(python)
            .args(["-c", include_str!("duckdb.py"), &files, &threads])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start Python")?;
        let into = child.stdin.take().context("no way into Python")?;
        let from = BufReader::new(child.stdout.take().context("no way out of Python")?);
        let mut duck = Duck { child, into, from };
        let ready = duck.line().context("DuckDB did not load")?;
        println!(
            "  DuckDB {} on {threads} threads, loaded in {:.0} s, CPU {:.0} s",
            ready.trim_start_matches("ready "),
            timer.elapsed().as_secs_f64(),
            cpu_of(&duck.child.id().to_string())?
        );
        Ok(Some(duck))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            bail!("DuckDB ended");
        }
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, sql: &str) -> Result<u64> {
        writeln!(self.into, "{sql}")?;
        self.into.flush()?;
        Ok(self.line()?.parse()?)
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
