//! Segments whose members are listed, by a query or by hand, rather than by a condition over what people do.
//!
//! A list changes by events: `Segment Listed` says that somebody is on it from now on, or no longer. The engine folds
//! them as it folds every other event (`condition`), so that history, references, merges, previews, journeys and a
//! rebuild from the log see one kind of membership. A run is noted before it begins: one that a crash cut short is
//! run again, against the members that its first part has already made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use expr::{Aggregate, Condition, EventPattern, Filter, Literal, Op, Path, Test};
use model::{Call, Event, Position, ProfileId, Timestamp, Trust, Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cron::Schedule;
use crate::gather::Gathered;
use crate::platform::Platform;
use crate::registry::SegmentInForce;
use crate::{Error, codec, emit};

/// The event by which a list changes; only the platform sends it.
pub const LISTED: &str = "Segment Listed";
/// The cause of a change by a refresh.
const REFRESHED: &str = "the query was refreshed";
/// The cause of a change by hand.
const UPLOADED: &str = "a list was uploaded";
/// Events appended at once.
const CHUNK: usize = 2_000;
/// How often schedules are looked at.
const BEAT: Duration = Duration::from_secs(1);

/// Where a segment's members come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// A condition.
    #[default]
    Condition,
    /// A list that people, programs and rules change.
    Static,
    /// A query, run again on a schedule and when asked.
    Sql {
        /// One SELECT.
        sql: String,
        /// When it is run again, as cron says it.
        schedule: Option<String>,
        /// The schedule's time zone; the workspace's otherwise.
        timezone: Option<String>,
    },
}

impl Source {
    /// The name in the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Source::Condition => "condition",
            Source::Static => "static",
            Source::Sql { .. } => "sql",
        }
    }

    /// Reads a segment's document.
    ///
    /// # Errors
    /// `Invalid` when it is of two kinds, or has a schedule without a query.
    pub fn of(body: &Value) -> Result<Source, Error> {
        let text = |name: &str| body[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        let kinds = [text("where").is_some(), text("sql").is_some(), body["static"] == json!(true)];
        if kinds.iter().filter(|is| **is).count() > 1 {
            let message =
                "A segment has a condition in 'where', a query in 'sql', or is 'static': one of them.";
            return Err(Error::invalid("invalid_segment", "/where", message));
        }
        if !kinds[1] && (text("schedule").is_some() || text("timezone").is_some()) {
            let message = "Only a segment with a query in 'sql' has a schedule: leave it out.";
            return Err(Error::invalid("invalid_segment", "/schedule", message));
        }
        if let Some(sql) = text("sql") {
            let owned = |name: &str| text(name).map(str::to_owned);
            return Ok(Source::Sql {
                sql: sql.to_owned(),
                schedule: owned("schedule"),
                timezone: owned("timezone"),
            });
        }
        Ok(if kinds[2] { Source::Static } else { Source::Condition })
    }
}

/// What the engine keeps true for a list: the last thing said about a profile is that it is on it.
pub(crate) fn condition(list: &str) -> Result<String, Error> {
    let path = |name: &str| {
        Path::new(vec![name.to_owned()]).ok_or_else(|| Error::Bug("a path without a name".to_owned()))
    };
    let equal = |value: Literal| Test::Compare { op: Op::Equal, value };
    let filter = Filter::Property { path: path("list")?, test: equal(Literal::Text(list.to_owned())) };
    let condition = Condition::Aggregate {
        function: Aggregate::Last,
        property: path("listed")?,
        event: EventPattern { name: LISTED.to_owned(), filter: Some(filter) },
        window: None,
        test: equal(Literal::Bool(true)),
    };
    Ok(condition.to_string())
}

/// Gives a document of a listed kind its list: that of the version before, or a new one. A segment that becomes static
/// keeps the members that its query found; one that is made anew under an old id begins empty.
pub(crate) fn adopt(body: &mut Value, id: &str, versions: &[store::DefinitionRow]) {
    let Some(body) = body.as_object_mut() else { return };
    body.remove("list");
    if !matches!(Source::of(&Value::Object(body.clone())), Ok(Source::Static | Source::Sql { .. })) {
        return;
    }
    let current = versions.first().filter(|row| row.status != "deleted");
    let kept = current.and_then(|row| serde_json::from_str::<Value>(&row.body).ok());
    let kept = kept.and_then(|body| body["list"].as_str().map(str::to_owned));
    let next = 1 + versions.first().map_or(0, |row| row.version);
    body.insert("list".to_owned(), json!(kept.unwrap_or_else(|| format!("{id}.{next}"))));
}

