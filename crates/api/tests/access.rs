//! Who may do what, over the table of all routes: nobody without credentials, no write key, no other workspace, no other site.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::{API_KEY, Answer, Server, WRITE_KEY, basic, operations, request};
use model::WorkspaceId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const OTHER_KEY: &str = "api-key-of-the-other-workspace-0123456789";
const CANARY: &str = "canary7f3a";

fn guarded() -> Vec<(String, String)> {
    let all = operations().into_iter();
    let guarded: Vec<_> = all
        .filter(|(method, path)| {
            path.starts_with("/api/") && (method.as_str(), path.as_str()) != ("POST", "/api/session")
        })
        .collect();
    assert!(guarded.len() > 40, "{}", guarded.len());
    guarded
}

fn plain(path: &str) -> String {
    path.replace("{id}", "1").replace("{catalog}", "c").replace("{email}", "a@shop.example")
}

#[tokio::test]
async fn every_route_asks_for_credentials() {
    let server = Server::open().await;
    for (method, path) in guarded() {
        for headers in
            [&[][..], &[("authorization", "Bearer nobody")], &[("cookie", "rapport_session=guess")]]
        {
            let headers: Vec<_> = headers.iter().copied().chain([("x-rapport", "1")]).collect();
            let answer = server.send(request(&method, &plain(&path), &headers, "{}")).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} with {headers:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }
}

#[tokio::test]
async fn a_write_key_opens_no_route_of_the_admin_api() {
    let server = Server::open().await;
    for (method, path) in guarded() {
        for authorization in [format!("Bearer {WRITE_KEY}"), basic(WRITE_KEY)] {
            let headers = [("authorization", authorization.as_str())];
            let answer = server.send(request(&method, &plain(&path), &headers, "{}")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}

async fn cookie(server: &Server) -> String {
    let token = server.platform.setup_token().await.unwrap();
    let body = json!({"token": token}).to_string();
    let headers = [("content-type", "application/json")];
    let answer = server.send(request("POST", "/api/session", &headers, body)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn another_site_can_change_nothing_with_the_cookie_alone() {
    let server = Server::open().await;
    let cookie = cookie(&server).await;
    for (method, path) in guarded().into_iter().filter(|(method, _)| method != "GET") {
        for kind in ["text/plain", "application/json", "application/x-www-form-urlencoded"] {
            let headers =
                [("cookie", cookie.as_str()), ("content-type", kind), ("origin", "https://other.example")];
            let answer = server.send(request(&method, &plain(&path), &headers, "{}")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} as {kind}");
        }
    }
    let still = server.send(request("GET", "/api/session", &[("cookie", cookie.as_str())], "")).await;
    assert_eq!(still.status, StatusCode::OK, "the session was ended by a refused request");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_by_its_type() {
    let server = Server::open().await;
    let token = server.platform.setup_token().await.unwrap();
    let body = json!({"token": token}).to_string();
    let headers = [("content-type", "text/plain")];
    let signed = server.send(request("POST", "/api/session", &headers, body)).await;
    assert_eq!(signed.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(signed.headers.get("set-cookie").is_none());
    let key = format!("Bearer {API_KEY}");
    let headers = [("content-type", "text/plain"), ("authorization", key.as_str())];
    let answer =
        server.send(request("POST", "/api/segments", &headers, r#"{"name":"a","where":"a = 1"}"#)).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(answer.json()["code"], "unsupported_media_type");
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let server = Server::open().await;
    let cookie = cookie(&server).await;
    let headers = [("cookie", cookie.as_str()), ("x-rapport", "1")];
    assert_eq!(server.send(request("GET", "/api/session", &headers, "")).await.status, StatusCode::OK);
    let out = server.send(request("DELETE", "/api/session", &headers, "")).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let after = server.send(request("GET", "/api/session", &headers, "")).await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_setup_token_signs_in_until_the_next_one_is_made_and_a_write_key_never() {
    let server = Server::open().await;
    let first = server.platform.setup_token().await.unwrap();
    let sign_in = async |token: &str| {
        let body = json!({"token": token}).to_string();
        server
            .send(request("POST", "/api/session", &[("content-type", "application/json")], body))
            .await
            .status
    };
    assert_eq!(sign_in(&first).await, StatusCode::NO_CONTENT);
    let second = server.platform.setup_token().await.unwrap();
    assert_eq!(sign_in(&first).await, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&second).await, StatusCode::NO_CONTENT);
    assert_eq!(sign_in(API_KEY).await, StatusCode::NO_CONTENT);
    for wrong in [WRITE_KEY, "", &second[1..]] {
        assert_eq!(sign_in(wrong).await, StatusCode::UNAUTHORIZED, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_withdrawn_key_ends_the_sessions_that_began_with_it_and_no_other() {
    let server = Server::open().await;
    let setup = server.platform.setup_token().await.unwrap();
    let begin = async |token: &str| {
        let body = json!({"token": token}).to_string();
        let answer =
            server.send(request("POST", "/api/session", &[("content-type", "application/json")], body)).await;
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    };
    let (of_key, of_setup) = (begin(API_KEY).await, begin(&setup).await);
    let status = async |cookie: &str| {
        server.send(request("GET", "/api/session", &[("cookie", cookie)], "")).await.status
    };
    assert_eq!([status(&of_key).await, status(&of_setup).await], [StatusCode::OK; 2]);
    let keys = server.platform.store.keys(WorkspaceId(1)).await.unwrap();
    let (id, ..) = keys.iter().find(|(_, _, kind, ..)| kind == "api").unwrap();
    let headers = [("cookie", of_key.as_str()), ("x-rapport", "1")];
    let gone = server.send(request("DELETE", &format!("/api/keys/{id}"), &headers, "")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(status(&of_key).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&of_setup).await, StatusCode::OK);
}

fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().fold(String::new(), |out, byte| format!("{out}{byte:02x}"))
}

/// Things of the first workspace, each with the canary in it; the id of each by the name of its path.
async fn furnish(server: &Server) -> impl Fn(&str) -> String + use<> {
    server
        .collect(json!([{"type": "identify", "userId": CANARY, "traits": {"email": format!("{CANARY}@shop.example"), "name": CANARY}}]))
        .await;
    server.stepped().await;
    let made = async |path: &str, body: Value| {
        let answer = server.call("POST", path, Some(body)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer
    };
    let condition = format!("name = \"{CANARY}\"");
    made("/api/segments", json!({"id": CANARY, "name": CANARY, "where": condition})).await;
    made("/api/traits", json!({"name": CANARY, "figure": format!("count \"{CANARY}\"")})).await;
    made("/api/templates", json!({"id": CANARY, "name": CANARY, "subject": CANARY, "body": CANARY})).await;
    let send = json!({"type": "send", "template": CANARY, "next": "end"});
    let nodes = json!({"send": send, "end": {"type": "exit"}});
    let journey = json!({"trigger": {"event": CANARY}, "start": "send", "nodes": nodes});
    made("/api/journeys", json!({"id": CANARY, "name": CANARY, "definition": journey})).await;
    let action = json!([{"type": "set_attribute", "name": CANARY, "value": CANARY}]);
    let rule = json!({"where": condition, "every_seconds": 60, "actions": action});
    made("/api/rules", json!({"id": CANARY, "name": CANARY, "definition": rule})).await;
    let table = json!({"rows": [{"name": CANARY, "where": condition, "outcome": {"canary": CANARY}}]});
    made("/api/tables", json!({"id": CANARY, "name": CANARY, "definition": table})).await;
    made("/api/suppressions", json!({"email": format!("{CANARY}@gone.example")})).await;
    let key = made("/api/keys", json!({"name": CANARY, "kind": "server"})).await.json();
    let profiles = server.call("GET", "/api/profiles", None).await.json();
    let profile = profiles["items"][0]["id"].to_string();
    let send = json!({"template": CANARY, "profile": profiles["items"][0]["id"]});
    let message = made("/api/send", send).await.json();
    let pool = server.call("PUT", &format!("/api/coupons/{CANARY}"), Some(json!({}))).await;
    assert_eq!(pool.status, StatusCode::OK, "{}", pool.text());
    let item = server
        .call("PUT", &format!("/api/catalogs/{CANARY}/items/{CANARY}"), Some(json!({"name": CANARY})))
        .await;
    assert_eq!(item.status, StatusCode::OK);
    let (key, message) =
        (key["id"].as_str().unwrap().to_owned(), message["message_id"].as_str().unwrap().to_owned());
    move |path: &str| {
        let id = match path.split('/').nth(2) {
            Some("profiles") => &profile,
            Some("keys") => &key,
            Some("messages") => &message,
            _ => CANARY,
        };
        let email = format!("{CANARY}@gone.example");
        let path = path
            .replace("{id}", id)
            .replace("{catalog}", CANARY)
            .replace("{pool}", CANARY)
            .replace("{email}", &email);
        format!("{path}?profile={profile}&limit=500")
    }
}

#[tokio::test]
async fn another_workspace_sees_nothing_of_this_one_and_changes_nothing_in_it() {
    let server = Server::open().await;
    let workers = server.platform.start_without_sending();
    let path_of = furnish(&server).await;
    let other = WorkspaceId(2);
    let (store, now) = (&server.platform.store, server.platform.clock.now());
    store.put_workspace(other, r#"{"name":"Other","timezone":"UTC"}"#, now).await.unwrap();
    store.put_key(other, "Other", "api", &hash(OTHER_KEY), "", now).await.unwrap();
    server.platform.reload(other).await.unwrap();
    let key = format!("Bearer {OTHER_KEY}");
    let theirs = [("authorization", key.as_str()), ("content-type", "application/json")];
    let ask = async |method: &str, path: &str| -> Answer {
        server
            .send(request(
                method,
                &path_of(path),
                &theirs,
                r#"{"profile":1,"with":1,"topic":"t","state":"unsubscribed","identifiers":[{"kind":"user_id","value":"u"}]}"#,
            ))
            .await
    };
    let mut hidden = 0;
    for (method, path) in guarded().into_iter().filter(|(_, path)| path != "/api/stream") {
        // A PUT makes something of their own under the same id.
        if method == "PUT" {
            continue;
        }
        let answer = ask(&method, &path).await;
        // A definition of theirs that does not exist may be named in its own refusal.
        let said = answer.text().replace(&format!("'{CANARY}'"), "");
        assert!(!said.contains(CANARY), "{method} {path} shows: {said}");
        if path.contains('{') || path == "/api/consents" || path == "/api/recommendations" {
            hidden += 1;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.text());
        }
    }
    assert!(hidden > 15, "{hidden}");
    for (method, path) in guarded() {
        let asks = path.contains("{id}") || path.contains("{email}");
        if method == "GET" && asks && !path.ends_with("/raw") {
            let ours = server.call("GET", &path_of(&path), None).await;
            assert_eq!(ours.status, StatusCode::OK, "{path} is gone: {}", ours.text());
        }
    }
    workers.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_does_not_go_are_problems_too() {
    let server = Server::open().await;
    let missing = server.call("GET", "/api/nothing", None).await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (StatusCode::NOT_FOUND, "application/problem+json")
    );
    let method = server.call("PATCH", "/api/segments", None).await;
    assert_eq!(
        (method.status, method.header("content-type")),
        (StatusCode::METHOD_NOT_ALLOWED, "application/problem+json")
    );
    let allowed = method.header("allow");
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    let long = json!({"name": "x".repeat(2 << 20), "where": "a = 1"});
    assert_eq!(server.call("POST", "/api/segments", Some(long)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let key = format!("Bearer {API_KEY}");
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    let broken = server.send(request("POST", "/api/segments", &headers, "{")).await;
    assert_eq!(
        (broken.status, broken.header("content-type")),
        (StatusCode::BAD_REQUEST, "application/problem+json")
    );
    let cursor = server.call("GET", "/api/profiles?limit=many", None).await;
    assert_eq!(cursor.status, StatusCode::BAD_REQUEST);
}
