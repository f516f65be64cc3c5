//! Traffic captured from Segment's published SDKs, replayed byte for byte over HTTP against the real binary: each event
//! counts once, retries included. Skips, and says so, where `../shared` is not there.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use common::{Rapport, Server, free_port};
use serde_json::{Value, json};

/// The write key of the captured requests.
const CAPTURED_KEY: &str = "WK";
/// Its SHA-256: what the store keeps of a key.
const CAPTURED_KEY_HASH: &str = "0ebb250482836d8658321bc696c0b234dfc7b9df85ba6d3c0f6cffcf0b4e9561";

/// Makes the captured key one of the installation's: real ones are too long to be guessed and are made at random.
fn allow_captured_key(rapport: &Rapport, kind: &str) {
    let options = flow::Options {
        data_dir: rapport.dir().join("data"),
        base_url: "http://127.0.0.1".to_owned(),
        ..Default::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let platform = flow::Platform::open(options, model::Clock::system()).await.unwrap();
        let now = platform.clock.now();
        platform
            .store
            .put_key(model::WorkspaceId(1), "Captured", kind, CAPTURED_KEY_HASH, "captured", now)
            .await
            .unwrap();
    });
}

/// The bytes of the body. What was packed on the wire was captured unpacked: it is packed again.
fn body_of(request: &Value) -> Vec<u8> {
    let text = request["b"].as_str().unwrap();
    if request["h"]["content-encoding"] != "gzip" {
        return text.as_bytes().to_vec();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Sends the request as it was captured; the status and the body are returned.
fn replay(port: u16, request: &Value) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut head =
        format!("{} {} HTTP/1.1\r\n", request["m"].as_str().unwrap(), request["u"].as_str().unwrap());
    let sent = body_of(request);
    for (name, value) in request["h"].as_object().unwrap() {
        let length = sent.len().to_string();
        let value = if name == "content-length" { &length } else { value.as_str().unwrap() };
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&sent).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn message_ids(body: &str) -> Vec<String> {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    let one = vec![body.clone()];
    let calls = body["batch"].as_array().unwrap_or(&one);
    calls.iter().filter_map(|call| call["messageId"].as_str()).map(str::to_owned).collect()
}

#[test]
fn captured_traffic_of_the_published_sdks_is_taken_and_each_event_counts_once() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/segment-sdk");
    if !dir.exists() {
        println!("skipped: {} is not there", dir.display());
        return;
    }
    for (file, kind) in [
        ("segment_ajs1.84.3_standard.ndjson", "browser"),
        ("segment_ajs1.84.3_batching.ndjson", "browser"),
        ("segment_node3.1.0_python2.4.0.ndjson", "server"),
        ("segment_node_retry_429.ndjson", "server"),
        ("segment_node_retry_500.ndjson", "server"),
    ] {
        let rapport = Rapport::new();
        allow_captured_key(&rapport, kind);
        let port = free_port();
        let server = Server::start(rapport.command(&["serve", "--data", "data"]), port);
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        let requests: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut sent = BTreeSet::new();
        // Twice over: a client that got no answer sends the same bytes again.
        for request in requests.iter().chain(&requests) {
            let (status, body) = replay(port, request);
            assert_eq!(status, 200, "{file} {}: {body}", request["u"]);
            if request["u"].as_str().unwrap().ends_with("/settings") {
                let settings: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(settings["integrations"]["Segment.io"]["apiKey"], CAPTURED_KEY, "{file}");
            }
            sent.extend(message_ids(request["b"].as_str().unwrap()));
        }
        assert!(sent.len() >= 4, "{file}: {}", sent.len());
        drop(server);
        let answer = rapport.json(&[
            "query",
            "SELECT message_id, count(*) FROM events GROUP BY message_id",
            "--data",
            "data",
        ]);
        let stored: BTreeSet<(String, u64)> = answer["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap()))
            .collect();
        assert_eq!(stored, sent.into_iter().map(|id| (id, 1)).collect(), "{file}");
        let refused = rapport.json(&[
            "query",
            "SELECT count(*) FROM events WHERE profile_id IS NULL",
            "--data",
            "data",
        ]);
        assert_eq!(refused["rows"], json!([[0]]), "{file}");
    }
}
