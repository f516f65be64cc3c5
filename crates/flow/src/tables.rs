//! Decision tables: ordered rows of condition → outcome. Which row decides for a person, where rows overlap, whom none
//! of them fits. The outcome can be kept in an attribute, set when it changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Call, Event, ProfileId, Value, WorkspaceId};
use segment::TABLE_PREFIX;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::DefinitionRow;

use crate::Error;
use crate::emit;
use crate::error::Problem;
use crate::hot::{Facts, Hot};
use crate::platform::Platform;
use crate::registry::Registry;
use crate::step::{Key, Step};

/// Rows of one table.
const ROWS_MAX: usize = 50;
/// Bytes of one outcome.
const OUTCOME_BYTES_MAX: usize = 4_096;
/// Profiles of a sample.
const SAMPLE_MAX: usize = 10;
/// Pairs of rows that are told to overlap.
const OVERLAPS_MAX: usize = 100;

/// Which rows decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hit {
    /// The first whose condition holds.
    #[default]
    First,
    /// Every one whose condition holds, in their order.
    All,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRow {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// For whom.
    #[serde(rename = "where")]
    pub condition: String,
    /// What follows. Shape: a JSON object.
    pub outcome: Value,
}

/// A table as people write it. Shape: JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What it decides.
    #[serde(default)]
    pub description: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Which rows decide.
    #[serde(default)]
    pub hit: Hit,
    /// The attribute that keeps the outcome; none when the table is only asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The rows, in order.
    pub rows: Vec<TableRow>,
}

/// A table in force.
#[derive(Clone, Debug)]
pub struct TableInForce {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// The document.
    pub table: Arc<Table>,
}

impl TableInForce {
    pub(crate) fn row_key(&self, number: usize) -> String {
        format!("{TABLE_PREFIX}{}/{number}", self.id)
    }
}

fn refuse(path: &str, message: impl Into<String>) -> Error {
    Error::invalid("invalid_table", path, message)
}

impl Table {
    /// Reads a table's document.
    ///
    /// # Errors
    /// `Invalid` with the place of the fault.
    pub fn parse(body: &Value) -> Result<Table, Error> {
        let table: Table =
            serde_json::from_value(body.clone()).map_err(|error| refuse("", error.to_string()))?;
        if table.rows.is_empty() || table.rows.len() > ROWS_MAX {
            return Err(refuse("/rows", format!("A table has 1 to {ROWS_MAX} rows.")));
        }
        for (at, row) in table.rows.iter().enumerate() {
            let path = format!("/rows/{at}/outcome");
            if !row.outcome.is_object() || row.outcome.to_string().len() > OUTCOME_BYTES_MAX {
                let message = format!(
                    "An outcome is an object such as {{\"discount\": 10}}, of at most {OUTCOME_BYTES_MAX} bytes."
                );
                return Err(refuse(&path, message));
            }
        }
        if let Some(name) = &table.attribute {
            let sound = |c: char| c.is_alphanumeric() || c == '_';
            if name.is_empty() || name.len() > 100 || !name.chars().all(sound) {
                return Err(refuse("/attribute", "An attribute's name is letters, digits and underscores."));
            }
            if ["email", "phone", "user_id", "userId", "id"].contains(&name.as_str()) {
                return Err(refuse(
                    "/attribute",
                    format!("A table does not set '{name}': it says who somebody is."),
                ));
            }
        }
        Ok(table)
    }

    /// The outcome of the rows that hold.
    fn outcome(&self, held: &[usize]) -> Value {
        match self.hit {
            Hit::First => held.first().map_or(Value::Null, |row| self.rows[*row].outcome.clone()),
            Hit::All if held.is_empty() => Value::Null,
            Hit::All => held.iter().map(|row| self.rows[*row].outcome.clone()).collect(),
        }
    }
}

/// Checks a table's document against what there is.
pub(crate) fn check(registry: &Registry, body: &Value) -> Result<Table, Error> {
    let table = Table::parse(body)?;
    let schema = registry.schema();
    let mut problems = Vec::new();
    for (at, row) in table.rows.iter().enumerate() {
        let path = format!("/rows/{at}/where");
        let errors = expr::check_text(&row.condition, &schema).errors;
        problems.extend(errors.iter().map(|error| crate::segments::problem(&path, error)));
    }
    match problems.first() {
        None => Ok(table),
        Some(first) => {
            let detail = first.message.clone();
            Err(Error::Invalid { code: "invalid_condition", detail, problems })
        }
    }
}

/// Reads a stored table.
pub(crate) fn in_force(row: &DefinitionRow) -> Result<TableInForce, Error> {
    let body: Value = serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
    let table = Arc::new(Table::parse(&body)?);
    Ok(TableInForce { id: row.id.clone(), name: row.name.clone(), version: row.version, table })
}

