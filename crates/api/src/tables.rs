//! TableDecision tables: definitions, what they decide for somebody and why, how their rows divide everybody.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::{DefinitionKind, Draft};
use model::{ProfileId, Value};
use serde::{Deserialize, Serialize};
use store::DefinitionRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{At, Body};
use crate::profiles::{self, ProfileRow};
use crate::rules::{Version, document, version};
use crate::segments::{Explained, explained};
use crate::shape::{Listing, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(check))
        .routes(routes!(one, put, remove))
        .routes(routes!(decide))
}

/// What a decision table is made from.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TableDraft {
    /// Its id; made from the name when absent.
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The document: rows of name, where and outcome; hit (first or all), attribute, description, owner.
    pub definition: Value,
}

/// A decision table in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it decides.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// first or all: which rows decide.
    pub hit: String,
    /// The attribute that keeps the outcome; null when the table is only asked.
    pub attribute: Option<String>,
    /// How many rows it has.
    pub rows: i64,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A decision table.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionTable {
    /// The row in the list.
    #[serde(flatten)]
    pub row: TableRow,
    /// Its version.
    pub version: i64,
    /// The document.
    pub definition: Value,
    /// Its versions, newest first.
    pub versions: Vec<Version>,
}

fn table_row(row: &DefinitionRow) -> TableRow {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    TableRow {
        id: row.id.clone(),
        name: row.name.clone(),
        description: text("description"),
        owner: text("owner"),
        hit: body["hit"].as_str().unwrap_or("first").to_owned(),
        attribute: body["attribute"].as_str().map(str::to_owned),
        rows: body["rows"].as_array().map_or(0, Vec::len) as i64,
        updated_at: row.at.into(),
    }
}

async fn assemble(app: &App, ws: Ws, id: &str) -> Result<DecisionTable, Problem> {
    let versions = app.platform.store.versions(ws.0, DefinitionKind::Table.name(), id).await?;
    let current = versions.first().filter(|row| row.status != "deleted");
    let current = current.ok_or_else(|| Problem::missing(&format!("There is no decision table '{id}'.")))?;
    Ok(DecisionTable {
        row: table_row(current),
        version: current.version,
        definition: serde_json::from_str(&current.body).unwrap_or_default(),
        versions: versions.iter().map(version).collect(),
    })
}

/// All decision tables.
#[utoipa::path(get, path = "/api/tables", tag = "tables", operation_id = "tables", responses((status = 200, body = Listing<TableRow>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<TableRow>>, Problem> {
    let rows = app.platform.store.definitions(ws.0, DefinitionKind::Table.name()).await?;
    Ok(Json(Listing::all(rows.iter().map(table_row).collect())))
}

/// One decision table with its versions.
#[utoipa::path(get, path = "/api/tables/{id}", tag = "tables", operation_id = "table", params(("id" = String, Path)), responses((status = 200, body = DecisionTable)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<DecisionTable>, Problem> {
    Ok(Json(assemble(&app, ws, &id).await?))
}

async fn save(app: &App, ws: Ws, id: Option<String>, draft: TableDraft) -> Result<DecisionTable, Problem> {
    let draft = Draft { id: id.or(draft.id), name: draft.name, body: draft.definition };
    let row = crate::fills::save(app, ws, DefinitionKind::Table, draft).await?;
    assemble(app, ws, &row.id).await
}

/// Makes a decision table and puts it in force.
#[utoipa::path(post, path = "/api/tables", tag = "tables", operation_id = "create_table", request_body = TableDraft, responses((status = 201, body = DecisionTable)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<TableDraft>,
) -> Result<(StatusCode, Json<DecisionTable>), Problem> {
    Ok((StatusCode::CREATED, Json(save(&app, ws, None, draft).await?)))
}

/// Writes a new version of a decision table and puts it in force.
#[utoipa::path(put, path = "/api/tables/{id}", tag = "tables", operation_id = "put_table", params(("id" = String, Path)), request_body = TableDraft, responses((status = 200, body = DecisionTable)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<TableDraft>,
) -> Result<Json<DecisionTable>, Problem> {
    Ok(Json(save(&app, ws, Some(id), draft).await?))
}

