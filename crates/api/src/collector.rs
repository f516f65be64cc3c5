//! The collector: drop-in for Segment's published SDKs. 2xx only after the events are durable.

use std::io::Read;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flow::Outcome;
use model::{Call, Trust, WorkspaceId};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};

use crate::{App, Problem, auth};

/// A transparent picture of one pixel.
pub(crate) const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

pub fn routes(app: &App) -> Router<App> {
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::POST]).allow_headers([
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        HeaderName::from_static("x-retry-count"),
        HeaderName::from_static("x-strict-mode"),
    ]);
    // Compressed bodies may be as long as what they may become.
    let limit = app.platform.options.limits.batch_bytes_max;
    Router::new()
        .route("/v1/{call}", post(collect))
        .route("/v1/pixel/{call}", get(pixel))
        .route("/v1/projects/{key}/settings", get(settings))
        .layer(DefaultBodyLimit::max(limit))
        .layer(cors)
}

fn call_of(name: &str) -> Option<(Option<Call>, bool)> {
    Some(match name {
        "identify" | "i" => (Some(Call::Identify), false),
        "track" | "t" => (Some(Call::Track), false),
        "page" | "p" => (Some(Call::Page), false),
        "screen" | "s" => (Some(Call::Screen), false),
        "group" | "g" => (Some(Call::Group), false),
        "alias" | "a" => (Some(Call::Alias), false),
        "batch" | "b" => (None, false),
        "import" | "m" => (None, true),
        _ => return None,
    })
}

struct Inflight<'a>(&'a App, usize);

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.0.inflight.fetch_sub(self.1, Ordering::AcqRel);
    }
}

async fn collect(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let (route, history) = call_of(&name).ok_or_else(|| Problem::missing("There is no such call."))?;
    let weight = body.len() + 1_024;
    let before = app.inflight.fetch_add(weight, Ordering::AcqRel);
    let _inflight = Inflight(&app, weight);
    if before > app.platform.options.limits.ingest_inflight_bytes_max {
        return Err(Problem::busy());
    }
    let limit = app.platform.options.limits.batch_bytes_max;
    let body = inflate(&headers, body, limit)?;
    let key = auth::bearer(&headers).filter(|key| !key.is_empty()).or_else(|| write_key_in(&body));
    let (workspace, trust) = sender(&app, key).await?;
    let mut batch = app.platform.intake(workspace, &body, route, trust);
    if history {
        for event in batch.items.iter_mut().flatten() {
            event.backfill = true;
        }
    }
    let outcomes = app.platform.ingest(batch, workspace, "collector").await?;
    let strict = headers.get("x-strict-mode").is_some_and(|value| value.as_bytes() == b"1");
    Ok(answer(&outcomes, strict))
}

fn answer(outcomes: &[flow::ItemOutcome], strict: bool) -> Response {
    let clean = outcomes.iter().all(|item| item.outcome == Outcome::Accepted);
    if clean {
        return axum::Json(json!({"success": true})).into_response();
    }
    let results: Vec<Value> = outcomes
        .iter()
        .map(|item| match &item.outcome {
            Outcome::Accepted => json!({"messageId": item.message_id, "status": "accepted"}),
            Outcome::Duplicate { conflict } => {
                json!({"messageId": item.message_id, "status": "duplicate", "conflict": conflict})
            }
            Outcome::Rejected(reasons) => {
                json!({"messageId": item.message_id, "status": "rejected", "reasons": reasons})
            }
        })
        .collect();
    let rejected = outcomes.iter().any(|item| matches!(item.outcome, Outcome::Rejected(_)));
    let status = if strict && rejected { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, axum::Json(json!({"success": status == StatusCode::OK, "results": results}))).into_response()
}

/// Undoes the content encoding, never past the limit.
fn inflate(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Problem> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
    let reader: Box<dyn Read> = match encoding {
        "identity" | "" => return Ok(body),
        "gzip" => Box::new(flate2::read::MultiGzDecoder::new(&body[..])),
        "zstd" => Box::new(
            zstd::stream::read::Decoder::new(&body[..])
                .map_err(|_| Problem::invalid("The body is not zstd."))?,
        ),
        _ => return Err(Problem::invalid("The content encoding is unknown: use gzip, zstd or none.")),
    };
    let mut out = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut out);
    if out.len() > limit {
        return Err(Problem::too_large("The body is longer than a batch may be: send less at once."));
    }
    read.map_err(|_| Problem::invalid("The body cannot be decompressed."))?;
    Ok(Bytes::from(out))
}

#[derive(Deserialize)]
struct Keyed {
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
}

fn write_key_in(body: &[u8]) -> Option<String> {
    // Deep nesting is refused before any parser sees the body.
    if body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 200_000 {
        return None;
    }
    serde_json::from_slice::<Keyed>(body).ok()?.write_key
}

async fn sender(app: &App, key: Option<String>) -> Result<(WorkspaceId, Trust), Problem> {
    let key = key
        .ok_or_else(|| Problem::unauthorised("Give the write key, by Basic authorization or as writeKey."))?;
    match app.platform.store.key(&auth::hash(&key)).await.map_err(flow::Error::from)? {
        Some((workspace, kind)) if kind == "browser" => Ok((workspace, Trust::Browser)),
        Some((workspace, _)) => Ok((workspace, Trust::Server)),
        None => Err(Problem::unauthorised("The write key is not known.")),
    }
}

#[derive(Deserialize)]
struct PixelData {
    data: Option<String>,
}

/// Always answers with the picture: a page must not break because of us.
async fn pixel(State(app): State<App>, Path(name): Path<String>, Query(query): Query<PixelData>) -> Response {
    if let (Some((route, _)), Some(data)) = (call_of(&name), query.data) {
        let body = STANDARD
            .decode(&data)
            .or_else(|_| URL_SAFE_NO_PAD.decode(&data))
            .unwrap_or_else(|_| data.into_bytes());
        let stored = async {
            let (workspace, trust) = sender(&app, write_key_in(&body)).await?;
            let batch = app.platform.intake(workspace, &body, route, trust);
            app.platform.ingest(batch, workspace, "pixel").await?;
            Ok::<_, Problem>(())
        };
        if let Err(problem) = stored.await {
            tracing::debug!(?problem, "a pixel was not stored");
        }
    }
    gif()
}

pub(crate) fn gif() -> Response {
    ([(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store, private")], PIXEL)
        .into_response()
}

async fn settings(State(app): State<App>, Path(key): Path<String>) -> axum::Json<Value> {
    let base = &app.platform.options.base_url;
    let (protocol, host) = base.split_once("://").unwrap_or(("http", base));
    axum::Json(json!({
        "integrations": {"Segment.io": {"apiKey": key, "apiHost": format!("{host}/v1"), "protocol": protocol}},
        "plan": {"track": {}, "identify": {}, "group": {}}, "edgeFunction": {}, "analyticsNextEnabled": true,
        "metrics": {"sampleRate": 0}, "legacyVideoPluginsEnabled": false, "remotePlugins": [],
    }))
}