/// A table whose outcome decides its own conditions would never rest: refused, through segments too.
pub(crate) fn check_circles(registry: &Registry) -> Result<(), Error> {
    let kept: BTreeSet<&str> =
        registry.tables.values().filter_map(|table| table.table.attribute.as_deref()).collect();
    if kept.is_empty() {
        return Ok(());
    }
    for table in registry.tables.values().filter(|table| table.table.attribute.is_some()) {
        let mut texts: Vec<&str> = table.table.rows.iter().map(|row| row.condition.as_str()).collect();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(text) = texts.pop() {
            let Ok(condition) = expr::parse(text) else { continue };
            let tree: Value = serde_json::from_str(&condition.to_json()).unwrap_or_default();
            if let Some(name) = kept.iter().find(|name| reads(&tree, name)) {
                return Err(refuse(
                    "/rows",
                    format!(
                        "The table '{}' keeps its outcome in an attribute and its conditions read '{name}', which a \
                         table sets: it might never come to rest. Read something else.",
                        table.name
                    ),
                ));
            }
            for named in condition.segments() {
                let found =
                    registry.segments.iter().find(|(id, segment)| *id == named || segment.name == named);
                if let Some((id, segment)) = found
                    && seen.insert(id.as_str())
                {
                    texts.push(&segment.condition);
                }
            }
        }
    }
    Ok(())
}

/// Whether a tree reads an attribute or property of this name.
fn reads(tree: &Value, name: &str) -> bool {
    match tree {
        Value::Object(fields) => fields.iter().any(|(key, value)| {
            let first = match value {
                Value::String(path) => Some(path.as_str()),
                Value::Array(path) => path.first().and_then(Value::as_str),
                _ => None,
            };
            let named = first.is_some_and(|path| path == name || path.starts_with(&format!("{name}.")));
            key == "path" && named || reads(value, name)
        }),
        Value::Array(all) => all.iter().any(|value| reads(value, name)),
        _ => false,
    }
}

fn held(registry: &Registry, table: &TableInForce, hot: &Hot, now: model::Timestamp) -> Vec<usize> {
    let facts = Facts { profile: &hot.profile, zone: &registry.zone };
    let rows = 0..table.table.rows.len();
    rows.filter(|row| registry.engine.evaluate(&table.row_key(*row), &hot.segments, &facts, now)).collect()
}

impl Step<'_> {
    /// Keeps the outcomes of tables in attributes: those that changed are set by events of ours.
    pub(crate) fn decide(&mut self, key: Key, registry: &Arc<Registry>) {
        let now = self.now;
        let Some(working) = self.profiles.get_mut(&key) else { return };
        working.hot.decided.retain(|id, _| registry.tables.contains_key(id));
        for table in registry.tables.values() {
            let Some(attribute) = &table.table.attribute else { continue };
            let held = held(registry, table, &working.hot, now);
            let outcome = table.table.outcome(&held);
            let text = format!("{attribute}={outcome}");
            let print = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
            match working.hot.decided.get(&table.id) {
                Some(known) if *known == print => continue,
                None if outcome.is_null() => continue,
                _ => {}
            }
            working.hot.decided.insert(table.id.clone(), print);
            self.dirty.insert(key);
            let id = format!("table-{}-{}-{}", table.id, key.1, now.micros());
            let event = emit::event(key.0, key.1, "identify", id, now, json!({attribute.as_str(): outcome}));
            let context = json!({"table": table.id, "version": table.version}).to_string();
            self.emitted.push(Event { call: Call::Identify, context, ..event });
        }
    }
}

/// What a table decides for a person, row by row.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The outcome; null when no row holds.
    pub outcome: Value,
    /// The version that decided.
    pub version: i64,
    /// Each row.
    pub rows: Vec<DecidedRow>,
}

/// A row as it is for a person.
#[derive(Clone, Debug)]
pub struct DecidedRow {
    /// Its name.
    pub name: String,
    /// Its condition holds.
    pub holds: bool,
    /// It decided, or was one of those that did.
    pub decides: bool,
    /// Why its condition holds, or does not.
    pub explanation: segment::Explanation,
}

/// How a table's rows divide all profiles.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// Profiles there are.
    pub total: usize,
    /// For each row: profiles for whom its condition holds.
    pub holds: Vec<usize>,
    /// For each row: profiles for whom it decides.
    pub decides: Vec<usize>,
    /// Profiles that no row fits.
    pub gap: usize,
    /// Some of them.
    pub gap_sample: Vec<ProfileId>,
    /// Pairs of rows that hold for the same profiles.
    pub overlaps: Vec<Overlap>,
    /// Rows that hold for somebody and never decide, as earlier ones take everybody. From 0.
    pub unreachable: Vec<usize>,
    /// How long it took.
    pub took_ms: u64,
}

