//! Ten times as much comes in as the server takes at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{CALLS, Clock, Machine, agent, calls, pause, post_calls, until};

/// What may be in work at once. Units: bytes.
const INFLIGHT_BYTES_MAX: usize = 1 << 20;
/// Bytes of one request.
const REQUEST_BYTES: usize = 200_000;
/// Ten times what fits.
const SENDERS: usize = 10 * INFLIGHT_BYTES_MAX / REQUEST_BYTES;
/// Acknowledged requests that end the load.
const ENOUGH: u64 = 150;
/// The server's memory beyond what it had before: what is in work, parsed and encoded, the answers, the batch that is
/// stepped, and what the lake holds until it is written. Units: KB.
const MORE_MEMORY_KB_MAX: u64 = 192 << 10;

#[test]
#[ignore = "loads a server; .ci/run runs it"]
fn ten_times_the_load_is_refused_with_a_time_to_come_back_and_harms_nothing_that_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    let limit = INFLIGHT_BYTES_MAX.to_string();
    let mut machine = Machine::start(dir.path(), Clock::Own, &["--ingest-inflight-bytes-max", &limit]);
    let first = agent();
    assert_eq!(post_calls(&first, &machine.url, &calls("first-0-0")).unwrap().0, 200);
    machine.settle();
    let before = machine.memory_kb_max();

    let stop = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(AtomicU64::new(0));
    let ledger: Arc<Mutex<BTreeMap<String, bool>>> = Arc::default();
    let refused = Arc::new(AtomicU64::new(0));
    let filling = "x".repeat(REQUEST_BYTES / CALLS / 8);
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (stop, taken, ledger, refused) = (stop.clone(), taken.clone(), ledger.clone(), refused.clone());
            let (url, filling) = (machine.url.clone(), filling.clone());
            std::thread::spawn(move || {
                let agent = agent();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let person = format!("o-{sender}-{number}");
                    let events: Vec<Value> = (0..CALLS * 8)
                        .map(|place| {
                            json!({"type": "track", "event": "Loaded", "userId": person, "messageId": format!("m-{person}.{place}"),
                                   "properties": {"filling": filling}})
                        })
                        .collect();
                    let (status, retry) = post_calls(&agent, &url, &events).expect("every request is answered");
                    assert!([200, 429, 503].contains(&status), "the collector answered {status}");
                    ledger.lock().unwrap().insert(person, status == 200);
                    if status == 200 {
                        taken.fetch_add(1, Ordering::Relaxed);
                    } else {
                        refused.fetch_add(1, Ordering::Relaxed);
                        let after = retry.expect("a refusal says when to come back");
                        assert!(after.parse::<u32>().is_ok_and(|seconds| seconds >= 1), "Retry-After: {after}");
                        // Twenty times sooner than it was told: a rude client, but not a busy loop.
                        pause();
                    }
                }
            })
        })
        .collect();
    until("enough was taken", || taken.load(Ordering::Relaxed) >= ENOUGH);
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    let (taken, refused) = (taken.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    assert!(refused > taken / 2, "{refused} refused, {taken} taken: that was no overload");
    assert!(machine.lives());
    assert_eq!(
        post_calls(&first, &machine.url, &calls("last-0-0")).unwrap().0,
        200,
        "it takes requests again at once"
    );
    let more = machine.memory_kb_max() - before;
    assert!(more < MORE_MEMORY_KB_MAX, "{more} KB more memory than at rest");

    let rows = machine.query(
        "SELECT user_id, count(*), count(DISTINCT message_id) FROM events WHERE event = 'Loaded' GROUP BY user_id",
    );
    let stored: BTreeMap<String, (u64, u64)> = rows
        .iter()
        .map(|row| {
            (row[0].as_str().unwrap().to_owned(), (row[1].as_u64().unwrap(), row[2].as_u64().unwrap()))
        })
        .collect();
    let whole = (CALLS * 8) as u64;
    for (person, answered) in ledger.lock().unwrap().iter() {
        let found = stored.get(person);
        if *answered {
            assert_eq!(found, Some(&(whole, whole)), "{person} was acknowledged");
        } else {
            assert_eq!(found, None, "{person} was refused");
        }
    }
    println!(
        "{taken} requests taken, {refused} refused; at most {} KB of memory, {more} more than at rest",
        before + more
    );
}
