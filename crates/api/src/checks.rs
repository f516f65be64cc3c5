//! Templates before anybody gets them: what a check finds, how they look for many people, what they may read, and how often
//! something had to stand in.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use flow::{DefinitionKind, RenderRequest, TemplateCheck, Words};
use model::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use template::contract::PathKind;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::templates::{self, TemplateDraft};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(check))
        .routes(routes!(people))
        .routes(routes!(template_vocabulary))
        .routes(routes!(fallbacks))
}

/// What is kept beside a template's text.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct TemplateCare {
    /// Missing values that are borne, with reasons.
    pub waivers: Option<Vec<TemplateWaiver>>,
    /// Tests that are run before it is published. Shape: docs/template-tests.md.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tests: Option<Vec<Value>>,
    /// What stands in when this template cannot be rendered for somebody: another template's id, or
    /// `{"subject", "format", "body", "text"}`.
    #[schema(value_type = Option<Value>)]
    pub fallback: Option<Value>,
}

/// A missing value that somebody has decided to bear.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplateWaiver {
    /// The path; one that ends with `*` covers all that begin so.
    pub path: String,
    /// Why; without a reason it covers nothing.
    pub reason: String,
}

const KEPT: [&str; 3] = ["waivers", "tests", "fallback"];

impl TemplateCare {
    pub(crate) fn of(body: &Value) -> TemplateCare {
        serde_json::from_value(json!({
            "waivers": body["waivers"], "tests": body["tests"], "fallback": body["fallback"],
        }))
        .unwrap_or_default()
    }

    pub(crate) fn put(&self, body: &mut Value) {
        let (waivers, tests) = (json!(self.waivers), json!(self.tests));
        let fallback = self.fallback.clone().unwrap_or_default();
        for (name, value) in KEPT.iter().zip([waivers, tests, fallback]) {
            if !value.is_null() {
                body[*name] = value;
            }
        }
    }
}

/// Takes over from the version in force what a draft does not speak of.
pub(crate) async fn keep(app: &App, ws: Ws, id: &str, body: &mut Value) -> Result<(), Problem> {
    let Some(row) = app.platform.definition(ws.0, DefinitionKind::Template, id).await? else { return Ok(()) };
    let former: Value = serde_json::from_str(&row.body).unwrap_or_default();
    for name in KEPT {
        if body[name].is_null() && !former[name].is_null() {
            body[name] = former[name].clone();
        }
    }
    Ok(())
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateFinding {
    /// A stable code for programs.
    pub code: String,
    /// error, warning or note.
    pub severity: String,
    /// What is wrong and what to do.
    pub message: String,
    /// subject, preheader, body or text; or the name of a partial.
    pub part: String,
    /// Line from 1; 0 when it is about the whole.
    pub line: i64,
    /// Column from 1; 0 when it is about the whole.
    pub column: i64,
    /// The mail programs concerned; empty for all.
    pub clients: Vec<String>,
    /// Why it is borne; null when it is not.
    pub waived: Option<String>,
}

fn finding((found, waived): (template::Finding, Option<String>)) -> TemplateFinding {
    let severity = match found.severity {
        template::Severity::Error => "error",
        template::Severity::Warning => "warning",
        template::Severity::Note => "note",
    };
    TemplateFinding {
        code: found.code,
        severity: severity.to_owned(),
        message: found.message,
        part: found.part,
        line: found.line as i64,
        column: found.column as i64,
        clients: found.clients,
        waived,
    }
}

/// A name and the place where it led to nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraceEntry {
    /// The path as written.
    pub name: String,
    /// subject, preheader, body or text; or the name of a partial.
    pub part: String,
    /// Line from 1.
    pub line: i64,
    /// Column from 1.
    pub column: i64,
}

impl TraceEntry {
    pub(crate) fn of(found: &template::Missing) -> TraceEntry {
        TraceEntry {
            name: found.name.clone(),
            part: found.place.file.clone(),
            line: found.place.line as i64,
            column: found.place.column as i64,
        }
    }
}

