//! `Idempotency-Key`: the first answer to a POST is kept with its key, a replay gets that answer and has no effect.
//!
//! `/api/send` and `/api/keys` do it themselves: the first writes key and message in one transaction, the second must not
//! keep the secret it answers with. What holds for the others is in docs/api.md.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use model::WorkspaceId;
use xxhash_rust::xxh3::Xxh3;

use crate::auth::Ws;
use crate::{App, Problem};

const NAME: &str = "idempotency-key";
/// Says that an answer is the first one again.
const REPLAYED: &str = "idempotency-replayed";
/// Bytes of a body or an answer that are looked at; no route takes or gives more under a key.
const BYTES_MAX: usize = 1 << 20;
/// Ask and change nothing, or keep their keys themselves.
const LEFT_ALONE: [&str; 12] = [
    "/api/segments/preview",
    "/api/segments/check",
    "/api/segments/explain",
    "/api/profiles/{id}/split/preview",
    "/api/templates/render",
    "/api/templates/check",
    "/api/templates/people",
    "/api/tables/check",
    "/api/query",
    "/api/settings/transport/test",
    "/api/send",
    "/api/keys",
];

/// Keys whose first call is in work.
pub(crate) type InWork = Arc<Mutex<HashSet<(WorkspaceId, String)>>>;

/// The key of a call, if it has one.
///
/// # Errors
/// When it is no key.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > 255 {
        return Err(Problem::invalid("An Idempotency-Key has 1 to 255 visible ASCII characters."));
    }
    Ok(Some(text.to_owned()))
}

/// What tells one call from another under the same key.
pub(crate) fn fingerprint(method: &str, path: &str, body: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    for part in [method.as_bytes(), path.as_bytes(), body] {
        hash.update(part);
        hash.update(&[0xff]);
    }
    hash.digest()
}

/// Marks an answer as the first one again.
pub(crate) fn marked(mut answer: Response) -> Response {
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

/// 422: the key was used with another call.
pub(crate) fn reused(key: &str) -> Problem {
    store::Error::Reused(key.to_owned()).into()
}

struct Turn {
    all: InWork,
    mine: (WorkspaceId, String),
}

impl Turn {
    fn take(all: &InWork, mine: (WorkspaceId, String)) -> Option<Turn> {
        let free = all.lock().unwrap_or_else(PoisonError::into_inner).insert(mine.clone());
        free.then(|| Turn { all: all.clone(), mine })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mine);
    }
}

/// Answers a replay with the first answer; keeps the answer of a first call that had its effect.
pub(crate) async fn layer(
    State(app): State<App>,
    ws: Ws,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let alone = route.is_some_and(|route| LEFT_ALONE.contains(&route.as_str()));
    if *request.method() != Method::POST || alone {
        return Ok(next.run(request).await);
    }
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BYTES_MAX)
        .await
        .map_err(|_| Problem::too_large("The body is longer than this address takes: send less at once."))?;
    let fingerprint = fingerprint("POST", parts.uri.path(), &body);
    let store = &app.platform.store;
    let Some(_turn) = Turn::take(&app.in_work, (ws.0, key.clone())) else {
        let detail = "The first call with this Idempotency-Key is still in work: send it again in a moment.";
        return Err(Problem::conflict("in_work", detail));
    };
    if let Some(first) = store.remembered(ws.0, &key).await? {
        return if first.body == fingerprint { Ok(replay(first)) } else { Err(reused(&key)) };
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !answer.status().is_success() {
        // Nothing happened: the same call may succeed later.
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, 16 * BYTES_MAX)
        .await
        .map_err(|error| flow::Error::Bug(format!("an answer could not be read: {error}")))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let call = store::Remembered { key, body: fingerprint, status: head.status.as_u16(), answer: text };
    store.plan_once(ws.0, &call, &[], app.platform.clock.now()).await?;
    Ok(Response::from_parts(head, Body::from(body)))
}

fn replay(first: store::Remembered) -> Response {
    let status = StatusCode::from_u16(first.status).unwrap_or(StatusCode::OK);
    let empty = first.answer.is_empty();
    let mut answer = Response::new(Body::from(first.answer));
    *answer.status_mut() = status;
    if !empty {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    marked(answer)
}
