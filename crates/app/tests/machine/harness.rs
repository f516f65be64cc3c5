//! A server as a process whose clock, signals and descriptors a test holds; load on it with a ledger of what was
//! acknowledged; and what must be true of both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{BINARY, free_port};

const WRITE_KEY: &str = "machine-write-key-0123456789abcdef";
const API_KEY: &str = "machine-api-key-0123456789abcdefgh";
/// Events of one request.
pub const CALLS: usize = 3;
/// Long enough for a loaded machine; nothing that is waited for takes a fraction of it.
const BEATS_MAX: usize = 1_200;

#[expect(clippy::disallowed_methods, reason = "a process outside is awaited; nothing signals its readiness")]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..BEATS_MAX {
        if so() {
            return;
        }
        pause();
    }
    panic!("in a minute it did not happen that {what}");
}

/// Where Debian's package libfaketime puts its library for programs with threads.
fn faketime() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|place| place.path());
    let mut found =
        places.map(|place| place.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().unwrap_or_else(|| panic!("libfaketime is not installed: apt-get install libfaketime"))
}

/// Whose clock a server goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's.
    Own,
    /// The wall clock is the test's; durations go by the machine's, as when an administrator or NTP steps the clock.
    Stepped,
    /// Both are the test's, as when the process did not run for a while.
    Slept,
}

/// A running server; it is killed when dropped.
pub struct Machine {
    pub child: Child,
    pub url: String,
    pub data: PathBuf,
}

impl Machine {
    /// Starts the server on `dir/data` and waits until it is ready.
    pub fn start(dir: &Path, clock: Clock, arguments: &[&str]) -> Machine {
        let port = free_port();
        let data = dir.join("data");
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["serve", "--data"]).arg(&data).args(["--listen", &format!("127.0.0.1:{port}")]);
        command.args(arguments).current_dir(dir).env_clear();
        command.env("RAPPORT_BOOTSTRAP_WRITE_KEY", WRITE_KEY).env("RAPPORT_BOOTSTRAP_API_KEY", API_KEY);
        command.env("RAPPORT_FROM", "Machine <machine@sender.example>");
        let hand = data.with_extension("clock");
        std::fs::write(&hand, "+0").unwrap();
        if clock != Clock::Own {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", &hand);
            command.env("FAKETIME_NO_CACHE", "1").env("NO_FAKE_STAT", "1");
        }
        if clock == Clock::Stepped {
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let machine = Machine { child, url: format!("http://127.0.0.1:{port}"), data };
        until("the server is ready", || ureq::get(format!("{}/readyz", machine.url)).call().is_ok());
        machine
    }

