//! Checks a condition against what a workspace knows: declared types, seen events, existing segments.

use serde::{Deserialize, Serialize};

use crate::ast::{Aggregate, Condition, EventPattern, Filter, Literal, Op, Test};
use crate::{Error, parse};

/// What a workspace knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Attributes by dotted path, with their declared type: `text`, `number`, `bool`, `date`, `list`, or empty.
    pub attributes: Vec<(String, String)>,
    /// Events by name.
    pub events: Vec<String>,
    /// Segments by name and by id.
    pub segments: Vec<String>,
    /// Properties of events by event and dotted path, with their declared type, as attributes have.
    pub properties: Vec<(String, String, String)>,
    /// Traits by name. Their types stand among the attributes.
    pub traits: Vec<String>,
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
    let (errors, warnings) = placed(text, check(&condition, schema));
    Checked { condition: Some(condition), errors, warnings }
}

/// Problems with their places in a text: what must be corrected, and what deserves a look.
pub(crate) fn placed(text: &str, problems: Vec<Problem>) -> (Vec<Error>, Vec<Error>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for problem in problems {
        let offset = place_of(text, &problem.name);
        let mut error = Error::at(text, offset, problem.message);
        error.nearest = problem.nearest;
        if problem.fatal { errors.push(error) } else { warnings.push(error) }
    }
    (errors, warnings)
}

/// Where a name stands in a text: as a text in quotes, else as a whole word, else anywhere.
fn place_of(text: &str, name: &str) -> usize {
    let quoted = crate::print::Quoted(name).to_string();
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let whole =
        |at: &usize| !text[..*at].ends_with(is_of_word) && !text[*at + name.len()..].starts_with(is_of_word);
    text.find(&quoted)
        .or_else(|| text.match_indices(name).map(|(at, _)| at).find(whole))
        .or_else(|| text.find(name))
        .unwrap_or(0)
}

/// Checks a tree. An unknown event or attribute is a warning: it may come; an unknown segment or a test that does
/// not fit a declared type is an error.
pub fn check(condition: &Condition, schema: &Schema) -> Vec<Problem> {
    let mut problems = Vec::new();
    for leaf in condition.leaves() {
        for event in leaf.events() {
            check_event(event, schema, &mut problems);
        }
        match leaf {
            Condition::InSegment { segment } | Condition::Passed { segment, .. }
                if !schema.segments.contains(segment) =>
            {
                problems.push(Problem {
                    message: format!("there is no segment \"{segment}\""),
                    name: segment.clone(),
                    nearest: nearest(segment, schema.segments.iter().map(String::as_str)),
                    fatal: true,
                });
            }
            Condition::Held { path, .. } if schema.traits.iter().any(|name| *name == path.dotted()) => {
                problems.push(Problem {
                    message: format!(
                        "'{}' is a trait, which is not kept over time: leave out 'for'",
                        path.dotted()
                    ),
                    name: path.dotted().into_owned(),
                    nearest: None,
                    fatal: true,
                });
            }
            Condition::Attribute { path, test } | Condition::Held { path, test, .. } => {
                problems.extend(check_attribute(&path.dotted(), Some(test), schema));
            }
            Condition::Elements { path, .. } => {
                problems.extend(check_attribute(&path.dotted(), None, schema));
            }
            Condition::Aggregate { function, property, event, test, .. } => {
                let figure = matches!(
                    function,
                    Aggregate::Sum | Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum
                );
                let name = property.dotted();
                let message = match schema.declared(&event.name, &name) {
                    Some(declared) if figure && is_known(declared) && declared != "number" => Some(format!(
                        "'{name}' of \"{}\" is declared as {declared}; {} needs numbers",
                        event.name,
                        function.word()
                    )),
                    Some(declared) if !figure && *function != Aggregate::Distinct => {
                        mismatch(&name, declared, test)
                    }
                    _ => None,
                };
                let fatal = |message| Problem { message, name: name.to_string(), nearest: None, fatal: true };
                problems.extend(message.map(fatal));
            }
            _ => {}
        }
    }
    problems
}

impl Schema {
    fn declared(&self, event: &str, property: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(of, name, _)| of == event && name == property);
        found.map(|(_, _, declared)| declared.as_str())
    }
}

fn is_known(declared: &str) -> bool {
    ["text", "number", "bool", "date", "list"].contains(&declared)
}

