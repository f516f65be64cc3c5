//! The process stands still for twenty minutes while the mail server holds back its answer to the final dot.

use std::process::Command;

use testkit::smtp::{self, Act, Release, Script, Stage};

use crate::common::{BINARY, free_port};
use crate::harness::{Clock, Machine, agent, calls, mails, post_calls, until};

const MINUTES: i64 = 20;

/// (recipient, state) of each message.
fn states(machine: &Machine) -> Vec<(String, String)> {
    let page = machine.get("/api/messages?limit=100");
    let text = |item: &serde_json::Value, name: &str| item[name].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(|item| (text(item, "to"), text(item, "state"))).collect()
}

fn state(machine: &Machine, person: &str) -> String {
    let to = format!("{person}@inbox.example");
    states(machine).into_iter().find(|(of, _)| *of == to).map(|(_, state)| state).unwrap_or_default()
}

#[test]
#[ignore = "needs libfaketime; .ci/run runs it"]
fn a_process_that_stood_still_with_open_intents_sends_nothing_twice_and_keeps_its_directory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (answered, cut, silent) = (Release::default(), Release::default(), Release::default());
    let to = |person: &str| format!("{person}@inbox.example");
    let script = Script::new()
        .for_recipient(&to("answered"), Stage::Dot, Act::Wait(answered.clone()))
        .for_recipient(&to("cut"), Stage::Dot, Act::WaitAndCut(cut.clone()))
        .for_recipient(&to("silent"), Stage::Dot, Act::Wait(silent.clone()));
    let mail = runtime.block_on(smtp::Server::start(script)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(dir.path(), Clock::Slept, &["--smtp-url", &mail.url()]);
    machine.journey("cart", 1);
    let agent = agent();
    for person in ["answered", "cut", "silent"] {
        assert_eq!(post_calls(&agent, &machine.url, &calls(person)).unwrap().0, 200);
    }
    until("three mails are handed over and wait for an answer", || mail.log().mails.len() == 3);
    for person in ["answered", "cut", "silent"] {
        assert_eq!(state(&machine, person), "intent");
    }

    machine.signal("STOP");
    let second = Command::new(BINARY)
        .args(["serve", "--data"])
        .arg(&machine.data)
        .args(["--listen", &format!("127.0.0.1:{}", free_port())])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1), "a second process started beside the one that stands still");
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("held by process {}", machine.child.id())), "{said}");
    answered.open();
    cut.open();
    machine.step_clock(60 * MINUTES);
    machine.signal("CONT");

    // Later work of the sender shows that it has gone over everything that is due.
    until("the one without an answer is given up", || state(&machine, "silent") == "in_doubt");
    assert_eq!(post_calls(&agent, &machine.url, &calls("later")).unwrap().0, 200);
    machine.step_clock(60 * (MINUTES + 60));
    until("mail goes out again", || state(&machine, "later") == "accepted");
    assert!(["accepted", "in_doubt"].contains(&state(&machine, "answered").as_str()));
    assert_eq!(state(&machine, "cut"), "in_doubt");
    silent.open();
    let sent = mails(&mail.log());
    assert_eq!(sent.len(), 4);
    assert!(sent.values().all(|many| *many == 1), "a mail was sent twice: {sent:?}");
    assert!(machine.lives());

    // Nor after a start: what is in doubt stays so.
    drop(machine);
    let machine = Machine::start(dir.path(), Clock::Stepped, &["--smtp-url", &mail.url()]);
    machine.step_clock(60 * (MINUTES + 120));
    assert_eq!(post_calls(&agent, &machine.url, &calls("last")).unwrap().0, 200);
    machine.step_clock(60 * (MINUTES + 180));
    until("mail goes out after the start", || state(&machine, "last") == "accepted");
    let sent = mails(&mail.log());
    assert!(sent.len() == 5 && sent.values().all(|many| *many == 1), "a mail was sent twice: {sent:?}");
    println!("20 minutes with three intents open: {:?}", states(&machine));
}
