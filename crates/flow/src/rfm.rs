//! RFM and predictions, refreshed on a schedule: orders from the lake through `predict` into attributes.
//!
//! What is found is written as identify events of our own, for profiles whose figures changed, so that it is a fold of
//! events like every other attribute. Ids of those events follow from the refresh and the figures: what a crash
//! repeats counts once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::time::DAY;
use model::{Call, Event, Map, ProfileId, Timestamp, Value, WorkspaceId};
use predict::{BgNbd, Customer, Fitted, GammaGamma, Group, Order, Rfm};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cron::Schedule;
use crate::error::Error;
use crate::hot::Hot;
use crate::platform::Platform;
use crate::{codec, emit};

pub use predict::{Estimate as Parameter, Fitted as Model};

/// The name of the group of a recency and a frequency.
pub fn group_name(recency: u8, frequency: u8) -> &'static str {
    predict::group_of(recency, frequency).name()
}

/// The attributes that a refresh writes.
pub const ATTRIBUTES: [&str; 10] = [
    "rfm_recency",
    "rfm_frequency",
    "rfm_monetary",
    "rfm_group",
    "purchase_frequency",
    "average_order_value",
    "predicted_next_purchase_at",
    "predicted_orders",
    "predicted_value",
    "churn_risk",
];
/// Days ahead that orders are predicted for.
const ORDERS_DAYS: f64 = 90.0;
/// Days ahead that value is predicted for.
const VALUE_DAYS: f64 = 365.0;
/// Days ahead within which a next purchase is named.
const NEXT_DAYS_MAX: f64 = 730.0;
/// Events of one append.
const WRITE_EVENTS: usize = 1_000;
/// How often the schedule is looked at.
const BEAT: Duration = Duration::from_secs(5);
/// Names of the property that holds an order's value.
const REVENUE_MAX: usize = 10;

/// What a refresh reads and when it is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfmSettings {
    /// The event that is an order.
    pub event: String,
    /// The property that holds its value; the first of these that is a number.
    pub revenue: Vec<String>,
    /// When a refresh is due, in cron's grammar and the time zone of the workspace.
    pub schedule: String,
}

impl Default for RfmSettings {
    fn default() -> RfmSettings {
        RfmSettings {
            event: "Order Completed".to_owned(),
            revenue: vec!["revenue".to_owned(), "total".to_owned()],
            schedule: "0 3 * * *".to_owned(),
        }
    }
}

/// What a refresh found, as it is kept and shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RfmReport {
    /// As of when.
    pub refreshed_at: Timestamp,
    /// Profiles with orders.
    pub customers: usize,
    /// Of them those with more than one order.
    pub repeat_customers: usize,
    /// Orders read.
    pub orders: usize,
    /// Their value.
    pub value: f64,
    /// Profiles whose figures changed by it.
    pub changed: usize,
    /// Recency × frequency; only places with customers.
    pub grid: Vec<Place>,
    /// The groups, the best first.
    pub groups: Vec<GroupFigures>,
    /// When people buy; none while there are too few.
    pub orders_model: Option<Fitted<BgNbd>>,
    /// What an order is worth; none while there are too few.
    pub value_model: Option<Fitted<GammaGamma>>,
}

/// A place of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// 1 to 5.
    pub recency: u8,
    /// 1 to 5.
    pub frequency: u8,
    /// Customers.
    pub count: usize,
    /// What a customer there has spent on average.
    pub mean_value: f64,
}

/// Figures of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupFigures {
    /// Its name.
    pub name: String,
    /// Customers.
    pub count: usize,
    /// What they have spent together.
    pub value: f64,
    /// What the models expect of them in a year; none without models.
    pub predicted_value: Option<f64>,
}

/// What one customer gets.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The customer.
    pub customer: Customer,
    /// The scores.
    pub rfm: Rfm,
    /// The attributes.
    pub attributes: Map,
}

fn round(number: f64, digits: i32) -> f64 {
    let power = 10f64.powi(digits);
    (number * power).round() / power
}

