//! How a profile's identifiers came together, and merging by hand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::ProfileId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{At, Body};
use crate::profiles::{self, Decision, Identifier, Merge};
use crate::split::PastSplit;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(merge)).routes(routes!(explain))
}

/// What is to be merged.
#[derive(Deserialize, ToSchema)]
pub struct MergeAsk {
    /// The profile that becomes part of this one.
    pub with: i64,
    /// Why; shown with the profile.
    #[serde(default)]
    pub reason: String,
}

/// A merge on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Merging {
    /// The id of the event that says so; it is done when the event has been stepped.
    pub message_id: String,
}

/// How a profile's identifiers came together.
#[derive(Debug, Serialize, ToSchema)]
pub struct Provenance {
    /// The profile; another than the one asked for when that became part of it.
    pub id: i64,
    /// What it is known by, since when, and what said so.
    pub identifiers: Vec<Identifier>,
    /// What was decided: merged, aliased, identifiers that were dropped or blocked; oldest first.
    pub decisions: Vec<Decision>,
    /// Profiles that became part of it.
    pub merged: Vec<Merge>,
    /// Splits it had part in, oldest first.
    pub splits: Vec<PastSplit>,
}

/// Says that two profiles are one person. History, identifiers and opt-outs become one. It is an event like any other, so
/// that a rebuild gives the same; a split undoes it.
#[utoipa::path(post, path = "/api/profiles/{id}/merge", tag = "profiles", operation_id = "merge_profiles", params(("id" = i64, Path)), request_body = MergeAsk, responses((status = 202, body = Merging)))]
async fn merge(
    State(app): State<App>,
    ws: Ws,
    At(id): At<i64>,
    Body(ask): Body<MergeAsk>,
) -> Result<(StatusCode, Json<Merging>), Problem> {
    let reason = if ask.reason.trim().is_empty() { "no reason was given" } else { ask.reason.trim() };
    let message_id = app.platform.merge_profiles(ws.0, ProfileId(id), ProfileId(ask.with), reason).await?;
    Ok((StatusCode::ACCEPTED, Json(Merging { message_id })))
}

/// How a profile's identifiers came together.
#[utoipa::path(get, path = "/api/profiles/{id}/explain", tag = "profiles", operation_id = "explain_profile", params(("id" = i64, Path)), responses((status = 200, body = Provenance)))]
async fn explain(State(app): State<App>, ws: Ws, At(id): At<i64>) -> Result<Json<Provenance>, Problem> {
    let profile = profiles::assemble(&app.platform, ws.0, ProfileId(id)).await?;
    let splits = app.platform.store.splits(ws.0, ProfileId(profile.person.id)).await?;
    Ok(Json(Provenance {
        id: profile.person.id,
        identifiers: profile.identifiers,
        decisions: profile.decisions,
        merged: profile.merged,
        splits: splits.into_iter().filter_map(PastSplit::of).collect(),
    }))
}
