//! Recommendations: the catalogue and a fitted model of each workspace, held in memory; asked when a mail is composed.
//!
//! A model is fitted from the lake in the background. A list is ranked from the profile's own history, which lies in
//! its state: composing a mail reads neither the lake nor the catalogue's table. See `docs/recommendations.md`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::time::{DAY, MINUTE};
use model::{Timestamp, Value, WorkspaceId};
use recommend::{Action, Aim, Group, Interaction, Model, Tuned, tune};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::catalogue::{Catalogue, Declared};
use crate::platform::Platform;

/// The catalogue that is offered from.
pub(crate) const CATALOGUE: &str = "products";
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
/// Weights are picked anew after so long. Units: microseconds.
const PICK_OLD: i64 = DAY;
/// Interactions that weights are picked on at most, the newest.
const PICK_INTERACTIONS_MAX: usize = 400_000;
/// Segments whose demand is counted, the smallest; and how many members a segment has for that.
const GROUPS_MAX: usize = 20;
const GROUP_MEMBERS_MIN: usize = 20;
/// Memberships that are read for it.
const MEMBERSHIPS_MAX: i64 = 2_000_000;

/// A model and how it came about.
pub(crate) struct Fitted {
    pub model: Model,
    pub interactions: u64,
    /// `None` for a model that knows the catalogue alone, until the first fit.
    pub at: Option<Timestamp>,
    /// The weights that were picked, and when.
    pub tuned: Option<(Tuned, Timestamp)>,
    /// Segments whose demand it knows, the smallest first.
    pub groups: Vec<String>,
}

impl Fitted {
    /// What the ranking is called: what is compared when two are tried side by side.
    pub fn variant(&self) -> String {
        match self.tuned {
            Some((_, at)) => format!("picked-{}", at.to_string().get(..10).unwrap_or_default()),
            None => "usual".to_owned(),
        }
    }
}

/// All catalogues of a workspace.
pub(crate) type Catalogues = BTreeMap<String, Arc<Catalogue>>;

#[derive(Default)]
struct Shelf {
    catalogues: Option<Arc<Catalogues>>,
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

    /// Changes a catalogue in memory; nothing when they have not been read yet.
    fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut Catalogue) -> T) -> Option<T> {
        let all = Arc::make_mut(self.catalogues.as_mut()?);
        Some(change(Arc::make_mut(all.entry(name.to_owned()).or_default())))
    }
}

/// What is held in memory for all workspaces; everything in it is derivable.
#[derive(Default)]
pub(crate) struct Recommender {
    shelves: Mutex<HashMap<WorkspaceId, Shelf>>,
    /// Held while the catalogue is written or read as a whole, so that memory follows the store.
    pub catalogue: tokio::sync::Mutex<()>,
    pub wake: Notify,
    /// What was judged lately.
    pub quality: tokio::sync::Mutex<HashMap<WorkspaceId, Arc<crate::quality::Quality>>>,
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

    /// Takes rows that were written to a catalogue.
    pub fn put(&self, workspace: WorkspaceId, catalog: &str, items: &[(String, Value)]) {
        let changed = self.shelves().entry(workspace).or_default().change(catalog, |catalogue| {
            let rows = items.iter().filter(|(_, body)| body.is_object());
            rows.filter(|(id, body)| catalogue.put(id, body.clone())).count()
        });
        self.changed(workspace, catalog, changed.unwrap_or(items.len()));
    }

    /// Forgets a row that was removed.
    pub fn remove(&self, workspace: WorkspaceId, catalog: &str, id: &str) {
        let gone = self.shelves().entry(workspace).or_default().change(catalog, |all| all.remove(id));
        self.changed(workspace, catalog, usize::from(gone.unwrap_or(true)));
    }

    /// Takes what a catalogue says of itself.
    pub fn declare(&self, workspace: WorkspaceId, catalog: &str, declared: Declared) {
        self.shelves().entry(workspace).or_default().change(catalog, |catalogue| {
            *catalogue = catalogue.declared_anew(declared);
        });
        self.changed(workspace, catalog, 1);
    }

