//! SQL over the lake and the tables of present state.

use axum::Json;
use axum::extract::State;
use model::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Body;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(query)).routes(routes!(schema))
}

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SqlAsk {
    /// One SELECT.
    pub sql: String,
}

/// The answer to a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
    /// There would be more rows.
    pub truncated: bool,
    /// How long it took.
    pub took_ms: u64,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The tables that can be asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct Schema {
    /// The tables.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Serialize, ToSchema)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// Answers one SELECT over events, profiles, memberships and messages of the workspace.
#[utoipa::path(post, path = "/api/query", tag = "query", request_body = SqlAsk, responses((status = 200, body = Answer)))]
async fn query(State(app): State<App>, ws: Ws, Body(ask): Body<SqlAsk>) -> Result<Json<Answer>, Problem> {
    let answer = app.platform.query(ws.0, &ask.sql).await?;
    let column = |column: lake::Column| Column { name: column.name, kind: column.kind };
    Ok(Json(Answer {
        columns: answer.columns.into_iter().map(column).collect(),
        rows: answer.rows,
        truncated: answer.truncated,
        took_ms: answer.took_ms,
    }))
}

/// The tables and columns that `/api/query` can ask.
#[utoipa::path(get, path = "/api/query/schema", tag = "query", operation_id = "query_schema", responses((status = 200, body = Schema)))]
async fn schema() -> Json<Schema> {
    let column = |(name, kind)| Column { name, kind };
    let tables = flow::Platform::tables().into_iter().map(|(name, columns)| Table {
        name: name.to_owned(),
        columns: columns.into_iter().map(column).collect(),
    });
    Json(Schema { tables: tables.collect() })
}
