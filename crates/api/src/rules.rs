//! Rules: definitions with what they did, pause and resume, firings, and the report that compares.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::{DefinitionKind, Draft, Firing, Likely};
use model::time::DAY;
use model::{ProfileId, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::DefinitionRow;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::profiles;
use crate::shape::{Listing, Paging, Time};
use crate::{App, Problem};

/// Days that a list sums over.
const LIST_DAYS: i64 = 30;
/// Days that a report looks back on when none are given.
const REPORT_DAYS: i64 = 90;
/// Days that firings are listed for.
const FIRINGS_DAYS: i64 = 366;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, put, remove))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(firings))
        .routes(routes!(report))
}

/// What a rule is made from.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RuleDraft {
    /// Its id; made from the name when absent.
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The document: where, every_seconds, actions; on, fire_on_save, goal, description, threshold, time_frame, owner,
    /// review_at.
    pub definition: Value,
}

/// A rule in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// live or paused.
    pub status: String,
    /// Its condition.
    #[serde(rename = "where")]
    pub condition: String,
    /// Who answers for it.
    pub owner: String,
    /// The day on which it is due for review; null when none was set.
    pub review_at: Option<String>,
    /// That day has come.
    pub review_due: bool,
    /// Firings in the last 30 days.
    pub fired_30_days: i64,
    /// The last firing in the last 30 days.
    pub last_fired_at: Option<Time>,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rule {
    /// The row.
    #[serde(flatten)]
    pub row: RuleRow,
    /// Its condition in plain English.
    pub sentence: String,
    /// Its version.
    pub version: i64,
    /// The document.
    pub definition: Value,
    /// Its versions, newest first.
    pub versions: Vec<Version>,
}

/// A version of a rule or a decision table.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the name in JSON")]
pub struct Version {
    /// From 1.
    pub version: i64,
    /// When it was written.
    pub at: Time,
    /// Who wrote it.
    pub author: String,
    /// live, paused or deleted.
    pub status: String,
    /// The document.
    pub definition: Value,
}

pub(crate) fn version(row: &DefinitionRow) -> Version {
    Version {
        version: row.version,
        at: row.at.into(),
        author: row.author.clone(),
        status: row.status.clone(),
        definition: serde_json::from_str(&row.body).unwrap_or_default(),
    }
}

async fn recent(app: &App, ws: Ws) -> Result<HashMap<String, (i64, model::Timestamp)>, Problem> {
    let since = app.platform.clock.now() - LIST_DAYS * DAY;
    let mut out: HashMap<String, (i64, model::Timestamp)> = HashMap::new();
    for firing in app.platform.firings(ws.0, since).await? {
        let row = out.entry(firing.rule).or_insert((0, firing.at));
        *row = (row.0 + 1, row.1.max(firing.at));
    }
    Ok(out)
}

fn rule_row(app: &App, ws: Ws, row: &DefinitionRow, recent: Option<&(i64, model::Timestamp)>) -> RuleRow {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let review_at = body["review_at"].as_str().map(str::to_owned);
    let zone = app.platform.registry(ws.0).zone.clone();
    let today = app.platform.clock.now().to_jiff().to_zoned_datetime(zone).date().to_string();
    RuleRow {
        id: row.id.clone(),
        name: row.name.clone(),
        description: text("description"),
        status: row.status.clone(),
        condition: text("where"),
        owner: text("owner"),
        review_due: review_at.as_ref().is_some_and(|day| *day <= today),
        review_at,
        fired_30_days: recent.map_or(0, |recent| recent.0),
        last_fired_at: recent.map(|recent| recent.1.into()),
        updated_at: row.at.into(),
    }
}

async fn assemble(app: &App, ws: Ws, id: &str) -> Result<Rule, Problem> {
    let versions = app.platform.store.versions(ws.0, DefinitionKind::Rule.name(), id).await?;
    let current = versions.first().filter(|row| row.status != "deleted");
    let current = current.ok_or_else(|| Problem::missing(&format!("There is no rule '{id}'.")))?;
    let recent = recent(app, ws).await?;
    let row = rule_row(app, ws, current, recent.get(id));
    let sentence = app.platform.check(ws.0, &row.condition).sentence;
    Ok(Rule {
        row,
        sentence,
        version: current.version,
        definition: serde_json::from_str(&current.body).unwrap_or_default(),
        versions: versions.iter().map(version).collect(),
    })
}

