//! Segments: definitions with their members, previews, explanations.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::{DefinitionKind, Draft, Platform};
use model::time::{DAY, MINUTE};
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use store::DefinitionRow;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::conditions::{Condition, Where};
use crate::extract::{Ask, At, Body};
use crate::profiles::{self, ProfileRow};
use crate::shape::{Listing, Paging, Time};
use crate::{App, Problem};

/// Days of a trend, today's the last.
const TREND_DAYS: usize = 30;
/// Changes are summed over so long; every time zone's midnight is a multiple of it.
const TREND_GRAIN: i64 = 15 * MINUTE;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(preview))
        .routes(routes!(explain))
        .routes(routes!(one, put, remove))
        .routes(routes!(members))
        .routes(routes!(history))
        .routes(routes!(explain_segment))
        .merge(crate::lists::routes())
}

/// A segment in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its condition.
    #[serde(rename = "where")]
    pub condition: String,
    /// Members now.
    pub count: i64,
    /// condition, sql or static: where its members come from.
    pub kind: String,
    /// live.
    pub status: String,
    /// When it was last changed.
    pub updated_at: Time,
    /// Members at the end of each of the last 30 days of the workspace, the last is now.
    pub trend: Vec<i64>,
}

/// A segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Segment {
    /// The row.
    #[serde(flatten)]
    pub row: SegmentRow,
    /// Its condition in plain English.
    pub sentence: String,
    /// Its condition as a tree.
    pub json: Value,
    /// Its query, schedule and last refresh; null when it has none.
    pub query: Option<crate::lists::SegmentQuery>,
    /// Its versions, newest first.
    pub versions: Vec<SegmentVersion>,
}

/// A version of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentVersion {
    /// From 1.
    pub version: i64,
    /// When it was written.
    pub at: Time,
    /// Who wrote it.
    pub author: String,
    /// Its condition; empty when its members are listed.
    #[serde(rename = "where")]
    pub condition: String,
    /// Its query; null when it has none.
    pub sql: Option<String>,
}

/// What a segment is made from: one of where, sql and static.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SegmentDraft {
    /// Its id; made from the name when absent.
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Its condition, as text or as a tree.
    #[serde(rename = "where", default)]
    pub condition: Where,
    /// A SELECT whose column profile_id, user_id or email names its members.
    pub sql: Option<String>,
    /// When the query is run again, as cron says it: `0 3 * * *`.
    pub schedule: Option<String>,
    /// The time zone of the schedule; the workspace's otherwise.
    pub timezone: Option<String>,
    /// Its members are listed by hand, by programs or by rules.
    #[serde(rename = "static", default)]
    pub is_static: bool,
}

fn field(row: &DefinitionRow, name: &str) -> String {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    body[name].as_str().unwrap_or_default().to_owned()
}

fn segment_row(row: &DefinitionRow, count: i64, trend: Vec<i64>) -> SegmentRow {
    SegmentRow {
        id: row.id.clone(),
        name: row.name.clone(),
        description: field(row, "description"),
        condition: field(row, "where"),
        kind: crate::lists::source(row).name().to_owned(),
        count,
        status: row.status.clone(),
        updated_at: row.at.into(),
        trend,
    }
}

/// What entries and exits add up to, for each segment, by the day of the workspace (0 is today).
type Changes = HashMap<String, BTreeMap<usize, i64>>;

async fn changes(platform: &Platform, workspace: WorkspaceId) -> Result<Changes, Problem> {
    let zone = platform.registry(workspace).zone.clone();
    let now = platform.clock.now();
    let date = |at: Timestamp| at.to_jiff().to_zoned_datetime(zone.clone()).date();
    let today = date(now);
    let since = now - (TREND_DAYS as i64 + 1) * DAY;
    let mut out = Changes::new();
    for (segment, at, net) in platform.store.membership_changes(workspace, since, TREND_GRAIN).await? {
        let ago = (today - date(at)).get_days().max(0) as usize;
        *out.entry(segment).or_default().entry(ago).or_default() += net;
    }
    Ok(out)
}

/// Members at the end of each day, from the members now and what changed since.
fn trend(count: i64, changes: Option<&BTreeMap<usize, i64>>) -> Vec<i64> {
    let mut members = count;
    let mut out = Vec::with_capacity(TREND_DAYS);
    for ago in 0..TREND_DAYS {
        out.push(members.max(0));
        members -= changes.and_then(|days| days.get(&ago)).copied().unwrap_or(0);
    }
    out.reverse();
    out
}

/// All segments with their live counts.
#[utoipa::path(get, path = "/api/segments", tag = "segments", operation_id = "segments", responses((status = 200, body = Listing<SegmentRow>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<SegmentRow>>, Problem> {
    let store = &app.platform.store;
    let counts: HashMap<String, i64> = store.segment_counts(ws.0).await?.into_iter().collect();
    let changes = changes(&app.platform, ws.0).await?;
    let rows = store.definitions(ws.0, "segment").await?;
    let row = |row: &DefinitionRow| {
        let count = counts.get(&row.id).copied().unwrap_or(0);
        segment_row(row, count, trend(count, changes.get(&row.id)))
    };
    Ok(Json(Listing::all(rows.iter().map(row).collect())))
}

