//! The description and what is served are the same thing, and the committed snapshot is the description.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::path::Path;

use axum::http::StatusCode;
use common::{Server, operations, request};
use serde_json::Value;

/// With `RAPPORT_WRITE_SNAPSHOTS=1` the snapshot is written instead.
#[test]
fn the_committed_document_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = api::openapi::text();
    if std::env::var_os("RAPPORT_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let command = "RAPPORT_WRITE_SNAPSHOTS=1 cargo test -p api --test openapi && (cd web && npm run types)";
    assert!(committed == now, "docs/openapi.json is not that of the code; write it anew: {command}");
}

#[tokio::test]
async fn every_described_operation_is_served() {
    let server = Server::open().await;
    for (method, path) in operations() {
        let path = path.replace("{call}", "track").replace(['{', '}'], "");
        let answer = server.send(request(&method, &path, &[], "")).await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(!answer.text().contains("There is no such address"), "{method} {path}");
    }
}

/// Routes are added by `routes!` alone, which describes them; axum's own `route` would serve without a description.
#[test]
fn no_route_is_added_without_a_description() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in std::fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(".route("), "{} adds a route that is not described", path.display());
    }
}

#[test]
fn every_operation_says_what_it_answers_and_problems_are_described_once() {
    let document: Value = serde_json::from_str(&api::openapi::text()).unwrap();
    for (method, path) in operations() {
        let operation = &document["paths"][&path][method.to_lowercase()];
        let responses = operation["responses"].as_object().unwrap();
        assert!(!responses.is_empty(), "{method} {path} answers nothing");
        assert!(operation["summary"].is_string(), "{method} {path} is not said in a sentence");
        if path.starts_with("/api/") {
            assert_eq!(responses["default"]["$ref"], "#/components/responses/Problem", "{method} {path}");
        }
    }
    let mut ids: Vec<_> = operations()
        .iter()
        .map(|(method, path)| document["paths"][path][method.to_lowercase()]["operationId"].clone())
        .collect();
    ids.sort_by_key(Value::to_string);
    let many = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), many, "two operations have one name");
    let problem = &document["components"]["responses"]["Problem"]["content"]["application/problem+json"];
    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
    let fields = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
    for field in ["type", "title", "status", "code", "detail", "errors"] {
        assert!(fields.contains_key(field), "{field}");
    }
}

#[tokio::test]
async fn the_document_is_served_and_every_reference_in_it_leads_somewhere() {
    let server = Server::open().await;
    let answer = server.send(request("GET", "/openapi.json", &[], "")).await;
    assert_eq!(answer.text(), api::openapi::text());
    let document = answer.json();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                out.push(reference.clone());
            }
            map.values().for_each(|value| collect(value, out));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, out)),
        _ => {}
    }
}
