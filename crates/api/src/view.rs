//! What pages show: assembled from the store, the lake and the engines, in the API's own shapes.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use flow::{DefinitionKind, Error, Platform};
use model::time::DAY;
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use serde_json::json;
use store::{DefinitionRow, EntryRow, MessageRow, ProfileRow};

fn row(profile: &ProfileRow) -> Value {
    let display = profile.name.clone().or_else(|| profile.email.clone()).or_else(|| profile.user_id.clone());
    json!({
        "id": profile.id, "display": display.unwrap_or_else(|| format!("Profile {}", profile.id)), "email": profile.email,
        "user_id": profile.user_id, "name": profile.name, "created_at": profile.created_at,
        "last_seen_at": profile.last_seen_at,
    })
}

/// Rows of some profiles, in the order of `ids`.
pub async fn rows_of(
    platform: &Platform,
    workspace: WorkspaceId,
    ids: &[ProfileId],
) -> Result<Vec<Value>, Error> {
    let rows = platform.store.load_profiles(ids).await?;
    let by_id: HashMap<ProfileId, &ProfileRow> =
        rows.iter().filter(|row| row.workspace == workspace).map(|row| (row.id, row)).collect();
    Ok(ids.iter().filter_map(|id| by_id.get(id)).map(|profile| row(profile)).collect())
}

/// The live numbers of a second.
pub async fn tick(platform: &Platform, workspace: WorkspaceId) -> Value {
    let now = platform.clock.now();
    json!({
        "events_per_second": platform.live.events_per_second(now), "lag_events": platform.lag_events(),
        "profiles": platform.store.count_profiles(workspace).await.unwrap_or(0),
        "accepted": platform.live.accepted.load(Ordering::Relaxed),
        "messages_accepted": platform.live.messages_accepted.load(Ordering::Relaxed),
    })
}

/// The Home page.
pub async fn overview(platform: &Platform, workspace: WorkspaceId) -> Result<Value, Error> {
    let now = platform.clock.now();
    let live = &platform.live;
    let mut messages: serde_json::Map<String, Value> = serde_json::Map::new();
    for state in
        ["planned", "intent", "accepted", "skipped", "deferred", "rejected", "in_doubt", "expired", "unknown"]
    {
        messages.insert(state.to_owned(), json!(0));
    }
    for (state, count) in platform.store.message_counts(workspace).await? {
        messages.insert(state, json!(count));
    }
    let (opened, clicked) = platform.store.response_counts(workspace).await?;
    messages.insert("opened".to_owned(), json!(opened));
    messages.insert("clicked".to_owned(), json!(clicked));
    let day = now - DAY;
    let sql = format!(
        "SELECT name, count(*) AS n FROM events WHERE timestamp > to_timestamp_micros({}) GROUP BY name ORDER BY n DESC LIMIT 8",
        day.micros()
    );
    let top = platform.query(workspace, &sql).await?;
    let names: Vec<Value> = top.rows.iter().map(|row| json!({"name": row[0], "count": row[1]})).collect();
    let registry = platform.registry(workspace);
    let counts: HashMap<String, i64> = platform.store.segment_counts(workspace).await?.into_iter().collect();
    let segments: Vec<Value> = registry
        .segments
        .iter()
        .map(|(id, segment)| json!({"id": id, "name": segment.name, "count": counts.get(id).copied().unwrap_or(0)}))
        .collect();
    let lag = platform.lag_events();
    let recent: Vec<Value> = live
        .recent(workspace)
        .iter()
        .take(20)
        .map(|row| serde_json::to_value(&**row).unwrap_or_default())
        .collect();
    let lag_word = if lag > 100_000 { "warn" } else { "ok" };
    Ok(json!({
        "profiles": platform.store.count_profiles(workspace).await?, "events_total": platform.log.head().0,
        "events_per_second": live.events_per_second(now), "events_today": live.accepted.load(Ordering::Relaxed),
        "rejected_today": live.rejected.load(Ordering::Relaxed), "duplicates_today": live.duplicates.load(Ordering::Relaxed),
        "lag_events": lag, "lag_ms": 0, "messages": messages, "events_by_minute": live.minutes(), "top_events": names,
        "segments": segments, "journeys": journeys(platform, workspace).await?["items"],
        "health": [
            {"name": "Log", "status": "ok", "detail": format!("{} events", platform.log.head().0)},
            {"name": "Step", "status": lag_word, "detail": format!("{lag} events to go")},
            {"name": "Lake", "status": "ok", "detail": format!("archived up to {}", platform.lake.archived_position())},
            {"name": "Mail", "status": "ok", "detail": platform.transport_name(workspace).await?},
        ],
        "recent": recent,
    }))
}

