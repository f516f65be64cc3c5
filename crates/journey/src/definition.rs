//! What a journey is: a trigger, nodes, exits; read from JSON, checked, compiled.

use std::collections::{BTreeMap, BTreeSet};

use model::Timestamp;
use serde::{Deserialize, Serialize};

/// Nodes of one journey.
const NODES_MAX: usize = 200;
/// Exits of one journey.
const EXITS_MAX: usize = 50;
/// The longest wait. Units: seconds.
const WAIT_SECONDS_MAX: u64 = 5 * 366 * 86_400;

/// A journey as people write it. Shape: JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What makes a profile enter.
    pub trigger: Trigger,
    /// The first node.
    pub start: String,
    /// The nodes by id.
    pub nodes: BTreeMap<String, Node>,
    /// Events that end an entry at once.
    #[serde(default)]
    pub exits: Vec<Exit>,
    /// Whether a profile that entered before may enter again.
    #[serde(default, skip_serializing_if = "Reentry::is_always")]
    pub reentry: Reentry,
    /// Where the canvas draws the nodes.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub layout: serde_json::Value,
}

impl Definition {
    /// Whether those inside go the same way, whatever the canvas, the description or the entrance say.
    pub fn same_course(&self, other: &Definition) -> bool {
        self.nodes == other.nodes && self.exits == other.exits
    }
}

/// When a profile may enter again, whatever the entry's key. Shape: `"always"`, `"once"`, `{"after_seconds": 86400}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reentry {
    /// As soon as no open entry has the key.
    #[default]
    Always,
    /// Never.
    Once,
    /// So long after the last entry began.
    AfterSeconds(u64),
}

impl Reentry {
    fn is_always(&self) -> bool {
        *self == Reentry::Always
    }

    /// Whether somebody who entered at `last` may enter at `at`.
    pub fn allows(self, last: Option<Timestamp>, at: Timestamp) -> bool {
        match (self, last) {
            (Reentry::Always, _) | (_, None) => true,
            (Reentry::Once, Some(_)) => false,
            (Reentry::AfterSeconds(seconds), Some(last)) => {
                at >= last + (seconds as i64).saturating_mul(model::time::SECOND)
            }
        }
    }
}

/// The event that makes a profile enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Its name.
    pub event: String,
    /// A filter on its properties, in the condition language.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The property whose value keeps entries apart; one entry per profile when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// An event that ends an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// Its name.
    pub event: String,
    /// A filter on its properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The property that must equal the entry's key; every open entry ends when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the end is called.
    #[serde(default)]
    pub reason: String,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Node {
    /// Waits, then goes on.
    Wait {
        /// How long.
        seconds: u64,
        /// Then.
        next: String,
    },
    /// Goes one of two ways.
    Branch {
        /// In the condition language.
        condition: String,
        /// When it holds.
        yes: String,
        /// When it does not.
        no: String,
    },
    /// Plans a message, then goes on.
    Send {
        /// The template's id.
        template: String,
        /// The topic the recipient may have left.
        #[serde(default = "marketing")]
        topic: String,
        /// `marketing` or `transactional`.
        #[serde(default = "marketing")]
        kind: String,
        /// Prefix of a discount code to make for the recipient.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coupon: Option<String>,
        /// Then.
        next: String,
    },
    /// Ends the entry.
    Exit {},
}

fn marketing() -> String {
    "marketing".to_owned()
}

/// One fault of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the document.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why a definition is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join(" "))]
pub struct Error {
    /// Each fault.
    pub problems: Vec<Problem>,
}

impl Error {
    /// What it asks of the caller.
    pub fn kind(&self) -> model::Kind {
        model::Kind::Invalid
    }
}

/// A journey ready to step.
#[derive(Debug)]
pub struct Compiled {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: i64,
    /// As written.
    pub definition: Definition,
    pub(crate) trigger: Option<expr::Filter>,
    pub(crate) exits: Vec<Option<expr::Filter>>,
}

impl Compiled {
    /// Checks a definition and parses its filters.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn new(id: &str, version: i64, definition: Definition) -> Result<Compiled, Error> {
        let mut problems = Vec::new();
        let trigger = filter(definition.trigger.filter.as_deref(), "/trigger/where", &mut problems);
        let exits = definition
            .exits
            .iter()
            .enumerate()
            .map(|(n, exit)| filter(exit.filter.as_deref(), &format!("/exits/{n}/where"), &mut problems))
            .collect();
        check_nodes(&definition, &mut problems);
        if problems.is_empty() {
            Ok(Compiled { id: id.to_owned(), version, definition, trigger, exits })
        } else {
            Err(Error { problems })
        }
    }

    /// The templates of sends: (node, template).
    pub fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.definition.nodes.iter().filter_map(|(id, node)| match node {
            Node::Send { template, .. } => Some((id.as_str(), template.as_str())),
            _ => None,
        })
    }

    /// The conditions of branches: (node, text).
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.definition.nodes.iter().filter_map(|(id, node)| match node {
            Node::Branch { condition, .. } => Some((id.as_str(), condition.as_str())),
            _ => None,
        })
    }
}

