//! Segments whose members are listed: queries and their refreshes, uploads, and what refers to a segment.

use axum::Json;
use axum::body::Body as Bytes;
use axum::extract::{Request, State};
use axum::http::header;
use flow::{
    DefinitionKind, Gathered, Mode, Named, Platform, Source, Untaken, Upload, UploadFormat, UploadItem,
};
use futures::StreamExt;
use model::{Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::DefinitionRow;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::conditions::Condition;
use crate::extract::{Ask, At};
use crate::segments::SegmentDraft;
use crate::shape::{Time, given};
use crate::{App, Problem};

/// Bytes of an upload.
const UPLOAD_BYTES_MAX: usize = 256 << 20;
/// Bytes of a list that is one JSON value.
const JSON_BYTES_MAX: usize = 8 << 20;
/// Rows looked up at once.
const CHUNK: usize = 2_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(refresh)).routes(routes!(change_members))
}

/// A segment's query and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentQuery {
    /// The SELECT.
    pub sql: String,
    /// When it is run again, as cron says it.
    pub schedule: Option<String>,
    /// The time zone of the schedule.
    pub timezone: Option<String>,
    /// When it is run next.
    pub next_at: Option<Time>,
    /// The last run.
    pub last: SegmentRefresh,
}

/// A run of a segment's query.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentRefresh {
    /// When it began; null when it never ran.
    pub at: Option<Time>,
    /// It has not ended.
    pub running: bool,
    /// Rows of the answer.
    pub rows: u64,
    /// Rows that name nobody we know.
    pub unknown: u64,
    /// Profiles that entered.
    pub entered: u64,
    /// Profiles that left.
    pub exited: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Why it failed; the members stay as they were.
    pub error: Option<String>,
}

impl From<flow::Refresh> for SegmentRefresh {
    fn from(last: flow::Refresh) -> SegmentRefresh {
        SegmentRefresh {
            at: last.started_at.map(Time::from),
            running: last.running,
            rows: last.rows,
            unknown: last.unknown,
            entered: last.entered,
            exited: last.exited,
            took_ms: last.took_ms,
            error: last.error,
        }
    }
}

pub fn source(row: &DefinitionRow) -> Source {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    Source::of(&body).unwrap_or_default()
}

/// What a segment without a condition is, in plain English.
pub fn sentence(source: &Source) -> Option<String> {
    match source {
        Source::Condition => None,
        Source::Static => Some("Whom people, programs and rules put on its list.".to_owned()),
        Source::Sql { .. } => Some("Whom its query names.".to_owned()),
    }
}

pub fn document(draft: &SegmentDraft, condition: &str) -> Value {
    let mut body = json!({"description": draft.description});
    let text =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    let sql = text(&draft.sql);
    if !condition.is_empty() || sql.is_none() && !draft.is_static {
        body["where"] = json!(condition);
    }
    if draft.is_static {
        body["static"] = json!(true);
    }
    for (name, value) in
        [("sql", sql), ("schedule", text(&draft.schedule)), ("timezone", text(&draft.timezone))]
    {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    body
}

pub async fn segment_query(
    platform: &Platform,
    workspace: WorkspaceId,
    id: &str,
    source: Source,
) -> Result<Option<SegmentQuery>, Problem> {
    if !matches!(source, Source::Sql { .. }) {
        return Ok(None);
    }
    let last = platform.last_refresh(workspace, id).await?;
    let next_at = platform.next_refresh(workspace, &source, &last).map(Time::from);
    let Source::Sql { sql, schedule, timezone } = source else { return Ok(None) };
    Ok(Some(SegmentQuery { sql, schedule, timezone, next_at, last: last.into() }))
}

pub async fn preview(app: &App, ws: Ws, ask: Condition) -> Result<flow::Preview, Problem> {
    Ok(match given(&ask.sql) {
        Some(sql) => app.platform.preview_sql(ws.0, sql).await?,
        None => {
            let text = ask.condition.text(&app.platform, ws.0)?;
            app.platform.preview(ws.0, &text).await?
        }
    })
}

/// Runs a segment's query now; its members become those whom it names.
#[utoipa::path(post, path = "/api/segments/{id}/refresh", tag = "segments", operation_id = "refresh_segment", params(("id" = String, Path)), responses((status = 200, body = SegmentRefresh)))]
async fn refresh(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
) -> Result<Json<SegmentRefresh>, Problem> {
    Ok(Json(app.platform.refresh(ws.0, &id).await?.into()))
}

/// How a list is changed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembersAsk {
    /// add, remove or replace; add when absent.
    pub mode: Option<String>,
}

/// How a list changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct MembersChanged {
    /// Rows that were read.
    pub rows: u64,
    /// Profiles that entered.
    pub entered: u64,
    /// Profiles that left.
    pub exited: u64,
    /// Members now.
    pub members: u64,
    /// Rows that name nobody we know: nobody is made.
    pub unknown: UntakenRows,
    /// Rows that cannot be read.
    pub rejected: UntakenRows,
}

