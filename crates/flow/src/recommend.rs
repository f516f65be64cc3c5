//! Recommendations: the catalogue and a fitted model of each workspace, held in memory; asked when a mail is composed.
//!
//! A model is fitted from the lake in the background. A list is ranked from the profile's own history, which lies in
//! its state: composing a mail reads neither the lake nor the catalogue's table. See `docs/recommendations.md`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::time::{DAY, MINUTE};
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use recommend::{Action, History, Interaction, Model, Recommendation, Request};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::catalogue::{Barred, Catalogue};
use crate::platform::Platform;

/// The catalogue that is offered from.
const CATALOGUE: &str = "products";
/// Interactions older than this are not fitted. Units: microseconds.
const FIT_AGE_MAX: i64 = 400 * DAY;
/// Interactions fitted, the newest.
const FIT_INTERACTIONS_MAX: usize = 4_000_000;
/// A fit is due when a twentieth of what it was fitted from is new, but not for fewer than this.
const FIT_FRESH_MIN: u64 = 1_000;
/// A fit that misses anything is not older than this.
const FIT_OLD: i64 = 15 * MINUTE;
/// How often it is asked whether a fit is due.
const FIT_BEAT: Duration = Duration::from_secs(10);
/// After a change of the catalogue: imports change it many times in a row.
const FIT_REST: Duration = Duration::from_secs(1);
/// A fit that misses new items is not older than this. Units: microseconds.
const FIT_CHANGED: i64 = MINUTE;

struct Fitted {
    model: Model,
    interactions: u64,
    /// `None` for a model that knows the catalogue alone, until the first fit.
    at: Option<Timestamp>,
}

#[derive(Default)]
struct Shelf {
    catalogue: Option<Arc<Catalogue>>,
    fitted: Option<Arc<Fitted>>,
    /// Changes of the catalogue that a model has to know, and how many of them the fit knows.
    changes: u64,
    changes_fitted: u64,
    /// Interactions that the fit does not know.
    fresh: u64,
}

impl Shelf {
    fn is_due(&self, now: Timestamp) -> bool {
        let Some((fitted, at)) = self.fitted.as_ref().and_then(|fitted| Some((fitted, fitted.at?))) else {
            return true;
        };
        let old = now - at;
        (self.changes != self.changes_fitted && (fitted.model.is_empty() || old >= FIT_CHANGED))
            || self.fresh >= (fitted.interactions / 20).max(FIT_FRESH_MIN)
            || (self.fresh > 0 && old >= FIT_OLD)
    }
}

/// What is held in memory for all workspaces; everything in it is derivable.
#[derive(Default)]
pub(crate) struct Recommender {
    shelves: Mutex<HashMap<WorkspaceId, Shelf>>,
    /// Held while the catalogue is written or read as a whole, so that memory follows the store.
    catalogue: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl Recommender {
    fn shelves(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts interactions that have been stepped.
    pub fn count(&self, interactions: &HashMap<WorkspaceId, u64>) {
        if interactions.is_empty() {
            return;
        }
        let mut shelves = self.shelves();
        for (workspace, many) in interactions {
            shelves.entry(*workspace).or_default().fresh += many;
        }
    }

    /// Takes rows that were written to the catalogue.
    fn put(&self, workspace: WorkspaceId, items: &[(String, Value)]) {
        let mut shelves = self.shelves();
        let shelf = shelves.entry(workspace).or_default();
        let changed = match &mut shelf.catalogue {
            Some(catalogue) => {
                let catalogue = Arc::make_mut(catalogue);
                items
                    .iter()
                    .filter(|(_, body)| body.is_object())
                    .filter(|(id, body)| catalogue.put(id, body.clone()))
                    .count()
            }
            None => items.len(),
        };
        shelf.changes += changed as u64;
        drop(shelves);
        if changed > 0 {
            self.wake.notify_one();
        }
    }
}

/// A list for one profile.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The items as the catalogue has them, with `reason`, `source` and, where one was needed, `fallback`.
    pub items: Vec<Value>,
    /// Its step of the decision trace; none when there is no catalogue.
    pub trace: Option<Value>,
}

impl Platform {
    /// Items to offer somebody: from what they looked at and bought, then what is in demand, then the newest. Never
    /// what they bought, what is sold out or what has no price.
    ///
    /// Cost: one read of the profile; ranking is in memory.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn recommendations(
        &self,
        workspace: WorkspaceId,
        profile: ProfileId,
        limit: usize,
    ) -> Result<Vec<Value>, Error> {
        let history = match self.hot(workspace, profile).await {
            Ok((_, hot)) => hot.history,
            Err(Error::Missing(_)) => History::default(),
            Err(error) => return Err(error),
        };
        Ok(self.offer(workspace, &history, limit).await?.items)
    }

