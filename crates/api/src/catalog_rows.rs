//! Rows that come into a catalogue: files that are uploaded, and the updates a shop sends.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use flow::UploadFormat;
use flow::rows::{Row, Table};
use futures::StreamExt;
use model::Value;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::catalog::known;
use crate::extract::{Ask, At, Body};
use crate::{App, Problem};

/// Bytes of an upload.
const UPLOAD_BYTES_MAX: usize = 256 << 20;
/// Rows that are written at once.
const CHUNK: usize = 1_000;
/// Items of one update.
const ITEMS_MAX: usize = 1_000;
/// Refused rows that an answer names.
const REFUSED_MAX: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(import)).routes(routes!(update))
}

/// A row that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedRow {
    /// From 1, a header not counted.
    pub row: u64,
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Why.
    pub reason: String,
}

/// What became of rows.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RowsTaken {
    /// Rows that came.
    pub rows: u64,
    /// Items that are stored.
    pub written: u64,
    /// Rows that are not.
    pub refused_count: u64,
    /// The first 100 of them.
    pub refused: Vec<RefusedRow>,
}

impl RowsTaken {
    fn refuse(&mut self, row: u64, id: Option<String>, reason: String) {
        self.refused_count += 1;
        if self.refused.len() < REFUSED_MAX {
            self.refused.push(RefusedRow { row, id, reason });
        }
    }

    async fn take(
        &mut self,
        app: &App,
        ws: &Ws,
        catalog: &str,
        rows: Vec<Row>,
        patch: bool,
    ) -> Result<(), Problem> {
        let mut numbers = Vec::new();
        let mut values = Vec::new();
        for row in rows {
            self.rows += 1;
            match row {
                Ok(value) => {
                    numbers.push(self.rows);
                    values.push(value);
                }
                Err(reason) => self.refuse(self.rows, None, reason),
            }
        }
        let taken = app.platform.take_items(ws.0, catalog, values, patch).await?;
        self.written += taken.written as u64;
        for refused in taken.refused {
            self.refuse(numbers[refused.row], refused.id, refused.reason);
        }
        Ok(())
    }
}

/// How rows are taken.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HowTaken {
    /// Fields that a row does not name stay as they are; otherwise a row is the whole item.
    #[serde(default)]
    pub patch: bool,
}

/// Takes a file of items, CSV with a header or one JSON object a line; each row is `product_id` or `id` and its fields. A
/// row that is wrong costs itself alone; the same file again changes nothing.
#[utoipa::path(post, path = "/api/catalogs/{catalog}/import", tag = "catalogs", operation_id = "import_catalog", params(("catalog" = String, Path), HowTaken), request_body(content((String = "text/csv"), (String = "application/x-ndjson"))), responses((status = 200, body = RowsTaken)))]
async fn import(
    State(app): State<App>,
    ws: Ws,
    At(catalog): At<String>,
    Ask(how): Ask<HowTaken>,
    request: Request,
) -> Result<Json<RowsTaken>, Problem> {
    known(&app, &ws, &catalog).await?;
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let format = match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" => UploadFormat::Csv,
        "application/x-ndjson" | "application/jsonl" => UploadFormat::Ndjson,
        _ => return Err(Problem::unsupported("Send the file as text/csv or application/x-ndjson.")),
    };
    let mut table = Table::new(format);
    let (mut taken, mut waiting, mut bytes) = (RowsTaken::default(), Vec::new(), 0);
    let mut pieces = request.into_body().into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Problem::unreadable(&error.to_string()))?;
        bytes += piece.len();
        if bytes > UPLOAD_BYTES_MAX {
            return Err(Problem::too_large(
                "A file has at most 256 MB: split it. What stood before is stored.",
            ));
        }
        if piece.is_empty() {
            continue;
        }
        waiting.extend(table.read(&piece)?);
        if waiting.len() >= CHUNK {
            taken.take(&app, &ws, &catalog, std::mem::take(&mut waiting), how.patch).await?;
        }
    }
    waiting.extend(table.read(&[])?);
    taken.take(&app, &ws, &catalog, waiting, how.patch).await?;
    Ok(Json(taken))
}

/// Items that a shop sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemsUpdate {
    /// Items, each with `product_id` or `id` and its fields; at most 1,000.
    pub items: Vec<Value>,
    /// Fields that an item does not name stay as they are: a change of price or stock alone.
    #[serde(default)]
    pub patch: bool,
}

/// Takes items as a shop changes them: whole, or price and stock alone. Those who know an item that became cheaper or came
/// back hear of it as `Price Dropped` or `Back In Stock`.
#[utoipa::path(post, path = "/api/catalogs/{catalog}/items", tag = "catalogs", operation_id = "update_items", params(("catalog" = String, Path)), request_body = ItemsUpdate, responses((status = 200, body = RowsTaken)))]
async fn update(
    State(app): State<App>,
    ws: Ws,
    At(catalog): At<String>,
    Body(update): Body<Value>,
) -> Result<Json<RowsTaken>, Problem> {
    known(&app, &ws, &catalog).await?;
    let update: ItemsUpdate =
        serde_json::from_value(update).map_err(|error| Problem::invalid(&error.to_string()))?;
    if update.items.len() > ITEMS_MAX {
        return Err(Problem::invalid("An update has at most 1,000 items: send them in parts, or as a file."));
    }
    let mut taken = RowsTaken::default();
    taken.take(&app, &ws, &catalog, update.items.into_iter().map(Ok).collect(), update.patch).await?;
    Ok(Json(taken))
}
