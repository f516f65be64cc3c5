//! The definitions in force, compiled: what the step and the sender consult. Replaced as a whole when one changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Map, Value, WorkspaceId};
use store::{DefinitionRow, Store};

use crate::Error;
use crate::lists::{self, Source};
use crate::rules::{self, RuleInForce, rule_key};
use crate::tables::{self, TableInForce};

/// Everything compiled for one workspace.
pub struct Registry {
    /// The features and conditions of all segments and journeys.
    pub engine: segment::Engine,
    /// Segments by id.
    pub segments: BTreeMap<String, SegmentInForce>,
    /// Traits by name, the one that ships among them.
    pub traits: BTreeMap<String, crate::traits::TraitInForce>,
    /// Journeys by id, live and paused.
    pub journeys: BTreeMap<String, JourneyInForce>,
    /// Rules by id, live and paused.
    pub rules: BTreeMap<String, RuleInForce>,
    /// Decision tables by id.
    pub tables: BTreeMap<String, TableInForce>,
    /// Templates by id.
    pub templates: BTreeMap<String, Arc<template::Template>>,
    /// What stands in for templates, by their ids.
    pub instead: BTreeMap<String, crate::instead::Instead>,
    /// Name, time zone, sender and look of the workspace.
    pub settings: Map,
    /// The workspace's time zone.
    pub zone: jiff::tz::TimeZone,
    /// Declared types of attributes.
    pub types: profile::Types,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry {
            engine: segment::Engine::default(),
            segments: BTreeMap::new(),
            traits: BTreeMap::new(),
            journeys: BTreeMap::new(),
            rules: BTreeMap::new(),
            tables: BTreeMap::new(),
            templates: BTreeMap::new(),
            instead: BTreeMap::new(),
            settings: Map::new(),
            zone: jiff::tz::TimeZone::UTC,
            types: profile::Types::new(),
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
    /// Where its members come from.
    pub source: Source,
    /// The list of a segment whose members are listed; empty otherwise.
    pub list: String,
}

/// A journey in force: its current version, and each former one that somebody is still inside of.
pub struct JourneyInForce {
    /// What people call it.
    pub name: String,
    /// The version that new entries get, ready to step.
    pub compiled: Arc<journey::Compiled>,
    /// The versions that open entries began with; one that says the same as the current one is the current one.
    pub former: BTreeMap<i64, Arc<journey::Compiled>>,
    /// Takes new entries and moves those inside. While it is paused, those inside rest; only an exit event ends them.
    pub live: bool,
}

impl JourneyInForce {
    /// The version an entry finishes with.
    pub fn version(&self, version: i64) -> Option<&journey::Compiled> {
        if version == self.compiled.version {
            return Some(&self.compiled);
        }
        self.former.get(&version).map(Arc::as_ref)
    }