/// What is known of names, from a moment ago.
async fn words(app: &App, ws: Ws, id: Option<&str>) -> Result<Words, Problem> {
    let mut words = Words { attributes: Some(app.sights.of(app, ws.0, "").await?), events: Vec::new() };
    for event in app.platform.template_events(ws.0, id) {
        let sight = app.sights.of(app, ws.0, &event).await?;
        words.events.push((event, sight));
    }
    Ok(words)
}

async fn judged(app: &App, ws: Ws, draft: &TemplateDraft) -> Result<TemplateCheck, Problem> {
    let words = words(app, ws, draft.id.as_deref()).await?;
    let mut body = templates::body(draft);
    if let Some(id) = &draft.id {
        keep(app, ws, id, &mut body).await?;
    }
    Ok(app.platform.judge_template(ws.0, draft.id.as_deref(), &body, &words).await?)
}

/// What a check finds in a saved template, or in one as it is being written.
pub(crate) async fn findings(
    app: &App,
    ws: Ws,
    saved: Option<&str>,
    draft: &TemplateDraft,
) -> Result<Vec<TemplateFinding>, Problem> {
    let check = match saved {
        None => judged(app, ws, draft).await?,
        Some(id) => {
            let row = app.platform.definition(ws.0, DefinitionKind::Template, id).await?;
            let Some(row) = row else { return Ok(Vec::new()) };
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            let words = words(app, ws, Some(id)).await?;
            app.platform.judge_template(ws.0, Some(id), &body, &words).await?
        }
    };
    Ok(check.findings.into_iter().map(finding).collect())
}

/// A template, judged.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateJudgement {
    /// Nothing keeps it from being published.
    pub publishable: bool,
    /// What was found.
    pub findings: Vec<TemplateFinding>,
    /// The debugging checklist, filled in.
    pub checklist: Vec<ChecklistItem>,
    /// Every path it may read.
    pub paths: Vec<TemplatePath>,
    /// Bytes of the HTML for somebody who has everything; 0 when it cannot be rendered.
    pub html_bytes: i64,
    /// Bytes above which mail programs cut.
    pub clip_bytes: i64,
}

/// A question of the debugging checklist.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChecklistItem {
    /// A stable code for programs.
    pub code: String,
    /// What is asked for.
    pub title: String,
    /// passed, failed or `not_applicable`.
    pub state: String,
    /// The answer.
    pub sentence: String,
}

/// A path of a template.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplatePath {
    /// The path, `[]` for elements of lists.
    pub path: String,
    /// attribute, trait, event, catalog, feed, setting, link or unknown.
    pub kind: String,
    /// text, number, bool, date or list.
    pub value_type: Option<String>,
    /// What stands in where it is least guarded: default, if, always or none.
    pub guard: String,
    /// Where it is used.
    pub places: Vec<TemplatePlace>,
}

/// A place in a template.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplatePlace {
    /// subject, preheader, body or text; or the name of a partial.
    pub part: String,
    /// Line from 1.
    pub line: i64,
    /// Column from 1.
    pub column: i64,
}

/// Judges a template as it is being written: what keeps it from being published, what deserves a look, what it reads.
#[utoipa::path(post, path = "/api/templates/check", tag = "templates", operation_id = "check_template", request_body = TemplateDraft, responses((status = 200, body = TemplateJudgement)))]
async fn check(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<TemplateDraft>,
) -> Result<Json<TemplateJudgement>, Problem> {
    let found = judged(&app, ws, &draft).await?;
    let place = |spot: template::contract::Spot| TemplatePlace {
        part: spot.part,
        line: spot.line as i64,
        column: spot.column as i64,
    };
    let path = |each: template::contract::PathUse| TemplatePath {
        path: each.path,
        kind: each.kind.name().to_owned(),
        value_type: each.value_type,
        guard: each.guard.name().to_owned(),
        places: each.places.into_iter().map(place).collect(),
    };
    let item = |(code, title, passed, sentence): (&str, &str, Option<bool>, String)| ChecklistItem {
        code: code.to_owned(),
        title: title.to_owned(),
        state: match passed {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "not_applicable",
        }
        .to_owned(),
        sentence,
    };
    Ok(Json(TemplateJudgement {
        publishable: found.publishable,
        findings: found.findings.into_iter().map(finding).collect(),
        checklist: found.checklist.into_iter().map(item).collect(),
        paths: found.paths.into_iter().map(path).collect(),
        html_bytes: found.sample.map_or(0, |mail| mail.html.len() as i64),
        clip_bytes: mail::HTML_BYTES_MAX as i64,
    }))
}