/// An event that puts a profile on a list or takes it off.
pub(crate) fn listed(
    workspace: WorkspaceId,
    profile: ProfileId,
    segment: &str,
    list: &str,
    on: bool,
    at: Timestamp,
    cause: &str,
) -> Event {
    let short = if on { "on" } else { "off" };
    let id = format!("list-{short}-{list}-{profile}-{}", at.micros());
    let properties = json!({"segment": segment, "list": list, "listed": on, "cause": cause});
    Event { call: Call::Track, ..emit::event(workspace, profile, LISTED, id, at, properties) }
}

/// The cause that a change of a list carries into the change of the membership.
pub(crate) fn cause(event: &Event) -> Option<String> {
    if event.name != LISTED || event.trust != Trust::Internal {
        return None;
    }
    let properties: Value = serde_json::from_str(&event.properties).ok()?;
    properties["cause"].as_str().map(str::to_owned)
}

/// Whether a membership changed by a change of its list.
pub(crate) fn explains(cause: &segment::Cause) -> bool {
    matches!(cause, segment::Cause::Event(name) if name == LISTED)
}

/// What became of a segment's last refresh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// It has not ended.
    pub running: bool,
    /// Rows of the answer.
    pub rows: u64,
    /// Rows that name nobody we know.
    pub unknown: u64,
    /// Profiles that entered.
    pub entered: u64,
    /// Profiles that left.
    pub exited: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Why it failed; the members stay as they were.
    pub error: Option<String>,
    /// The instant of the last change of the list: no two changes have the same.
    listed_at: i64,
    /// The cause of a run that has not ended, for who takes it up.
    cause: Option<String>,
}

/// How an upload changes a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Those named are on it.
    #[default]
    Add,
    /// Those named are not.
    Remove,
    /// Those named are on it, and nobody else.
    Replace,
}

impl Mode {
    /// The mode with this name.
    pub fn from_name(name: &str) -> Option<Mode> {
        match name {
            "add" => Some(Mode::Add),
            "remove" => Some(Mode::Remove),
            "replace" => Some(Mode::Replace),
            _ => None,
        }
    }
}

/// How a list changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Profiles that entered.
    pub entered: u64,
    /// Profiles that left.
    pub exited: u64,
    /// Members now.
    pub members: u64,
}

/// One list changes at a time.
#[derive(Default)]
pub(crate) struct Lists(tokio::sync::Mutex<()>);

fn meta(workspace: WorkspaceId, list: &str) -> String {
    format!("list.{workspace}.{list}")
}

