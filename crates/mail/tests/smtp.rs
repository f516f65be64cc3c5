//! Every way in which a server can answer, fall silent or go away, and what it means for a mail.

#![expect(clippy::unwrap_used, reason = "a test harness")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail::{Blame, Delivery, Envelope, Smtp, Timeouts};
use testkit::smtp::{Act, Release, Script, SelfSigned, Server, Stage};

const RAW: &[u8] = b"Message-ID: <a@shop.example>\r\nSubject: Hello\r\n\r\n.\r\nHello\r\n";

fn envelope(to: &str) -> Envelope {
    Envelope { from: "bounce@shop.example".to_owned(), to: to.to_owned() }
}

async fn start(script: Script) -> (Server, Smtp) {
    let server = Server::start(script).await.unwrap();
    let smtp = Smtp::from_url(&server.url()).unwrap();
    (server, smtp)
}

async fn deliver(script: Script) -> (Server, Delivery) {
    let (server, smtp) = start(script).await;
    let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
    (server, delivery)
}

fn is_deferred(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Deferred { .. })
}

fn is_accepted(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Accepted { .. })
}

/// Scripts without and with pipelining.
fn both(script: impl Fn() -> Script) -> [Script; 2] {
    [script(), script().offer("PIPELINING")]
}

#[tokio::test]
async fn a_mail_arrives_as_it_is() {
    for script in both(Script::new) {
        let (server, delivery) = deliver(script).await;
        assert!(is_accepted(&delivery), "{delivery:?}");
        let mail = server.log().mails.remove(0);
        assert_eq!((mail.from.as_str(), mail.to.as_str()), ("bounce@shop.example", "person@inbox.example"));
        assert_eq!(mail.raw, RAW);
    }
}

