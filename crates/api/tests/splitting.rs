//! A profile is split over HTTP: the answer names the other person, once for a key.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::Server;
use serde_json::json;

#[tokio::test]
async fn a_split_answers_with_the_other_person_and_again_the_same_under_its_key() {
    let server = Server::open().await;
    let workers = server.platform.start();
    server
        .collect(json!([
            {"type": "identify", "userId": "ada", "traits": {"email": "ada@example.com"}},
            {"type": "track", "anonymousId": "shared-tablet", "event": "Order Completed"},
            {"type": "identify", "userId": "ada", "anonymousId": "shared-tablet"},
            {"type": "track", "anonymousId": "shared-tablet", "event": "Product Viewed"},
        ]))
        .await;
    server.stepped().await;
    let found = server.call("GET", "/api/profiles?q=ada", None).await.json();
    let ada = found["items"][0]["id"].as_i64().unwrap();
    let path = format!("/api/profiles/{ada}/split");
    for (body, place) in [
        (json!({"identifiers": []}), "/identifiers"),
        (json!({"identifiers": [{"kind": "fax", "value": "1"}]}), "/identifiers/0/kind"),
        (json!({"identifiers": [{"kind": "email", "value": "eve@example.com"}]}), "/identifiers/0"),
    ] {
        let refused = server.call("POST", &path, Some(body)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
        assert_eq!(refused.json()["errors"][0]["path"], place);
    }
    let ask = json!({"identifiers": [{"kind": "anonymous_id", "value": "shared-tablet"}], "reason": "a tablet in the shop"});
    let outlook = server.call("POST", &format!("{path}/preview"), Some(ask.clone())).await.json();
    assert_eq!(outlook["events"]["moved"], 2, "{outlook}");
    assert_eq!(outlook["events"]["shared"], 1, "{outlook}");
    let key = [("idempotency-key", "k1")];
    let first = server.call_with("POST", &path, Some(ask.clone()), &key).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let tablet = first.json()["profile"].as_i64().unwrap();
    assert_ne!(tablet, ada);
    assert_eq!(Some(tablet), outlook["former"].as_i64(), "the profile it was before comes back");
    let again = server.call_with("POST", &path, Some(ask.clone()), &key).await;
    assert_eq!((again.body.clone(), again.header("idempotency-replayed")), (first.body, "true"));
    let other = server.call("POST", &path, Some(ask)).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "it is not hers any more: {}", other.text());
    let explained = server.call("GET", &format!("/api/profiles/{tablet}/explain"), None).await.json();
    assert_eq!(explained["id"], tablet);
    assert_eq!(
        (&explained["splits"][0]["from"], &explained["splits"][0]["reason"]),
        (&json!(ada), &json!("a tablet in the shop"))
    );
    let timeline = server.pages(&format!("/api/profiles/{tablet}/timeline"), 50).await;
    let names: Vec<&str> = timeline.iter().filter_map(|row| row["title"].as_str()).collect();
    assert_eq!(
        names.iter().filter(|name| ["Order Completed", "Product Viewed"].contains(name)).count(),
        2,
        "{names:?}"
    );
    workers.stop().await;
}
