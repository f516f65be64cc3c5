//! Traits: named figures with the spread of their values, checks and previews.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::traits::{Bin, Distribution};
use flow::{DefinitionKind, Draft};
use model::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{At, Body};
use crate::problem::Finding;
use crate::profiles::{self, ProfileRow};
use crate::shape::{Listing, Time};
use crate::{App, Problem};

/// Profiles whose values a list spreads out; one trait alone asks all.
const LIST_PROFILES_MAX: usize = 10_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(preview))
        .routes(routes!(check))
        .routes(routes!(one, put, remove))
}

/// A trait in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraitRow {
    /// Its id, which is its name.
    pub id: String,
    /// What conditions and templates call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What its value is.
    pub figure: String,
    /// That in plain English.
    pub sentence: String,
    /// number, date, or empty when the property decides.
    #[serde(rename = "type")]
    pub kind: String,
    /// It ships with every workspace and is not defined otherwise.
    pub ships: bool,
    /// When it was last changed.
    pub updated_at: Option<Time>,
    /// How its values are spread over the profiles asked.
    pub spread: Spread,
}

/// A trait.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trait {
    /// The row.
    #[serde(flatten)]
    pub row: TraitRow,
    /// Its figure as a tree.
    pub json: Value,
    /// Segments and journeys whose conditions ask for it.
    pub used_by: Vec<TraitUse>,
    /// Its versions, newest first; none while it is what it ships as.
    pub versions: Vec<TraitVersion>,
}

/// Who asks for a trait.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraitUse {
    /// segment or journey.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A version of a trait.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraitVersion {
    /// From 1.
    pub version: i64,
    /// When it was written.
    pub at: Time,
    /// Who wrote it.
    pub author: String,
    /// Its figure.
    pub figure: String,
}

/// How values are spread over profiles.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spread {
    /// Profiles that have a value.
    pub count: usize,
    /// Profiles that have none.
    pub missing: usize,
    /// The lowest value.
    pub min: Option<Value>,
    /// The value in the middle.
    pub median: Option<Value>,
    /// The highest value.
    pub max: Option<Value>,
    /// Bars from the lowest value to the highest; of texts the most frequent ones.
    pub histogram: Vec<Bar>,
}

/// So many profiles from one value to another.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bar {
    /// The lowest.
    pub from: Value,
    /// The highest.
    pub to: Value,
    /// Profiles.
    pub count: usize,
}

/// What a trait is made from.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TraitDraft {
    /// Its name; small letters, digits and underscores.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What its value is.
    #[serde(default)]
    pub figure: String,
}

/// A figure.
#[derive(Debug, Deserialize, ToSchema)]
pub struct FigureRequest {
    /// Its text.
    #[serde(default)]
    pub figure: String,
}

/// The spread of a figure before it is a trait.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigurePreview {
    /// The spread.
    #[serde(flatten)]
    pub spread: Spread,
    /// Some profiles with their values, the highest first.
    pub sample: Vec<Sampled>,
    /// In plain English.
    pub sentence: String,
    /// number, date, or empty when the property decides.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A profile with its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sampled {
    /// Who.
    #[serde(flatten)]
    pub profile: ProfileRow,
    /// Its value.
    pub value: Value,
}

/// Whether a figure can be saved.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigureCheck {
    /// It can be saved.
    pub ok: bool,
    /// What must be corrected.
    pub errors: Vec<Finding>,
    /// In plain English.
    pub sentence: String,
    /// The tree.
    pub json: Value,
}

fn spread(found: &Distribution) -> Spread {
    let bar = |bin: &Bin| Bar { from: bin.from.clone(), to: bin.to.clone(), count: bin.count };
    Spread {
        count: found.count,
        missing: found.missing,
        min: found.min.clone(),
        median: found.median.clone(),
        max: found.max.clone(),
        histogram: found.bins.iter().map(bar).collect(),
    }
}

fn trait_row(name: &str, known: &flow::traits::TraitInForce, found: &Distribution) -> TraitRow {
    TraitRow {
        id: name.to_owned(),
        name: name.to_owned(),
        description: known.description.clone(),
        figure: known.figure.to_string(),
        sentence: expr::describe_figure(&known.figure),
        kind: known.figure.value_type().to_owned(),
        ships: known.version == 0,
        updated_at: known.at.map(Time::from),
        spread: spread(found),
    }
}

/// All traits with the spread of their values over the first 10,000 profiles.
#[utoipa::path(get, path = "/api/traits", tag = "traits", operation_id = "traits", responses((status = 200, body = Listing<TraitRow>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<TraitRow>>, Problem> {
    let found = app.platform.trait_distributions(ws.0, LIST_PROFILES_MAX).await?;
    let registry = app.platform.registry(ws.0);
    let none = Distribution::default();
    let rows = registry
        .traits
        .iter()
        .map(|(name, known)| trait_row(name, known, found.get(name).unwrap_or(&none)))
        .collect();
    Ok(Json(Listing::all(rows)))
}

