//! What people ask about a condition or a segment beside who is in it: where a tree is wrong, how each clause narrows it,
//! how it would have grown, who depends on it.

use expr::Condition;
use model::time::DAY;
use model::{Timestamp, Value, WorkspaceId};

use crate::platform::Platform;
use crate::segments::{Check, problem};
use crate::{Error, Problem};

/// Clauses that a funnel counts; the rest of a longer condition is counted together.
const CLAUSES_MAX: usize = 12;
/// Instants of a trend, the last is now.
const TREND_POINTS: i64 = 7;
/// Days between them.
const TREND_DAYS: i64 = 5;
/// Profiles of a workspace up to which a trend is worked out before a segment is saved.
const TREND_PROFILES_MAX: i64 = 200_000;

/// A clause of a condition and how many it holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its text.
    pub text: String,
    /// In plain English.
    pub sentence: String,
    /// Profiles for whom it holds.
    pub alone: usize,
    /// Profiles for whom it and every clause before it hold.
    pub together: usize,
}

/// How each clause narrows a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funnel {
    /// Profiles asked.
    pub total: usize,
    /// The clauses in the order of the text.
    pub clauses: Vec<Clause>,
}

/// Something that refers to a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// `segment`, `journey`, `rule` or `table`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where in it.
    pub place: String,
}

/// What is wrong with the parts of a tree, each with its place in the tree.
fn faults(tree: &Value, path: &str, out: &mut Vec<Problem>) {
    let group = |parts: &Value, name: &str, out: &mut Vec<Problem>| {
        let parts = parts.as_array().map_or(&[][..], Vec::as_slice);
        if parts.len() < 2 {
            let message = "A group has at least two parts: add one, or take the group away.";
            out.push(Problem { path: path.to_owned(), message: message.to_owned(), ..Problem::default() });
        }
        for (at, part) in parts.iter().enumerate() {
            faults(part, &format!("{path}/{name}/{at}"), out);
        }
    };
    match tree["type"].as_str() {
        Some("and") => group(&tree["all"], "all", out),
        Some("or") => group(&tree["any"], "any", out),
        Some("not") => faults(&tree["condition"], &format!("{path}/condition"), out),
        _ => {
            if let Err(error) = Condition::from_json(&tree.to_string()) {
                out.push(Problem { line: 0, column: 0, offset: 0, ..problem(path, &error) });
            }
        }
    }
}

/// Every leaf of a condition with its place in the tree.
fn placed<'a>(condition: &'a Condition, path: &str, out: &mut Vec<(String, &'a Condition)>) {
    let many = |parts: &'a [Condition], name: &str, out: &mut Vec<(String, &'a Condition)>| {
        for (at, part) in parts.iter().enumerate() {
            placed(part, &format!("{path}/{name}/{at}"), out);
        }
    };
    match condition {
        Condition::And { all } => many(all, "all", out),
        Condition::Or { any } => many(any, "any", out),
        Condition::Not { condition } => placed(condition, &format!("{path}/condition"), out),
        leaf => out.push((path.to_owned(), leaf)),
    }
}

/// Whether a filter tests a property `segment` against one of these names.
fn names_segment(filter: &expr::Filter, names: [&str; 2]) -> bool {
    match filter {
        expr::Filter::And { all: parts } | expr::Filter::Or { any: parts } => {
            parts.iter().any(|part| names_segment(part, names))
        }
        expr::Filter::Not { filter } | expr::Filter::Elements { filter, .. } => names_segment(filter, names),
        expr::Filter::Property { path, test } => {
            let is = |value: &expr::Literal| matches!(value, expr::Literal::Text(text) if names.contains(&text.as_str()));
            path.names()[0] == "segment"
                && match test {
                    expr::Test::Compare { value, .. } => is(value),
                    expr::Test::In { values } | expr::Test::NotIn { values } => values.iter().any(is),
                    _ => false,
                }
        }
    }
}

impl Platform {
    /// Checks a condition that came as a tree: its text, empty when it has none, and each fault with its place in the tree,
    /// such as `/where/all/1`.
    pub fn check_tree(&self, workspace: WorkspaceId, tree: &Value) -> (String, Check) {
        let condition = match Condition::from_json(&tree.to_string()) {
            Ok(condition) => condition,
            Err(error) => {
                let mut errors = Vec::new();
                faults(tree, "/where", &mut errors);
                if errors.is_empty() {
                    errors.push(Problem { line: 0, column: 0, offset: 0, ..problem("/where", &error) });
                }
                let check = Check {
                    ok: false,
                    errors,
                    warnings: Vec::new(),
                    sentence: String::new(),
                    json: Value::Null,
                };
                return (String::new(), check);
            }
        };
        let text = condition.to_string();
        let mut check = self.check(workspace, &text);
        if !check.ok {
            let schema = self.registry(workspace).schema();
            let mut leaves = Vec::new();
            placed(&condition, "/where", &mut leaves);
            let found = leaves.iter().flat_map(|(path, leaf)| {
                let fatal = expr::check(leaf, &schema).into_iter().filter(|found| found.fatal);
                fatal.map(move |found| Problem {
                    path: path.clone(),
                    message: found.message,
                    nearest: found.nearest,
                    ..Problem::default()
                })
            });
            let errors: Vec<Problem> = found.collect();
            if !errors.is_empty() {
                check.errors = errors;
            }
        }
        (text, check)
    }

