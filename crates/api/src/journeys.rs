//! Journeys: definitions with their counts, pause and resume, entries.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::{DefinitionKind, Draft, Platform};
use model::{Timestamp, Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::profiles;
use crate::shape::{Listing, Paging, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, put))
        .routes(routes!(entries))
        .routes(routes!(pause))
        .routes(routes!(resume))
}

/// A journey in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct JourneyRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// live or paused.
    pub status: String,
    /// Entries so far.
    pub entered: i64,
    /// Entries under way.
    pub active: i64,
    /// Entries that came to their end.
    pub completed: i64,
    /// Entries that left before.
    pub exited: i64,
    /// Messages it planned.
    pub messages: i64,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A journey.
#[derive(Debug, Serialize, ToSchema)]
pub struct Journey {
    /// The row.
    #[serde(flatten)]
    pub row: JourneyRow,
    /// Why the server paused it; nothing when a person did.
    pub paused_because: Option<String>,
    /// The document: trigger, nodes, exits.
    pub definition: Value,
    /// Its version.
    pub version: i64,
    /// For each node, how many wait there and passed.
    pub counts: BTreeMap<String, NodeCount>,
    /// How entries ended, and how often.
    pub exits: BTreeMap<String, i64>,
}

/// How many are at a node.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeCount {
    /// Waiting there now.
    pub waiting: i64,
    /// Went on.
    pub passed: i64,
}

/// What a journey is made from.
#[derive(Debug, Deserialize, ToSchema)]
pub struct JourneyDraft {
    /// Its id; made from the name when absent.
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The document: trigger, nodes, exits.
    pub definition: Value,
}

/// One passage of one profile.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the name in JSON")]
pub struct Entry {
    /// Its id.
    pub entry_id: String,
    /// The journey.
    pub journey_id: String,
    /// The journey's name, while it is in force.
    pub journey_name: Option<String>,
    /// Who.
    pub profile_id: i64,
    /// What to call them.
    pub display: String,
    /// The node it is at.
    pub node: String,
    /// The entry key.
    pub key: String,
    /// When it began.
    pub entered_at: Time,
    /// When it goes on by itself.
    pub due_at: Option<Time>,
    /// When it ended.
    pub exited_at: Option<Time>,
    /// How it ended.
    pub exit_reason: Option<String>,
}

impl Entry {
    pub(crate) fn of(row: &store::EntryRow, registry: &flow::registry::Registry) -> Entry {
        Entry {
            entry_id: row.id.clone(),
            journey_id: row.journey.clone(),
            journey_name: registry.journeys.get(&row.journey).map(|journey| journey.name.clone()),
            profile_id: row.profile.0,
            display: format!("Profile {}", row.profile),
            node: row.node.clone(),
            key: row.key.clone(),
            entered_at: row.entered_at.into(),
            due_at: row.due_at.map(Time::from),
            exited_at: row.exited_at.map(Time::from),
            exit_reason: row.exit_reason.clone(),
        }
    }
}

pub(crate) async fn rows(platform: &Platform, workspace: WorkspaceId) -> Result<Vec<JourneyRow>, Problem> {
    let counts = platform.store.journey_counts(workspace).await?;
    let counts: HashMap<String, (i64, i64)> =
        counts.into_iter().map(|(id, entered, active)| (id, (entered, active))).collect();
    let completed: HashMap<String, i64> =
        platform.store.completed_counts(workspace).await?.into_iter().collect();
    let stored = platform.store.definitions(workspace, "journey").await?;
    let mut out = Vec::with_capacity(stored.len());
    for row in stored {
        let (entered, active) = counts.get(&row.id).copied().unwrap_or_default();
        let completed = completed.get(&row.id).copied().unwrap_or(0);
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        out.push(JourneyRow {
            messages: platform.store.journey_messages(workspace, &row.id).await?,
            id: row.id,
            name: row.name,
            description: body["description"].as_str().map(str::to_owned),
            status: row.status,
            entered,
            active,
            completed,
            exited: entered - active - completed,
            updated_at: row.at.into(),
        });
    }
    Ok(out)
}

async fn assemble(platform: &Platform, workspace: WorkspaceId, id: &str) -> Result<Journey, Problem> {
    let missing = || Problem::missing(&format!("There is no journey '{id}'."));
    let found = platform.definition(workspace, DefinitionKind::Journey, id).await?.ok_or_else(missing)?;
    let row = rows(platform, workspace).await?.into_iter().find(|row| row.id == id).ok_or_else(missing)?;
    let nodes = platform.store.node_counts(workspace, id).await?;
    let paused = row.status == "paused";
    Ok(Journey {
        row,
        paused_because: platform.paused_because(workspace, id).await?.filter(|_| paused),
        definition: serde_json::from_str(&found.body).unwrap_or_default(),
        version: found.version,
        counts: nodes
            .into_iter()
            .map(|(node, waiting, passed)| (node, NodeCount { waiting, passed }))
            .collect(),
        exits: platform.store.exit_counts(workspace, id).await?.into_iter().collect(),
    })
}

