//! Templates: definitions with their versions, and a look at what they render to.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::{DefinitionKind, Draft, RenderRequest};
use model::{ProfileId, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::DefinitionRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::checks::{self, TemplateCare, TemplateFinding, TraceEntry};
use crate::extract::{At, Body};
use crate::shape::{Listing, Time};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(render))
        .routes(routes!(one, put, remove))
        .routes(routes!(versions))
}

/// A template.
#[derive(Debug, Serialize, ToSchema)]
pub struct Template {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// When this version was written.
    pub updated_at: Time,
    /// Who wrote it.
    pub author: String,
    /// The language: liquid or handlebars.
    pub engine: String,
    /// mjml or html.
    pub format: String,
    /// The subject.
    pub subject: String,
    /// What mail programs show beside the subject.
    pub preheader: String,
    /// The document.
    pub body: String,
    /// The text part; made from the HTML when null.
    pub text: Option<String>,
    /// Its waivers, tests and what stands in for it.
    #[serde(flatten)]
    pub care: TemplateCare,
}

/// What a template is made from.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TemplateDraft {
    /// Its id; made from the name when absent.
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The language: liquid or handlebars; liquid otherwise.
    pub engine: Option<String>,
    /// mjml or html; html otherwise.
    pub format: Option<String>,
    /// The subject.
    #[serde(default)]
    pub subject: String,
    /// What mail programs show beside the subject.
    #[serde(default)]
    pub preheader: String,
    /// The document.
    #[serde(default)]
    pub body: String,
    /// The text part; made from the HTML when absent.
    pub text: Option<String>,
    /// Its waivers, tests and what stands in for it; what is absent stays as it is.
    #[serde(flatten)]
    pub care: TemplateCare,
}

fn template(row: &DefinitionRow) -> Template {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Template {
        id: row.id.clone(),
        name: row.name.clone(),
        version: row.version,
        updated_at: row.at.into(),
        author: row.author.clone(),
        engine: text("engine").unwrap_or_else(|| "liquid".to_owned()),
        format: text("format").unwrap_or_else(|| "html".to_owned()),
        subject: text("subject").unwrap_or_default(),
        preheader: text("preheader").unwrap_or_default(),
        body: text("body").unwrap_or_default(),
        text: text("text"),
        care: TemplateCare::of(&body),
    }
}

pub(crate) fn body(draft: &TemplateDraft) -> Value {
    let mut body = json!({
        "engine": draft.engine.as_deref().unwrap_or("liquid"), "format": draft.format.as_deref().unwrap_or("html"),
        "subject": draft.subject,
        "preheader": draft.preheader, "body": draft.body, "text": draft.text,
    });
    draft.care.put(&mut body);
    body
}

/// All templates.
#[utoipa::path(get, path = "/api/templates", tag = "templates", operation_id = "templates", responses((status = 200, body = Listing<Template>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<Template>>, Problem> {
    let rows = app.platform.store.definitions(ws.0, "template").await?;
    Ok(Json(Listing::all(rows.iter().map(template).collect())))
}

/// One template.
#[utoipa::path(get, path = "/api/templates/{id}", tag = "templates", operation_id = "template", params(("id" = String, Path)), responses((status = 200, body = Template)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Template>, Problem> {
    let row = app.platform.definition(ws.0, DefinitionKind::Template, &id).await?;
    let row = row.ok_or_else(|| Problem::missing(&format!("There is no template '{id}'.")))?;
    Ok(Json(template(&row)))
}

/// The versions of a template, newest first.
#[utoipa::path(get, path = "/api/templates/{id}/versions", tag = "templates", operation_id = "template_versions", params(("id" = String, Path)), responses((status = 200, body = Listing<Template>)))]
async fn versions(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
) -> Result<Json<Listing<Template>>, Problem> {
    let rows = app.platform.store.versions(ws.0, DefinitionKind::Template.name(), &id).await?;
    if rows.is_empty() {
        return Err(Problem::missing(&format!("There is no template '{id}'.")));
    }
    Ok(Json(Listing::all(rows.iter().map(template).collect())))
}

async fn save(app: &App, ws: Ws, id: Option<String>, draft: TemplateDraft) -> Result<Template, Problem> {
    let mut body = body(&draft);
    if let Some(id) = id.as_ref().or(draft.id.as_ref()) {
        checks::keep(app, ws, id, &mut body).await?;
    }
    let draft = Draft { id: id.or(draft.id), name: draft.name, body };
    let row = app.platform.save_definition(ws.0, DefinitionKind::Template, draft, "api").await?;
    Ok(template(&row))
}

