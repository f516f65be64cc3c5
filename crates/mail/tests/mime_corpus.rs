//! Mails of the wild, among them broken ones, against their expected parse: structure, headers, bodies.
//!
//! `RAPPORT_MIME` names another folder of the same form: `NAME.eml` beside `NAME.json`, the parse of the mail with LF as
//! line ends, and beside `NAME.crlf.json`, the parse with CRLF.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mail_parser::{Addr, Address, HeaderValue, Message, MessageParser, PartType};
use serde_json::{Value, json};

const KNOWN: &str = include_str!("mime_known_failures.txt");

fn folder() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the harness is pointed at other mails by its environment")]
    let named = std::env::var("RAPPORT_MIME");
    named.map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mime"),
        PathBuf::from,
    )
}

fn mails(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            mails(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            out.push(path);
        }
    }
    out.sort();
}

fn address(address: &Addr<'_>) -> Value {
    json!({"name": address.name, "address": address.address})
}

fn value(value: &HeaderValue<'_>) -> Value {
    match value {
        HeaderValue::Address(Address::List(list)) => {
            json!({"Address": {"List": list.iter().map(address).collect::<Vec<_>>()}})
        }
        HeaderValue::Address(Address::Group(groups)) => {
            let group = |group: &mail_parser::Group<'_>| json!({"name": group.name, "addresses": group.addresses.iter().map(address).collect::<Vec<_>>()});
            json!({"Address": {"Group": groups.iter().map(group).collect::<Vec<_>>()}})
        }
        HeaderValue::Text(text) => json!({"Text": text}),
        HeaderValue::TextList(list) => json!({"TextList": list}),
        HeaderValue::DateTime(at) => json!({"DateTime": {
            "year": at.year, "month": at.month, "day": at.day, "hour": at.hour, "minute": at.minute, "second": at.second,
            "tz_before_gmt": at.tz_before_gmt, "tz_hour": at.tz_hour, "tz_minute": at.tz_minute,
        }}),
        HeaderValue::ContentType(kind) => {
            let attributes = kind.attributes.as_ref().map(|list| {
                list.iter().map(|a| json!({"name": a.name, "value": a.value})).collect::<Vec<_>>()
            });
            json!({"ContentType": {"c_type": kind.c_type, "c_subtype": kind.c_subtype, "attributes": attributes}})
        }
        HeaderValue::Received(_) => json!("Received"),
        HeaderValue::Empty => json!("Empty"),
    }
}

fn body(body: &PartType<'_>) -> Value {
    match body {
        PartType::Text(text) => json!({"Text": text}),
        PartType::Html(text) => json!({"Html": text}),
        PartType::Binary(bytes) => json!({"Binary": bytes}),
        PartType::InlineBinary(bytes) => json!({"InlineBinary": bytes}),
        PartType::Message(message) => json!({"Message": parsed(message)}),
        PartType::Multipart(parts) => json!({"Multipart": parts}),
    }
}

/// What we look at of a parsed mail; places in the bytes are left out.
fn parsed(message: &Message<'_>) -> Value {
    let part = |part: &mail_parser::MessagePart<'_>| {
        let headers: Vec<Value> = part
            .headers
            .iter()
            .map(|header| json!([header.name.as_str().to_lowercase(), value(&header.value)]))
            .collect();
        json!({"headers": headers, "is_encoding_problem": part.is_encoding_problem, "body": body(&part.body)})
    };
    json!({
        "html_body": message.html_body, "text_body": message.text_body, "attachments": message.attachments,
        "parts": message.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

/// The same of an expected parse.
fn expected(message: &Value) -> Value {
    let header = |header: &Value| {
        let name = match &header["name"] {
            Value::String(known) => known.replace('_', "-"),
            other => other["other"].as_str().unwrap_or_default().to_lowercase(),
        };
        let value = if header["value"].get("Received").is_some() {
            json!("Received")
        } else {
            header["value"].clone()
        };
        json!([name, value])
    };
    let part = |part: &Value| {
        let headers: Vec<Value> = part["headers"].as_array().into_iter().flatten().map(header).collect();
        let body = match part["body"].get("Message") {
            Some(inner) => json!({"Message": expected(inner)}),
            None => part["body"].clone(),
        };
        json!({"headers": headers, "is_encoding_problem": part["is_encoding_problem"], "body": body})
    };
    json!({
        "html_body": message["html_body"], "text_body": message["text_body"], "attachments": message["attachments"],
        "parts": message["parts"].as_array().into_iter().flatten().map(part).collect::<Vec<_>>(),
    })
}

/// Where two values differ first.
fn difference(place: &str, found: &Value, wanted: &Value) -> Option<String> {
    let shown = |value: &Value| value.to_string().chars().take(120).collect::<String>();
    match (found, wanted) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| difference(&format!("{place}/{key}"), value, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(n, (a, b))| difference(&format!("{place}/{n}"), a, b))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{place}: {} instead of {}", shown(a), shown(b))),
    }
}

fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 20);
    for byte in raw {
        if *byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

fn without_cr(raw: &[u8]) -> Vec<u8> {
    raw.iter().copied().filter(|byte| *byte != b'\r').collect()
}

#[test]
fn mails_of_the_wild_parse_as_expected() {
    let folder = folder();
    let mut paths = Vec::new();
    mails(&folder, &mut paths);
    if paths.is_empty() {
        println!("skipped: no mails in {}", folder.display());
        return;
    }
    let known: BTreeSet<&str> = KNOWN.lines().filter(|line| !line.is_empty()).collect();
    let mut groups: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let (mut failures, mut fixed) = (Vec::new(), Vec::new());
    for path in paths {
        let group =
            path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let raw = std::fs::read(&path).unwrap();
        let counts = groups.entry(group.clone()).or_default();
        for (extension, raw) in [("json", without_cr(&raw)), ("crlf.json", with_crlf(&raw))] {
            let file = path.with_extension(extension);
            let Ok(text) = std::fs::read_to_string(&file) else {
                counts[2] += 1;
                continue;
            };
            let name = format!("{group}/{}", file.file_name().unwrap_or_default().to_string_lossy());
            let wanted = expected(&serde_json::from_str(&text).unwrap());
            let found = MessageParser::default().parse(&raw).map_or(Value::Null, |message| parsed(&message));
            match difference("", &found, &wanted) {
                None => {
                    counts[0] += 1;
                    if known.contains(name.as_str()) {
                        fixed.push(name);
                    }
                }
                Some(why) => {
                    counts[1] += 1;
                    failures.push((name, why));
                }
            }
        }
    }
    for (group, [passed, failed, skipped]) in &groups {
        println!("{group}: {passed} passed, {failed} failed, {skipped} skipped (no expected parse)");
    }
    for (name, why) in &failures {
        println!("FAILED {name}: {why}");
    }
    let new: Vec<_> =
        failures.iter().map(|(name, _)| name).filter(|name| !known.contains(name.as_str())).collect();
    assert!(new.is_empty(), "{} mails fail that did not: {new:#?}", new.len());
    assert!(fixed.is_empty(), "take these off the list of known failures: {fixed:#?}");
}
