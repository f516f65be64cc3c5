//! The definitions in force, compiled: what the step and the sender consult. Replaced as a whole when one changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Map, Value, WorkspaceId};
use store::{DefinitionRow, Store};

use crate::Error;

/// Everything compiled for one workspace.
pub struct Registry {
    /// The features and conditions of all segments and journeys.
    pub engine: segment::Engine,
    /// Segments by id.
    pub segments: BTreeMap<String, SegmentInForce>,
    /// Journeys by id, live and paused: those inside go on to their ends.
    pub journeys: BTreeMap<String, JourneyInForce>,
    /// Templates by id.
    pub templates: BTreeMap<String, Arc<template::Template>>,
    /// Name, time zone, sender and look of the workspace.
    pub settings: Map,
    /// The workspace's time zone.
    pub zone: jiff::tz::TimeZone,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry {
            engine: segment::Engine::default(),
            segments: BTreeMap::new(),
            journeys: BTreeMap::new(),
            templates: BTreeMap::new(),
            settings: Map::new(),
            zone: jiff::tz::TimeZone::UTC,
        }
    }
}

/// A segment in force.
#[derive(Clone, Debug)]
pub struct SegmentInForce {
    /// What people call it.
    pub name: String,
    /// Its condition's text.
    pub condition: String,
    /// Its version.
    pub version: i64,
}

/// A journey in force.
pub struct JourneyInForce {
    /// What people call it.
    pub name: String,
    /// Ready to step.
    pub compiled: journey::Compiled,
    /// Takes new entries.
    pub live: bool,
}

impl JourneyInForce {
    /// Whether an event of this name can begin or end an entry.
    pub fn concerns(&self, event: &str) -> bool {
        let definition = &self.compiled.definition;
        definition.trigger.event == event || definition.exits.iter().any(|exit| exit.event == event)
    }
}

/// The key of a branch's condition in the engine.
pub fn branch_key(journey: &str, node: &str) -> String {
    format!("journey:{journey}/{node}")
}

/// Reads a segment's body.
///
/// # Errors
/// When the body has no condition.
pub fn condition_of(row: &DefinitionRow) -> Result<String, Error> {
    let body: Value = serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
    body["where"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid("invalid_segment", "/where", "A segment has a condition in 'where'."))
}

/// Reads a template's body.
///
/// # Errors
/// Names what is wrong, with line and column.
pub fn compile_template(body: &Value) -> Result<template::Template, Error> {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let layout = match body["format"].as_str().unwrap_or("html") {
        "mjml" => template::Body::Mjml(text("body")),
        "html" => template::Body::Html(text("body")),
        other => {
            return Err(Error::invalid(
                "invalid_template",
                "/format",
                format!("The format '{other}' is unknown: mjml or html."),
            ));
        }
    };
    let source = template::Source {
        subject: text("subject"),
        preheader: text("preheader"),
        body: layout,
        text: body["text"].as_str().map(str::to_owned),
    };
    template::Template::compile(&source).map_err(|error| template_error(&error))
}

/// A template's error with its place.
pub fn template_error(error: &template::Error) -> Error {
    let place = error.place();
    let problem = crate::error::Problem {
        path: format!("/{}", place.file),
        line: place.line as u32,
        column: place.column as u32,
        message: error.message().to_owned(),
        ..crate::error::Problem::default()
    };
    Error::Invalid { code: "invalid_template", detail: error.to_string(), problems: vec![problem] }
}

impl Registry {
    /// Compiles everything that is in force in a workspace.
    ///
    /// # Errors
    /// `Invalid` names the definition that cannot be compiled.
    pub async fn load(store: &Store, workspace: WorkspaceId, settings: Map) -> Result<Registry, Error> {
        let mut registry = Registry { settings, ..Registry::default() };
        let zone = registry.settings.get("timezone").and_then(Value::as_str).unwrap_or("UTC");
        registry.zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let mut definitions = Vec::new();
        for row in store.definitions(workspace, "segment").await? {
            let text = condition_of(&row)?;
            definitions.push(definition(&row.id, &row.name, &text, true)?);
            let in_force = SegmentInForce { name: row.name, condition: text, version: row.version };
            registry.segments.insert(row.id, in_force);
        }
        for row in store.definitions(workspace, "journey").await? {
            let body = serde_json::from_str(&row.body).map_err(|error| {
                Error::invalid("invalid_journey", "", format!("The journey '{}': {error}", row.id))
            })?;
            let compiled =
                journey::Compiled::new(&row.id, row.version, body).map_err(|error| journey_error(&error))?;
            for (node, text) in compiled.conditions() {
                let key = branch_key(&row.id, node);
                definitions.push(definition(&key, &key, text, false)?);
            }
            let in_force = JourneyInForce { name: row.name, compiled, live: row.status == "live" };
            registry.journeys.insert(row.id, in_force);
        }
        for row in store.definitions(workspace, "template").await? {
            let body: Value =
                serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
            registry.templates.insert(row.id, Arc::new(compile_template(&body)?));
        }
        let name = format!("features.{workspace}");
        let mut ids: segment::FeatureIds = match store.meta(&name).await? {
            Some(text) => serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string()))?,
            None => segment::FeatureIds::default(),
        };
        registry.engine = segment::Engine::build(&definitions, &mut ids)
            .map_err(|error| Error::invalid("invalid_segment", "/where", error.to_string()))?;
        let text = serde_json::to_string(&ids).map_err(|error| Error::Bug(error.to_string()))?;
        store.put_meta(&name, &text).await?;
        Ok(registry)
    }
}

/// A journey's faults.
pub fn journey_error(error: &journey::Error) -> Error {
    let problems = error
        .problems
        .iter()
        .map(|p| crate::error::Problem {
            path: p.path.clone(),
            message: p.message.clone(),
            ..crate::error::Problem::default()
        })
        .collect();
    Error::Invalid { code: "invalid_journey", detail: error.to_string(), problems }
}

fn definition(key: &str, name: &str, text: &str, watched: bool) -> Result<segment::Definition, Error> {
    let condition = expr::parse(text)
        .map_err(|error| Error::invalid("invalid_segment", "/where", format!("'{name}': {error}")))?;
    Ok(segment::Definition { key: key.to_owned(), name: name.to_owned(), condition, watched })
}
