//! Home: what comes in, what goes out, whether all is well; and the stream of it.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use flow::Platform;
use model::time::{DAY, HOUR, MINUTE};
use model::{Timestamp, Value, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::events::EventRow;
use crate::journeys::{self, JourneyRow};
use crate::shape::Time;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(overview)).routes(routes!(stream))
}

/// The Home page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Profiles known.
    pub profiles: i64,
    /// Events of this workspace in the lake.
    pub events_total: i64,
    /// Events accepted by this server in the last full second.
    pub events_per_second: u64,
    /// Events received since midnight, in the workspace's time zone.
    pub events_today: i64,
    /// Items refused since midnight, in the workspace's time zone.
    pub rejected_today: i64,
    /// Accepted events that have not been stepped yet.
    pub lag_events: i64,
    /// How long the oldest of them has waited.
    pub lag_ms: i64,
    /// Messages by state, and how many were opened and clicked by a person.
    pub messages: BTreeMap<String, i64>,
    /// The last hour, oldest first; minutes in which nothing came are left out.
    pub events_by_minute: Vec<Minute>,
    /// The most frequent events of the last 24 hours.
    pub top_events: Vec<NameCount>,
    /// Segments with their members now.
    pub segments: Vec<SegmentCount>,
    /// Journeys with those under way.
    pub journeys: Vec<JourneyRow>,
    /// The parts of the server and how they are.
    pub health: Vec<Health>,
    /// The latest events.
    pub recent: Vec<EventRow>,
}

/// One minute of what came in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Minute {
    /// When it began.
    pub at: Time,
    /// Events received.
    pub accepted: i64,
    /// Items refused.
    pub rejected: i64,
}

/// A name and how often.
#[derive(Debug, Serialize, ToSchema)]
pub struct NameCount {
    /// The event's name.
    pub name: String,
    /// How often.
    pub count: i64,
}

/// A segment and its members.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentCount {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Members now.
    pub count: i64,
}

/// A part of the server and how it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Which part.
    pub name: String,
    /// How it is.
    #[schema(value_type = HealthStatus)]
    pub status: &'static str,
    /// In a sentence.
    pub detail: String,
}

/// How a part is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the words of a status")]
pub enum HealthStatus {
    /// As it should be.
    Ok,
    /// Somebody should look.
    Warn,
    /// It does not work.
    Down,
}

/// What the stream says every second.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tick {
    /// Events accepted by this server in the last full second.
    pub events_per_second: u64,
    /// Accepted events that have not been stepped yet.
    pub lag_events: i64,
    /// Profiles known.
    pub profiles: i64,
    /// Messages handed over, in all.
    pub messages_accepted: i64,
}

/// What Home shows.
#[utoipa::path(get, path = "/api/overview", tag = "overview", responses((status = 200, body = Overview)))]
async fn overview(State(app): State<App>, ws: Ws) -> Result<Json<Overview>, Problem> {
    Ok(Json(assemble(&app.platform, ws.0).await?))
}

async fn assemble(platform: &Platform, workspace: WorkspaceId) -> Result<Overview, Problem> {
    let now = platform.clock.now();
    let store = &platform.store;
    let registry = platform.registry(workspace);
    let counts: HashMap<String, i64> = store.segment_counts(workspace).await?.into_iter().collect();
    let segment = |(id, segment): (&String, &flow::registry::SegmentInForce)| SegmentCount {
        id: id.clone(),
        name: segment.name.clone(),
        count: counts.get(id).copied().unwrap_or(0),
    };
    let midnight = midnight(now, &registry.zone);
    let (events_total, events_today) = received(platform, workspace, midnight).await?;
    let recent = platform.live.recent(workspace);
    Ok(Overview {
        profiles: store.count_profiles(workspace).await?,
        events_total,
        events_per_second: platform.live.events_per_second(now),
        events_today,
        rejected_today: store.quarantined_since(workspace, midnight).await?,
        lag_events: platform.lag_events(),
        lag_ms: platform.lag_ms().await?,
        messages: messages(platform, workspace).await?,
        events_by_minute: minutes(platform, workspace, now - HOUR).await?,
        top_events: top(platform, workspace, now - DAY).await?,
        segments: registry.segments.iter().map(segment).collect(),
        journeys: journeys::rows(platform, workspace).await?,
        health: health(platform, workspace).await?,
        recent: recent.iter().take(20).map(|row| EventRow::of(row)).collect(),
    })
}

/// The instant at which the day of `now` began.
fn midnight(now: Timestamp, zone: &jiff::tz::TimeZone) -> Timestamp {
    let day = now.to_jiff().to_zoned_datetime(zone.clone()).start_of_day();
    day.map_or(now, |day| Timestamp::from_micros(day.timestamp().as_microsecond()))
}

async fn received(
    platform: &Platform,
    workspace: WorkspaceId,
    since: Timestamp,
) -> Result<(i64, i64), Problem> {
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE received_at >= to_timestamp_micros({})) FROM events",
        since.micros()
    );
    let answer = platform.query(workspace, &sql).await?;
    let number = |at: usize| answer.rows.first().and_then(|row| row[at].as_i64()).unwrap_or(0);
    Ok((number(0), number(1)))
}

