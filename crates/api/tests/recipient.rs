//! What recipients meet, from a delivered mail: one-click opt-out as RFC 8058 has it, tokens that cannot be changed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use axum::http::StatusCode;
use common::{Answer, Server, request, until};
use mail::TokenKind;
use model::WorkspaceId;
use serde_json::{Value, json};

const PERSON: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0");

/// A server that has sent one marketing mail to each of `people`.
async fn sent(people: &[&str]) -> (Server, flow::Workers) {
    let server = Server::open().await;
    let workers = server.platform.start();
    let body = r#"<p><a href="https://shop.example/offer">Offer</a> <a href="{{ links.unsubscribe }}">No more</a></p>"#;
    let template = json!({"id": "offer", "name": "Offer", "subject": "Offer", "body": body});
    assert_eq!(server.call("POST", "/api/templates", Some(template)).await.status, StatusCode::CREATED);
    let journey = json!({"id": "j", "name": "J", "definition": {
        "trigger": {"event": "Signed Up", "key": "n"}, "start": "send",
        "nodes": {"send": {"type": "send", "template": "offer", "next": "end"}, "end": {"type": "exit"}}}});
    assert_eq!(server.call("POST", "/api/journeys", Some(journey)).await.status, StatusCode::CREATED);
    for user in people {
        let traits = json!({"email": format!("{user}@shop.example")});
        server.collect(json!([{"type": "identify", "userId": user, "traits": traits}])).await;
        sign_up(&server, user, 1).await;
    }
    until(async || messages(&server, "accepted").await.len() == people.len()).await;
    (server, workers)
}

async fn sign_up(server: &Server, user: &str, n: i64) {
    let properties = json!({"n": n.to_string()});
    server
        .collect(json!([{"type": "track", "event": "Signed Up", "userId": user, "properties": properties}]))
        .await;
}

async fn messages(server: &Server, state: &str) -> Vec<Value> {
    let answer = server.call("GET", &format!("/api/messages?state={state}"), None).await.json();
    answer["items"].as_array().unwrap().clone()
}

/// A header of a delivered mail, from its bytes.
async fn header(server: &Server, message: &str, name: &str) -> String {
    let raw = server.call("GET", &format!("/api/messages/{message}/raw"), None).await.text();
    let head = raw.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
    let line =
        head.lines().find(|line| line.starts_with(&format!("{name}: "))).unwrap_or_else(|| panic!("{head}"));
    line.split_once(": ").unwrap().1.to_owned()
}

/// The path behind the base address of a link of ours.
fn path(url: &str) -> &str {
    url.strip_prefix("http://shop.example").unwrap_or_else(|| panic!("not ours: {url}"))
}