    /// Steps the clock of a running server to so many seconds from the machine's.
    pub fn step_clock(&self, seconds: i64) {
        let hand = self.data.with_extension("clock");
        let new = self.data.with_extension("clock-new");
        std::fs::write(&new, format!("{seconds:+}")).unwrap();
        std::fs::rename(new, hand).unwrap();
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether the process is alive.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let mut answer = ureq::post(format!("{}{path}", self.url))
            .header("authorization", &format!("Bearer {API_KEY}"))
            .send_json(body)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        answer.body_mut().read_json().unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.url))
            .header("authorization", &format!("Bearer {API_KEY}"))
            .call()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        answer.body_mut().read_json().unwrap()
    }

    /// The rows of a query.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        let answer = self.post("/api/query", &json!({"sql": sql}));
        assert_eq!(answer["truncated"], false, "the answer must be whole to be compared");
        answer["rows"].as_array().unwrap().clone()
    }

    /// Waits until every event is stepped and no message is on its way.
    pub fn settle(&self) -> Value {
        let mut last = Value::Null;
        for _ in 0..BEATS_MAX {
            let overview = self.get("/api/overview");
            let open = ["planned", "intent", "deferred"].map(|state| overview["messages"][state].as_i64());
            if overview["lag_events"] == 0 && open.iter().all(|many| many.unwrap_or(0) == 0) {
                return overview;
            }
            last = overview;
            pause();
        }
        panic!("work is still open after a minute: {last}");
    }

    /// A journey of one wait and one mail for whoever leaves a cart.
    pub fn journey(&self, id: &str, wait_seconds: i64) {
        self.post(
            "/api/templates",
            &json!({
                "id": id, "name": id, "engine": "liquid", "format": "html", "subject": id, "preheader": "",
                "body": "<p>Your cart.</p><p><a href=\"{{ links.unsubscribe }}\">Unsubscribe</a></p>",
            }),
        );
        let wait = json!({"type": "wait", "seconds": wait_seconds, "next": "send"});
        let send = json!({"type": "send", "template": id, "topic": "marketing", "next": "end"});
        self.post(
            "/api/journeys",
            &json!({"id": id, "name": id, "definition": {
                "trigger": {"event": "Cart Left", "key": "cart_id"}, "start": "wait",
                "nodes": {"wait": wait, "send": send, "end": {"type": "exit"}},
            }}),
        );
    }

    /// The live count of a segment and what history says of the same condition at this instant.
    pub fn members(&self, segment: &str) -> (i64, i64) {
        let live = self.get(&format!("/api/segments/{segment}"));
        let preview = self.post("/api/segments/preview", &json!({"where": live["where"]}));
        (live["count"].as_i64().unwrap(), preview["count"].as_i64().unwrap())
    }

    /// The most memory the process ever had. Units: KB.
    pub fn memory_kb_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Descriptors that are open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Everything acknowledged is there once; a request is there whole or not at all.
    pub fn check(&self, ledger: &Ledger) -> BTreeSet<String> {
        self.settle();
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for place in 0..CALLS {
            let sql = format!(
                "SELECT message_id, count(*) FROM events WHERE message_id LIKE 'm-%.{place}' GROUP BY message_id"
            );
            for row in self.query(&sql) {
                seen.insert(row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap());
            }
        }
        let doubled: Vec<_> = seen.iter().filter(|(_, many)| **many > 1).take(5).collect();
        assert!(doubled.is_empty(), "doubled: {doubled:?}");
        let acknowledged = ledger.all();
        let person = |id: &str| id[2..].rsplit_once('.').unwrap().0.to_owned();
        let mut stored: BTreeMap<String, usize> = BTreeMap::new();
        for id in seen.keys() {
            *stored.entry(person(id)).or_default() += 1;
        }
        let lost: Vec<_> = acknowledged.iter().filter(|who| !stored.contains_key(*who)).take(5).collect();
        assert!(lost.is_empty(), "acknowledged but lost: {lost:?}");
        let halves: Vec<_> = stored.iter().filter(|(_, calls)| **calls != CALLS).take(5).collect();
        assert!(halves.is_empty(), "requests that are there in part: {halves:?}");
        stored.into_keys().collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The people whose requests were acknowledged, by phase.
#[derive(Default)]
pub struct Ledger(Mutex<BTreeMap<&'static str, BTreeSet<String>>>);

impl Ledger {
    pub fn of(&self, phase: &str) -> BTreeSet<String> {
        self.0.lock().unwrap().get(phase).cloned().unwrap_or_default()
    }

    pub fn all(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().values().flatten().cloned().collect()
    }
}

/// The calls of a new person who looks at something and leaves a cart.
pub fn calls(person: &str) -> Vec<Value> {
    let id = |place: usize| format!("m-{person}.{place}");
    vec![
        json!({"type": "identify", "userId": person, "messageId": id(0), "traits": {"email": format!("{person}@inbox.example")}}),
        json!({"type": "track", "event": "Product Viewed", "userId": person, "messageId": id(1), "properties": {}}),
        json!({"type": "track", "event": "Cart Left", "userId": person, "messageId": id(2), "properties": {"cart_id": person}}),
    ]
}

/// Posts calls over a connection of its own; the status and Retry-After.
pub fn post_calls(
    agent: &ureq::Agent,
    url: &str,
    calls: &[Value],
) -> Result<(u16, Option<String>), ureq::Error> {
    let mut answer =
        agent.post(format!("{url}/v1/batch")).send_json(json!({"writeKey": WRITE_KEY, "batch": calls}))?;
    let retry = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    // Read to its end, so that the connection is used again.
    let _ = answer.body_mut().read_to_string()?;
    Ok((answer.status().as_u16(), retry))
}

/// An agent that tells a refusal from a failure.
pub fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.timeout_global(Some(Duration::from_secs(20))).http_status_as_error(false).build().into()
}

/// Senders that post new people until they are stopped.
pub struct Load {
    phase: Arc<Mutex<&'static str>>,
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
    /// What was acknowledged.
    pub ledger: Arc<Ledger>,
}

impl Load {
    pub fn start(url: &str, senders: usize, phase: &'static str, ledger: &Arc<Ledger>) -> Load {
        let phase = Arc::new(Mutex::new(phase));
        let stop = Arc::new(AtomicBool::new(false));
        let senders = (0..senders)
            .map(|sender| {
                let (url, phase, stop, ledger) =
                    (url.to_owned(), phase.clone(), stop.clone(), ledger.clone());
                std::thread::spawn(move || send(&url, sender, &phase, &stop, &ledger))
            })
            .collect();
        Load { phase, stop, senders, ledger: ledger.clone() }
    }

    /// From now on people are of this phase; returns when no request of an earlier one is under way.
    pub fn phase(&self, name: &'static str) {
        *self.phase.lock().unwrap() = name;
        until("every sender has had an answer", || {
            let people = self.ledger.of(name);
            (0..self.senders.len()).all(|sender| {
                let prefix = format!("{name}-{sender}-");
                people.iter().any(|person| person.starts_with(&prefix))
            })
        });
    }

    /// Waits until so many people of a phase are acknowledged.
    pub fn reach(&self, phase: &str, people: usize) {
        until("enough people are acknowledged", || self.ledger.of(phase).len() >= people);
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.join().unwrap();
        }
    }
}

fn send(url: &str, sender: usize, phase: &Mutex<&'static str>, stop: &AtomicBool, ledger: &Ledger) {
    let agent = agent();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let now = *phase.lock().unwrap();
        let person = format!("{now}-{sender}-{number}");
        if let Ok((200, _)) = post_calls(&agent, url, &calls(&person)) {
            ledger.0.lock().unwrap().entry(now).or_default().insert(person);
        }
        pause();
    }
}

/// How often each (recipient, subject) stands in the log of the mail server.
pub fn mails(log: &testkit::smtp::Log) -> BTreeMap<(String, String), usize> {
    let mut out = BTreeMap::new();
    for mail in &log.mails {
        let person = mail.to.split('@').next().unwrap().to_owned();
        *out.entry((person, mail.header("Subject"))).or_default() += 1;
    }
    out
}
