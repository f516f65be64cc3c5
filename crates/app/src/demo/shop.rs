//! The demo's shop: an openly synthetic catalogue whose pictures are drawn here as SVG.

use serde_json::{Value, json};

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
const STYLES: &[&str] = &["Amber", "Birch", "Cobalt", "Dune", "Ember", "Fern", "Granite", "Harbour"];

/// The catalogue: every kind in every style.
pub fn catalogue(seed: u64) -> Vec<Item> {
    let mut random = Random::new(seed, 1);
    let mut items = Vec::new();
    for style in STYLES {
        for (category, kinds, low, high, color) in SHELVES {
            for kind in *kinds {
                let number = items.len() + 1;
                let price = (low + (high - low) * random.unit().powi(2)).floor() + 0.9;
                items.push(Item {
                    id: format!("p-{number:04}"),
                    name: format!("{style} {}", kind.to_lowercase()),
                    category,
                    price,
                    svg: picture(kind, style, color, number),
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

fn picture(kind: &str, style: &str, color: &str, number: usize) -> String {
    let (a, b) = (number * 37 % 360, number * 53 % 140);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" role="img" aria-label="{style} {kind}">
<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="{color}"/><stop offset="1" stop-color="hsl({a} 45% 72%)"/></linearGradient></defs>
<rect width="320" height="240" fill="#f3f1ec"/><circle cx="{cx}" cy="112" r="74" fill="url(#g)"/>
<rect x="{x}" y="64" width="96" height="96" rx="{rx}" fill="hsl({a} 40% 92%)" opacity=".82"/>
<text x="24" y="220" font-family="Inter, sans-serif" font-size="20" fill="#333">{style} {lower}</text></svg>"##,
        cx = 100 + b,
        x = 190 - b / 2,
        rx = 8 + number * 7 % 40,
        lower = kind.to_lowercase(),
    )
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