    fn changed(&self, workspace: WorkspaceId, catalog: &str, many: usize) {
        if catalog == CATALOGUE && many > 0 {
            let mut shelves = self.shelves();
            let shelf = shelves.entry(workspace).or_default();
            shelf.changes += many as u64;
            // Until the first fit a model knows the catalogue alone, and is made anew when it is asked.
            shelf.fitted.take_if(|fitted| fitted.at.is_none());
            drop(shelves);
            self.wake.notify_one();
        }
    }

    /// The catalogues in memory; nothing before they were read.
    pub fn catalogues(&self, workspace: WorkspaceId) -> Option<Arc<Catalogues>> {
        self.shelves().get(&workspace)?.catalogues.clone()
    }
}

/// What is offered from, as of one moment.
#[derive(Clone)]
pub(crate) struct Stock {
    pub catalogues: Arc<Catalogues>,
    pub fitted: Arc<Fitted>,
}

impl Stock {
    /// The catalogue that is offered from; an empty one when there is none.
    pub fn products(&self) -> Option<&Catalogue> {
        self.catalogues.get(CATALOGUE).map(Arc::as_ref)
    }
}

impl Platform {
    /// Catalogues and model, read at the first use.
    pub(crate) async fn stock(&self, workspace: WorkspaceId) -> Result<Stock, Error> {
        let held = || {
            let mut shelves = self.recommender.shelves();
            let shelf = shelves.entry(workspace).or_default();
            let (catalogues, fitted) = shelf.catalogues.clone().zip(shelf.fitted.clone())?;
            Some(Stock { catalogues, fitted })
        };
        if let Some(found) = held() {
            return Ok(found);
        }
        let _one = self.recommender.catalogue.lock().await;
        if let Some(found) = held() {
            return Ok(found);
        }
        let catalogues = match self.recommender.catalogues(workspace) {
            Some(catalogues) => catalogues,
            None => Arc::new(self.read_catalogues(workspace).await?),
        };
        let products = catalogues.get(CATALOGUE);
        let model = Model::fit([], products.iter().flat_map(|all| all.items()), self.clock.now());
        let mut shelves = self.recommender.shelves();
        let shelf = shelves.entry(workspace).or_default();
        shelf.catalogues = Some(catalogues.clone());
        let fitted = shelf.fitted.get_or_insert_with(|| {
            Arc::new(Fitted { model, interactions: 0, at: None, tuned: None, groups: Vec::new() })
        });
        Ok(Stock { catalogues, fitted: fitted.clone() })
    }

    async fn read_catalogues(&self, workspace: WorkspaceId) -> Result<Catalogues, Error> {
        let mut catalogues = Catalogues::new();
        for (name, declared) in self.declared_catalogues(workspace).await? {
            catalogues.insert(name, Arc::new(Catalogue::new(declared)));
        }
        for (name, _) in self.store.catalogs(workspace).await? {
            let catalogue = Arc::make_mut(catalogues.entry(name.clone()).or_default());
            for (id, body) in self.store.items(workspace, &name).await? {
                if let Some(body) = serde_json::from_str(&body).ok().filter(Value::is_object) {
                    catalogue.put(&id, body);
                }
            }
        }
        Ok(catalogues)
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
        let stock = self.stock(workspace).await?;
        let groups = self.groups(workspace).await?;
        let (lake, now) = (self.lake.clone(), self.clock.now());
        let fitted = tokio::task::spawn_blocking(move || fit(&lake, workspace, &stock, &groups, now))
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

    /// The segments whose demand is worth counting, the smallest first.
    async fn groups(&self, workspace: WorkspaceId) -> Result<Vec<Group>, Error> {
        let mut members: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (segment, profile, _) in self.store.all_memberships(workspace, MEMBERSHIPS_MAX).await? {
            members.entry(segment).or_default().push(profile.0);
        }
        let registry = self.registry(workspace);
        let mut groups: Vec<Group> = members
            .into_iter()
            .filter(|(_, members)| members.len() >= GROUP_MEMBERS_MIN)
            .filter_map(|(id, mut members)| {
                members.sort_unstable();
                let name = registry.segments.get(&id)?.name.clone();
                Some(Group { id, name, members })
            })
            .collect();
        groups.sort_by_key(|group| (group.members.len(), group.id.clone()));
        groups.truncate(GROUPS_MAX);
        Ok(groups)
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
        if let Err(error) = platform.tell_item_changes().await {
            tracing::warn!(%error, "changes of items could not be told; they wait");
        }
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

/// A step of somebody with an item, by the item's number among the ids.
pub(crate) type Step = (Timestamp, i64, u32, Action);

/// What profiles did with items, the newest of it, in no order.
pub(crate) fn interactions(
    lake: &lake::Lake,
    workspace: WorkspaceId,
    ids: &[&str],
    now: Timestamp,
) -> Result<Vec<Step>, Error> {
    let places: HashMap<&str, u32> = ids.iter().enumerate().map(|(at, id)| (*id, at as u32)).collect();
    let mut steps: Vec<Step> = Vec::new();
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
                keep_newest(&mut steps, FIT_INTERACTIONS_MAX);
            }
        })?;
        keep_newest(&mut steps, FIT_INTERACTIONS_MAX);
    }
    Ok(steps)
}