/// All rules, with how often each fired.
#[utoipa::path(get, path = "/api/rules", tag = "rules", operation_id = "rules", responses((status = 200, body = Listing<RuleRow>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<RuleRow>>, Problem> {
    let recent = recent(&app, ws).await?;
    let rows = app.platform.store.definitions(ws.0, DefinitionKind::Rule.name()).await?;
    let row = |row: &DefinitionRow| rule_row(&app, ws, row, recent.get(&row.id));
    Ok(Json(Listing::all(rows.iter().map(row).collect())))
}

/// One rule with its versions.
#[utoipa::path(get, path = "/api/rules/{id}", tag = "rules", operation_id = "rule", params(("id" = String, Path)), responses((status = 200, body = Rule)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Rule>, Problem> {
    Ok(Json(assemble(&app, ws, &id).await?))
}

async fn save(app: &App, ws: Ws, id: Option<String>, draft: RuleDraft) -> Result<Rule, Problem> {
    let draft = Draft { id: id.or(draft.id), name: draft.name, body: draft.definition };
    let row = crate::fills::save(app, ws, DefinitionKind::Rule, draft).await?;
    assemble(app, ws, &row.id).await
}

/// Makes a rule and puts it in force; it fires for those whom it finds already only when `fire_on_save` says so.
#[utoipa::path(post, path = "/api/rules", tag = "rules", operation_id = "create_rule", request_body = RuleDraft, responses((status = 201, body = Rule)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<RuleDraft>,
) -> Result<(StatusCode, Json<Rule>), Problem> {
    Ok((StatusCode::CREATED, Json(save(&app, ws, None, draft).await?)))
}

/// Writes a new version of a rule and puts it in force.
#[utoipa::path(put, path = "/api/rules/{id}", tag = "rules", operation_id = "put_rule", params(("id" = String, Path)), request_body = RuleDraft, responses((status = 200, body = Rule)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<RuleDraft>,
) -> Result<Json<Rule>, Problem> {
    Ok(Json(save(&app, ws, Some(id), draft).await?))
}

