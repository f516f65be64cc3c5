//! Messages: search, one message with its decision trace, its bytes; the transactional send.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flow::{Platform, SendRequest};
use model::{Map, ProfileId, Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use store::MessageRow as Stored;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::shape::{Listing, Paging, Time, given};
use crate::{App, Problem, idempotency};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(raw)).routes(routes!(send))
}

/// A message in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageRow {
    /// Its id.
    pub id: String,
    /// Who it is for.
    pub profile_id: i64,
    /// The address.
    pub to: String,
    /// The subject, once composed.
    pub subject: String,
    /// planned, claimed, intent, accepted, deferred, rejected, skipped, in_doubt or expired.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// marketing or transactional.
    pub kind: String,
    /// The journey it comes from.
    pub journey_id: Option<String>,
    /// The journey's name, while it is in force.
    pub journey_name: Option<String>,
    /// When it was planned.
    pub created_at: Time,
    /// When it was handed over.
    pub sent_at: Option<Time>,
    /// First open by a person.
    pub opened_at: Option<Time>,
    /// First click by a person.
    pub clicked_at: Option<Time>,
}

/// A message with what led to it and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// The row.
    #[serde(flatten)]
    pub row: MessageRow,
    /// The sender.
    pub from: Option<String>,
    /// The HTML part, once composed.
    pub html: Option<String>,
    /// The text part, once composed.
    pub text: Option<String>,
    /// The headers as handed over.
    pub headers: Vec<(String, String)>,
    /// Bytes as handed over.
    pub size_bytes: i64,
    /// The decisions that led to it.
    pub trace: Vec<TraceStep>,
    /// What the recipient did.
    pub events: Vec<MessageEvent>,
}

/// A decision on the way to a message.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TraceStep {
    /// trigger, data, policy, delivery, response …
    #[serde(default)]
    #[schema(required)]
    pub step: String,
    /// What was decided.
    #[serde(default)]
    #[schema(required)]
    pub title: String,
    /// When.
    #[serde(default)]
    pub at: Option<String>,
    /// For people.
    #[serde(default)]
    #[schema(required)]
    pub sentence: String,
    /// For programs.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Value>, required)]
    pub data: Map,
}

/// Something a recipient did.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageEvent {
    /// When.
    pub at: Time,
    /// What.
    pub name: String,
    /// The link or the topics.
    pub detail: String,
    /// person, prefetch, scanner or unknown.
    pub actor: String,
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// In this state.
    pub state: Option<String>,
    /// From this journey.
    pub journey: Option<String>,
    /// For this profile.
    pub profile: Option<i64>,
    /// A word of the address or the subject.
    pub q: Option<String>,
}

fn message_row(platform: &Platform, row: &Stored) -> MessageRow {
    let registry = platform.registry(row.workspace);
    let journey = row.journey.as_ref().and_then(|id| registry.journeys.get(id));
    MessageRow {
        id: row.id.clone(),
        profile_id: row.profile.0,
        to: row.recipient.clone(),
        subject: row.subject.clone(),
        state: row.state.clone(),
        reason: row.reason.clone(),
        kind: row.kind.clone(),
        journey_id: row.journey.clone(),
        journey_name: journey.map(|journey| journey.name.clone()),
        created_at: row.created_at.into(),
        sent_at: row.sent_at.map(Time::from),
        opened_at: row.opened_at.map(Time::from),
        clicked_at: row.clicked_at.map(Time::from),
    }
}

pub(crate) async fn listing(
    platform: &Platform,
    workspace: WorkspaceId,
    which: &Which,
    paging: &Paging,
) -> Result<Listing<MessageRow>, Problem> {
    let mut rows = platform
        .store
        .messages(
            workspace,
            paging.from(i64::MAX),
            paging.ask(),
            given(&which.state),
            given(&which.journey),
            which.profile.map(ProfileId),
            given(&which.q),
        )
        .await?;
    let next_cursor = paging.cut(&mut rows, |row| row.number.to_string());
    Ok(Listing {
        items: rows.iter().map(|row| message_row(platform, row)).collect(),
        next_cursor,
        total: None,
    })
}

