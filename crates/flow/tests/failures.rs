//! A template that fails for some people: those get what stands in, or nothing with a reason; everybody else gets their mail;
//! and when it fails for too many, the journey is paused and nothing is lost.
//!
//! The run with 100,000 people is ignored by default: `cargo test --workspace --test failures -- --ignored --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use common::{Shop, W};
use flow::DefinitionKind;
use model::{IdentifierKind, ProfileId, Trust, Value};
use serde_json::json;
use store::NewMessage;
use testkit::sink::{Ledger, Script};

/// Doubling a text forty times runs into the limit of a value: for whoever has `turns`.
const DOUBLING: &str = "{% assign s = \"xx\" %}{% for i in (1..customer.turns) %}{% assign s = s | append: s %}{% endfor %}\
    <p>Hello {{ customer.first_name | default: \"you\" }} {{ s | size }}</p>";
const MENDED: &str = "<p>Hello {{ customer.first_name | default: \"you\" }}</p>";
/// Calls, and messages, written at once.
const AT_ONCE: usize = 500;

#[expect(clippy::disallowed_methods, reason = "tests are told how long to look")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Sink {
    ledger: Ledger,
    url: String,
}

impl Sink {
    async fn start() -> Sink {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}?tls=none&connections=8", listener.local_addr().unwrap());
        let ledger = Ledger::default();
        tokio::spawn(testkit::sink::serve(listener, ledger.clone(), Script::default()));
        Sink { ledger, url }
    }
}

async fn template(shop: &Shop, id: &str, body: &str, fallback: Value) {
    let body = json!({"subject": id, "format": "html", "body": body, "fallback": fallback});
    shop.save(DefinitionKind::Template, id, body).await.unwrap();
}

/// A journey that nobody enters by itself: its messages are planned by the test.
fn sends(template: &str) -> Value {
    json!({
        "trigger": {"event": "Nothing"}, "start": "send",
        "nodes": {"send": {"type": "send", "template": template, "next": "end"}, "end": {"type": "exit"}},
    })
}

/// Makes people `p0` …; the template fails for those of whom `fails` says so.
async fn people(shop: &Shop, many: usize, fails: impl Fn(usize) -> bool) -> Vec<ProfileId> {
    let name = |n: usize| format!("p{n}");
    for from in (0..many).step_by(AT_ONCE) {
        let calls: Vec<Value> = (from..(from + AT_ONCE).min(many))
            .map(|n| {
                let mut traits = json!({"email": format!("p{n}@inbox.example"), "first_name": name(n)});
                if fails(n) {
                    traits["turns"] = json!(40);
                }
                json!({"type": "identify", "userId": name(n), "messageId": format!("i{n}"), "traits": traits})
            })
            .collect();
        shop.platform.ingest_calls(W, &calls, Trust::Server, "test").await.unwrap();
    }
    shop.work().await;
    let mut out = Vec::with_capacity(many);
    for from in (0..many).step_by(AT_ONCE) {
        let keys: Vec<_> =
            (from..(from + AT_ONCE).min(many)).map(|n| (W, IdentifierKind::UserId, name(n))).collect();
        let found = shop.platform.store.lookup_identifiers(&keys).await.unwrap();
        out.extend(keys.iter().map(|key| found[key]));
    }
    out
}

async fn plan(
    shop: &Shop,
    people: &[ProfileId],
    journey: &str,
    template: &str,
    which: impl Fn(usize) -> bool,
) -> usize {
    let chosen: Vec<usize> = (0..people.len()).filter(|n| which(*n)).collect();
    for (part, numbers) in chosen.chunks(AT_ONCE).enumerate() {
        let messages: Vec<NewMessage> = numbers
            .iter()
            .map(|n| NewMessage {
                workspace: W,
                id: format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{journey}/{n}").as_bytes())),
                send_key: format!("{journey}/{n}"),
                profile: people[*n],
                kind: "marketing".to_owned(),
                topic: "news".to_owned(),
                source: Some((journey.to_owned(), format!("{journey}-{n}"), "send".to_owned())),
                template: template.to_owned(),
                recipient: format!("p{n}@inbox.example"),
                due_at: shop.now(),
                created_at: shop.now(),
                data: "{}".to_owned(),
                trace: "[]".to_owned(),
            })
            .collect();
        let key = format!("{journey}/{part}");
        let call = store::Remembered { key, body: 0, status: 202, answer: String::new() };
        shop.platform.store.plan_once(W, &call, &messages, shop.now()).await.unwrap();
    }
    chosen.len()
}