#[tokio::test]
async fn a_temporary_answer_at_any_stage_defers() {
    let stages = [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];
    for stage in stages {
        for answer in ["451 4.7.1 later", "421 4.3.2 going down"] {
            for script in both(|| Script::new().say(stage, answer)) {
                let (_server, delivery) = deliver(script).await;
                assert!(is_deferred(&delivery), "{stage:?} {answer}: {delivery:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_permanent_answer_about_the_mail_rejects_and_one_about_the_server_defers() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        for script in both(|| Script::new().say(stage, "554 5.7.1 no")) {
            let (_server, delivery) = deliver(script).await;
            assert!(matches!(&delivery, Delivery::Rejected { code: 554, .. }), "{stage:?}: {delivery:?}");
        }
    }
    for stage in [Stage::Connect, Stage::Hello] {
        let (_server, delivery) = deliver(Script::new().say(stage, "554 no service for you")).await;
        assert!(is_deferred(&delivery), "{stage:?}: {delivery:?}");
    }
}

#[tokio::test]
async fn a_connection_cut_before_the_final_dot_defers() {
    for stage in [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Rcpt, Stage::Data] {
        for script in both(|| Script::new().at(stage, Act::Cut)) {
            let (_server, delivery) = deliver(script).await;
            assert!(is_deferred(&delivery), "{stage:?}: {delivery:?}");
        }
    }
    // More than the buffers between us hold, so that the end of the connection is felt while writing.
    let mut raw = RAW.to_vec();
    raw.extend_from_slice("A line of the body.\r\n".repeat(2_000_000).as_bytes());
    let (server, smtp) = start(Script::new().at(Stage::Body, Act::Cut)).await;
    let delivery = smtp.send(&envelope("person@inbox.example"), &raw).await;
    assert!(is_deferred(&delivery), "{delivery:?}");
    assert_eq!(server.log().mails.len(), 0);
}

#[tokio::test]
async fn a_connection_cut_after_the_final_dot_leaves_the_mail_in_doubt() {
    for script in both(|| Script::new().at(Stage::Dot, Act::Cut)) {
        let (server, delivery) = deliver(script).await;
        assert!(matches!(&delivery, Delivery::InDoubt { .. }), "{delivery:?}");
        assert_eq!(server.log().mails.len(), 1);
    }
    for garbage in ["what?", "2x0 ok", "199 early", "999 late"] {
        let (_server, delivery) = deliver(Script::new().say(Stage::Dot, garbage)).await;
        assert!(matches!(&delivery, Delivery::InDoubt { .. }), "{garbage}: {delivery:?}");
    }
}

#[tokio::test]
async fn silence_ends_at_each_stage_and_is_in_doubt_after_the_dot_alone() {
    let brief = Duration::from_millis(100);
    let timeouts =
        Timeouts { connect: brief, greeting: brief, command: brief, data: brief, block: brief, dot: brief };
    for stage in [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        let server = Server::start(Script::new().at(stage, Act::Wait(Release::default()))).await.unwrap();
        let smtp = Smtp::from_url(&server.url()).unwrap().with_timeouts(timeouts);
        let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
        let expected = if stage == Stage::Dot {
            matches!(&delivery, Delivery::InDoubt { .. })
        } else {
            is_deferred(&delivery)
        };
        assert!(expected, "{stage:?}: {delivery:?}");
    }
}

#[tokio::test]
async fn the_senders_fault_is_told_from_the_recipients() {
    for (answer, blame) in [
        ("550 5.1.1 user unknown", Blame::Address),
        ("550 5.7.26 unauthenticated", Blame::Sender),
        ("550 5.7.515 access denied, unauthenticated", Blame::Sender),
        ("550 5.7.25 no PTR record", Blame::Sender),
        ("552 5.2.2 mailbox full", Blame::Neither),
    ] {
        for stage in [Stage::Rcpt, Stage::Dot] {
            let (_server, delivery) = deliver(Script::new().say(stage, answer)).await;
            assert_eq!(delivery.blame(), blame, "{stage:?}: {delivery:?}");
        }
    }
}

#[tokio::test]
async fn one_connection_carries_many_mails_and_a_refused_one_does_not_spoil_it() {
    for script in both(|| {
        Script::new().for_recipient("nobody@inbox.example", Stage::Rcpt, Act::Say("550 5.1.1 no".to_owned()))
    }) {
        let (server, smtp) = start(script).await;
        for number in 0..30 {
            let refused = number % 3 == 1;
            let to =
                if refused { "nobody@inbox.example".to_owned() } else { format!("p{number}@inbox.example") };
            let delivery = smtp.send(&envelope(&to), RAW).await;
            assert_eq!(is_accepted(&delivery), !refused, "{delivery:?}");
        }
        let log = server.log();
        assert_eq!((log.connections, log.mails.len()), (1, 20));
        assert_eq!(log.count("RSET"), 10);
    }
}

#[tokio::test]
async fn a_connection_is_given_up_after_its_hundredth_mail() {
    let (server, smtp) = start(Script::new().offer("PIPELINING")).await;
    for _ in 0..201 {
        assert!(is_accepted(&smtp.send(&envelope("person@inbox.example"), RAW).await));
    }
    assert_eq!(server.log().connections, 3);
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_no_attempt() {
    for act in [Act::Cut, Act::Say("421 4.4.2 idle for too long".to_owned())] {
        for offer in ["PIPELINING", "NOTHING"] {
            let (server, smtp) = start(Script::new().offer(offer)).await;
            assert!(is_accepted(&smtp.send(&envelope("a@inbox.example"), RAW).await));
            server.change(|script| script.first(1, Stage::Mail, act.clone()));
            let delivery = smtp.send(&envelope("b@inbox.example"), RAW).await;
            assert!(is_accepted(&delivery), "{delivery:?}");
            assert_eq!(server.log().connections, 2);
        }
    }
}

#[tokio::test]
async fn no_more_connections_are_opened_than_allowed() {
    let release = Release::default();
    let server = Server::start(Script::new().at(Stage::Dot, Act::Wait(release.clone()))).await.unwrap();
    let smtp = Arc::new(Smtp::from_url(&format!("{}&connections=3", server.url())).unwrap());
    let sends: Vec<_> = (0..12)
        .map(|_| {
            let smtp = smtp.clone();
            tokio::spawn(async move { smtp.send(&envelope("person@inbox.example"), RAW).await })
        })
        .collect();
    server.wait(|log| log.mails.len() == 3).await;
    assert_eq!(server.log().connections, 3);
    release.open();
    for send in sends {
        assert!(is_accepted(&send.await.unwrap()));
    }
    assert_eq!((server.log().connections, server.log().mails.len()), (3, 12));
}

#[tokio::test]
async fn a_server_that_wants_a_body_for_nobody_gets_an_empty_one() {
    let odd = Script::new().offer("PIPELINING").say(Stage::Mail, "550 5.7.1 not you");
    let (server, smtp) = start(odd).await;
    // MAIL is refused, but RCPT and DATA are taken all the same.
    let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
    assert!(matches!(&delivery, Delivery::Rejected { code: 550, .. }), "{delivery:?}");
    assert_eq!(server.log().mails[0].raw, b"");
}

#[tokio::test]
async fn answers_without_end_are_given_up() {
    let long = format!("250 {}", "x".repeat(100_000));
    let many = format!("{}250 ok", "250-more\r\n".repeat(1_000));
    let changing = "250-a\r\n550 b".to_owned();
    for answer in [long, many, changing] {
        let (_server, delivery) = deliver(Script::new().say(Stage::Mail, &answer)).await;
        assert!(is_deferred(&delivery), "{delivery:?}");
    }
}

#[tokio::test]
async fn addresses_beyond_ascii_are_sent_where_they_can_be_and_refused_with_a_reason_elsewhere() {
    // A domain alone needs no extension.
    let (server, smtp) = start(Script::new()).await;
    assert!(is_accepted(&smtp.send(&envelope("person@bücher.example"), RAW).await));
    assert_eq!(server.log().mails[0].to, "person@xn--bcher-kva.example");
    let delivery = smtp.send(&envelope("jürgen@inbox.example"), RAW).await;
    let Delivery::Rejected { answer, .. } = &delivery else { panic!("{delivery:?}") };
    assert!(answer.contains("SMTPUTF8"), "{answer}");
    assert_eq!(delivery.blame(), Blame::Neither);

    let (server, smtp) = start(Script::new().offer("SMTPUTF8").offer("8BITMIME")).await;
    assert!(is_accepted(&smtp.send(&envelope("jürgen@inbox.example"), RAW).await));
    assert_eq!(server.log().mails[0].to, "jürgen@inbox.example");
    assert_eq!(server.log().count("MAIL FROM:<bounce@shop.example> SMTPUTF8"), 1);

    let delivery = smtp.send(&envelope("a@b.example>\r\nRCPT TO:<c@d.example"), RAW).await;
    assert!(matches!(delivery, Delivery::Rejected { .. }));
    assert_eq!(server.log().count("RCPT"), 1);
}

#[tokio::test]
async fn a_mail_too_large_for_the_server_is_not_begun() {
    let (server, smtp) = start(Script::new().offer("SIZE 40")).await;
    let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
    assert!(matches!(&delivery, Delivery::Rejected { code: 552, .. }), "{delivery:?}");
    assert_eq!(server.log().count("MAIL"), 0);
}

#[tokio::test]
async fn a_server_that_speaks_before_the_final_dot_is_heard() {
    let mut raw = RAW.to_vec();
    raw.extend_from_slice("A line of the body.\r\n".repeat(400_000).as_bytes());
    let script = Script::new().at(Stage::Body, Act::Say("552 5.3.4 too much".to_owned()));
    let (server, smtp) = start(script).await;
    let delivery = smtp.send(&envelope("person@inbox.example"), &raw).await;
    assert!(matches!(&delivery, Delivery::Rejected { code: 552, .. }), "{delivery:?}");
    assert_eq!(server.log().mails.len(), 0);
}

/// A URL with login and TLS for a server on this machine.
fn secure(server: &Server, how: &str, more: &str) -> String {
    format!("smtp://me:s3cret@localhost:{}?tls={how}{more}", server.address.port())
}

fn trusted(certificate: &SelfSigned, dir: &tempfile::TempDir) -> String {
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &certificate.certificate).unwrap();
    format!("&ca={}", file.display())
}

#[tokio::test]
async fn with_a_trusted_certificate_login_and_mail_go_under_tls_and_not_before() {
    let (certificate, dir) = (SelfSigned::new(&["localhost"]), tempfile::tempdir().unwrap());
    for (how, implicit) in [("starttls", false), ("implicit", true)] {
        for mechanism in ["AUTH PLAIN LOGIN", "AUTH LOGIN", "AUTH=LOGIN"] {
            let script = Script::new().tls(&certificate, implicit).offer("PIPELINING").offer(mechanism);
            let server = Server::start(script).await.unwrap();
            let smtp = Smtp::from_url(&secure(&server, how, &trusted(&certificate, &dir))).unwrap();
            let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
            assert!(is_accepted(&delivery), "{how} {mechanism}: {delivery:?}");
            let log = server.log();
            assert!(log.lines.iter().all(|line| line.secure || ["EHLO", "STAR"].contains(&&line.text[..4])));
            let secrets = if mechanism.contains("PLAIN") {
                vec![format!("AUTH PLAIN {}", STANDARD.encode("\0me\0s3cret"))]
            } else {
                vec!["AUTH LOGIN".to_owned(), STANDARD.encode("me"), STANDARD.encode("s3cret")]
            };
            for secret in secrets {
                assert!(log.lines.iter().any(|line| line.text == secret), "{secret}: {:?}", log.lines);
            }
        }
    }
}

#[tokio::test]
async fn with_a_wrong_certificate_nothing_is_sent_neither_mail_nor_login() {
    let dir = tempfile::tempdir().unwrap();
    let (unknown, other) = (SelfSigned::new(&["localhost"]), SelfSigned::new(&["other.example"]));
    // Nobody vouches for it; or it is trusted but speaks for another name.
    for (certificate, more) in [(&unknown, String::new()), (&other, trusted(&other, &dir))] {
        for (how, implicit) in [("starttls", false), ("implicit", true)] {
            let script = Script::new().tls(certificate, implicit).offer("AUTH PLAIN LOGIN");
            let server = Server::start(script).await.unwrap();
            let smtp = Smtp::from_url(&secure(&server, how, &more)).unwrap();
            let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
            assert!(is_deferred(&delivery), "{how}: {delivery:?}");
            let log = server.log();
            assert_eq!((log.count("AUTH"), log.count("MAIL"), log.mails.len()), (0, 0, 0), "{:?}", log.lines);
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_or_one_that_speaks_before_it_gets_nothing() {
    let certificate = SelfSigned::new(&["localhost"]);
    for script in [
        Script::new().offer("AUTH PLAIN"),
        Script::new().offer("STARTTLS").offer("AUTH PLAIN"),
        Script::new().tls(&certificate, false).say(Stage::StartTls, "220 go on\r\n250 injected"),
    ] {
        let server = Server::start(script).await.unwrap();
        let smtp = Smtp::from_url(&secure(&server, "starttls", "")).unwrap();
        let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
        assert!(is_deferred(&delivery), "{delivery:?}");
        assert_eq!((server.log().count("AUTH"), server.log().count("MAIL")), (0, 0));
    }
}

#[tokio::test]
async fn a_refused_login_defers() {
    let (certificate, dir) = (SelfSigned::new(&["localhost"]), tempfile::tempdir().unwrap());
    let script =
        Script::new().tls(&certificate, true).offer("AUTH PLAIN").say(Stage::Auth, "535 5.7.8 wrong");
    let server = Server::start(script).await.unwrap();
    let smtp = Smtp::from_url(&secure(&server, "implicit", &trusted(&certificate, &dir))).unwrap();
    let delivery = smtp.send(&envelope("person@inbox.example"), RAW).await;
    assert!(is_deferred(&delivery), "{delivery:?}");
    assert!(!format!("{delivery:?}").contains("s3cret"));
    assert_eq!(server.log().count("MAIL"), 0);
}
