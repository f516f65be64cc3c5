//! The live debugger's rows, the names that came, and the quarantine.

use axum::Json;
use axum::extract::State;
use model::{Map, Value};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Ask;
use crate::shape::{Listing, Paging, Time, given};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(names)).routes(routes!(quarantine))
}

/// An event as the debugger shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventRow {
    /// Grows with each row.
    pub sequence: u64,
    /// Its place in the log, when accepted.
    pub position: Option<i64>,
    /// The sender's id of the event.
    pub message_id: String,
    /// When it happened.
    pub at: Time,
    /// When it was received.
    pub received_at: Time,
    /// The call that carried it.
    pub call: String,
    /// The event's name.
    pub name: String,
    /// The profile, when known already.
    pub profile_id: Option<i64>,
    /// Who it speaks of: an id as given.
    pub who: String,
    /// The properties as given.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub properties: Map,
    /// The context as given.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub context: Map,
    /// What became of it.
    #[schema(value_type = Outcome)]
    pub outcome: &'static str,
    /// Why it was rejected.
    pub reasons: Vec<Reason>,
}

/// What became of an item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the words of an outcome")]
pub enum Outcome {
    /// Stored.
    Accepted,
    /// Seen before; the first one counts.
    Duplicate,
    /// Refused, with reasons.
    Rejected,
}

/// Why an item was refused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// A stable code.
    pub code: String,
    /// What happened, why, and what to do.
    pub message: String,
    /// Where in the item.
    pub path: String,
}

impl Reason {
    pub(crate) fn of(reason: &flow::live::Reason) -> Reason {
        Reason { code: reason.code.clone(), message: reason.message.clone(), path: reason.path.clone() }
    }
}

impl EventRow {
    pub(crate) fn of(row: &flow::live::Recent) -> EventRow {
        EventRow {
            sequence: row.sequence,
            position: row.position,
            message_id: row.message_id.clone(),
            at: row.at.into(),
            received_at: row.received_at.into(),
            call: row.call.clone(),
            name: row.name.clone(),
            profile_id: row.profile_id.map(|id| id.0),
            who: row.who.clone(),
            properties: row.properties.as_object().cloned().unwrap_or_default(),
            context: row.context.as_object().cloned().unwrap_or_default(),
            outcome: match row.outcome {
                flow::live::Fate::Accepted => "accepted",
                flow::live::Fate::Duplicate => "duplicate",
                flow::live::Fate::Rejected => "rejected",
            },
            reasons: row.reasons.iter().map(Reason::of).collect(),
        }
    }
}

/// Which of the recent events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// accepted, duplicate or rejected.
    pub outcome: Option<String>,
    /// The event's name.
    pub name: Option<String>,
}

/// The most recent events of this server, newest first: a sample under load, for looking, not for counting.
#[utoipa::path(get, path = "/api/events", tag = "events", operation_id = "events", params(Which, Paging), responses((status = 200, body = Listing<EventRow>)))]
async fn list(
    State(app): State<App>,
    ws: Ws,
    Ask(which): Ask<Which>,
    Ask(paging): Ask<Paging>,
) -> Json<Listing<EventRow>> {
    let before = paging.from(i64::MAX) as u64;
    let wants = |wanted: &Option<String>, value: &str| given(wanted).is_none_or(|wanted| wanted == value);
    let mut items: Vec<EventRow> = app
        .platform
        .live
        .recent(ws.0)
        .iter()
        .filter(|row| row.sequence < before)
        .map(|row| EventRow::of(row))
        .filter(|row| wants(&which.outcome, row.outcome) && wants(&which.name, &row.name))
        .take(paging.ask() as usize)
        .collect();
    let next_cursor = paging.cut(&mut items, |row| row.sequence.to_string());
    Json(Listing { items, next_cursor, total: None })
}

/// An event's name, how often it came, and when last.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventName {
    /// The name.
    pub name: String,
    /// How often.
    pub count: i64,
    /// When last.
    pub last_at: Option<String>,
}

/// The names of events, the most frequent first.
#[utoipa::path(get, path = "/api/events/names", tag = "events", operation_id = "event_names", params(Paging), responses((status = 200, body = Listing<EventName>)))]
async fn names(
    State(app): State<App>,
    ws: Ws,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<EventName>>, Problem> {
    let sql = format!(
        "SELECT name, count(*) AS n, max(timestamp) FROM events GROUP BY name ORDER BY n DESC, name LIMIT {} OFFSET {}",
        paging.ask(),
        paging.offset()
    );
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let answer = app.platform.query(ws.0, &sql).await?;
    let mut items: Vec<EventName> = answer
        .rows
        .iter()
        .map(|row| EventName {
            name: text(&row[0]).unwrap_or_default(),
            count: row[1].as_i64().unwrap_or(0),
            last_at: text(&row[2]),
        })
        .collect();
    let next_cursor = paging.cut_counted(&mut items);
    Ok(Json(Listing { items, next_cursor, total: None }))
}

/// A refused item.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quarantined {
    /// Its number in the quarantine.
    pub id: i64,
    /// When it was received.
    pub received_at: Time,
    /// Who handed it over: collector, pixel, an import.
    pub source: String,
    /// Why it was refused.
    pub reasons: Vec<Reason>,
    /// The item as received, cut to 32 KB.
    pub body: String,
}

/// Refused items with their reasons, newest first.
#[utoipa::path(get, path = "/api/quarantine", tag = "events", params(Paging), responses((status = 200, body = Listing<Quarantined>)))]
async fn quarantine(
    State(app): State<App>,
    ws: Ws,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<Quarantined>>, Problem> {
    let rows = app.platform.store.quarantined(ws.0, paging.from(i64::MAX), paging.ask()).await?;
    let mut items: Vec<Quarantined> = rows
        .into_iter()
        .map(|(id, at, source, reasons, body)| {
            let reasons = serde_json::from_str(&reasons).unwrap_or_default();
            Quarantined { id, received_at: at.into(), source, reasons, body }
        })
        .collect();
    let next_cursor = paging.cut(&mut items, |row| row.id.to_string());
    Ok(Json(Listing { items, next_cursor, total: None }))
}
