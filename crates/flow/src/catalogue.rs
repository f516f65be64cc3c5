//! A catalogue as recommendations and templates see it: what its fields mean, what can be offered now, what a model has
//! to know, and its collections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expr::Condition;
use model::{Map, Timestamp, Value};
use recommend::Item;
use serde::{Deserialize, Serialize};

use crate::{Error, Problem};

/// Fields a catalogue may declare.
const FIELDS_MAX: usize = 100;
/// Collections of a catalogue.
const COLLECTIONS_MAX: usize = 100;
/// The roles a field can have.
pub const ROLES: [&str; 10] =
    ["name", "price", "stock", "category", "brand", "tags", "created_at", "image", "url", "compare_at"];
/// The types a field can have.
pub const TYPES: [&str; 5] = ["text", "number", "bool", "date", "list"];

/// What a catalogue says of itself. Everything is optional: without it, fields are what their names say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declared {
    /// Types of fields: text, number, bool, date, list. A row that contradicts them is refused.
    pub fields: BTreeMap<String, String>,
    /// The field that plays a role, where it is not called like it: name, price, stock, category, brand, tags, …
    pub roles: BTreeMap<String, String>,
    /// Conditions over the fields of items, by name.
    pub collections: BTreeMap<String, String>,
    /// Categories that are bought again and again: their items are offered to those who bought them. `*` is all.
    pub repeat_categories: BTreeSet<String>,
}

/// Why an item cannot be offered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// Its stock says so.
    SoldOut,
    /// A price must be present.
    NoPrice,
}

/// One item of a catalogue.
pub(crate) struct Goods {
    /// Its row.
    pub body: Value,
    /// Why it cannot be offered now.
    pub barred: Option<Barred>,
    /// Its price, when it is a number.
    pub price: Option<f64>,
    /// Its stock as far as it says: 0 when it says that there is none.
    pub stock: Option<f64>,
    /// Its category.
    pub category: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Declared {
    /// The field that plays a role.
    pub fn field<'a>(&'a self, role: &'a str) -> &'a str {
        self.roles.get(role).map_or(role, String::as_str)
    }

    /// Whether items of a category are offered to those who bought them.
    pub fn repeats(&self, category: Option<&str>) -> bool {
        let all = || self.repeat_categories.contains("*");
        category.is_some_and(|category| self.repeat_categories.contains(category)) || all()
    }

    /// Says everything that is wrong with it.
    ///
    /// # Errors
    /// `Invalid` with the path of each fault.
    pub fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        let mut fault = |path: String, message: String| {
            problems.push(Problem { path, message, ..Problem::default() });
        };
        if self.fields.len() > FIELDS_MAX {
            fault("/fields".to_owned(), format!("A catalogue declares at most {FIELDS_MAX} fields."));
        }
        for (name, kind) in &self.fields {
            if !TYPES.contains(&kind.as_str()) {
                let types = TYPES.join(", ");
                fault(format!("/fields/{name}"), format!("There is no type '{kind}': one of {types}."));
            }
        }
        for role in self.roles.keys().filter(|role| !ROLES.contains(&role.as_str())) {
            let roles = ROLES.join(", ");
            fault(format!("/roles/{role}"), format!("There is no role '{role}': one of {roles}."));
        }
        if self.collections.len() > COLLECTIONS_MAX {
            fault(
                "/collections".to_owned(),
                format!("A catalogue has at most {COLLECTIONS_MAX} collections."),
            );
        }
        for (name, text) in &self.collections {
            if let Err(why) = collection(text) {
                fault(format!("/collections/{name}"), why);
            }
        }
        match problems.first() {
            None => Ok(()),
            Some(first) => {
                Err(Error::Invalid { code: "invalid_catalog", detail: first.message.clone(), problems })
            }
        }
    }

    /// Brings a row to its declared types; tables give texts.
    ///
    /// # Errors
    /// Says which field contradicts its type.
    pub fn typed(&self, mut row: Map) -> Result<Map, String> {
        for (name, kind) in &self.fields {
            let Some(value) = row.get_mut(name).filter(|value| !value.is_null()) else { continue };
            let empty = value.as_str().is_some_and(|text| text.trim().is_empty());
            let found = match kind.as_str() {
                _ if empty && kind != "text" => Some(Value::Null),
                "number" => written_number(value),
                "bool" => match value {
                    Value::Bool(_) => Some(value.clone()),
                    Value::String(text) => match text.trim().to_lowercase().as_str() {
                        "true" | "yes" | "1" => Some(Value::Bool(true)),
                        "false" | "no" | "0" => Some(Value::Bool(false)),
                        _ => None,
                    },
                    _ => None,
                },
                "date" => value.as_str().filter(|text| Timestamp::parse(text).is_some()).map(Value::from),
                "list" => match value {
                    Value::Array(_) => Some(value.clone()),
                    Value::String(text) => Some(words(text).into()),
                    _ => None,
                },
                _ => match value {
                    Value::String(_) => Some(value.clone()),
                    Value::Number(number) => Some(Value::String(number.to_string())),
                    Value::Bool(bool) => Some(Value::String(bool.to_string())),
                    _ => None,
                },
            };
            match found {
                Some(found) => *value = found,
                None => return Err(format!("the field '{name}' is declared as {kind}, and is {value}")),
            }
        }
        // Undeclared, they are numbers where they can be: tables write everything as text.
        for role in ["price", "stock", "compare_at"] {
            let field = self.field(role);
            if !self.fields.contains_key(field)
                && let Some(value) = row.get_mut(field)
                && let Some(found) = written_number(value)
            {
                *value = found;
            }
        }
        Ok(row)
    }
}

