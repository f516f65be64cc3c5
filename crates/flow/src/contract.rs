//! The contract between templates and what a workspace knows: which paths there are, with types and how many have them, and
//! what keeps a template from being published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Map, Value, WorkspaceId};
use serde_json::json;
use template::contract::{Contract, Judged, Known, PathKind, PathUse, Schema, Waiver};
use template::{Finding, Severity};

use crate::error::Problem;
use crate::platform::Platform;
use crate::registry::{self, Registry};
use crate::seen::{Seen, Sight};
use crate::{DefinitionKind, Error};

/// Messages of a template whose fallbacks are counted, the latest.
const COUNTED_MAX: i64 = 2_000;

/// What was seen of names a moment ago; what is not given is not known of.
#[derive(Clone, Default)]
pub struct Words {
    /// The attributes of profiles.
    pub attributes: Option<Arc<Sight>>,
    /// The properties of events, by their names.
    pub events: Vec<(String, Arc<Sight>)>,
}

/// A template, judged.
pub struct TemplateCheck {
    /// Nothing keeps it from being published.
    pub publishable: bool,
    /// What was found, with the reason why it is borne.
    pub findings: Vec<(Finding, Option<String>)>,
    /// The questions of the checklist: (code, title, passed, sentence); nothing when it does not apply.
    pub checklist: Vec<(&'static str, &'static str, Option<bool>, String)>,
    /// The paths it reads.
    pub paths: Vec<PathUse>,
    /// The mail for a made person who has everything; none when it cannot be made.
    pub sample: Option<template::Rendered>,
}

/// How often something had to stand in for a missing value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FallbackCount {
    /// The path as written.
    pub path: String,
    /// `default` when something stood in, `missing` when nothing did.
    pub kind: String,
    /// In how many messages.
    pub messages: i64,
    /// The same by journey and node; empty for messages of no journey.
    pub nodes: BTreeMap<(String, String), i64>,
}

/// The fallbacks of a template's latest messages.
#[derive(Clone, Debug, Default)]
pub struct FallbackReport {
    /// Messages that were looked at, the latest.
    pub messages: i64,
    /// Those composed from the template that stands in for this one.
    pub stood_in: i64,
    /// Paths, the most frequent first.
    pub paths: Vec<FallbackCount>,
}

/// Reads the waivers of a template's body.
pub(crate) fn waivers_of(body: &Value) -> Vec<Waiver> {
    let list = body["waivers"].as_array().cloned().unwrap_or_default();
    list.into_iter().filter_map(|each| serde_json::from_value(each).ok()).collect()
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Whether anything in a value is nothing to a reader.
pub(crate) fn has_blanks(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(has_blanks),
        Value::Array(list) => list.iter().any(has_blanks),
        other => is_blank(other),
    }
}

/// A value without what is nothing to a reader; none when that is all of it.
pub(crate) fn without_blanks(mut value: Value) -> Option<Value> {
    match &mut value {
        Value::Object(map) => drop_blanks(map),
        Value::Array(list) => {
            let kept = std::mem::take(list).into_iter().filter_map(without_blanks);
            *list = kept.collect();
        }
        _ => {}
    }
    (!is_blank(&value)).then_some(value)
}

/// Takes out what is nothing to a reader: null, and text without letters. What a template then takes for present prints
/// something.
pub(crate) fn drop_blanks(map: &mut Map) {
    let all = std::mem::take(map).into_iter();
    *map = all.filter_map(|(name, value)| Some((name, without_blanks(value)?))).collect();
}

fn type_name(kind: &str) -> Option<&'static str> {
    ["text", "number", "bool", "date", "list"].into_iter().find(|known| *known == kind)
}

fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Array(_) => "list",
        _ => return None,
    })
}

/// Writes a schema.
#[derive(Default)]
struct Writer(Schema);

impl Writer {
    fn put(&mut self, path: &str, kind: PathKind, value_type: Option<&'static str>, always: bool) {
        let known = Known { kind, value_type, declared: false, always, seen: None };
        self.0.paths.insert(path.to_owned(), known);
    }

    fn seen(&mut self, whole: &str, kind: PathKind, names: &[Seen], of: usize) {
        for each in names.iter().filter(|each| !each.name.contains('`')) {
            let path = format!("{whole}.{}", each.name);
            let value_type = type_name(each.kind);
            let seen = (of > 0).then_some((each.count, of));
            self.0
                .paths
                .insert(path.clone(), Known { kind, value_type, declared: false, always: false, seen });
            self.seen(&format!("{path}[]"), kind, &each.elements, 0);
        }
    }

