//! HTTP: the collector, the admin API, recipients' pages, the embedded console.
//!
//! The outermost ring: it reads requests, asks `flow`, and answers. It decides nothing.

mod admin;
mod auth;
mod collector;
mod pages;
mod problem;
mod status;
mod view;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flow::Platform;
use tower_http::set_header::SetResponseHeaderLayer;

pub use problem::Problem;

/// What every handler has at hand.
#[derive(Clone)]
pub struct App {
    /// The platform.
    pub platform: Arc<Platform>,
    /// Bytes of collector bodies in work.
    pub(crate) inflight: Arc<AtomicUsize>,
}

/// All routes.
pub fn router(platform: Arc<Platform>) -> Router {
    let app = App { platform, inflight: Arc::default() };
    let nosniff = SetResponseHeaderLayer::if_not_present(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    Router::new()
        .merge(collector::routes(&app))
        .merge(admin::routes(&app))
        .merge(pages::routes())
        .merge(status::routes())
        .route("/media/{name}", get(media))
        .fallback(console_file)
        .layer(DefaultBodyLimit::max(1 << 20))
        .layer(nosniff)
        .with_state(app)
}

/// Serves until `shutdown` is done; requests in work are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

async fn media(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = app.platform.store.asset(&name).await.map_err(flow::Error::from)?;
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