/// Messages, newest first.
#[utoipa::path(get, path = "/api/messages", tag = "messages", operation_id = "messages", params(Which, Paging), responses((status = 200, body = Listing<MessageRow>)))]
async fn list(
    State(app): State<App>,
    ws: Ws,
    Ask(which): Ask<Which>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<MessageRow>>, Problem> {
    Ok(Json(listing(&app.platform, ws.0, &which, &paging).await?))
}

async fn found(app: &App, ws: Ws, id: &str) -> Result<Stored, Problem> {
    let found = app.platform.store.message(id).await?.filter(|row| row.workspace == ws.0);
    found.ok_or_else(|| Problem::missing(&format!("There is no message '{id}'.")))
}

/// One message with its decision trace.
#[utoipa::path(get, path = "/api/messages/{id}", tag = "messages", operation_id = "message", params(("id" = String, Path)), responses((status = 200, body = Message)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Message>, Problem> {
    let found = found(&app, ws, &id).await?;
    let store = &app.platform.store;
    let content: Value = serde_json::from_str(found.content.as_deref().unwrap_or("{}")).unwrap_or_default();
    let text = |name: &str| content[name].as_str().map(str::to_owned);
    let mut trace: Vec<TraceStep> = serde_json::from_str(&found.trace).unwrap_or_default();
    let mut events = Vec::new();
    for (name, at, detail, actor) in store.message_events(&id).await? {
        trace.push(TraceStep {
            step: "response".to_owned(),
            title: name.clone(),
            at: Some(at.to_string()),
            sentence: format!("{detail} ({actor})"),
            data: Map::from_iter([("actor".to_owned(), Value::from(actor.clone()))]),
        });
        events.push(MessageEvent { at: at.into(), name, detail, actor });
    }
    let raw = store.raw_message(&id).await?.unwrap_or_default();
    Ok(Json(Message {
        row: message_row(&app.platform, &found),
        from: text("from"),
        html: text("html"),
        text: text("text"),
        headers: headers(&raw),
        size_bytes: raw.len() as i64,
        trace,
        events,
    }))
}

fn headers(raw: &[u8]) -> Vec<(String, String)> {
    let end = raw.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(raw.len());
    let head = String::from_utf8_lossy(&raw[..end]).replace("\r\n\t", " ").replace("\r\n ", " ");
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The bytes of a message as handed over.
#[utoipa::path(get, path = "/api/messages/{id}/raw", tag = "messages", operation_id = "raw_message", params(("id" = String, Path)), responses((status = 200, body = String, content_type = "message/rfc822", description = "The mail.")))]
async fn raw(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Response, Problem> {
    let raw = app.platform.raw_message(ws.0, &id).await?;
    let raw = raw.ok_or_else(|| Problem::missing("This message has not been handed over."))?;
    let name = id.replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.eml\"")),
    ];
    Ok((headers, raw).into_response())
}

/// A transactional mail.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SendAsk {
    /// The template's id.
    pub template: String,
    /// The profile's id.
    pub profile: i64,
    /// What the template may use besides the profile.
    #[serde(default)]
    pub data: Value,
}

/// A mail that was planned.
#[derive(Debug, Serialize, ToSchema)]
pub struct Planned {
    /// The message's id.
    pub message_id: String,
}

/// Plans a transactional mail. With `Idempotency-Key`, key and message are written in one transaction.
#[utoipa::path(post, path = "/api/send", tag = "messages", request_body = SendAsk,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same message.")),
    responses((status = 202, body = Planned)))]
async fn send(
    State(app): State<App>,
    ws: Ws,
    headers: HeaderMap,
    Body(ask): Body<SendAsk>,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
    let replayed = match &key {
        Some(key) => app.platform.store.remembered(ws.0, key).await?.is_some(),
        None => false,
    };
    let request =
        SendRequest { template: ask.template, profile: ProfileId(ask.profile), data: ask.data, key };
    let message_id = app.platform.send_transactional(ws.0, request).await?;
    let answer = (StatusCode::ACCEPTED, Json(Planned { message_id })).into_response();
    Ok(if replayed { idempotency::marked(answer) } else { answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_headers_are_one_line_and_the_body_is_none() {
        let shown = headers(b"Subject: a\r\n b\r\nTo: c\r\n\r\nFrom: body\r\n");
        assert_eq!(shown, [("Subject".into(), "a b".into()), ("To".into(), "c".into())]);
    }
}
