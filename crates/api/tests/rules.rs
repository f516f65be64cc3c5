//! Rules and decision tables over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::Server;
use serde_json::{Value, json};

fn loyalty() -> Value {
    json!({
        "where": "count \"Order Completed\" in last 60 days > 3", "on": "Order Completed", "every_seconds": 5_184_000,
        "description": "Thanks for coming back", "owner": "CRM", "review_at": "2026-01-31",
        "threshold": "more than 3", "time_frame": "60 days", "actions": [{"type": "grant_coupon", "prefix": "LOYAL"}],
    })
}

#[tokio::test]
async fn a_rule_is_made_fires_is_reported_paused_and_deleted() {
    let server = Server::open().await;
    let draft = json!({"name": "Loyalty discount", "definition": loyalty()});
    let made = server.call("POST", "/api/rules", Some(draft)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!((&made.json()["id"], &made.json()["review_due"]), (&json!("loyalty-discount"), &json!(true)));
    let orders: Vec<Value> = (0..4)
        .map(|n| json!({"type": "track", "event": "Order Completed", "userId": "ada", "messageId": format!("o{n}")}))
        .collect();
    server.collect(json!(orders)).await;
    server.platform.work_off().await.unwrap();
    let row = server.call("GET", "/api/rules", None).await.json()["items"][0].clone();
    assert_eq!((&row["fired_30_days"], &row["status"]), (&json!(1), &json!("live")));
    let firing =
        server.call("GET", "/api/rules/loyalty-discount/firings", None).await.json()["items"][0].clone();
    assert!(firing["actions"][0]["code"].as_str().unwrap().starts_with("LOYAL-"), "{firing}");
    let report = server.call("GET", "/api/rules/loyalty-discount/report?days=7", None).await.json();
    assert_eq!(
        (&report["firings"], &report["fired"]["open"], &report["goal_days"]),
        (&json!(1), &json!(1), &json!(14))
    );
    assert_eq!(report["by_day"].as_array().unwrap().len(), 7);
    let paused = server.call("POST", "/api/rules/loyalty-discount/pause", None).await.json();
    assert_eq!((&paused["status"], &paused["version"]), (&json!("paused"), &json!(2)));
    let resumed = server.call("POST", "/api/rules/loyalty-discount/resume", None).await.json();
    assert_eq!((&resumed["status"], resumed["versions"].as_array().unwrap().len()), (&json!("live"), 3));
    assert_eq!(
        server.call("DELETE", "/api/rules/loyalty-discount", None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(server.call("GET", "/api/rules/loyalty-discount", None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_rule_that_cannot_be_carried_out_is_refused_with_the_place() {
    let server = Server::open().await;
    for (field, value, place) in [
        ("where", json!("count \"Order Completed\" in last"), "/where"),
        ("every_seconds", json!(1), "/every_seconds"),
        (
            "actions",
            json!([{"type": "call_webhook", "url": "http://[::ffff:169.254.169.254]/"}]),
            "/actions/0",
        ),
        ("actions", json!([{"type": "add_to_segment", "segment": "no-such"}]), "/actions/0"),
        ("actions", json!([{"type": "start_journey", "journey": "no-such"}]), "/actions/0"),
        ("review_at", json!("next spring"), "/review_at"),
    ] {
        let mut definition = loyalty();
        definition[field] = value;
        let answer =
            server.call("POST", "/api/rules", Some(json!({"name": "X", "definition": definition}))).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
        assert_eq!(answer.json()["errors"][0]["path"], place, "{}", answer.text());
    }
    let webhook = json!([{"type": "call_webhook", "url": "https://shop.example/hook"}]);
    let mut definition = loyalty();
    definition["actions"] = webhook;
    let answer =
        server.call("POST", "/api/rules", Some(json!({"name": "X", "definition": definition}))).await;
    assert_eq!(answer.json()["code"], "not_available", "{}", answer.text());
}

#[tokio::test]
async fn a_table_is_checked_before_it_is_saved_and_decides_with_reasons() {
    let server = Server::open().await;
    let people = json!([
        {"type": "identify", "userId": "ada", "traits": {"plan": "pro"}},
        {"type": "identify", "userId": "bob", "traits": {"plan": "team"}},
        {"type": "identify", "userId": "eve"},
    ]);
    server.collect(people).await;
    server.platform.work_off().await.unwrap();
    let definition = json!({"hit": "first", "rows": [
        {"name": "Paying", "where": "plan is present", "outcome": {"discount": 0}},
        {"name": "Pro", "where": "plan = \"pro\"", "outcome": {"discount": 10}},
    ]});
    let check = server.call("POST", "/api/tables/check", Some(json!({"definition": definition}))).await;
    assert_eq!(check.status, StatusCode::OK, "{}", check.text());
    let check = check.json();
    assert_eq!((&check["gap"], &check["total"]), (&json!(1), &json!(3)));
    assert_eq!(check["overlaps"], json!([{"first": 0, "second": 1, "count": 1}]));
    assert_eq!(check["rows"][1], json!({"holds": 1, "decides": 0, "unreachable": true}));
    let mut broken = definition.clone();
    broken["rows"][1]["where"] = json!("plan = ");
    let refused = server.call("POST", "/api/tables/check", Some(json!({"definition": broken}))).await;
    assert_eq!(refused.json()["errors"][0]["path"], "/rows/1/where", "{}", refused.text());
    let made = server
        .call("POST", "/api/tables", Some(json!({"id": "offer", "name": "Offer", "definition": definition})))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let ada = server.call("GET", "/api/profiles?q=ada", None).await.json()["items"][0]["id"].clone();
    let decided = server.call("POST", "/api/tables/offer/decide", Some(json!({"profile": ada}))).await.json();
    assert_eq!(decided["outcome"], json!({"discount": 0}));
    assert_eq!((&decided["rows"][1]["holds"], &decided["rows"][1]["decides"]), (&json!(true), &json!(false)));
    assert!(decided["rows"][0]["explanation"]["sentence"].is_string(), "{decided}");
    assert_eq!(
        server.call("POST", "/api/tables/none/decide", Some(json!({"profile": ada}))).await.status,
        StatusCode::NOT_FOUND
    );
}
