//! How the server is: for load balancers and Prometheus.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::{App, Problem};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.platform.store.meta("secret").await.map_err(flow::Error::from)?;
    Ok("ready")
}

async fn metrics(State(app): State<App>) -> Response {
    let live = &app.platform.live;
    let mut out = String::new();
    for (name, help, value) in [
        ("rapport_events_accepted_total", "Events stored.", live.accepted.load(Ordering::Relaxed)),
        ("rapport_events_rejected_total", "Items refused.", live.rejected.load(Ordering::Relaxed)),
        ("rapport_events_duplicate_total", "Items seen before.", live.duplicates.load(Ordering::Relaxed)),
        ("rapport_events_conflict_total", "Ids with another body.", live.conflicts.load(Ordering::Relaxed)),
        ("rapport_events_stepped_total", "Events stepped.", live.stepped.load(Ordering::Relaxed)),
        (
            "rapport_messages_accepted_total",
            "Mails handed over.",
            live.messages_accepted.load(Ordering::Relaxed),
        ),
    ] {
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
