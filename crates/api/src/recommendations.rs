//! Recommendations: what a profile would get and why, and how good they are.

use axum::Json;
use axum::extract::State;
use flow::Wish;
use flow::quality::Quality;
use model::{ProfileId, Value};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Ask;
use crate::shape::Time;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(recommendations)).routes(routes!(quality))
}

/// For whom, how many, and of what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ForWhom {
    /// The profile.
    pub profile: i64,
    /// How many, 1 to 50; 5 otherwise.
    pub limit: Option<i64>,
    /// Of this category alone.
    pub category: Option<String>,
    /// With this tag alone.
    pub tag: Option<String>,
    /// Of this collection alone.
    pub collection: Option<String>,
    /// At least so dear.
    pub price_min: Option<f64>,
    /// At most so dear.
    pub price_max: Option<f64>,
    /// Never these ids, separated by commas.
    pub exclude: Option<String>,
    /// At most so many of one category; 2 otherwise.
    pub per_category: Option<u32>,
    /// Also what was bought before.
    #[serde(default)]
    pub repeat: bool,
    /// With what each signal said, the candidates behind, and what was kept back.
    #[serde(default)]
    pub explain: bool,
}

/// Items to offer somebody, best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recommendations {
    /// Items of the catalogue, each with the `reason` it is offered for.
    pub items: Vec<Value>,
    /// Where asked for: `items` with their signals, `candidates` behind them, how many each filter kept back
    /// (`filtered`), and the `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Value>,
}

/// Items of the catalogue to offer a profile.
#[utoipa::path(get, path = "/api/recommendations", tag = "profiles", params(ForWhom), responses((status = 200, body = Recommendations)))]
async fn recommendations(
    State(app): State<App>,
    ws: Ws,
    Ask(ask): Ask<ForWhom>,
) -> Result<Json<Recommendations>, Problem> {
    let (row, _) = app.platform.hot(ws.0, ProfileId(ask.profile)).await?;
    let exclude = ask.exclude.unwrap_or_default();
    let wish = Wish {
        limit: ask.limit.unwrap_or(5).clamp(1, 50) as usize,
        category: ask.category.filter(|text| !text.is_empty()),
        tag: ask.tag.filter(|text| !text.is_empty()),
        collection: ask.collection.filter(|text| !text.is_empty()),
        price_min: ask.price_min,
        price_max: ask.price_max,
        exclude: exclude.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        per_category_max: ask.per_category.map(|many| many as usize),
        repeat: ask.repeat,
        shown_mails: None,
    };
    let offer = app.platform.recommend(ws.0, row.id, &wish).await?;
    let explanation = offer.trace.filter(|_| ask.explain).map(|trace| trace["data"].clone());
    Ok(Json(Recommendations { items: offer.items, explanation }))
}

/// One ranker's figures for one kind of question.
#[derive(Debug, Serialize, ToSchema)]
pub struct RankerFigures {
    /// What was asked for: `any item` or `new item`.
    pub asked: String,
    /// rapport, popularity or item-kNN.
    pub ranker: String,
    /// Profiles that were asked.
    pub cases: u64,
    /// Share with something that came among the first five.
    pub hit_rate_5: f64,
    /// Normalised discounted gain of the first five.
    pub ndcg_5: f64,
    /// Mean of one over the place of the first that came, among the first twenty.
    pub mrr_20: f64,
    /// Share of all items that anybody was offered among the first twenty.
    pub coverage: f64,
}

/// How good the workspace's recommendations would have been lately.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecommendationQuality {
    /// When it was judged; at most every 15 minutes.
    pub judged_at: Time,
    /// What came before was trained on, what came then was asked for; null when there is too little of it.
    pub split_at: Option<Time>,
    /// Interactions trained on.
    pub trained_on: u64,
    /// Items of the catalogue.
    pub items: u64,
    /// Each ranker and kind of question.
    pub rows: Vec<RankerFigures>,
    /// What each signal counts in the model in force.
    pub weights: std::collections::BTreeMap<String, f64>,
    /// What the ranking in force is called, in traces as well.
    pub variant: String,
    /// Profiles the weights were picked on; null for the usual ones.
    pub picked_on: Option<u64>,
    /// When the model in force was fitted.
    pub fitted_at: Option<Time>,
    /// Interactions it was fitted from.
    pub interactions: u64,
}

fn shape(found: &Quality) -> RecommendationQuality {
    let rows = found.rows.iter().map(|row| RankerFigures {
        asked: row.asked.to_owned(),
        ranker: row.ranker.name().to_owned(),
        cases: row.figures.cases as u64,
        hit_rate_5: row.figures.hit_rate_5,
        ndcg_5: row.figures.ndcg_5,
        mrr_20: row.figures.mrr_20,
        coverage: row.figures.coverage,
    });
    let weights = found.weights;
    let weights = [
        ("follows", weights.follows),
        ("knn", weights.knn),
        ("session", weights.session),
        ("content", weights.content),
        ("trending", weights.trending),
        ("repeat", weights.repeat),
    ];
    RecommendationQuality {
        judged_at: found.judged_at.into(),
        split_at: found.split_at.map(Time::from),
        trained_on: found.trained_on as u64,
        items: found.items as u64,
        rows: rows.collect(),
        weights: weights
            .map(|(name, much)| (name.to_owned(), (f64::from(much) * 1e6).round() / 1e6))
            .into_iter()
            .collect(),
        variant: found.variant.clone(),
        picked_on: found.picked_on.map(|many| many as u64),
        fitted_at: found.fitted_at.map(Time::from),
        interactions: found.interactions,
    }
}

/// How good recommendations would have been lately: fitted on the older part of the workspace's own past and asked for
/// the newer part, beside popularity and item-kNN.
#[utoipa::path(get, path = "/api/recommendations/quality", tag = "profiles", operation_id = "recommendation_quality", responses((status = 200, body = RecommendationQuality)))]
async fn quality(State(app): State<App>, ws: Ws) -> Result<Json<RecommendationQuality>, Problem> {
    let found = app.platform.recommendation_quality(ws.0).await?;
    Ok(Json(shape(&found)))
}
