//! HTTP: the collector, the admin API, recipients' pages, the embedded console.
//!
//! The outermost ring: it reads requests, asks `flow`, and answers. It decides nothing.

mod auth;
mod catalog;
mod catalog_rows;
mod checks;
mod collector;
mod conditions;
mod consents;
mod coupons;
mod events;
mod extract;
mod fills;
mod idempotency;
mod identity;
mod insight;
mod journeys;
mod keys;
mod listen;
mod lists;
mod messages;
pub mod openapi;
mod overview;
mod pages;
mod problem;
mod profiles;
mod query;
mod recommendations;
mod rfm;
mod rules;
mod segments;
mod settings;
mod shape;
mod split;
mod status;
mod suppressions;
mod tables;
mod templates;
mod traits;
mod vocabulary;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use flow::Platform;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use problem::Problem;

/// What every handler has at hand.
#[derive(Clone)]
pub struct App {
    /// The platform.
    pub platform: Arc<Platform>,
    /// Bytes of collector bodies in work.
    pub(crate) inflight: Arc<AtomicUsize>,
    /// Idempotency keys whose first call is in work.
    pub(crate) in_work: idempotency::InWork,
    /// What was seen of names and values a moment ago.
    pub(crate) sights: Arc<vocabulary::Sights>,
}

/// The routes with their description; nothing is served that is not described.
pub(crate) fn described() -> (Router<App>, utoipa::openapi::OpenApi) {
    let (router, api) = OpenApiRouter::with_openapi(openapi::frame())
        .merge(collector::routes())
        .merge(guarded(None))
        .merge(open())
        .split_for_parts();
    (router, openapi::finish(api))
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::sign_in))
        .merge(pages::routes())
        .merge(status::routes())
        .routes(routes!(media))
}

fn guarded(app: Option<&App>) -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new()
        .routes(routes!(auth::session, auth::sign_out))
        .merge(overview::routes())
        .merge(events::routes())
        .merge(profiles::routes())
        .merge(conditions::routes())
        .merge(vocabulary::routes())
        .merge(insight::routes())
        .merge(identity::routes())
        .merge(split::routes())
        .merge(fills::routes())
        .merge(segments::routes())
        .merge(traits::routes())
        .merge(rfm::routes())
        .merge(templates::routes())
        .merge(checks::routes())
        .merge(journeys::routes())
        .merge(messages::routes())
        .merge(query::routes())
        .merge(settings::routes())
        .merge(keys::routes())
        .merge(consents::routes())
        .merge(suppressions::routes())
        .merge(rules::routes())
        .merge(tables::routes())
        .merge(catalog::routes())
        .merge(catalog_rows::routes())
        .merge(coupons::routes())
        .merge(recommendations::routes());
    match app {
        None => routes,
        Some(app) => routes
            .route_layer(middleware::from_fn_with_state(app.clone(), idempotency::layer))
            .route_layer(middleware::from_fn_with_state(app.clone(), auth::require)),
    }
}

/// All routes.
pub fn router(platform: Arc<Platform>) -> Router {
    let app = App { platform, inflight: Arc::default(), in_work: Arc::default(), sights: Arc::default() };
    let nosniff = SetResponseHeaderLayer::if_not_present(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let limit = app.platform.options.limits.batch_bytes_max;
    let collector = collector::dressed(Router::from(collector::routes()), limit);
    Router::from(guarded(Some(&app)).merge(open()))
        .merge(collector)
        .fallback(console_file)
        .method_not_allowed_fallback(async || Problem::method())
        .layer(DefaultBodyLimit::max(1 << 20))
        .layer(nosniff)
        .with_state(app)
}

/// Serves until `shutdown` is done, at most `connections_max` connections at once; requests in work are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    connections_max: usize,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = listen::Listener::new(listener, connections_max);
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

/// Pictures that mails show.
#[utoipa::path(get, path = "/media/{name}", tag = "recipients", params(("name" = String, Path)), responses((status = 200, body = String, content_type = "image/svg+xml", description = "The picture.")))]
async fn media(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = app.platform.store.asset(&name).await?;
    let (kind, body) = found.ok_or_else(|| Problem::missing("There is no such file."))?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=86400".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'".to_owned()),
    ];
    Ok((headers, body).into_response())
}

async fn console_file(uri: Uri, headers: axum::http::HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if matches!(first, "api" | "v1" | "t" | "u" | "p" | "v" | "f" | "s" | "media" | "metrics") {
        return Problem::missing("There is no such address.").into_response();
    }
    if !console::is_built() {
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        return ([(header::CONTENT_SECURITY_POLICY, policy)], axum::response::Html(console::FALLBACK))
            .into_response();
    }
    let asset = console::asset(path).or_else(|| if path.contains('.') { None } else { console::asset("") });
    let Some(asset) = asset else { return Problem::missing("There is no such file.").into_response() };
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let common = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::ETAG, asset.etag),
        (header::CACHE_CONTROL, asset.cache_control()),
        (header::CONTENT_SECURITY_POLICY, console::CONTENT_SECURITY_POLICY),
    ];
    let gzip = headers
        .get(header::ACCEPT_ENCODING)
        .is_some_and(|value| value.to_str().is_ok_and(|v| v.contains("gzip")));
    match asset.gzip.filter(|_| gzip) {
        Some(packed) => (common, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (common, asset.bytes).into_response(),
    }
}
