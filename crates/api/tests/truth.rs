//! Numbers that pages show are those of the store, the lake and the clock.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::StatusCode;
use common::{Server, until};
use model::time::{DAY, HOUR, MINUTE, SECOND};
use model::{Clock, Timestamp};
use serde_json::{Value, json};

/// A clock that the test sets.
fn clock() -> (Clock, Arc<AtomicI64>) {
    let start = Timestamp::parse("2026-11-24T10:00:00Z").unwrap();
    let now = Arc::new(AtomicI64::new(start.micros()));
    let read = now.clone();
    (Clock::from_fn(move || Timestamp::from_micros(read.load(Ordering::SeqCst))), now)
}

fn part(overview: &Value, name: &str) -> Value {
    let parts = overview["health"].as_array().unwrap();
    parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("no {name} in {parts:?}")).clone()
}

#[tokio::test]
async fn lag_is_how_long_the_oldest_event_has_waited_and_health_says_so() {
    let (clock, now) = clock();
    let server = Server::at(clock, |_| {}).await;
    let overview = async || server.call("GET", "/api/overview", None).await.json();
    let idle = overview().await;
    assert_eq!((&idle["lag_ms"], &idle["lag_events"]), (&json!(0), &json!(0)));
    server.collect(json!([{"type": "track", "event": "Product Viewed", "userId": "u1"}])).await;
    now.fetch_add(5 * SECOND, Ordering::SeqCst);
    server.collect(json!([{"type": "track", "event": "Product Viewed", "userId": "u1"}])).await;
    let waiting = overview().await;
    assert_eq!((&waiting["lag_ms"], &waiting["lag_events"]), (&json!(5_000), &json!(2)));
    assert_eq!(part(&waiting, "Step")["status"], "ok");
    now.fetch_add(MINUTE, Ordering::SeqCst);
    assert_eq!(part(&overview().await, "Step")["status"], "warn");
    now.fetch_add(HOUR, Ordering::SeqCst);
    assert_eq!(part(&overview().await, "Step")["status"], "down");
    let workers = server.platform.start_without_sending();
    server.stepped().await;
    let done = overview().await;
    assert_eq!((&done["lag_ms"], &part(&done, "Step")["status"]), (&json!(0), &json!("ok")));
    workers.stop().await;
}

#[tokio::test]
async fn messages_that_are_overdue_are_told() {
    let (clock, now) = clock();
    let server = Server::at(clock, |_| {}).await;
    let workers = server.platform.start_without_sending();
    server
        .collect(json!([{"type": "identify", "userId": "u1", "traits": {"email": "u1@shop.example"}}]))
        .await;
    server.stepped().await;
    let template = json!({"id": "hello", "name": "Hello", "subject": "Hello", "body": "<p>Hello</p>"});
    server.call("POST", "/api/templates", Some(template)).await;
    let profile = server.call("GET", "/api/profiles", None).await.json()["items"][0]["id"].clone();
    let sent = server.call("POST", "/api/send", Some(json!({"template": "hello", "profile": profile}))).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.text());
    now.fetch_add(HOUR, Ordering::SeqCst);
    let overview = server.call("GET", "/api/overview", None).await.json();
    assert_eq!(part(&overview, "Mail")["status"], "down", "{overview}");
    assert_eq!(overview["messages"]["planned"], 1);
    workers.stop().await;
}

#[tokio::test]
async fn today_is_the_workspaces_day_and_counts_survive_a_restart_of_the_counters() {
    let (clock, now) = clock();
    let server = Server::at(clock, |_| {}).await;
    let workers = server.platform.start_without_sending();
    let zone = json!({"timezone": "Pacific/Auckland"});
    assert_eq!(server.call("PUT", "/api/settings/workspace", Some(zone)).await.status, StatusCode::OK);
    let track =
        |id: &str| json!([{"type": "track", "event": "Product Viewed", "userId": "u1", "messageId": id}]);
    server.collect(track("m1")).await;
    server.collect(track("m2")).await;
    let refused = json!([{"type": "track", "userId": "u1"}]).to_string();
    let key = common::basic(common::WRITE_KEY);
    let headers = [("authorization", key.as_str())];
    server.send(common::request("POST", "/v1/batch", &headers, refused)).await;
    server.stepped().await;
    let today = server.call("GET", "/api/overview", None).await.json();
    let counts = |overview: &Value| {
        ["events_total", "events_today", "rejected_today"].map(|name| overview[name].as_i64().unwrap())
    };
    assert_eq!(counts(&today), [2, 2, 1], "{today}");
    let minutes = today["events_by_minute"].as_array().unwrap();
    let sums = |name: &str| minutes.iter().map(|minute| minute[name].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sums("accepted"), sums("rejected")), (2, 1), "{minutes:?}");
    // 10:00 UTC is 23:00 in Auckland: two hours on it is the next day there, and the same day in UTC.
    now.fetch_add(2 * HOUR, Ordering::SeqCst);
    let tomorrow = server.call("GET", "/api/overview", None).await.json();
    assert_eq!(counts(&tomorrow), [2, 0, 0]);
    workers.stop().await;
}

