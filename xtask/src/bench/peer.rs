//! What the server is measured beside: the collector's own intake behind the same HTTP stack, and then nothing, or
//! PostgreSQL's COPY. Runs as a process of its own so that its CPU time is its own.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::{Clock, Event, Trust, WorkspaceId};
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the writer.
const WAITING_MAX: usize = 1_024;
/// Events of one COPY.
const COPY_EVENTS_MAX: usize = 20_000;

type Done = oneshot::Sender<Result<(), String>>;

struct Peer {
    clock: Clock,
    copy: Option<mpsc::Sender<(Vec<Event>, Done)>>,
}

/// `xtask bench-peer ADDRESS parse|copy [postgres://…]`: serves until killed.
pub fn run(arguments: &[String]) -> Result<()> {
    let [address, kind, rest @ ..] = arguments else {
        bail!("usage: xtask bench-peer ADDRESS parse | ADDRESS copy postgres://…");
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let copy = match kind.as_str() {
            "parse" => None,
            "copy" => {
                let url = rest.first().context("copy needs the address of a PostgreSQL server")?;
                let mut connection = PgConnection::connect(url).await?;
                connection
                    .execute(
                        "DROP TABLE IF EXISTS bench_log; \
                         CREATE TABLE bench_log (workspace bigint, message_id text, name text, payload text)",
                    )
                    .await?;
                let (sender, receiver) = mpsc::channel(WAITING_MAX);
                tokio::spawn(write(connection, receiver));
                Some(sender)
            }
            other => bail!("unknown peer '{other}'"),
        };
        let router = Router::new()
            .route("/v1/batch", post(collect))
            .route("/readyz", get(|| async { "ready" }))
            .layer(DefaultBodyLimit::max(1 << 20))
            .with_state(Arc::new(Peer { clock: Clock::system(), copy }));
        axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?;
        Ok(())
    })
}

/// The collector's own reading of a body.
fn events_of(body: &[u8], clock: &Clock) -> Vec<Event> {
    let new_id = || "none".to_owned();
    let context = profile::intake::Context {
        workspace: WorkspaceId(1),
        route: None,
        trust: Trust::Server,
        received_at: clock.now(),
        backfill: false,
        event_bytes_max: 32 << 10,
        batch_events_max: 2_500,
        new_id: &new_id,
    };
    profile::intake::batch(body, &context).items.into_iter().flatten().collect()
}

async fn collect(State(peer): State<Arc<Peer>>, body: Bytes) -> Response {
    let events = events_of(&body, &peer.clock);
    if let Some(copy) = &peer.copy {
        let (done, answer) = oneshot::channel();
        if copy.send((events, done)).await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if !matches!(answer.await, Ok(Ok(()))) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    } else if events.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    axum::Json(serde_json::json!({"success": true})).into_response()
}

/// One COPY, and one commit, for all requests that wait.
async fn write(mut connection: PgConnection, mut requests: mpsc::Receiver<(Vec<Event>, Done)>) {
    while let Some((mut events, done)) = requests.recv().await {
        let mut waiting = vec![done];
        while events.len() < COPY_EVENTS_MAX {
            let Ok((more, done)) = requests.try_recv() else { break };
            events.extend(more);
            waiting.push(done);
        }
        let outcome = copy(&mut connection, &events).await.map_err(|error| error.to_string());
        for done in waiting {
            // A caller that went away needs no answer.
            let _ = done.send(outcome.clone());
        }
    }
}

/// Source of the form: PostgreSQL's documentation, "COPY", binary format.
async fn copy(connection: &mut PgConnection, events: &[Event]) -> Result<()> {
    let mut data = Vec::with_capacity(events.len() * 400);
    data.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    for event in events {
        data.extend_from_slice(&4_i16.to_be_bytes());
        data.extend_from_slice(&8_i32.to_be_bytes());
        data.extend_from_slice(&event.workspace.0.to_be_bytes());
        for text in [&event.message_id, &event.name, &event.properties] {
            data.extend_from_slice(&(text.len() as i32).to_be_bytes());
            data.extend_from_slice(text.as_bytes());
        }
    }
    data.extend_from_slice(&(-1_i16).to_be_bytes());
    let mut sink = connection
        .copy_in_raw("COPY bench_log (workspace, message_id, name, payload) FROM STDIN (FORMAT binary)")
        .await?;
    sink.send(data).await?;
    sink.finish().await?;
    Ok(())
}
