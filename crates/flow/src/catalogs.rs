//! Catalogues as a whole: what they declare, rows that come in, and what a change of a row tells those who know it.

use std::collections::{BTreeSet, HashMap};

use model::time::DAY;
use model::{Event, Map, ProfileId, Timestamp, Value, WorkspaceId};
use recommend::Action;
use serde_json::json;

use crate::catalogue::{Barred, Catalogue, Declared, Goods};
use crate::platform::Platform;
use crate::recommend::{CATALOGUE, Catalogues, items_of};
use crate::{Error, codec, emit};

/// What is told of an item that became cheaper.
pub const PRICE_DROPPED: &str = "Price Dropped";
/// What is told of an item that was sold out.
pub const BACK_IN_STOCK: &str = "Back In Stock";
/// Changes that are told at once.
const CHANGES_MAX: i64 = 500;
/// People who are told of one change, those whose interest is newest.
const TOLD_MAX: usize = 10_000;
/// Interest older than this is over. Units: microseconds.
const INTEREST_AGE_MAX: i64 = 60 * DAY;

/// Bytes of one item.
pub const ITEM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an item's id and of a catalogue's name.
pub const NAME_BYTES_MAX: usize = 100;
/// The kind of definition that declares a catalogue.
const KIND: &str = "catalog";

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place among the rows, from 0.
    pub row: usize,
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Why.
    pub reason: String,
}

/// What became of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Rows that are stored.
    pub written: usize,
    /// Rows that are not.
    pub refused: Vec<Refused>,
}

/// An item as it is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its category.
    pub category: Option<String>,
    /// Its price.
    pub price: Option<f64>,
    /// Its stock.
    pub stock: Option<f64>,
    /// Where its picture is.
    pub image: Option<String>,
    /// Why it is not offered: `sold_out`, `no_price`.
    pub barred: Option<&'static str>,
    /// Its fields.
    pub fields: Value,
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control)
}