fn problem(path: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { path: path.into(), message: message.into() }
}

fn filter(text: Option<&str>, path: &str, problems: &mut Vec<Problem>) -> Option<expr::Filter> {
    match expr::parse_filter(text?) {
        Ok(filter) => Some(filter),
        Err(error) => {
            problems.push(problem(path, error.to_string()));
            None
        }
    }
}

fn check_nodes(definition: &Definition, problems: &mut Vec<Problem>) {
    if definition.trigger.event.trim().is_empty() {
        problems.push(problem("/trigger/event", "The trigger names no event: give the name of one."));
    }
    for (n, exit) in definition.exits.iter().enumerate() {
        if exit.event.trim().is_empty() {
            problems
                .push(problem(format!("/exits/{n}/event"), "The exit names no event: give the name of one."));
        }
        if exit.key.is_some() && definition.trigger.key.is_none() {
            let message = "The exit compares a key, but the trigger keeps none: give the trigger a key, too.";
            problems.push(problem(format!("/exits/{n}/key"), message));
        }
    }
    if let Reentry::AfterSeconds(seconds) = definition.reentry
        && (seconds == 0 || seconds > WAIT_SECONDS_MAX)
    {
        let message = "Re-entry is allowed after one second to five years: or say 'always' or 'once'.";
        problems.push(problem("/reentry/after_seconds", message));
    }
    if definition.exits.len() > EXITS_MAX {
        problems.push(problem("/exits", format!("A journey has at most {EXITS_MAX} exits.")));
    }
    if definition.nodes.len() > NODES_MAX {
        problems.push(problem("/nodes", format!("A journey has at most {NODES_MAX} nodes.")));
        return;
    }
    let mut require = |path: String, id: &str| {
        if !definition.nodes.contains_key(id) {
            let near = expr::nearest(id, definition.nodes.keys().map(String::as_str));
            let hint = near.map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default();
            problems.push(problem(path, format!("There is no node '{id}'.{hint}")));
        }
    };
    require("/start".to_owned(), &definition.start);
    for (id, node) in &definition.nodes {
        for (name, next) in nexts(node) {
            require(format!("/nodes/{id}/{name}"), next);
        }
    }
    for (id, node) in &definition.nodes {
        match node {
            Node::Wait { seconds, .. } if *seconds == 0 || *seconds > WAIT_SECONDS_MAX => {
                problems.push(problem(
                    format!("/nodes/{id}/seconds"),
                    "A wait lasts from one second to five years.",
                ));
            }
            Node::Branch { condition, .. } => {
                if let Err(error) = expr::parse(condition) {
                    problems.push(problem(format!("/nodes/{id}/condition"), error.to_string()));
                }
            }
            Node::Send { kind, .. } if kind != "marketing" && kind != "transactional" => {
                problems.push(problem(
                    format!("/nodes/{id}/kind"),
                    "The kind is 'marketing' or 'transactional'.",
                ));
            }
            _ => {}
        }
    }
    if problems.is_empty() {
        unreachable_nodes(definition, problems);
        endless(definition, problems);
    }
}

/// Where a node leads: (field, node).
fn nexts(node: &Node) -> Vec<(&'static str, &str)> {
    match node {
        Node::Wait { next, .. } | Node::Send { next, .. } => vec![("next", next)],
        Node::Branch { yes, no, .. } => vec![("yes", yes), ("no", no)],
        Node::Exit {} => Vec::new(),
    }
}

fn unreachable_nodes(definition: &Definition, problems: &mut Vec<Problem>) {
    let mut reached = BTreeSet::new();
    let mut open = vec![definition.start.as_str()];
    while let Some(id) = open.pop() {
        if reached.insert(id)
            && let Some(node) = definition.nodes.get(id)
        {
            open.extend(nexts(node).into_iter().map(|(_, next)| next));
        }
    }
    for id in definition.nodes.keys().filter(|id| !reached.contains(id.as_str())) {
        problems.push(problem(format!("/nodes/{id}"), format!("Nothing leads to the node '{id}'.")));
    }
}

/// A circle without a wait would never end.
fn endless(definition: &Definition, problems: &mut Vec<Problem>) {
    for start in definition.nodes.keys() {
        let mut seen = BTreeSet::new();
        let mut open = vec![start.as_str()];
        while let Some(id) = open.pop() {
            let Some(node) = definition.nodes.get(id) else { continue };
            if matches!(node, Node::Wait { .. }) {
                continue;
            }
            for (_, next) in nexts(node) {
                if next == start {
                    let message = format!("The node '{start}' leads back to itself without a wait.");
                    problems.push(problem(format!("/nodes/{start}"), message));
                    return;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
    }
}
