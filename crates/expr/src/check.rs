//! Checks a condition against what a workspace knows: declared types, seen events, existing segments.

use serde::{Deserialize, Serialize};

use crate::ast::{Condition, Literal, Op, Test};
use crate::{Error, parse};

/// The name of the computed trait that every profile has.
pub(crate) const SCORE: &str = "engagement_score";

/// What a workspace knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Attributes by dotted path, with their declared type: `text`, `number`, `bool`, `date`, `list`, or empty.
    pub attributes: Vec<(String, String)>,
    /// Events by name.
    pub events: Vec<String>,
    /// Segments by name and by id.
    pub segments: Vec<String>,
}

/// Something to correct (an error) or to look at (a warning).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened and what to do.
    pub message: String,
    /// The name it is about.
    pub name: String,
    /// A known name that resembles it.
    pub nearest: Option<String>,
    /// Whether the condition cannot be saved with it.
    pub fatal: bool,
}

/// The outcome of checking a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// The tree, when the text can be read.
    pub condition: Option<Condition>,
    /// What must be corrected.
    pub errors: Vec<Error>,
    /// What deserves a look.
    pub warnings: Vec<Error>,
}

/// Parses and checks a text; every problem carries its place.
pub fn check_text(text: &str, schema: &Schema) -> Checked {
    let condition = match parse(text) {
        Ok(condition) => condition,
        Err(error) => return Checked { errors: vec![error], ..Checked::default() },
    };
    let mut checked = Checked::default();
    for problem in check(&condition, schema) {
        let offset = text.find(problem.name.as_str()).unwrap_or(0);
        let mut error = Error::at(text, offset, problem.message);
        error.nearest = problem.nearest;
        if problem.fatal { checked.errors.push(error) } else { checked.warnings.push(error) }
    }
    checked.condition = Some(condition);
    checked
}

/// Checks a tree. An unknown event or attribute is a warning: it may come; an unknown segment is an error.
pub fn check(condition: &Condition, schema: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    for leaf in condition.leaves() {
        for event in leaf.events() {
            if !schema.events.contains(&event.name) {
                problems.push(Problem {
                    message: format!("no event \"{}\" has been seen yet", event.name),
                    name: event.name.clone(),
                    nearest: nearest(&event.name, schema.events.iter().map(String::as_str)),
                    fatal: false,
                });
            }
        }
        match leaf {
            Condition::InSegment { segment } if !schema.segments.contains(segment) => {
                problems.push(Problem {
                    message: format!("there is no segment \"{segment}\""),
                    name: segment.clone(),
                    nearest: nearest(segment, schema.segments.iter().map(String::as_str)),
                    fatal: true,
                });
            }
            Condition::Attribute { path, test } => {
                let name = path.dotted().into_owned();
                let known = schema.attributes.iter().find(|(known, _)| *known == name);
                match known {
                    None if name != SCORE && !matches!(test, Test::Missing | Test::Present) => {
                        problems.push(Problem {
                            message: format!("no profile has an attribute '{name}' yet"),
                            nearest: nearest(
                                &name,
                                schema.attributes.iter().map(|(known, _)| known.as_str()),
                            ),
                            name,
                            fatal: false,
                        });
                    }
                    Some((_, declared)) => {
                        if let Some(message) = mismatch(&name, declared, test) {
                            problems.push(Problem { message, name, nearest: None, fatal: true });
                        }
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }
    problems
}

fn mismatch(name: &str, declared: &str, test: &Test) -> Option<String> {
    let literal_type = |literal: &Literal| match literal {
        Literal::Bool(_) => "bool",
        Literal::Number(_) => "number",
        Literal::Text(_) => "text",
    };
    let wanted = match test {
        Test::Compare { op: Op::Equal | Op::NotEqual, value } if declared == "date" => {
            (literal_type(value) != "text").then_some(literal_type(value))
        }
        Test::Compare { value, .. } | Test::Between { low: value, .. } => Some(literal_type(value)),
        Test::In { values } | Test::NotIn { values } => values.first().map(literal_type),
        Test::StartsWith { .. } | Test::EndsWith { .. } | Test::Matches { .. } => Some("text"),
        test if test.is_of_dates() => (declared != "text").then_some("date"),
        _ => None,
    }?;
    let known = ["text", "number", "bool", "date", "list"].contains(&declared);
    (known && declared != wanted)
        .then(|| format!("'{name}' is declared as {declared}; this compares it as {wanted}"))
}

/// The known name that resembles `name` most, when one is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let limit = (name.chars().count() / 3).max(1);
    known
        .take(10_000)
        .map(|each| (distance(name, each), each))
        .filter(|(distance, each)| *distance <= limit && *each != name)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, each)| each.to_owned())
}

/// Edits between two names, ignoring case; at most 64 characters of each count.
fn distance(left: &str, right: &str) -> usize {
    let fold = |text: &str| text.chars().take(64).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (left, right) = (fold(left), fold(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let cost = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
