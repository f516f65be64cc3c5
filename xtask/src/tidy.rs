//! The rules of the house that a machine can check; `cargo test` runs them.
//!
//! Each rule is a function from the tree to a list of findings, so that one run names everything at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Which of our crates each crate may import. ARCHITECTURE.md explains the reasons.
const ALLOWED_IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("expr", &["model"]),
    ("profile", &["model", "expr"]),
    ("segment", &["model", "expr"]),
    ("journey", &["model", "expr"]),
    ("policy", &["model", "expr"]),
    ("recommend", &["model"]),
    ("predict", &["model"]),
    ("template", &["model", "expr"]),
    ("store", &["model"]),
    ("lake", &["model", "expr"]),
    ("mail", &["model"]),
    (
        "flow",
        &[
            "model",
            "expr",
            "profile",
            "segment",
            "journey",
            "policy",
            "recommend",
            "predict",
            "template",
            "store",
            "lake",
            "mail",
        ],
    ),
    ("console", &[]),
    (
        "api",
        &[
            "model", "flow", "console", "expr", "profile", "segment", "journey", "store", "lake", "mail",
            "template",
        ],
    ),
    (
        "app",
        &[
            "model",
            "expr",
            "profile",
            "segment",
            "journey",
            "recommend",
            "template",
            "store",
            "lake",
            "mail",
            "flow",
            "api",
        ],
    ),
    ("testkit", &["model"]),
    ("xtask", &["model", "profile", "template", "mail", "lake"]),
];

/// Heavy dependencies and the one crate that may use each.
const OWNERS: &[(&str, &str)] = &[
    ("sqlx", "store"),
    ("datafusion", "lake"),
    ("object_store", "lake"),
    ("parquet", "lake"),
    ("mail-auth", "mail"),
    ("mail-builder", "mail"),
    ("mrml", "template"),
    ("css-inline", "template"),
    ("axum", "api"),
    ("utoipa", "api"),
    ("clap", "app"),
];

/// Words with a better one in GLOSSARY.md; looked for in public names of types and functions.
const BANNED_NAMES: &[(&str, &str)] = &[
    ("Cohort", "Segment"),
    ("Subscriber", "Profile"),
    ("Contact", "Profile"),
    ("Workflow", "Journey"),
    ("Broadcast", "Campaign"),
    ("Audience", "Segment"),
];

/// Longer files that have a reason.
const LONG_FILES: &[(&str, usize)] = &[
    // The contract of the store's port: one promise after another, each read by its name.
    ("crates/store/tests/conformance.rs", 900),
];

const LINES_MAX: usize = 600;

/// Runs every rule and lists all findings.
pub fn run() -> Result<()> {
    let root = root();
    let findings = findings(&root)?;
    if findings.is_empty() {
        println!("tidy: nothing found");
        return Ok(());
    }
    bail!("tidy found {}:\n{}", findings.len(), findings.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn findings(root: &Path) -> Result<Vec<String>> {
    let mut out = imports(root)?;
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files)?;
    sources(&root.join("xtask"), &mut files)?;
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        out.extend(file_rules(&name, &text));
    }
    Ok(out)
}

fn imports(root: &Path) -> Result<Vec<String>> {
    let metadata =
        cargo_metadata::MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
    let allowed: BTreeMap<_, _> = ALLOWED_IMPORTS.iter().copied().collect();
    let mut out = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            out.push(format!("{name}: a new crate needs a row in xtask/src/tidy.rs and in ARCHITECTURE.md"));
            continue;
        };
        for dependency in &package.dependencies {
            if dependency.kind != cargo_metadata::DependencyKind::Normal {
                continue;
            }
            let other = dependency.name.as_str();
            if dependency.path.is_some() && !allowed.contains(&other) {
                out.push(format!("{name} may not import {other}"));
            }
            for (heavy, owner) in OWNERS {
                // The peers that `xtask bench` measures against are servers of their own; nothing of it is shipped.
                if other == *heavy && name != *owner && name != "xtask" {
                    out.push(format!("{name} uses {heavy}, which belongs to {owner}"));
                }
            }
        }
    }
    Ok(out)
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                sources(&path, out)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    Ok(())
}

fn file_rules(name: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if !text.starts_with("//!") {
        out.push(format!("{name}:1: begin with `//!`: what the file is for and where it stands"));
    }
    let lines = text.lines().count();
    let limit = LONG_FILES.iter().find(|(long, _)| *long == name).map_or(LINES_MAX, |(_, limit)| *limit);
    if lines > limit {
        out.push(format!("{name}: {lines} lines; split it (limit {limit})"));
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let declares = ["pub fn ", "pub struct ", "pub enum ", "pub trait ", "pub async fn ", "pub type "]
            .iter()
            .find_map(|start| code.strip_prefix(start));
        let Some(rest) = declares else { continue };
        let declared: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        for (banned, instead) in BANNED_NAMES {
            if declared.contains(banned) || declared.contains(&banned.to_lowercase()) {
                out.push(format!("{name}:{}: '{declared}': say {instead}", number + 1));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_keeps_the_rules_of_the_house() {
        let findings = findings(&root()).unwrap();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }

    #[test]
    fn a_file_without_a_header_or_with_a_banned_name_is_found() {
        assert_eq!(file_rules("x.rs", "fn main() {}").len(), 1);
        assert_eq!(file_rules("x.rs", "//! x\npub struct CohortList;").len(), 1);
        assert_eq!(file_rules("x.rs", &format!("//! x\n{}", "\n".repeat(LINES_MAX))).len(), 1);
        assert!(file_rules("x.rs", "//! x\npub struct SegmentList;").is_empty());
    }
}