    /// Whether an event of this name can begin or end an entry.
    pub fn concerns(&self, event: &str) -> bool {
        let ends =
            |journey: &journey::Compiled| journey.definition.exits.iter().any(|exit| exit.event == event);
        self.compiled.definition.trigger.event == event
            || ends(&self.compiled)
            || self.former.values().any(|former| ends(former))
    }
}

/// The key of a branch's condition in the engine.
pub fn branch_key(journey: &journey::Compiled, node: &str) -> String {
    format!("journey:{}@{}/{node}", journey.id, journey.version)
}

/// The setting that declares types of attributes. Shape: `{"age": "number"}`.
pub const TYPES: &str = "attribute_types";
/// Declared attributes of a workspace.
const TYPES_MAX: usize = 1_000;

/// Reads declarations.
///
/// # Errors
/// `Invalid` names each attribute whose declaration is wrong.
pub fn types_of(setting: &Value) -> Result<profile::Types, Error> {
    let refuse = |path: &str, message: String| Error::invalid("invalid_attribute_type", path, message);
    let declared = match setting {
        Value::Null => return Ok(profile::Types::new()),
        Value::Object(declared) if declared.len() <= TYPES_MAX => declared,
        _ => {
            let message =
                format!("Declare at most {TYPES_MAX} attributes as an object: {{\"age\": \"number\"}}.");
            return Err(refuse("/attribute_types", message));
        }
    };
    declared
        .iter()
        .map(|(name, value)| {
            let known = value.as_str().and_then(profile::AttributeType::from_name);
            known.map(|known| (name.clone(), known)).ok_or_else(|| {
                let names = profile::AttributeType::ALL.map(profile::AttributeType::name).join(", ");
                let message = format!("The attribute '{name}' is declared as {value}: use one of {names}.");
                refuse(&format!("/attribute_types/{name}"), message)
            })
        })
        .collect()
}

/// Reads a segment's body.
///
/// # Errors
/// When the body has no condition.
pub fn condition_of(row: &DefinitionRow) -> Result<String, Error> {
    let body: Value = serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
    if let Some(list) = body["list"].as_str() {
        return lists::condition(list);
    }
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
    let engine = body["engine"].as_str().unwrap_or("liquid").parse();
    let engine = engine.map_err(|why: String| Error::invalid("invalid_template", "/engine", why))?;
    let source = template::Source {
        engine,
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
    let code = if matches!(error, template::Error::Abort { .. }) { "aborted" } else { "invalid_template" };
    Error::Invalid { code, detail: error.to_string(), problems: vec![problem] }
}

impl Registry {
    /// What conditions are checked against. Events and attributes may come; segments and declared types are known.
    pub fn schema(&self) -> expr::Schema {
        let segments = self.segments.iter().flat_map(|(id, segment)| [id.clone(), segment.name.clone()]);
        let types = self.types.iter().map(|(name, declared)| (name.clone(), declared.name().to_owned()));
        let traits =
            self.traits.iter().map(|(name, known)| (name.clone(), known.figure.value_type().to_owned()));
        expr::Schema {
            segments: segments.collect(),
            attributes: traits.chain(types).collect(),
            traits: self.traits.keys().cloned().collect(),
            ..expr::Schema::default()
        }
    }

    /// What stands against these conditions under a schema: (what it is part of, its faults).
    pub fn misfits(&self, schema: &expr::Schema) -> Vec<(String, Vec<expr::Error>)> {
        let segments = self
            .segments
            .values()
            .map(|segment| (format!("the segment '{}'", segment.name), segment.condition.as_str()));
        let branches = self.journeys.values().flat_map(|journey| {
            journey
                .compiled
                .conditions()
                .map(|(node, text)| (format!("the branch '{node}' of the journey '{}'", journey.name), text))
        });
        let rules = self
            .rules
            .values()
            .map(|rule| (format!("the rule '{}'", rule.name), rule.rule.condition.as_str()));
        let rows = self.tables.values().flat_map(|table| {
            let name = format!("the decision table '{}'", table.name);
            table.table.rows.iter().map(move |row| (name.clone(), row.condition.as_str()))
        });
        segments
            .chain(branches)
            .chain(rules)
            .chain(rows)
            .map(|(name, text)| (name, expr::check_text(text, schema).errors))
            .filter(|(_, errors)| !errors.is_empty())
            .collect()
    }

    /// Compiles everything that is in force in a workspace, or will be after an edit. Features that `ids` does not know
    /// get new numbers in it; nothing is written.
    ///
    /// # Errors
    /// `Invalid` names the definition that cannot be compiled.
    pub(crate) async fn load(
        store: &Store,
        workspace: WorkspaceId,
        settings: Map,
        ids: &mut segment::FeatureIds,
        edit: Option<&Edit<'_>>,
    ) -> Result<Registry, Error> {
        let mut registry = Registry { settings, ..Registry::default() };
        let zone = registry.settings.get("timezone").and_then(Value::as_str).unwrap_or("UTC");
        registry.zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        registry.types = types_of(registry.settings.get(TYPES).unwrap_or(&Value::Null))?;
        registry.traits = crate::traits::in_force(in_force(store, workspace, "trait", edit).await?)?;
        let mut definitions = Vec::new();
        for row in in_force(store, workspace, "segment", edit).await? {
            let text = condition_of(&row)?;
            definitions.push(definition(&row.id, &row.name, &text, true)?);
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            let list = body["list"].as_str().unwrap_or_default().to_owned();
            let source = Source::of(&body)?;
            let in_force =
                SegmentInForce { name: row.name, condition: text, version: row.version, source, list };
            registry.segments.insert(row.id, in_force);
        }
        let mut inside = store.open_versions(workspace).await?;
        if edit.is_some_and(|edit| edit.keeps_former) {
            let former = store.definitions(workspace, "journey").await?;
            inside.extend(former.into_iter().map(|row| (row.id, row.version)));
        }
        for row in in_force(store, workspace, "journey", edit).await? {
            let compiled = Arc::new(compile_journey(&row)?);
            let mut distinct = vec![compiled.clone()];
            let mut former = BTreeMap::new();
            let older = |(id, version): &&(String, i64)| *id == row.id && *version != row.version;
            if inside.iter().any(|each| older(&each)) {
                let versions = store.versions(workspace, "journey", &row.id).await?;
                for (_, version) in inside.iter().filter(older) {
                    let Some(old) = versions.iter().find(|old| old.version == *version) else { continue };
                    let old = match compile_journey(old) {
                        Ok(old) => old,
                        Err(error) => {
                            tracing::error!(%error, journey = %row.id, version, "a former version cannot be read; those inside end");
                            continue;
                        }
                    };
                    let same = distinct.iter().find(|known| known.definition.same_course(&old.definition));
                    let old = same.cloned().unwrap_or_else(|| Arc::new(old));
                    distinct.push(old.clone());
                    former.insert(*version, old);
                }
            }
            distinct.sort_by_key(|journey| journey.version);
            distinct.dedup_by_key(|journey| journey.version);
            for journey in &distinct {
                for (node, text) in journey.conditions() {
                    let key = branch_key(journey, node);
                    definitions.push(definition(&key, &key, text, false)?);
                }
            }
            let in_force = JourneyInForce { name: row.name, compiled, former, live: row.status == "live" };
            registry.journeys.insert(row.id, in_force);
        }
        for row in in_force(store, workspace, "rule", edit).await? {
            let rule = rules::in_force(&row)?;
            let key = rule_key(&rule.id);
            definitions.push(definition(&key, &key, &rule.rule.condition, rule.rule.on.is_none())?);
            registry.rules.insert(row.id, rule);
        }
        for row in in_force(store, workspace, "table", edit).await? {
            let table = tables::in_force(&row)?;
            for (number, each) in table.table.rows.iter().enumerate() {
                let key = table.row_key(number);
                definitions.push(definition(&key, &key, &each.condition, table.table.attribute.is_some())?);
            }
            registry.tables.insert(row.id, table);
        }
        for row in in_force(store, workspace, "template", edit).await? {
            let body: Value =
                serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
            if let Some(instead) = crate::instead::Instead::of(&body)? {
                registry.instead.insert(row.id.clone(), instead);
            }
            registry.templates.insert(row.id, Arc::new(compile_template(&body)?));
        }
        tables::check_circles(&registry)?;
        let traits = crate::traits::compiled(&registry.traits);
        registry.engine = segment::Engine::build_with(&definitions, &traits, ids)
            .map_err(|error| Error::invalid("invalid_segment", "/where", error.to_string()))?;
        Ok(registry)
    }
}

/// The key under which the engine knows what a definition decides.
pub(crate) fn edited_key(row: &DefinitionRow) -> String {
    if row.kind == "rule" { rule_key(&row.id) } else { row.id.clone() }
}

/// A definition on its way into force.
pub(crate) struct Edit<'a> {
    /// Its next version.
    pub row: &'a DefinitionRow,
    /// Keeps the version of every journey that is in force now, as somebody may enter it before the edit is.
    pub keeps_former: bool,
}

async fn in_force(
    store: &Store,
    workspace: WorkspaceId,
    kind: &str,
    edit: Option<&Edit<'_>>,
) -> Result<Vec<DefinitionRow>, Error> {
    let mut rows = store.definitions(workspace, kind).await?;
    if let Some(row) = edit.map(|edit| edit.row).filter(|row| row.kind == kind) {
        rows.retain(|known| known.id != row.id);
        if row.status != "deleted" {
            rows.push(row.clone());
        }
    }
    Ok(rows)
}

/// The numbers of features and conditions.
pub(crate) async fn ids(store: &Store, workspace: WorkspaceId) -> Result<segment::FeatureIds, Error> {
    match store.meta(&format!("features.{workspace}")).await? {
        Some(text) => serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string())),
        None => Ok(segment::FeatureIds::default()),
    }
}