async fn messages(platform: &Platform, workspace: WorkspaceId) -> Result<BTreeMap<String, i64>, Problem> {
    let states = [
        "planned", "intent", "accepted", "skipped", "deferred", "rejected", "in_doubt", "expired", "unknown",
    ];
    let mut out: BTreeMap<String, i64> = states.iter().map(|state| ((*state).to_owned(), 0)).collect();
    out.extend(platform.store.message_counts(workspace).await?);
    let (opened, clicked) = platform.store.response_counts(workspace).await?;
    out.insert("opened".to_owned(), opened);
    out.insert("clicked".to_owned(), clicked);
    Ok(out)
}

async fn minutes(
    platform: &Platform,
    workspace: WorkspaceId,
    since: Timestamp,
) -> Result<Vec<Minute>, Problem> {
    let start = since.micros().div_euclid(MINUTE) * MINUTE;
    let sql = format!(
        "SELECT date_trunc('minute', received_at) AS m, count(*) FROM events \
         WHERE received_at >= to_timestamp_micros({start}) GROUP BY 1 LIMIT 100"
    );
    let mut by_minute: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for row in platform.query(workspace, &sql).await?.rows {
        let at = row[0].as_str().and_then(Timestamp::parse);
        if let (Some(at), Some(count)) = (at, row[1].as_i64()) {
            by_minute.entry(at.micros()).or_default().0 += count;
        }
    }
    let refused = platform.store.quarantined_by(workspace, Timestamp::from_micros(start), MINUTE).await?;
    for (at, count) in refused {
        by_minute.entry(at.micros()).or_default().1 += count;
    }
    let minute =
        |(at, (accepted, rejected))| Minute { at: Timestamp::from_micros(at).into(), accepted, rejected };
    Ok(by_minute.into_iter().map(minute).collect())
}

async fn top(
    platform: &Platform,
    workspace: WorkspaceId,
    since: Timestamp,
) -> Result<Vec<NameCount>, Problem> {
    let sql = format!(
        "SELECT name, count(*) AS n FROM events WHERE timestamp > to_timestamp_micros({}) GROUP BY name \
         ORDER BY n DESC, name LIMIT 8",
        since.micros()
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = platform.query(workspace, &sql).await?.rows;
    Ok(rows
        .iter()
        .map(|row| NameCount { name: text(&row[0]), count: row[1].as_i64().unwrap_or(0) })
        .collect())
}

async fn health(platform: &Platform, workspace: WorkspaceId) -> Result<Vec<Health>, Problem> {
    let parts = platform.health(workspace).await?;
    Ok(parts
        .into_iter()
        .map(|part| Health { name: part.name.to_owned(), status: part.status.name(), detail: part.detail })
        .collect())
}

async fn tick(platform: &Platform, workspace: WorkspaceId) -> Result<Tick, Problem> {
    let counts = platform.store.message_counts(workspace).await?;
    let accepted = counts.into_iter().find(|(state, _)| state == "accepted");
    Ok(Tick {
        events_per_second: platform.live.events_per_second(platform.clock.now()),
        lag_events: platform.lag_events(),
        profiles: platform.store.count_profiles(workspace).await?,
        messages_accepted: accepted.map_or(0, |(_, count)| count),
    })
}

/// Server-sent events: `tick` every second, `event` for a sample of what comes in.
#[utoipa::path(get, path = "/api/stream", tag = "overview",
    responses((status = 200, body = Tick, content_type = "text/event-stream", description = "`tick` (this shape) and `event` (an EventRow).")))]
async fn stream(State(app): State<App>, ws: Ws) -> impl IntoResponse {
    let platform = app.platform.clone();
    let feed = platform.live.watch();
    let beat = tokio::time::interval(Duration::from_secs(1));
    let state = (platform, feed, beat);
    let events = futures::stream::unfold(state, move |(platform, mut feed, mut beat)| async move {
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    let Ok(tick) = tick(&platform, ws.0).await else { continue };
                    let tick = serde_json::to_string(&tick).unwrap_or_default();
                    return Some((Ok::<_, Infallible>(Sse::default().event("tick").data(tick)), (platform, feed, beat)));
                }
                row = feed.recv() => match row {
                    Ok(row) if row.workspace == ws.0 => {
                        let row = serde_json::to_string(&EventRow::of(&row)).unwrap_or_default();
                        return Some((Ok(Sse::default().event("event").data(row)), (platform, feed, beat)));
                    }
                    Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    });
    Stream::new(events).keep_alive(KeepAlive::default())
}

/// Events stored since start, for `/metrics`.
pub(crate) fn counters(platform: &Platform) -> [(&'static str, &'static str, u64); 6] {
    let live = &platform.live;
    [
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_where_the_workspace_is() {
        let now = Timestamp::parse("2026-03-29T10:00:00Z").unwrap();
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(midnight(now, &berlin), Timestamp::parse("2026-03-28T23:00:00Z").unwrap());
        assert_eq!(
            midnight(now, &jiff::tz::TimeZone::UTC),
            Timestamp::parse("2026-03-29T00:00:00Z").unwrap()
        );
    }
}