async fn assemble(platform: &Platform, workspace: WorkspaceId, id: &str) -> Result<Segment, Problem> {
    let versions = platform.store.versions(workspace, DefinitionKind::Segment.name(), id).await?;
    let current = versions.first().filter(|row| row.status != "deleted");
    let current = current.ok_or_else(|| Problem::missing(&format!("There is no segment '{id}'.")))?;
    let counts = platform.store.segment_counts(workspace).await?;
    let count = counts.into_iter().find(|(known, _)| known == id).map_or(0, |(_, count)| count);
    let changes = changes(platform, workspace).await?;
    let row = segment_row(current, count, trend(count, changes.get(id)));
    let source = crate::lists::source(current);
    let (sentence, json) = match crate::lists::sentence(&source) {
        Some(sentence) => (sentence, Value::Null),
        None => {
            let check = platform.check(workspace, &row.condition);
            (check.sentence, check.json)
        }
    };
    let query = crate::lists::segment_query(platform, workspace, id, source).await?;
    let version = |row: &DefinitionRow| SegmentVersion {
        version: row.version,
        at: row.at.into(),
        author: row.author.clone(),
        condition: field(row, "where"),
        sql: Some(field(row, "sql")).filter(|sql| !sql.is_empty()),
    };
    let versions = versions.iter().map(version).collect();
    Ok(Segment { row, sentence, json, query, versions })
}

/// One segment with its versions.
#[utoipa::path(get, path = "/api/segments/{id}", tag = "segments", operation_id = "segment", params(("id" = String, Path)), responses((status = 200, body = Segment)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Segment>, Problem> {
    Ok(Json(assemble(&app.platform, ws.0, &id).await?))
}

async fn save(app: &App, ws: Ws, id: Option<String>, draft: SegmentDraft) -> Result<Segment, Problem> {
    let text = draft.condition.clone().text(&app.platform, ws.0)?;
    let body = crate::lists::document(&draft, &text);
    let draft = Draft { id: id.or(draft.id), name: draft.name, body };
    let row = crate::fills::save(app, ws, DefinitionKind::Segment, draft).await?;
    assemble(&app.platform, ws.0, &row.id).await
}

/// Makes a segment, fills it from history and keeps it true from then on.
#[utoipa::path(post, path = "/api/segments", tag = "segments", operation_id = "create_segment", request_body = SegmentDraft, responses((status = 201, body = Segment)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<SegmentDraft>,
) -> Result<(StatusCode, Json<Segment>), Problem> {
    Ok((StatusCode::CREATED, Json(save(&app, ws, None, draft).await?)))
}

/// Writes a new version of a segment and puts it in force.
#[utoipa::path(put, path = "/api/segments/{id}", tag = "segments", operation_id = "put_segment", params(("id" = String, Path)), request_body = SegmentDraft, responses((status = 200, body = Segment)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<SegmentDraft>,
) -> Result<Json<Segment>, Problem> {
    Ok(Json(save(&app, ws, Some(id), draft).await?))
}

/// Takes a segment out of force; its versions are kept.
#[utoipa::path(delete, path = "/api/segments/{id}", tag = "segments", operation_id = "delete_segment", params(("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    app.platform.delete_definition(ws.0, DefinitionKind::Segment, &id, "console").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many, and who.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Profiles for whom the condition holds.
    pub count: i64,
    /// Profiles asked.
    pub total: i64,
    /// Some of them.
    pub sample: Vec<ProfileRow>,
    /// How long it took.
    pub took_ms: u64,
    /// The condition in plain English.
    pub sentence: String,
}

/// Counts for whom a condition holds, over all history.
#[utoipa::path(post, path = "/api/segments/preview", tag = "segments", operation_id = "preview_segment", request_body = Condition, responses((status = 200, body = Preview)))]
async fn preview(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<Condition>,
) -> Result<Json<Preview>, Problem> {
    let found = crate::lists::preview(&app, ws, ask).await?;
    Ok(Json(Preview {
        count: found.count as i64,
        total: found.total as i64,
        sample: profiles::rows_of(&app.platform, ws.0, &found.sample).await?,
        took_ms: found.took_ms,
        sentence: found.sentence,
    }))
}

/// A condition and a profile.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ExplainRequest {
    /// The condition, as text or as a tree.
    #[serde(rename = "where", default)]
    pub condition: Where,
    /// The profile.
    pub profile: i64,
}

/// Why a condition holds for a profile, or does not.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// Whether it holds.
    pub holds: bool,
    /// When that changes if nothing happens.
    pub changes_at: Option<Time>,
    /// Part by part.
    pub tree: Explained,
}

/// A part of a condition.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explained {
    /// The part, as text of the language; `and`, `or`, `not` for groups.
    pub text: String,
    /// In plain English.
    pub sentence: String,
    /// Whether it holds.
    pub holds: bool,
    /// The value that was tested.
    pub value: Option<String>,
    /// The deciding events, latest first.
    pub evidence: Vec<Evidence>,
    /// When it changes if nothing happens.
    pub until: Option<Time>,
    /// The parts of a group.
    #[schema(no_recursion)]
    pub children: Vec<Explained>,
}

