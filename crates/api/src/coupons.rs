//! Coupons: pools, their codes, and how far they are used.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::coupons::{alert, free_codes};
use model::{Timestamp, Value};
use serde::{Deserialize, Serialize};
use store::{PoolRow, PoolUse};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::shape::{Listing, Paging, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(pools))
        .routes(routes!(put_pool, remove_pool))
        .routes(routes!(given, add_codes))
}

/// A pool of coupons and how far it is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct CouponPool {
    /// Its id, as templates and journeys name it.
    pub id: String,
    /// How its codes are made: `?` a letter, `#` a digit, `*` either; null when they are uploaded.
    pub pattern: Option<String>,
    /// How many codes are made at most.
    pub most: Option<i64>,
    /// So few free codes are told as low.
    pub low_at: i64,
    /// From when its codes are worth nothing.
    pub expires_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Codes that somebody was given.
    pub assigned: i64,
    /// Codes that came back with an order.
    pub redeemed: i64,
    /// Codes that can still be given; null where there is no end to them.
    pub free: Option<i64>,
    /// What about it deserves a look.
    pub alert: Option<String>,
}

fn shape(found: PoolUse, now: Timestamp) -> CouponPool {
    CouponPool {
        free: free_codes(&found),
        alert: alert(&found, now),
        assigned: found.assigned,
        redeemed: found.redeemed,
        id: found.pool.id,
        pattern: found.pool.pattern,
        most: found.pool.most,
        low_at: found.pool.low_at,
        expires_at: found.pool.expires_at.map(Time::from),
        created_at: found.pool.created_at.into(),
    }
}

async fn known(app: &App, ws: &Ws, id: &str) -> Result<(), Problem> {
    let found = app.platform.store.pool(ws.0, id).await?;
    found.map(|_| ()).ok_or_else(|| Problem::missing(&format!("There is no pool of coupons '{id}'.")))
}

/// The pools of coupons.
#[utoipa::path(get, path = "/api/coupons", tag = "coupons", operation_id = "coupon_pools", responses((status = 200, body = Listing<CouponPool>)))]
async fn pools(State(app): State<App>, ws: Ws) -> Result<Json<Listing<CouponPool>>, Problem> {
    let now = app.platform.clock.now();
    let rows = app.platform.coupon_pools(ws.0).await?;
    Ok(Json(Listing::all(rows.into_iter().map(|row| shape(row, now)).collect())))
}

/// A pool as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponPoolDraft {
    /// How codes are made: `?` a letter, `#` a digit, `*` either, at least six of them; without it, codes are uploaded.
    pub pattern: Option<String>,
    /// How many codes are made at most.
    pub most: Option<i64>,
    /// So few free codes are told as low; 100 otherwise.
    pub low_at: Option<i64>,
    /// From when its codes are worth nothing: RFC 3339 or a date.
    pub expires_at: Option<String>,
}

/// Makes a pool or changes it. Whether codes are uploaded or made does not change.
#[utoipa::path(put, path = "/api/coupons/{pool}", tag = "coupons", operation_id = "put_coupon_pool", params(("pool" = String, Path)), request_body = CouponPoolDraft, responses((status = 200, body = CouponPool)))]
async fn put_pool(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<CouponPoolDraft>,
) -> Result<Json<CouponPool>, Problem> {
    let now = app.platform.clock.now();
    let expires_at = match draft.expires_at.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(Timestamp::parse(text).ok_or_else(|| {
            Problem::invalid(&format!("expires_at: '{text}' is no instant such as 2026-01-31T12:00:00Z."))
        })?),
    };
    let row = PoolRow {
        id: id.clone(),
        pattern: draft.pattern.filter(|text| !text.is_empty()),
        most: draft.most,
        low_at: draft.low_at.unwrap_or(100),
        expires_at,
        created_at: now,
    };
    app.platform.put_coupon_pool(ws.0, row).await?;
    let found = app.platform.coupon_pools(ws.0).await?.into_iter().find(|found| found.pool.id == id);
    let found = found.ok_or_else(|| Problem::missing("The pool is gone."))?;
    Ok(Json(shape(found, now)))
}

/// Removes a pool with its codes. Mails that ask for it are skipped from then on.
#[utoipa::path(delete, path = "/api/coupons/{pool}", tag = "coupons", operation_id = "delete_coupon_pool", params(("pool" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove_pool(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    let gone = app.platform.delete_coupon_pool(ws.0, &id).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("There is no such pool.")) }
}

/// A code that somebody was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct GivenCoupon {
    /// The code.
    pub code: String,
    /// Who was given it.
    pub profile: Option<i64>,
    /// In which message.
    pub message: Option<String>,
    /// When.
    pub assigned_at: Option<Time>,
    /// When it came back.
    pub redeemed_at: Option<Time>,
    /// With which order.
    pub order_id: Option<String>,
}

/// The codes of a pool that somebody was given, by code.
#[utoipa::path(get, path = "/api/coupons/{pool}/codes", tag = "coupons", operation_id = "given_coupons", params(("pool" = String, Path), Paging), responses((status = 200, body = Listing<GivenCoupon>)))]
async fn given(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<GivenCoupon>>, Problem> {
    known(&app, &ws, &id).await?;
    let after = paging.cursor.as_deref().unwrap_or_default();
    let mut rows = app.platform.coupons_given(ws.0, &id, after, paging.ask()).await?;
    let next_cursor = paging.cut(&mut rows, |row| row.code.clone());
    let items = rows.into_iter().map(|row| GivenCoupon {
        code: row.code,
        profile: row.profile.map(|profile| profile.0),
        message: row.message,
        assigned_at: row.assigned_at.map(Time::from),
        redeemed_at: row.redeemed_at.map(Time::from),
        order_id: row.order_id,
    });
    Ok(Json(Listing { items: items.collect(), next_cursor, total: None }))
}

/// Codes to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodesUpload {
    /// Codes, one a line; at most 100,000 and 1 MB at once.
    pub codes: String,
}

/// What became of codes.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodesAdded {
    /// New in the pool.
    pub added: u64,
    /// There already.
    pub known: u64,
    /// Lines that are no code: too long, or with spaces.
    pub refused: u64,
}

/// Adds codes to a pool. The same codes again change nothing.
#[utoipa::path(post, path = "/api/coupons/{pool}/codes", tag = "coupons", operation_id = "add_coupons", params(("pool" = String, Path)), request_body = CodesUpload, responses((status = 200, body = CodesAdded)))]
async fn add_codes(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(upload): Body<Value>,
) -> Result<Json<CodesAdded>, Problem> {
    known(&app, &ws, &id).await?;
    let upload: CodesUpload =
        serde_json::from_value(upload).map_err(|error| Problem::invalid(&error.to_string()))?;
    let taken = app.platform.add_coupons(ws.0, &id, &upload.codes).await?;
    Ok(Json(CodesAdded { added: taken.added, known: taken.known, refused: taken.refused }))
}
