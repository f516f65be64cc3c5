//! Files as they come: hostile, broken, huge or interrupted. What cannot be used is listed, the rest is stored once.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use common::Rapport;
use serde_json::{Value, json};

const MAPPING: &str = r#"
[[event]]
name = "Order Completed"
message_id = "o-{id}"
user_id = "customer"
timestamp = "at"
[event.properties]
revenue = "revenue"
"#;

fn report(rapport: &Rapport, file: &str) -> Value {
    rapport.json(&["import", "events", file, "--map", "map.toml", "--backfill"])
}

fn count(rapport: &Rapport, sql: &str) -> Value {
    rapport.json(&["query", sql])["rows"][0][0].clone()
}

#[test]
fn every_bad_row_is_listed_with_its_line_and_reason_and_every_good_one_is_stored() {
    let rapport = Rapport::new();
    rapport.file("map.toml", MAPPING);
    let mut content = b"\xef\xbb\xbfid,customer,at,revenue\r\n".to_vec();
    content.extend_from_slice(
        b"1,c1,2026-01-01 10:00,5.5\n2,c2,2026-01-02,7\r\n3,c3,never,1\n4,,2026-01-01,1\n5,c5\n",
    );
    content.extend_from_slice(
        b"6,\"c6,2026-01-01,1\n7,Caf\xe9,2026-01-01,1\n8,c\x008,2026-01-01T00:00:00Z,1\n9,",
    );
    content.resize(content.len() + (1 << 20), b'x');
    content.extend_from_slice(b",2026-01-01,1\n10,c10,2026-01-01,1\n");
    rapport.file("orders.csv", content);
    let report = report(&rapport, "orders.csv");
    assert_eq!((&report["accepted"], &report["rejected"]), (&json!(5), &json!(5)), "{report}");
    let rejected = std::fs::read_to_string(rapport.dir().join("orders.csv.rejected.ndjson")).unwrap();
    let rejected: Vec<Value> = rejected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<(u64, &str)> =
        rejected.iter().map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap())).collect();
    for ((line, reason), (wanted, part)) in reasons.iter().zip([
        (4, "'never' is not a time"),
        (5, "the column 'customer' is empty"),
        (6, "the row has 2 cells, the header has 4"),
        (7, "a quote opens and does not close"),
        (10, "longer than"),
    ]) {
        assert!(*line == wanted && reason.contains(part), "{line}: {reason}; expected {wanted}: {part}");
    }
    let people = rapport.json(&["query", "SELECT user_id FROM events ORDER BY user_id"]);
    assert_eq!(people["rows"], json!([["Café"], ["c1"], ["c10"], ["c2"], ["c8"]]));
}

#[test]
fn a_file_that_cannot_be_what_the_mapping_says_stores_nothing_and_says_why() {
    let rapport = Rapport::new();
    rapport.file("map.toml", MAPPING);
    rapport.file("semicolons.csv", "id;customer;at;revenue\n1;c;2026-01-01;1\n");
    rapport.file("lacking.csv", "id,at,revenue\n1,2026-01-01,1\n");
    rapport.file("empty.csv", "");
    rapport.file("wide.csv", b"\xff\xfei\0d\0");
    rapport.file("fake.parquet", "PAR1 not really");
    rapport.file("what.xlsx", "x");
    rapport.file("bad.toml", "[[event]]\nmessage_id = \"{id}\"\nwhen = \"id isnt 3\"\n");
    for (file, map, parts) in [
        ("semicolons.csv", "map.toml", ["no column 'customer'", "delimiter = ';'"].as_slice()),
        ("lacking.csv", "map.toml", &["no column 'customer'; it has 'id', 'at', 'revenue'"]),
        ("empty.csv", "map.toml", &["the file is empty"]),
        ("wide.csv", "map.toml", &["UTF-16"]),
        ("fake.parquet", "map.toml", &["fake.parquet"]),
        ("what.xlsx", "map.toml", &["--format"]),
        ("lacking.csv", "bad.toml", &["bad.toml", "number 1", "'when'"]),
        ("lacking.csv", "nowhere.toml", &["nowhere.toml"]),
    ] {
        let ran = rapport.run(&["import", "events", file, "--map", map]);
        assert_eq!(ran.code, 2, "{file}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{file} does not say {part:?}: {}", ran.stderr);
        }
    }
    rapport.file("header.csv", "id,customer,at,revenue\n");
    assert_eq!(report(&rapport, "header.csv")["rows"], 0);
    assert_eq!(count(&rapport, "SELECT count(*) FROM events"), 0);
}

