//! The collector: drop-in for Segment's published SDKs. 2xx only after the events are durable.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flow::Outcome;
use futures::StreamExt;
use model::{Call, Trust, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::events::Reason;
use crate::extract::Raw;
use crate::{App, Problem, auth};

/// How long a body may take to arrive: it holds room that others want.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// A transparent picture of one pixel.
pub(crate) const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(collect)).routes(routes!(pixel)).routes(routes!(settings))
}

/// The routes as other sites' pages may use them.
///
/// The answer to a wrong method is set below the CORS layer, which must see every preflight first.
pub fn dressed(routes: Router<App>, body_bytes_max: usize) -> Router<App> {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("x-retry-count"),
        ])
        .expose_headers([header::RETRY_AFTER]);
    // Compressed bodies may be as long as what they may become.
    routes
        .method_not_allowed_fallback(async || Problem::method())
        .layer(DefaultBodyLimit::max(body_bytes_max))
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

/// Room taken for a body while it is in work.
struct Inflight(Arc<AtomicUsize>, usize);

impl Inflight {
    fn take(app: &App, bytes: usize) -> Result<Inflight, Problem> {
        let mut taken = Inflight(app.inflight.clone(), 0);
        taken.grow(app, bytes)?;
        Ok(taken)
    }

    /// Takes room for more of the same body.
    fn grow(&mut self, app: &App, bytes: usize) -> Result<(), Problem> {
        let before = self.0.fetch_add(bytes, Ordering::AcqRel);
        self.1 += bytes;
        let most = app.platform.options.limits.ingest_inflight_bytes_max;
        if before + bytes > most { Err(Problem::busy()) } else { Ok(()) }
    }
}

impl Drop for Inflight {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

/// What became of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct Collected {
    /// Everything that could be stored is.
    pub success: bool,
    /// One result for each item, in order; absent when all were accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<ItemResult>>,
}

/// What became of one item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemResult {
    /// The item's id; empty when it had none that could be read.
    pub message_id: String,
    /// What became of it.
    #[schema(value_type = crate::events::Outcome)]
    pub status: &'static str,
    /// A duplicate had another body; the first one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<bool>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<Reason>>,
}

/// Takes calls in the form of Segment's SDKs; 200 only after they are durable.
///
/// One call, `{"batch": […]}`, a list of calls, or newline-delimited calls; plain, gzip or zstd. `X-Strict-Mode: 1` turns a
/// rejected item into 400.
#[utoipa::path(post, path = "/v1/{call}", tag = "collector",
    params(("call" = String, Path, description = "identify, track, page, screen, group, alias, batch, import; or i, t, p, s, g, a, b, m")),
    request_body(content = Value, description = "Calls; any content type."),
    responses((status = 200, body = Collected), (status = 400, body = Collected, description = "In strict mode, an item was rejected.")))]
async fn collect(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (route, history) = call_of(&name).ok_or_else(|| Problem::missing("There is no such call."))?;
    let limit = app.platform.options.limits.batch_bytes_max;
    let headers = request.headers().clone();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        pass_by(request, limit).await;
        return Err(too_large());
    }
    // Room is taken before the body is read: what waits is bounded, too.
    let mut inflight = match Inflight::take(&app, length.unwrap_or(limit) + 1_024) {
        Ok(taken) => taken,
        Err(busy) => {
            pass_by(request, limit).await;
            return Err(busy);
        }
    };
    let read = tokio::time::timeout(BODY_TIME_MAX, Raw::from_request(request, &app));
    let Raw(packed) = read.await.map_err(|_| Problem::slow())??;
    let many = packed.len();
    let body = inflate(&headers, packed, limit)?;
    // A small body may have become a large one.
    inflight.grow(&app, body.len().saturating_sub(many))?;
    let key = auth::bearer(&headers).filter(|key| !key.is_empty()).or_else(|| write_key_in(&body));
    let (workspace, trust) = sender(&app, key).await?;
    let mut batch = app.platform.intake(workspace, &body, route, trust);
    mark_history(&mut batch, history);
    let outcomes = app.platform.ingest(batch, workspace, "collector").await?;
    let strict = headers.get("x-strict-mode").is_some_and(|value| value.as_bytes() == b"1");
    Ok(answer(&outcomes, strict))
}

/// Lets a refused body pass by, unread: a client that is still writing when the connection ends never sees the answer.
async fn pass_by(request: Request, bytes_max: usize) {
    let mut parts = request.into_body().into_data_stream();
    let passed = async {
        let mut bytes = 0;
        while let Some(Ok(part)) = parts.next().await {
            bytes += part.len();
            if bytes > bytes_max {
                break;
            }
        }
    };
    // Whoever is slower than that is cut off.
    let _ = tokio::time::timeout(BODY_TIME_MAX, passed).await;
}