/// A page of profiles.
pub async fn profiles(
    platform: &Platform,
    workspace: WorkspaceId,
    params: &HashMap<String, String>,
    offset: i64,
    limit: i64,
) -> Result<Value, Error> {
    let wanted = |name: &str| params.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let rows = platform
        .store
        .search_profiles(workspace, wanted("q"), wanted("segment"), offset.max(0), limit)
        .await?;
    let registry = platform.registry(workspace);
    let mut items = Vec::with_capacity(rows.len());
    for profile in &rows {
        let hot = flow::Hot::decode(&profile.state)?;
        let mut item = row(profile);
        item["segments"] = json!(registry.engine.memberships(&hot.segments).count());
        let since = registry
            .engine
            .memberships(&hot.segments)
            .find(|(d, _)| Some(d.key.as_str()) == wanted("segment"));
        item["since"] = json!(since.map(|(_, at)| at));
        items.push(item);
    }
    let next = (rows.len() as i64 == limit).then(|| (offset.max(0) + limit).to_string());
    let total = match wanted("segment") {
        _ if wanted("q").is_some() => None,
        None => Some(platform.store.count_profiles(workspace).await?),
        Some(segment) => {
            let counts = platform.store.segment_counts(workspace).await?;
            Some(counts.into_iter().find(|(id, _)| id == segment).map_or(0, |(_, count)| count))
        }
    };
    Ok(json!({"items": items, "next_cursor": next, "total": total}))
}

/// One profile.
pub async fn profile(platform: &Platform, workspace: WorkspaceId, id: ProfileId) -> Result<Value, Error> {
    let (found, hot) = platform.hot(workspace, id).await?;
    let registry = platform.registry(workspace);
    let now = platform.clock.now();
    let facts = flow::Facts { profile: &hot.profile, zone: &registry.zone };
    let identifiers: Vec<Value> = hot
        .profile
        .identifiers
        .iter()
        .map(|known| {
            json!({
                "kind": known.kind, "value": known.value, "first_seen_at": known.first_seen_at,
                "last_seen_at": known.last_seen_at, "source": known.source,
            })
        })
        .collect();
    let attributes: Vec<Value> = hot
        .profile
        .attributes
        .iter()
        .map(|(name, attribute)| {
            let value: Value = serde_json::from_str(&attribute.json).unwrap_or_default();
            let kind = match &value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "text",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            json!({"name": name, "value": value, "type": kind, "updated_at": attribute.updated_at, "source": attribute.source})
        })
        .collect();
    let causes: HashMap<String, String> =
        platform.store.memberships(found.id).await?.into_iter().map(|(id, _, cause)| (id, cause)).collect();
    let segments: Vec<Value> = registry
        .engine
        .memberships(&hot.segments)
        .map(|(definition, since)| {
            let until = registry.engine.next_change(&definition.key, &hot.segments, &facts, now);
            let why = causes
                .get(&definition.key)
                .map(|cause| format!("Entered because: {cause}."))
                .unwrap_or_default();
            json!({"id": definition.key, "name": definition.name, "since": since, "until": until, "why": why})
        })
        .collect();
    let consents: Vec<Value> = platform
        .store
        .consents(workspace, found.id)
        .await?
        .into_iter()
        .map(|consent| {
            let state = if consent.subscribed { "subscribed" } else { "unsubscribed" };
            json!({"topic": consent.topic, "state": state, "at": consent.at, "source": consent.source})
        })
        .collect();
    let entries = platform.store.entries(workspace, None, Some(found.id), 50).await?;
    let journeys: Vec<Value> = entries
        .iter()
        .map(|item| {
            let mut shown = entry(item);
            shown["journey_name"] =
                json!(registry.journeys.get(&item.journey).map(|journey| journey.name.clone()));
            shown
        })
        .collect();
    let merged: Vec<Value> = platform
        .store
        .merges(workspace)
        .await?
        .into_iter()
        .filter(|merge| merge.target == found.id)
        .map(|merge| json!({"from": merge.source, "at": merge.at, "reason": merge.reason}))
        .collect();
    let mut shown = row(&found);
    let more = json!({
        "identifiers": identifiers, "attributes": attributes, "consents": consents, "suppressed": null,
        "segments": segments, "journeys": journeys, "decisions": hot.profile.decisions, "merged": merged,
        "scores": {"engagement_score": registry.engine.engagement_score(&hot.segments, now)},
    });
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    Ok(shown)
}