/// Takes a rule out of force; its versions and firings are kept.
#[utoipa::path(delete, path = "/api/rules/{id}", tag = "rules", operation_id = "delete_rule", params(("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    app.platform.delete_definition(ws.0, DefinitionKind::Rule, &id, "console").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pauses a rule: it goes on knowing for whom it holds and does not fire.
#[utoipa::path(post, path = "/api/rules/{id}/pause", tag = "rules", operation_id = "pause_rule", params(("id" = String, Path)), responses((status = 200, body = Rule)))]
async fn pause(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Rule>, Problem> {
    app.platform.set_definition_status(ws.0, DefinitionKind::Rule, &id, "paused", "console").await?;
    Ok(Json(assemble(&app, ws, &id).await?))
}

/// Lets a paused rule fire again, from then on.
#[utoipa::path(post, path = "/api/rules/{id}/resume", tag = "rules", operation_id = "resume_rule", params(("id" = String, Path)), responses((status = 200, body = Rule)))]
async fn resume(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Rule>, Problem> {
    app.platform.set_definition_status(ws.0, DefinitionKind::Rule, &id, "live", "console").await?;
    Ok(Json(assemble(&app, ws, &id).await?))
}

/// A firing of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleFiring {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Time,
    /// For whom.
    pub profile_id: i64,
    /// What to call them; null when the profile is gone.
    pub display: Option<String>,
    /// Why.
    pub cause: String,
    /// What was done, each with `done`, a granted code with `code`.
    pub actions: Value,
}

/// Firings of a rule in the last year, newest first.
#[utoipa::path(get, path = "/api/rules/{id}/firings", tag = "rules", operation_id = "rule_firings", params(("id" = String, Path), Paging), responses((status = 200, body = Listing<RuleFiring>)))]
async fn firings(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<RuleFiring>>, Problem> {
    exists(&app, ws, &id).await?;
    let since = app.platform.clock.now() - FIRINGS_DAYS * DAY;
    let mut rows: Vec<Firing> = app.platform.firings(ws.0, since).await?;
    rows.retain(|firing| firing.rule == id);
    let total = rows.len() as i64;
    rows.reverse();
    let mut rows: Vec<Firing> =
        rows.into_iter().skip(paging.offset() as usize).take(paging.ask() as usize).collect();
    let next_cursor = paging.cut_counted(&mut rows);
    let ids: Vec<ProfileId> = rows.iter().map(|row| row.profile).collect();
    let people = profiles::rows_of(&app.platform, ws.0, &ids).await?;
    let names: HashMap<i64, String> =
        people.into_iter().map(|row| (row.person.id, row.person.display)).collect();
    let firing = |row: Firing| RuleFiring {
        id: row.id,
        at: row.at.into(),
        profile_id: row.profile.0,
        display: names.get(&row.profile.0).cloned(),
        cause: row.cause,
        actions: row.actions,
    };
    Ok(Json(Listing { items: rows.into_iter().map(firing).collect(), next_cursor, total: Some(total) }))
}

async fn exists(app: &App, ws: Ws, id: &str) -> Result<(), Problem> {
    let found = app.platform.definition(ws.0, DefinitionKind::Rule, id).await?;
    found.map(|_| ()).ok_or_else(|| Problem::missing(&format!("There is no rule '{id}'.")))
}

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Days {
    /// Days to look back on, 1 to 366; 90 otherwise.
    pub days: Option<i64>,
}

/// What a rule did, and what those it fired for did afterwards beside those just below its threshold.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleReport {
    /// Days looked back on.
    pub days: i64,
    /// Firings.
    pub firings: u64,
    /// People it fired for.
    pub people: u64,
    /// The last firing.
    pub last_at: Option<Time>,
    /// Firings by the day of the workspace, oldest first.
    pub by_day: Vec<FiringsOfDay>,
    /// What is hoped for: the event.
    pub goal_event: String,
    /// Within how many days.
    pub goal_days: i64,
    /// Those it fired for.
    pub fired: RuleGroup,
    /// Those just below the threshold; null when nobody can be.
    pub near: Option<RuleGroup>,
    /// Who those just below are, or why there are none.
    pub near_is: String,
    /// The difference of the two shares; null when a group is empty.
    pub difference: Option<RuleDifference>,
    /// In plain English.
    pub sentence: String,
}

/// Firings of a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiringsOfDay {
    /// The day.
    pub day: String,
    /// Firings.
    pub count: u64,
}

/// A group of people and how many of them did what is hoped for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleGroup {
    /// Those whose days are over.
    pub people: u64,
    /// Those of them who did it.
    pub did: u64,
    /// Those whose days are not over yet; they are not counted.
    pub open: u64,
}

/// A difference of shares with its interval of 95 % (Newcombe).
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDifference {
    /// The difference, -1 to 1.
    pub value: f64,
    /// The interval's low end.
    pub low: f64,
    /// The interval's high end.
    pub high: f64,
}

/// How often a rule fired, and what followed.
#[utoipa::path(get, path = "/api/rules/{id}/report", tag = "rules", operation_id = "rule_report", params(("id" = String, Path), Days), responses((status = 200, body = RuleReport)))]
async fn report(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(ask): Ask<Days>,
) -> Result<Json<RuleReport>, Problem> {
    exists(&app, ws, &id).await?;
    let days = ask.days.unwrap_or(REPORT_DAYS).clamp(1, 366);
    let report = app.platform.rule_report(ws.0, &id, days).await?;
    let goal =
        app.platform.registry(ws.0).rules.get(&id).map(|rule| rule.rule.goal.clone()).unwrap_or_default();
    let group = |group: Likely| RuleGroup { people: group.people, did: group.did, open: group.open };
    let difference = report.difference.map(|(value, low, high)| RuleDifference { value, low, high });
    Ok(Json(RuleReport {
        days,
        firings: report.firings,
        people: report.people,
        last_at: report.last_at.map(Time::from),
        by_day: report.by_day.into_iter().map(|(day, count)| FiringsOfDay { day, count }).collect(),
        goal_event: goal.event,
        goal_days: goal.days,
        fired: group(report.fired),
        near: report.near.map(group),
        near_is: report.near_is,
        difference,
        sentence: report.sentence,
    }))
}

/// The document of a draft: an object.
pub(crate) fn document(definition: &Value) -> Value {
    if definition.is_object() { definition.clone() } else { json!({}) }
}