impl Platform {
    /// What became of a segment's last refresh.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn last_refresh(&self, workspace: WorkspaceId, segment: &str) -> Result<Refresh, Error> {
        let registry = self.registry(workspace);
        let Some(found) = registry.segments.get(segment) else { return Ok(Refresh::default()) };
        self.refresh_of(workspace, &found.list).await
    }

    async fn refresh_of(&self, workspace: WorkspaceId, list: &str) -> Result<Refresh, Error> {
        match self.store.meta(&meta(workspace, list)).await? {
            Some(text) => serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string())),
            None => Ok(Refresh::default()),
        }
    }

    async fn put_refresh(&self, workspace: WorkspaceId, list: &str, state: &Refresh) -> Result<(), Error> {
        Ok(self.store.put_meta(&meta(workspace, list), &json!(state).to_string()).await?)
    }

    async fn begin_run(
        &self,
        workspace: WorkspaceId,
        list: &str,
        cause: &str,
    ) -> Result<(Refresh, tokio::time::Instant), Error> {
        let mut state = self.refresh_of(workspace, list).await?;
        if !state.running {
            state.cause = Some(cause.to_owned());
        }
        state.started_at = Some(self.clock.now());
        state.running = true;
        self.put_refresh(workspace, list, &state).await?;
        Ok((state, tokio::time::Instant::now()))
    }

    async fn end_run(
        &self,
        workspace: WorkspaceId,
        list: &str,
        (mut state, timer): (Refresh, tokio::time::Instant),
        outcome: Result<(Changed, Gathered), Error>,
    ) -> Result<Refresh, Error> {
        state.running = false;
        state.cause = None;
        state.took_ms = timer.elapsed().as_millis() as u64;
        state.error = outcome.as_ref().err().map(ToString::to_string);
        if let Ok((changed, gathered)) = &outcome {
            (state.entered, state.exited) = (changed.entered, changed.exited);
            (state.rows, state.unknown) = (gathered.rows, gathered.unknown_count + gathered.rejected_count);
        }
        self.put_refresh(workspace, list, &state).await?;
        outcome.map(|_| state)
    }

    /// When a segment's schedule comes round next.
    pub fn next_refresh(&self, workspace: WorkspaceId, source: &Source, last: &Refresh) -> Option<Timestamp> {
        let Source::Sql { schedule: Some(pattern), timezone, .. } = source else { return None };
        let registry = self.registry(workspace);
        let zone = timezone.as_deref().or_else(|| registry.settings.get("timezone").and_then(Value::as_str));
        let schedule = Schedule::parse(pattern, zone.unwrap_or("UTC")).ok()?;
        schedule.after(last.started_at.unwrap_or(Timestamp::from_secs(0)))
    }

    fn listed_segment(&self, workspace: WorkspaceId, segment: &str) -> Result<SegmentInForce, Error> {
        let registry = self.registry(workspace);
        let found = registry.segments.get(segment).cloned();
        found.ok_or_else(|| Error::Missing(format!("There is no segment '{segment}'.")))
    }

    /// Runs a segment's query now and makes its members those that it names.
    ///
    /// # Errors
    /// `Invalid` when it has no query; what the query says otherwise, the members stay as they were then.
    pub async fn refresh(&self, workspace: WorkspaceId, segment: &str) -> Result<Refresh, Error> {
        let _one = self.lists.0.lock().await;
        self.run_query(workspace, segment).await
    }

    async fn run_query(&self, workspace: WorkspaceId, segment: &str) -> Result<Refresh, Error> {
        let found = self.listed_segment(workspace, segment)?;
        let Source::Sql { sql, .. } = &found.source else {
            let message = format!("The segment '{segment}' has no query: there is nothing to run again.");
            return Err(Error::invalid("no_query", "/sql", message));
        };
        let list = &found.list;
        let mut run = self.begin_run(workspace, list, REFRESHED).await?;
        let cause = run.0.cause.clone().unwrap_or_default();
        let outcome = match self.gather_sql(workspace, sql).await {
            Ok(gathered) => self
                .change(workspace, segment, list, Mode::Replace, &gathered, &cause, &mut run.0)
                .await
                .map(|changed| (changed, gathered)),
            Err(error) => Err(error),
        };
        self.end_run(workspace, list, run, outcome).await
    }

    /// Keeps every run away from a list, and notes that one must follow: a definition is about to be put in force.
    pub(crate) async fn hold_lists(
        &self,
        workspace: WorkspaceId,
        body: &Value,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let one = self.lists.0.lock().await;
        let list = body["list"].as_str().unwrap_or_default();
        self.begin_run(workspace, list, &segment::Cause::Definition.to_string()).await?;
        Ok(one)
    }

    /// Puts in force what a saved query named: by the definition, so that no journey begins. The caller holds the lists.
    pub(crate) async fn take_first(
        &self,
        workspace: WorkspaceId,
        segment: &str,
        gathered: Gathered,
    ) -> Result<(), Error> {
        let found = self.listed_segment(workspace, segment)?;
        let cause = segment::Cause::Definition.to_string();
        let mut run = self.begin_run(workspace, &found.list, &cause).await?;
        let outcome = self
            .change(workspace, segment, &found.list, Mode::Replace, &gathered, &cause, &mut run.0)
            .await
            .map(|changed| (changed, gathered));
        self.end_run(workspace, &found.list, run, outcome).await.map(drop)
    }

    /// Changes a static segment's list.
    ///
    /// # Errors
    /// `Missing` when there is no such segment, `Invalid` when it is not static.
    pub async fn change_members(
        &self,
        workspace: WorkspaceId,
        segment: &str,
        mode: Mode,
        gathered: &Gathered,
    ) -> Result<Changed, Error> {
        self.check_static(workspace, segment)?;
        let _one = self.lists.0.lock().await;
        let found = self.listed_segment(workspace, segment)?;
        let mut state = self.refresh_of(workspace, &found.list).await?;
        self.change(workspace, segment, &found.list, mode, gathered, UPLOADED, &mut state).await
    }

    /// Whether a segment's list can be changed by hand.
    ///
    /// # Errors
    /// `Missing` when there is no such segment, `Invalid` when it is not static.
    pub fn check_static(&self, workspace: WorkspaceId, segment: &str) -> Result<(), Error> {
        if self.listed_segment(workspace, segment)?.source == Source::Static {
            return Ok(());
        }
        let message = format!(
            "The members of '{segment}' follow from its definition: only those of a static segment are listed."
        );
        Err(Error::invalid("not_static", "", message))
    }

    async fn change(
        &self,
        workspace: WorkspaceId,
        segment: &str,
        list: &str,
        mode: Mode,
        gathered: &Gathered,
        cause: &str,
        state: &mut Refresh,
    ) -> Result<Changed, Error> {
        // What a former run has appended decides who is a member, also when a crash cut it short.
        self.step_up_to(self.log.head()).await?;
        let present: BTreeSet<ProfileId> =
            self.store.segment_members(workspace, segment).await?.into_iter().collect();
        let mut changes: BTreeMap<ProfileId, bool> = BTreeMap::new();
        if mode != Mode::Remove {
            changes.extend(gathered.ids.difference(&present).map(|id| (*id, true)));
        }
        match mode {
            Mode::Add => {}
            Mode::Remove => changes.extend(present.intersection(&gathered.ids).map(|id| (*id, false))),
            Mode::Replace => changes.extend(present.difference(&gathered.ids).map(|id| (*id, false))),
        }
        let at = self.clock.now().max(Timestamp::from_micros(state.listed_at + 1));
        state.listed_at = at.micros();
        self.put_refresh(workspace, list, state).await?;
        let all: Vec<(ProfileId, bool)> = changes.into_iter().collect();
        for some in all.chunks(CHUNK) {
            let mut appends = Vec::with_capacity(some.len());
            for (profile, on) in some {
                let event = listed(workspace, *profile, segment, list, *on, at, cause);
                appends.push(store::Append {
                    workspace,
                    message_id: event.message_id.clone(),
                    body_hash: profile::intake::body_hash(&event),
                    payload: codec::encode_event(&event)?,
                });
            }
            self.log.append(appends).await?;
        }
        self.step_up_to(self.log.head()).await?;
        let entered = all.iter().filter(|(_, on)| *on).count() as u64;
        let exited = all.len() as u64 - entered;
        Ok(Changed { entered, exited, members: present.len() as u64 + entered - exited })
    }

    /// Ends the memberships of a segment that was deleted.
    pub(crate) async fn end_memberships(&self, workspace: WorkspaceId, segment: &str) -> Result<(), Error> {
        let cause = segment::Cause::Definition.to_string();
        Ok(self.store.end_memberships(workspace, segment, self.clock.now(), &cause).await?)
    }

    async fn step_up_to(&self, head: Position) -> Result<(), Error> {
        while self.stepped.load(Ordering::Acquire) < head.0 {
            if self.step_next().await? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Runs every query whose time has come, each once however often it was missed. How many were run. None are while
    /// the lake has to be brought up to what was stepped, by who does so.
    pub(crate) async fn refresh_due(&self) -> Result<usize, Error> {
        let mut many = 0;
        for workspace in self.workspaces_in_force() {
            let registry = self.registry(workspace);
            for (id, segment) in &registry.segments {
                if !matches!(segment.source, Source::Sql { .. }) {
                    continue;
                }
                let _one = self.lists.0.lock().await;
                let last = self.last_refresh(workspace, id).await?;
                let next = self.next_refresh(workspace, &segment.source, &last);
                // No run is under way while we hold the lists: one that says so was cut short.
                if !last.running && next.is_none_or(|next| next > self.clock.now()) {
                    continue;
                }
                if self.lake.position() < self.stepped.load(Ordering::Acquire) {
                    continue;
                }
                many += 1;
                match self.run_query(workspace, id).await {
                    Ok(_) => {}
                    // The definition's fault is told beside it; the next run is the schedule's.
                    Err(error) if matches!(error.kind(), model::Kind::Invalid | model::Kind::Limited) => {
                        tracing::warn!(%error, segment = %id, "a segment's query could not be run");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(many)
    }
}

/// Runs queries when their schedules say so.
pub(crate) async fn run(platform: std::sync::Arc<Platform>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        platform.lake_caught_up().await;
        if let Err(error) = platform.refresh_due().await {
            tracing::error!(%error, "segments could not be refreshed");
            platform.faults.note("Segments", platform.clock.now(), &error);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_of_a_list_is_read_as_it_is_written() {
        for list in ["vip.1", "a \"quoted\" one.2", "größe.3"] {
            let text = condition(list).unwrap();
            let read = expr::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_document_of_two_kinds_is_refused() {
        for body in [
            json!({"where": "a = 1", "static": true}),
            json!({"sql": "SELECT 1", "static": true}),
            json!({"where": "a = 1", "schedule": "0 3 * * *"}),
        ] {
            assert!(Source::of(&body).is_err(), "{body}");
        }
    }
}
