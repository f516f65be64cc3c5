//! Who is asking: an API key, or a console session begun with the setup token.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::WorkspaceId;
use model::time::DAY;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{App, Problem};

const COOKIE: &str = "rapport_session";
const SESSION_MAX: i64 = 14 * DAY;

/// The workspace of an authorised request.
#[derive(Clone, Copy, Debug)]
pub struct Workspace(pub WorkspaceId);

pub(crate) fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().fold(String::new(), |mut out, byte| {
        use std::fmt::Write;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The secret of `Authorization: Bearer …` or of `Basic secret:`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(token) = value.strip_prefix("Bearer ") {
        return Some(token.trim().to_owned());
    }
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split(':').next().unwrap_or_default().to_owned())
}

fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|pair| Some(pair.trim().strip_prefix(COOKIE)?.strip_prefix('=')?.to_owned()))
}

/// Lets a request through with its workspace, or refuses it.
pub async fn require(State(app): State<App>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let workspace = authorise(&app, request.method(), request.headers()).await?;
    request.extensions_mut().insert(Workspace(workspace));
    Ok(next.run(request).await)
}

async fn authorise(app: &App, method: &Method, headers: &HeaderMap) -> Result<WorkspaceId, Problem> {
    let store = &app.platform.store;
    if let Some(key) = bearer(headers) {
        return match store.key(&hash(&key)).await.map_err(flow::Error::from)? {
            Some((workspace, kind)) if kind == "api" => Ok(workspace),
            Some(_) => Err(Problem::forbidden("This is a write key: it may send events and read nothing.")),
            None => Err(Problem::unauthorised("The API key is not known.")),
        };
    }
    let cookie =
        session_cookie(headers).ok_or_else(|| Problem::unauthorised("Sign in, or send an API key."))?;
    // A form on another site can send our cookie, but not this header.
    if !matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key("x-rapport") {
        return Err(Problem::forbidden("A change from the console carries the header x-rapport."));
    }
    let found = store.session(&hash(&cookie), app.platform.clock.now()).await.map_err(flow::Error::from)?;
    found.ok_or_else(|| Problem::unauthorised("The session has ended: sign in again."))
}

/// What signing in takes.
#[derive(Deserialize)]
pub struct SignIn {
    token: String,
}

/// `POST /api/session`.
pub async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    Json(sign_in): Json<SignIn>,
) -> Result<Response, Problem> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json {
        return Err(Problem::invalid("Sign in with a JSON body."));
    }
    let store = &app.platform.store;
    let given = hash(&sign_in.token);
    let setup = store.meta("setup_token").await.map_err(flow::Error::from)?;
    let workspace = if setup.is_some_and(|setup| setup == given) {
        WorkspaceId(1)
    } else {
        match store.key(&given).await.map_err(flow::Error::from)? {
            Some((workspace, kind)) if kind == "api" => workspace,
            _ => {
                return Err(Problem::unauthorised(
                    "The token is not known. The server prints it at its start.",
                ));
            }
        }
    };
    let secret = model::clock::random_hex::<32>();
    let now = app.platform.clock.now();
    store.put_session(&hash(&secret), workspace, now, now + SESSION_MAX).await.map_err(flow::Error::from)?;
    let secure = if app.platform.options.base_url.starts_with("https") { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
        SESSION_MAX / 1_000_000
    );
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `GET /api/session`.
pub async fn session(
    State(app): State<App>,
    axum::Extension(workspace): axum::Extension<Workspace>,
) -> Result<Json<serde_json::Value>, Problem> {
    let settings = app.platform.settings(workspace.0).await?;
    Ok(Json(json!({
        "workspace": {"id": workspace.0, "name": settings.get("name"), "timezone": settings.get("timezone")},
        "actor": "console", "version": env!("CARGO_PKG_VERSION"), "demo": app.platform.options.demo,
    })))
}

/// `DELETE /api/session`.
pub async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(cookie) = session_cookie(&headers) {
        app.platform.store.delete_session(&hash(&cookie)).await.map_err(flow::Error::from)?;
    }
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
