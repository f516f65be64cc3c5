//! Consent: a person's word on topics, and setting it on their behalf.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::ProfileId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, Body};
use crate::shape::{Listing, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, set))
}

/// A person's word on a topic.
#[derive(Debug, Serialize, ToSchema)]
pub struct Consent {
    /// On what.
    pub topic: String,
    /// subscribed or unsubscribed.
    #[schema(value_type = ConsentState)]
    pub state: &'static str,
    /// When it was given.
    pub at: Time,
    /// How.
    pub source: String,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConsentState {
    /// Yes.
    Subscribed,
    /// No.
    Unsubscribed,
}

impl Consent {
    pub(crate) fn of(row: store::ConsentRow) -> Consent {
        let state = if row.subscribed { "subscribed" } else { "unsubscribed" };
        Consent { topic: row.topic, state, at: row.at.into(), source: row.source }
    }
}

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// The profile.
    pub profile: i64,
}

/// What a profile said on topics.
#[utoipa::path(get, path = "/api/consents", tag = "consents", operation_id = "consents", params(Whose), responses((status = 200, body = Listing<Consent>)))]
async fn list(
    State(app): State<App>,
    ws: Ws,
    Ask(ask): Ask<Whose>,
) -> Result<Json<Listing<Consent>>, Problem> {
    let (row, _) = app.platform.hot(ws.0, ProfileId(ask.profile)).await?;
    let rows = app.platform.store.consents(ws.0, row.id).await?;
    Ok(Json(Listing::all(rows.into_iter().map(Consent::of).collect())))
}

/// A word to be set on somebody's behalf.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ConsentAsk {
    /// Whose.
    pub profile: i64,
    /// On what.
    pub topic: String,
    /// Yes or no.
    pub state: ConsentState,
}

/// Sets a person's word on a topic. It is in force, for whatever the gate judges, when this answers.
#[utoipa::path(post, path = "/api/consents", tag = "consents", operation_id = "set_consent", request_body = ConsentAsk, responses((status = 204, description = "It is in force.")))]
async fn set(State(app): State<App>, ws: Ws, Body(ask): Body<ConsentAsk>) -> Result<StatusCode, Problem> {
    let (row, _) = app.platform.hot(ws.0, ProfileId(ask.profile)).await?;
    if ask.topic.trim().is_empty() || ask.topic.len() > 100 {
        return Err(Problem::invalid("Name the topic in at most 100 bytes."));
    }
    let subscribed = ask.state == ConsentState::Subscribed;
    app.platform.set_consent(ws.0, row.id, &ask.topic, subscribed, "api").await?;
    Ok(StatusCode::NO_CONTENT)
}