/// Orders by profile, as of an instant.
fn orders(
    lake: &lake::Lake,
    workspace: WorkspaceId,
    settings: &RfmSettings,
    zone: &jiff::tz::TimeZone,
    now: Timestamp,
) -> Result<Vec<Customer>, Error> {
    let mut found: HashMap<i64, Vec<Order>> = HashMap::new();
    lake.scan(workspace.0, std::slice::from_ref(&settings.event), i64::MAX, true, &mut |row| {
        let properties: Value = serde_json::from_str(row.properties).unwrap_or_default();
        let value = settings.revenue.iter().find_map(|name| properties[name.as_str()].as_f64());
        let day = i64::from((expr::day_of(row.timestamp, zone) - jiff::civil::date(2000, 1, 1)).get_days());
        let order = Order { at: row.timestamp, day, value: value.unwrap_or(0.0) };
        found.entry(row.profile_id).or_default().push(order);
    })?;
    let one = |(id, orders)| predict::summarise(id, orders, now);
    // Events whose profile is not known carry 0.
    let mut customers: Vec<Customer> = found.into_iter().filter(|(id, _)| *id > 0).filter_map(one).collect();
    customers.sort_by_key(|one| one.id);
    Ok(customers)
}

/// Scores, groups and predictions of all customers.
fn score(customers: Vec<Customer>, now: Timestamp) -> (Vec<Scored>, RfmReport) {
    let purchases: Vec<_> = customers.iter().map(|one| one.purchases).collect();
    let orders_model = BgNbd::fit(&purchases);
    let value_model = GammaGamma::fit(&purchases);
    let scores = predict::scores(&customers);
    let mut report = RfmReport {
        refreshed_at: now,
        customers: customers.len(),
        repeat_customers: customers.iter().filter(|one| one.orders > 1).count(),
        orders: customers.iter().map(|one| one.orders as usize).sum(),
        value: round(customers.iter().map(|one| one.total).sum(), 2),
        ..RfmReport::default()
    };
    let mut grid: BTreeMap<(u8, u8), (usize, f64)> = BTreeMap::new();
    let mut groups: BTreeMap<Group, (usize, f64, f64)> = BTreeMap::new();
    let models = (orders_model.as_ref().map(|fit| fit.model), value_model.as_ref().map(|fit| fit.model));
    let scored: Vec<Scored> = customers
        .into_iter()
        .zip(scores)
        .map(|(customer, rfm)| {
            let (attributes, yearly) = attributes_of(&customer, rfm, models, now);
            let place = grid.entry((rfm.recency, rfm.frequency)).or_default();
            *place = (place.0 + 1, place.1 + customer.total);
            let group = groups.entry(predict::group_of(rfm.recency, rfm.frequency)).or_default();
            *group = (group.0 + 1, group.1 + customer.total, group.2 + yearly.unwrap_or(0.0));
            Scored { customer, rfm, attributes }
        })
        .collect();
    let place = |((recency, frequency), (count, total)): ((u8, u8), (usize, f64))| Place {
        recency,
        frequency,
        count,
        mean_value: round(total / count as f64, 2),
    };
    report.grid = grid.into_iter().map(place).collect();
    let figures = |group: Group| {
        let (count, value, yearly) = groups.get(&group).copied().unwrap_or_default();
        let predicted_value = (models.0.is_some() && models.1.is_some()).then(|| round(yearly, 2));
        GroupFigures { name: group.name().to_owned(), count, value: round(value, 2), predicted_value }
    };
    report.groups = Group::ALL.into_iter().map(figures).collect();
    (report.orders_model, report.value_model) = (orders_model, value_model);
    (scored, report)
}

