//! How the server is: for load balancers and Prometheus.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{App, Problem, openapi, overview};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(document))
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "status", responses((status = 200, body = String, content_type = "text/plain", description = "ok")))]
async fn healthz() -> &'static str {
    "ok"
}

/// The store answers: requests can be served.
#[utoipa::path(get, path = "/readyz", tag = "status", responses((status = 200, body = String, content_type = "text/plain", description = "ready")))]
async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    app.platform.store.meta("secret").await?;
    Ok("ready")
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "status", responses((status = 200, body = serde_json::Value)))]
async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::text()).into_response()
}

/// Counters since start, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "status", responses((status = 200, body = String, content_type = "text/plain", description = "Prometheus' text format.")))]
async fn metrics(State(app): State<App>) -> Response {
    let live = &app.platform.live;
    let mut out = String::new();
    for (name, help, value) in overview::counters(&app.platform) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
    }
    let lag = app.platform.lag_events();
    let _ = writeln!(
        out,
        "# HELP rapport_lag_events Events not yet stepped.\n# TYPE rapport_lag_events gauge\nrapport_lag_events {lag}"
    );
    let name = "rapport_membership_seconds";
    let _ = writeln!(out, "# HELP {name} From receipt to membership.\n# TYPE {name} histogram");
    let mut sum = 0;
    for (limit, count) in live.latency() {
        sum += count;
        let limit = if limit.is_finite() { limit.to_string() } else { "+Inf".to_owned() };
        let _ = writeln!(out, "{name}_bucket{{le=\"{limit}\"}} {sum}");
    }
    let _ = writeln!(out, "{name}_count {sum}");
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out).into_response()
}
