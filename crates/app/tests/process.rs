//! The binary as a process: one per data directory, stopped in order, told what is wrong with its configuration.

mod common;

use std::io::Read;
use std::process::Stdio;

use common::{Rapport, Server, free_port};

const WRITE_KEY: &str = "process-write-key-0123456789abcdef";

#[test]
fn a_second_process_on_a_data_directory_refuses_and_names_the_first() {
    let rapport = Rapport::new();
    let server = Server::start(rapport.command(&["serve", "--data", "data"]), free_port());
    let holder = server.child.id();
    let listen = format!("127.0.0.1:{}", free_port());
    for arguments in [
        ["serve", "--data", "data", "--listen", &listen].as_slice(),
        &["query", "SELECT 1", "--data", "data"],
        &["segment", "count", "email is present", "--data", "data"],
    ] {
        let ran = rapport.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("held by process {holder}")), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("stop that one first"), "{}", ran.stderr);
    }
}

#[test]
fn a_server_that_is_told_to_stop_finishes_its_work_and_exits_with_0() {
    let rapport = Rapport::new();
    let command = || {
        let mut command = rapport.command(&["serve", "--data", "data"]);
        command.env("RAPPORT_BOOTSTRAP_WRITE_KEY", WRITE_KEY).stderr(Stdio::piped());
        command
    };
    let mut server = Server::start(command(), free_port());
    let calls: Vec<_> = (0..500)
        .map(|n| serde_json::json!({"type": "track", "event": "E", "userId": format!("u{n}"), "messageId": format!("m{n}")}))
        .collect();
    let answer = ureq::post(&format!("{}/v1/batch", server.url))
        .send_json(serde_json::json!({"writeKey": WRITE_KEY, "batch": calls}))
        .unwrap();
    assert_eq!(answer.status(), 200);
    server.terminate();
    let status = server.child.wait().unwrap();
    let mut said = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("stopping: finishing what has begun"), "{said}");
    // What lay in memory was written: no file of the lake is missing, and the directory is free.
    let answer =
        rapport.json(&["query", "SELECT count(*), count(DISTINCT profile_id) FROM events", "--data", "data"]);
    assert_eq!(answer["rows"][0], serde_json::json!([500, 500]));
}

#[test]
fn a_bad_configuration_exits_with_2_and_names_the_key_and_the_remedy() {
    for (content, parts) in [
        ("lisen = \"127.0.0.1:1\"", ["lisen", "listen"].as_slice()),
        ("listen = \"everywhere\"", &["listen", "socket address"]),
        ("base_url = \"shop.example\"", &["base_url", "https://mail.shop.example"]),
        ("smtp_url = \"http://relay\"", &["smtp_url", "smtp://user:password@relay.shop.example:587"]),
        ("smtp_url = \"smtp://relay.example?tls=none\"", &["smtp_url", "this machine only"]),
        ("from = \"nobody\"", &["from", "Shop <hello@shop.example>"]),
        ("store = \"mysql://x\"", &["store", "postgres://"]),
        ("bootstrap_api_key = \"short\"", &["bootstrap_api_key", "openssl rand -hex 24"]),
        ("connections_max = 0", &["connections_max", "1 or more"]),
        ("ingest_inflight_bytes_max = 1000", &["ingest_inflight_bytes_max", "1048576"]),
        ("log_format = \"xml\"", &["log_format", "text or json"]),
        ("log = \"a=b=c\"", &["log", "flow=debug"]),
        ("data = 3", &["data", "string"]),
        ("data = ", &["rapport.toml", "line 1"]),
    ] {
        let rapport = Rapport::new();
        rapport.file("rapport.toml", content);
        let ran = rapport.run(&["serve"]);
        assert_eq!(ran.code, 2, "{content}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{content} does not say {part:?}: {}", ran.stderr);
        }
        assert!(!rapport.dir().join("rapport-data").exists(), "{content}: something was opened");
    }
    let rapport = Rapport::new();
    let ran = rapport.run(&["serve", "--config", "nowhere.toml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("nowhere.toml"), "{}", ran.stderr);
    let ran = rapport.command(&["serve"]).env("RAPPORT_LISTEN", "everywhere").output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let rapport = Rapport::new();
    rapport.file("rapport.toml", "data = \"of-file\"\nfrom = \"Shop <hello@shop.example>\"\n");
    let query = ["query", "SELECT 1"];
    let made = |name: &str| rapport.dir().join(name).join("lock").exists();

    assert_eq!(rapport.run(&query).code, 0);
    assert!(made("of-file"));
    let ran = rapport.command(&query).env("RAPPORT_DATA", "of-environment").output().unwrap();
    assert!(ran.status.success());
    assert!(made("of-environment"));
    let mut command = rapport.command(&query);
    command.args(["--data", "of-line"]).env("RAPPORT_DATA", "of-nobody");
    assert!(command.output().unwrap().status.success());
    assert!(made("of-line") && !made("of-nobody"));

    rapport.file("other.toml", "data = \"of-other-file\"");
    let ran = rapport.command(&query).env("RAPPORT_CONFIG", "other.toml").output().unwrap();
    assert!(ran.status.success());
    assert!(made("of-other-file"));
}

#[test]
fn an_address_that_is_taken_is_named_with_the_option_that_chooses_another() {
    let rapport = Rapport::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = rapport.run(&["serve", "--listen", &address]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(&address) && ran.stderr.contains("--listen"), "{}", ran.stderr);
}

#[test]
fn a_demo_refuses_a_directory_that_holds_other_data() {
    let rapport = Rapport::new();
    rapport.file("people.csv", "user_id,email\n1,a@post.example\n");
    assert_eq!(rapport.run(&["import", "profiles", "people.csv", "--data", "data"]).code, 0);
    let listen = format!("127.0.0.1:{}", free_port());
    let ran = rapport.run(&["demo", "--data", "data", "--listen", &listen, "--profiles", "1"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("a directory of its own"), "{}", ran.stderr);
}
