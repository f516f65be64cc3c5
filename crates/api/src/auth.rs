//! Who is asking: an API key, or a console session begun with the setup token.

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::time::DAY;
use model::{Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::extract::Body;
use crate::{App, Problem};

const COOKIE: &str = "rapport_session";
const SESSION_MAX: i64 = 14 * DAY;

/// The workspace of an authorised request.
#[derive(Clone, Copy, Debug)]
pub struct Ws(pub WorkspaceId);

impl<S: Sync> FromRequestParts<S> for Ws {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Ws, Problem> {
        let found = parts.extensions.get::<Ws>().copied();
        found.ok_or_else(|| Problem::unauthorised("Sign in, or send an API key."))
    }
}

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
    request.extensions_mut().insert(Ws(workspace));
    Ok(next.run(request).await)
}

async fn authorise(app: &App, method: &Method, headers: &HeaderMap) -> Result<WorkspaceId, Problem> {
    let store = &app.platform.store;
    if let Some(key) = bearer(headers) {
        return match store.key(&hash(&key)).await? {
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
    let found = store.session(&hash(&cookie), app.platform.clock.now()).await?;
    found.ok_or_else(|| Problem::unauthorised("The session has ended: sign in again."))
}

/// What signing in takes.
#[derive(Deserialize, ToSchema)]
pub struct SignIn {
    /// The token that the server printed at its start, or an API key.
    token: String,
}

/// A console session.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// The workspace.
    pub workspace: SessionWorkspace,
    /// Who is signed in.
    pub actor: String,
    /// The server's version.
    pub version: String,
    /// The demo: nothing leaves the machine.
    pub demo: bool,
}

/// The workspace of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionWorkspace {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its time zone.
    pub timezone: String,
}

/// Neither text tells by the time it takes where the other differs.
fn same(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differing == 0
}

/// Begins a console session: an HttpOnly cookie. The body is JSON, so that no form on another site can do it.
#[utoipa::path(post, path = "/api/session", tag = "session", request_body = SignIn, responses((status = 204, description = "Signed in; the cookie is set.")))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    Body(sign_in): Body<SignIn>,
) -> Result<Response, Problem> {
    let store = &app.platform.store;
    let given = hash(&sign_in.token);
    let setup = store.meta("setup_token").await?;
    let (workspace, key) = if setup.is_some_and(|setup| same(&setup, &given)) {
        (WorkspaceId(1), None)
    } else {
        match store.key(&given).await? {
            Some((workspace, kind)) if kind == "api" => (workspace, Some(given.as_str())),
            _ => {
                return Err(Problem::unauthorised(
                    "The token is not known. The server prints it at its start.",
                ));
            }
        }
    };
    let secret = model::clock::random_hex::<32>();
    let now = app.platform.clock.now();
    store.put_session(&hash(&secret), workspace, key, now, now + SESSION_MAX).await?;
    let secure = if app.platform.options.base_url.starts_with("https") { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}",
        SESSION_MAX / 1_000_000
    );
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Who is signed in, and where.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = 200, body = Session)))]
pub(crate) async fn session(State(app): State<App>, ws: Ws) -> Result<Json<Session>, Problem> {
    let settings = app.platform.settings(ws.0).await?;
    let text = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Json(Session {
        workspace: SessionWorkspace { id: ws.0.0, name: text("name"), timezone: text("timezone") },
        actor: "console".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        demo: app.platform.options.demo,
    }))
}

/// Ends the session; its cookie is worth nothing from then on.
#[utoipa::path(delete, path = "/api/session", tag = "session", responses((status = 204, description = "Signed out.")))]
pub(crate) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(cookie) = session_cookie(&headers) {
        app.platform.store.delete_session(&hash(&cookie)).await?;
    }
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
