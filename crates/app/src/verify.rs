//! `rapport test`: templates as files, with the tests that stand beside them. Needs no server and no data directory.

use std::path::{Path, PathBuf};

use anyhow::Result;
use model::{Clock, Value};
use serde::Deserialize;
use serde_json::json;
use template::scenario::{Outcome, Scenario};

use crate::command::{BadInput, Located};

/// Folders in folders that are looked into.
const DEPTH_MAX: usize = 8;
/// What makes a folder a template.
const HEAD: &str = "template.toml";

/// The file `template.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Head {
    id: Option<String>,
    name: String,
    subject: String,
    preheader: String,
    waivers: Vec<template::contract::Waiver>,
    fallback: Option<toml::Value>,
}

/// A template's folder, read.
struct Folder {
    id: String,
    body: PathBuf,
    template: template::Template,
    tests: Vec<Scenario>,
}

fn read(path: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(path).map_err(|error| BadInput(format!("{}: {error}", path.display())))?)
}

fn json_of<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read(path)?;
    Ok(serde_json::from_str(&text).map_err(|error| {
        let message = error.to_string();
        let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
        Located(format!("{}:{}:{}: {reason}", path.display(), error.line(), error.column()))
    })?)
}

/// The folders that hold a template, in the order of their paths.
fn folders(dir: &Path, depth: usize, out: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|error| BadInput(format!("{}: {error}", dir.display())))?;
    let mut inner = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| BadInput(format!("{}: {error}", dir.display())))?.path();
        if path.is_dir() && !path.is_symlink() {
            inner.push(path);
        } else if path.file_name().is_some_and(|name| name == HEAD) {
            out.push(dir.to_owned());
        }
    }
    inner.sort();
    if depth < DEPTH_MAX {
        inner.iter().try_for_each(|path| folders(path, depth + 1, out))?;
    }
    Ok(())
}

fn folder(dir: &Path) -> Result<Folder> {
    let head_path = dir.join(HEAD);
    let text = read(&head_path)?;
    let head: Head = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let place = template::Place::of("", &text, at);
        Located(format!("{}:{place}: {}", head_path.display(), error.message()))
    })?;
    let (mjml, html) = (dir.join("body.mjml"), dir.join("body.html"));
    let (body, layout) = match (mjml.is_file(), html.is_file()) {
        (true, false) => (mjml.clone(), template::Body::Mjml(read(&mjml)?)),
        (false, true) => (html.clone(), template::Body::Html(read(&html)?)),
        _ => {
            return Err(
                BadInput(format!("{}: put one body.mjml or one body.html there", dir.display())).into()
            );
        }
    };
    let words = dir.join("text.txt");
    let source = template::Source {
        subject: head.subject,
        preheader: head.preheader,
        body: layout,
        text: if words.is_file() { Some(read(&words)?) } else { None },
    };
    let template = template::Template::compile(&source).map_err(|error| {
        let place = error.place();
        let file = match place.file.as_str() {
            "body" => body.display().to_string(),
            "text" => words.display().to_string(),
            part => format!("{} ({part})", head_path.display()),
        };
        Located(format!("{file}:{}:{}: {}", place.line, place.column, error.message()))
    })?;
    let usual_id = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Folder { id: head.id.unwrap_or(usual_id), body, template, tests: tests(dir)? })
}

/// `tests.json`, a list, and `tests/*.json`, one or a list each.
fn tests(dir: &Path) -> Result<Vec<Scenario>> {
    let mut files = Vec::new();
    if let Ok(entries) = std::fs::read_dir(dir.join("tests")) {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        files.sort();
    }
    let list = dir.join("tests.json");
    if list.is_file() {
        files.insert(0, list);
    }
    let mut out = Vec::new();
    for file in files {
        let value: Value = json_of(&file)?;
        let many = match value {
            Value::Array(many) => many,
            one => vec![one],
        };
        for one in many {
            let test = serde_json::from_value(one)
                .map_err(|error| BadInput(format!("{}: a test cannot be read: {error}", file.display())))?;
            out.push(test);
        }
    }
    Ok(out)
}

/// What every mail has that a test need not give.
fn usual(dir: &Path) -> Result<Value> {
    let settings = dir.join("workspace.json");
    let workspace: Value =
        if settings.is_file() { json_of(&settings)? } else { json!({"name": "Workspace"}) };
    let link = |path: &str| format!("https://example.com/{path}");
    Ok(json!({
        "workspace": workspace, "customer": {"id": 0}, "site": {"recommendations": {}}, "message": {"id": ""},
        "links": {"unsubscribe": link("u"), "preferences": link("p"), "view_in_browser": link("v")},
    }))
}

/// `rapport test`.
pub fn run(dir: &Path, as_json: bool) -> Result<()> {
    let mut found = Vec::new();
    folders(dir, 0, &mut found)?;
    if found.is_empty() {
        let message = format!("{}: there is no template: a folder with a {HEAD} is one", dir.display());
        return Err(BadInput(message).into());
    }
    let usual = usual(dir)?;
    let options = template::Options { now: Clock::system().now(), ..template::Options::default() };
    let mut all: Vec<(Folder, Vec<Outcome>)> = Vec::new();
    for path in found {
        let folder = folder(&path)?;
        let outcomes = folder.tests.iter().map(|test| test.run(&folder.template, &usual, &options)).collect();
        all.push((folder, outcomes));
    }
    let tests: usize = all.iter().map(|(_, outcomes)| outcomes.len()).sum();
    let failing = |outcomes: &[Outcome]| outcomes.iter().filter(|test| !test.faults.is_empty()).count();
    let failed: usize = all.iter().map(|(_, outcomes)| failing(outcomes)).sum();
    if as_json {
        let one = |(folder, outcomes): &(Folder, Vec<Outcome>)| json!({"id": folder.id, "file": folder.body.display().to_string(), "tests": outcomes});
        let all: Vec<Value> = all.iter().map(one).collect();
        let report = json!({"templates": all, "passed": tests - failed, "failed": failed});
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for (folder, outcomes) in &all {
            match outcomes.len() {
                0 => println!("{}: no tests", folder.id),
                many => println!("{}: {} of {many} pass", folder.id, many - failing(outcomes)),
            }
            for test in outcomes.iter().filter(|test| !test.faults.is_empty()) {
                println!("  '{}' fails: {}", test.name, test.faults.join(" "));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(anyhow::anyhow!("{failed} of {tests} tests fail")),
    }
}
