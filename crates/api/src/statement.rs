//! A condition as SQL, for those who go on in the query page or in a warehouse.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Body;
use crate::segments::Condition;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(statement))
}

/// A condition's statement.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statement {
    /// One SELECT with one column, `profile_id`; as of the instant of the answer.
    pub sql: String,
}

/// A condition as SQL over `events` and `profiles`, as of now.
#[utoipa::path(post, path = "/api/conditions/sql", tag = "segments", operation_id = "condition_sql", request_body = Condition, responses((status = 200, body = Statement)))]
async fn statement(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<Condition>,
) -> Result<Json<Statement>, Problem> {
    Ok(Json(Statement { sql: app.platform.statement(ws.0, &ask.condition).await? }))
}
