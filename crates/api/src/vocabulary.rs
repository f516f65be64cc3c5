//! The words of a workspace for whoever edits conditions: events, properties, attributes, topics and values that were seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use model::{Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At};
use crate::{App, Problem, segments};

/// How long what was seen is good enough for suggestions.
const FRESH: Duration = Duration::from_mins(1);
/// Sights that are kept.
const KEPT_MAX: usize = 500;
/// Event names of a vocabulary.
const EVENTS_MAX: usize = 500;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(vocabulary)).routes(routes!(event)).routes(routes!(coverage))
}

/// What was seen a moment ago, so that typing does not read the lake at each letter.
#[derive(Default)]
pub struct Sights {
    kept: Mutex<HashMap<(WorkspaceId, String), (Instant, Arc<flow::Sight>)>>,
    names: Mutex<HashMap<WorkspaceId, (Instant, Arc<Vec<(String, i64)>>)>>,
}

impl Sights {
    /// The properties of an event; of the empty name the attributes of profiles.
    pub(crate) async fn of(
        &self,
        app: &App,
        workspace: WorkspaceId,
        name: &str,
    ) -> Result<Arc<flow::Sight>, Problem> {
        let key = (workspace, name.to_owned());
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((_, sight)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(sight);
        }
        let sight = Arc::new(if name.is_empty() {
            app.platform.attributes_seen(workspace, None).await?
        } else {
            app.platform.properties_seen(workspace, name).await?
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(key, (Instant::now(), sight.clone()));
        }
        Ok(sight)
    }

    async fn events(&self, app: &App, workspace: WorkspaceId) -> Result<Arc<Vec<(String, i64)>>, Problem> {
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&workspace).cloned();
        if let Some((_, names)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(names);
        }
        let sql = format!(
            "SELECT name, count(*) AS n FROM events GROUP BY name ORDER BY n DESC, name LIMIT {EVENTS_MAX}"
        );
        let answer = app.platform.query(workspace, &sql).await?;
        let name = |row: &Vec<Value>| Some((row.first()?.as_str()?.to_owned(), row.get(1)?.as_i64()?));
        let names = Arc::new(answer.rows.iter().filter_map(name).collect::<Vec<_>>());
        let mut kept = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(workspace, (Instant::now(), names.clone()));
        Ok(names)
    }
}

/// Names for the condition editor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vocabulary {
    /// Profiles that were looked at for attributes.
    pub profiles: i64,
    /// Attributes, those most profiles have first.
    pub attributes: Vec<KnownName>,
    /// Events, the most frequent first.
    pub events: Vec<KnownEvent>,
    /// Segments.
    pub segments: Vec<KnownSegment>,
    /// Purposes and topics that somebody spoke of, the most frequent first.
    pub topics: Vec<String>,
}

/// An attribute's or a property's name.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownName {
    /// The name as conditions write it, dotted for fields of objects.
    pub name: String,
    /// number, bool, list, date or text.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many of those that were looked at have it.
    pub count: i64,
    /// Its most frequent values.
    pub values: Vec<KnownValue>,
    /// What the objects of a list have.
    #[schema(no_recursion)]
    pub elements: Vec<KnownName>,
}

/// A value and how often it was there.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownValue {
    /// The value.
    pub value: Value,
    /// How often.
    pub count: i64,
}

/// An event's name.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownEvent {
    /// The name.
    pub name: String,
    /// How often it happened.
    pub count: i64,
}

/// A segment's name.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownSegment {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

fn known(seen: &flow::Seen) -> KnownName {
    let value = |(value, count): &(Value, usize)| KnownValue { value: value.clone(), count: *count as i64 };
    KnownName {
        name: seen.name.clone(),
        kind: seen.kind.to_owned(),
        count: seen.count as i64,
        values: seen.values.iter().map(value).collect(),
        elements: seen.elements.iter().map(known).collect(),
    }
}

/// Names of events, attributes, segments and topics that a condition can use, with the values they had. May be a minute old.
#[utoipa::path(get, path = "/api/segments/vocabulary", tag = "segments", responses((status = 200, body = Vocabulary)))]
async fn vocabulary(State(app): State<App>, ws: Ws) -> Result<Json<Vocabulary>, Problem> {
    let sight = app.sights.of(&app, ws.0, "").await?;
    let events = app.sights.events(&app, ws.0).await?;
    let registry = app.platform.registry(ws.0);
    let mut attributes: Vec<KnownName> = sight.names.iter().map(known).collect();
    if !attributes.iter().any(|each| each.name == SCORE) {
        let (name, kind) = (SCORE.to_owned(), "number".to_owned());
        let count = sight.of as i64;
        attributes.push(KnownName { name, kind, count, values: Vec::new(), elements: Vec::new() });
    }
    let segment = |(id, segment): (&String, &flow::registry::SegmentInForce)| KnownSegment {
        id: id.clone(),
        name: segment.name.clone(),
    };
    Ok(Json(Vocabulary {
        profiles: sight.of as i64,
        attributes,
        events: events.iter().map(|(name, count)| KnownEvent { name: name.clone(), count: *count }).collect(),
        segments: registry.segments.iter().map(segment).collect(),
        topics: sight.topics.clone(),
    }))
}

