//! The suppression list: addresses that must not be written to. It tells whether an address is on it, not which are.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::shape::{Listing, Paging, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(one, remove))
}

/// An address that must not be written to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Suppression {
    /// Enough of it to recognise, such as `a…@example.com`.
    pub hint: String,
    /// hard_bounce, complaint, manual, import or erased.
    pub reason: String,
    /// Since when.
    pub at: Time,
}

impl Suppression {
    pub(crate) fn of(row: store::SuppressionRow) -> Suppression {
        Suppression { hint: row.hint, reason: row.reason, at: row.at.into() }
    }
}

/// An address for the list.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SuppressionAsk {
    /// The address.
    pub email: String,
    /// hard_bounce, complaint, manual or import; manual otherwise.
    pub reason: Option<String>,
}

/// The list, newest first.
#[utoipa::path(get, path = "/api/suppressions", tag = "suppressions", operation_id = "suppressions", params(Paging), responses((status = 200, body = Listing<Suppression>)))]
async fn list(
    State(app): State<App>,
    ws: Ws,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<Suppression>>, Problem> {
    let (mut rows, total) = app.platform.store.suppressions(ws.0, paging.offset(), paging.ask()).await?;
    let next_cursor = paging.cut_counted(&mut rows);
    let items = rows.into_iter().map(Suppression::of).collect();
    Ok(Json(Listing { items, next_cursor, total: Some(total) }))
}

/// Puts an address on the list; the gate lets nothing through to it from then on. The first reason stays.
#[utoipa::path(post, path = "/api/suppressions", tag = "suppressions", operation_id = "suppress", request_body = SuppressionAsk, responses((status = 201, body = Suppression)))]
async fn add(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<SuppressionAsk>,
) -> Result<(StatusCode, Json<Suppression>), Problem> {
    let reason = ask.reason.as_deref().unwrap_or("manual");
    if !flow::SUPPRESSION_REASONS.contains(&reason) {
        let known = flow::SUPPRESSION_REASONS.join(", ");
        return Err(Problem::invalid(&format!("The reason is one of {known}.")));
    }
    let row = app.platform.suppress(ws.0, &ask.email, reason).await?;
    Ok((StatusCode::CREATED, Json(Suppression::of(row))))
}

/// Why an address is on the list; 404 when it is not.
#[utoipa::path(get, path = "/api/suppressions/{email}", tag = "suppressions", operation_id = "suppression", params(("email" = String, Path)), responses((status = 200, body = Suppression)))]
async fn one(State(app): State<App>, ws: Ws, At(email): At<String>) -> Result<Json<Suppression>, Problem> {
    let row = app.platform.suppression(ws.0, &email).await?;
    let row = row.ok_or_else(|| Problem::missing("This address is not on the list."))?;
    Ok(Json(Suppression::of(row)))
}

/// Takes an address off the list.
#[utoipa::path(delete, path = "/api/suppressions/{email}", tag = "suppressions", operation_id = "unsuppress", params(("email" = String, Path)), responses((status = 204, description = "It is off the list.")))]
async fn remove(State(app): State<App>, ws: Ws, At(email): At<String>) -> Result<StatusCode, Problem> {
    let gone = app.platform.unsuppress(ws.0, &email).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("This address is not on the list.")) }
}
