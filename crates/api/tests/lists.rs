//! Segments by a query or a list, over HTTP: hostile queries on every path, uploads, circles, what others need.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::{API_KEY, Answer, Server, request};
use serde_json::{Value, json};

async fn shop() -> Server {
    let server = Server::open().await;
    let calls: Vec<Value> = (0..3)
        .map(|n| {
            json!({"type": "identify", "userId": format!("u{n}"), "traits": {"email": format!("u{n}@shop.example")}})
        })
        .collect();
    server.collect(json!(calls)).await;
    server.platform.work_off().await.unwrap();
    server
}

async fn upload(server: &Server, path: &str, kind: &str, body: impl Into<axum::body::Body>) -> Answer {
    let key = format!("Bearer {API_KEY}");
    server.send(request("POST", path, &[("authorization", &key), ("content-type", kind)], body)).await
}

#[tokio::test]
async fn a_hostile_query_is_refused_the_same_on_every_path() {
    let server = shop().await;
    let workers = server.platform.start_without_sending();
    let good = json!({"id": "q", "name": "Q", "sql": "SELECT id AS profile_id FROM profiles"});
    let made = server.call("POST", "/api/segments", Some(good)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let deep = format!("SELECT {}1{} AS profile_id", "(".repeat(100_000), ")".repeat(100_000));
    let nested = format!("SELECT {}1{} AS profile_id", "(".repeat(20_000), ")".repeat(20_000));
    let explosion = format!(
        "SELECT count(*) AS profile_id FROM {}",
        (0..20).map(|n| format!("events e{n}")).collect::<Vec<_>>().join(", ") + &", profiles p".repeat(60)
    );
    let hostile = [
        "SELECT id AS profile_id FROM profiles; DELETE FROM profiles",
        "DELETE FROM profiles",
        "WITH gone AS (DELETE FROM profiles RETURNING id) SELECT id AS profile_id FROM gone",
        "INSERT INTO profiles SELECT * FROM profiles",
        "CREATE TABLE x AS SELECT 1",
        "COPY profiles TO '/tmp/profiles.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT hash AS profile_id FROM access_key",
        "SELECT 1 AS profile_id FROM information_schema.tables",
        "SELECT column1 AS profile_id FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd') AS profile_id",
        "SELECT repeat('x', 2000000000) AS profile_id",
        &deep,
        &nested,
        &explosion,
        "SELECT id FROM",
        "SELECT name FROM profiles",
    ];
    for sql in hostile {
        let shown: String = sql.chars().take(60).collect();
        let check = server.call("POST", "/api/segments/check", Some(json!({"sql": sql}))).await;
        assert_eq!(check.status, StatusCode::OK, "{shown}: {}", check.text());
        assert_eq!(check.json()["ok"], false, "{shown}");
        assert!(!check.json()["errors"][0]["message"].as_str().unwrap().is_empty(), "{shown}");
        let preview = server.call("POST", "/api/segments/preview", Some(json!({"sql": sql}))).await;
        assert!(preview.status.is_client_error(), "{shown}: {}", preview.text());
        let save = json!({"id": "q", "name": "Q", "sql": sql});
        let put = server.call("PUT", "/api/segments/q", Some(save.clone())).await;
        assert!(put.status.is_client_error(), "{shown}: {}", put.text());
        let post =
            server.call("POST", "/api/segments", Some(json!({"id": "w", "name": "W", "sql": sql}))).await;
        assert!(post.status.is_client_error(), "{shown}: {}", post.text());
        assert!(put.text().contains("\"code\""), "{shown}: {}", put.text());
    }
    // What is in force is asked again by the same planner.
    let refreshed = server.call("POST", "/api/segments/q/refresh", None).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text());
    assert_eq!(refreshed.json()["rows"], 3);
    let one = server.call("GET", "/api/segments/q", None).await.json();
    assert_eq!(
        (&one["count"], &one["kind"], &one["query"]["last"]["rows"]),
        (&json!(3), &json!("sql"), &json!(3))
    );
    workers.stop().await;
}

