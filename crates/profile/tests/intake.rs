//! What becomes of a body: the published SDKs' traffic, broken and hostile items, times, names.

use std::path::Path;

use model::{Call, Timestamp, Trust, WorkspaceId};
use profile::intake::{self, Batch, Context};
use proptest::prelude::*;
use serde_json::{Value, json};

const RECEIVED: &str = "2026-11-24T10:00:00Z";

fn received() -> Timestamp {
    Timestamp::parse(RECEIVED).expect("an instant")
}

fn context(route: Option<Call>, trust: Trust) -> Context<'static> {
    Context {
        workspace: WorkspaceId(1),
        route,
        trust,
        received_at: received(),
        backfill: false,
        event_bytes_max: model::limit::EVENT_BYTES_MAX,
        batch_events_max: model::limit::BATCH_EVENTS_MAX,
        new_id: &|| "made".to_owned(),
    }
}

fn read(body: &[u8]) -> Batch {
    intake::batch(body, &context(None, Trust::Server))
}

/// Each item as its event's name or the code of its first reason.
fn outline(batch: &Batch) -> Vec<String> {
    let outcome = |item: &Result<model::Event, intake::Rejection>| match item {
        Ok(event) => event.name.clone(),
        Err(rejection) => format!("!{}", rejection.reasons[0].code),
    };
    batch.items.iter().map(outcome).collect()
}

fn check(item: &Value, expected: &str) {
    let body = serde_json::to_vec(&json!({ "batch": [item] })).expect("JSON text");
    assert_eq!(outline(&read(&body)), [expected], "{item}");
}

fn track() -> Value {
    json!({"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1"})
}

fn with(mut call: Value, name: &str, value: Value) -> Value {
    call[name] = value;
    call
}

#[test]
fn the_published_sdks_are_taken_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/segment-sdk");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let mut events = 0;
    for file in files {
        for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            if request["m"] != "POST" {
                continue;
            }
            let route = match request["u"].as_str().unwrap().rsplit('/').next().unwrap() {
                "p" | "page" => Some(Call::Page),
                "t" | "track" => Some(Call::Track),
                "i" | "identify" => Some(Call::Identify),
                "g" | "group" => Some(Call::Group),
                "a" | "alias" => Some(Call::Alias),
                _ => None,
            };
            let body = request["b"].as_str().unwrap();
            let mut context = context(route, Trust::Server);
            context.received_at = Timestamp::from_micros(request["t"].as_i64().unwrap() * 1_000);
            let batch = intake::batch(body.as_bytes(), &context);
            assert!(!batch.items.is_empty());
            for item in batch.items {
                let event = item.unwrap_or_else(|rejection| panic!("{:?}", rejection.reasons));
                assert!(event.user_id.is_some() || event.anonymous_id.is_some());
                assert!(event.timestamp <= context.received_at + model::limit::AHEAD_MICROS_MAX);
                assert!(!event.message_id.is_empty() && event.message_id != "made");
                events += 1;
            }
        }
    }
    println!("{events} captured events");
    assert!(events > 30);
}

#[test]
fn explicit_nulls_are_absent_and_numbers_are_ids() {
    let call = json!({"type": "track", "event": "x", "userId": null, "anonymousId": 17, "properties": null,
        "context": null, "timestamp": null, "messageId": null, "sentAt": null});
    let batch = read(&serde_json::to_vec(&call).unwrap());
    let event = batch.items[0].as_ref().unwrap();
    assert_eq!((event.user_id.as_deref(), event.anonymous_id.as_deref()), (None, Some("17")));
    assert_eq!(
        (event.properties.as_str(), event.context.as_str(), event.message_id.as_str()),
        ("{}", "{}", "made")
    );
    assert_eq!(event.timestamp, received());
}