/// Two rows that hold for the same profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The earlier row, from 0.
    pub first: usize,
    /// The later row.
    pub second: usize,
    /// For how many.
    pub count: usize,
}

impl Platform {
    /// What a table in force decides for a profile now.
    ///
    /// # Errors
    /// `Missing` when there is no such table or profile.
    pub async fn decide(
        &self,
        workspace: WorkspaceId,
        table: &str,
        profile: ProfileId,
    ) -> Result<Decided, Error> {
        let registry = self.registry(workspace);
        let missing = || Error::Missing(format!("There is no decision table '{table}'."));
        let table = registry.tables.get(table).ok_or_else(missing)?;
        let (_, hot) = self.hot(workspace, profile).await?;
        let now = self.clock.now();
        let held = held(&registry, table, &hot, now);
        let facts = Facts { profile: &hot.profile, zone: &registry.zone };
        let mut rows = Vec::new();
        for (number, row) in table.table.rows.iter().enumerate() {
            let explanation = registry
                .engine
                .explain(&table.row_key(number), &hot.segments, &facts, now)
                .ok_or_else(|| Error::Bug("a row is not in force".to_owned()))?;
            let decides = match table.table.hit {
                Hit::First => held.first() == Some(&number),
                Hit::All => held.contains(&number),
            };
            let holds = held.contains(&number);
            rows.push(DecidedRow { name: row.name.clone(), holds, decides, explanation });
        }
        Ok(Decided { outcome: table.table.outcome(&held), version: table.version, rows })
    }

    /// How a table's document, saved or not, divides all profiles.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault.
    pub async fn outlook(&self, workspace: WorkspaceId, body: &Value) -> Result<Outlook, Error> {
        let timer = tokio::time::Instant::now();
        let table = check(&self.registry(workspace), body)?;
        let mut out = Outlook::default();
        let mut fits: Vec<BTreeSet<i64>> = Vec::new();
        for (at, row) in table.rows.iter().enumerate() {
            let found = self.who(workspace, &row.condition).await.map_err(|error| match error {
                Error::Invalid { code, detail, problems } => {
                    let path = format!("/rows/{at}/where");
                    let problems = problems
                        .into_iter()
                        .map(|problem| Problem { path: path.clone(), ..problem })
                        .collect();
                    Error::Invalid { code, detail, problems }
                }
                other => other,
            })?;
            fits.push(found);
        }
        let everybody: BTreeSet<i64> = self.everybody(workspace).await?;
        out.total = everybody.len();
        let mut taken: BTreeSet<i64> = BTreeSet::new();
        for (at, fit) in fits.iter().enumerate() {
            let new = fit.difference(&taken).count();
            out.holds.push(fit.len());
            out.decides.push(if table.hit == Hit::All { fit.len() } else { new });
            if table.hit == Hit::First && new == 0 && !fit.is_empty() {
                out.unreachable.push(at);
            }
            taken.extend(fit);
            for (earlier, other) in fits[..at].iter().enumerate() {
                let count = other.intersection(fit).count();
                if count > 0 && out.overlaps.len() < OVERLAPS_MAX {
                    out.overlaps.push(Overlap { first: earlier, second: at, count });
                }
            }
        }
        let mut gap = everybody.difference(&taken);
        out.gap_sample = gap.clone().take(SAMPLE_MAX).map(|id| ProfileId(*id)).collect();
        out.gap = gap.by_ref().count();
        out.took_ms = timer.elapsed().as_millis() as u64;
        Ok(out)
    }

    async fn everybody(&self, workspace: WorkspaceId) -> Result<BTreeSet<i64>, Error> {
        let mut out = BTreeSet::new();
        let mut after = ProfileId(0);
        loop {
            let rows = self.store.scan_profiles(workspace, after, 5_000).await?;
            let Some(last) = rows.last() else { return Ok(out) };
            after = last.id;
            out.extend(rows.iter().map(|row| row.id.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_rows_or_with_an_outcome_that_is_no_object_is_refused() {
        let row = |outcome: Value| json!({"rows": [{"where": "a = 1", "outcome": outcome}]});
        assert!(Table::parse(&row(json!({"discount": 10}))).is_ok());
        for (body, path) in [
            (json!({"rows": []}), "/rows"),
            (row(json!(10)), "/rows/0/outcome"),
            (json!({"rows": [{"where": "a = 1", "outcome": {}}], "attribute": "email"}), "/attribute"),
            (json!({"rows": [{"where": "a = 1", "outcome": {}}], "attribute": "a b"}), "/attribute"),
        ] {
            assert_eq!(Table::parse(&body).unwrap_err().problems()[0].path, path, "{body}");
        }
    }
}
