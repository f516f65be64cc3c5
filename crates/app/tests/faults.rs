//! Promises 1, 2 and 27 by faults from below: the process is killed at its n-th fsync, fsync fails, the disk is full.
//! What was acknowledged is there exactly once afterwards; nothing is half stored; the server recovers by itself.
//!
//! Ignored by default: `strace` and a mount of its own are needed, so it runs as root from `.ci/run`.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{BINARY, environment, free_port};
use serde_json::{Value, json};

const WRITE_KEY: &str = "fault-write-key-0123456789abcdef";
const API_KEY: &str = "fault-api-key-0123456789abcdefgh";
/// Events of one request.
const BATCH: usize = 20;

/// A server, perhaps under a tracer that makes its system calls fail.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(data: &Path, inject: Option<&str>) -> Server {
        let port = free_port();
        let mut command = match inject {
            None => Command::new(BINARY),
            Some(inject) => {
                let mut strace = Command::new("strace");
                strace
                    .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e"])
                    .arg(format!("inject={inject}"));
                strace.arg("-o").arg("/dev/null").arg(BINARY);
                strace
            }
        };
        let child = command
            .args(["serve", "--data"])
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("RAPPORT_BOOTSTRAP_WRITE_KEY", WRITE_KEY)
            .env("RAPPORT_BOOTSTRAP_API_KEY", API_KEY)
            .env("RAPPORT_LOG", "off")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Server { child, url: format!("http://127.0.0.1:{port}") }
    }

    /// Whether it became ready; it may be killed before it does.
    fn ready(&mut self) -> bool {
        for _ in 0..1_200 {
            if ureq::get(format!("{}/readyz", self.url)).call().is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            pause();
        }
        panic!("the server neither became ready nor ended within a minute");
    }

    /// Posts a batch; true when it was acknowledged, false when it was refused for now or the server is gone.
    fn post(&self, ids: &[String]) -> bool {
        let batch: Vec<Value> = ids
            .iter()
            .map(|id| {
                json!({"type": "track", "event": "Tested", "userId": "somebody", "messageId": id,
                       "properties": {"filling": "x".repeat(1_000)}})
            })
            .collect();
        let answer = ureq::post(format!("{}/v1/batch", self.url))
            .config()
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false)
            .build()
            .send_json(json!({"writeKey": WRITE_KEY, "batch": batch}));
        let Ok(answer) = answer else { return false };
        let status = answer.status().as_u16();
        assert!(status == 200 || status == 503, "the collector answered {status}");
        if status == 503 {
            assert!(answer.headers().contains_key("retry-after"), "503 without Retry-After");
        }
        status == 200
    }

    /// Waits until every event of the log has been stepped; the lake shows no others.
    fn settle(&self) {
        for _ in 0..1_200 {
            let mut answer = ureq::get(format!("{}/metrics", self.url)).call().unwrap();
            let text = answer.body_mut().read_to_string().unwrap();
            if text.lines().any(|line| line == "rapport_lag_events 0") {
                return;
            }
            pause();
        }
        panic!("events are still waiting to be stepped after a minute");
    }

    /// How often each event is in the lake.
    fn stored(&self) -> BTreeMap<String, u64> {
        self.settle();
        let mut out = BTreeMap::new();
        // An answer has a limit of rows: each place within a request is asked for by itself.
        for place in 0..BATCH {
            let sql = format!(
                "SELECT message_id, count(*) FROM events WHERE message_id LIKE 'f-%-{place}' GROUP BY message_id"
            );
            let mut answer = ureq::post(format!("{}/api/query", self.url))
                .header("authorization", &format!("Bearer {API_KEY}"))
                .send_json(json!({"sql": sql}))
                .unwrap();
            let answer: Value = answer.body_mut().read_json().unwrap();
            assert_eq!(answer["truncated"], false, "the answer must be whole to be compared");
            for row in answer["rows"].as_array().unwrap() {
                out.insert(row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap());
            }
        }
        out
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The tracer's death would leave the traced behind.
        let _ = Command::new("pkill").args(["-9", "-P", &self.child.id().to_string()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a process outside is awaited; nothing signals its readiness")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

fn ids(round: usize, request: usize) -> Vec<String> {
    (0..BATCH).map(|place| format!("f-{round}-{request}-{place}")).collect()
}

/// Everything acknowledged is there once; what was not acknowledged is there at most once, and whole requests at a time.
fn check(server: &Server, acknowledged: &BTreeSet<String>, asked: &[Vec<String>]) {
    let stored = server.stored();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains_key(*id)).take(5).collect();
    assert!(lost.is_empty(), "acknowledged but lost: {lost:?}");
    let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).take(5).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    for request in asked {
        let there = request.iter().filter(|id| stored.contains_key(*id)).count();
        assert!(there == 0 || there == BATCH, "{there} of the {BATCH} events of a request are there");
    }
}

#[test]
#[ignore = "needs strace; .ci/run runs it"]
fn a_kill_at_any_fsync_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let rounds: usize = environment("RAPPORT_FAULT_ROUNDS").and_then(|n| n.parse().ok()).unwrap_or(40);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut acknowledged, mut asked, mut died) = (BTreeSet::new(), Vec::new(), 0);
    for round in 1..=rounds {
        // The first fsyncs happen while the stores open: those are edges as well, of the first rounds.
        let inject = format!("fsync,fdatasync:signal=KILL:when={}", round * 3);
        let mut server = Server::start(&data, Some(&inject));
        if server.ready() {
            // As many as it takes: the fsync that kills comes with one of them.
            for request in 0..1_000 {
                let ids = ids(round, request);
                asked.push(ids.clone());
                if server.post(&ids) {
                    acknowledged.extend(ids);
                } else {
                    died += 1;
                    break;
                }
            }
        }
    }
    let mut server = Server::start(&data, None);
    assert!(server.ready(), "the server does not start after it was killed");
    check(&server, &acknowledged, &asked);
    assert!(died * 2 > rounds, "only {died} of {rounds} rounds died under load: the injection proves little");
    println!(
        "{died} deaths under load in {rounds} rounds; {} acknowledged events, each there once",
        acknowledged.len()
    );
}