/// What a profile did and what happened to it.
pub async fn timeline(
    platform: &Platform,
    workspace: WorkspaceId,
    id: ProfileId,
    offset: i64,
    limit: i64,
) -> Result<Value, Error> {
    let sql = format!(
        "SELECT timestamp, name, properties, message_id FROM events WHERE profile_id = {id} \
         ORDER BY timestamp DESC, position DESC LIMIT {limit} OFFSET {offset}"
    );
    let answer = platform.query(workspace, &sql).await?;
    let items: Vec<Value> = answer
        .rows
        .iter()
        .map(|row| {
            let name = row[1].as_str().unwrap_or_default();
            let data: Value =
                row[2].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let kind = match name {
                _ if name.starts_with("Email ") => "message",
                "Segment Entered" | "Segment Exited" => "segment",
                "Journey Entered" | "Journey Exited" => "journey",
                _ => "event",
            };
            let about = ["segment", "journey", "name", "subject", "link_url", "order_id", "reason"];
            let detail = about.iter().find_map(|field| data[field].as_str()).unwrap_or_default().to_owned();
            json!({"at": row[0], "kind": kind, "title": name, "detail": detail, "data": data})
        })
        .collect();
    let next = (items.len() as i64 == limit).then(|| (offset + limit).to_string());
    Ok(json!({"items": items, "next_cursor": next}))
}

fn body_of(row: &DefinitionRow) -> Value {
    serde_json::from_str(&row.body).unwrap_or_default()
}

/// All segments with their live counts.
pub async fn segments(platform: &Platform, workspace: WorkspaceId) -> Result<Value, Error> {
    let counts: HashMap<String, i64> = platform.store.segment_counts(workspace).await?.into_iter().collect();
    let rows = platform.store.definitions(workspace, "segment").await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            let body = body_of(row);
            json!({
                "id": row.id, "name": row.name, "description": body["description"], "where": body["where"],
                "count": counts.get(&row.id).copied().unwrap_or(0), "status": row.status, "updated_at": row.at, "trend": [],
            })
        })
        .collect();
    Ok(json!({"items": items, "next_cursor": null, "total": rows.len()}))
}

/// One segment.
pub async fn segment(platform: &Platform, workspace: WorkspaceId, id: &str) -> Result<Value, Error> {
    let versions = platform.store.versions(workspace, DefinitionKind::Segment.name(), id).await?;
    let current = versions.first().filter(|row| row.status != "deleted");
    let current = current.ok_or_else(|| Error::Missing(format!("There is no segment '{id}'.")))?;
    let body = body_of(current);
    let text = body["where"].as_str().unwrap_or_default();
    let check = platform.check(workspace, text);
    let counts = platform.store.segment_counts(workspace).await?;
    let count = counts.into_iter().find(|(known, _)| known == id).map_or(0, |(_, count)| count);
    let history: Vec<Value> = versions
        .iter()
        .map(|row| json!({"version": row.version, "at": row.at, "author": row.author, "where": body_of(row)["where"]}))
        .collect();
    Ok(json!({
        "id": current.id, "name": current.name, "description": body["description"], "where": text, "count": count,
        "status": current.status, "updated_at": current.at, "trend": [], "sentence": check.sentence, "json": check.json,
        "versions": history,
    }))
}

/// Entries and exits of a segment.
pub async fn segment_history(
    platform: &Platform,
    workspace: WorkspaceId,
    id: &str,
    before: i64,
    limit: i64,
) -> Result<Value, Error> {
    let rows = platform.store.segment_history(workspace, id, before, limit).await?;
    let ids: Vec<ProfileId> = rows.iter().map(|row| row.1).collect();
    let shown = rows_of(platform, workspace, &ids).await?;
    let names: HashMap<i64, &Value> =
        shown.iter().filter_map(|row| Some((row["id"].as_i64()?, &row["display"]))).collect();
    let items: Vec<Value> = rows
        .iter()
        .map(|(_, profile, at, entered, cause)| {
            let change = if *entered { "entered" } else { "exited" };
            json!({"at": at, "profile_id": profile, "display": names.get(&profile.0), "change": change, "cause": cause})
        })
        .collect();
    let next = rows.last().filter(|_| rows.len() as i64 == limit).map(|row| row.0.to_string());
    Ok(json!({"items": items, "next_cursor": next}))
}

