//! Definitions on their way into force: how far the fill from history is, and letting it rest, go on or be given up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::{DefinitionKind, Draft, Filling};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::At;
use crate::shape::{Listing, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}

/// A definition that is being filled from history.
#[derive(Debug, Serialize, ToSchema)]
pub struct FillRow {
    /// Names the fill: `kind:id` of the definition.
    pub id: String,
    /// segment, trait, rule, table, journey or template.
    pub kind: String,
    /// The definition's id.
    pub definition: String,
    /// Its name.
    pub name: String,
    /// No version of it is in force yet.
    pub is_new: bool,
    /// history while events are read and the former version holds; profiles while the new one is in force and goes from
    /// profile to profile.
    pub phase: String,
    /// running, paused or cancelling.
    pub state: String,
    /// Events of history that were read.
    pub history_events: u64,
    /// No more than so many are to be read.
    pub history_events_max: u64,
    /// Profiles that were decided.
    pub profiles_done: u64,
    /// Profiles there are; 0 while history is read.
    pub profiles_total: u64,
    /// When it began.
    pub started_at: Time,
}

impl FillRow {
    fn of(fill: Filling) -> FillRow {
        let state = match (fill.is_cancelled, fill.is_paused) {
            (true, _) => "cancelling",
            (false, true) => "paused",
            (false, false) => "running",
        };
        FillRow {
            id: fill.key,
            kind: fill.kind,
            definition: fill.id,
            name: fill.name,
            is_new: fill.is_new,
            phase: if fill.is_in_force { "profiles" } else { "history" }.to_owned(),
            state: state.to_owned(),
            history_events: fill.history_events,
            history_events_max: fill.history_events_max,
            profiles_done: fill.profiles_done,
            profiles_total: fill.profiles_total,
            started_at: fill.started_at.into(),
        }
    }
}

/// Saves a definition; whoever asked may go away meanwhile, the fill goes on.
pub(crate) async fn save(
    app: &App,
    ws: Ws,
    kind: DefinitionKind,
    draft: Draft,
) -> Result<store::DefinitionRow, Problem> {
    let platform = app.platform.clone();
    let saving = tokio::spawn(async move { platform.save_definition(ws.0, kind, draft, "console").await });
    let saved = saving.await.map_err(|error| flow::Error::Bug(format!("a save ended early: {error}")))?;
    Ok(saved?)
}

/// What is being filled now: one definition at a time.
#[utoipa::path(get, path = "/api/fills", tag = "fills", operation_id = "fills", responses((status = 200, body = Listing<FillRow>)))]
async fn list(State(app): State<App>, ws: Ws) -> Json<Listing<FillRow>> {
    Json(Listing::all(app.platform.fills(ws.0).into_iter().map(FillRow::of).collect()))
}

/// Lets a fill rest. The stream goes on: whoever does something is decided meanwhile. It does not outlast a restart.
#[utoipa::path(post, path = "/api/fills/{id}/pause", tag = "fills", operation_id = "pause_fill", params(("id" = String, Path)), responses((status = 200, body = FillRow)))]
async fn pause(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<FillRow>, Problem> {
    Ok(Json(FillRow::of(app.platform.rest_fill(ws.0, &id, true)?)))
}

/// Lets a fill that rests go on.
#[utoipa::path(post, path = "/api/fills/{id}/resume", tag = "fills", operation_id = "resume_fill", params(("id" = String, Path)), responses((status = 200, body = FillRow)))]
async fn resume(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<FillRow>, Problem> {
    Ok(Json(FillRow::of(app.platform.rest_fill(ws.0, &id, false)?)))
}

/// Gives a fill up: what was new is not there, what was edited is as it was. 409 when it came to its end before.
#[utoipa::path(post, path = "/api/fills/{id}/cancel", tag = "fills", operation_id = "cancel_fill", params(("id" = String, Path)), responses((status = 204, description = "It is given up.")))]
async fn cancel(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    app.platform.cancel_fill(ws.0, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
