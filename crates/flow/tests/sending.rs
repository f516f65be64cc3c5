//! How a mail is sent: the promises of sending, against scripted servers and a clock of our own.

#![expect(clippy::unwrap_used, reason = "a test harness")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flow::{Balance, DefinitionKind, Draft, Options, Platform, SendRequest};
use model::time::{HOUR, MINUTE};
use model::{Clock, IdentifierKind, ProfileId, Timestamp, Trust, Value, WorkspaceId};
use serde_json::json;
use store::{MessageRow, NewMessage};
use testkit::smtp::{Act, Release, Script, Server, Stage};

const W: WorkspaceId = WorkspaceId(1);
const START: i64 = 1_795_000_000_000_000;

/// A platform on a directory of its own, with a clock that stands until it is moved.
struct Rig {
    dir: tempfile::TempDir,
    micros: Arc<AtomicI64>,
    platform: Arc<Platform>,
}

impl Rig {
    async fn open(smtp_url: &str) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let micros = Arc::new(AtomicI64::new(START));
        let platform = open(dir.path(), smtp_url, &micros).await;
        let rig = Rig { dir, micros, platform };
        let body = json!({
            "engine": "liquid", "format": "html", "subject": "Hello {{ customer.first_name | default: \"you\" }}", "preheader": "",
            "body": "<p>Hello.</p><p><a href=\"https://shop.example/sale\">Sale</a> <a href=\"{{ links.unsubscribe }}\">Unsubscribe</a></p>",
        });
        rig.template("hello", body).await;
        rig
    }

    async fn template(&self, id: &str, body: Value) {
        let draft = Draft { id: Some(id.to_owned()), name: id.to_owned(), body };
        self.platform.save_definition(W, DefinitionKind::Template, draft, "test").await.unwrap();
    }

    /// Opens the same directory again, as after a crash.
    async fn reopen(self, smtp_url: &str) -> Rig {
        let Rig { dir, micros, platform } = self;
        assert_eq!(Arc::strong_count(&platform), 1, "somebody still holds the platform");
        drop(platform);
        let platform = open(dir.path(), smtp_url, &micros).await;
        Rig { dir, micros, platform }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn pass(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Makes people `p0` … with addresses at inbox.example.
    async fn people(&self, many: usize) -> Vec<ProfileId> {
        let workers = self.platform.start_without_sending();
        let names: Vec<String> = (0..many).map(|number| format!("p{number}")).collect();
        let calls: Vec<Value> = names
            .iter()
            .map(|name| {
                json!({
                    "type": "identify", "userId": name, "messageId": format!("i-{name}"),
                    "traits": {"email": format!("{name}@inbox.example"), "first_name": name},
                })
            })
            .collect();
        self.platform.ingest_calls(W, &calls, Trust::Server, "test").await.unwrap();
        until(|| async { self.platform.lag_events() == 0 }).await;
        workers.stop().await;
        let wanted: Vec<_> = names.iter().map(|name| (W, IdentifierKind::UserId, name.clone())).collect();
        let found = self.platform.store.lookup_identifiers(&wanted).await.unwrap();
        wanted.iter().map(|key| found[key]).collect()
    }

    /// Plans a marketing mail for each.
    async fn plan(&self, people: &[ProfileId], template: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for (number, profile) in people.iter().enumerate() {
            let id = format!("{:032x}", 0xabc_0000 + number);
            let message = NewMessage {
                workspace: W,
                id: id.clone(),
                send_key: format!("test/{number}"),
                profile: *profile,
                kind: "marketing".to_owned(),
                topic: "news".to_owned(),
                source: None,
                template: template.to_owned(),
                recipient: format!("p{number}@inbox.example"),
                due_at: self.now(),
                created_at: self.now(),
                data: "{}".to_owned(),
                trace: "[]".to_owned(),
            };
            assert!(self.platform.store.plan_message(&message).await.unwrap());
            ids.push(id);
        }
        ids
    }

    async fn message(&self, id: &str) -> MessageRow {
        self.platform.store.message(id).await.unwrap().unwrap()
    }

    async fn until_state(&self, id: &str, state: &str) -> MessageRow {
        until(|| async { self.message(id).await.state == state }).await;
        self.message(id).await
    }

    /// Waits until nothing is open, and checks that every message ended in exactly one way.
    async fn settled(&self, planned: usize) -> Balance {
        until(|| async { self.platform.balance(W).await.unwrap().open == 0 }).await;
        let balance = self.platform.balance(W).await.unwrap();
        assert_eq!(balance.faults, Vec::<String>::new());
        assert_eq!((balance.planned, balance.ended.values().sum::<i64>()), (planned as i64, planned as i64));
        balance
    }

    /// The names of our events about a message, in the order they were written.
    async fn events(&self, id: &str) -> Vec<String> {
        let emitted = self.platform.store.emitted(10_000).await.unwrap();
        let about = emitted.into_iter().map(|(_, event)| event.message_id).filter(|event| event.contains(id));
        about.map(|event| event.replace(id, "*")).collect()
    }
}

async fn open(dir: &std::path::Path, smtp_url: &str, micros: &Arc<AtomicI64>) -> Arc<Platform> {
    let reading = micros.clone();
    let options = Options {
        data_dir: dir.to_owned(),
        base_url: "https://mail.shop.example".to_owned(),
        smtp_url: Some(smtp_url.to_owned()),
        from: Some("Shop <hello@shop.example>".to_owned()),
        ..Options::default()
    };
    let clock = Clock::from_fn(move || Timestamp::from_micros(reading.load(Ordering::SeqCst)));
    Platform::open(options, clock).await.unwrap()
}

/// Looks again and again: the store gives no signal of its own.
async fn until<F: Future<Output = bool>>(enough: impl Fn() -> F) {
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    let looking = async {
        while !enough().await {
            beat.tick().await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_mins(2), looking).await;
    assert!(seen.is_ok(), "what was waited for did not happen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_recipient_holds_up_nobody_else() {
    let release = Release::default();
    let script = Script::new().offer("PIPELINING").for_recipient(
        "p0@inbox.example",
        Stage::Dot,
        Act::Wait(release.clone()),
    );
    let server = Server::start(script).await.unwrap();
    let rig = Rig::open(&format!("{}&connections=4", server.url())).await;
    // More than are taken from the store at once, so that the rest needs another look while the slow one hangs.
    let people = rig.people(450).await;
    let ids = rig.plan(&people, "hello").await;
    let workers = rig.platform.start();
    let others =
        |log: &testkit::smtp::Log| log.mails.iter().filter(|mail| mail.to != "p0@inbox.example").count();
    server.wait(|log| others(log) == 449).await;
    assert_eq!(rig.message(&ids[0]).await.state, "intent");
    release.open();
    let balance = rig.settled(450).await;
    assert_eq!(balance.ended("accepted"), 450);
    workers.stop().await;
    let log = server.log();
    let recipients: BTreeSet<_> = log.mails.iter().map(|mail| mail.to.clone()).collect();
    assert_eq!((recipients.len(), log.mails.len()), (450, 450));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_mail_is_sent_again_with_the_same_bytes_though_its_template_changed() {
    let script = Script::new().first(1, Stage::Rcpt, Act::Say("451 4.7.1 later".to_owned()));
    let server = Server::start(script).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(1).await;
    let ids = rig.plan(&people, "hello").await;
    let workers = rig.platform.start();
    let deferred = rig.until_state(&ids[0], "deferred").await;
    assert_eq!((deferred.attempt, deferred.due_at), (1, rig.now() + MINUTE));
    let kept = rig.platform.raw_message(W, &ids[0]).await.unwrap().unwrap();
    let body = json!({"format": "html", "subject": "Another", "body": "<p>Another.</p>"});
    rig.template("hello", body).await;
    rig.pass(MINUTE);
    let log = server.wait(|log| log.mails.len() == 1).await;
    assert_eq!(log.mails[0].raw, kept);
    assert_eq!(log.mails[0].header("Message-ID"), format!("<{}@shop.example>", ids[0]));
    let balance = rig.settled(1).await;
    assert_eq!(balance.ended("accepted"), 1);
    workers.stop().await;
    // Composed once, judged twice.
    let sent = rig.message(&ids[0]).await;
    let trace: Vec<Value> = serde_json::from_str(&sent.trace).unwrap();
    let steps = |name: &str| trace.iter().filter(|step| step["step"] == name).count();
    assert_eq!((steps("fallbacks"), steps("policy"), steps("delivery")), (1, 2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_a_return_path_of_its_own_and_the_planned_headers() {
    let server = Server::start(Script::new()).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(2).await;
    let ids = rig.plan(&people, "hello").await;
    let workers = rig.platform.start();
    rig.settled(2).await;
    workers.stop().await;
    for mail in server.log().mails {
        let opened = rig.platform.tokens.open_return_path(&mail.from).unwrap();
        assert!(mail.from.ends_with("@shop.example"), "{}", mail.from);
        assert_eq!(mail.header("Message-ID"), format!("<{}@shop.example>", opened.message_id));
        assert!(ids.contains(&opened.message_id));
        assert_eq!(mail.header("List-ID"), "<workspace-1.shop.example>");
        assert_eq!(mail.header("Feedback-ID"), format!("{}:1:rapport", opened.message_id));
        let unsubscribe = mail.header("List-Unsubscribe");
        let token = unsubscribe.trim_start_matches("<https://mail.shop.example/u/").trim_end_matches('>');
        assert_eq!(
            rig.platform.tokens.open(mail::TokenKind::Unsubscribe, token).unwrap().message_id,
            opened.message_id
        );
        let signatures = String::from_utf8_lossy(&mail.raw).matches("DKIM-Signature:").count();
        assert_eq!(signatures, 2);
    }
    // A relay that takes no sender but the configured one.
    let plain = rig.reopen(&format!("{}&return_path=sender", server.url())).await;
    let request =
        SendRequest { template: "hello".to_owned(), profile: people[0], data: json!({}), key: None };
    let workers = plain.platform.start();
    plain.platform.send_transactional(W, request).await.unwrap();
    let log = server.wait(|log| log.mails.len() == 3).await;
    assert_eq!(log.mails[2].from, "hello@shop.example");
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marketing_mail_in_doubt_is_not_sent_again_and_is_unknown_after_three_days() {
    let server = Server::start(Script::new().first(1, Stage::Dot, Act::Cut)).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(1).await;
    let ids = rig.plan(&people, "hello").await;
    let workers = rig.platform.start();
    rig.until_state(&ids[0], "in_doubt").await;
    rig.pass(72 * HOUR - MINUTE);
    // Another message passes through the same worker, so this one had its chance.
    let request =
        SendRequest { template: "hello".to_owned(), profile: people[0], data: json!({}), key: None };
    rig.platform.send_transactional(W, request).await.unwrap();
    server.wait(|log| log.mails.len() == 2).await;
    assert_eq!(rig.message(&ids[0]).await.state, "in_doubt");
    rig.pass(2 * MINUTE);
    rig.until_state(&ids[0], "unknown").await;
    let balance = rig.settled(2).await;
    assert_eq!((balance.ended("unknown"), balance.ended("accepted")), (1, 1));
    workers.stop().await;
    let to_this =
        server.log().mails.iter().filter(|mail| mail.header("Message-ID").contains(&ids[0])).count();
    assert_eq!(to_this, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transactional_mail_in_doubt_is_sent_again_under_the_same_message_id() {
    let server = Server::start(Script::new().first(1, Stage::Dot, Act::Cut)).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(1).await;
    let workers = rig.platform.start();
    let request = SendRequest {
        template: "hello".to_owned(),
        profile: people[0],
        data: json!({}),
        key: Some("k".to_owned()),
    };
    let id = rig.platform.send_transactional(W, request).await.unwrap();
    let doubtful = rig.until_state(&id, "deferred").await;
    assert!(doubtful.reason.unwrap().contains("in doubt"));
    rig.pass(MINUTE);
    let balance = rig.settled(1).await;
    assert_eq!(balance.ended("accepted"), 1);
    workers.stop().await;
    let mails = server.log().mails;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].raw, mails[1].raw);
    assert!(mails[0].header("Message-ID").contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_intent_is_in_doubt_for_marketing_and_sent_again_for_transactional() {
    let server = Server::start(Script::new()).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(2).await;
    let ids = rig.plan(&people, "hello").await;
    let transactional =
        SendRequest { template: "hello".to_owned(), profile: people[1], data: json!({}), key: None };
    let third = rig.platform.send_transactional(W, transactional).await.unwrap();
    // As if the process had died after the gate: the intent is there, the answer is not.
    for id in [&ids[0], &third] {
        let gate = store::Gate {
            id: id.clone(),
            address_key: String::new(),
            trace: "[]".to_owned(),
            composed: Some(store::Composed {
                subject: "Kept".to_owned(),
                content: json!({"from": "Shop <hello@shop.example>"}).to_string(),
                raw: b"Subject: Kept\r\n\r\nKept\r\n".to_vec(),
            }),
        };
        let told = |_: &str| store::Told::default();
        rig.platform.store.gate(&gate, &|_| store::GateVerdict::Allow, &told).await.unwrap();
    }
    let rig = rig.reopen(&server.url()).await;
    let workers = rig.platform.start();
    let balance = rig.settled(3).await;
    workers.stop().await;
    assert_eq!((balance.ended("in_doubt"), balance.ended("accepted")), (1, 2));
    assert_eq!(rig.message(&ids[0]).await.state, "in_doubt");
    let mails = server.log().mails;
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().any(|mail| mail.raw == b"Subject: Kept\r\n\r\nKept\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_servers_say_every_message_ends_in_one_way_and_only_gone_addresses_are_suppressed() {
    let answers = [
        ("p1@inbox.example", "550 5.1.1 user unknown"),
        ("p2@inbox.example", "550 5.7.26 unauthenticated"),
        ("p3@inbox.example", "550 5.7.515 not as we like it"),
        ("p4@inbox.example", "552 5.2.2 mailbox full"),
        ("p5@inbox.example", "550 5.7.25 no reverse name"),
    ];
    let mut script = Script::new().offer("PIPELINING");
    for (to, answer) in answers {
        script = script.for_recipient(to, Stage::Rcpt, Act::Say(answer.to_owned()));
    }
    script = script.for_recipient("p6@inbox.example", Stage::Dot, Act::Cut);
    script = script.for_recipient("p7@inbox.example", Stage::Data, Act::Say("450 4.2.1 busy".to_owned()));
    let server = Server::start(script).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(12).await;
    let ids = rig.plan(&people, "hello").await;
    rig.platform.set_consent(W, people[8], "marketing", false, "test").await.unwrap();
    rig.platform.set_consent(W, people[9], "news", false, "test").await.unwrap();
    rig.platform.suppress(W, "P10@inbox.example", "complaint").await.unwrap();
    let large = format!("<p>{}</p>", "A line of words. ".repeat(7_000));
    rig.template("large", json!({"format": "html", "subject": "Large", "body": large})).await;
    let workers = rig.platform.start();
    let waiting = rig.until_state(&ids[7], "deferred").await;
    // Eight attempts within three days, then it has expired.
    assert_eq!(waiting.attempt, 1);
    until(|| async {
        rig.pass(7 * HOUR);
        let message = rig.message(&ids[7]).await;
        message.state != "deferred" && message.state != "intent"
    })
    .await;
    let balance = rig.settled(12).await;
    workers.stop().await;
    let ended: BTreeMap<&str, i64> =
        balance.ended.iter().map(|(way, count)| (way.as_str(), *count)).collect();
    assert_eq!(ended["accepted"], 2, "{ended:?}");
    assert_eq!(ended["rejected"], 5);
    assert_eq!(ended["skipped: unsubscribed"], 1);
    assert_eq!(ended["skipped: topic_unsubscribed"], 1);
    assert_eq!(ended["skipped: suppressed"], 1);
    assert_eq!(ended.get("in_doubt").or(ended.get("unknown")), Some(&1));
    assert_eq!(ended.get("expired").or(ended.get("skipped: attempts_exhausted")), Some(&1));
    for number in 1..=5 {
        let row = rig.platform.suppression(W, &format!("p{number}@inbox.example")).await.unwrap();
        assert_eq!(row.is_some(), number == 1, "p{number}");
    }
    let skipped = rig.message(&ids[8]).await;
    assert!(skipped.trace.contains("The person unsubscribed from marketing."), "{}", skipped.trace);
    assert!(!skipped.trace.contains("Nothing forbids it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_is_an_event_with_its_reason_and_a_mail_that_would_be_cut_off_is_one() {
    let server = Server::start(Script::new()).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let people = rig.people(1).await;
    let body = |words: usize| {
        let text = format!("<p>{}</p>", "0123456789ABCDE ".repeat(words));
        json!({"format": "html", "subject": "Large", "body": text})
    };
    rig.template("large", body(7_000)).await;
    let ids = rig.plan(&people, "large").await;
    let workers = rig.platform.start();
    let balance = rig.settled(1).await;
    assert_eq!(balance.ended("skipped: mail_too_large"), 1);
    workers.stop().await;
    assert!(rig.message(&ids[0]).await.trace.contains("large_mails"));
    // The relay may have carried the event away already; then the log has it.
    let waiting = rig.events(&ids[0]).await;
    let logged = rig.platform.log.read(model::Position(1), 1_000).await.unwrap();
    let name = b"Email Skipped";
    let in_log = logged.iter().any(|(_, bytes)| bytes.windows(name.len()).any(|window| window == name));
    assert!(in_log || waiting.contains(&"msg-email-skipped-*".to_owned()), "{waiting:?}");

    // Warned of from 80 KB; sent when it is allowed.
    rig.template("warned", body(5_500)).await;
    let request = |template: &str| SendRequest {
        template: template.to_owned(),
        profile: people[0],
        data: json!({}),
        key: None,
    };
    rig.platform.set_workspace(W, json!({"large_mails": true})).await.unwrap();
    let workers = rig.platform.start();
    for template in ["warned", "large"] {
        let id = rig.platform.send_transactional(W, request(template)).await.unwrap();
        let sent = rig.until_state(&id, "accepted").await;
        assert!(sent.trace.contains("above 102 KB Gmail cuts a mail off"), "{template}");
    }
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_was_answered_before_the_intent_wins_in_a_storm_of_opt_outs_withdrawals_and_suppressions()
{
    let server = Server::start(Script::new().offer("PIPELINING")).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let many = 400;
    let people = rig.people(many).await;
    let ids = rig.plan(&people, "hello").await;
    let workers = rig.platform.start();
    // The senders begin at one end, the storm at the other; they meet.
    let mut storm = tokio::task::JoinSet::new();
    for part in 0..4 {
        let (platform, ids, people) = (rig.platform.clone(), ids.clone(), people.clone());
        storm.spawn(async move {
            let mut answered = Vec::new();
            for (number, id) in ids.iter().enumerate().rev().skip(part).step_by(4) {
                match number % 7 {
                    0 => {
                        let address = format!("p{number}@inbox.example");
                        platform.suppress(W, &address, "complaint").await.unwrap();
                    }
                    1 => {
                        platform.set_consent(W, people[number], "news", false, "api").await.unwrap();
                    }
                    _ => {
                        let token = platform.tokens.seal(mail::TokenKind::Unsubscribe, W, id, 0);
                        platform.unsubscribe(&token, "one_click").await.unwrap();
                    }
                }
                // Once answered: what has no intent now may never get one.
                let state = platform.store.message(id).await.unwrap().unwrap().state;
                answered.push((id.clone(), state));
            }
            answered
        });
    }
    let answered: Vec<(String, String)> = storm.join_all().await.into_iter().flatten().collect();
    let balance = rig.settled(many).await;
    workers.stop().await;
    let sent: BTreeSet<String> = server
        .log()
        .mails
        .iter()
        .map(|mail| mail.header("Message-ID").trim_matches(['<', '>']).split('@').next().unwrap().to_owned())
        .collect();
    let mut won = 0;
    for (id, state) in answered {
        if state == "planned" {
            won += 1;
            assert!(!sent.contains(&id), "{id} was sent after the word on it was answered");
            let reason = rig.message(&id).await.reason.unwrap();
            assert!(
                ["unsubscribed", "topic_unsubscribed", "suppressed"].contains(&reason.as_str()),
                "{reason}"
            );
        }
    }
    assert!(won > 0, "the storm came too late to prove anything");
    let ways = ["skipped: unsubscribed", "skipped: topic_unsubscribed", "skipped: suppressed", "accepted"];
    assert_eq!(ways.iter().map(|way| balance.ended(way)).sum::<i64>(), many as i64);
    assert_eq!(sent.len() as i64, balance.ended("accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_files_go_before_kept_ones_and_are_read_once() {
    let server = Server::start(Script::new()).await.unwrap();
    let rig = Rig::open(&server.url()).await;
    let made = rig.platform.signer("shop.example").await.unwrap();
    assert!(Arc::ptr_eq(&made, &rig.platform.signer("shop.example").await.unwrap()));
    let records = made.dns_records();
    assert_eq!(records.iter().map(|record| record.algorithm).collect::<Vec<_>>(), ["rsa", "ed25519"]);
    drop(made);
    let rig = rig.reopen(&server.url()).await;
    assert_eq!(rig.platform.signer("shop.example").await.unwrap().dns_records(), records);
    let folder = rig.dir.path().join("dkim").join("other.example");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("s1.pem"), mail::Signer::generate_ed25519().unwrap()).unwrap();
    let records = rig.platform.signer("other.example").await.unwrap().dns_records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].name, "s1._domainkey.other.example");
    let broken = rig.dir.path().join("dkim").join("broken.example");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("s1.pem"), "no key").unwrap();
    let Err(error) = rig.platform.signer("broken.example").await else { panic!("a broken key was taken") };
    assert!(error.to_string().contains("'s1'"), "{error}");
}