#[test]
fn each_call_needs_what_it_is_about() {
    check(&track(), "Order Completed");
    check(&with(track(), "event", Value::Null), "!no_event");
    check(&with(track(), "userId", Value::Null), "!no_identity");
    check(&with(track(), "type", json!("tracks")), "!unknown_type");
    check(&with(track(), "type", Value::Null), "!unknown_type");
    check(&with(track(), "properties", json!([1])), "!not_an_object");
    check(&with(track(), "context", json!("x")), "!not_an_object");
    check(&with(track(), "userId", json!({"id": 1})), "!invalid_id");
    check(&with(track(), "userId", json!("a\u{0}b")), "!invalid_id");
    check(&with(track(), "event", json!("a\u{0}b")), "!invalid_event");
    check(&with(track(), "userId", json!("u".repeat(257))), "!id_too_long");
    check(&with(track(), "messageId", json!("m".repeat(101))), "!message_id_too_long");
    check(&with(track(), "event", json!("e".repeat(201))), "!event_name_too_long");
    check(&json!({"type": "group", "userId": "u"}), "!no_group");
    check(&json!({"type": "alias", "userId": "u"}), "!no_identity");
    check(&json!({"type": "alias", "userId": "u", "previousId": "a"}), "alias");
    check(&json!({"type": "screen", "userId": "u"}), "Screen Viewed");
    check(&json!(5), "!invalid_call");
}

#[test]
fn a_page_keeps_its_name_and_category() {
    let call = json!({"type": "page", "anonymousId": "a", "name": "Tea", "category": "Shop", "properties": {"url": "/t"}});
    let batch = read(&serde_json::to_vec(&call).unwrap());
    let event = batch.items[0].as_ref().unwrap();
    let properties: Value = serde_json::from_str(&event.properties).unwrap();
    assert_eq!(event.name, "Page Viewed");
    assert_eq!(properties, json!({"url": "/t", "name": "Tea", "category": "Shop"}));
}

#[test]
fn times_are_corrected_clamped_and_checked_for_their_unit() {
    let check = |timestamp: Value, sent: Value, expected: &str| {
        let call = with(with(track(), "timestamp", timestamp.clone()), "sentAt", sent);
        let batch = read(&serde_json::to_vec(&call).unwrap());
        let outcome = match &batch.items[0] {
            Ok(event) => event.timestamp.to_string(),
            Err(rejection) => format!("!{}", rejection.reasons[0].code),
        };
        assert_eq!(outcome, expected, "{timestamp}");
    };
    check(json!("2026-11-24T09:59:00Z"), Value::Null, "2026-11-24T09:59:00Z");
    // The sender's clock is an hour fast; the event happened ten seconds before it was sent.
    check(json!("2026-11-24T11:00:00Z"), json!("2026-11-24T11:00:10Z"), "2026-11-24T09:59:50Z");
    check(json!("2026-11-24T11:00:00Z"), Value::Null, "2026-11-24T10:05:00Z");
    check(json!(1_795_514_340), Value::Null, "2026-11-24T09:59:00Z");
    check(json!(1_795_514_340_000_i64), Value::Null, "2026-11-24T09:59:00Z");
    check(json!("1970-01-21T18:45:14.340Z"), Value::Null, "!implausible_time");
    check(json!("9999-06-01T00:00:00Z"), Value::Null, "!implausible_time");
    check(json!("yesterday"), Value::Null, "!invalid_time");
    check(json!(1e300), Value::Null, "!invalid_time");
    check(json!("2010-12-01T08:26:00Z"), Value::Null, "2010-12-01T08:26:00Z");
}

