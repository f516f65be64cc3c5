//! `Idempotency-Key`: a replay gets the first answer and has no effect, another body is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::{Answer, Server};
use serde_json::{Value, json};

async fn post(server: &Server, path: &str, key: &str, body: Value) -> Answer {
    server.call_with("POST", path, Some(body), &[("idempotency-key", key)]).await
}

fn template() -> Value {
    json!({"id": "hello", "name": "Hello", "subject": "Hello", "body": "<p>Hello</p>"})
}

#[tokio::test]
async fn a_replay_gets_the_first_answer_and_has_no_effect() {
    let server = Server::open().await;
    let first = post(&server, "/api/templates", "k1", template()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    let again = post(&server, "/api/templates", "k1", template()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(
        (again.body, again.headers["content-type"].clone()),
        (first.body, first.headers["content-type"].clone())
    );
    let versions = server.call("GET", "/api/templates/hello/versions", None).await.json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
    let other = post(&server, "/api/templates", "k2", template()).await;
    assert_eq!(other.json()["version"], 2, "another key is another call");
}

#[tokio::test]
async fn another_body_or_another_address_under_the_same_key_is_refused() {
    let server = Server::open().await;
    post(&server, "/api/templates", "k1", template()).await;
    let mut changed = template();
    changed["subject"] = json!("Changed");
    for (path, body) in
        [("/api/templates", changed), ("/api/suppressions", json!({"email": "a@shop.example"}))]
    {
        let answer = post(&server, path, "k1", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert_eq!(answer.json()["code"], "idempotency_key_reused");
    }
    let versions = server.call("GET", "/api/templates/hello/versions", None).await.json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
    let listed = server.call("GET", "/api/suppressions", None).await.json();
    assert_eq!(listed["total"], 0);
}

#[tokio::test]
async fn a_call_that_failed_may_succeed_under_its_key() {
    let server = Server::open().await;
    let journey = json!({"id": "j", "name": "J", "definition": {
        "trigger": {"event": "Signed Up"}, "start": "send",
        "nodes": {"send": {"type": "send", "template": "hello", "next": "end"}, "end": {"type": "exit"}}}});
    let early = post(&server, "/api/journeys", "k1", journey.clone()).await;
    assert_eq!(early.status, StatusCode::UNPROCESSABLE_ENTITY, "the template is missing");
    post(&server, "/api/templates", "k2", template()).await;
    let late = post(&server, "/api/journeys", "k1", journey).await;
    assert_eq!((late.status, late.header("idempotency-replayed")), (StatusCode::CREATED, ""));
}

#[tokio::test]
async fn calls_at_once_under_one_key_have_one_effect() {
    let server = Server::open().await;
    let calls = (0..8).map(|_| post(&server, "/api/templates", "k1", template()));
    for answer in futures::future::join_all(calls).await {
        let known = [StatusCode::CREATED, StatusCode::CONFLICT];
        assert!(known.contains(&answer.status), "{}", answer.text());
    }
    let versions = server.call("GET", "/api/templates/hello/versions", None).await.json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_empty_answer_is_replayed_too() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    server.collect(json!([{"type": "identify", "userId": "u1"}])).await;
    server.stepped().await;
    let profile = server.call("GET", "/api/profiles", None).await.json()["items"][0]["id"].clone();
    let consent = json!({"profile": profile, "topic": "news", "state": "unsubscribed"});
    assert_eq!(post(&server, "/api/consents", "k1", consent.clone()).await.status, StatusCode::NO_CONTENT);
    let back = json!({"profile": profile, "topic": "news", "state": "subscribed"});
    assert_eq!(server.call("POST", "/api/consents", Some(back)).await.status, StatusCode::NO_CONTENT);
    let again = post(&server, "/api/consents", "k1", consent).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::NO_CONTENT, "true"));
    let said = server.call("GET", &format!("/api/consents?profile={profile}"), None).await.json();
    assert_eq!(said["items"][0]["state"], "subscribed", "the replay took the later word back");
    workers.stop().await;
}

#[tokio::test]
async fn a_send_is_planned_once_and_its_answer_is_the_first() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    server
        .collect(json!([{"type": "identify", "userId": "u1", "traits": {"email": "u1@shop.example"}}]))
        .await;
    server.stepped().await;
    post(&server, "/api/templates", "t", template()).await;
    let profile = server.call("GET", "/api/profiles", None).await.json()["items"][0]["id"].clone();
    let ask = json!({"template": "hello", "profile": profile, "data": {"n": 1}});
    let first = post(&server, "/api/send", "k1", ask.clone()).await;
    let again = post(&server, "/api/send", "k1", ask).await;
    assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.body, again.body);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    let other =
        post(&server, "/api/send", "k1", json!({"template": "hello", "profile": profile, "data": {"n": 2}}))
            .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let messages = server.call("GET", "/api/messages", None).await.json();
    assert_eq!(messages["items"].as_array().unwrap().len(), 1);
    workers.stop().await;
}

#[tokio::test]
async fn a_new_key_is_shown_again_to_its_replay_and_stands_nowhere_in_the_store() {
    let server = Server::open().await;
    let draft = json!({"name": "Shop", "kind": "api"});
    let first = post(&server, "/api/keys", "k1", draft.clone()).await;
    let again = post(&server, "/api/keys", "k1", draft).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(first.json(), again.json());
    let other = post(&server, "/api/keys", "k1", json!({"name": "Shop", "kind": "server"})).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let listed = server.call("GET", "/api/keys", None).await;
    let secret = first.json()["key"].as_str().unwrap().to_owned();
    assert!(!listed.text().contains(&secret));
    let kept = server.platform.store.remembered(model::WorkspaceId(1), "k1").await.unwrap().unwrap();
    assert!(!kept.answer.contains(&secret));
    let headers = [("authorization", format!("Bearer {secret}"))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let used = server.send(common::request("GET", "/api/session", &headers, "")).await;
    assert_eq!(used.status, StatusCode::OK, "the key that was shown opens");
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let server = Server::open().await;
    for key in ["", " ", &"k".repeat(256)] {
        let answer = post(&server, "/api/templates", key, template()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{key:?}");
    }
}