/// A collection's condition: over fields alone.
fn collection(text: &str) -> Result<Condition, String> {
    let condition = expr::parse(text).map_err(|error| error.message)?;
    let only_fields = condition.leaves().iter().all(|leaf| matches!(leaf, Condition::Attribute { .. }));
    if only_fields {
        Ok(condition)
    } else {
        Err("A collection asks for fields of items alone, such as category = \"tea\" and price < 20."
            .to_owned())
    }
}

fn holds(condition: &Condition, item: &Map, now: Timestamp) -> bool {
    match condition {
        Condition::And { all } => all.iter().all(|part| holds(part, item, now)),
        Condition::Or { any } => any.iter().any(|part| holds(part, item, now)),
        Condition::Not { condition } => !holds(condition, item, now),
        Condition::Attribute { path, test } => expr::evaluate_attribute(path, test, item, now).holds,
        _ => false,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split([',', ';', '|']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Goods {
    pub fn new(body: Value, declared: &Declared) -> Goods {
        let of = |role: &str| &body[declared.field(role)];
        let says_none = body["in_stock"] == Value::Bool(false) || body["available"] == Value::Bool(false);
        let stock = if says_none { Some(0.0) } else { number(of("stock")) };
        let price = number(of("price"));
        let barred = match (stock.is_some_and(|stock| stock <= 0.0), price.is_some_and(|price| price >= 0.0))
        {
            (true, _) => Some(Barred::SoldOut),
            (false, false) => Some(Barred::NoPrice),
            (false, true) => None,
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let tags = match of("tags") {
            Value::Array(tags) => tags.iter().filter_map(text).collect(),
            Value::String(tags) => words(tags),
            _ => Vec::new(),
        };
        let category = text(of("category"));
        Goods { body, barred, price, stock, category, tags }
    }

    /// As a model wants it.
    pub fn item(&self, id: &str, declared: &Declared) -> Item {
        let text = |role: &str| {
            self.body[declared.field(role)].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Item {
            id: id.to_owned(),
            name: text("name")
                .or_else(|| self.body["title"].as_str().map(str::to_owned))
                .unwrap_or_else(|| id.to_owned()),
            category: self.category.clone(),
            attributes: text("brand").into_iter().chain(self.tags.iter().cloned()).collect(),
            created_at: text("created_at")
                .and_then(|text| Timestamp::parse(&text))
                .unwrap_or_else(|| Timestamp::from_secs(0)),
        }
    }
}

/// The same as a value, whole numbers as whole ones.
fn written_number(value: &Value) -> Option<Value> {
    if value.is_number() {
        return Some(value.clone());
    }
    let whole = value.as_str()?.trim().parse::<i64>().ok().map(Value::from);
    whole.or_else(|| number(value).and_then(serde_json::Number::from_f64).map(Value::Number))
}

/// A number, or a text that is one: tables give texts.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

/// A catalogue in memory.
#[derive(Clone, Default)]
pub(crate) struct Catalogue {
    /// What it says of itself.
    pub declared: Declared,
    collections: BTreeMap<String, Condition>,
    /// Its items by id.
    pub goods: BTreeMap<String, Arc<Goods>>,
}

impl Catalogue {
    /// An empty one.
    pub fn new(declared: Declared) -> Catalogue {
        let compiled = |(name, text): (&String, &String)| Some((name.clone(), collection(text).ok()?));
        let collections = declared.collections.iter().filter_map(compiled).collect();
        Catalogue { declared, collections, goods: BTreeMap::new() }
    }

    /// The same items under another declaration.
    pub fn declared_anew(&self, declared: Declared) -> Catalogue {
        let mut out = Catalogue::new(declared);
        for (id, goods) in &self.goods {
            out.put(id, goods.body.clone());
        }
        out
    }

    /// Takes a row; true when what a model knows of the item changed.
    pub fn put(&mut self, id: &str, body: Value) -> bool {
        let goods = Goods::new(body, &self.declared);
        let changed = self
            .goods
            .get(id)
            .is_none_or(|known| known.item(id, &self.declared) != goods.item(id, &self.declared));
        self.goods.insert(id.to_owned(), Arc::new(goods));
        changed
    }

    /// Forgets a row; true when there was one.
    pub fn remove(&mut self, id: &str) -> bool {
        self.goods.remove(id).is_some()
    }

    /// As a model wants them.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        self.goods.iter().map(|(id, goods)| goods.item(id, &self.declared))
    }

    /// Whether there is a collection of this name.
    pub fn has_collection(&self, name: &str) -> bool {
        self.collections.contains_key(name)
    }

    /// Whether an item belongs to a collection.
    pub fn is_in(&self, name: &str, goods: &Goods, now: Timestamp) -> bool {
        let item = goods.body.as_object();
        self.collections.get(name).zip(item).is_some_and(|(condition, item)| holds(condition, item, now))
    }

    /// The items of a collection, by id.
    pub fn collection(&self, name: &str, now: Timestamp) -> impl Iterator<Item = (&String, &Arc<Goods>)> {
        let name = name.to_owned();
        self.goods.iter().filter(move |(_, goods)| self.is_in(&name, goods, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_of_stock_or_price_needs_no_fit_and_one_of_name_does() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.put("a", json!({"product_id": "a", "name": "A", "category": "c", "price": 1})));
        assert!(
            !catalogue
                .put("a", json!({"product_id": "a", "name": "A", "category": "c", "price": 2, "stock": 0}))
        );
        assert_eq!(catalogue.goods["a"].barred, Some(Barred::SoldOut));
        assert!(catalogue.put("a", json!({"product_id": "a", "name": "B", "category": "c", "price": 2})));
        assert_eq!(catalogue.goods["a"].barred, None);
        assert!(catalogue.remove("a") && !catalogue.remove("a"));
    }

    #[test]
    fn a_field_of_another_name_plays_its_role() {
        let declared = Declared {
            roles: BTreeMap::from([
                ("price".into(), "price_eur".into()),
                ("name".into(), "bezeichnung".into()),
            ]),
            ..Declared::default()
        };
        let mut catalogue = Catalogue::new(declared);
        catalogue.put("a", json!({"price_eur": "9.90", "bezeichnung": "Tee", "tags": "green, leaf"}));
        let goods = &catalogue.goods["a"];
        assert_eq!((goods.price, goods.tags.len()), (Some(9.9), 2));
        assert_eq!(goods.item("a", &catalogue.declared).name, "Tee");
    }

    #[test]
    fn a_row_takes_its_declared_types_or_says_which_field_contradicts_them() {
        let declared: Declared = serde_json::from_value(json!({
            "fields": {"price": "number", "new": "bool", "tags": "list", "code": "text"}
        }))
        .unwrap();
        let row = json!({"price": "9.90", "new": "yes", "tags": "a, b", "code": 7, "other": [1]});
        let typed = declared.typed(row.as_object().unwrap().clone()).unwrap();
        let expected = json!({"price": 9.9, "new": true, "tags": ["a", "b"], "code": "7", "other": [1]});
        assert_eq!(Value::Object(typed), expected);
        let bare = Declared::default()
            .typed(json!({"price": "5", "stock": "1.5", "code": "7"}).as_object().unwrap().clone());
        assert_eq!(Value::Object(bare.unwrap()), json!({"price": 5, "stock": 1.5, "code": "7"}));
        let wrong = declared.typed(json!({"price": "cheap"}).as_object().unwrap().clone()).unwrap_err();
        assert!(wrong.contains("'price'") && wrong.contains("number"), "{wrong}");
    }

    #[test]
    fn a_collection_is_a_condition_over_fields_and_nothing_else() {
        let declared: Declared = serde_json::from_value(json!({
            "collections": {"cheap tea": "category = \"tea\" and price < 20"}
        }))
        .unwrap();
        declared.check().unwrap();
        let mut catalogue = Catalogue::new(declared);
        catalogue.put("a", json!({"category": "tea", "price": 5}));
        catalogue.put("b", json!({"category": "tea", "price": 50}));
        catalogue.put("c", json!({"category": "cup", "price": 5}));
        let now = Timestamp::from_secs(0);
        let found: Vec<&String> = catalogue.collection("cheap tea", now).map(|(id, _)| id).collect();
        assert_eq!(found, ["a"]);
        assert_eq!(catalogue.collection("no such", now).count(), 0);
        let wrong: Declared = serde_json::from_value(json!({
            "fields": {"a": "colour"}, "roles": {"size": "s"}, "collections": {"x": "did \"Order Completed\""}
        }))
        .unwrap();
        let Err(Error::Invalid { problems, .. }) = wrong.check() else { panic!("it was taken") };
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["/fields/a", "/roles/size", "/collections/x"]);
    }
}