#[test]
fn a_broken_item_is_refused_alone() {
    let good = track().to_string();
    let check = |bad: &[u8], expected: &str| {
        let mut body = format!(r#"{{"batch":[{good},"#).into_bytes();
        body.extend(bad);
        body.extend(format!(",{good}]}}").bytes());
        let batch = read(&body);
        assert_eq!(outline(&batch), ["Order Completed", expected, "Order Completed"]);
        assert!(batch.items[1].as_ref().is_err_and(|rejection| rejection.body.len() <= 33 * 1024));
    };
    let item = |properties: &str| {
        format!(r#"{{"type":"track","event":"x","userId":"u","properties":{{"a":{properties}}}}}"#)
            .into_bytes()
    };
    check(&item(&format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000))), "!too_deep");
    check(&item(&format!("{}1{}", "[".repeat(40), "]".repeat(40))), "!too_deep");
    check(&item("1e400"), "!invalid_value");
    check(&item(&"9".repeat(400)), "!invalid_value");
    check(&item(r#""\ud800""#), "!invalid_value");
    check(&item(r#""\udC00x""#), "!invalid_value");
    check(&item(&format!("\"{}\"", "x".repeat(33_000))), "!event_too_large");
    check(
        &item(&format!(r#"1,{}"z":1"#, (0..600).fold(String::new(), |out, n| out + &format!("\"k{n}\":1,")))),
        "!too_many_keys",
    );
    check(b"{\"type\":\"track\",\"event\":\"x\xff\",\"userId\":\"u\"}", "!invalid_utf8");
    check(br#"{"type":"track","event":"\ud800","userId":"u"}"#, "!invalid_call");
    check(br#"{"type":"track","event":"x","event":"y","userId":"u"}"#, "!invalid_call");
}

#[test]
fn sound_escapes_and_numbers_pass() {
    let text = r#"{"type":"track","event":"x","userId":"u","properties":{"a":"\ud83d\ude00 e1 \u00e9","n":1.5e3,"deep":[[[[{}]]]]}}"#;
    assert_eq!(outline(&read(text.as_bytes())), ["x"]);
}

#[test]
fn a_body_that_is_no_call_is_one_rejection_with_its_reason() {
    let check = |body: &[u8], expected: &[&str]| assert_eq!(outline(&read(body)), expected);
    check(b"", &["!invalid_json"]);
    check(b"\xff\xfe", &["!invalid_utf8"]);
    check(b"{\"batch\":", &["!invalid_json"]);
    check(b"[1", &["!invalid_json"]);
    check(b"{\"batch\":{}}", &["!invalid_json"]);
    check(b"{\"batch\":[]}", &[]);
    check("[".repeat(100_000).as_bytes(), &["!invalid_json"]);
}

#[test]
fn lines_and_lists_are_batches_too() {
    let line = track().to_string();
    assert_eq!(
        outline(&read(format!("{line}\n\nbad\n{line}\n").as_bytes())),
        ["Order Completed", "!invalid_call", "Order Completed"]
    );
    assert_eq!(outline(&read(format!("\u{feff}[{line},{line}]").as_bytes())).len(), 2);
}

#[test]
fn a_batch_beyond_its_limit_is_answered_in_bounded_room() {
    let mut context = context(None, Trust::Server);
    context.batch_events_max = 2;
    let items = vec![track(); 6];
    let batch = intake::batch(&serde_json::to_vec(&items).unwrap(), &context);
    let expected =
        ["Order Completed", "Order Completed", "!batch_too_long", "!batch_too_long", "!batch_too_long"];
    assert_eq!(outline(&batch), expected);
    let of = |n: usize| batch.items[n].as_ref().unwrap_err();
    assert_eq!(of(2).message_id.as_deref(), Some("m1"));
    assert!(of(4).reasons[0].message.contains("2 more"), "{}", of(4).reasons[0].message);
}

#[test]
fn a_browser_may_not_speak_for_the_platform() {
    let check = |name: &str, trust, expected: bool| {
        let body = serde_json::to_vec(&with(track(), "event", json!(name))).unwrap();
        assert_eq!(intake::batch(&body, &context(None, trust)).items[0].is_ok(), expected, "{name}");
    };
    check("Email Opened", Trust::Browser, false);
    check(" Unsubscribed ", Trust::Browser, false);
    check("Segment Entered", Trust::Browser, false);
    check("Product Viewed", Trust::Browser, true);
    check("Email Opened", Trust::Server, true);
}

#[test]
fn properties_give_no_privilege() {
    let call = json!({"type": "track", "event": "x", "userId": "u",
        "properties": {"workspace_id": 2, "role": "admin", "consent": true}, "workspace": 2, "trust": "internal"});
    let batch = intake::batch(&serde_json::to_vec(&call).unwrap(), &context(None, Trust::Browser));
    let event = batch.items[0].as_ref().unwrap();
    assert_eq!((event.workspace, event.trust), (WorkspaceId(1), Trust::Browser));
}

#[test]
fn history_is_marked_by_context_or_by_route() {
    let call = with(track(), "context", json!({"backfill": true}));
    assert!(read(&serde_json::to_vec(&call).unwrap()).items[0].as_ref().unwrap().backfill);
    let call = with(track(), "context", json!({"backfill": "yes"}));
    assert!(!read(&serde_json::to_vec(&call).unwrap()).items[0].as_ref().unwrap().backfill);
}

#[test]
fn a_pixel_reads_either_alphabet_with_or_without_padding() {
    let check = |data: &str, expected: &str| {
        assert_eq!(
            outline(&intake::pixel(data, &context(Some(Call::Track), Trust::Browser))),
            [expected],
            "{data}"
        );
    };
    check("eyJldmVudCI6IngiLCJhbm9ueW1vdXNJZCI6ImEifQ==", "x");
    check("eyJldmVudCI6IngiLCJhbm9ueW1vdXNJZCI6ImEifQ", "x");
    check("eyJldmVudCI6Im3_w78iLCJhbm9ueW1vdXNJZCI6ImEifQ", "!invalid_utf8");
    check(r#"{"event":"x","anonymousId":"a"}"#, "x");
    check("%%%", "!invalid_pixel");
    check("", "!invalid_json");
}

#[test]
fn a_retry_has_the_same_body_hash_and_a_conflict_another() {
    let hash =
        |call: &Value| intake::body_hash(read(&serde_json::to_vec(call).unwrap()).items[0].as_ref().unwrap());
    let first = with(track(), "sentAt", json!("2026-11-24T09:59:00Z"));
    let retry = with(track(), "sentAt", json!("2026-11-24T09:59:30Z"));
    assert_eq!(hash(&first), hash(&retry));
    assert_ne!(hash(&first), hash(&with(track(), "properties", json!({"total": 1}))));
    // Parts do not run into each other.
    assert_ne!(
        hash(&json!({"type": "track", "event": "x", "userId": "ab", "anonymousId": "c"})),
        hash(&json!({"type": "track", "event": "x", "userId": "a", "anonymousId": "bc"}))
    );
}

fn hostile_json() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\\ud800"),
        Just("null"),
        Just("1e400"),
        Just("-0"),
        Just("\"batch\":["),
        Just("\"type\":\"track\""),
        Just("\"event\":"),
        Just("\"userId\":"),
        Just("\"timestamp\":"),
        Just("\"context\":{\"backfill\":"),
        Just("\n"),
        Just("\u{feff}"),
        Just("\u{ffff}"),
        Just("é"),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&body);
        let _ = intake::pixel(&String::from_utf8_lossy(&body), &context(Some(Call::Page), Trust::Browser));
    }

    #[test]
    fn nearly_json_never_panics_and_every_refusal_has_a_reason(body in hostile_json(), cut in 0_usize..40) {
        let mut body = body;
        body.truncate(body.len().saturating_sub(cut));
        for item in read(&body).items {
            if let Err(rejection) = item {
                prop_assert!(!rejection.reasons.is_empty());
            }
        }
    }

    #[test]
    fn an_accepted_event_holds_only_sound_json(properties in "[ -~é]{0,60}", value in any::<f64>()) {
        let text = format!(r#"{{"type":"track","event":"x","userId":"u","properties":{{"a":{value},"b":{}}}}}"#,
            serde_json::to_string(&properties).unwrap());
        for event in read(text.as_bytes()).items.into_iter().flatten() {
            prop_assert!(serde_json::from_str::<Value>(&event.properties).is_ok());
        }
    }
}
