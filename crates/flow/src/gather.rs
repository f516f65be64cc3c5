//! Whom a query or an uploaded list names: rows looked up, the unknown ones told and never made.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use model::{IdentifierKind, ProfileId, Value, WorkspaceId};

use crate::Error;
use crate::cron::Schedule;
use crate::error::Problem;
use crate::lists::Source;
use crate::platform::Platform;
use crate::preview::Preview;
use crate::segments::Check;
use crate::upload::{Item, Named};

/// Members of a list.
pub const MEMBERS_MAX: usize = 1_000_000;
/// Profiles looked up at once.
const CHUNK: usize = 2_000;
/// Rows that an answer names.
const NAMED_MAX: usize = 100;
/// Profiles of a sample.
const SAMPLE_MAX: usize = 10;
/// The columns that name a profile, in the order in which they are looked for.
const COLUMNS: [&str; 3] = ["profile_id", "user_id", "email"];

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untaken {
    /// From 1, a header not counted.
    pub row: u64,
    /// What it says, shortened.
    pub value: String,
    /// Why it was not taken.
    pub message: String,
}

/// The profiles that rows name.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    pub(crate) ids: BTreeSet<ProfileId>,
    /// Rows that were read.
    pub rows: u64,
    /// The first rows that name nobody we know.
    pub unknown: Vec<Untaken>,
    /// How many there are.
    pub unknown_count: u64,
    /// The first rows that cannot be read.
    pub rejected: Vec<Untaken>,
    /// How many there are.
    pub rejected_count: u64,
}

impl Platform {
    /// Checks a segment's document before it is saved: its kind, its schedule, and its query by running it.
    pub(crate) async fn check_source(
        &self,
        workspace: WorkspaceId,
        body: &Value,
    ) -> Result<Option<Gathered>, Error> {
        let source = Source::of(body)?;
        let Source::Sql { sql, schedule, timezone } = source else { return Ok(None) };
        if let Some(pattern) = schedule {
            Schedule::parse(&pattern, timezone.as_deref().unwrap_or("UTC"))?;
        }
        Ok(Some(self.gather_sql(workspace, &sql).await?))
    }

    /// The profiles that a query names. The one way from a query to members: for a check, a preview and a refresh.
    pub(crate) async fn gather_sql(&self, workspace: WorkspaceId, sql: &str) -> Result<Gathered, Error> {
        let invalid = |error: Error| match error {
            Error::Lake(error) if error.kind() == model::Kind::Invalid => {
                Error::invalid("invalid_sql", "/sql", error.to_string())
            }
            other => other,
        };
        lake::table_names_in(sql).map_err(|error| invalid(error.into()))?;
        let wanted = self.stepped.load(Ordering::Acquire);
        self.lake_caught_up().await;
        if self.lake.position() < wanted {
            return Err(Error::Unavailable(
                "The lake is still being brought up to date, and a query would miss people: try again in a minute."
                    .to_owned(),
            ));
        }
        let limits = lake::QueryLimits { rows: MEMBERS_MAX, ..lake::QueryLimits::default() };
        let answer = self.query_within(workspace, sql, &limits).await.map_err(invalid)?;
        if answer.truncated {
            return Err(Error::invalid(
                "too_many_members",
                "/sql",
                format!("The query gives more than {MEMBERS_MAX} rows: select fewer."),
            ));
        }
        let place = COLUMNS.iter().find_map(|name| {
            answer.columns.iter().position(|column| column.name == *name).map(|place| (*name, place))
        });
        let Some((name, place)) = place else {
            let message = "The query names nobody: select a column profile_id, user_id or email.";
            return Err(Error::invalid("invalid_sql", "/sql", message));
        };
        let mut gathered = Gathered::default();
        let mut items = Vec::with_capacity(CHUNK);
        for (row, cells) in answer.rows.iter().enumerate() {
            let cell = cells.get(place).unwrap_or(&Value::Null);
            items.push(Item { row: row as u64 + 1, named: Named::of(name, cell) });
            if items.len() == CHUNK {
                self.gather(workspace, std::mem::take(&mut items), &mut gathered).await?;
            }
        }
        self.gather(workspace, items, &mut gathered).await?;
        Ok(gathered)
    }