    /// The list for a profile with this history, and why it is so.
    ///
    /// # Errors
    /// When the catalogue has to be read and the store does not answer.
    pub async fn offer(
        &self,
        workspace: WorkspaceId,
        history: &History,
        limit: usize,
    ) -> Result<Offer, Error> {
        let (catalogue, fitted) = self.shelf(workspace).await?;
        if catalogue.goods.is_empty() {
            return Ok(Offer::default());
        }
        Ok(offer(&catalogue, &fitted, history, limit, self.clock.now()))
    }

    /// Writes items of a catalogue.
    ///
    /// # Errors
    /// When nothing was written.
    pub async fn put_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        items: Vec<(String, Value)>,
    ) -> Result<(), Error> {
        let rows: Vec<(String, String)> =
            items.iter().map(|(id, body)| (id.clone(), body.to_string())).collect();
        let _one = self.recommender.catalogue.lock().await;
        self.store.put_items(workspace, catalog, &rows).await?;
        if catalog == CATALOGUE {
            self.recommender.put(workspace, &items);
        }
        Ok(())
    }

    /// The catalogue that is recommended from.
    pub(crate) async fn shelved(&self, workspace: WorkspaceId) -> Result<Arc<Catalogue>, Error> {
        Ok(self.shelf(workspace).await?.0)
    }

    async fn shelf(&self, workspace: WorkspaceId) -> Result<(Arc<Catalogue>, Arc<Fitted>), Error> {
        let held = || {
            let mut shelves = self.recommender.shelves();
            let shelf = shelves.entry(workspace).or_default();
            shelf.catalogue.clone().zip(shelf.fitted.clone())
        };
        if let Some(found) = held() {
            return Ok(found);
        }
        let _one = self.recommender.catalogue.lock().await;
        if let Some(found) = held() {
            return Ok(found);
        }
        let mut catalogue = Catalogue::default();
        for (id, body) in self.store.items(workspace, CATALOGUE).await? {
            if let Some(body) = serde_json::from_str(&body).ok().filter(Value::is_object) {
                catalogue.put(&id, body);
            }
        }
        let catalogue = Arc::new(catalogue);
        let model = Model::fit([], catalogue.items(), self.clock.now());
        let mut shelves = self.recommender.shelves();
        let shelf = shelves.entry(workspace).or_default();
        shelf.catalogue = Some(catalogue.clone());
        let fitted =
            shelf.fitted.get_or_insert_with(|| Arc::new(Fitted { model, interactions: 0, at: None }));
        Ok((catalogue, fitted.clone()))
    }

    /// Fits the workspace's model from the lake and puts it in place of the former one; how many interactions it is
    /// fitted from. A worker does so by itself when it is due.
    ///
    /// # Errors
    /// When the store or the lake does not answer; the former model stays.
    pub async fn fit_recommendations(&self, workspace: WorkspaceId) -> Result<u64, Error> {
        let (changes, fresh) = {
            let mut shelves = self.recommender.shelves();
            let shelf = shelves.entry(workspace).or_default();
            (shelf.changes, shelf.fresh)
        };
        self.lake_caught_up().await;
        let (catalogue, _) = self.shelf(workspace).await?;
        let (lake, now) = (self.lake.clone(), self.clock.now());
        let fitted = tokio::task::spawn_blocking(move || fit(&lake, workspace, &catalogue, now))
            .await
            .map_err(|error| Error::Bug(error.to_string()))??;
        let interactions = fitted.interactions;
        let mut shelves = self.recommender.shelves();
        let shelf = shelves.entry(workspace).or_default();
        shelf.fitted = Some(Arc::new(fitted));
        shelf.changes_fitted = changes;
        shelf.fresh = shelf.fresh.saturating_sub(fresh);
        Ok(interactions)
    }

    async fn fit_due(&self, stop: &CancellationToken) {
        let workspaces: Vec<WorkspaceId> = self.workspaces_in_force();
        for workspace in workspaces {
            let due = self.recommender.shelves().entry(workspace).or_default().is_due(self.clock.now());
            if !due || stop.is_cancelled() {
                continue;
            }
            if let Err(error) = self.fit_recommendations(workspace).await {
                tracing::warn!(%error, %workspace, "recommendations could not be fitted; the former ones stay");
            }
        }
    }
}