fn check_event(event: &EventPattern, schema: &Schema, problems: &mut Vec<Problem>) {
    let seen = match event.name.strip_suffix('*') {
        Some(beginning) => schema.events.iter().any(|known| known.starts_with(beginning)),
        None => schema.events.contains(&event.name),
    };
    if !seen {
        problems.push(Problem {
            message: format!("no event \"{}\" has been seen yet", event.name),
            name: event.name.clone(),
            nearest: nearest(&event.name, schema.events.iter().map(String::as_str)),
            fatal: false,
        });
        return;
    }
    let mut filters: Vec<&Filter> = event.filter.iter().collect();
    while let Some(filter) = filters.pop() {
        match filter {
            Filter::And { all: parts } | Filter::Or { any: parts } => filters.extend(parts),
            Filter::Not { filter } => filters.push(filter),
            Filter::Property { path, test } => {
                let name = path.dotted();
                let declared = schema.declared(&event.name, &name);
                if let Some(message) = declared.and_then(|declared| mismatch(&name, declared, test)) {
                    problems.push(Problem { message, name: name.into_owned(), nearest: None, fatal: true });
                } else if declared.is_none() {
                    let of_event = schema.properties.iter().filter(|(of, _, _)| *of == event.name);
                    let near = nearest(&name, of_event.map(|(_, known, _)| known.as_str()));
                    if near.is_some() {
                        let message = format!("no property '{name}' is declared for \"{}\"", event.name);
                        problems.push(Problem {
                            message,
                            name: name.into_owned(),
                            nearest: near,
                            fatal: false,
                        });
                    }
                }
            }
            Filter::Elements { path, .. } => {
                let name = path.dotted();
                let declared = schema.declared(&event.name, &name);
                if let Some(declared) = declared.filter(|declared| is_known(declared) && *declared != "list")
                {
                    let message = format!("'{name}' is declared as {declared}; only lists have elements");
                    problems.push(Problem { message, name: name.into_owned(), nearest: None, fatal: true });
                }
            }
        }
    }
}

fn check_attribute(name: &str, test: Option<&Test>, schema: &Schema) -> Option<Problem> {
    let Some((_, declared)) = schema.attributes.iter().find(|(known, _)| known == name) else {
        let asks_only = matches!(test, Some(Test::Missing | Test::Present));
        return (!asks_only && !schema.traits.iter().any(|known| known == name)).then(|| Problem {
            message: format!("no profile has an attribute '{name}' yet"),
            name: name.to_owned(),
            nearest: nearest(name, schema.attributes.iter().map(|(known, _)| known.as_str())),
            fatal: false,
        });
    };
    let message = match test {
        Some(test) => mismatch(name, declared, test),
        None => (is_known(declared) && declared != "list")
            .then(|| format!("'{name}' is declared as {declared}; only lists have elements")),
    }?;
    Some(Problem { message, name: name.to_owned(), nearest: None, fatal: true })
}

/// Why a test does not fit a declared type.
fn mismatch(name: &str, declared: &str, test: &Test) -> Option<String> {
    let of = |literal: &Literal| match literal {
        Literal::Bool(_) => "bool",
        Literal::Number(_) => "number",
        Literal::Text(_) => "text",
    };
    let wanted: Vec<&str> = match test {
        Test::Compare { op: Op::Equal | Op::NotEqual, value: Literal::Text(_) } => vec!["text", "date"],
        Test::Compare { value, .. } => vec![of(value)],
        Test::Between { low, high } => vec![of(low), of(high)],
        Test::In { values } | Test::NotIn { values } => {
            // One value that fits is enough.
            if values.iter().any(|value| of(value) == declared) {
                return None;
            }
            values.iter().map(of).collect()
        }
        Test::StartsWith { .. } | Test::EndsWith { .. } | Test::Matches { .. } => vec!["text"],
        Test::Contains { .. } | Test::ContainsAny { .. } | Test::ContainsAll { .. } | Test::Length { .. } => {
            vec!["list", "text"]
        }
        Test::Missing | Test::Present => return None,
        _ => vec!["date", "text"],
    };
    let both = matches!(test, Test::Between { .. });
    let fits = if both { wanted.iter().all(|each| *each == declared) } else { wanted.contains(&declared) };
    let wanted = wanted.first().copied().unwrap_or("text");
    (is_known(declared) && !fits)
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
