//! The admin API: reads what the console and programs ask for, hands changes to `flow`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router, middleware};
use flow::{DefinitionKind, Draft, RenderRequest, SendRequest};
use model::{ProfileId, Value};
use serde_json::json;

use crate::auth::{self, Workspace};
use crate::{App, Problem, view};

type Ws = Extension<Workspace>;
type Params = Query<HashMap<String, String>>;
type Answer = Result<Json<Value>, Problem>;
type Body = Result<Json<Value>, JsonRejection>;

pub fn routes(app: &App) -> Router<App> {
    let guarded = Router::new()
        .route("/api/session", get(auth::session).delete(auth::sign_out))
        .route("/api/overview", get(overview))
        .route("/api/stream", get(stream))
        .route("/api/events", get(events))
        .route("/api/events/names", get(event_names))
        .route("/api/quarantine", get(quarantine))
        .route("/api/profiles", get(profiles))
        .route("/api/profiles/{id}", get(profile))
        .route("/api/profiles/{id}/timeline", get(timeline))
        .route("/api/profiles/{id}/messages", get(profile_messages))
        .route("/api/recommendations", get(recommendations))
        .route("/api/segments", get(segments).post(save_segment))
        .route("/api/segments/preview", post(preview))
        .route("/api/segments/check", post(check))
        .route("/api/segments/explain", post(explain))
        .route("/api/segments/vocabulary", get(vocabulary))
        .route("/api/segments/{id}", get(segment).put(put_segment).delete(delete_segment))
        .route("/api/segments/{id}/members", get(members))
        .route("/api/segments/{id}/history", get(segment_history))
        .route("/api/segments/{id}/explain", get(explain_segment))
        .route("/api/templates", get(templates).post(save_template))
        .route("/api/templates/render", post(render))
        .route("/api/templates/{id}", get(template).put(put_template))
        .route("/api/journeys", get(journeys).post(save_journey))
        .route("/api/journeys/{id}", get(journey).put(put_journey))
        .route("/api/journeys/{id}/entries", get(entries))
        .route("/api/journeys/{id}/pause", post(pause))
        .route("/api/journeys/{id}/resume", post(resume))
        .route("/api/messages", get(messages))
        .route("/api/messages/{id}", get(message))
        .route("/api/send", post(send))
        .route("/api/query", post(query))
        .route("/api/query/schema", get(schema))
        .route("/api/settings", get(settings))
        .route("/api/settings/workspace", put(put_settings))
        .route("/api/keys", get(keys).post(make_key))
        .route("/api/keys/{id}", delete(delete_key))
        .route("/api/dkim", get(dkim))
        .route("/api/consents", get(consents).post(consent))
        .route("/api/suppressions", get(suppressions).post(suppress))
        .route("/api/suppressions/{email}", get(suppression).delete(unsuppress))
        .route("/api/messages/{id}/raw", get(raw_message))
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::require));
    Router::new().route("/api/session", post(auth::sign_in)).merge(guarded)
}

fn read(body: Body) -> Result<Value, Problem> {
    body.map(|Json(value)| value).map_err(|error| Problem::invalid(&error.body_text()))
}