async fn assemble(app: &App, ws: Ws, id: &str) -> Result<Trait, Problem> {
    let registry = app.platform.registry(ws.0);
    let known = registry.traits.get(id);
    let known = known.ok_or_else(|| Problem::missing(&format!("There is no trait '{id}'.")))?;
    let found = app.platform.trait_distributions(ws.0, usize::MAX).await?.remove(id).unwrap_or_default();
    let versions = app.platform.store.versions(ws.0, DefinitionKind::Trait.name(), id).await?;
    let version = |row: &store::DefinitionRow| {
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        TraitVersion {
            version: row.version,
            at: row.at.into(),
            author: row.author.clone(),
            figure: body["figure"].as_str().unwrap_or_default().to_owned(),
        }
    };
    let used = app.platform.trait_used_by(ws.0, id).into_iter();
    Ok(Trait {
        row: trait_row(id, known, &found),
        json: serde_json::from_str(&known.figure.to_json()).unwrap_or_default(),
        used_by: used.map(|(kind, id, name)| TraitUse { kind: kind.to_owned(), id, name }).collect(),
        versions: versions.iter().map(version).collect(),
    })
}

/// One trait with the spread of its values over all profiles, who asks for it, and its versions.
#[utoipa::path(get, path = "/api/traits/{id}", tag = "traits", operation_id = "trait", params(("id" = String, Path)), responses((status = 200, body = Trait)))]
async fn one(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<Json<Trait>, Problem> {
    Ok(Json(assemble(&app, ws, &id).await?))
}

async fn save(app: &App, ws: Ws, id: String, draft: TraitDraft) -> Result<Trait, Problem> {
    let body = json!({"figure": draft.figure, "description": draft.description});
    let name = if draft.name.is_empty() { id.clone() } else { draft.name };
    let draft = Draft { id: Some(id), name, body };
    let row = crate::fills::save(app, ws, DefinitionKind::Trait, draft).await?;
    assemble(app, ws, &row.id).await
}

/// Makes a trait, fills it from history and keeps it true from then on. 409 when there is one of this name.
#[utoipa::path(post, path = "/api/traits", tag = "traits", operation_id = "create_trait", request_body = TraitDraft, responses((status = 201, body = Trait)))]
async fn create(
    State(app): State<App>,
    ws: Ws,
    Body(draft): Body<TraitDraft>,
) -> Result<(StatusCode, Json<Trait>), Problem> {
    if app.platform.definition(ws.0, DefinitionKind::Trait, &draft.name).await?.is_some() {
        let text = format!(
            "There is a trait '{}' already: write a new version of it, or take another name.",
            draft.name
        );
        return Err(flow::Error::Conflict(text).into());
    }
    Ok((StatusCode::CREATED, Json(save(&app, ws, draft.name.clone(), draft).await?)))
}

/// Writes a new version of a trait and puts it in force. Its name stays.
#[utoipa::path(put, path = "/api/traits/{id}", tag = "traits", operation_id = "put_trait", params(("id" = String, Path)), request_body = TraitDraft, responses((status = 200, body = Trait)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At(id): At<String>,
    Body(draft): Body<TraitDraft>,
) -> Result<Json<Trait>, Problem> {
    Ok(Json(save(&app, ws, id, draft).await?))
}

/// Takes a trait out of force, unless a condition asks for it. A redefined `engagement_score` becomes what it ships as.
#[utoipa::path(delete, path = "/api/traits/{id}", tag = "traits", operation_id = "delete_trait", params(("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(State(app): State<App>, ws: Ws, At(id): At<String>) -> Result<StatusCode, Problem> {
    app.platform.delete_trait(ws.0, &id, "console").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a figure's values are spread over all history and all profiles.
#[utoipa::path(post, path = "/api/traits/preview", tag = "traits", operation_id = "preview_trait", request_body = FigureRequest, responses((status = 200, body = FigurePreview)))]
async fn preview(
    State(app): State<App>,
    ws: Ws,
    Body(ask): Body<FigureRequest>,
) -> Result<Json<FigurePreview>, Problem> {
    let found = app.platform.preview_figure(ws.0, &ask.figure).await?;
    let check = app.platform.check_figure(ws.0, &ask.figure);
    let ids: Vec<_> = found.sample.iter().map(|(id, _)| *id).collect();
    let rows = profiles::rows_of(&app.platform, ws.0, &ids).await?;
    let value = |row: &ProfileRow| {
        found.sample.iter().find(|(id, _)| id.0 == row.person.id).map(|(_, value)| value.clone())
    };
    let sample = rows.into_iter().filter_map(|row| value(&row).map(|value| Sampled { profile: row, value }));
    Ok(Json(FigurePreview {
        spread: spread(&found),
        sample: sample.collect(),
        sentence: check.sentence,
        kind: check.value_type.to_owned(),
    }))
}

/// Checks a figure's text while somebody types.
#[utoipa::path(post, path = "/api/traits/check", tag = "traits", operation_id = "check_trait", request_body = FigureRequest, responses((status = 200, body = FigureCheck)))]
async fn check(State(app): State<App>, ws: Ws, Body(ask): Body<FigureRequest>) -> Json<FigureCheck> {
    let check = app.platform.check_figure(ws.0, &ask.figure);
    Json(FigureCheck {
        ok: check.ok,
        errors: check.errors.into_iter().map(Finding::from).collect(),
        sentence: check.sentence,
        json: check.json,
    })
}