/// Rows that were not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct UntakenRows {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<UntakenRow>,
}

/// A row that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct UntakenRow {
    /// From 1, a header not counted.
    pub row: u64,
    /// What it says, shortened.
    pub value: String,
    /// Why it was not taken.
    pub message: String,
}

fn untaken(count: u64, rows: Vec<Untaken>) -> UntakenRows {
    let row = |row: Untaken| UntakenRow { row: row.row, value: row.value, message: row.message };
    UntakenRows { count, rows: rows.into_iter().map(row).collect() }
}

/// Changes the list of a static segment: a JSON list, CSV with a header, or one JSON value a line.
///
/// A row names a profile by profile_id, user_id or email. Nothing changes before the whole list is read.
#[utoipa::path(post, path = "/api/segments/{id}/members", tag = "segments", operation_id = "change_members", params(("id" = String, Path), MembersAsk),
    request_body(content = Value, description = "`application/json`: a list, or an object with `members`; `text/csv`; `application/x-ndjson`."),
    responses((status = 200, body = MembersChanged)))]
async fn change_members(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(ask): Ask<MembersAsk>,
    request: Request,
) -> Result<Json<MembersChanged>, Problem> {
    let platform = &app.platform;
    let found = platform.definition(ws.0, DefinitionKind::Segment, &id).await?;
    found.ok_or_else(|| Problem::missing(&format!("There is no segment '{id}'.")))?;
    platform.check_static(ws.0, &id)?;
    let mode = ask.mode.as_deref().unwrap_or("add");
    let mode = Mode::from_name(mode)
        .ok_or_else(|| Problem::invalid(&format!("The mode '{mode}' is unknown: add, remove or replace.")))?;
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let body = request.into_body();
    let gathered = match kind.as_str() {
        "application/json" => gather_json(platform, ws.0, body).await?,
        "text/csv" => gather(platform, ws.0, Upload::new(UploadFormat::Csv), body).await?,
        "application/x-ndjson" | "application/jsonl" => {
            gather(platform, ws.0, Upload::new(UploadFormat::Ndjson), body).await?
        }
        _ => {
            return Err(Problem::unsupported(
                "Send the list as application/json, text/csv or application/x-ndjson.",
            ));
        }
    };
    let changed = platform.change_members(ws.0, &id, mode, &gathered).await?;
    Ok(Json(MembersChanged {
        rows: gathered.rows,
        entered: changed.entered,
        exited: changed.exited,
        members: changed.members,
        unknown: untaken(gathered.unknown_count, gathered.unknown),
        rejected: untaken(gathered.rejected_count, gathered.rejected),
    }))
}

async fn gather_json(platform: &Platform, workspace: WorkspaceId, body: Bytes) -> Result<Gathered, Problem> {
    let body = axum::body::to_bytes(body, JSON_BYTES_MAX).await.map_err(|_| {
        Problem::too_large("A JSON list has at most 8 MB here: send a longer one as CSV or one value a line.")
    })?;
    let value: Value =
        serde_json::from_slice(&body).map_err(|error| Problem::unreadable(&error.to_string()))?;
    let list = match &value {
        Value::Array(list) => list,
        Value::Object(fields) => match fields.get("members") {
            Some(Value::Array(list)) => list,
            _ => return Err(Problem::invalid("Give a list, or an object with the list 'members'.")),
        },
        _ => return Err(Problem::invalid("Give a list, or an object with the list 'members'.")),
    };
    let mut gathered = Gathered::default();
    let mut row = 0;
    for some in list.chunks(CHUNK) {
        let items = some.iter().map(|value| {
            row += 1;
            UploadItem { row, named: Named::of_json(value) }
        });
        platform.gather(workspace, items.collect(), &mut gathered).await?;
    }
    Ok(gathered)
}

async fn gather(
    platform: &Platform,
    workspace: WorkspaceId,
    mut upload: Upload,
    body: Bytes,
) -> Result<Gathered, Problem> {
    let mut gathered = Gathered::default();
    let mut waiting = Vec::new();
    let mut bytes = 0;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Problem::unreadable(&error.to_string()))?;
        bytes += piece.len();
        if bytes > UPLOAD_BYTES_MAX {
            return Err(Problem::too_large("A list has at most 256 MB: split it."));
        }
        if piece.is_empty() {
            continue;
        }
        waiting.extend(upload.read(&piece)?);
        if waiting.len() >= CHUNK {
            platform.gather(workspace, std::mem::take(&mut waiting), &mut gathered).await?;
        }
    }
    waiting.extend(upload.read(&[])?);
    platform.gather(workspace, waiting, &mut gathered).await?;
    Ok(gathered)
}