/// A template for people who differ in what they get.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeopleMatrix {
    /// Real ones first, the most telling first; then made ones.
    pub people: Vec<PersonMail>,
}

/// A template as one person gets it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonMail {
    /// What to call them.
    pub name: String,
    /// profile or made.
    pub kind: String,
    /// The profile.
    pub profile: Option<i64>,
    /// The position of the first one who gets the very same.
    pub same_as: Option<i64>,
    /// The subject.
    pub subject: String,
    /// What mail programs show beside it.
    pub preheader: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
    /// Names that led to nothing.
    pub missing: Vec<String>,
    /// Why there is no mail.
    pub error: Option<String>,
}

/// Renders a template for real people who together take every way through it that anybody takes, and for made ones who have
/// nothing, too much, or what breaks mails. Links lead nowhere, nothing is counted.
#[utoipa::path(post, path = "/api/templates/people", tag = "templates", operation_id = "template_people", request_body = TemplateDraft, responses((status = 200, body = PeopleMatrix)))]
async fn people(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<TemplateDraft>,
) -> Result<Json<PeopleMatrix>, Problem> {
    let words = words(&app, ws, draft.id.as_deref()).await?;
    let request = RenderRequest { body: templates::body(&draft), ..RenderRequest::default() };
    let found = app.platform.people_matrix(ws.0, draft.id.as_deref(), &request, &words).await?;
    let mail = |person: flow::PersonView| {
        let mail = person.mail;
        let part =
            |of: fn(&template::Rendered) -> &String| mail.as_ref().map(of).cloned().unwrap_or_default();
        PersonMail {
            name: person.name,
            kind: if person.profile.is_some() { "profile" } else { "made" }.to_owned(),
            profile: person.profile.map(|id| id.0),
            same_as: person.same_as.map(|n| n as i64),
            subject: part(|mail| &mail.subject),
            preheader: part(|mail| &mail.preheader),
            html: part(|mail| &mail.html),
            text: part(|mail| &mail.text),
            missing: mail.iter().flat_map(|mail| &mail.trace.missing).map(|each| each.name.clone()).collect(),
            error: person.error,
        }
    };
    Ok(Json(PeopleMatrix { people: found.into_iter().map(mail).collect() }))
}

/// What templates may say.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateVocabulary {
    /// The paths.
    pub variables: Vec<TemplateVariable>,
}

/// A path that templates may read.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateVariable {
    /// The path, `[]` for elements of lists.
    pub path: String,
    /// text, number, bool, date or list.
    pub value_type: Option<String>,
    /// attribute, trait, event, catalog, feed, setting or link.
    pub kind: String,
    /// What it is, and who has it.
    pub description: String,
    /// Values it had.
    pub examples: Vec<String>,
}

fn examples(seen: &[flow::Seen], whole: &str, out: &mut BTreeMap<String, Vec<String>>) {
    for each in seen {
        let path = format!("{whole}.{}", each.name);
        let shown =
            |(value, _): &(Value, usize)| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.insert(path.clone(), each.values.iter().take(5).map(shown).collect());
        examples(&each.elements, &format!("{path}[]"), out);
    }
}

