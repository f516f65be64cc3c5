//! A fill is seen, rested and given up over HTTP, also when whoever saved has gone away.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn a_fill_tells_how_far_it_is_rests_and_is_given_up() {
    let server = Server::open().await;
    let workers = server.platform.start();
    for some in 0..6 {
        let calls: Vec<Value> = (0..500)
            .map(|n| json!({"type": "track", "userId": format!("u{}", some * 500 + n), "event": "Said"}))
            .collect();
        server.collect(json!(calls)).await;
    }
    server.stepped().await;
    assert_eq!(server.call("GET", "/api/fills", None).await.json()["items"], json!([]));
    let draft = json!({"id": "once", "name": "Once", "description": "", "where": "did \"Said\""});
    let save = server.call("POST", "/api/segments", Some(draft.clone()));
    let turn = async {
        loop {
            let fills = server.call("GET", "/api/fills", None).await.json();
            if let Some(fill) = fills["items"].get(0) {
                assert_eq!(
                    (&fill["id"], &fill["definition"], &fill["is_new"]),
                    (&json!("segment:once"), &json!("once"), &json!(true))
                );
                break;
            }
            tokio::task::yield_now().await;
        }
        let paused = server.call("POST", "/api/fills/segment:once/pause", Some(json!({}))).await;
        assert_eq!(paused.json()["state"], "paused", "{}", paused.text());
        let other = json!({"name": "Other", "description": "", "where": "did \"Other\""});
        let other = server.call("POST", "/api/segments", Some(other)).await;
        assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.text());
        let resumed = server.call("POST", "/api/fills/segment:once/resume", Some(json!({}))).await;
        assert_eq!(resumed.json()["state"], "running", "{}", resumed.text());
        server.call("POST", "/api/fills/segment:once/pause", Some(json!({}))).await;
        server.call("POST", "/api/fills/segment:once/cancel", Some(json!({}))).await
    };
    let (saved, cancelled) = tokio::join!(save, turn);
    assert_eq!(cancelled.status, StatusCode::NO_CONTENT, "{}", cancelled.text());
    assert_eq!(saved.status, StatusCode::CONFLICT, "{}", saved.text());
    assert_eq!(server.call("GET", "/api/segments/once", None).await.status, StatusCode::NOT_FOUND);
    let nothing = server.call("POST", "/api/fills/segment:once/pause", Some(json!({}))).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);

    // Whoever saves goes away: it is put in force all the same.
    {
        let save = server.call("POST", "/api/segments", Some(draft));
        tokio::pin!(save);
        let begun = async {
            while server.call("GET", "/api/fills", None).await.json()["items"].get(0).is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { biased; () = begun => {}, _ = &mut save => {} }
    }
    while server.call("GET", "/api/fills", None).await.json()["items"].get(0).is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.call("GET", "/api/segments/once", None).await.json()["count"], 3_000);
    workers.stop().await;
}