/// Fits models when they are due.
pub(crate) async fn run(platform: Arc<Platform>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        platform.fit_due(&stop).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FIT_BEAT) => {}
            () = platform.recommender.wake.notified() => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(FIT_REST) => {}
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    product_id: Value,
    #[serde(default)]
    products: Value,
}

/// The ids of the items an event speaks of: `products[].product_id`, or `product_id`.
pub(crate) fn items_of(properties: &str) -> Vec<String> {
    let Ok(named) = serde_json::from_str::<Named>(properties) else { return Vec::new() };
    let id = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match named.products.as_array().filter(|products| !products.is_empty()) {
        Some(products) => products.iter().filter_map(|product| id(product.get("product_id")?)).collect(),
        None => id(&named.product_id).into_iter().collect(),
    }
}

fn fit(
    lake: &lake::Lake,
    workspace: WorkspaceId,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Fitted, Error> {
    let ids: Vec<&str> = catalogue.goods.keys().map(String::as_str).collect();
    let places: HashMap<&str, u32> = ids.iter().enumerate().map(|(at, id)| (*id, at as u32)).collect();
    let mut steps: Vec<(Timestamp, i64, u32, Action)> = Vec::new();
    if !ids.is_empty() {
        let names = Action::EVENTS.map(str::to_owned);
        lake.scan(workspace.0, &names, i64::MAX, true, &mut |row| {
            let Some(action) = Action::of_event(row.name) else { return };
            if row.profile_id == 0 || row.timestamp < now - FIT_AGE_MAX {
                return;
            }
            for item in items_of(row.properties) {
                if let Some(place) = places.get(item.as_str()) {
                    steps.push((row.timestamp, row.profile_id, *place, action));
                }
            }
            if steps.len() >= 2 * FIT_INTERACTIONS_MAX {
                keep_newest(&mut steps);
            }
        })?;
        keep_newest(&mut steps);
    }
    let interactions = steps.len() as u64;
    let steps = steps.into_iter().map(|(at, profile, place, action)| Interaction {
        profile,
        item: ids[place as usize],
        action,
        at,
    });
    let model = Model::fit(steps, catalogue.items(), now);
    Ok(Fitted { model, interactions, at: Some(now) })
}

fn keep_newest(steps: &mut Vec<(Timestamp, i64, u32, Action)>) {
    if steps.len() > FIT_INTERACTIONS_MAX {
        steps.select_nth_unstable_by(FIT_INTERACTIONS_MAX, |a, b| b.cmp(a));
        steps.truncate(FIT_INTERACTIONS_MAX);
    }
}

fn offer(catalogue: &Catalogue, fitted: &Fitted, history: &History, limit: usize, now: Timestamp) -> Offer {
    let limit = limit.min(recommend::LIMIT_MAX);
    let seen = history.seen();
    let usual = Request::new(&seen, limit);
    let rungs = [
        (None, usual),
        (Some("category_bound_lifted"), Request { per_category_max: None, ..usual }),
        (Some("seen_before"), Request { per_category_max: None, repeat_seen: true, ..usual }),
    ];
    let mut found: Vec<(Recommendation, Option<&str>)> = Vec::new();
    let mut taken: HashSet<String> = HashSet::new();
    for (fallback, request) in rungs {
        let missing = limit - found.len();
        if missing == 0 {
            break;
        }
        let more = fitted.model.recommend(&Request { limit: missing, ..request }, &|id| {
            catalogue.offers(id) && !taken.contains(id)
        });
        taken.extend(more.iter().map(|entry| entry.item.clone()));
        found.extend(more.into_iter().map(|entry| (entry, fallback)));
    }
    let mut items = Vec::with_capacity(found.len());
    let mut said = Vec::with_capacity(found.len());
    let mut sentences = Vec::with_capacity(found.len());
    for (entry, fallback) in &found {
        let Some(goods) = catalogue.goods.get(&entry.item) else { continue };
        let mut item = goods.body.clone();
        item["reason"] = json!(entry.reason);
        item["source"] = json!(entry.source);
        if let Some(fallback) = fallback {
            item["fallback"] = json!(fallback);
        }
        let name = goods.item(&entry.item).name;
        sentences.push(format!("{name} ({})", lowered(&entry.reason)));
        said.push(json!({
            "product_id": entry.item, "name": name, "reason": entry.reason, "source": entry.source,
            "score": entry.score, "fallback": fallback,
        }));
        items.push(item);
    }
    let fewer = (items.len() < limit).then(|| fewer(catalogue, fitted, history, limit, items.len()));
    let mut sentence = if sentences.is_empty() {
        "Nothing was offered.".to_owned()
    } else {
        format!("Offered: {}.", sentences.join("; "))
    };
    if let Some(fewer) = &fewer {
        sentence = format!("{sentence} {fewer}");
    }
    let trace = json!({
        "step": "recommendations", "title": "Recommended products", "at": now, "sentence": sentence,
        "data": {
            "items": said, "asked": limit, "fewer": fewer,
            "model": {"fitted_at": fitted.at, "interactions": fitted.interactions, "history": seen.len()},
        },
    });
    Offer { items, trace: Some(trace) }
}

fn fewer(catalogue: &Catalogue, fitted: &Fitted, history: &History, asked: usize, given: usize) -> String {
    let barred = |why| catalogue.goods.values().filter(|goods| goods.barred == Some(why)).count();
    let bought = catalogue.goods.keys().filter(|id| catalogue.offers(id) && history.bought(id)).count();
    let parts = [
        (bought, "bought already"),
        (barred(Barred::SoldOut), "sold out"),
        (barred(Barred::NoPrice), "without a price"),
        (catalogue.goods.len().saturating_sub(fitted.model.len()), "too new to be ranked"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(many, _)| *many > 0).map(|(many, why)| format!("{many} {why}")).collect();
    let why = if parts.is_empty() { "no more there".to_owned() } else { parts.join(", ") };
    format!("{given} of {asked} asked, for the catalogue has {} items: {why}.", catalogue.goods.len())
}

fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn catalogue(bodies: &[(&str, Value)]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for (id, body) in bodies {
            catalogue.put(id, body.clone());
        }
        catalogue
    }

    fn fitted(catalogue: &Catalogue, steps: &[(i64, &str, i64)]) -> Fitted {
        let steps = steps.iter().map(|(profile, item, second)| Interaction {
            profile: *profile,
            item,
            action: Action::Viewed,
            at: at(*second),
        });
        let model = Model::fit(steps, catalogue.items(), at(1_000));
        Fitted { model, interactions: 1, at: Some(at(1_000)) }
    }

    fn ids(offer: &Offer) -> Vec<&str> {
        offer.items.iter().map(|item| item["product_id"].as_str().unwrap()).collect()
    }

    fn product(id: &str, price: Value) -> Value {
        json!({"product_id": id, "name": id.to_uppercase(), "category": "c", "price": price})
    }

    #[test]
    fn what_is_bought_sold_out_or_without_a_price_is_never_offered_and_the_list_says_so() {
        let mut sold_out = product("b", json!(1));
        sold_out["stock"] = json!(0);
        let catalogue = catalogue(&[
            ("a", product("a", json!(1))),
            ("b", sold_out),
            ("c", product("c", Value::Null)),
            ("d", product("d", json!("9.90"))),
        ]);
        let fitted = fitted(&catalogue, &[(1, "a", 1), (1, "b", 2), (1, "c", 3), (1, "d", 4)]);
        let mut history = History::default();
        history.note("a", Action::Bought, at(5));
        let offer = offer(&catalogue, &fitted, &history, 4, at(1_000));
        assert_eq!(ids(&offer), ["d"]);
        let trace = offer.trace.unwrap();
        assert_eq!(
            trace["data"]["fewer"],
            "1 of 4 asked, for the catalogue has 4 items: 1 bought already, 1 sold out, 1 without a price."
        );
        assert_eq!(trace["data"]["items"][0]["reason"], "Because you bought A");
    }

    #[test]
    fn a_shelf_of_one_category_is_offered_in_full_and_each_fallback_is_declared() {
        let bodies: Vec<(String, Value)> =
            (0..4).map(|n| format!("p{n}")).map(|id| (id.clone(), product(&id, json!(1)))).collect();
        let bodies: Vec<(&str, Value)> =
            bodies.iter().map(|(id, body)| (id.as_str(), body.clone())).collect();
        let catalogue = catalogue(&bodies);
        let fitted = fitted(&catalogue, &[]);
        let mut history = History::default();
        history.note("p0", Action::Viewed, at(5));
        let offer = offer(&catalogue, &fitted, &history, 4, at(1_000));
        assert_eq!(ids(&offer), ["p1", "p2", "p3", "p0"]);
        let fallbacks: Vec<&Value> = offer.items.iter().map(|item| &item["fallback"]).collect();
        let lifted = json!("category_bound_lifted");
        assert_eq!(fallbacks, [&Value::Null, &Value::Null, &lifted, &json!("seen_before")]);
    }

    #[test]
    fn a_fit_is_due_at_first_after_a_change_of_the_catalogue_and_when_a_twentieth_is_new() {
        let mut shelf = Shelf::default();
        assert!(shelf.is_due(at(1)));
        let fit = Fitted { model: Model::default(), interactions: 100_000, at: Some(at(1_000)) };
        shelf.fitted = Some(Arc::new(fit));
        assert!(!shelf.is_due(at(100_000)), "nothing new, however old");
        shelf.fresh = 4_999;
        assert!(!shelf.is_due(at(1_001)));
        assert!(shelf.is_due(at(1_000 + 15 * 60)));
        shelf.fresh = 5_000;
        assert!(shelf.is_due(at(1_001)));
        shelf.fresh = 0;
        shelf.changes = 1;
        assert!(shelf.is_due(at(1_001)), "an empty model is fitted at once");
        let one = catalogue(&[("a", product("a", json!(1)))]);
        shelf.fitted = Some(Arc::new(fitted(&one, &[])));
        assert!(!shelf.is_due(at(1_059)) && shelf.is_due(at(1_060)));
    }

    #[test]
    fn an_order_names_its_lines_and_odd_properties_name_nothing() {
        assert_eq!(
            items_of(r#"{"products":[{"product_id":"a"},{"product_id":7},{"sku":"x"},3]}"#),
            ["a", "7"]
        );
        assert_eq!(items_of(r#"{"product_id":"a","products":[]}"#), ["a"]);
        for odd in ["", "[]", "{}", r#"{"product_id":null,"products":"a"}"#] {
            assert!(items_of(odd).is_empty(), "{odd}");
        }
    }
}