/// Makes a template, or a new version of it.
#[utoipa::path(post, path = "/api/templates", tag = "templates", operation_id = "create_template", request_body = TemplateDraft, responses((status = 201, body = Template)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<TemplateDraft>,
) -> Result<(StatusCode, Json<Template>), Problem> {
    Ok((StatusCode::CREATED, Json(save(&app, ws, None, draft).await?)))
}

/// Writes a new version of a template.
#[utoipa::path(put, path = "/api/templates/{id}", tag = "templates", operation_id = "put_template", params(("id" = String, Path)), request_body = TemplateDraft, responses((status = 200, body = Template)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<TemplateDraft>,
) -> Result<Json<Template>, Problem> {
    Ok(Json(save(&app, ws, Some(id), draft).await?))
}

/// Takes a template out of force. Refused while a journey sends it.
#[utoipa::path(delete, path = "/api/templates/{id}", tag = "templates", operation_id = "delete_template", params(("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    let registry = app.platform.registry(ws.0);
    let mut journeys = registry.journeys.iter();
    let user = journeys.find(|(_, journey)| journey.compiled.templates().any(|(_, template)| template == id));
    if let Some((journey, _)) = user {
        let detail = format!("The journey '{journey}' sends this template: change the journey first.");
        return Err(Problem::conflict("in_use", &detail));
    }
    let stands_in = |instead: &flow::Instead| matches!(instead, flow::Instead::Of(other) if *other == id);
    if let Some((template, _)) = registry.instead.iter().find(|(_, instead)| stands_in(instead)) {
        let detail = format!("It stands in for the template '{template}': change that one first.");
        return Err(Problem::conflict("in_use", &detail));
    }
    app.platform.delete_definition(ws.0, DefinitionKind::Template, &id, "api").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A template to be looked at: a saved one, or one as it is being written.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RenderAsk {
    /// A saved template's id; subject and body are taken from here otherwise.
    pub template: Option<String>,
    /// For whom.
    pub profile: Option<i64>,
    /// What the template may use besides.
    #[serde(default)]
    pub data: Value,
    /// The language: liquid or handlebars; liquid otherwise.
    pub engine: Option<String>,
    /// mjml or html; html otherwise.
    pub format: Option<String>,
    /// The subject.
    #[serde(default)]
    pub subject: String,
    /// What mail programs show beside the subject.
    #[serde(default)]
    pub preheader: String,
    /// The document.
    #[serde(default)]
    pub body: String,
    /// The text part; made from the HTML when absent.
    pub text: Option<String>,
}

/// A template rendered. Links lead nowhere, nothing is counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rendered {
    /// The subject.
    pub subject: String,
    /// What mail programs show beside it.
    pub preheader: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
    /// What was changed for safety.
    pub warnings: Vec<String>,
    /// What was missing, what stood in, what could not be used.
    pub trace: RenderTrace,
    /// What a check of it finds.
    pub findings: Vec<TemplateFinding>,
}

/// What a render met on its way.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RenderTrace {
    /// Names that led to nothing and printed nothing.
    pub missing: Vec<TraceEntry>,
    /// Names that led to nothing, and a default stood in.
    pub fallbacks: Vec<TraceEntry>,
    /// Values that could not be used as written.
    pub errors: Vec<String>,
}

/// Renders a template as a preview.
#[utoipa::path(post, path = "/api/templates/render", tag = "templates", operation_id = "render_template", request_body = RenderAsk, responses((status = 200, body = Rendered)))]
async fn render(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<RenderAsk>,
) -> Result<Json<Rendered>, Problem> {
    let draft = TemplateDraft {
        id: None,
        name: String::new(),
        engine: ask.engine,
        format: ask.format,
        subject: ask.subject,
        preheader: ask.preheader,
        body: ask.body,
        text: ask.text,
        care: TemplateCare::default(),
    };
    let findings = checks::findings(&app, ws, ask.template.as_deref(), &draft).await?;
    let request = RenderRequest {
        template: ask.template,
        profile: ask.profile.map(ProfileId),
        data: ask.data,
        body: body(&draft),
    };
    let rendered = app.platform.render(ws.0, request).await?;
    Ok(Json(Rendered {
        subject: rendered.subject,
        preheader: rendered.preheader,
        html: rendered.html,
        text: rendered.text,
        warnings: rendered.warnings,
        trace: RenderTrace {
            missing: rendered.trace.missing.iter().map(TraceEntry::of).collect(),
            fallbacks: rendered.trace.fallbacks.iter().map(TraceEntry::of).collect(),
            errors: rendered.trace.errors,
        },
        findings,
    }))
}
