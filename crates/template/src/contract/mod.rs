//! What a template needs of its data, proved before anybody gets it: every path it may read, where, for what, and whether
//! something stands in when the value is missing.
//!
//! The proof walks all ways through the compiled template and carries what each has shown: after `{% if x %}` x is there,
//! after `{% unless x %}{% abort %}{% endunless %}` too. It says too much rather than too little; where it does is listed
//! in `docs/templates-contract.md`.

mod facts;
mod judge;
mod walk;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};
use crate::message::Template;

pub use judge::nearest;

/// What a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// An attribute of the person.
    Attribute,
    /// A trait of the person.
    Trait,
    /// The event that began the journey, and what came with it.
    Event,
    /// An item of a catalogue, or a recommendation.
    Catalog,
    /// A feed's answer.
    Feed,
    /// A setting of the workspace, or a fact of the message.
    Setting,
    /// A link that every mail has.
    Link,
    /// Nothing that is known.
    Unknown,
}

/// A path that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it belongs to.
    pub kind: PathKind,
    /// text, number, bool, date or list.
    pub value_type: Option<&'static str>,
    /// The type was declared, not only seen.
    pub declared: bool,
    /// Everybody has it, wherever the whole it is part of is there.
    pub always: bool,
    /// How many of those that were looked at have it: (have it, were looked at).
    pub seen: Option<(usize, usize)>,
}

/// What may be read. Shape of a path: `customer.address.city`, `event.products[].name`.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The paths that are known.
    pub paths: BTreeMap<String, Known>,
}

/// What stands in when a value is missing, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Nothing does.
    None,
    /// A `default`.
    Default,
    /// A condition, a loop or an `abort` keeps the way free.
    If,
    /// It is never missing.
    Always,
}

/// What a value is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is printed.
    Printed,
    /// It is compared or asked for.
    Compared,
    /// It is looped over.
    Looped,
    /// It is given to a filter, a partial or a tag.
    Argument,
}

/// A place in the author's source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Spot {
    /// subject, preheader, body or text; or the name of a partial.
    pub part: String,
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
}

/// One use of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The path.
    pub path: String,
    /// Where.
    pub spot: Spot,
    /// For what.
    pub how: How,
    /// What stands in.
    pub guard: Guard,
}

/// A path with all its places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathUse {
    /// The path.
    pub path: String,
    /// What it belongs to.
    pub kind: PathKind,
    /// text, number, bool, date or list.
    pub value_type: Option<String>,
    /// What stands in where it is least guarded.
    pub guard: Guard,
    /// Where it is used.
    pub places: Vec<Spot>,
}

/// A missing value that somebody has decided to bear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The path; one that ends with `*` covers all that begin so.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Waiver {
    fn covers(&self, path: &str) -> bool {
        let begins = self.path.strip_suffix('*').is_some_and(|start| path.starts_with(start));
        !self.reason.trim().is_empty() && (self.path == path || begins)
    }
}

/// A finding about the contract, and whether it is borne.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// The path it is about.
    pub path: String,
    /// Why it is borne.
    pub waived: Option<String>,
}

impl Judged {
    /// It keeps the template from being published.
    pub fn blocks(&self) -> bool {
        self.finding.severity == Severity::Error && self.waived.is_none()
    }
}

/// What a template needs.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    /// Every use of every path, in the order of places.
    pub uses: Vec<Use>,
    /// What is wrong or doubtful.
    pub findings: Vec<Judged>,
}

impl Contract {
    /// The paths with their places.
    pub fn paths(&self, schema: &Schema) -> Vec<PathUse> {
        let mut all: BTreeMap<&str, PathUse> = BTreeMap::new();
        for each in &self.uses {
            // Asking for a value prints nothing: it is a guard itself.
            let guard = if each.how == How::Compared { each.guard.max(Guard::If) } else { each.guard };
            let known = schema.paths.get(&each.path);
            let entry = all.entry(&each.path).or_insert_with(|| PathUse {
                path: each.path.clone(),
                kind: known.map_or(PathKind::Unknown, |known| known.kind),
                value_type: known.and_then(|known| known.value_type).map(str::to_owned),
                guard,
                places: Vec::new(),
            });
            entry.guard = entry.guard.min(guard);
            if !entry.places.contains(&each.spot) {
                entry.places.push(each.spot.clone());
            }
        }
        all.into_values().collect()
    }

    /// Those of `names` (samples, inputs) that the template never reads, nor anything of them.
    pub fn unused<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
        let reads = |name: &str| {
            self.uses.iter().any(|each| {
                let rest = |of: &str, start: &str| {
                    of.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                };
                rest(&each.path, name) || rest(name, &each.path)
            })
        };
        names.into_iter().filter(|name| !reads(name)).map(str::to_owned).collect()
    }

    /// Nothing keeps it from being published.
    pub fn is_publishable(&self) -> bool {
        !self.findings.iter().any(Judged::blocks)
    }
}

/// Proves what can be proved of a template. Cost: a few walks over its nodes, bounded.
pub fn contract(template: &Template, schema: &Schema, waivers: &[Waiver]) -> Contract {
    let mut walked = Vec::new();
    for (part, program) in template.programs() {
        walked.push(walk::walk(part, program, schema));
    }
    judge::judge(walked, schema, waivers)
}
