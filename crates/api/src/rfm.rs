//! RFM and predictions: the grid, the groups, the models, and when they are refreshed.

use axum::Json;
use axum::extract::State;
use flow::rfm::{RfmReport, RfmSettings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::Body;
use crate::shape::Time;
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(rfm)).routes(routes!(refresh)).routes(routes!(put_settings))
}

/// Who buys how recently, how often and for how much, and what to expect.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rfm {
    /// When it was refreshed last; null before the first time.
    pub refreshed_at: Option<Time>,
    /// When it is refreshed next by its schedule.
    pub due_at: Option<Time>,
    /// What is read, and when.
    pub settings: RfmSetup,
    /// Profiles with orders.
    pub customers: usize,
    /// Those with more than one order.
    pub repeat_customers: usize,
    /// Orders read.
    pub orders: usize,
    /// Their value.
    pub value: f64,
    /// Profiles whose figures changed by the last refresh.
    pub changed: usize,
    /// Recency 5 to 1 by frequency 1 to 5; empty before the first time.
    pub grid: Vec<RfmCell>,
    /// The groups, the best first.
    pub groups: Vec<RfmGroup>,
    /// When people buy, by BG/NBD; null while there are too few customers.
    pub orders_model: Option<RfmModel>,
    /// What an order is worth, by Gamma-Gamma; null while there are too few customers.
    pub value_model: Option<RfmModel>,
}

/// What is read, and when.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct RfmSetup {
    /// The event that is an order.
    pub event: String,
    /// The property that holds its value: the first of these that is a number.
    pub revenue: Vec<String>,
    /// Cron's grammar, in the time zone of the workspace.
    pub schedule: String,
}

/// A place of the grid.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmCell {
    /// 1 (longest ago) to 5.
    pub recency: u8,
    /// 1 (seldom) to 5.
    pub frequency: u8,
    /// Customers there.
    pub count: usize,
    /// What each has spent on average; null where nobody is.
    pub mean_value: Option<f64>,
    /// The group of this place.
    pub group: String,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmGroup {
    /// Its name, as the attribute `rfm_group` says.
    pub name: String,
    /// Customers.
    pub count: usize,
    /// What they have spent together.
    pub value: f64,
    /// What is expected of them in a year; null without models.
    pub predicted_value: Option<f64>,
    /// The condition that holds for them.
    #[serde(rename = "where")]
    pub condition: String,
}

/// A fitted model.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmModel {
    /// Its parameters.
    pub parameters: Vec<RfmParameter>,
    /// The logarithm of the likelihood of the customers it was fitted on.
    pub log_likelihood: f64,
    /// How many those are.
    pub customers: usize,
}

/// A parameter of a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct RfmParameter {
    /// Its name in the paper.
    pub name: String,
    /// The most likely value.
    pub value: f64,
    /// The lower end of its 95% confidence interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

fn model<M>(fitted: flow::rfm::Model<M>) -> RfmModel {
    let parameter = |one: flow::rfm::Parameter| RfmParameter {
        name: one.name,
        value: one.value,
        low: one.interval.map(|(low, _)| low),
        high: one.interval.map(|(_, high)| high),
    };
    RfmModel {
        parameters: fitted.estimates.into_iter().map(parameter).collect(),
        log_likelihood: fitted.log_likelihood,
        customers: fitted.customers,
    }
}

async fn assemble(app: &App, ws: Ws) -> Result<Rfm, Problem> {
    let settings = app.platform.rfm_settings(ws.0).await?;
    let due_at = app.platform.rfm_due_at(ws.0).await?.map(Time::from);
    let found = app.platform.rfm_report(ws.0).await?;
    let refreshed_at = found.as_ref().map(|report| report.refreshed_at.into());
    let report = found.unwrap_or_else(RfmReport::default);
    let cell = |(recency, frequency): (u8, u8)| {
        let place = report.grid.iter().find(|each| each.recency == recency && each.frequency == frequency);
        RfmCell {
            recency,
            frequency,
            count: place.map_or(0, |place| place.count),
            mean_value: place.map(|place| place.mean_value),
            group: flow::rfm::group_name(recency, frequency).to_owned(),
        }
    };
    let places = (1..=5).rev().flat_map(|recency| (1..=5).map(move |frequency| (recency, frequency)));
    let grid = if report.grid.is_empty() { Vec::new() } else { places.map(cell).collect() };
    let group = |each: flow::rfm::GroupFigures| RfmGroup {
        condition: format!("rfm_group = \"{}\"", each.name),
        name: each.name,
        count: each.count,
        value: each.value,
        predicted_value: each.predicted_value,
    };
    Ok(Rfm {
        refreshed_at,
        due_at,
        settings: RfmSetup { event: settings.event, revenue: settings.revenue, schedule: settings.schedule },
        customers: report.customers,
        repeat_customers: report.repeat_customers,
        orders: report.orders,
        value: report.value,
        changed: report.changed,
        grid,
        groups: report.groups.into_iter().map(group).collect(),
        orders_model: report.orders_model.map(model),
        value_model: report.value_model.map(model),
    })
}

/// Who buys how recently, how often and for how much, as of the last refresh.
#[utoipa::path(get, path = "/api/rfm", tag = "traits", operation_id = "rfm", responses((status = 200, body = Rfm)))]
async fn rfm(State(app): State<App>, ws: Ws) -> Result<Json<Rfm>, Problem> {
    Ok(Json(assemble(&app, ws).await?))
}

/// Refreshes now and answers when it is done. 409 while a refresh runs.
#[utoipa::path(post, path = "/api/rfm/refresh", tag = "traits", operation_id = "refresh_rfm", responses((status = 200, body = Rfm)))]
async fn refresh(State(app): State<App>, ws: Ws) -> Result<Json<Rfm>, Problem> {
    app.platform.refresh_rfm(ws.0).await?;
    Ok(Json(assemble(&app, ws).await?))
}

/// Changes what is read and when.
#[utoipa::path(put, path = "/api/rfm/settings", tag = "traits", operation_id = "put_rfm_settings", request_body = RfmSetup, responses((status = 200, body = Rfm)))]
async fn put_settings(
    State(app): State<App>,
    ws: Ws,
    Body(setup): Body<RfmSetup>,
) -> Result<Json<Rfm>, Problem> {
    let settings = RfmSettings { event: setup.event, revenue: setup.revenue, schedule: setup.schedule };
    app.platform.set_rfm_settings(ws.0, settings).await?;
    Ok(Json(assemble(&app, ws).await?))
}