/// The computed trait that every profile has.
const SCORE: &str = "engagement_score";

/// Which event.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichEvent {
    /// Its name; with `*` at the end all names that begin so.
    pub name: String,
}

/// The properties of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventVocabulary {
    /// The event's name.
    pub name: String,
    /// Events that were looked at, the latest.
    pub events: i64,
    /// Its properties, those most events have first.
    pub properties: Vec<KnownName>,
}

/// The properties of an event with types and the values its latest occurrences had. May be a minute old.
#[utoipa::path(get, path = "/api/segments/vocabulary/event", tag = "segments", operation_id = "event_vocabulary", params(WhichEvent), responses((status = 200, body = EventVocabulary)))]
async fn event(
    State(app): State<App>,
    ws: Ws,
    Ask(which): Ask<WhichEvent>,
) -> Result<Json<EventVocabulary>, Problem> {
    if which.name.is_empty() || which.name.len() > 1_000 {
        return Err(Problem::invalid("Name the event in 'name', in at most 1,000 bytes."));
    }
    let sight = app.sights.of(&app, ws.0, &which.name).await?;
    Ok(Json(EventVocabulary {
        name: which.name,
        events: sight.of as i64,
        properties: sight.names.iter().map(known).collect(),
    }))
}

/// What is known of a segment's members.
#[derive(Debug, Serialize, ToSchema)]
pub struct Coverage {
    /// Members that were looked at, at most 20,000.
    pub members: i64,
    /// Profiles of the workspace that were looked at, at most 20,000.
    pub profiles: i64,
    /// Attributes, those most members have first.
    pub attributes: Vec<Covered>,
}

/// An attribute and who has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Covered {
    /// Its name, type, most frequent values and how many members have it.
    #[serde(flatten)]
    pub known: KnownName,
    /// How many profiles have it, members or not.
    pub everyone: i64,
}

/// Which attributes a segment's members have, beside all profiles.
#[utoipa::path(get, path = "/api/segments/{id}/coverage", tag = "segments", operation_id = "segment_coverage", params(("id" = String, Path)), responses((status = 200, body = Coverage)))]
async fn coverage(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Coverage>, Problem> {
    segments::exists(&app, ws, &id).await?;
    let all = app.sights.of(&app, ws.0, "").await?;
    let inside = app.platform.attributes_seen(ws.0, Some(&id)).await?;
    let covered = |seen: &flow::Seen| {
        let everyone = all.names.iter().find(|each| each.name == seen.name).map_or(0, |each| each.count);
        let mut known = known(seen);
        known.values.truncate(5);
        Covered { known, everyone: everyone as i64 }
    };
    Ok(Json(Coverage {
        members: inside.of as i64,
        profiles: all.of as i64,
        attributes: inside.names.iter().map(covered).collect(),
    }))
}

/// What completion may offer in a text: all names, and the properties of the events it speaks of.
pub(crate) async fn schema(app: &App, workspace: WorkspaceId, text: &str) -> Result<expr::Schema, Problem> {
    let mut schema = app.platform.registry(workspace).schema();
    let registry = app.platform.registry(workspace);
    schema.segments = registry.segments.values().map(|segment| segment.name.clone()).collect();
    let sight = app.sights.of(app, workspace, "").await?;
    for seen in &sight.names {
        let name = dotted(&seen.name);
        if !schema.attributes.iter().any(|(known, _)| *known == name) {
            schema.attributes.push((name, seen.kind.to_owned()));
        }
    }
    schema.events = app.sights.events(app, workspace).await?.iter().map(|(name, _)| name.clone()).collect();
    let named = schema.events.iter().filter(|name| text.contains(&format!("\"{name}\""))).take(5).cloned();
    for name in named.collect::<Vec<_>>() {
        for seen in &app.sights.of(app, workspace, &name).await?.names {
            schema.properties.push((name.clone(), dotted(&seen.name), seen.kind.to_owned()));
        }
    }
    Ok(schema)
}

/// A path as a schema has it: without the backticks that a condition needs.
fn dotted(path: &str) -> String {
    let read = serde_json::from_value::<expr::Path>(Value::String(path.to_owned()));
    read.map_or_else(|_| path.to_owned(), |path| path.dotted().into_owned())
}