fn answer(outcomes: &[flow::ItemOutcome], strict: bool) -> Response {
    if outcomes.iter().all(|item| item.outcome == Outcome::Accepted) {
        return Json(Collected { success: true, results: None }).into_response();
    }
    let rejected = outcomes.iter().any(|item| matches!(item.outcome, Outcome::Rejected(_)));
    let status = if strict && rejected { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let results = Some(outcomes.iter().map(result).collect());
    (status, Json(Collected { success: status == StatusCode::OK, results })).into_response()
}

fn result(item: &flow::ItemOutcome) -> ItemResult {
    let (status, conflict, reasons) = match &item.outcome {
        Outcome::Accepted => ("accepted", None, None),
        Outcome::Duplicate { conflict } => ("duplicate", Some(*conflict), None),
        Outcome::Rejected(reasons) => ("rejected", None, Some(reasons.iter().map(Reason::of).collect())),
    };
    ItemResult { message_id: item.message_id.clone(), status, conflict, reasons }
}

fn too_large() -> Problem {
    Problem::too_large("The body is longer than a batch may be: send less at once.")
}

fn mark_history(batch: &mut flow::Batch, history: bool) {
    for event in batch.items.iter_mut().flatten() {
        event.backfill |= history;
    }
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
                .map_err(|_| Problem::unreadable("The body is not zstd."))?,
        ),
        _ => return Err(Problem::unsupported("The content encoding is unknown: use gzip, zstd or none.")),
    };
    let mut out = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut out);
    if out.len() > limit {
        return Err(too_large());
    }
    read.map_err(|_| Problem::unreadable("The body cannot be decompressed."))?;
    Ok(Bytes::from(out))
}

#[derive(Deserialize)]
struct Keyed {
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
}

/// The write key in a body: of the call or batch, or of the first call of a list or of lines.
fn write_key_in(body: &[u8]) -> Option<String> {
    let body = body.trim_ascii();
    let keyed = |text: &[u8]| serde_json::from_slice::<Keyed>(text).ok()?.write_key;
    if body.starts_with(b"[") {
        let first = serde_json::from_slice::<Vec<&RawValue>>(body).ok()?.first()?.get();
        return keyed(first.as_bytes());
    }
    keyed(body).or_else(|| keyed(body.split(|byte| *byte == b'\n').next()?))
}

async fn sender(app: &App, key: Option<String>) -> Result<(WorkspaceId, Trust), Problem> {
    let key = key
        .ok_or_else(|| Problem::unauthorised("Give the write key, by Basic authorization or as writeKey."))?;
    match app.platform.store.key(&auth::hash(&key)).await? {
        Some((workspace, kind)) if kind == "browser" => Ok((workspace, Trust::Browser)),
        Some((workspace, kind)) if kind == "server" => Ok((workspace, Trust::Server)),
        Some(_) => Err(Problem::forbidden(
            "This is an API key: it reads and administers. Give a write key to send events.",
        )),
        None => Err(Problem::unauthorised("The write key is not known.")),
    }
}

/// The JSON call in a pixel's `data`: base64 of either alphabet with or without padding, or as it is.
fn pixel_body(query: &str) -> Option<Vec<u8>> {
    const FORGIVING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PIXEL: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, FORGIVING);
    let data = query.split('&').find_map(|pair| pair.strip_prefix("data="))?;
    let data: Vec<u8> = percent_encoding::percent_decode_str(data).collect();
    if data.starts_with(b"{") {
        return Some(data);
    }
    // A plus that stands unescaped in a query may have become a space on the way.
    let swap = |byte: u8| match byte {
        b'-' | b' ' => b'+',
        b'_' => b'/',
        other => other,
    };
    let data: Vec<u8> = data.into_iter().map(swap).collect();
    PIXEL.decode(data).ok()
}

/// Takes one call from a picture's address. Always answers with the picture: a page must not break because of us.
#[utoipa::path(get, path = "/v1/pixel/{call}", tag = "collector",
    params(("call" = String, Path, description = "identify, track, page, screen, group, alias, or their short forms"),
        ("data" = Option<String>, Query, description = "base64 of the call's JSON, with its writeKey")),
    responses((status = 200, body = String, content_type = "image/gif", description = "The picture.")))]
async fn pixel(State(app): State<App>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    if let (Some((route, history)), Some(body)) = (call_of(&name), query.as_deref().and_then(pixel_body)) {
        let stored = async {
            let (workspace, trust) = sender(&app, write_key_in(&body)).await?;
            let mut batch = app.platform.intake(workspace, &body, route, trust);
            mark_history(&mut batch, history);
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

/// What the browser SDK boots from.
#[utoipa::path(get, path = "/v1/projects/{key}/settings", tag = "collector", operation_id = "sdk_settings", params(("key" = String, Path, description = "The write key.")), responses((status = 200, body = Value)))]
async fn settings(State(app): State<App>, Path(key): Path<String>) -> Json<Value> {
    let base = &app.platform.options.base_url;
    let (protocol, host) = base.split_once("://").unwrap_or(("http", base));
    Json(json!({
        "integrations": {"Segment.io": {"apiKey": key, "apiHost": format!("{host}/v1"), "protocol": protocol}},
        "plan": {"track": {}, "identify": {}, "group": {}}, "edgeFunction": {}, "analyticsNextEnabled": true,
        "metrics": {"sampleRate": 0}, "legacyVideoPluginsEnabled": false, "remotePlugins": [],
    }))
}