#[tokio::test]
async fn a_list_is_uploaded_in_every_form_and_each_row_that_is_not_taken_is_named() {
    let server = shop().await;
    let made =
        server.call("POST", "/api/segments", Some(json!({"id": "vip", "name": "VIP", "static": true}))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let path = "/api/segments/vip/members";
    let json =
        server.call("POST", path, Some(json!(["u0", {"email": "u1@shop.example"}, "nobody", {}, 5.5]))).await;
    assert_eq!(json.status, StatusCode::OK, "{}", json.text());
    let told = json.json();
    assert_eq!((&told["entered"], &told["members"], &told["rows"]), (&json!(2), &json!(2), &json!(5)));
    assert_eq!(told["unknown"]["rows"][0]["value"], "nobody");
    assert_eq!((&told["rejected"]["count"], &told["rejected"]["rows"][0]["row"]), (&json!(2), &json!(4)));
    let csv = "name,email\n\"U, two\",U2@shop.example\nx,not an address\n";
    let replaced = upload(&server, &format!("{path}?mode=replace"), "text/csv", csv).await.json();
    assert_eq!(
        (&replaced["entered"], &replaced["exited"], &replaced["members"]),
        (&json!(1), &json!(2), &json!(1))
    );
    let lines = "{\"user_id\":\"u2\"}\n\"u0\"\n";
    let removed = upload(&server, &format!("{path}?mode=remove"), "application/x-ndjson", lines).await.json();
    assert_eq!((&removed["exited"], &removed["members"]), (&json!(1), &json!(0)));
    for (kind, body) in [
        ("text/csv", "phone\n123\n".to_owned()),
        ("text/csv", format!("user_id\n\"{}", "x".repeat(200_000))),
        ("application/json", "{\"people\": []}".to_owned()),
        ("application/json", "[".to_owned()),
        ("application/xml", "<a/>".to_owned()),
    ] {
        let answer = upload(&server, path, kind, body).await;
        assert!(answer.status.is_client_error(), "{kind}: {}", answer.text());
    }
    let mode = server.call("POST", &format!("{path}?mode=swap"), Some(json!(["u0"]))).await;
    assert_eq!(mode.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", mode.text());
    let other = json!({"id": "named", "name": "Named", "where": "email is present"});
    server.call("POST", "/api/segments", Some(other)).await;
    let answer = server.call("POST", "/api/segments/named/members", Some(json!(["u0"]))).await;
    assert!(answer.status.is_client_error() && answer.text().contains("static"), "{}", answer.text());
}

#[tokio::test]
async fn a_circle_is_refused_with_its_path_and_a_segment_that_is_needed_names_who_needs_it() {
    let server = shop().await;
    for (id, condition) in [("a", "email is present"), ("b", "in segment \"a\""), ("c", "in segment \"b\"")] {
        let made = server
            .call("POST", "/api/segments", Some(json!({"id": id, "name": id, "where": condition})))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
    let circle = json!({"name": "a", "where": "in segment \"c\""});
    let refused = server.call("PUT", "/api/segments/a", Some(circle)).await;
    assert!(refused.status.is_client_error());
    let said = refused.text();
    assert!(said.contains('→') && ["a", "b", "c"].iter().all(|id| said.contains(id)), "{said}");
    let dependents = server.call("GET", "/api/segments/a/dependents", None).await.json();
    assert_eq!(
        dependents["items"],
        json!([{"kind": "segment", "id": "b", "name": "b", "place": "its condition"}])
    );
    let delete = server.call("DELETE", "/api/segments/a", None).await;
    assert_eq!(delete.status, StatusCode::CONFLICT, "{}", delete.text());
    assert!(delete.text().contains("the segment 'b'"), "{}", delete.text());
    for id in ["c", "b", "a"] {
        assert_eq!(
            server.call("DELETE", &format!("/api/segments/{id}"), None).await.status,
            StatusCode::NO_CONTENT
        );
    }
}
