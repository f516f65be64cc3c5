//! Write keys and API keys: made, listed by hint, withdrawn. A key is shown once; its hash is kept.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, Ws};
use crate::extract::{At, Body};
use crate::shape::{Listing, Time};
use crate::{App, Problem, idempotency};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(remove))
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// browser or server writes events; api uses the admin API.
    pub kind: String,
    /// Its last characters.
    pub hint: String,
    /// When it was made.
    pub created_at: Time,
}

/// A new key with its secret, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKey {
    /// The key.
    #[serde(flatten)]
    pub row: Key,
    /// The secret.
    pub key: String,
}

/// What a key is made from.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct KeyDraft {
    /// What it is for.
    #[serde(default)]
    pub name: String,
    /// browser, server or api.
    #[serde(default)]
    pub kind: String,
}

/// The keys of the workspace.
#[utoipa::path(get, path = "/api/keys", tag = "keys", operation_id = "keys", responses((status = 200, body = Listing<Key>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<Key>>, Problem> {
    let rows = app.platform.store.keys(ws.0).await?.into_iter();
    let key = |(id, name, kind, hint, at): (_, _, _, _, model::Timestamp)| Key {
        id,
        name,
        kind,
        hint,
        created_at: at.into(),
    };
    Ok(Json(Listing::all(rows.map(key).collect())))
}

/// Makes a key. A replay under the same Idempotency-Key shows the same key again; it is derived, not kept.
#[utoipa::path(post, path = "/api/keys", tag = "keys", operation_id = "create_key", request_body = KeyDraft,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key again shows the same answer.")),
    responses((status = 201, body = NewKey)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    headers: HeaderMap,
    Body(draft): Body<KeyDraft>,
) -> Result<Response, Problem> {
    let kind = draft.kind.as_str();
    if draft.name.trim().is_empty() || !["browser", "server", "api"].contains(&kind) {
        return Err(Problem::invalid("Give a name, and a kind: browser, server or api."));
    }
    let under = idempotency::key(&headers)?;
    let secret = match &under {
        None => model::clock::random_hex::<20>(),
        // The answer must be repeatable and the secret must not be stored: it follows from the installation's own.
        Some(under) => {
            app.platform.tokens.keyed_hash(&format!("key/{}/{kind}/{under}", ws.0))[..40].to_owned()
        }
    };
    let key = format!("{kind}_{secret}");
    let hint = format!("…{}", &key[key.len() - 4..]);
    let now = app.platform.clock.now();
    let store = &app.platform.store;
    let made = async || store.put_key(ws.0, &draft.name, kind, &auth::hash(&key), &hint, now).await;
    let (id, at, replayed) = match under {
        None => (made().await?, now, false),
        Some(under) => {
            let body = serde_json::to_vec(&draft).unwrap_or_default();
            let body = idempotency::fingerprint("POST", "/api/keys", &body);
            match store.remembered(ws.0, &under).await? {
                Some(first) if first.body != body => return Err(idempotency::reused(&under)),
                Some(first) => {
                    let (id, at) = first.answer.split_once(' ').unwrap_or_default();
                    (id.to_owned(), model::Timestamp::from_micros(at.parse().unwrap_or_default()), true)
                }
                None => {
                    let id = made().await?;
                    let answer = format!("{id} {}", now.micros());
                    let call = store::Remembered { key: under, body, status: 201, answer };
                    store.plan_once(ws.0, &call, &[], now).await?;
                    (id, now, false)
                }
            }
        }
    };
    let row = Key { id, name: draft.name, kind: draft.kind, hint, created_at: at.into() };
    let shown = Json(NewKey { row, key });
    let answer = (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], shown).into_response();
    Ok(if replayed { idempotency::marked(answer) } else { answer })
}

/// Withdraws a key; it is refused from then on, and so are the console sessions that began with it.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", operation_id = "delete_key", params(("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    let gone = app.platform.store.delete_key(ws.0, &id).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("There is no such key.")) }
}