    /// Looks up whom rows name.
    ///
    /// # Errors
    /// When the store does not answer, or the rows are too many.
    pub async fn gather(
        &self,
        workspace: WorkspaceId,
        items: Vec<Item>,
        into: &mut Gathered,
    ) -> Result<(), Error> {
        let mut wanted: Vec<(WorkspaceId, IdentifierKind, String)> = Vec::new();
        let mut numbers = Vec::new();
        for item in &items {
            match &item.named {
                Ok(Named::Profile(id)) => numbers.push(*id),
                Ok(Named::Identifier(kind, value)) => wanted.push((workspace, *kind, value.clone())),
                Err(_) => {}
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let index = self.store.lookup_identifiers(&wanted).await?;
        let numbers: Vec<ProfileId> =
            numbers.into_iter().map(|id| ProfileId(self.lake.alias(id).unwrap_or(id))).collect();
        let known: BTreeSet<ProfileId> =
            self.store.known_profiles(workspace, &numbers).await?.into_iter().collect();
        for item in items {
            into.rows += 1;
            let (found, value) = match item.named {
                Ok(Named::Profile(id)) => {
                    let now = ProfileId(self.lake.alias(id).unwrap_or(id));
                    (known.get(&now).copied(), id.to_string())
                }
                Ok(Named::Identifier(kind, value)) => {
                    (index.get(&(workspace, kind, value.clone())).copied(), value)
                }
                Err((value, message)) => {
                    into.rejected_count += 1;
                    if into.rejected.len() < NAMED_MAX {
                        into.rejected.push(Untaken { row: item.row, value, message });
                    }
                    continue;
                }
            };
            match found {
                Some(id) => drop(into.ids.insert(id)),
                None => {
                    into.unknown_count += 1;
                    if into.unknown.len() < NAMED_MAX {
                        let message = "Nobody is known by it.".to_owned();
                        into.unknown.push(Untaken { row: item.row, value, message });
                    }
                }
            }
        }
        if into.rows > MEMBERS_MAX as u64 {
            let message = format!("A list has at most {MEMBERS_MAX} rows: split it.");
            return Err(Error::invalid("too_many_members", "", message));
        }
        Ok(())
    }

    /// Counts whom a query names.
    ///
    /// # Errors
    /// `Invalid` and `Limited` as a refresh.
    pub async fn preview_sql(&self, workspace: WorkspaceId, sql: &str) -> Result<Preview, Error> {
        let timer = tokio::time::Instant::now();
        let found = self.gather_sql(workspace, sql).await?;
        Ok(Preview {
            count: found.ids.len(),
            total: self.store.count_profiles(workspace).await? as usize,
            sample: found.ids.iter().take(SAMPLE_MAX).copied().collect(),
            took_ms: timer.elapsed().as_millis() as u64,
            sentence: sentence_of_sql(found.unknown_count),
        })
    }

    /// Checks a query and its schedule as saving does.
    ///
    /// # Errors
    /// When the store or the lake does not answer.
    pub async fn check_sql(&self, workspace: WorkspaceId, body: &Value) -> Result<Check, Error> {
        let mut check = Check {
            ok: true,
            errors: Vec::new(),
            warnings: Vec::new(),
            sentence: sentence_of_sql(0),
            json: Value::Null,
        };
        match self.check_source(workspace, body).await {
            Ok(Some(found)) if found.unknown_count + found.rejected_count > 0 => {
                let many = found.unknown_count + found.rejected_count;
                let message =
                    format!("{many} of {} rows name nobody we know; they are left out.", found.rows);
                check.warnings.push(Problem { path: "/sql".to_owned(), message, ..Problem::default() });
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), model::Kind::Invalid | model::Kind::Limited) => {
                check.ok = false;
                check.errors = match error.problems() {
                    [] => {
                        let message = error.to_string();
                        vec![Problem { path: "/sql".to_owned(), message, ..Problem::default() }]
                    }
                    problems => problems.to_vec(),
                };
            }
            Err(error) => return Err(error),
        }
        Ok(check)
    }

    /// A segment that others refer to stays.
    pub(crate) fn check_unneeded(&self, workspace: WorkspaceId, segment: &str) -> Result<(), Error> {
        let needed = self.dependents(workspace, segment);
        if needed.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> =
            needed.iter().map(|by| format!("the {} '{}'", by.kind, by.name)).collect();
        names.dedup();
        Err(Error::Conflict(format!(
            "The segment '{segment}' is referred to by {}: change or delete that first.",
            names.join(", ")
        )))
    }
}

fn sentence_of_sql(unknown: u64) -> String {
    match unknown {
        0 => "Whom the query names.".to_owned(),
        many => format!("Whom the query names; {many} of its rows name nobody we know."),
    }
}