#[test]
#[ignore = "needs strace; .ci/run runs it"]
fn a_failing_fsync_is_never_acknowledged_and_the_server_goes_on_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Made without faults: what is tested is a server at work.
    assert!(Server::start(&data, None).ready());
    let mut server = Server::start(&data, Some("fsync,fdatasync:error=EIO:when=30..45"));
    assert!(server.ready(), "the server does not start");
    let (mut acknowledged, mut asked, mut refused) = (BTreeSet::new(), Vec::new(), 0);
    let mut after = 0;
    for request in 0..400 {
        let ids = ids(0, request);
        asked.push(ids.clone());
        if server.post(&ids) {
            acknowledged.extend(ids);
            after += usize::from(refused > 0);
        } else {
            refused += 1;
            assert!(server.child.try_wait().unwrap().is_none(), "the server died of a failing disk");
        }
        if after > 20 {
            break;
        }
    }
    assert!(refused > 0, "no request met a failing fsync: the injection proves nothing");
    assert!(after > 20, "the server did not recover when the disk did");
    drop(server);
    let mut server = Server::start(&data, None);
    assert!(server.ready());
    check(&server, &acknowledged, &asked);
    println!(
        "{refused} requests met the failing disk; {} acknowledged events, each there once",
        acknowledged.len()
    );
}

/// A file system of a size of its own, unmounted when dropped.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    fn mount(path: &Path, megabytes: u32) -> Disk<'_> {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(path)
            .status()
            .unwrap();
        assert!(done.success(), "a tmpfs cannot be mounted: run as root");
        Disk(path)
    }

    fn grow(&self, megabytes: u32) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,size={megabytes}m")])
            .arg(self.0)
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
#[ignore = "needs to mount a file system; .ci/run runs it as root"]
fn a_full_disk_refuses_new_events_keeps_the_old_and_is_left_behind_when_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(dir.path(), 24);
    let data = dir.path().join("data");
    let mut server = Server::start(&data, None);
    assert!(server.ready());
    let (mut acknowledged, mut asked) = (BTreeSet::new(), Vec::new());
    let mut refused = 0;
    for request in 0..4_000 {
        let ids = ids(0, request);
        asked.push(ids.clone());
        if server.post(&ids) {
            acknowledged.extend(ids);
        } else {
            refused += 1;
        }
        if refused == 20 {
            break;
        }
    }
    assert_eq!(refused, 20, "the disk was never full: the test proves nothing");
    assert!(server.child.try_wait().unwrap().is_none(), "the server died of a full disk");
    assert!(ureq::get(format!("{}/healthz", server.url)).call().is_ok());
    disk.grow(400);
    let mut taken = 0;
    for request in 4_000..4_400 {
        let ids = ids(0, request);
        asked.push(ids.clone());
        if server.post(&ids) {
            acknowledged.extend(ids);
            taken += 1;
        } else {
            pause();
        }
        if taken == 20 {
            break;
        }
    }
    assert_eq!(taken, 20, "the server did not recover when there was room again");
    check(&server, &acknowledged, &asked);
    drop(server);
    let mut server = Server::start(&data, None);
    assert!(server.ready(), "the server does not start after its disk was full");
    check(&server, &acknowledged, &asked);
    println!("{} acknowledged events, each there once, before and after a restart", acknowledged.len());
}