/// The id of a row: `product_id` or `id`.
fn id_of(row: &Map) -> Option<String> {
    match row.get("product_id").filter(|id| !id.is_null()).or_else(|| row.get("id"))? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Platform {
    /// What each declared catalogue of a workspace says of itself.
    pub(crate) async fn declared_catalogues(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(String, Declared)>, Error> {
        let rows = self.store.definitions(workspace, KIND).await?;
        let read = |row: store::DefinitionRow| {
            let declared = serde_json::from_str(&row.body)
                .map_err(|error| Error::Corrupt(format!("the catalogue '{}': {error}", row.id)))?;
            Ok((row.id, declared))
        };
        rows.into_iter().map(read).collect()
    }

    /// What a catalogue says of itself; nothing where it was never declared.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn catalogue_declared(&self, workspace: WorkspaceId, catalog: &str) -> Result<Declared, Error> {
        let stock = self.stock(workspace).await?;
        Ok(stock.catalogues.get(catalog).map(|catalogue| catalogue.declared.clone()).unwrap_or_default())
    }

    /// The catalogues, declared or not, and how many items each has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn catalogues(&self, workspace: WorkspaceId) -> Result<Vec<(String, usize)>, Error> {
        let stock = self.stock(workspace).await?;
        Ok(stock.catalogues.iter().map(|(name, all)| (name.clone(), all.goods.len())).collect())
    }

    /// Declares a catalogue: types and roles of its fields, collections, what is bought again and again.
    ///
    /// # Errors
    /// `Invalid` with the path of each fault.
    pub async fn declare_catalogue(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        declared: Declared,
        author: &str,
    ) -> Result<(), Error> {
        if !is_name(catalog) {
            let detail = format!("A catalogue's name has 1 to {NAME_BYTES_MAX} bytes of plain text.");
            return Err(Error::invalid("invalid_name", "/name", detail));
        }
        declared.check()?;
        self.stock(workspace).await?;
        let row = store::DefinitionRow {
            kind: KIND.to_owned(),
            id: catalog.to_owned(),
            version: 0,
            name: catalog.to_owned(),
            body: serde_json::to_string(&declared).map_err(|error| Error::Bug(error.to_string()))?,
            status: "live".to_owned(),
            author: author.to_owned(),
            at: self.clock.now(),
        };
        let _one = self.recommender.catalogue.lock().await;
        self.store.put_definition(workspace, &row).await?;
        self.recommender.declare(workspace, catalog, declared);
        Ok(())
    }

    /// Writes items of a catalogue as they are; they replace the former ones. Those who know an item that became cheaper
    /// or came back will hear of it.
    ///
    /// # Errors
    /// When nothing was written.
    pub async fn put_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        items: Vec<(String, Value)>,
    ) -> Result<(), Error> {
        self.stock(workspace).await?;
        let _one = self.recommender.catalogue.lock().await;
        let all = self.recommender.catalogues(workspace).unwrap_or_default();
        self.write_items(workspace, catalog, &items, &all).await
    }

    /// Writes items while the catalogue is held.
    async fn write_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        items: &[(String, Value)],
        all: &Catalogues,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let known = all.get(catalog).filter(|_| catalog == CATALOGUE);
        let changes: Vec<store::ItemChange> = known
            .into_iter()
            .flat_map(|known| items.iter().map(move |(id, body)| (known, id, body)))
            .flat_map(|(known, id, body)| changes(known, id, body))
            .map(|(item, name, detail)| store::ItemChange { id: 0, workspace, item, name, detail, at: now })
            .collect();
        let rows: Vec<(String, String)> =
            items.iter().map(|(id, body)| (id.clone(), body.to_string())).collect();
        self.store.change_items(workspace, catalog, &rows, &changes).await?;
        self.recommender.put(workspace, catalog, items);
        if !changes.is_empty() {
            self.recommender.wake.notify_one();
        }
        Ok(())
    }

    /// Items of a catalogue by id after one, whose id or name contains a text, of a collection.
    ///
    /// # Errors
    /// `Missing` when there is no such catalogue.
    pub async fn find_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        search: &str,
        collection: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Found>, usize), Error> {
        let stock = self.stock(workspace).await?;
        let missing = || Error::Missing(format!("There is no catalogue '{catalog}'."));
        let catalogue = stock.catalogues.get(catalog).ok_or_else(missing)?;
        let (search, now) = (search.to_lowercase(), self.clock.now());
        let found = |id: &String, goods: &Goods| {
            let item = goods.item(id, &catalogue.declared);
            let fits = id.to_lowercase().contains(&search) || item.name.to_lowercase().contains(&search);
            let fits = fits && collection.is_none_or(|name| catalogue.is_in(name, goods, now));
            fits.then(|| Found {
                id: id.clone(),
                name: item.name,
                category: goods.category.clone(),
                price: goods.price,
                stock: goods.stock,
                image: goods.body[catalogue.declared.field("image")]
                    .as_str()
                    .or_else(|| goods.body["image_url"].as_str())
                    .map(str::to_owned),
                barred: goods.barred.map(|barred| match barred {
                    Barred::SoldOut => "sold_out",
                    Barred::NoPrice => "no_price",
                }),
                fields: goods.body.clone(),
            })
        };
        let mut total = 0;
        let mut page = Vec::new();
        for (id, goods) in &catalogue.goods {
            if let Some(found) = found(id, goods) {
                total += 1;
                if id.as_str() > after && page.len() < limit {
                    page.push(found);
                }
            }
        }
        Ok((page, total))
    }

    /// How many items each collection of a catalogue has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn collection_sizes(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
    ) -> Result<Vec<(String, String, usize)>, Error> {
        let (stock, now) = (self.stock(workspace).await?, self.clock.now());
        let Some(catalogue) = stock.catalogues.get(catalog) else { return Ok(Vec::new()) };
        let sizes = catalogue
            .declared
            .collections
            .iter()
            .map(|(name, text)| (name.clone(), text.clone(), catalogue.collection(name, now).count()));
        Ok(sizes.collect())
    }

    /// Removes an item. False when there was none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remove_item(&self, workspace: WorkspaceId, catalog: &str, id: &str) -> Result<bool, Error> {
        let _one = self.recommender.catalogue.lock().await;
        let gone = self.store.delete_item(workspace, catalog, id).await?;
        if gone {
            self.recommender.remove(workspace, catalog, id);
        }
        Ok(gone)
    }

    /// Takes rows into a catalogue, each by its own: `product_id` or `id` names the item. With `patch`, fields that a
    /// row does not name stay as they are.
    ///
    /// # Errors
    /// When nothing was written. A row that is wrong costs itself alone.
    pub async fn take_items(
        &self,
        workspace: WorkspaceId,
        catalog: &str,
        rows: Vec<Value>,
        patch: bool,
    ) -> Result<Taken, Error> {
        if !is_name(catalog) {
            let detail = format!("A catalogue's name has 1 to {NAME_BYTES_MAX} bytes of plain text.");
            return Err(Error::invalid("invalid_name", "/name", detail));
        }
        self.stock(workspace).await?;
        // Held from the look at the former row to the write: two changes of one item at once both count.
        let _one = self.recommender.catalogue.lock().await;
        let all = self.recommender.catalogues(workspace).unwrap_or_default();
        let known = all.get(catalog);
        let usual = Declared::default();
        let declared = known.map_or(&usual, |catalogue| &catalogue.declared);
        let mut taken = Taken::default();
        // The last row of an id stands.
        let mut items: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
        for (number, row) in rows.into_iter().enumerate() {
            let mut refuse = |id: Option<String>, reason: String| {
                taken.refused.push(Refused { row: number, id, reason });
            };
            let Value::Object(row) = row else {
                refuse(None, "an item is an object of its fields".to_owned());
                continue;
            };
            let Some(id) = id_of(&row).filter(|id| is_name(id)) else {
                refuse(None, format!("the row has no product_id or id of 1 to {NAME_BYTES_MAX} bytes"));
                continue;
            };
            let mut row = match declared.typed(row) {
                Ok(row) => row,
                Err(reason) => {
                    refuse(Some(id), reason);
                    continue;
                }
            };
            if patch {
                let former = items
                    .get(&id)
                    .or_else(|| known.and_then(|known| known.goods.get(&id)).map(|goods| &goods.body));
                let Some(former) = former.and_then(Value::as_object) else {
                    refuse(Some(id), "there is no such item to change: send it whole first".to_owned());
                    continue;
                };
                let mut whole = former.clone();
                whole.extend(row);
                row = whole;
            }
            row.insert("product_id".to_owned(), json!(id));
            let body = Value::Object(row);
            if body.to_string().len() > ITEM_BYTES_MAX {
                refuse(
                    Some(id),
                    "an item has at most 64 KB: keep long texts and pictures elsewhere".to_owned(),
                );
                continue;
            }
            items.insert(id, body);
        }
        taken.written = items.len();
        if !items.is_empty() {
            let items: Vec<(String, Value)> = items.into_iter().collect();
            self.write_items(workspace, catalog, &items, &all).await?;
        }
        Ok(taken)
    }

    /// Tells those who looked at an item or put it into the cart, and did not buy it since, that it became cheaper or came
    /// back: an event of ours for each of them, once for each change.
    ///
    /// Cost: one scan of the events that speak of items, for all changes that wait.
    ///
    /// # Errors
    /// When the store or the lake does not answer; the changes wait then.
    pub async fn tell_item_changes(&self) -> Result<u64, Error> {
        let waiting = self.store.item_changes(CHANGES_MAX).await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        self.lake_caught_up().await;
        let mut told = 0;
        let workspaces: BTreeSet<WorkspaceId> = waiting.iter().map(|change| change.workspace).collect();
        for workspace in workspaces {
            let changes: Vec<store::ItemChange> =
                waiting.iter().filter(|change| change.workspace == workspace).cloned().collect();
            let (lake, now) = (self.lake.clone(), self.clock.now());
            let (changes, events) = tokio::task::spawn_blocking(move || {
                let events = told_of(&lake, workspace, &changes, now)?;
                Ok::<_, Error>((changes, events))
            })
            .await
            .map_err(|error| Error::Bug(error.to_string()))??;
            let rows: Vec<store::Emitted> = events
                .iter()
                .map(|event| {
                    let payload = codec::encode_event(event)?;
                    Ok(store::Emitted { message_id: event.message_id.clone(), payload })
                })
                .collect::<Result<_, Error>>()?;
            self.store.tell_changes(&changes, &rows).await?;
            told += rows.len() as u64;
        }
        self.wake.relay.notify_one();
        Ok(told)
    }
}