/// Takes a decision table out of force; its versions are kept.
#[utoipa::path(delete, path = "/api/tables/{id}", tag = "tables", operation_id = "delete_table", params(("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    app.platform.delete_definition(ws.0, DefinitionKind::Table, &id, "console").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A table's document.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TableAsk {
    /// The document.
    pub definition: Value,
}

/// How a table's rows divide all profiles.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableOutlook {
    /// Profiles there are.
    pub total: i64,
    /// Each row, in order.
    pub rows: Vec<RowOutlook>,
    /// Profiles that no row fits.
    pub gap: i64,
    /// Some of them.
    pub gap_sample: Vec<ProfileRow>,
    /// Pairs of rows that hold for the same profiles.
    pub overlaps: Vec<RowOverlap>,
    /// How long it took.
    pub took_ms: u64,
}

/// What a row is for all profiles.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowOutlook {
    /// Profiles for whom its condition holds.
    pub holds: i64,
    /// Profiles for whom it decides.
    pub decides: i64,
    /// It holds for somebody and never decides: earlier rows take everybody.
    pub unreachable: bool,
}

/// Two rows that hold for the same profiles.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowOverlap {
    /// The earlier row, from 0.
    pub first: usize,
    /// The later row.
    pub second: usize,
    /// For how many.
    pub count: i64,
}

/// Counts for a table, saved or not, whom no row fits, where rows overlap and which are never reached.
#[utoipa::path(post, path = "/api/tables/check", tag = "tables", operation_id = "check_table", request_body = TableAsk, responses((status = 200, body = TableOutlook)))]
async fn check(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<TableAsk>,
) -> Result<Json<TableOutlook>, Problem> {
    let found = app.platform.outlook(ws.0, &document(&ask.definition)).await?;
    let row = |(at, (holds, decides)): (usize, (&usize, &usize))| RowOutlook {
        holds: *holds as i64,
        decides: *decides as i64,
        unreachable: found.unreachable.contains(&at),
    };
    let overlap = |pair: &flow::Overlap| RowOverlap {
        first: pair.first,
        second: pair.second,
        count: pair.count as i64,
    };
    Ok(Json(TableOutlook {
        total: found.total as i64,
        rows: found.holds.iter().zip(&found.decides).enumerate().map(row).collect(),
        gap: found.gap as i64,
        gap_sample: profiles::rows_of(&app.platform, ws.0, &found.gap_sample).await?,
        overlaps: found.overlaps.iter().map(overlap).collect(),
        took_ms: found.took_ms,
    }))
}

/// For whom.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DecideAsk {
    /// The profile.
    pub profile: i64,
}

/// What a table decides for somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableDecision {
    /// The outcome, a list of them when all rows decide; null when no row holds.
    pub outcome: Value,
    /// The version that decided.
    pub version: i64,
    /// Each row, in order.
    pub rows: Vec<DecidedRow>,
}

/// A row as it is for somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecidedRow {
    /// Its name.
    pub name: String,
    /// Its condition holds.
    pub holds: bool,
    /// It decided, or was one of those that did.
    pub decides: bool,
    /// Why its condition holds, or does not.
    pub explanation: Explained,
}

/// Decides for a profile, with the reasons of every row.
#[utoipa::path(post, path = "/api/tables/{id}/decide", tag = "tables", operation_id = "decide", params(("id" = String, Path)), request_body = DecideAsk, responses((status = 200, body = TableDecision)))]
async fn decide(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(ask): Body<DecideAsk>,
) -> Result<Json<TableDecision>, Problem> {
    let decided = app.platform.decide(ws.0, &id, ProfileId(ask.profile)).await?;
    let row = |row: flow::DecidedRow| DecidedRow {
        name: row.name,
        holds: row.holds,
        decides: row.decides,
        explanation: explained(row.explanation),
    };
    Ok(Json(TableDecision {
        outcome: decided.outcome,
        version: decided.version,
        rows: decided.rows.into_iter().map(row).collect(),
    }))
}