/// Sends until nothing is due any more, with the real workers.
async fn settled(shop: &Shop, open: i64) -> flow::Balance {
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(250));
    loop {
        beat.tick().await;
        // The balance reads every message: only once nothing seems due.
        if shop.platform.store.messages_due(shop.now()).await.unwrap().0 > 0 {
            continue;
        }
        let balance = shop.platform.balance(W).await.unwrap();
        if balance.open == open {
            assert_eq!(balance.faults, Vec::<String>::new());
            return balance;
        }
    }
}

/// How often each subject came to each recipient.
fn taken(sink: &Sink) -> BTreeMap<(String, String), usize> {
    let mut out = BTreeMap::new();
    for mail in sink.ledger.mails() {
        let key = |name: &str| mail[name].as_str().unwrap_or_default().to_owned();
        let to = mail["to"][0].as_str().unwrap_or_default().to_owned();
        *out.entry((key("subject"), to)).or_default() += 1;
    }
    out
}

/// One person in fifty has data that the template cannot bear. Half of those are sent a template with a fallback, half one
/// without.
#[expect(clippy::disallowed_methods, reason = "the run says how long it took")]
async fn one_in_fifty(many: usize) {
    let started = Instant::now();
    let sink = Sink::start().await;
    let shop = Shop::open_with_smtp(&sink.url).await;
    template(&shop, "sheltered", DOUBLING, json!({"subject": "plain", "format": "html", "body": MENDED}))
        .await;
    template(&shop, "bare", DOUBLING, Value::Null).await;
    shop.journey("sheltered", sends("sheltered")).await;
    shop.journey("bare", sends("bare")).await;
    let fails = |n: usize| n % 50 == 7;
    let people = people(&shop, many, fails).await;
    let half = many / 2;
    plan(&shop, &people, "sheltered", "sheltered", |n| n < half).await;
    plan(&shop, &people, "bare", "bare", |n| n >= half).await;
    let planned = started.elapsed();
    let workers = shop.platform.start();
    let balance = settled(&shop, 0).await;
    workers.stop().await;
    let sent = started.elapsed().saturating_sub(planned);
    let failing = |range: std::ops::Range<usize>| range.filter(|n| fails(*n)).count();
    let (stood_in, skipped) = (failing(0..half), failing(half..many));
    assert_eq!(balance.ended("accepted"), (many - skipped) as i64);
    assert_eq!(balance.ended("skipped: render_failed"), skipped as i64);
    let taken = taken(&sink);
    assert!(taken.values().all(|times| *times == 1), "nobody gets a mail twice");
    for n in 0..many {
        let subject = match (fails(n), n < half) {
            (true, true) => Some("plain"),
            (true, false) => None,
            (false, true) => Some("sheltered"),
            (false, false) => Some("bare"),
        };
        for each in ["plain", "sheltered", "bare"] {
            let came = taken.contains_key(&(each.to_owned(), format!("p{n}@inbox.example")));
            assert_eq!(came, subject == Some(each), "p{n}, '{each}'");
        }
    }
    for journey in ["sheltered", "bare"] {
        assert!(shop.platform.registry(W).journeys[journey].live, "two in a hundred stop nothing");
    }
    let report = shop.platform.fallbacks(W, "sheltered").await.unwrap();
    assert!(report.stood_in > 0 && report.stood_in <= stood_in as i64, "{}", report.stood_in);
    let first = shop.messages().await.into_iter().find(|row| row.state == "skipped");
    if let Some(row) = first {
        assert!(row.trace.contains("a value is larger than"), "the reason is told: {}", row.trace);
    }
    println!(
        "{many} people, {} failing: {} accepted ({stood_in} of them what stands in), {skipped} skipped with a reason; \
         prepared in {:.1} s, sent in {:.1} s",
        stood_in + skipped,
        balance.ended("accepted"),
        planned.as_secs_f64(),
        sent.as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_a_template_fails_for_gets_what_stands_in_or_a_reason_and_all_others_their_mail() {
    one_in_fifty(600).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: 100,000 people"]
async fn of_a_hundred_thousand_people_two_thousand_fail_and_nobody_else_notices() {
    let many = environment("RAPPORT_FAILURE_PEOPLE").and_then(|many| many.parse().ok());
    one_in_fifty(many.unwrap_or(100_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fails_for_too_many_pauses_its_journey_and_the_rest_goes_out_when_it_is_mended() {
    let sink = Sink::start().await;
    let shop = Shop::open_with_smtp(&sink.url).await;
    template(&shop, "hello", DOUBLING, Value::Null).await;
    template(&shop, "fine", MENDED, Value::Null).await;
    shop.journey("broken", sends("hello")).await;
    shop.journey("other", sends("fine")).await;
    let many = 1_000;
    let people = people(&shop, many, |n| n % 3 > 0).await;
    plan(&shop, &people, "broken", "hello", |_| true).await;
    plan(&shop, &people, "other", "fine", |n| n < 100).await;
    let workers = shop.platform.start();
    let held = shop.platform.clone();
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(20));
    while held.registry(W).journeys["broken"].live {
        beat.tick().await;
    }
    // What was in work meanwhile ends; everything else is held.
    while shop.platform.store.messages_due(shop.now()).await.unwrap().0 > 0 {
        beat.tick().await;
    }
    workers.stop().await;
    let before = shop.platform.balance(W).await.unwrap();
    assert_eq!(before.faults, Vec::<String>::new());
    let skipped = before.ended("skipped: render_failed");
    assert!((20..200).contains(&skipped), "{skipped} were skipped before the brake took hold");
    let because = shop.platform.paused_because(W, "broken").await.unwrap().unwrap();
    assert!(
        because.contains("above the limit of 20 %") && because.contains("a value is larger"),
        "{because}"
    );
    assert!(shop.platform.registry(W).journeys["other"].live);
    let health = shop.platform.health(W).await.unwrap();
    let part = health.iter().find(|part| part.name == "Journeys").unwrap();
    assert!(
        part.status == flow::Status::Warn && part.detail.contains("'broken' is paused"),
        "{}",
        part.detail
    );

    template(&shop, "hello", MENDED, Value::Null).await;
    shop.set_journey("broken", "live").await;
    let workers = shop.platform.start();
    let balance = settled(&shop, 0).await;
    workers.stop().await;
    assert_eq!(balance.ended("accepted"), many as i64 + 100 - skipped);
    assert_eq!(balance.ended("skipped: render_failed"), skipped, "none of those that were held is lost");
    assert!(taken(&sink).values().all(|times| *times == 1));
    assert!(shop.platform.health(W).await.unwrap().iter().all(|part| part.name != "Journeys"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_is_the_authors_word_and_no_failure() {
    let sink = Sink::start().await;
    let shop = Shop::open_with_smtp(&sink.url).await;
    let body = format!("{{% if customer.turns %}}{{% abort \"not for you\" %}}{{% endif %}}{MENDED}");
    template(&shop, "choosy", &body, json!({"subject": "plain", "body": "<p>x</p>"})).await;
    shop.journey("choosy", sends("choosy")).await;
    let people = people(&shop, 60, |n| n % 2 == 0).await;
    plan(&shop, &people, "choosy", "choosy", |_| true).await;
    let workers = shop.platform.start();
    let balance = settled(&shop, 0).await;
    workers.stop().await;
    assert_eq!((balance.ended("accepted"), balance.ended("skipped: aborted")), (30, 30));
    assert!(shop.platform.registry(W).journeys["choosy"].live);
    assert!(taken(&sink).keys().all(|(subject, _)| subject == "choosy"), "what stands in is for failures");
}