/// The same as the engine reads it.
pub(crate) fn read<'a>(steps: &'a [Step], ids: &'a [&'a str]) -> impl Iterator<Item = Interaction<'a>> {
    steps.iter().map(|(at, profile, place, action)| Interaction {
        profile: *profile,
        item: ids[*place as usize],
        action: *action,
        at: *at,
    })
}

fn fit(
    lake: &lake::Lake,
    workspace: WorkspaceId,
    stock: &Stock,
    groups: &[Group],
    now: Timestamp,
) -> Result<Fitted, Error> {
    let empty = Catalogue::default();
    let catalogue = stock.products().unwrap_or(&empty);
    let ids: Vec<&str> = catalogue.goods.keys().map(String::as_str).collect();
    let mut steps = interactions(lake, workspace, &ids, now)?;
    let mut model = Model::fit_groups(read(&steps, &ids), catalogue.items(), groups, now);
    let interactions = steps.len() as u64;
    let mut tuned = stock.fitted.tuned.filter(|(_, at)| now - *at < PICK_OLD);
    if tuned.is_none() {
        keep_newest(&mut steps, PICK_INTERACTIONS_MAX);
        let some: Vec<Interaction<'_>> = read(&steps, &ids).collect();
        tuned = tune(&some, catalogue.items(), now, Aim::New).map(|tuned| (tuned, now));
    }
    if let Some((tuned, _)) = tuned {
        model = model.with_weights(tuned.weights);
    }
    let groups = groups.iter().map(|group| group.id.clone()).collect();
    Ok(Fitted { model, interactions, at: Some(now), tuned, groups })
}

pub(crate) fn keep_newest(steps: &mut Vec<Step>, most: usize) {
    if steps.len() > most {
        steps.select_nth_unstable_by(most, |a, b| b.cmp(a));
        steps.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn fitted(model: Model, interactions: u64) -> Arc<Fitted> {
        Arc::new(Fitted { model, interactions, at: Some(at(1_000)), tuned: None, groups: Vec::new() })
    }

    #[test]
    fn a_fit_is_due_at_first_after_a_change_of_the_catalogue_and_when_a_twentieth_is_new() {
        let mut shelf = Shelf::default();
        assert!(shelf.is_due(at(1)));
        shelf.fitted = Some(fitted(Model::default(), 100_000));
        assert!(!shelf.is_due(at(100_000)), "nothing new, however old");
        shelf.fresh = 4_999;
        assert!(!shelf.is_due(at(1_001)));
        assert!(shelf.is_due(at(1_000 + 15 * 60)));
        shelf.fresh = 5_000;
        assert!(shelf.is_due(at(1_001)));
        shelf.fresh = 0;
        shelf.changes = 1;
        assert!(shelf.is_due(at(1_001)), "an empty model is fitted at once");
        let mut one = Catalogue::default();
        one.put("a", json!({"price": 1}));
        shelf.fitted = Some(fitted(Model::fit([], one.items(), at(1_000)), 1));
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
