//! Conditions for whoever edits them: as text or as a tree, completed and explained while somebody types.

use axum::Json;
use axum::extract::State;
use flow::Platform;
use model::{Value, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Body;
use crate::problem::Finding;
use crate::shape::given;
use crate::{App, Problem, vocabulary};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(complete))
        .routes(routes!(hint))
        .routes(routes!(check))
        .routes(routes!(statement))
}

/// A condition as people type it, or as its tree.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Where {
    /// Text.
    Text(String),
    /// The tree.
    Tree(Value),
}

impl Default for Where {
    fn default() -> Where {
        Where::Text(String::new())
    }
}

impl PartialSchema for Where {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::String).description(Some("The text.")))
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::Object)
                    .description(Some("The tree; see docs/conditions.md.")),
            )
            .description(Some("A condition: its text, or its tree."))
            .into()
    }
}

impl ToSchema for Where {}

impl Where {
    /// Its text. A tree that cannot be read is refused with the place of each fault.
    pub(crate) fn text(self, platform: &Platform, workspace: WorkspaceId) -> Result<String, Problem> {
        match self {
            Where::Text(text) => Ok(text),
            Where::Tree(tree) => {
                let (text, check) = platform.check_tree(workspace, &tree);
                if text.is_empty() {
                    let detail = check.errors.first().map(|error| error.message.clone()).unwrap_or_default();
                    let (code, problems) = ("invalid_condition", check.errors);
                    return Err(flow::Error::Invalid { code, detail, problems }.into());
                }
                Ok(text)
            }
        }
    }
}

/// A condition.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the name in JSON")]
pub struct Condition {
    /// Its text or its tree.
    #[serde(rename = "where", default)]
    pub condition: Where,
    /// A query instead; checked and previewed only.
    pub sql: Option<String>,
    /// The query's schedule.
    pub schedule: Option<String>,
    /// The schedule's time zone.
    pub timezone: Option<String>,
}

/// Whether a condition can be saved.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// It can be saved.
    pub ok: bool,
    /// What must be corrected. Of a text with line and column, of a tree with a path such as `/where/all/1`.
    pub errors: Vec<Finding>,
    /// What deserves a look.
    pub warnings: Vec<Finding>,
    /// In plain English.
    pub sentence: String,
    /// Its text: as it was given, or as the tree reads; empty when a tree cannot be read.
    pub text: String,
    /// The tree; null when the text cannot be read.
    pub json: Value,
}

/// Checks a condition while somebody edits it, and turns text into a tree and a tree into text.
#[utoipa::path(post, path = "/api/segments/check", tag = "segments", operation_id = "check_segment", request_body = Condition, responses((status = 200, body = Check)))]
async fn check(State(app): State<App>, ws: Ws, Body(ask): Body<Condition>) -> Result<Json<Check>, Problem> {
    let (text, check) = match (given(&ask.sql), ask.condition) {
        (Some(sql), _) => {
            let body = json!({"sql": sql, "schedule": ask.schedule, "timezone": ask.timezone});
            (String::new(), app.platform.check_sql(ws.0, &body).await?)
        }
        (None, Where::Text(text)) => {
            let check = app.platform.check(ws.0, &text);
            (text, check)
        }
        (None, Where::Tree(tree)) => app.platform.check_tree(ws.0, &tree),
    };
    Ok(Json(Check {
        ok: check.ok,
        errors: check.errors.into_iter().map(Finding::from).collect(),
        warnings: check.warnings.into_iter().map(Finding::from).collect(),
        sentence: check.sentence,
        text,
        json: check.json,
    }))
}

/// A text and a place in it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Cursor {
    /// The text.
    pub text: String,
    /// The place. Units: bytes.
    pub offset: usize,
}

/// What can stand at a place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completions {
    /// At most 50.
    pub items: Vec<Completion>,
}

/// Something that can stand at a place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completion {
    /// What a list shows.
    pub label: String,
    /// What replaces the text from `from` to the place.
    pub insert: String,
    /// Where the replaced text begins. Units: bytes.
    pub from: usize,
    /// word, form, attribute, property, event or segment.
    pub kind: String,
    /// One line about it; may be empty.
    pub detail: String,
}

/// What can stand at a place of a condition's text.
#[utoipa::path(post, path = "/api/conditions/complete", tag = "segments", operation_id = "complete_condition", request_body = Cursor, responses((status = 200, body = Completions)))]
async fn complete(
    State(app): State<App>,
    ws: Ws,
    Body(at): Body<Cursor>,
) -> Result<Json<Completions>, Problem> {
    let schema = vocabulary::schema(&app, ws.0, &at.text).await?;
    let found = expr::complete(&at.text, at.offset, &schema).into_iter();
    let items = found.map(|each| Completion {
        label: each.label,
        insert: each.insert,
        from: each.from,
        kind: each.kind,
        detail: each.detail,
    });
    Ok(Json(Completions { items: items.collect() }))
}

/// What is known of the word at a place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hint {
    /// Where the word begins. Units: bytes.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// How its form is written.
    pub syntax: String,
    /// What one should know of it.
    pub note: String,
    /// An example.
    pub example: String,
    /// The example in plain English.
    pub sentence: String,
}

/// What is known of a word of the language; nothing for any other.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hinted {
    /// The hint.
    pub hint: Option<Hint>,
}

/// What is known of the word at a place of a condition's text.
#[utoipa::path(post, path = "/api/conditions/hint", tag = "segments", operation_id = "hint_condition", request_body = Cursor, responses((status = 200, body = Hinted)))]
async fn hint(_: Ws, Body(at): Body<Cursor>) -> Json<Hinted> {
    let hint = expr::hint(&at.text, at.offset).map(|each| Hint {
        from: each.from,
        to: each.to,
        syntax: each.syntax,
        note: each.note,
        example: each.example,
        sentence: each.sentence,
    });
    Json(Hinted { hint })
}

/// A condition's statement.
#[derive(Debug, Serialize, ToSchema)]
pub struct Statement {
    /// One SELECT with one column, `profile_id`; as of the instant of the answer.
    pub sql: String,
}

/// A condition as SQL over `events` and `profiles`, as of now.
#[utoipa::path(post, path = "/api/conditions/sql", tag = "segments", operation_id = "condition_sql", request_body = Condition, responses((status = 200, body = Statement)))]
async fn statement(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<Condition>,
) -> Result<Json<Statement>, Problem> {
    let text = ask.condition.text(&app.platform, ws.0)?;
    Ok(Json(Statement { sql: app.platform.statement(ws.0, &text).await? }))
}
