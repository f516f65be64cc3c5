//! Splitting a profile: some of its identifiers are another person's.

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
use crate::shape::Time;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(split)).routes(routes!(preview))
}

/// An identifier that belongs to the other person.
#[derive(Deserialize, ToSchema)]
pub struct NamedIdentifier {
    /// user_id, email, phone, external or anonymous_id.
    pub kind: String,
    /// Its value.
    pub value: String,
}

/// What is to be split off.
#[derive(Deserialize, ToSchema)]
pub struct SplitAsk {
    /// The identifiers that belong to the other person.
    pub identifiers: Vec<NamedIdentifier>,
    /// Why; shown with both profiles.
    #[serde(default)]
    pub reason: String,
}

/// How events are divided.
#[derive(Debug, Serialize, ToSchema)]
pub struct Divided {
    /// Events that go to the other person.
    pub moved: i64,
    /// Events that stay.
    pub kept: i64,
    /// Of those that stay: events that carry identifiers of both, so that they cannot be told apart.
    pub shared: i64,
}

/// A split.
#[derive(Debug, Serialize, ToSchema)]
pub struct Splitting {
    /// The id of the event that says so.
    pub message_id: String,
    /// The profile of the other person; null where the split was not done within 20 seconds: it will be, and
    /// `GET /api/profiles/{id}/explain` tells of it then.
    pub profile: Option<i64>,
    /// How events were divided; null where the split is not done.
    pub events: Option<Divided>,
}

/// What a split would do as things are.
#[derive(Debug, Serialize, ToSchema)]
pub struct SplitOutlook {
    /// How events would be divided.
    pub events: Divided,
    /// The former profile that would come back; null where a new one would be made.
    pub former: Option<i64>,
}

/// A split that a profile had part in.
#[derive(Debug, Serialize, ToSchema)]
pub struct PastSplit {
    /// The profile that kept its number.
    pub from: i64,
    /// The profile that was split off.
    pub profile: i64,
    /// When.
    pub at: Time,
    /// Why.
    pub reason: String,
    /// How events were divided.
    pub events: Divided,
}

impl PastSplit {
    /// None when there was nothing to be split.
    pub(crate) fn of(row: store::SplitRow) -> Option<PastSplit> {
        Some(PastSplit {
            from: row.source.0,
            profile: row.target?.0,
            at: row.at.into(),
            reason: row.reason,
            events: Divided { moved: row.moved, kept: row.kept, shared: row.shared },
        })
    }
}

fn named(ask: &SplitAsk) -> Result<Vec<flow::Identifier>, Problem> {
    let read = |(at, each): (usize, &NamedIdentifier)| {
        flow::identifier(&each.kind, &each.value).ok_or_else(|| {
            let message = format!(
                "There is no kind of identifier '{}': write user_id, email, phone, external or anonymous_id.",
                each.kind
            );
            Problem::from(flow::Error::invalid("unknown_kind", &format!("/identifiers/{at}/kind"), message))
        })
    };
    ask.identifiers.iter().enumerate().map(read).collect()
}

/// Says that some identifiers of a profile are another person's. They go to a profile of their own, with the events that
/// carry them: the one that was merged, where they were one's before, otherwise a new one. It is an event like any other, so
/// that a rebuild gives the same.
#[utoipa::path(post, path = "/api/profiles/{id}/split", tag = "profiles", operation_id = "split_profile", params(("id" = i64, Path)), request_body = SplitAsk, responses((status = 200, body = Splitting), (status = 202, body = Splitting, description = "It waits for the step.")))]
async fn split(
    State(app): State<App>,
    ws: Ws,
    At(id): At<i64>,
    Body(ask): Body<SplitAsk>,
) -> Result<(StatusCode, Json<Splitting>), Problem> {
    let reason = if ask.reason.trim().is_empty() { "no reason was given" } else { ask.reason.trim() };
    let platform = &app.platform;
    let message_id = platform.split_profile(ws.0, ProfileId(id), &named(&ask)?, reason).await?;
    let done = platform.split_done(ws.0, &message_id).await?.and_then(PastSplit::of);
    let status = if done.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let (profile, events) = done.map(|done| (done.profile, done.events)).unzip();
    Ok((status, Json(Splitting { message_id, profile, events })))
}

/// What a split would do as things are. Changes nothing.
#[utoipa::path(post, path = "/api/profiles/{id}/split/preview", tag = "profiles", operation_id = "preview_split", params(("id" = i64, Path)), request_body = SplitAsk, responses((status = 200, body = SplitOutlook)))]
async fn preview(
    State(app): State<App>,
    ws: Ws,
    At(id): At<i64>,
    Body(ask): Body<SplitAsk>,
) -> Result<Json<SplitOutlook>, Problem> {
    let found = app.platform.preview_split(ws.0, ProfileId(id), &named(&ask)?).await?;
    let events = Divided { moved: found.moved, kept: found.kept, shared: found.shared };
    Ok(Json(SplitOutlook { events, former: found.former.map(|id| id.0) }))
}