/// All journeys with their counts.
#[utoipa::path(get, path = "/api/journeys", tag = "journeys", operation_id = "journeys", responses((status = 200, body = Listing<JourneyRow>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<JourneyRow>>, Problem> {
    Ok(Json(Listing::all(rows(&app.platform, ws.0).await?)))
}

async fn save(app: &App, ws: Ws, id: Option<String>, draft: JourneyDraft) -> Result<Journey, Problem> {
    let draft = Draft { id: id.or(draft.id), name: draft.name, body: draft.definition };
    let row = app.platform.save_definition(ws.0, DefinitionKind::Journey, draft, "api").await?;
    assemble(&app.platform, ws.0, &row.id).await
}

/// Makes a journey, or a new version of it, and puts it in force.
#[utoipa::path(post, path = "/api/journeys", tag = "journeys", operation_id = "create_journey", request_body = JourneyDraft, responses((status = 201, body = Journey)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<JourneyDraft>,
) -> Result<(StatusCode, Json<Journey>), Problem> {
    Ok((StatusCode::CREATED, Json(save(&app, ws, None, draft).await?)))
}

/// One journey with the counts of its nodes.
#[utoipa::path(get, path = "/api/journeys/{id}", tag = "journeys", operation_id = "journey", params(("id" = String, Path)), responses((status = 200, body = Journey)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Journey>, Problem> {
    Ok(Json(assemble(&app.platform, ws.0, &id).await?))
}

/// Writes a new version of a journey and puts it in force.
#[utoipa::path(put, path = "/api/journeys/{id}", tag = "journeys", operation_id = "put_journey", params(("id" = String, Path)), request_body = JourneyDraft, responses((status = 200, body = Journey)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<JourneyDraft>,
) -> Result<Json<Journey>, Problem> {
    Ok(Json(save(&app, ws, Some(id), draft).await?))
}

async fn set_status(app: &App, ws: Ws, id: &str, status: &str) -> Result<Json<Journey>, Problem> {
    app.platform.set_definition_status(ws.0, DefinitionKind::Journey, id, status, "api").await?;
    Ok(Json(assemble(&app.platform, ws.0, id).await?))
}

/// Takes no new entries and sends nothing until it is resumed.
#[utoipa::path(post, path = "/api/journeys/{id}/pause", tag = "journeys", params(("id" = String, Path)), responses((status = 200, body = Journey)))]
async fn pause(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Journey>, Problem> {
    set_status(&app, ws, &id, "paused").await
}

/// Goes on after a pause.
#[utoipa::path(post, path = "/api/journeys/{id}/resume", tag = "journeys", params(("id" = String, Path)), responses((status = 200, body = Journey)))]
async fn resume(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Journey>, Problem> {
    set_status(&app, ws, &id, "live").await
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Those that are at this node now.
    node: Option<String>,
}

/// The entries of a journey, newest first.
#[utoipa::path(get, path = "/api/journeys/{id}/entries", tag = "journeys", params(("id" = String, Path), Which, Paging), responses((status = 200, body = Listing<Entry>)))]
async fn entries(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(which): Ask<Which>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<Entry>>, Problem> {
    if app.platform.definition(ws.0, DefinitionKind::Journey, &id).await?.is_none() {
        return Err(Problem::missing(&format!("There is no journey '{id}'.")));
    }
    let after = paging.cursor.as_deref().and_then(|text| text.split_once(':'));
    let after = after.and_then(|(at, id)| Some((Timestamp::from_micros(at.parse().ok()?), id.to_owned())));
    let mut rows = app
        .platform
        .store
        .entries_before(ws.0, Some(&id), None, after.as_ref(), which.node.as_deref(), paging.ask())
        .await?;
    let next_cursor = paging.cut(&mut rows, |row| format!("{}:{}", row.entered_at.micros(), row.id));
    let ids: Vec<_> = rows.iter().map(|row| row.profile).collect();
    let people = profiles::rows_of(&app.platform, ws.0, &ids).await?;
    let names: HashMap<i64, String> =
        people.into_iter().map(|row| (row.person.id, row.person.display)).collect();
    let registry = app.platform.registry(ws.0);
    let entry = |row: &store::EntryRow| {
        let mut shown = Entry::of(row, &registry);
        if let Some(name) = names.get(&shown.profile_id) {
            shown.display.clone_from(name);
        }
        shown
    };
    Ok(Json(Listing { items: rows.iter().map(entry).collect(), next_cursor, total: None }))
}