async fn consents(server: &Server, profile: &Value) -> Vec<Value> {
    let answer = server.call("GET", &format!("/api/consents?profile={profile}"), None).await.json();
    answer["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn one_click_opts_out_as_form_and_as_multipart_and_the_gate_skips_afterwards() {
    let (server, workers) = sent(&["form", "multipart"]).await;
    let multipart =
        "--b1\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b1--\r\n";
    for (user, kind, body) in [
        ("form", "application/x-www-form-urlencoded", None),
        ("multipart", "multipart/form-data; boundary=b1", Some(multipart)),
    ] {
        let all = messages(&server, "accepted").await;
        let message = all.iter().find(|row| row["to"] == format!("{user}@shop.example")).unwrap().clone();
        let id = message["id"].as_str().unwrap();
        let url = header(&server, id, "List-Unsubscribe").await;
        let url = url.trim_start_matches('<').trim_end_matches('>');
        let command = header(&server, id, "List-Unsubscribe-Post").await;
        assert_eq!(command, "List-Unsubscribe=One-Click");
        let signed = header(&server, id, "DKIM-Signature").await.to_lowercase();
        assert!(
            signed.contains("list-unsubscribe:list-unsubscribe-post")
                || signed.contains("list-unsubscribe-post"),
            "{signed}"
        );
        for method in ["GET", "HEAD", "OPTIONS"] {
            server.send(request(method, path(url), &[PERSON], "")).await;
        }
        assert_eq!(
            consents(&server, &message["profile_id"]).await,
            Vec::<Value>::new(),
            "looking has changed something"
        );
        for _ in 0..3 {
            let body = body.map_or_else(|| command.clone(), str::to_owned);
            let answer = server.send(request("POST", path(url), &[("content-type", kind)], body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert!(answer.headers.get("location").is_none() && answer.headers.get("set-cookie").is_none());
        }
        let said = consents(&server, &message["profile_id"]).await;
        let words: Vec<_> = said
            .iter()
            .map(|row| {
                (
                    row["topic"].as_str().unwrap(),
                    row["state"].as_str().unwrap(),
                    row["source"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(words, [("marketing", "unsubscribed", "one_click")]);
        sign_up(&server, user, 2).await;
        until(async || {
            let skipped = messages(&server, "skipped").await;
            skipped
                .iter()
                .any(|row| row["profile_id"] == message["profile_id"] && row["reason"] == "unsubscribed")
        })
        .await;
    }
    assert_eq!(messages(&server, "accepted").await.len(), 2, "a mail went out after the opt-out");
    workers.stop().await;
}

fn flipped(token: &str) -> Vec<String> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let bytes = engine.decode(token).unwrap();
    let each = (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        engine.encode(changed)
    });
    let mut out: Vec<String> = each.collect();
    out.extend([
        format!("{token}A"),
        token[..token.len() - 1].to_owned(),
        String::from("preview"),
        token.to_uppercase(),
    ]);
    out
}

#[tokio::test]
async fn a_token_with_any_bit_flipped_or_of_another_kind_is_nobodys_and_leads_nowhere() {
    let (server, workers) = sent(&["rose"]).await;
    let message = messages(&server, "accepted").await[0].clone();
    let id = message["id"].as_str().unwrap();
    let kinds = [
        (TokenKind::Open, "/t/o"),
        (TokenKind::Click, "/t/c"),
        (TokenKind::Unsubscribe, "/u"),
        (TokenKind::Preferences, "/p"),
        (TokenKind::View, "/v"),
    ];
    let refused = |answer: &Answer, what: &str| {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{what}");
        assert!(answer.headers.get("location").is_none(), "{what}");
    };
    for (kind, place) in kinds {
        let token = server.platform.tokens.seal(kind, WorkspaceId(1), id, 1);
        let methods: &[&str] = if ["/u", "/p"].contains(&place) { &["GET", "POST"] } else { &["GET"] };
        let mut wrong = flipped(&token);
        wrong.extend(
            kinds
                .iter()
                .filter(|(other, _)| *other != kind)
                .map(|(other, _)| server.platform.tokens.seal(*other, WorkspaceId(1), id, 1)),
        );
        wrong.push(server.platform.tokens.seal(kind, WorkspaceId(2), id, 1));
        wrong.push(mail::Tokens::new(b"another secret").seal(kind, WorkspaceId(1), id, 1));
        for token in wrong {
            for method in methods {
                let answer = server.send(request(method, &format!("{place}/{token}"), &[PERSON], "")).await;
                if place == "/t/o" {
                    // A picture is answered whatever the token is; nothing is noted.
                    assert_eq!(answer.status, StatusCode::OK);
                } else {
                    refused(&answer, &format!("{method} {place}/{token}"));
                }
            }
        }
    }
    let message = server.call("GET", &format!("/api/messages/{id}"), None).await.json();
    assert_eq!(message["events"], json!([]), "a wrong token left a trace");
    assert_eq!(consents(&server, &message["profile_id"]).await, Vec::<Value>::new());
    let click = server.platform.tokens.seal(TokenKind::Click, WorkspaceId(1), id, 1);
    let right = server.send(request("GET", &format!("/t/c/{click}"), &[PERSON], "")).await;
    assert_eq!(right.status, StatusCode::FOUND);
    assert!(
        right.header("location").starts_with("https://shop.example/offer"),
        "{}",
        right.header("location")
    );
    let elsewhere = server
        .send(request(
            "GET",
            &format!("/t/c/{click}?url=https://evil.example&u=//evil.example"),
            &[PERSON],
            "",
        ))
        .await;
    assert_eq!(elsewhere.header("location"), right.header("location"), "the address decided the destination");
    workers.stop().await;
}

#[tokio::test]
async fn the_preference_page_saves_topics_and_looking_at_it_does_not() {
    let (server, workers) = sent(&["rose"]).await;
    let message = messages(&server, "accepted").await[0].clone();
    let token = server.platform.tokens.seal(
        TokenKind::Preferences,
        WorkspaceId(1),
        message["id"].as_str().unwrap(),
        0,
    );
    let page = server.send(request("GET", &format!("/p/{token}"), &[PERSON], "")).await;
    assert!(page.text().contains("name=\"topic\""), "{}", page.text());
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(consents(&server, &message["profile_id"]).await, Vec::<Value>::new());
    let saved = server
        .send(request("POST", &format!("/p/{token}"), &[PERSON], "known=marketing&known=news&topic=news"))
        .await;
    assert_eq!(saved.status, StatusCode::OK);
    let said = consents(&server, &message["profile_id"]).await;
    let words: Vec<_> =
        said.iter().map(|row| (row["topic"].as_str().unwrap(), row["state"].as_str().unwrap())).collect();
    assert_eq!(words, [("marketing", "unsubscribed"), ("news", "subscribed")]);
    workers.stop().await;
}