#[tokio::test]
async fn a_trend_is_what_the_segment_was_on_each_day() {
    let (clock, now) = clock();
    let server = Server::at(clock, |_| {}).await;
    let workers = server.platform.start_without_sending();
    let segment = json!({"id": "known", "name": "Known", "where": "email is present"});
    assert_eq!(server.call("POST", "/api/segments", Some(segment)).await.status, StatusCode::CREATED);
    let identify = |user: &str| json!([{"type": "identify", "userId": user, "traits": {"email": format!("{user}@shop.example")}}]);
    server.collect(identify("u1")).await;
    server.stepped().await;
    now.fetch_add(3 * DAY, Ordering::SeqCst);
    server.collect(identify("u2")).await;
    server.collect(identify("u3")).await;
    server.stepped().await;
    let listed = server.call("GET", "/api/segments", None).await.json();
    let trend: Vec<i64> = serde_json::from_value(listed["items"][0]["trend"].clone()).unwrap();
    assert_eq!(trend.len(), 30);
    assert_eq!(trend[25..], [0, 1, 1, 1, 3], "{listed}");
    let one = server.call("GET", "/api/segments/known", None).await.json();
    assert_eq!((&one["trend"], &one["count"]), (&listed["items"][0]["trend"], &json!(3)));
    workers.stop().await;
}

#[tokio::test]
async fn a_profile_tells_that_its_address_is_suppressed() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    server
        .collect(json!([{"type": "identify", "userId": "u1", "traits": {"email": "Rose@Shop.example"}}]))
        .await;
    server.stepped().await;
    let id = server.call("GET", "/api/profiles", None).await.json()["items"][0]["id"].clone();
    let profile = async || server.call("GET", &format!("/api/profiles/{id}"), None).await.json();
    assert_eq!(profile().await["suppressed"], Value::Null);
    let body = json!({"email": "rose@shop.example", "reason": "complaint"});
    server.call("POST", "/api/suppressions", Some(body)).await;
    assert_eq!(profile().await["suppressed"]["reason"], "complaint");
    workers.stop().await;
}