fn description(kind: PathKind, known: &template::contract::Known) -> String {
    let what = match kind {
        PathKind::Attribute => "An attribute of the person",
        PathKind::Trait => "A trait of the person",
        PathKind::Event => "A property of the event that began the journey",
        PathKind::Catalog => "A field of recommended items",
        PathKind::Feed => "A feed's answer",
        PathKind::Setting => "A setting of the workspace or a fact of the message",
        PathKind::Link => "A link of every mail",
        PathKind::Unknown => "A name",
    };
    match (known.always, known.seen) {
        (true, _) => format!("{what}; it is never missing."),
        (false, Some((have, of))) => format!("{what}; {have} of {of} that were looked at have it."),
        (false, None) => format!("{what}; it may be missing."),
    }
}

/// Which template.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichTemplate {
    /// The template whose journeys' events count; of none, without.
    pub template: Option<String>,
}

/// The paths that a template may read, with types, coverage and values they had. May be a minute old.
#[utoipa::path(get, path = "/api/templates/vocabulary", tag = "templates", operation_id = "template_vocabulary", params(WhichTemplate), responses((status = 200, body = TemplateVocabulary)))]
async fn template_vocabulary(
    State(app): State<App>,
    ws: Ws,
    Ask(which): Ask<WhichTemplate>,
) -> Result<Json<TemplateVocabulary>, Problem> {
    let words = words(&app, ws, which.template.as_deref()).await?;
    let schema = app.platform.template_schema(ws.0, which.template.as_deref(), &words).await?;
    let mut shown = BTreeMap::new();
    if let Some(sight) = &words.attributes {
        examples(&sight.names, "customer", &mut shown);
    }
    for (_, sight) in &words.events {
        examples(&sight.names, "event", &mut shown);
    }
    let variable = |(path, known): (&String, &template::contract::Known)| TemplateVariable {
        path: path.clone(),
        value_type: known.value_type.map(str::to_owned),
        kind: known.kind.name().to_owned(),
        description: description(known.kind, known),
        examples: shown.get(path).cloned().unwrap_or_default(),
    };
    // What is only the whole of something prints nothing of use.
    let known = schema.paths.iter().filter(|(_, known)| known.value_type.is_some());
    Ok(Json(TemplateVocabulary { variables: known.map(variable).collect() }))
}

/// What was missing in a template's latest messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateFallbacks {
    /// Messages that were looked at, the latest, at most 2,000.
    pub messages: i64,
    /// Those composed from what stands in for the template.
    pub stood_in: i64,
    /// Paths, the most frequent first.
    pub paths: Vec<FallbackRow>,
}

/// How often a path led to nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct FallbackRow {
    /// The path as written.
    pub path: String,
    /// default when something stood in, missing when nothing did.
    pub kind: String,
    /// In how many of the messages.
    pub messages: i64,
    /// The same by journey and node.
    pub nodes: Vec<FallbackNode>,
}

/// A node whose messages had a path that led to nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct FallbackNode {
    /// The journey.
    pub journey: String,
    /// Its node.
    pub node: String,
    /// In how many of its messages.
    pub messages: i64,
}

/// How often something stood in for a missing value, or nothing did, in a template's latest messages.
#[utoipa::path(get, path = "/api/templates/{id}/fallbacks", tag = "templates", operation_id = "template_fallbacks", params(("id" = String, Path)), responses((status = 200, body = TemplateFallbacks)))]
async fn fallbacks(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
) -> Result<Json<TemplateFallbacks>, Problem> {
    let report = app.platform.fallbacks(ws.0, &id).await?;
    let node =
        |((journey, node), messages): ((String, String), i64)| FallbackNode { journey, node, messages };
    let row = |each: flow::FallbackCount| FallbackRow {
        path: each.path,
        kind: each.kind,
        messages: each.messages,
        nodes: each.nodes.into_iter().map(node).collect(),
    };
    Ok(Json(TemplateFallbacks {
        messages: report.messages,
        stood_in: report.stood_in,
        paths: report.paths.into_iter().map(row).collect(),
    }))
}