/// What is written of one customer, and the value expected in a year.
fn attributes_of(
    customer: &Customer,
    rfm: Rfm,
    (orders, value): (Option<BgNbd>, Option<GammaGamma>),
    now: Timestamp,
) -> (Map, Option<f64>) {
    let purchases = &customer.purchases;
    let monthly = if purchases.age > 0.0 { f64::from(purchases.repeats) * 30.0 / purchases.age } else { 0.0 };
    let next = orders.and_then(|model| model.time_to_next(purchases, NEXT_DAYS_MAX));
    // A day is as exact as the models are, and does not move with every refresh.
    let next = next.map(|days| {
        let at = now + (days * DAY as f64) as i64;
        Timestamp::from_micros(at.micros().div_euclid(DAY) * DAY).to_string()[..10].to_owned()
    });
    // Who bought once has no repeated purchase after which the model could tell that somebody left.
    let churn = orders.filter(|_| purchases.repeats > 0).map(|model| round(1.0 - model.alive(purchases), 2));
    let worth = value.and_then(|model| model.expected(purchases));
    let yearly = orders.zip(worth).map(|(model, worth)| model.expected(purchases, VALUE_DAYS) * worth);
    let attributes = json!({
        "rfm_recency": rfm.recency,
        "rfm_frequency": rfm.frequency,
        "rfm_monetary": rfm.monetary,
        "rfm_group": predict::group_of(rfm.recency, rfm.frequency).name(),
        "purchase_frequency": round(monthly, 2),
        "average_order_value": round(customer.total / f64::from(customer.orders), 2),
        "predicted_next_purchase_at": next,
        "predicted_orders": orders.map(|model| round(model.expected(purchases, ORDERS_DAYS), 1)),
        "predicted_value": yearly.map(|value| round(value, 0)),
        "churn_risk": churn,
    });
    let Value::Object(attributes) = attributes else { return (Map::new(), yearly) };
    (attributes, yearly)
}

/// What differs from what a profile has; null takes an attribute away.
fn difference(hot: &Hot, found: Option<&Map>) -> Map {
    let mut out = Map::new();
    for name in ATTRIBUTES {
        let wanted = found.and_then(|map| map.get(name)).unwrap_or(&Value::Null);
        let known = hot.profile.attributes.get(name).map(|known| known.json.as_str()).unwrap_or("null");
        let text = wanted.to_string();
        if text != known {
            out.insert(name.to_owned(), wanted.clone());
        }
    }
    out
}