/// What people should hear of when a row takes the place of the one that is known: (item, event, properties).
fn changes(known: &Catalogue, id: &str, body: &Value) -> Vec<(String, String, String)> {
    let Some(former) = known.goods.get(id) else { return Vec::new() };
    let goods = Goods::new(body.clone(), &known.declared);
    let mut detail = json!({
        "product_id": id, "name": goods.item(id, &known.declared).name, "category": goods.category,
        "price": goods.price, "old_price": former.price, "new_price": goods.price,
        "old_stock": former.stock, "new_stock": goods.stock,
        "url": body[known.declared.field("url")], "image_url": body[known.declared.field("image")],
    });
    if let Some(fields) = detail.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let mut out = Vec::new();
    let sold_out = |goods: &Goods| goods.barred == Some(Barred::SoldOut);
    if sold_out(former) && !sold_out(&goods) {
        out.push((id.to_owned(), BACK_IN_STOCK.to_owned(), detail.to_string()));
    }
    let dropped = former.price.zip(goods.price).is_some_and(|(old, new)| new < old);
    if dropped && !sold_out(&goods) {
        out.push((id.to_owned(), PRICE_DROPPED.to_owned(), detail.to_string()));
    }
    out
}

/// The events that changes tell: at most 10,000 profiles for each, those first whose interest is newest.
fn told_of(
    lake: &lake::Lake,
    workspace: WorkspaceId,
    changes: &[store::ItemChange],
    now: Timestamp,
) -> Result<Vec<Event>, Error> {
    let items: BTreeSet<&str> = changes.iter().map(|change| change.item.as_str()).collect();
    // Of each item, who cared when last, and whether it ended in a purchase.
    let mut interest: HashMap<&str, HashMap<i64, (Timestamp, bool)>> = HashMap::new();
    let names = Action::EVENTS.map(str::to_owned);
    lake.scan(workspace.0, &names, i64::MAX, true, &mut |row| {
        let Some(action) = Action::of_event(row.name) else { return };
        if row.profile_id == 0 || row.timestamp < now - INTEREST_AGE_MAX {
            return;
        }
        for item in items_of(row.properties) {
            if let Some(item) = items.get(item.as_str()) {
                let of_item = interest.entry(item).or_default();
                let entry = of_item.entry(row.profile_id).or_insert((row.timestamp, false));
                if row.timestamp >= entry.0 {
                    *entry = (row.timestamp, action == Action::Bought);
                }
            }
        }
    })?;
    let mut out = Vec::new();
    for change in changes {
        let detail: Value = serde_json::from_str(&change.detail).unwrap_or_default();
        let mut people: Vec<(Timestamp, i64)> = interest
            .get(change.item.as_str())
            .into_iter()
            .flatten()
            .filter(|(_, (_, bought))| !bought)
            .map(|(profile, (at, _))| (*at, *profile))
            .collect();
        people.sort_unstable_by(|a, b| b.cmp(a));
        people.truncate(TOLD_MAX);
        for (_, profile) in people {
            let text = format!("{}/{}/{profile}/{}", change.name, change.item, change.at.micros());
            let id = format!("item-{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()));
            let profile = ProfileId(profile);
            out.push(emit::event(workspace, profile, &change.name, id, change.at, detail.clone()));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_price_and_a_return_are_told_and_nothing_else_is() {
        let mut known = Catalogue::default();
        known.put("a", json!({"name": "A", "price": 10, "stock": 3}));
        known.put("b", json!({"name": "B", "price": 10, "stock": 0}));
        let check = |id: &str, body: Value, expected: &[&str]| {
            let found = changes(&known, id, &body);
            let names: Vec<&str> = found.iter().map(|(_, name, _)| name.as_str()).collect();
            assert_eq!(names, expected, "{id} {body}");
            found.first().map(|(_, _, detail)| detail.clone()).unwrap_or_default()
        };
        let detail = check("a", json!({"name": "A", "price": 8, "stock": 3}), &["Price Dropped"]);
        let detail: Value = serde_json::from_str(&detail).unwrap();
        assert_eq!((&detail["old_price"], &detail["new_price"]), (&json!(10.0), &json!(8.0)));
        check("a", json!({"name": "A", "price": 12, "stock": 3}), &[]);
        check("a", json!({"name": "A", "price": 8, "stock": 0}), &[]);
        check("b", json!({"name": "B", "price": 10, "stock": 5}), &["Back In Stock"]);
        check("b", json!({"name": "B", "price": 9, "stock": 5}), &["Back In Stock", "Price Dropped"]);
        check("new", json!({"price": 1}), &[]);
    }
}