#[tokio::test]
async fn every_list_gives_everything_page_by_page() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    let hello = json!({"id": "hello", "name": "Hello", "subject": "Hello", "body": "<p>Hello</p>"});
    server.call("POST", "/api/templates", Some(hello)).await;
    let segment = json!({"id": "known", "name": "Known", "where": "email is present"});
    server.call("POST", "/api/segments", Some(segment)).await;
    let journey = json!({"id": "j", "name": "J", "definition": {
        "trigger": {"event": "Signed Up"}, "start": "wait",
        "nodes": {"wait": {"type": "wait", "seconds": 3600, "next": "end"}, "end": {"type": "exit"}}}});
    server.call("POST", "/api/journeys", Some(journey)).await;
    for n in 0..7 {
        let user = format!("u{n}");
        let email = format!("{user}@shop.example");
        server
            .collect(json!([
                {"type": "identify", "userId": user, "traits": {"email": email}},
                {"type": "track", "event": "Signed Up", "userId": user},
                {"type": "track", "event": format!("Event {n}"), "userId": "u0"},
            ]))
            .await;
        server
            .call("POST", "/api/suppressions", Some(json!({"email": format!("gone{n}@shop.example")})))
            .await;
        server.call("PUT", &format!("/api/catalogs/products/items/p{n}"), Some(json!({"name": "x"}))).await;
    }
    let broken =
        json!([{"type": "x"}, {"type": "x"}, {"type": "x"}, {"type": "x"}, {"type": "x"}]).to_string();
    let key = common::basic(common::WRITE_KEY);
    server.send(common::request("POST", "/v1/batch", &[("authorization", key.as_str())], broken)).await;
    server.stepped().await;
    let people = server.call("GET", "/api/profiles", None).await.json();
    let first =
        people["items"].as_array().unwrap().iter().find(|row| row["user_id"] == "u0").unwrap()["id"].clone();
    for _ in 0..4 {
        server.call("POST", "/api/send", Some(json!({"template": "hello", "profile": first}))).await;
    }
    // What the step emitted has come back through the log.
    let names = async || server.pages("/api/events/names", 500).await.len();
    until(async || names().await >= 11).await;
    server.stepped().await;
    for (path, many) in [
        ("/api/profiles", 7),
        ("/api/profiles?segment=known", 7),
        ("/api/segments/known/members", 7),
        ("/api/segments/known/history", 7),
        ("/api/journeys/j/entries", 7),
        ("/api/quarantine", 5),
        ("/api/suppressions", 7),
        ("/api/catalogs/products/items", 7),
        ("/api/messages", 4),
        (&format!("/api/profiles/{first}/messages"), 4),
        (&format!("/api/profiles/{first}/timeline"), 11),
        ("/api/events/names", 11),
    ] {
        let whole = server.pages(path, 500).await;
        assert_eq!(whole.len(), many, "{path}: {whole:?}");
        for limit in [1, 3, many, many + 1] {
            assert_eq!(server.pages(path, limit).await, whole, "{path} by {limit}");
        }
    }
    // The kinds of a timeline's rows are all of them, each once.
    let timeline = format!("/api/profiles/{first}/timeline");
    let mut rows = 0;
    for kind in ["event", "message", "segment", "journey"] {
        let of_kind = server.pages(&format!("{timeline}?kind={kind}"), 500).await;
        assert!(of_kind.iter().all(|row| row["kind"] == kind), "{kind}: {of_kind:?}");
        rows += of_kind.len();
    }
    assert_eq!(rows, 11);
    let unknown = server.call("GET", &format!("{timeline}?kind=other"), None).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    // Entries of a journey at a node: none is left where everybody has gone on.
    assert!(server.pages("/api/journeys/j/entries?node=send", 500).await.is_empty());
    // How a profile's identifiers came together; a merge of one with itself is refused.
    let story = server.call("GET", &format!("/api/profiles/{first}/explain"), None).await.json();
    assert_eq!(story["id"], first);
    assert!(!story["identifiers"].as_array().unwrap().is_empty());
    let address = format!("/api/profiles/{first}/merge");
    let merge = async |with: Value| server.call("POST", &address, Some(json!({"with": with}))).await;
    assert_eq!(merge(first.clone()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(merge(json!(999_999)).await.status, StatusCode::NOT_FOUND);
    workers.stop().await;
}

#[tokio::test]
async fn a_stored_transport_is_shown_without_its_password_and_the_command_line_wins() {
    let server = Server::open().await;
    let draft = json!({"kind": "smtp", "host": "127.0.0.1", "port": 7729, "tls": "none", "username": "shop", "password": "s3cret-word"});
    let put = async |draft: Value| server.call("PUT", "/api/settings/transport", Some(draft)).await;
    let stored = put(draft.clone()).await;
    assert_eq!(stored.status, StatusCode::OK, "{}", stored.text());
    assert!(!stored.text().contains("s3cret-word"));
    let shown = stored.json()["transport"].clone();
    assert_eq!(
        (&shown["kind"], &shown["host"], &shown["has_password"]),
        (&json!("smtp"), &json!("127.0.0.1"), &json!(true))
    );
    assert_eq!(server.platform.transport_name(model::WorkspaceId(1)).await.unwrap(), "SMTP");
    let kept =
        put(json!({"kind": "smtp", "host": "127.0.0.1", "port": 7729, "tls": "none", "username": "shop"}))
            .await;
    assert_eq!(kept.json()["transport"]["has_password"], true);
    for wrong in [
        json!({"kind": "smtp", "host": "relay.shop.example", "tls": "none"}),
        json!({"kind": "smtp"}),
        json!({"kind": "pigeon"}),
    ] {
        assert_eq!(put(wrong.clone()).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(put(json!({"kind": "inbox"})).await.json()["transport"]["kind"], "inbox");
    let fixed = Server::with(|options| {
        options.smtp_url = Some("smtp://a:p4ssword@127.0.0.1:7729?tls=none".to_owned());
    })
    .await;
    let settings = fixed.call("GET", "/api/settings", None).await;
    assert!(!settings.text().contains("p4ssword"));
    assert_eq!(
        (&settings.json()["transport"]["fixed"], &settings.json()["transport"]["username"]),
        (&json!(true), &json!("a"))
    );
    assert_eq!(fixed.call("PUT", "/api/settings/transport", Some(draft)).await.status, StatusCode::CONFLICT);
}