/// An identify event of ours. The same refresh and figures give the same id.
fn identify(workspace: WorkspaceId, profile: ProfileId, traits: &Map, at: Timestamp) -> Event {
    let properties = Value::Object(traits.clone());
    let text = format!("{profile}/{}/{properties}", at.micros());
    let id = format!("rfm-{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()));
    let mut event = emit::event(workspace, profile, "identify", id, at, properties);
    event.call = Call::Identify;
    // Nobody did anything: journeys follow what memberships do, not this.
    event.backfill = true;
    event
}

impl Platform {
    /// What a refresh reads and when it is due.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn rfm_settings(&self, workspace: WorkspaceId) -> Result<RfmSettings, Error> {
        let text = self.store.meta(&format!("rfm.settings.{workspace}")).await?;
        text.map_or_else(
            || Ok(RfmSettings::default()),
            |text| serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string())),
        )
    }

    /// Changes what a refresh reads and when it is due.
    ///
    /// # Errors
    /// `Invalid` names what is wrong.
    pub async fn set_rfm_settings(&self, workspace: WorkspaceId, settings: RfmSettings) -> Result<(), Error> {
        Schedule::parse(&settings.schedule, self.zone_name(workspace).as_str())?;
        if settings.event.trim().is_empty() || settings.event.len() > model::limit::EVENT_NAME_BYTES_MAX {
            return Err(Error::invalid("invalid_event", "/event", "Name the event that is an order."));
        }
        let names = &settings.revenue;
        if names.is_empty() || names.len() > REVENUE_MAX || names.iter().any(|name| name.trim().is_empty()) {
            let message = format!("Name 1 to {REVENUE_MAX} properties that hold what an order is worth.");
            return Err(Error::invalid("invalid_revenue", "/revenue", message));
        }
        let text = json!(settings).to_string();
        Ok(self.store.put_meta(&format!("rfm.settings.{workspace}"), &text).await?)
    }

    /// What the last refresh found; none before the first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn rfm_report(&self, workspace: WorkspaceId) -> Result<Option<RfmReport>, Error> {
        let text = self.store.meta(&format!("rfm.report.{workspace}")).await?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string())))
            .transpose()
    }

    /// When the next refresh is due by its schedule.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn rfm_due_at(&self, workspace: WorkspaceId) -> Result<Option<Timestamp>, Error> {
        let settings = self.rfm_settings(workspace).await?;
        let schedule = Schedule::parse(&settings.schedule, self.zone_name(workspace).as_str())?;
        let last = self.rfm_report(workspace).await?.map(|report| report.refreshed_at);
        let since = last.map_or(self.first_started_at(workspace).await?, |last| last);
        Ok(schedule.after(since))
    }

    fn zone_name(&self, workspace: WorkspaceId) -> String {
        let registry = self.registry(workspace);
        registry.settings.get("timezone").and_then(Value::as_str).unwrap_or("UTC").to_owned()
    }

    /// Scores all customers of a workspace as of an instant; nothing is written.
    ///
    /// # Errors
    /// When the store or the lake does not answer.
    pub async fn rfm_scores(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<(Vec<Scored>, RfmReport), Error> {
        let settings = self.rfm_settings(workspace).await?;
        let zone = self.registry(workspace).zone.clone();
        let wanted = self.stepped.load(std::sync::atomic::Ordering::Acquire);
        self.lake_caught_up().await;
        if self.lake.position() < wanted {
            // Orders that are missing would take attributes away.
            let text = "The lake has not caught up with the log yet: try again in a moment.";
            return Err(Error::Unavailable(text.to_owned()));
        }
        let lake = self.lake.clone();
        tokio::task::spawn_blocking(move || {
            orders(&lake, workspace, &settings, &zone, now).map(|customers| score(customers, now))
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }

    /// Scores all customers and writes what changed. A refresh that a crash cut short is done again as of its own
    /// instant.
    ///
    /// # Errors
    /// `Conflict` while one runs; otherwise what the log, the store or the lake say.
    pub async fn refresh_rfm(&self, workspace: WorkspaceId) -> Result<RfmReport, Error> {
        let Ok(_one) = self.refreshing.try_lock() else {
            return Err(Error::Conflict("A refresh is running: wait until it is done.".to_owned()));
        };
        let begun = format!("rfm.begun.{workspace}");
        let unfinished = self.store.meta(&begun).await?.and_then(|text| text.parse::<i64>().ok());
        let at = unfinished.map_or_else(|| self.clock.now(), Timestamp::from_micros);
        self.store.put_meta(&begun, &at.micros().to_string()).await?;
        let (scored, mut report) = self.rfm_scores(workspace, at).await?;
        let found: HashMap<i64, Map> =
            scored.into_iter().map(|each| (each.customer.id, each.attributes)).collect();
        let mut after = ProfileId(0);
        loop {
            let rows = self.store.scan_profiles(workspace, after, WRITE_EVENTS as i64).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            let mut appends = Vec::new();
            for row in &rows {
                let change = difference(&Hot::decode(&row.state)?, found.get(&row.id.0));
                if !change.is_empty() {
                    let event = identify(workspace, row.id, &change, at);
                    appends.push(store::Append {
                        workspace,
                        message_id: event.message_id.clone(),
                        body_hash: profile::intake::body_hash(&event),
                        payload: codec::encode_event(&event)?,
                    });
                }
            }
            report.changed += appends.len();
            if !appends.is_empty() {
                self.log.append(appends).await?;
            }
        }
        self.store.put_meta(&format!("rfm.report.{workspace}"), &json!(report).to_string()).await?;
        self.store.put_meta(&begun, "").await?;
        Ok(report)
    }

    /// Refreshes every workspace whose schedule says so, or whose refresh was cut short.
    async fn refresh_rfm_due(&self) -> Result<(), Error> {
        for workspace in self.workspaces_in_force() {
            let cut =
                self.store.meta(&format!("rfm.begun.{workspace}")).await?.is_some_and(|at| !at.is_empty());
            let due = self.rfm_due_at(workspace).await?.is_some_and(|due| due <= self.clock.now());
            if cut || due {
                match self.refresh_rfm(workspace).await {
                    Ok(report) => tracing::info!(
                        %workspace,
                        customers = report.customers,
                        changed = report.changed,
                        "RFM and predictions are refreshed"
                    ),
                    Err(Error::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Refreshes when it is due.
pub(crate) async fn run(platform: Arc<Platform>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = platform.refresh_rfm_due().await {
            tracing::error!(%error, "RFM and predictions could not be refreshed");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}