    /// What is a value of ours: there, unless it is blank.
    fn value(&mut self, path: &str, kind: PathKind, value: &Value) {
        let blank = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        self.put(path, kind, type_of(value), !blank);
        for (name, part) in value.as_object().into_iter().flatten() {
            self.value(&format!("{path}.{name}"), kind, part);
        }
    }
}

/// Whether a trait has a value for everybody.
fn is_total(figure: &expr::Figure) -> bool {
    matches!(figure, expr::Figure::Count { .. } | expr::Figure::Periods { .. } | expr::Figure::Score { .. })
}

fn schema(
    registry: &Registry,
    words: &Words,
    events: &[String],
    goods: &[(String, Option<&'static str>, bool)],
) -> Schema {
    let mut out = Writer::default();
    out.put("customer", PathKind::Attribute, None, true);
    if let Some(sight) = &words.attributes {
        out.seen("customer", PathKind::Attribute, &sight.names, sight.of);
    }
    for (name, declared) in &registry.types {
        let path = format!("customer.{name}");
        let seen = out.0.paths.get(&path).and_then(|known| known.seen);
        let value_type = type_name(declared.name());
        let known = Known { kind: PathKind::Attribute, value_type, declared: true, always: false, seen };
        out.0.paths.insert(path, known);
    }
    for (name, each) in &registry.traits {
        let value_type = type_name(each.figure.value_type());
        out.put(&format!("customer.{name}"), PathKind::Trait, value_type, is_total(&each.figure));
    }
    out.put("customer.id", PathKind::Attribute, Some("number"), true);
    out.put("customer.email", PathKind::Attribute, Some("text"), true);
    out.put("customer.segments", PathKind::Attribute, Some("list"), true);
    out.put("event", PathKind::Event, None, false);
    for (_, sight) in words.events.iter().filter(|(name, _)| events.contains(name)) {
        out.seen("event", PathKind::Event, &sight.names, sight.of);
    }
    out.put("coupon", PathKind::Event, None, false);
    out.put("coupon.code", PathKind::Event, Some("text"), false);
    out.put("journey", PathKind::Setting, None, false);
    for name in ["id", "entry"] {
        out.put(&format!("journey.{name}"), PathKind::Setting, Some("text"), false);
    }
    out.put("journey.version", PathKind::Setting, Some("number"), false);
    out.put("campaign", PathKind::Setting, None, false);
    out.put("message", PathKind::Setting, None, true);
    out.put("message.id", PathKind::Setting, Some("text"), true);
    out.value("workspace", PathKind::Setting, &Value::Object(registry.settings.clone()));
    out.put("links", PathKind::Link, None, true);
    for name in ["unsubscribe", "preferences", "view_in_browser"] {
        out.put(&format!("links.{name}"), PathKind::Link, Some("text"), true);
    }
    out.put("site", PathKind::Catalog, None, true);
    out.put("site.recommendations", PathKind::Catalog, None, true);
    out.put("site.recommendations[]", PathKind::Catalog, Some("list"), true);
    for (name, value_type, always) in goods {
        out.put(&format!("site.recommendations[][].{name}"), PathKind::Catalog, *value_type, *always);
    }
    for name in ["reason", "source"] {
        out.put(&format!("site.recommendations[][].{name}"), PathKind::Catalog, Some("text"), true);
    }
    out.put("site.recommendations[][].fallback", PathKind::Catalog, Some("text"), false);
    out.put("catalog", PathKind::Catalog, None, false);
    out.put("feed", PathKind::Feed, None, false);
    out.0
}

impl Platform {
    /// The events that begin the journeys which send a template; with none, of no journey.
    pub fn template_events(&self, workspace: WorkspaceId, template: Option<&str>) -> Vec<String> {
        let registry = self.registry(workspace);
        let Some(template) = template else { return Vec::new() };
        let sends = |journey: &crate::registry::JourneyInForce| {
            let versions = journey.former.values().chain([&journey.compiled]);
            versions.flat_map(|version| version.templates()).any(|(_, id)| id == template)
        };
        let events: BTreeSet<String> = registry
            .journeys
            .values()
            .filter(|journey| sends(journey))
            .map(|journey| journey.compiled.definition.trigger.event.clone())
            .collect();
        events.into_iter().collect()
    }

    /// What a template may read.
    ///
    /// # Errors
    /// When the catalogue has to be read and the store does not answer.
    pub async fn template_schema(
        &self,
        workspace: WorkspaceId,
        template: Option<&str>,
        words: &Words,
    ) -> Result<Schema, Error> {
        let events = self.template_events(workspace, template);
        let goods = self.fields_offered(workspace).await?;
        Ok(schema(&self.registry(workspace), words, &events, &goods))
    }

    /// The fields of what can be offered now: (name, type, every item has it).
    async fn fields_offered(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(String, Option<&'static str>, bool)>, Error> {
        let stock = self.stock(workspace).await?;
        let Some(catalogue) = stock.products() else { return Ok(Vec::new()) };
        let mut fields: BTreeMap<&str, (Option<&'static str>, usize)> = BTreeMap::new();
        let mut offered = 0;
        for goods in catalogue.goods.values().filter(|goods| goods.barred.is_none()) {
            offered += 1;
            for (name, value) in goods.body.as_object().into_iter().flatten() {
                if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
                    continue;
                }
                let field = fields.entry(name).or_insert((type_of(value), 0));
                field.1 += 1;
            }
        }
        Ok(fields
            .into_iter()
            .map(|(name, (kind, count))| (name.to_owned(), kind, count == offered))
            .collect())
    }

    /// Judges a template as it is being written. An error of its language is a finding, too.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn judge_template(
        &self,
        workspace: WorkspaceId,
        id: Option<&str>,
        body: &Value,
        words: &Words,
    ) -> Result<TemplateCheck, Error> {
        let compiled = match registry::compile_template(body) {
            Ok(compiled) => compiled,
            Err(Error::Invalid { problems, .. }) => return Ok(broken(&problems)),
            Err(error) => return Err(error),
        };
        let schema = self.template_schema(workspace, id, words).await?;
        let contract = template::contract::contract(&compiled, &schema, &waivers_of(body));
        let tests = self.run_scenarios(workspace, &compiled, body);
        let mut check = judged(&contract, &schema, body, &tests);
        check.sample = match self.sample_mail(workspace, &compiled, &schema, &contract.uses).await {
            Ok(mail) => Some(mail),
            // An author's abort, or a limit: what was found says enough.
            Err(Error::Invalid { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(check)
    }

    /// Refuses a template that would print a missing value, greet nobody, or fail its own tests.
    pub(crate) async fn check_contract(
        &self,
        workspace: WorkspaceId,
        id: &str,
        body: &Value,
    ) -> Result<(), Error> {
        let mut check = self.judge_template(workspace, Some(id), body, &Words::default()).await?;
        match &body["fallback"] {
            Value::Object(_) => {
                // What stands in is read by people as well.
                let mut own = body["fallback"].clone();
                own["waivers"] = body["waivers"].clone();
                let instead = self.judge_template(workspace, Some(id), &own, &Words::default()).await?;
                check.publishable &= instead.publishable;
                check.findings.extend(instead.findings.into_iter().map(|(mut finding, waived)| {
                    finding.part = format!("fallback/{}", finding.part);
                    (finding, waived)
                }));
            }
            Value::String(other)
                if other == id || !self.registry(workspace).templates.contains_key(other) =>
            {
                let message = format!(
                    "There is no other template '{other}' that could stand in for '{id}': make it first."
                );
                return Err(Error::invalid("missing_template", "/fallback", message));
            }
            _ => {}
        }
        if check.publishable {
            return Ok(());
        }
        let errors = check
            .findings
            .iter()
            .filter(|(finding, waived)| finding.severity == Severity::Error && waived.is_none());
        let problems: Vec<Problem> = errors
            .map(|(finding, _)| Problem {
                path: format!("/{}", finding.part),
                line: finding.line as u32,
                column: finding.column as u32,
                message: finding.message.clone(),
                ..Problem::default()
            })
            .collect();
        let first = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
        let detail = match problems.len() {
            1 => first,
            many => format!("{many} things keep it from being published. The first: {first}"),
        };
        Err(Error::Invalid { code: "unfit_template", detail, problems })
    }

    /// How often something stood in for a missing value in a template's latest messages.
    ///
    /// # Errors
    /// `Missing` for an unknown template.
    pub async fn fallbacks(&self, workspace: WorkspaceId, id: &str) -> Result<FallbackReport, Error> {
        let found = self.definition(workspace, DefinitionKind::Template, id).await?;
        found.ok_or_else(|| Error::Missing(format!("There is no template '{id}'.")))?;
        let mut report = FallbackReport::default();
        let mut paths: BTreeMap<(String, String), FallbackCount> = BTreeMap::new();
        for row in self.store.template_messages(workspace, id, COUNTED_MAX).await? {
            let trace: Vec<Value> = serde_json::from_str(&row.trace).unwrap_or_default();
            let Some(step) = trace.iter().rev().find(|step| step["step"] == "fallbacks") else { continue };
            report.messages += 1;
            report.stood_in += i64::from(trace.iter().any(|step| step["step"] == "message_fallback"));
            for (kind, list) in [("missing", "missing"), ("default", "fallbacks")] {
                let names: BTreeSet<&str> =
                    step["data"][list].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                for name in names {
                    let count = paths.entry((name.to_owned(), kind.to_owned())).or_default();
                    (count.path, count.kind) = (name.to_owned(), kind.to_owned());
                    count.messages += 1;
                    if let (Some(journey), Some(node)) = (&row.journey, &row.node) {
                        *count.nodes.entry((journey.clone(), node.clone())).or_default() += 1;
                    }
                }
            }
        }
        report.paths = paths.into_values().collect();
        report.paths.sort_by(|a, b| b.messages.cmp(&a.messages).then_with(|| a.path.cmp(&b.path)));
        Ok(report)
    }
}

/// A template that cannot be compiled.
fn broken(problems: &[Problem]) -> TemplateCheck {
    let finding = |problem: &Problem| {
        let finding = Finding {
            code: "syntax".to_owned(),
            severity: Severity::Error,
            message: problem.message.clone(),
            part: problem.path.trim_start_matches('/').to_owned(),
            line: problem.line as usize,
            column: problem.column as usize,
            clients: Vec::new(),
        };
        (finding, None)
    };
    let sentence = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
    let mut checklist = vec![("compiles", COMPILES, Some(false), sentence)];
    for (code, title) in [
        ("fallbacks", FALLBACKS),
        ("greeting", GREETING),
        ("names", NAMES),
        ("types", TYPES),
        ("tests", TESTS),
    ] {
        checklist.push((code, title, None, "It has to be readable first.".to_owned()));
    }
    TemplateCheck {
        publishable: false,
        findings: problems.iter().map(finding).collect(),
        checklist,
        paths: Vec::new(),
        sample: None,
    }
}

const COMPILES: &str = "It can be read";
const FALLBACKS: &str = "Every value has something that stands in";
const GREETING: &str = "Nobody is greeted by an empty name";
const NAMES: &str = "Every name is known";
const TYPES: &str = "Values are used as what they are";
const TESTS: &str = "Its own tests pass";

fn judged(
    contract: &Contract,
    schema: &Schema,
    body: &Value,
    tests: &[template::scenario::Outcome],
) -> TemplateCheck {
    let mut findings: Vec<(Finding, Option<String>)> = Vec::new();
    let of = |code: &str| -> Vec<&Judged> {
        contract.findings.iter().filter(|each| each.finding.code == code).collect()
    };
    let about = |severity, code: &str, message: String| Finding {
        code: code.to_owned(),
        severity,
        message,
        part: "body".to_owned(),
        line: 0,
        column: 0,
        clients: Vec::new(),
    };
    for test in tests.iter().filter(|test| !test.faults.is_empty()) {
        let message = format!("The test '{}' fails: {}", test.name, test.faults.join(" "));
        findings.push((about(Severity::Error, "failing_test", message), None));
    }
    let given: BTreeSet<String> =
        template::scenario::of(body).iter().flat_map(|test| test.given_paths()).collect();
    for path in contract.unused(given.iter().map(String::as_str)) {
        let message = format!("A test gives '{path}', which the template never reads.");
        findings.push((about(Severity::Note, "unused_sample", message), None));
    }
    findings.extend(contract.findings.iter().map(|each| (each.finding.clone(), each.waived.clone())));
    let list = |code: &str, good: &str| {
        let (open, waived): (Vec<_>, Vec<_>) = of(code).into_iter().partition(|each| each.waived.is_none());
        let mut names: Vec<&str> = open.iter().map(|each| each.path.as_str()).collect();
        names.dedup();
        match (names.len(), waived.len()) {
            (0, 0) => (Some(true), good.to_owned()),
            (0, many) => (Some(true), format!("{many} borne with a reason.")),
            _ => (Some(false), format!("Look at {}.", names.join(", "))),
        }
    };
    let mut checklist =
        vec![("compiles", COMPILES, Some(true), "It has no fault of language or layout.".to_owned())];
    for (code, key, title, good) in [
        (
            "fallbacks",
            "missing_fallback",
            FALLBACKS,
            "Every value that may be missing has a default or a guard.",
        ),
        ("greeting", "greeting", GREETING, "No greeting would read \"Hi ,\"."),
        ("names", "unknown_name", NAMES, "All names are declared, or somebody has them."),
        ("types", "type_misuse", TYPES, "No value is compared or shown as something else."),
    ] {
        let (passed, sentence) = list(key, good);
        checklist.push((code, title, passed, sentence));
    }
    let failed = tests.iter().filter(|test| !test.faults.is_empty()).count();
    checklist.push(match tests.len() {
        0 => ("tests", TESTS, None, "It has no tests.".to_owned()),
        many if failed == 0 => ("tests", TESTS, Some(true), format!("{many} of {many} pass.")),
        many => ("tests", TESTS, Some(false), format!("{failed} of {many} fail.")),
    });
    TemplateCheck {
        publishable: contract.is_publishable() && failed == 0,
        findings,
        checklist,
        paths: contract.paths(schema),
        sample: None,
    }
}

/// The step of a decision trace that tells what was missing.
pub(crate) fn told(trace: &template::Trace, now: model::Timestamp) -> Value {
    let names = |list: &[template::Missing]| -> Vec<String> {
        let names: BTreeSet<&str> = list.iter().map(|each| each.name.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    };
    let (missing, stood_in) = (names(&trace.missing), names(&trace.fallbacks));
    let mut sentences = Vec::new();
    if !missing.is_empty() {
        sentences.push(format!("Without a value, and left empty: {}.", missing.join(", ")));
    }
    if !stood_in.is_empty() {
        sentences.push(format!("Without a value, and given their default: {}.", stood_in.join(", ")));
    }
    if sentences.is_empty() {
        sentences.push("Every name in the template had a value.".to_owned());
    }
    json!({
        "step": "fallbacks", "title": "Missing values", "at": now, "sentence": sentences.join(" "),
        "data": {"missing": missing, "fallbacks": stood_in},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_text_and_null_are_no_values_and_everything_else_is() {
        let mut map = json!({
            "a": "", "b": " \t", "c": null, "d": "x", "e": 0, "f": false, "g": [], "h": {"i": "", "j": 1}, "k": ["", null, "l"],
        })
        .as_object()
        .cloned()
        .unwrap_or_default();
        drop_blanks(&mut map);
        assert_eq!(
            Value::Object(map),
            json!({"d": "x", "e": 0, "f": false, "g": [], "h": {"j": 1}, "k": ["l"]})
        );
    }

    #[test]
    fn what_everybody_has_is_always_there_and_what_was_seen_says_of_how_many() {
        let mut registry = Registry::default();
        registry.settings.insert("name".to_owned(), json!("Shop"));
        registry.settings.insert("reply_to".to_owned(), json!(""));
        registry.types.insert("age".to_owned(), profile::AttributeType::ALL[1]);
        let seen = |name: &str, kind, count| Seen {
            name: name.to_owned(),
            kind,
            count,
            values: vec![],
            elements: vec![],
        };
        let mut products = seen("products", "list", 2);
        products.elements = vec![seen("sku", "text", 3)];
        let words = Words {
            attributes: Some(Arc::new(Sight { of: 4, names: vec![seen("city", "text", 3)], topics: vec![] })),
            events: vec![(
                "Order".to_owned(),
                Arc::new(Sight { of: 2, names: vec![products], topics: vec![] }),
            )],
        };
        let schema =
            schema(&registry, &words, &["Order".to_owned()], &[("name".to_owned(), Some("text"), true)]);
        let always: Vec<&str> =
            schema.paths.iter().filter(|(_, known)| known.always).map(|(path, _)| path.as_str()).collect();
        for path in ["customer.id", "links.unsubscribe", "workspace.name", "site.recommendations[][].name"] {
            assert!(always.contains(&path), "{path}");
        }
        for path in ["workspace.reply_to", "customer.city", "event.products[].sku", "customer.age"] {
            assert!(!always.contains(&path) && schema.paths.contains_key(path), "{path}");
        }
        assert_eq!(schema.paths["customer.city"].seen, Some((3, 4)));
        assert!(schema.paths["customer.age"].declared);
    }
}