fn number(params: &HashMap<String, String>, name: &str, default: i64) -> i64 {
    params.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn limit(params: &HashMap<String, String>) -> i64 {
    number(params, "limit", 50).clamp(1, 500)
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

async fn overview(State(app): State<App>, Extension(ws): Ws) -> Answer {
    Ok(Json(view::overview(&app.platform, ws.0).await?))
}

async fn stream(State(app): State<App>, Extension(ws): Ws) -> impl IntoResponse {
    let platform = app.platform.clone();
    let feed = platform.live.watch();
    let beat = tokio::time::interval(Duration::from_secs(1));
    let state = (platform, feed, beat);
    let events = futures::stream::unfold(state, move |(platform, mut feed, mut beat)| async move {
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    let tick = view::tick(&platform, ws.0).await.to_string();
                    return Some((Ok::<_, Infallible>(Sse::default().event("tick").data(tick)), (platform, feed, beat)));
                }
                row = feed.recv() => match row {
                    Ok(row) if row.workspace == ws.0 => {
                        let row = serde_json::to_string(&*row).unwrap_or_default();
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

async fn events(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    let before = number(&params, "cursor", i64::MAX) as u64;
    let many = limit(&params) as usize;
    let wanted = |name: &str| params.get(name).filter(|value| !value.is_empty());
    let rows: Vec<Value> = app
        .platform
        .live
        .recent(ws.0)
        .iter()
        .filter(|row| row.sequence < before)
        .map(|row| serde_json::to_value(&**row).unwrap_or_default())
        .filter(|row| wanted("outcome").is_none_or(|outcome| row["outcome"] == outcome.as_str()))
        .filter(|row| wanted("name").is_none_or(|name| row["name"] == name.as_str()))
        .take(many)
        .collect();
    let next = rows.last().filter(|_| rows.len() == many).map(|row| row["sequence"].to_string());
    Ok(Json(json!({"items": rows, "next_cursor": next, "total": null})))
}

async fn event_names(State(app): State<App>, Extension(ws): Ws) -> Answer {
    let sql =
        "SELECT name, count(*) AS n, max(timestamp) FROM events GROUP BY name ORDER BY n DESC LIMIT 500";
    let answer = app.platform.query(ws.0, sql).await?;
    let items: Vec<Value> =
        answer.rows.iter().map(|row| json!({"name": row[0], "count": row[1], "last_at": row[2]})).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn quarantine(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    let many = limit(&params);
    let rows = app
        .platform
        .store
        .quarantined(ws.0, number(&params, "cursor", i64::MAX), many)
        .await
        .map_err(flow::Error::from)?;
    let next = rows.last().filter(|_| rows.len() as i64 == many).map(|row| row.0.to_string());
    let items: Vec<Value> = rows
        .into_iter()
        .map(|(id, at, source, reasons, body)| {
            let reasons: Value = serde_json::from_str(&reasons).unwrap_or_default();
            json!({"id": id, "received_at": at, "source": source, "reasons": reasons, "body": body})
        })
        .collect();
    Ok(Json(json!({"items": items, "next_cursor": next})))
}

async fn profiles(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    Ok(Json(
        view::profiles(&app.platform, ws.0, &params, number(&params, "cursor", 0), limit(&params)).await?,
    ))
}

async fn members(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    Query(mut params): Params,
) -> Answer {
    params.insert("segment".to_owned(), id);
    Ok(Json(
        view::profiles(&app.platform, ws.0, &params, number(&params, "cursor", 0), limit(&params)).await?,
    ))
}

async fn profile(State(app): State<App>, Extension(ws): Ws, Path(id): Path<i64>) -> Answer {
    Ok(Json(view::profile(&app.platform, ws.0, ProfileId(id)).await?))
}

async fn timeline(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<i64>,
    Query(params): Params,
) -> Answer {
    app.platform.hot(ws.0, ProfileId(id)).await?;
    let offset = number(&params, "cursor", 0).max(0);
    Ok(Json(view::timeline(&app.platform, ws.0, ProfileId(id), offset, limit(&params)).await?))
}

async fn profile_messages(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<i64>,
    Query(mut params): Params,
) -> Answer {
    params.insert("profile".to_owned(), id.to_string());
    Ok(Json(view::messages(&app.platform, ws.0, &params, limit(&params)).await?))
}

async fn recommendations(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    let profile = ProfileId(number(&params, "profile", 0));
    let (row, _) = app.platform.hot(ws.0, profile).await?;
    let items =
        app.platform.recommendations(ws.0, row.id, number(&params, "limit", 5).clamp(1, 50) as usize).await?;
    Ok(Json(json!({"items": items})))
}

async fn segments(State(app): State<App>, Extension(ws): Ws) -> Answer {
    Ok(Json(view::segments(&app.platform, ws.0).await?))
}

async fn segment(State(app): State<App>, Extension(ws): Ws, Path(id): Path<String>) -> Answer {
    Ok(Json(view::segment(&app.platform, ws.0, &id).await?))
}

fn segment_draft(id: Option<String>, body: &Value) -> Draft {
    Draft {
        id,
        name: text(body, "name"),
        body: json!({"where": body["where"], "description": text(body, "description")}),
    }
}

async fn save_segment(State(app): State<App>, Extension(ws): Ws, body: Body) -> Result<Response, Problem> {
    let body = read(body)?;
    let draft = segment_draft(body["id"].as_str().map(str::to_owned), &body);
    let row = app.platform.save_definition(ws.0, DefinitionKind::Segment, draft, "console").await?;
    Ok((StatusCode::CREATED, Json(view::segment(&app.platform, ws.0, &row.id).await?)).into_response())
}

async fn put_segment(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let draft = segment_draft(Some(id), &read(body)?);
    let row = app.platform.save_definition(ws.0, DefinitionKind::Segment, draft, "console").await?;
    Ok(Json(view::segment(&app.platform, ws.0, &row.id).await?))
}

async fn delete_segment(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.platform.delete_definition(ws.0, DefinitionKind::Segment, &id, "console").await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn preview(State(app): State<App>, Extension(ws): Ws, body: Body) -> Answer {
    let found = app.platform.preview(ws.0, &text(&read(body)?, "where")).await?;
    let sample = view::rows_of(&app.platform, ws.0, &found.sample).await?;
    Ok(Json(json!({
        "count": found.count, "total": found.total, "sample": sample, "took_ms": found.took_ms, "sentence": found.sentence,
    })))
}

async fn check(State(app): State<App>, Extension(ws): Ws, body: Body) -> Answer {
    let check = app.platform.check(ws.0, &text(&read(body)?, "where"));
    Ok(Json(serde_json::to_value(check).unwrap_or_default()))
}

async fn explain(State(app): State<App>, Extension(ws): Ws, body: Body) -> Answer {
    let body = read(body)?;
    let id = ProfileId(body["profile"].as_i64().unwrap_or_default());
    let tree = app.platform.explain(ws.0, &text(&body, "where"), id).await?;
    Ok(Json(json!({"holds": tree.holds, "changes_at": tree.until, "tree": tree})))
}

async fn explain_segment(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    Query(params): Params,
) -> Answer {
    let condition = app.platform.registry(ws.0).segments.get(&id).map(|segment| segment.condition.clone());
    let condition = condition.ok_or_else(|| Problem::missing("There is no such segment."))?;
    let tree = app.platform.explain(ws.0, &condition, ProfileId(number(&params, "profile", 0))).await?;
    Ok(Json(json!({"holds": tree.holds, "changes_at": tree.until, "tree": tree})))
}

async fn vocabulary(State(app): State<App>, Extension(ws): Ws) -> Answer {
    Ok(Json(view::vocabulary(&app.platform, ws.0).await?))
}

async fn segment_history(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    Query(params): Params,
) -> Answer {
    Ok(Json(
        view::segment_history(&app.platform, ws.0, &id, number(&params, "cursor", i64::MAX), limit(&params))
            .await?,
    ))
}

async fn templates(State(app): State<App>, Extension(ws): Ws) -> Answer {
    let rows = app.platform.store.definitions(ws.0, "template").await.map_err(flow::Error::from)?;
    let items: Vec<Value> = rows.iter().map(view::template).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn template(State(app): State<App>, Extension(ws): Ws, Path(id): Path<String>) -> Answer {
    let row = app.platform.definition(ws.0, DefinitionKind::Template, &id).await?;
    Ok(Json(view::template(&row.ok_or_else(|| Problem::missing("There is no such template."))?)))
}

fn template_draft(id: Option<String>, body: &Value) -> Draft {
    let body_of = json!({
        "engine": "liquid", "format": body["format"].as_str().unwrap_or("html"), "subject": text(body, "subject"),
        "preheader": text(body, "preheader"), "body": text(body, "body"), "text": body["text"],
    });
    Draft { id, name: text(body, "name"), body: body_of }
}

async fn save_template(State(app): State<App>, Extension(ws): Ws, body: Body) -> Result<Response, Problem> {
    let body = read(body)?;
    let draft = template_draft(body["id"].as_str().map(str::to_owned), &body);
    let row = app.platform.save_definition(ws.0, DefinitionKind::Template, draft, "api").await?;
    Ok((StatusCode::CREATED, Json(view::template(&row))).into_response())
}

async fn put_template(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let draft = template_draft(Some(id), &read(body)?);
    let row = app.platform.save_definition(ws.0, DefinitionKind::Template, draft, "api").await?;
    Ok(Json(view::template(&row)))
}

async fn render(State(app): State<App>, Extension(ws): Ws, body: Body) -> Answer {
    let body = read(body)?;
    let request = RenderRequest {
        template: body["template"].as_str().map(str::to_owned),
        profile: body["profile"].as_i64().map(ProfileId),
        data: body["data"].clone(),
        body,
    };
    let rendered = app.platform.render(ws.0, request).await?;
    Ok(Json(json!({
        "subject": rendered.subject, "preheader": rendered.preheader, "html": rendered.html, "text": rendered.text,
        "warnings": rendered.warnings,
    })))
}

async fn journeys(State(app): State<App>, Extension(ws): Ws) -> Answer {
    Ok(Json(view::journeys(&app.platform, ws.0).await?))
}

async fn journey(State(app): State<App>, Extension(ws): Ws, Path(id): Path<String>) -> Answer {
    Ok(Json(view::journey(&app.platform, ws.0, &id).await?))
}

async fn save_journey(State(app): State<App>, Extension(ws): Ws, body: Body) -> Result<Response, Problem> {
    let body = read(body)?;
    let draft = Draft {
        id: body["id"].as_str().map(str::to_owned),
        name: text(&body, "name"),
        body: body["definition"].clone(),
    };
    let row = app.platform.save_definition(ws.0, DefinitionKind::Journey, draft, "api").await?;
    Ok((StatusCode::CREATED, Json(view::journey(&app.platform, ws.0, &row.id).await?)).into_response())
}

async fn put_journey(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    body: Body,
) -> Answer {
    let body = read(body)?;
    let draft = Draft { id: Some(id.clone()), name: text(&body, "name"), body: body["definition"].clone() };
    app.platform.save_definition(ws.0, DefinitionKind::Journey, draft, "api").await?;
    Ok(Json(view::journey(&app.platform, ws.0, &id).await?))
}

async fn set_status(app: &App, ws: Workspace, id: &str, status: &str) -> Answer {
    app.platform.set_definition_status(ws.0, DefinitionKind::Journey, id, status, "console").await?;
    Ok(Json(view::journey(&app.platform, ws.0, id).await?))
}

async fn pause(State(app): State<App>, Extension(ws): Ws, Path(id): Path<String>) -> Answer {
    set_status(&app, ws, &id, "paused").await
}

async fn resume(State(app): State<App>, Extension(ws): Ws, Path(id): Path<String>) -> Answer {
    set_status(&app, ws, &id, "live").await
}

async fn entries(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
    Query(params): Params,
) -> Answer {
    let rows =
        app.platform.store.entries(ws.0, Some(&id), None, limit(&params)).await.map_err(flow::Error::from)?;
    let items: Vec<Value> = rows.iter().map(view::entry).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn messages(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    Ok(Json(view::messages(&app.platform, ws.0, &params, limit(&params)).await?))
}

async fn message(State(app): State<App>, Extension(ws): Ws, Path(id): Path<String>) -> Answer {
    Ok(Json(view::message(&app.platform, ws.0, &id).await?))
}

async fn send(
    State(app): State<App>,
    Extension(ws): Ws,
    headers: axum::http::HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read(body)?;
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let profile =
        body["profile"].as_i64().ok_or_else(|| Problem::invalid("Give the profile's id in 'profile'."))?;
    let request = SendRequest {
        template: text(&body, "template"),
        profile: ProfileId(profile),
        data: body["data"].clone(),
        key,
    };
    let id = app.platform.send_transactional(ws.0, request).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"message_id": id}))).into_response())
}

async fn query(State(app): State<App>, Extension(ws): Ws, body: Body) -> Answer {
    let answer = app.platform.query(ws.0, &text(&read(body)?, "sql")).await?;
    Ok(Json(serde_json::to_value(answer).unwrap_or_default()))
}

async fn schema() -> Json<Value> {
    let tables: Vec<Value> = flow::Platform::tables()
        .into_iter()
        .map(|(name, columns)| {
            let columns: Vec<Value> =
                columns.into_iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
            json!({"name": name, "columns": columns})
        })
        .collect();
    Json(json!({"tables": tables}))
}

async fn settings(State(app): State<App>, Extension(ws): Ws) -> Answer {
    Ok(Json(view::settings(&app.platform, ws.0).await?))
}

async fn put_settings(State(app): State<App>, Extension(ws): Ws, body: Body) -> Answer {
    app.platform.set_workspace(ws.0, read(body)?).await?;
    Ok(Json(view::settings(&app.platform, ws.0).await?))
}

async fn keys(State(app): State<App>, Extension(ws): Ws) -> Answer {
    let rows = app.platform.store.keys(ws.0).await.map_err(flow::Error::from)?;
    let items: Vec<Value> = rows
        .into_iter()
        .map(|(id, name, kind, hint, at)| json!({"id": id, "name": name, "kind": kind, "hint": hint, "created_at": at}))
        .collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn make_key(State(app): State<App>, Extension(ws): Ws, body: Body) -> Result<Response, Problem> {
    let body = read(body)?;
    let (name, kind) = (text(&body, "name"), text(&body, "kind"));
    if name.trim().is_empty() || !["browser", "server", "api"].contains(&kind.as_str()) {
        return Err(Problem::invalid("Give a name, and a kind: browser, server or api."));
    }
    let key = format!("{kind}_{}", model::clock::random_hex::<20>());
    let hint = format!("…{}", &key[key.len() - 4..]);
    let now = app.platform.clock.now();
    let id = app
        .platform
        .store
        .put_key(ws.0, &name, &kind, &auth::hash(&key), &hint, now)
        .await
        .map_err(flow::Error::from)?;
    let shown = json!({"id": id, "name": name, "kind": kind, "hint": hint, "created_at": now, "key": key});
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(shown)).into_response())
}

async fn delete_key(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let gone = app.platform.store.delete_key(ws.0, &id).await.map_err(flow::Error::from)?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("There is no such key.")) }
}

async fn dkim(State(app): State<App>, Extension(ws): Ws) -> Answer {
    let settings = app.platform.settings(ws.0).await?;
    let from = settings.get("from_email").and_then(Value::as_str).unwrap_or_default();
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let records = app.platform.signer(domain).await?.dns_records();
    let record = |record: &mail::DnsRecord| {
        json!({
            "selector": record.selector, "algorithm": record.algorithm,
            "record_name": record.name, "record_value": record.value,
        })
    };
    let mut answer = records.first().map_or(Value::Null, record);
    answer["records"] = records.iter().map(record).collect();
    Ok(Json(answer))
}

async fn consent(State(app): State<App>, Extension(ws): Ws, body: Body) -> Result<StatusCode, Problem> {
    let body = read(body)?;
    let profile = ProfileId(body["profile"].as_i64().unwrap_or_default());
    let (row, _) = app.platform.hot(ws.0, profile).await?;
    let state = match body["state"].as_str() {
        Some("subscribed") => true,
        Some("unsubscribed") => false,
        _ => return Err(Problem::invalid("The state is 'subscribed' or 'unsubscribed'.")),
    };
    let topic = body["topic"].as_str().filter(|topic| !topic.is_empty() && topic.len() <= 100);
    let topic = topic.ok_or_else(|| Problem::invalid("Name the topic."))?;
    app.platform.set_consent(ws.0, row.id, topic, state, "api").await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn consents(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    let (row, _) = app.platform.hot(ws.0, ProfileId(number(&params, "profile", 0))).await?;
    let items = app.platform.store.consents(ws.0, row.id).await.map_err(flow::Error::from)?;
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn suppressions(State(app): State<App>, Extension(ws): Ws, Query(params): Params) -> Answer {
    let (offset, many) = (number(&params, "cursor", 0).max(0), limit(&params));
    let (items, total) =
        app.platform.store.suppressions(ws.0, offset, many).await.map_err(flow::Error::from)?;
    let next = (items.len() as i64 == many).then(|| (offset + many).to_string());
    Ok(Json(json!({"items": items, "next_cursor": next, "total": total})))
}

async fn suppress(State(app): State<App>, Extension(ws): Ws, body: Body) -> Result<Response, Problem> {
    let body = read(body)?;
    let reason = body["reason"].as_str().unwrap_or("manual");
    if !flow::SUPPRESSION_REASONS.contains(&reason) {
        let known = flow::SUPPRESSION_REASONS.join(", ");
        return Err(Problem::invalid(&format!("The reason is one of {known}.")));
    }
    let row = app.platform.suppress(ws.0, &text(&body, "email"), reason).await?;
    Ok((StatusCode::CREATED, Json(row)).into_response())
}

async fn suppression(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(email): Path<String>,
) -> Result<Response, Problem> {
    let row = app.platform.suppression(ws.0, &email).await?;
    let row = row.ok_or_else(|| Problem::missing("This address is not on the list."))?;
    Ok(Json(row).into_response())
}

async fn unsuppress(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(email): Path<String>,
) -> Result<StatusCode, Problem> {
    let gone = app.platform.unsuppress(ws.0, &email).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("This address is not on the list.")) }
}

async fn raw_message(
    State(app): State<App>,
    Extension(ws): Ws,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let raw = app.platform.raw_message(ws.0, &id).await?;
    let raw = raw.ok_or_else(|| Problem::missing("This message has not been handed over."))?;
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}.eml\"", id.replace(|c: char| !c.is_ascii_alphanumeric(), "")),
        ),
    ];
    Ok((headers, raw).into_response())
}