fn calls(many: usize) -> String {
    (0..many)
        .map(|n| {
            let call = json!({
                "type": "track", "event": "Seen", "userId": format!("u{}", n % 97), "timestamp": "2026-01-01T00:00:00Z",
                "properties": {"n": n},
            });
            format!("{call}\n")
        })
        .collect()
}

#[test]
fn packed_calls_that_end_early_are_stored_up_to_there_and_the_whole_file_adds_the_rest_once() {
    let rapport = Rapport::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(calls(6_000).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    rapport.file("calls.ndjson.gz", &packed[..packed.len() / 2]);
    let ran = rapport.run(&["import", "events", "calls.ndjson.gz", "--backfill"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing can be read from line"), "{}", ran.stderr);
    let before = count(&rapport, "SELECT count(*) FROM events").as_u64().unwrap();
    assert!(before > 500 && before < 6_000, "{before}");
    rapport.file("calls.ndjson.gz", &packed);
    let report = rapport.json(&["import", "events", "calls.ndjson.gz", "--backfill"]);
    assert_eq!(report["duplicates"], before);
    assert_eq!(count(&rapport, "SELECT count(DISTINCT message_id) FROM events"), 6_000);
    assert_eq!(count(&rapport, "SELECT count(*) FROM events"), 6_000);
}

#[test]
fn an_import_that_was_killed_ends_in_the_state_of_one_that_was_not() {
    let state = "SELECT event, count(*), count(DISTINCT message_id), count(DISTINCT profile_id) FROM events GROUP BY event";
    let content = calls(20_000);
    let whole = Rapport::new();
    whole.file("calls.ndjson", &content);
    whole.json(&["import", "events", "calls.ndjson"]);
    let expected = whole.json(&["query", state])["rows"].clone();

    let killed = Rapport::new();
    killed.file("calls.ndjson", &content);
    let log = killed.dir().join("rapport-data/log.db-wal");
    let mut at_work = 0;
    for size in [200_000, 1_500_000] {
        let mut child = killed
            .command(&["import", "events", "calls.ndjson"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The log's growth is the signal that rows are being stored.
        while child.try_wait().unwrap().is_none() && std::fs::metadata(&log).map_or(0, |m| m.len()) < size {
            std::thread::yield_now();
        }
        at_work += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(at_work > 0, "the import was never interrupted");
    killed.json(&["import", "events", "calls.ndjson"]);
    assert_eq!(killed.json(&["query", state])["rows"], expected);
    let active = "count \"Seen\" >= 206";
    let segment = |rapport: &Rapport| rapport.json(&["segment", "count", active])["count"].clone();
    assert_eq!(segment(&killed), segment(&whole));
}

/// The most memory a process ever held. Units: KiB.
fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn huge(path: &Path, bytes: u64) -> u64 {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "id,customer,at,revenue,note").unwrap();
    let note = "n".repeat(1_900);
    let (mut written, mut rows) = (0, 0);
    while written < bytes {
        let row = format!("{rows},c{},2026-01-01,1,{note}\n", rows % 500);
        file.write_all(row.as_bytes()).unwrap();
        written += row.len() as u64;
        rows += 1;
    }
    file.flush().unwrap();
    rows
}

#[test]
#[ignore = "imports 300 MB; .ci/run runs it"]
fn memory_stays_bounded_while_a_file_of_300_megabytes_is_imported() {
    const PEAK_KIB_MAX: u64 = 400 << 10;
    let rapport = Rapport::new();
    rapport.file("map.toml", MAPPING);
    let rows = huge(&rapport.dir().join("huge.csv"), 300 << 20);
    let mut child = rapport
        .command(&["import", "events", "huge.csv", "--map", "map.toml", "--backfill", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_kib(child.id()).unwrap_or(0));
        std::thread::yield_now();
    }
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"], rows);
    println!("{rows} rows of 300 MB, at most {} MiB held", peak >> 10);
    assert!(peak > 0 && peak < PEAK_KIB_MAX, "{peak} KiB were held");
}
