//! The collector through the real router: each sentence of docs/collector.md.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::io::Write;

use axum::http::StatusCode;
use common::{API_KEY, Answer, Server, WRITE_KEY, basic, request};
use serde_json::{Value, json};

const PIXEL_HEAD: &[u8] = b"GIF89a";

async fn post(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<axum::body::Body>,
) -> Answer {
    server.send(request("POST", path, headers, body)).await
}

/// With the server's key by Basic authorization.
async fn keyed(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<axum::body::Body>,
) -> Answer {
    let key = basic(WRITE_KEY);
    let mut all = vec![("authorization", key.as_str())];
    all.extend_from_slice(headers);
    post(server, path, &all, body).await
}

fn track(id: &str) -> Value {
    json!({"type": "track", "event": "Product Viewed", "userId": "u1", "messageId": id})
}

fn accepted(answer: &Answer) {
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, r#"{"success":true}"#));
}

/// status and first reason of each item.
fn outline(answer: &Answer) -> Vec<String> {
    let results = answer.json()["results"].as_array().unwrap_or_else(|| panic!("{}", answer.text())).clone();
    let outcome = |result: &Value| match result["reasons"][0]["code"].as_str() {
        Some(code) => format!("{} {code}", result["status"].as_str().unwrap()),
        None => result["status"].as_str().unwrap().to_owned(),
    };
    results.iter().map(outcome).collect()
}

