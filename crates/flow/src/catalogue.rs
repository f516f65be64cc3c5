//! A catalogue as recommendations see it: what can be offered now, and what a model has to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Timestamp, Value};
use recommend::Item;
use serde_json::json;

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
}

impl Goods {
    fn new(body: Value) -> Goods {
        let sold_out = number(&body["stock"]).is_some_and(|stock| stock <= 0.0)
            || body["in_stock"] == json!(false)
            || body["available"] == json!(false);
        let priced = number(&body["price"]).is_some_and(|price| price >= 0.0);
        let barred = match (sold_out, priced) {
            (true, _) => Some(Barred::SoldOut),
            (false, false) => Some(Barred::NoPrice),
            (false, true) => None,
        };
        Goods { body, barred }
    }

    /// As a model wants it.
    pub fn item(&self, id: &str) -> Item {
        let text = |name: &str| self.body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Item {
            id: id.to_owned(),
            name: text("name").or_else(|| text("title")).unwrap_or_else(|| id.to_owned()),
            category: text("category"),
            created_at: text("created_at")
                .and_then(|text| Timestamp::parse(&text))
                .unwrap_or_else(|| Timestamp::from_secs(0)),
        }
    }
}

/// A number, or a text that is one: tables give texts.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A catalogue in memory.
#[derive(Clone, Default)]
pub(crate) struct Catalogue {
    /// Its items by id.
    pub goods: BTreeMap<String, Arc<Goods>>,
}

impl Catalogue {
    /// Whether an item can be offered now.
    pub fn offers(&self, id: &str) -> bool {
        self.goods.get(id).is_some_and(|goods| goods.barred.is_none())
    }

    /// Takes a row; true when what a model knows of the item changed.
    pub fn put(&mut self, id: &str, body: Value) -> bool {
        let goods = Goods::new(body);
        let changed = self.goods.get(id).is_none_or(|known| known.item(id) != goods.item(id));
        self.goods.insert(id.to_owned(), Arc::new(goods));
        changed
    }

    /// As a model wants them.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        self.goods.iter().map(|(id, goods)| goods.item(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_stock_or_price_needs_no_fit_and_one_of_name_does() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.put("a", json!({"product_id": "a", "name": "A", "category": "c", "price": 1})));
        assert!(
            !catalogue
                .put("a", json!({"product_id": "a", "name": "A", "category": "c", "price": 2, "stock": 0}))
        );
        assert!(!catalogue.offers("a"));
        assert!(catalogue.put("a", json!({"product_id": "a", "name": "B", "category": "c", "price": 2})));
        assert!(catalogue.offers("a"));
    }
}
