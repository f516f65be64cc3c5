//! The wall clock is stepped under a running server: an hour back, then a day on.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use testkit::smtp;

use crate::harness::{Clock, Ledger, Load, Machine, mails, until};

const HOUR: i64 = 3_600;
const SENDERS: usize = 2;
const PEOPLE: usize = 12;

/// Who has got this mail; nobody has got any mail twice.
fn written_to(server: &smtp::Server, subject: &str) -> BTreeSet<String> {
    let mails = mails(&server.log());
    let twice: Vec<_> = mails.iter().filter(|(_, many)| **many > 1).take(5).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    mails.into_keys().filter(|(_, of)| of == subject).map(|(person, _)| person).collect()
}

/// Live membership is what the definition says over history, by the clock as it stands.
fn true_members(machine: &Machine) -> i64 {
    until("membership in the stream is that of history", || {
        let (live, history) = machine.members("recent");
        live == history
    });
    machine.members("recent").0
}

#[test]
#[ignore = "needs libfaketime; .ci/run runs it"]
fn a_clock_stepped_back_an_hour_and_on_a_day_refires_skips_and_loses_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mail = runtime.block_on(smtp::Server::start(smtp::Script::new())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(dir.path(), Clock::Stepped, &["--smtp-url", &mail.url()]);
    machine.journey("short", 1);
    machine.journey("long", 2 * HOUR);
    let condition = "did \"Product Viewed\" in last 2 hours";
    machine.post("/api/segments", &json!({"id": "recent", "name": "recent", "where": condition}));
    let ledger = Arc::new(Ledger::default());

    // Before: some are between their event and the end of their short wait, all are within the long one.
    let load = Load::start(&machine.url, SENDERS, "a", &ledger);
    load.reach("a", PEOPLE);
    load.phase("x");
    machine.step_clock(-HOUR);
    load.phase("b");
    load.reach("b", PEOPLE);
    load.stop();
    let people = |phase: &str| ledger.of(phase);
    until("those who came after the step back got their mail", || {
        written_to(&mail, "short").is_superset(&people("b"))
    });
    assert!(written_to(&mail, "long").is_empty(), "a long wait ended early");
    true_members(&machine);

    // A day on: the waits from before are over, those that begin now are not.
    let load = Load::start(&machine.url, SENDERS, "y", &ledger);
    load.phase("y");
    machine.step_clock(24 * HOUR);
    load.phase("c");
    load.reach("c", PEOPLE);
    load.stop();
    until("every wait from before has ended and every short one since", || {
        let (short, long) = (written_to(&mail, "short"), written_to(&mail, "long"));
        let before: BTreeSet<String> = ["a", "x", "b"].into_iter().flat_map(&people).collect();
        short.is_superset(&ledger.all()) && long.is_superset(&before)
    });
    let early: Vec<_> = written_to(&mail, "long").intersection(&people("c")).cloned().collect();
    assert!(early.is_empty(), "a wait that began after the step ended early: {early:?}");
    let members = true_members(&machine) as usize;
    assert!(members >= people("c").len(), "those who looked just now are members");
    assert!(members <= people("c").len() + people("y").len(), "those who looked a day ago are members still");

    // Three hours later everything is over.
    machine.step_clock(27 * HOUR);
    until("every long wait has ended", || written_to(&mail, "long").is_superset(&ledger.all()));
    until("nobody is a member any more", || machine.members("recent") == (0, 0));
    let stored = machine.check(&ledger);
    assert_eq!(written_to(&mail, "short"), stored, "one short mail for everybody");
    assert_eq!(written_to(&mail, "long"), stored, "one long mail for everybody");
    for journey in ["short", "long"] {
        let journey = machine.get(&format!("/api/journeys/{journey}"));
        assert_eq!(journey["entered"], stored.len(), "{journey}");
        assert_eq!(journey["completed"], stored.len(), "{journey}");
        assert_eq!(journey["counts"]["send"]["passed"], stored.len(), "each step once: {journey}");
    }
    for name in ["Journey Entered", "Journey Exited", "Email Sent"] {
        let sql = format!("SELECT count(*), count(DISTINCT message_id) FROM events WHERE event = '{name}'");
        assert_eq!(machine.query(&sql)[0], json!([2 * stored.len(), 2 * stored.len()]), "{name}");
    }
    assert!(machine.lives());
    println!("{} people, two mails each, none twice, none early, over two steps of the clock", stored.len());
}