/// Keeps the numbers of features and conditions.
pub(crate) async fn put_ids(
    store: &Store,
    workspace: WorkspaceId,
    ids: &segment::FeatureIds,
) -> Result<(), Error> {
    let text = serde_json::to_string(ids).map_err(|error| Error::Bug(error.to_string()))?;
    Ok(store.put_meta(&format!("features.{workspace}"), &text).await?)
}

/// The features that are to be filled from history before the definitions in force can be trusted; none when all are.
pub(crate) async fn filling(store: &Store, workspace: WorkspaceId) -> Result<Option<BTreeSet<u32>>, Error> {
    let text = store.meta(&format!("filling.{workspace}")).await?.filter(|text| !text.is_empty());
    text.map(|text| serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string())))
        .transpose()
}

/// Notes which features are to be filled.
pub(crate) async fn set_filling(
    store: &Store,
    workspace: WorkspaceId,
    features: Option<&BTreeSet<u32>>,
) -> Result<(), Error> {
    let text = features.map(|features| serde_json::json!(features).to_string()).unwrap_or_default();
    Ok(store.put_meta(&format!("filling.{workspace}"), &text).await?)
}

fn compile_journey(row: &DefinitionRow) -> Result<journey::Compiled, Error> {
    let body = serde_json::from_str(&row.body).map_err(|error| {
        Error::invalid("invalid_journey", "", format!("The journey '{}': {error}", row.id))
    })?;
    journey::Compiled::new(&row.id, row.version, body).map_err(|error| journey_error(&error))
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
