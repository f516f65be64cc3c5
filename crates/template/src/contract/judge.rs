//! From what was met on the way to findings.

use std::collections::BTreeSet;

use super::walk::{Doubt, Walked};
use super::{Contract, Guard, How, Judged, PathKind, Schema, Use, Waiver};
use crate::finding::{Finding, Severity};

/// What makes a finding of a doubt: code, severity, message, path.
type Verdict = (&'static str, Severity, String, String);

pub(super) fn judge(walked: Vec<Walked>, schema: &Schema, waivers: &[Waiver]) -> Contract {
    let mut out = Contract::default();
    let mut told = BTreeSet::new();
    for part in walked {
        out.uses.extend(part.uses);
        for (spot, doubt) in part.doubts {
            let (code, severity, message, path) = verdict(doubt, schema);
            if !told.insert((code, path.clone(), spot.clone())) {
                continue;
            }
            let waiver = waivers.iter().find(|waiver| waiver.covers(&path));
            let waived = waiver.filter(|_| severity == Severity::Error && code != "too_intricate");
            out.findings.push(Judged {
                finding: Finding {
                    code: code.to_owned(),
                    severity,
                    message,
                    part: spot.part,
                    line: spot.line,
                    column: spot.column,
                    clients: Vec::new(),
                },
                path,
                waived: waived.map(|waiver| waiver.reason.clone()),
            });
        }
    }
    unknown(&mut out, schema);
    out.uses.sort();
    out.uses.dedup();
    let order = |part: &str| {
        ["subject", "preheader", "body", "text"].iter().position(|each| *each == part).unwrap_or(4)
    };
    out.findings.sort_by(|a, b| {
        let (a, b) = (&a.finding, &b.finding);
        (order(&a.part), &a.part, a.line, a.column, b.severity).cmp(&(
            order(&b.part),
            &b.part,
            b.line,
            b.column,
            a.severity,
        ))
    });
    out
}

fn verdict(doubt: Doubt, schema: &Schema) -> Verdict {
    match doubt {
        Doubt::Missing { path, how } => {
            let seen = match schema.paths.get(&path).and_then(|known| known.seen) {
                Some((have, of)) if of > 0 => format!(" ({have} of {of} that were looked at have it)"),
                _ => String::new(),
            };
            if how == How::Printed {
                let name = path.rsplit('.').next().unwrap_or(&path).trim_end_matches("[]");
                let message = format!(
                    "'{path}' may be missing{seen}, and nothing would stand in: write {{{{ {path} | default: \"…\" }}}}, put it \
                     in {{% if {path} %}}, or end with {{% abort \"no {name}\" %}} where it is missing."
                );
                return ("missing_fallback", Severity::Error, message, path);
            }
            let message = format!(
                "'{path}' may be missing{seen} and is given to a filter or a partial: give it a default first."
            );
            ("missing_argument", Severity::Warning, message, path)
        }
        Doubt::Greeting { path, before, after } => {
            let when =
                if path.is_empty() { "it prints nothing".to_owned() } else { format!("'{path}' is missing") };
            let message = format!(
                "Where {when}, it reads \"{before} {after}\": put the space and the name into one condition, or give a default \
                 that reads well."
            );
            ("greeting", Severity::Error, message, path)
        }
        Doubt::Type { path, kind, declared, message } => {
            let severity = if declared { Severity::Error } else { Severity::Warning };
            let is = if declared { "is declared as" } else { "mostly is" };
            ("type_misuse", severity, format!("'{path}' {is} {kind}: {message}"), path)
        }
        Doubt::Filter(name) => {
            let message = format!("There is no filter '{name}': what it is put on is printed unchanged.");
            ("unknown_filter", Severity::Warning, message, name)
        }
        Doubt::Unread(name) => {
            let message = format!("The variable '{name}' is assigned and never read.");
            ("unused_variable", Severity::Note, message, name)
        }
        Doubt::Intricate => {
            let message =
                "The template is too intricate to be proved: take some of its loops and partials apart."
                    .to_owned();
            ("too_intricate", Severity::Error, message, String::new())
        }
    }
}

/// Names that lead to nothing that is known, at each place of theirs.
fn unknown(out: &mut Contract, schema: &Schema) {
    if schema.paths.is_empty() {
        return;
    }
    let mut told = BTreeSet::new();
    let uses: Vec<Use> = out.uses.clone();
    for each in &uses {
        if schema.paths.contains_key(&each.path) || schema.has_parts(&each.path) || schema.is_open(&each.path)
        {
            continue;
        }
        if !told.insert((each.path.clone(), each.spot.clone())) {
            continue;
        }
        let near = nearest(&each.path, schema.paths.keys().map(String::as_str));
        let near = near.map(|near| format!(": did you mean '{near}'?")).unwrap_or_else(|| ".".to_owned());
        out.findings.push(Judged {
            finding: Finding {
                code: "unknown_name".to_owned(),
                severity: Severity::Warning,
                message: format!("'{}' is nothing that anybody has or that was declared{near}", each.path),
                part: each.spot.part.clone(),
                line: each.spot.line,
                column: each.spot.column,
                clients: Vec::new(),
            },
            path: each.path.clone(),
            waived: None,
        });
    }
}

impl Schema {
    /// Something known is part of it.
    pub(super) fn has_parts(&self, path: &str) -> bool {
        ['.', '['].iter().any(|sign| {
            let start = format!("{path}{sign}");
            self.paths.range(start.clone()..).next().is_some_and(|(next, _)| next.starts_with(&start))
        })
    }

    /// It is part of something whose parts nobody knows.
    fn is_open(&self, path: &str) -> bool {
        let mut whole = path;
        while let Some(at) = whole.rfind(['.', '[']) {
            whole = &whole[..at];
            if let Some(known) = self.paths.get(whole) {
                return known.value_type.is_none_or(|kind| kind == "list") && !self.has_parts(whole);
            }
        }
        false
    }
}

/// The known name that is nearest to what was written; none when none is near.
pub fn nearest<'n>(written: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let far = written.chars().count() / 4 + 1;
    let near = |name: &'n str| {
        let distance = distance(written, name, far)?;
        Some((distance, name))
    };
    known.filter(|name| *name != written).filter_map(near).min().map(|(_, name)| name)
}

/// The number of letters to change, when it is at most `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most || a.len() > 200 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().filter(|distance| *distance <= most)
}

impl Guard {
    /// The word in JSON and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Guard::None => "none",
            Guard::Default => "default",
            Guard::If => "if",
            Guard::Always => "always",
        }
    }
}

impl PathKind {
    /// The word in JSON and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            PathKind::Attribute => "attribute",
            PathKind::Trait => "trait",
            PathKind::Event => "event",
            PathKind::Catalog => "catalog",
            PathKind::Feed => "feed",
            PathKind::Setting => "setting",
            PathKind::Link => "link",
            PathKind::Unknown => "unknown",
        }
    }
}