/// Names for the condition editor.
pub async fn vocabulary(platform: &Platform, workspace: WorkspaceId) -> Result<Value, Error> {
    let names = platform
        .query(
            workspace,
            "SELECT name, max(properties) FROM events GROUP BY name ORDER BY count(*) DESC LIMIT 200",
        )
        .await?;
    let events: Vec<Value> = names
        .rows
        .iter()
        .map(|row| {
            let sample: Value =
                row[1].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let properties: Vec<&String> =
                sample.as_object().map(|map| map.keys().collect()).unwrap_or_default();
            json!({"name": row[0], "properties": properties})
        })
        .collect();
    let mut attributes: std::collections::BTreeMap<String, (String, Vec<Value>)> =
        std::collections::BTreeMap::new();
    for profile in platform.store.search_profiles(workspace, None, None, 0, 200).await? {
        for (name, value) in flow::Hot::decode(&profile.state)?.profile.values() {
            let kind = match &value {
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
                Value::Array(_) => "list",
                _ => "text",
            };
            let known = attributes.entry(name).or_insert_with(|| (kind.to_owned(), Vec::new()));
            if known.1.len() < 5 && !known.1.contains(&value) {
                known.1.push(value);
            }
        }
    }
    let attributes: Vec<Value> = attributes
        .into_iter()
        .map(|(name, (kind, examples))| json!({"name": name, "type": kind, "examples": examples}))
        .chain([json!({"name": "engagement_score", "type": "number", "examples": [80]})])
        .collect();
    let registry = platform.registry(workspace);
    let segments: Vec<Value> =
        registry.segments.iter().map(|(id, segment)| json!({"id": id, "name": segment.name})).collect();
    Ok(json!({"attributes": attributes, "events": events, "segments": segments}))
}

/// A template.
pub fn template(row: &DefinitionRow) -> Value {
    let mut shown = body_of(row);
    shown["id"] = json!(row.id);
    shown["name"] = json!(row.name);
    shown["version"] = json!(row.version);
    shown["updated_at"] = json!(row.at);
    shown
}

/// All journeys with their counts.
pub async fn journeys(platform: &Platform, workspace: WorkspaceId) -> Result<Value, Error> {
    let counts: HashMap<String, (i64, i64)> = platform
        .store
        .journey_counts(workspace)
        .await?
        .into_iter()
        .map(|(id, entered, active)| (id, (entered, active)))
        .collect();
    let rows = platform.store.definitions(workspace, "journey").await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let (entered, active) = counts.get(&row.id).copied().unwrap_or_default();
        let messages = platform.store.journey_messages(workspace, &row.id).await?;
        items.push(json!({
            "id": row.id, "name": row.name, "description": body_of(row)["description"], "status": row.status,
            "entered": entered, "active": active, "completed": entered - active, "exited": entered - active,
            "messages": messages, "updated_at": row.at,
        }));
    }
    Ok(json!({"items": items, "next_cursor": null, "total": rows.len()}))
}

