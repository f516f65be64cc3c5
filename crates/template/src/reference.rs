//! The tags, filters and helpers of the template languages as tables: for editors, completion and documentation.
//!
//! A test renders every example; docs/templates-reference.md is written from the tables.

mod filters;
mod helpers;
mod tags;

pub use filters::FILTERS;
pub use helpers::HELPERS;
pub use tags::TAGS;

/// A tag, a filter or a helper.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// How it is written; what may be left out stands in brackets.
    pub form: &'static str,
    /// What it does.
    pub description: &'static str,
    /// A use of it.
    pub example: &'static str,
    /// What the example prints over `SAMPLE`.
    pub shows: &'static str,
}

/// The data of the examples, as JSON.
pub const SAMPLE: &str = r#"{"customer": {"city": "Graz", "email": "reader@shop.example", "tags": ["vip", "new"]}, "products": [{"name": "Lamp", "price": 49.5, "kind": "light"}, {"name": "Rug", "price": 120, "kind": "floor"}, {"name": "Bulb", "price": 4, "kind": "light"}], "ordered_at": "2026-01-05T18:30:00Z", "variant": {"hero": "bold"}, "translations": {"de": {"cart": {"title": "Dein Warenkorb, {city}"}}, "items": {"one": "{count} item", "other": "{count} items"}}}"#;

/// The partials of the examples, by name.
pub const PARTIALS: &[(&str, &str)] = &[("greeting", "Hello {{ customer.city }}")];