    /// Counts how each clause of a condition narrows it, and each by itself. A condition without `and` has one clause.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault.
    pub async fn funnel(&self, workspace: WorkspaceId, text: &str) -> Result<Funnel, Error> {
        let condition = read(text)?;
        let mut parts = match condition {
            Condition::And { all } => all,
            one => vec![one],
        };
        if parts.len() > CLAUSES_MAX {
            let rest = parts.split_off(CLAUSES_MAX - 1);
            parts.push(Condition::And { all: rest });
        }
        let mut funnel = Funnel { total: 0, clauses: Vec::with_capacity(parts.len()) };
        for (at, part) in parts.iter().enumerate() {
            let text = part.to_string();
            let alone = self.preview(workspace, &text).await?;
            funnel.total = alone.total;
            let together = if at == 0 {
                alone.count
            } else {
                let all = parts[..=at].to_vec();
                self.preview(workspace, &Condition::And { all }.to_string()).await?.count
            };
            funnel.clauses.push(Clause { text, sentence: alone.sentence, alone: alone.count, together });
        }
        Ok(funnel)
    }

    /// For how many a condition held at earlier instants: by the events up to then and the attributes of now. Empty where
    /// the workspace is too large to work it out while somebody waits.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault.
    pub async fn past(&self, workspace: WorkspaceId, text: &str) -> Result<Vec<(Timestamp, usize)>, Error> {
        let condition = read(text)?;
        if self.store.count_profiles(workspace).await? > TREND_PROFILES_MAX {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let mut past = Vec::new();
        for back in (0..TREND_POINTS).rev() {
            let at = now - back * TREND_DAYS * DAY;
            past.push((at, self.found(workspace, &condition, at, 0).await?.count));
        }
        Ok(past)
    }

    /// What refers to a segment: segments by their condition, journeys by trigger, branches and exits, rules by
    /// condition and actions, tables by their rows.
    pub fn dependents(&self, workspace: WorkspaceId, id: &str) -> Vec<Dependent> {
        let registry = self.registry(workspace);
        let Some(own) = registry.segments.get(id) else { return Vec::new() };
        let names = [id, own.name.as_str()];
        let refers = |text: &str| {
            let condition = expr::parse(text).ok();
            condition.is_some_and(|condition| condition.segments().iter().any(|name| names.contains(name)))
        };
        let mut out = Vec::new();
        for (other, segment) in registry.segments.iter().filter(|(other, _)| *other != id) {
            if refers(&segment.condition) {
                let (id, name) = (other.clone(), segment.name.clone());
                out.push(Dependent { kind: "segment", id, name, place: "its condition".to_owned() });
            }
        }
        let listens = |event: &str, filter: Option<&str>| {
            matches!(event, "Segment Entered" | "Segment Exited")
                && filter.is_none_or(|text| {
                    expr::parse_filter(text).is_ok_and(|filter| names_segment(&filter, names))
                })
        };
        for (journey, in_force) in &registry.journeys {
            let mut add = |place: String| {
                let (id, name) = (journey.clone(), in_force.name.clone());
                out.push(Dependent { kind: "journey", id, name, place });
            };
            let definition = &in_force.compiled.definition;
            let trigger = &definition.trigger;
            if listens(&trigger.event, trigger.filter.as_deref()) {
                add("its trigger".to_owned());
            }
            for (node, text) in in_force.compiled.conditions() {
                if refers(text) {
                    add(format!("its branch '{node}'"));
                }
            }
            if definition.exits.iter().any(|exit| listens(&exit.event, exit.filter.as_deref())) {
                add("an exit".to_owned());
            }
        }
        for (rule, in_force) in &registry.rules {
            let mut add = |place: &str| {
                let (id, name) = (rule.clone(), in_force.name.clone());
                out.push(Dependent { kind: "rule", id, name, place: place.to_owned() });
            };
            if refers(&in_force.rule.condition) {
                add("its condition");
            }
            if crate::rules::moves(&in_force.rule, id) {
                add("its actions");
            }
        }
        for (table, in_force) in &registry.tables {
            for row in in_force.table.rows.iter().filter(|row| refers(&row.condition)) {
                let (id, name) = (table.clone(), in_force.name.clone());
                out.push(Dependent { kind: "table", id, name, place: format!("its row '{}'", row.name) });
            }
        }
        out
    }
}

fn read(text: &str) -> Result<Condition, Error> {
    expr::parse(text).map_err(|error| Error::Invalid {
        code: "invalid_condition",
        detail: error.to_string(),
        problems: vec![problem("/where", &error)],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_fault_of_a_tree_has_its_own_place() {
        let tree = json!({"type": "and", "all": [
            {"type": "everyone"},
            {"type": "not", "condition": {"type": "did", "event": {"name": "A"}, "window": {"type": "in_last", "span": {"amount": 0, "unit": "days"}}}},
            {"type": "or", "any": [{"type": "never"}]},
        ]});
        let mut out = Vec::new();
        faults(&tree, "/where", &mut out);
        let paths: Vec<&str> = out.iter().map(|each| each.path.as_str()).collect();
        assert_eq!(paths, ["/where/all/1/condition", "/where/all/2", "/where/all/2/any/0"]);
    }

    #[test]
    fn a_filter_names_a_segment_only_by_the_property_that_tells_it() {
        let names = |text: &str| names_segment(&expr::parse_filter(text).unwrap(), ["vip", "VIP"]);
        assert!(names(r#"segment = "vip""#));
        assert!(names(r#"cause = "x" and not segment in ("other", "VIP")"#));
        assert!(!names(r#"cause = "vip""#));
        assert!(!names(r#"segment = "other""#));
    }
}
