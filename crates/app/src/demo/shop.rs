//! The demo's shop: an openly synthetic catalogue whose pictures are drawn here as SVG.

use serde_json::{Value, json};

use super::picture;
use super::random::Random;

/// An item of the catalogue.
#[derive(Clone, Debug)]
pub struct Item {
    /// `p-0001` …
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its shelf.
    pub category: &'static str,
    /// In euros.
    pub price: f64,
    /// Its picture.
    pub svg: String,
}

const SHELVES: &[(&str, &[&str], f64, f64, &str)] = &[
    ("Shoes", &["Runner", "Trail shoe", "Sneaker", "Boot", "Sandal"], 39.0, 149.0, "#2f6f8f"),
    (
        "Fitness",
        &["Kettlebell", "Yoga mat", "Resistance band", "Foam roller", "Skipping rope"],
        9.0,
        89.0,
        "#3d7a4a",
    ),
    (
        "Kitchen",
        &["Teapot", "Cutting board", "Cast-iron pan", "Mixing bowl", "Coffee grinder"],
        15.0,
        129.0,
        "#a5602b",
    ),
    ("Outdoor", &["Backpack", "Head torch", "Flask", "Camp chair", "Rain jacket"], 19.0, 189.0, "#5b6b2f"),
    ("Books", &["Field guide", "Cookbook", "Atlas", "Notebook", "Sketchbook"], 8.0, 45.0, "#6a4c8c"),
    (
        "Luxury",
        &["Cashmere scarf", "Leather bag", "Silk shirt", "Watch stand", "Crystal vase"],
        120.0,
        480.0,
        "#8c2f4b",
    ),
];
/// A style and its hue in degrees.
const STYLES: &[(&str, usize)] = &[
    ("Amber", 38),
    ("Birch", 70),
    ("Cobalt", 218),
    ("Dune", 28),
    ("Ember", 10),
    ("Fern", 130),
    ("Granite", 205),
    ("Harbour", 188),
];

/// The catalogue: every kind in every style.
pub fn catalogue(seed: u64) -> Vec<Item> {
    let mut random = Random::new(seed, 1);
    let mut items = Vec::new();
    for (style, hue) in STYLES {
        for (category, kinds, low, high, color) in SHELVES {
            for kind in *kinds {
                let number = items.len() + 1;
                let price = (low + (high - low) * random.unit().powi(2)).floor() + 0.9;
                items.push(Item {
                    id: format!("p-{number:04}"),
                    name: format!("{style} {}", kind.to_lowercase()),
                    category,
                    price,
                    svg: picture::draw(kind, style, color, *hue),
                });
            }
        }
    }
    items
}

/// The item as catalogue row. `base` is where pictures and pages are served.
pub fn row(item: &Item, base: &str) -> Value {
    json!({
        "product_id": item.id, "name": item.name, "category": item.category, "price": item.price,
        "currency": "EUR", "brand": "Demo shop",
        "url": format!("{base}/demo/{}", item.id),
        "image_url": format!("{base}/media/{}.svg", item.id),
    })
}

/// The item as a product of an event.
pub fn product(item: &Item, quantity: u32, base: &str) -> Value {
    let mut product = row(item, base);
    product["quantity"] = json!(quantity);
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_catalogue_and_every_item_its_own_id() {
        let (a, b) = (catalogue(7), catalogue(7));
        assert_eq!(a.len(), 240);
        assert!(a.iter().zip(&b).all(|(x, y)| x.id == y.id && x.price == y.price));
        let ids: std::collections::BTreeSet<_> = a.iter().map(|i| &i.id).collect();
        assert_eq!(ids.len(), a.len());
    }
}