/// An event that decided a part.
#[derive(Debug, Serialize, ToSchema)]
pub struct Evidence {
    /// Its name.
    pub name: String,
    /// When it happened.
    pub at: Time,
}

pub(crate) fn explained(tree: segment::Explanation) -> Explained {
    let evidence = tree.evidence.into_iter().map(|event| Evidence { name: event.name, at: event.at.into() });
    Explained {
        text: tree.text,
        sentence: tree.sentence,
        holds: tree.holds,
        value: tree.value,
        evidence: evidence.collect(),
        until: tree.until.map(Time::from),
        children: tree.children.into_iter().map(explained).collect(),
    }
}

async fn explanation(app: &App, ws: Ws, text: &str, profile: i64) -> Result<Json<Explanation>, Problem> {
    let tree = app.platform.explain(ws.0, text, ProfileId(profile)).await?;
    Ok(Json(Explanation { holds: tree.holds, changes_at: tree.until.map(Time::from), tree: explained(tree) }))
}

/// Explains a condition for one profile.
#[utoipa::path(post, path = "/api/segments/explain", tag = "segments", operation_id = "explain_condition", request_body = ExplainRequest, responses((status = 200, body = Explanation)))]
async fn explain(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<ExplainRequest>,
) -> Result<Json<Explanation>, Problem> {
    let text = ask.condition.text(&app.platform, ws.0)?;
    explanation(&app, ws, &text, ask.profile).await
}

/// For whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ForWhom {
    /// The profile.
    pub profile: i64,
}

/// Explains why a profile is in a segment, or is not.
#[utoipa::path(get, path = "/api/segments/{id}/explain", tag = "segments", operation_id = "explain_segment", params(("id" = String, Path), ForWhom), responses((status = 200, body = Explanation)))]
async fn explain_segment(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(ask): Ask<ForWhom>,
) -> Result<Json<Explanation>, Problem> {
    let condition = app.platform.registry(ws.0).segments.get(&id).map(|segment| segment.condition.clone());
    let condition = condition.ok_or_else(|| Problem::missing(&format!("There is no segment '{id}'.")))?;
    explanation(&app, ws, &condition, ask.profile).await
}

/// The members of a segment, the most recently seen first.
#[utoipa::path(get, path = "/api/segments/{id}/members", tag = "segments", operation_id = "segment_members", params(("id" = String, Path), Paging), responses((status = 200, body = Listing<ProfileRow>)))]
async fn members(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<ProfileRow>>, Problem> {
    exists(&app, ws, &id).await?;
    let which = profiles::Which { segment: Some(id), ..profiles::Which::default() };
    Ok(Json(profiles::listing(&app.platform, ws.0, &which, &paging).await?))
}

pub(crate) async fn exists(app: &App, ws: Ws, id: &str) -> Result<(), Problem> {
    let found = app.platform.definition(ws.0, DefinitionKind::Segment, id).await?;
    found.map(|_| ()).ok_or_else(|| Problem::missing(&format!("There is no segment '{id}'.")))
}

/// An entry into a segment, or an exit.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the name in JSON")]
pub struct Change {
    /// When.
    pub at: Time,
    /// Who.
    pub profile_id: i64,
    /// What to call them; null when the profile is gone.
    pub display: Option<String>,
    /// entered or exited.
    pub change: String,
    /// Why.
    pub cause: String,
}

/// Entries and exits of a segment, newest first.
#[utoipa::path(get, path = "/api/segments/{id}/history", tag = "segments", operation_id = "segment_history", params(("id" = String, Path), Paging), responses((status = 200, body = Listing<Change>)))]
async fn history(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<Change>>, Problem> {
    exists(&app, ws, &id).await?;
    let store = &app.platform.store;
    let mut rows = store.segment_history(ws.0, &id, paging.from(i64::MAX), paging.ask()).await?;
    let next_cursor = paging.cut(&mut rows, |row| row.0.to_string());
    let ids: Vec<ProfileId> = rows.iter().map(|row| row.1).collect();
    let people = profiles::rows_of(&app.platform, ws.0, &ids).await?;
    let names: HashMap<i64, String> =
        people.into_iter().map(|row| (row.person.id, row.person.display)).collect();
    let change = |(_, profile, at, entered, cause): (i64, ProfileId, Timestamp, bool, String)| Change {
        at: at.into(),
        profile_id: profile.0,
        display: names.get(&profile.0).cloned(),
        change: if entered { "entered" } else { "exited" }.to_owned(),
        cause,
    };
    Ok(Json(Listing { items: rows.into_iter().map(change).collect(), next_cursor, total: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_ends_with_the_members_now_and_undoes_what_changed() {
        let changes = BTreeMap::from([(0, 2), (2, -1)]);
        let trend = trend(10, Some(&changes));
        assert_eq!(trend.len(), TREND_DAYS);
        assert_eq!(trend[TREND_DAYS - 4..], [9, 8, 8, 10]);
        assert_eq!(super::trend(3, None), vec![3; TREND_DAYS]);
    }
}
