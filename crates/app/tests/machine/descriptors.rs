//! The process runs out of descriptors under connections, and gets them back.

use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use testkit::smtp;

use crate::harness::{Clock, Ledger, Load, Machine, agent, calls, mails, post_calls, until};

/// Connections that say nothing.
const SILENT: usize = 60;

fn allow(machine: &Machine, descriptors: usize) {
    let done = Command::new("prlimit")
        .args(["--pid", &machine.child.id().to_string(), &format!("--nofile={descriptors}:4096")])
        .status();
    assert!(done.unwrap().success());
}

#[test]
#[ignore = "needs libfaketime; .ci/run runs it"]
fn a_process_without_descriptors_lives_keeps_what_it_acknowledged_and_goes_on_when_it_has_them_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mail = runtime.block_on(smtp::Server::start(smtp::Script::new())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(dir.path(), Clock::Stepped, &["--smtp-url", &mail.url()]);
    machine.journey("cart", 1);
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&machine.url, 2, "before", &ledger);
    load.reach("before", 6);

    // Fewer than are open, so that not one more can be had: not for a connection, a file of the lake or a mail.
    load.phase("during");
    allow(&machine, machine.descriptors());
    let address = machine.url.trim_start_matches("http://").to_owned();
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let before = ledger.of("during").len();
    until("those connected before are served", || ledger.of("during").len() >= before + 10);
    let fresh = agent();
    let quick: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(std::time::Duration::from_secs(2))).build().into();
    assert!(
        quick.get(format!("{}/healthz", machine.url)).call().is_err(),
        "a new connection is served: the process is not short of descriptors, and the test proves nothing"
    );
    assert!(machine.lives(), "the process died for want of descriptors");

    // The connections end and the limit is lifted.
    drop(silent);
    allow(&machine, 1_024);
    until("a new connection is served", || {
        post_calls(&fresh, &machine.url, &calls("fresh-0-0")).is_ok_and(|(status, _)| status == 200)
    });
    load.phase("after");
    load.reach("after", 6);
    load.stop();
    // What found no connection to the mail server is tried again minutes later.
    let mut minutes = 0;
    until("everybody has a mail", || {
        minutes += 2;
        machine.step_clock(60 * minutes);
        mails(&mail.log()).len() > ledger.all().len()
    });
    machine.step_clock(60 * minutes);
    let stored = machine.check(&ledger);
    let sent = mails(&mail.log());
    assert_eq!(sent.len(), stored.len(), "one mail for everybody");
    assert!(sent.values().all(|many| *many == 1), "somebody got a mail twice");
    assert!(machine.lives());
    println!(
        "{} people acknowledged, {} of them while descriptors were short",
        stored.len(),
        ledger.of("during").len()
    );
}