/// Events stored so far, newest first, as the debugger shows them.
async fn stored(server: &Server) -> Vec<Value> {
    server.call("GET", "/api/events?outcome=accepted&limit=500", None).await.json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn every_call_has_a_long_and_a_short_route() {
    let server = Server::open().await;
    let ids = json!({"userId": "u1", "anonymousId": "a1", "previousId": "a0", "groupId": "g1", "event": "Product Viewed"});
    for (long, short) in
        [("identify", "i"), ("track", "t"), ("page", "p"), ("screen", "s"), ("group", "g"), ("alias", "a")]
    {
        for route in [long, short] {
            accepted(&keyed(&server, &format!("/v1/{route}"), &[], ids.to_string()).await);
            assert_eq!(stored(&server).await[0]["call"], long, "{route}");
        }
    }
    for route in ["batch", "b", "import", "m"] {
        let body = json!({"batch": [track(route)]}).to_string();
        accepted(&keyed(&server, &format!("/v1/{route}"), &[], body).await);
        assert_eq!(stored(&server).await[0]["message_id"], route);
    }
    assert_eq!(keyed(&server, "/v1/nothing", &[], "{}").await.status, StatusCode::NOT_FOUND);
    let method = server.send(request("GET", "/v1/track", &[], "")).await;
    assert_eq!((method.status, method.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
}

#[tokio::test]
async fn the_key_comes_by_basic_authorization_or_in_the_body() {
    let server = Server::open().await;
    let mut call = track("m1");
    accepted(&keyed(&server, "/v1/track", &[], call.to_string()).await);
    call["messageId"] = json!("m2");
    call["writeKey"] = json!(WRITE_KEY);
    accepted(&post(&server, "/v1/track", &[], call.to_string()).await);
    let batch = json!({"batch": [track("m3")], "writeKey": WRITE_KEY, "sentAt": null}).to_string();
    accepted(&post(&server, "/v1/batch", &[], batch).await);
    call["messageId"] = json!("m4");
    accepted(&post(&server, "/v1/batch", &[], json!([call, track("m5")]).to_string()).await);
    call["messageId"] = json!("m6");
    accepted(&post(&server, "/v1/batch", &[], format!("{call}\n{}\n", track("m7"))).await);
    // A browser may send an empty key in the header and the real one in the body.
    call["messageId"] = json!("m8");
    let empty = basic("");
    accepted(&post(&server, "/v1/track", &[("authorization", &empty)], call.to_string()).await);
    for (headers, body) in [
        (vec![], track("m9").to_string()),
        (vec![("authorization", "Basic bm9ib2R5Og==")], track("m9").to_string()),
        (vec![("authorization", "Basic ?")], "no JSON".to_owned()),
    ] {
        let refused = post(&server, "/v1/track", &headers, body).await;
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (StatusCode::UNAUTHORIZED, "application/problem+json")
        );
    }
    assert_eq!(stored(&server).await.len(), 8);
}

#[tokio::test]
async fn gzip_zstd_lines_and_text_of_the_browser_are_taken() {
    let server = Server::open().await;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let batch = |id: &str| json!({"batch": [track(id)]}).to_string();
    accepted(&keyed(&server, "/v1/batch", &[("content-encoding", "gzip")], gzip(&batch("gzip"))).await);
    let zstd = zstd::stream::encode_all(batch("zstd").as_bytes(), 3).unwrap();
    accepted(&keyed(&server, "/v1/batch", &[("content-encoding", "zstd")], zstd).await);
    accepted(
        &keyed(
            &server,
            "/v1/batch",
            &[("content-type", "application/x-ndjson")],
            format!("{}\n{}\n", track("l1"), track("l2")),
        )
        .await,
    );
    let headers = [("content-type", "text/plain"), ("x-retry-count", "1")];
    accepted(
        &keyed(
            &server,
            "/v1/t",
            &headers,
            json!({"event": "Product Viewed", "anonymousId": "a", "userId": null, "messageId": "b"})
                .to_string(),
        )
        .await,
    );
    assert_eq!(stored(&server).await.len(), 5);
    let unknown = keyed(&server, "/v1/batch", &[("content-encoding", "br")], "x").await;
    assert_eq!(unknown.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let broken = keyed(&server, "/v1/batch", &[("content-encoding", "gzip")], "no gzip").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_bomb_is_cut_at_the_limit_of_a_batch_and_a_long_body_is_refused() {
    let server = Server::open().await;
    let zeros = vec![b' '; 64 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&zeros).unwrap();
    for (encoding, body) in
        [("gzip", encoder.finish().unwrap()), ("zstd", zstd::stream::encode_all(&zeros[..], 3).unwrap())]
    {
        assert!(body.len() < 100_000);
        let answer = keyed(&server, "/v1/batch", &[("content-encoding", encoding)], body).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (StatusCode::PAYLOAD_TOO_LARGE, Some("too_large")),
            "{encoding}"
        );
    }
    let long = json!({"batch": [{"type": "track", "event": "E", "userId": "u", "properties": {"text": "x".repeat(10 << 20)}}]});
    let long = long.to_string();
    assert_eq!(keyed(&server, "/v1/batch", &[], long.clone()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let length = long.len().to_string();
    assert_eq!(
        keyed(&server, "/v1/batch", &[("content-length", &length)], long).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_preflight_allows_what_the_browser_sdk_asks_for() {
    let server = Server::open().await;
    let headers = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-retry-count"),
    ];
    for path in ["/v1/t", "/v1/batch", "/v1/projects/k/settings"] {
        let answer = server.send(request("OPTIONS", path, &headers, "")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type,x-retry-count");
        assert_eq!(answer.header("access-control-allow-methods"), "GET,POST");
        assert!(answer.headers.get("access-control-allow-credentials").is_none());
    }
    let refused = server.send(request("POST", "/v1/t", &headers[..1], "{}")).await;
    assert_eq!(refused.header("access-control-allow-origin"), "*", "a refusal must be readable, too");
    let admin = server.send(request("OPTIONS", "/api/segments", &headers, "")).await;
    assert!(admin.headers.get("access-control-allow-origin").is_none(), "the admin API is for no other site");
}

#[tokio::test]
async fn the_pixel_answers_with_its_picture_whatever_comes() {
    use base64::Engine;
    let server = Server::open().await;
    let mut call = track("px");
    call["writeKey"] = json!(WRITE_KEY);
    call["properties"] = json!({"a": "?>?>~~~"});
    let standard = base64::engine::general_purpose::STANDARD.encode(call.to_string());
    call["messageId"] = json!("px2");
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(call.to_string());
    let escaped = standard.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    for (path, many) in [
        (format!("/v1/pixel/track?data={escaped}"), 1),
        (format!("/v1/pixel/t?data={url_safe}"), 2),
        ("/v1/pixel/track".to_owned(), 2),
        ("/v1/pixel/track?data=%FF%FE".to_owned(), 2),
        ("/v1/pixel/track?data=bm8gSlNPTg==&data=x&%".to_owned(), 2),
        ("/v1/pixel/nothing?data=e30".to_owned(), 2),
    ] {
        let answer = server.send(request("GET", &path, &[], "")).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/gif"), "{path}");
        assert!(answer.body.starts_with(PIXEL_HEAD) && answer.header("cache-control").contains("no-store"));
        assert_eq!(stored(&server).await.len(), many, "{path}");
    }
}

#[tokio::test]
async fn the_browser_sdk_boots_from_the_settings() {
    let server = Server::open().await;
    let answer = server
        .send(request("GET", "/v1/projects/THE-KEY/settings", &[("origin", "https://x.example")], ""))
        .await;
    let expected = json!({"apiKey": "THE-KEY", "apiHost": "shop.example/v1", "protocol": "http"});
    assert_eq!(answer.json()["integrations"]["Segment.io"], expected);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn each_item_has_its_result_and_strict_mode_refuses_the_call() {
    let server = Server::open().await;
    let conflict = json!({"type": "track", "event": "Other", "userId": "u1", "messageId": "m1"});
    let batch = json!({"batch": [track("m1"), track("m1"), conflict, {"type": "track", "userId": "u1"}, track("m2")]}).to_string();
    let answer = keyed(&server, "/v1/batch", &[], batch).await;
    assert_eq!((answer.status, answer.json()["success"].as_bool()), (StatusCode::OK, Some(true)));
    assert_eq!(outline(&answer), ["accepted", "duplicate", "duplicate", "rejected no_event", "accepted"]);
    let results = answer.json()["results"].clone();
    assert_eq!((&results[1]["conflict"], &results[2]["conflict"]), (&json!(false), &json!(true)));
    let strict = json!({"batch": [track("m3"), {"type": "track", "userId": "u1"}]}).to_string();
    let answer = keyed(&server, "/v1/batch", &[("x-strict-mode", "1")], strict).await;
    assert_eq!((answer.status, answer.json()["success"].as_bool()), (StatusCode::BAD_REQUEST, Some(false)));
    assert_eq!(outline(&answer), ["accepted", "rejected no_event"]);
    let again =
        keyed(&server, "/v1/batch", &[("x-strict-mode", "1")], json!({"batch": [track("m3")]}).to_string())
            .await;
    assert_eq!((again.status, outline(&again)), (StatusCode::OK, vec!["duplicate".to_owned()]));
}

/// Each item beside a sound one: it alone is refused, with its reason, and is kept in quarantine.
#[tokio::test]
async fn a_hostile_item_is_refused_alone() {
    let server = Server::open().await;
    let properties = |text: &str| {
        format!(r#"{{"type":"track","event":"E","userId":"u1","properties":{text}}}"#).into_bytes()
    };
    let deep = format!("{}1{}", "{\"a\":".repeat(6_000), "}".repeat(6_000));
    let keys: Vec<String> = (0..2_000).map(|n| format!("\"k{n}\":1")).collect();
    let mut broken_utf8 = properties(r#"{"a":"X"}"#);
    let at = broken_utf8.iter().position(|byte| *byte == b'X').unwrap();
    broken_utf8[at] = 0xff;
    let at = |field: &str, value: &str| {
        format!(r#"{{"type":"track","event":"E","userId":"u1","{field}":{value}}}"#).into_bytes()
    };
    // What a sender writes that takes seconds for milliseconds.
    let seconds = model::Timestamp::from_micros(server.platform.clock.now().micros() / 1_000);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("levels", properties(&deep[..]), "event_too_large"),
        ("levels of lists", properties(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))), "too_deep"),
        ("keys", properties(&format!("{{{}}}", keys.join(","))), "too_many_keys"),
        ("1e400", properties(r#"{"a":1e400}"#), "invalid_value"),
        ("a lone surrogate", properties(r#"{"a":"\ud800"}"#), "invalid_value"),
        ("no UTF-8", broken_utf8, "invalid_utf8"),
        ("40 KB of text", properties(&format!(r#"{{"a":"{}"}}"#, "x".repeat(40_000))), "event_too_large"),
        ("the year 9999", at("timestamp", "\"9999-01-01T00:00:00Z\""), "implausible_time"),
        ("its last day", at("timestamp", "\"9999-12-31T23:59:59Z\""), "invalid_time"),
        ("seconds for milliseconds", at("timestamp", &format!("\"{seconds}\"")), "implausible_time"),
        ("a long id", at("messageId", &format!("\"{}\"", "m".repeat(101))), "message_id_too_long"),
        ("a list", b"[1,2]".to_vec(), "invalid_call"),
        ("null", b"null".to_vec(), "invalid_call"),
    ];
    for (number, (what, item, code)) in cases.iter().enumerate() {
        let before = track(&format!("b{number}")).to_string();
        let after = track(&format!("a{number}")).to_string();
        let body = [b"{\"batch\":[", before.as_bytes(), b",", item, b",", after.as_bytes(), b"]}"].concat();
        let answer = keyed(&server, "/v1/batch", &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{what}: {}", answer.text());
        let outcomes = outline(&answer);
        assert_eq!((outcomes[0].as_str(), outcomes[2].as_str()), ("accepted", "accepted"), "{what}");
        assert_eq!(outcomes[1], format!("rejected {code}"), "{what}");
    }
    let kept = server.pages("/api/quarantine", 500).await;
    assert_eq!(kept.len(), cases.len());
    assert!(kept.iter().all(|row| row["body"].as_str().unwrap().len() <= 32 * 1024));
    assert_eq!(stored(&server).await.len(), 2 * cases.len());
}

#[tokio::test]
async fn a_million_keys_fit_no_batch_and_a_body_of_brackets_is_refused() {
    let server = Server::open().await;
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"{n}\":0")).collect();
    let body = format!(r#"{{"type":"track","event":"E","userId":"u1","properties":{{{}}}}}"#, keys.join(","));
    assert_eq!(keyed(&server, "/v1/track", &[], body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for brackets in ["[".repeat(400_000), "{\"a\":".repeat(80_000), "[{\"batch\":".repeat(40_000)] {
        let answer = keyed(&server, "/v1/batch", &[], brackets.clone()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(outline(&answer)[0].starts_with("rejected"), "{}", answer.text());
        let keyless = post(&server, "/v1/batch", &[], brackets).await;
        assert_eq!(keyless.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_batch_takes_2500_events_and_refuses_the_next() {
    let server = Server::open().await;
    let items: Vec<Value> = (0..2_501)
        .map(|n| json!({"type": "track", "event": "E", "userId": "u1", "messageId": format!("m{n}")}))
        .collect();
    let answer = keyed(&server, "/v1/batch", &[], json!({"batch": items}).to_string()).await;
    let outcomes = outline(&answer);
    assert_eq!(outcomes.len(), 2_501);
    assert!(outcomes[..2_500].iter().all(|outcome| outcome == "accepted"));
    assert_eq!(outcomes[2_500], "rejected batch_too_long");
}

#[tokio::test]
async fn history_is_stored_and_fires_nothing() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    let hello = json!({"id": "hello", "name": "Hello", "subject": "Hello", "body": "<p>Hello</p>"});
    server.call("POST", "/api/templates", Some(hello)).await;
    let journey = json!({"id": "j", "name": "J", "definition": {
        "trigger": {"event": "Product Viewed"}, "start": "send",
        "nodes": {"send": {"type": "send", "template": "hello", "next": "end"}, "end": {"type": "exit"}}}});
    assert_eq!(server.call("POST", "/api/journeys", Some(journey)).await.status, StatusCode::CREATED);
    server
        .collect(json!([{"type": "identify", "userId": "u1", "traits": {"email": "u1@shop.example"}}]))
        .await;
    let mut past = track("past");
    past["timestamp"] = json!("2020-01-01T00:00:00Z");
    accepted(&keyed(&server, "/v1/import", &[], json!({"batch": [past]}).to_string()).await);
    past["messageId"] = json!("past2");
    past["context"] = json!({"backfill": true});
    accepted(&keyed(&server, "/v1/track", &[], past.to_string()).await);
    server.stepped().await;
    let counted = async || {
        let sql = json!({"sql": "SELECT count(*), min(timestamp) FROM events WHERE name = 'Product Viewed' AND backfill"});
        server.call("POST", "/api/query", Some(sql)).await.json()["rows"][0].clone()
    };
    let rows = counted().await;
    assert_eq!(rows[0], 2, "{rows}");
    assert!(rows[1].as_str().unwrap().starts_with("2020-01-01"), "{rows}");
    let entries = async || server.pages("/api/journeys/j/entries", 500).await.len();
    assert_eq!(entries().await, 0, "history has fired a journey");
    accepted(&keyed(&server, "/v1/track", &[], track("now").to_string()).await);
    common::until(async || entries().await == 1).await;
    workers.stop().await;
}

#[tokio::test]
async fn overload_is_answered_with_when_to_come_again_and_keeps_nothing() {
    let server = Server::with(|options| options.limits.ingest_inflight_bytes_max = 4_096).await;
    let small = track("m1").to_string();
    let length = small.len().to_string();
    accepted(&keyed(&server, "/v1/track", &[("content-length", &length)], small.clone()).await);
    let long = json!({"batch": (0..50).map(|n| track(&format!("x{n}"))).collect::<Vec<_>>()}).to_string();
    let length_long = long.len().to_string();
    for headers in [&[("content-length", length_long.as_str())][..], &[]] {
        let answer = keyed(&server, "/v1/batch", headers, long.clone()).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            "retry-after",
            "a browser may read when to come again"
        );
    }
    let again = keyed(&server, "/v1/track", &[("content-length", &length)], small).await;
    assert_eq!(outline(&again), ["duplicate"], "room is given back");
    assert_eq!(stored(&server).await.len(), 1);
}

#[tokio::test]
async fn skew_is_corrected_and_the_original_time_is_kept() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    let mut call = track("skew");
    call["timestamp"] = json!("2020-01-01T00:00:00Z");
    call["sentAt"] = json!("2020-01-01T00:10:00Z");
    accepted(&keyed(&server, "/v1/track", &[], call.to_string()).await);
    server.stepped().await;
    let sql = json!({"sql": "SELECT timestamp, original_timestamp, received_at FROM events"});
    let row = server.call("POST", "/api/query", Some(sql)).await.json()["rows"][0].clone();
    let at = |n: usize| model::Timestamp::parse(row[n].as_str().unwrap()).unwrap();
    assert_eq!(at(2) - at(0), 10 * model::time::MINUTE, "{row}");
    assert!(row[1].as_str().unwrap().starts_with("2020-01-01"), "{row}");
    workers.stop().await;
}

#[tokio::test]
async fn an_api_key_sends_no_events() {
    let server = Server::open().await;
    let key = format!("Bearer {API_KEY}");
    for headers in [vec![("authorization", key.as_str())], vec![]] {
        let mut call = track("by-api-key");
        call["writeKey"] = json!(API_KEY);
        let answer = post(&server, "/v1/track", &headers, call.to_string()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("write key"), "{}", answer.text());
    }
    let made = server.call("POST", "/api/keys", Some(json!({"name": "Shop", "kind": "server"}))).await.json();
    let key = basic(made["key"].as_str().unwrap());
    accepted(
        &post(&server, "/v1/track", &[("authorization", &key)], track("by-write-key").to_string()).await,
    );
}

#[tokio::test]
async fn a_browsers_key_may_not_speak_for_the_platform_nor_read() {
    let server = Server::open().await;
    let made = server.call("POST", "/api/keys", Some(json!({"name": "Web", "kind": "browser"}))).await.json();
    let key = basic(made["key"].as_str().unwrap());
    let headers = [("authorization", key.as_str())];
    let spoofed = json!({"event": "Email Sent", "userId": "u1"}).to_string();
    let answer = post(&server, "/v1/track", &headers, spoofed).await;
    assert_eq!(outline(&answer), ["rejected reserved_event"]);
    for path in ["/api/profiles", "/api/events", "/api/overview", "/api/settings", "/api/keys"] {
        assert_eq!(
            server.send(request("GET", path, &headers, "")).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    let id = made["id"].as_str().unwrap();
    assert_eq!(server.call("DELETE", &format!("/api/keys/{id}"), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        post(&server, "/v1/track", &headers, track("late").to_string()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        server
            .send(request("GET", "/api/session", &[("authorization", &format!("Bearer {API_KEY}"))], ""))
            .await
            .status,
        StatusCode::OK
    );
}