/// One journey with the counts of its nodes.
pub async fn journey(platform: &Platform, workspace: WorkspaceId, id: &str) -> Result<Value, Error> {
    let found = platform.definition(workspace, DefinitionKind::Journey, id).await?;
    let found = found.ok_or_else(|| Error::Missing(format!("There is no journey '{id}'.")))?;
    let all = journeys(platform, workspace).await?;
    let mut shown = all["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item["id"] == id)
        .cloned()
        .unwrap_or_default();
    let counts: serde_json::Map<String, Value> = platform
        .store
        .node_counts(workspace, id)
        .await?
        .into_iter()
        .map(|(node, waiting, passed)| (node, json!({"waiting": waiting, "passed": passed})))
        .collect();
    let exits: serde_json::Map<String, Value> = platform
        .store
        .exit_counts(workspace, id)
        .await?
        .into_iter()
        .map(|(reason, count)| (reason, json!(count)))
        .collect();
    shown["definition"] = body_of(&found);
    shown["version"] = json!(found.version);
    shown["counts"] = Value::Object(counts);
    shown["exits"] = Value::Object(exits);
    Ok(shown)
}

/// An entry of a journey.
pub fn entry(row: &EntryRow) -> Value {
    json!({
        "entry_id": row.id, "journey_id": row.journey, "profile_id": row.profile, "display": format!("Profile {}", row.profile),
        "node": row.node, "key": row.key, "entered_at": row.entered_at, "due_at": row.due_at, "exited_at": row.exited_at,
        "exit_reason": row.exit_reason,
    })
}

fn message_row(platform: &Platform, row: &MessageRow) -> Value {
    let registry = platform.registry(row.workspace);
    let name =
        row.journey.as_ref().and_then(|id| registry.journeys.get(id)).map(|journey| journey.name.clone());
    json!({
        "id": row.id, "profile_id": row.profile, "to": row.recipient, "subject": row.subject, "state": row.state,
        "reason": row.reason, "journey_id": row.journey, "journey_name": name, "created_at": row.created_at,
        "sent_at": row.sent_at, "opened_at": row.opened_at, "clicked_at": row.clicked_at,
    })
}

/// A page of messages.
pub async fn messages(
    platform: &Platform,
    workspace: WorkspaceId,
    params: &HashMap<String, String>,
    limit: i64,
) -> Result<Value, Error> {
    let wanted = |name: &str| params.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let before = wanted("cursor").and_then(|text| text.parse().ok()).unwrap_or(i64::MAX);
    let profile = wanted("profile").and_then(|text| text.parse().ok()).map(ProfileId);
    let rows = platform
        .store
        .messages(workspace, before, limit, wanted("state"), wanted("journey"), profile, wanted("q"))
        .await?;
    let next = rows.last().filter(|_| rows.len() as i64 == limit).map(|row| row.number.to_string());
    let items: Vec<Value> = rows.iter().map(|row| message_row(platform, row)).collect();
    Ok(json!({"items": items, "next_cursor": next, "total": null}))
}

/// One message with its decision trace.
pub async fn message(platform: &Platform, workspace: WorkspaceId, id: &str) -> Result<Value, Error> {
    let found = platform.store.message(id).await?.filter(|row| row.workspace == workspace);
    let found = found.ok_or_else(|| Error::Missing(format!("There is no message '{id}'.")))?;
    let content: Value = serde_json::from_str(found.content.as_deref().unwrap_or("{}")).unwrap_or_default();
    let mut trace: Vec<Value> = serde_json::from_str(&found.trace).unwrap_or_default();
    let mut events = Vec::new();
    for (name, at, detail, actor) in platform.store.message_events(id).await? {
        trace.push(json!({
            "step": "response", "title": name, "at": at, "sentence": format!("{detail} ({actor})"), "data": {"actor": actor},
        }));
        events.push(json!({"at": at, "name": name, "detail": detail, "actor": actor}));
    }
    let raw = platform.store.raw_message(id).await?.unwrap_or_default();
    let head = String::from_utf8_lossy(&raw);
    let head = head.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n\t", " ").replace("\r\n ", " ");
    let headers: Vec<Value> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| json!([name, value]))
        .collect();
    let mut shown = message_row(platform, &found);
    shown["from"] = content["from"].clone();
    shown["html"] = content["html"].clone();
    shown["text"] = content["text"].clone();
    shown["headers"] = json!(headers);
    shown["size_bytes"] = json!(raw.len());
    shown["trace"] = json!(trace);
    shown["events"] = json!(events);
    Ok(shown)
}

/// The settings page.
pub async fn settings(platform: &Platform, workspace: WorkspaceId) -> Result<Value, Error> {
    let mut settings = platform.settings(workspace).await?;
    settings.insert("id".to_owned(), json!(workspace));
    let limits = &platform.options.limits;
    let kind = if platform.options.smtp_url.is_some() && !platform.options.demo { "smtp" } else { "inbox" };
    Ok(json!({
        "workspace": settings, "transport": {"kind": kind},
        "limits": {
            "event_bytes_max": limits.event_bytes_max, "batch_bytes_max": limits.batch_bytes_max,
            "batch_events_max": limits.batch_events_max,
        },
        "data_dir": platform.options.data_dir, "store": "sqlite", "since": platform.started_at(),
        "now": Timestamp::from_micros(platform.clock.now().micros()),
    }))
}
