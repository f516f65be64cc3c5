//! Catalogues and their items: what recommendations and templates choose from.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flow::ITEM_BYTES_MAX;
use model::{Map, Value};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::shape::{Listing, Paging};
use crate::{App, Problem};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(declared, declare))
        .routes(routes!(items))
        .routes(routes!(one, put, remove))
}

/// A catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Catalog {
    /// Its name, as in `catalog.<name>` of templates.
    pub name: String,
    /// Its items.
    pub items: i64,
}

/// An item.
#[derive(Debug, Serialize, ToSchema)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// Its fields.
    pub fields: Value,
    /// What it is called; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its category; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its price; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// Its stock; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<f64>,
    /// Its picture; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why it is not offered, in lists: sold_out or no_price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barred: Option<String>,
}

impl Item {
    fn of(id: String, fields: Value) -> Item {
        Item { id, fields, name: None, category: None, price: None, stock: None, image: None, barred: None }
    }
}

/// The catalogues.
#[utoipa::path(get, path = "/api/catalogs", tag = "catalogs", operation_id = "catalogs", responses((status = 200, body = Listing<Catalog>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<Catalog>>, Problem> {
    let rows = app.platform.catalogues(ws.0).await?;
    let rows = rows.into_iter().map(|(name, items)| Catalog { name, items: items as i64 });
    Ok(Json(Listing::all(rows.collect())))
}

/// What a catalogue says of itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogDeclaration {
    /// Types of fields: text, number, bool, date, list. A row that contradicts them is refused.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The field that plays a role, where it is not called like it: name, price, stock, category, brand, tags,
    /// created_at, image, url, compare_at.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// Conditions over the fields of items, by name: `category = "tea" and price < 20`.
    #[serde(default)]
    pub collections: BTreeMap<String, String>,
    /// Categories whose items are offered to those who bought them; `*` is all.
    #[serde(default)]
    pub repeat_categories: BTreeSet<String>,
}

/// A collection and its size.
#[derive(Debug, Serialize, ToSchema)]
pub struct CatalogCollection {
    /// Its name, as in `catalog.collections.<name>` of templates.
    pub name: String,
    /// Its condition.
    pub condition: String,
    /// Items it holds now.
    pub items: u64,
}

/// A catalogue with what it says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct CatalogDetail {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub declaration: CatalogDeclaration,
    /// Its collections.
    pub collections: Vec<CatalogCollection>,
}

/// Answers 404 for a catalogue that is neither declared nor has items.
pub(crate) async fn known(app: &App, ws: &Ws, name: &str) -> Result<(), Problem> {
    if app.platform.catalogues(ws.0).await?.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    Err(Problem::missing(&format!(
        "There is no catalogue '{name}': declare it by a PUT to its address first."
    )))
}

async fn detail(app: &App, ws: Ws, name: String) -> Result<Json<CatalogDetail>, Problem> {
    known(app, &ws, &name).await?;
    let declared = app.platform.catalogue_declared(ws.0, &name).await?;
    let sizes = app.platform.collection_sizes(ws.0, &name).await?;
    let collections = sizes.into_iter().map(|(name, condition, items)| CatalogCollection {
        name,
        condition,
        items: items as u64,
    });
    let flow::Declared { fields, roles, collections: texts, repeat_categories } = declared;
    Ok(Json(CatalogDetail {
        name,
        declaration: CatalogDeclaration { fields, roles, collections: texts, repeat_categories },
        collections: collections.collect(),
    }))
}

/// What a catalogue says of itself, and its collections.
#[utoipa::path(get, path = "/api/catalogs/{catalog}", tag = "catalogs", operation_id = "catalog", params(("catalog" = String, Path)), responses((status = 200, body = CatalogDetail)))]
async fn declared(
    State(app): State<App>,
    ws: Ws,
    At(catalog): At<String>,
) -> Result<Json<CatalogDetail>, Problem> {
    detail(&app, ws, catalog).await
}

/// Declares a catalogue: types and roles of fields, collections, what is bought again and again.
#[utoipa::path(put, path = "/api/catalogs/{catalog}", tag = "catalogs", operation_id = "declare_catalog", params(("catalog" = String, Path)), request_body = CatalogDeclaration, responses((status = 200, body = CatalogDetail)))]
async fn declare(
    State(app): State<App>,
    ws: Ws,
    At(catalog): At<String>,
    Body(given): Body<CatalogDeclaration>,
) -> Result<Json<CatalogDetail>, Problem> {
    let CatalogDeclaration { fields, roles, collections, repeat_categories } = given;
    let declared = flow::Declared { fields, roles, collections, repeat_categories };
    app.platform.declare_catalogue(ws.0, &catalog, declared, "api").await?;
    detail(&app, ws, catalog).await
}

/// Which items.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichItems {
    /// A part of an id or a name.
    pub search: Option<String>,
    /// Of this collection alone.
    pub collection: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 500; 50 otherwise.
    pub limit: Option<i64>,
}

/// The items of a catalogue, by id.
#[utoipa::path(get, path = "/api/catalogs/{catalog}/items", tag = "catalogs", operation_id = "items", params(("catalog" = String, Path), WhichItems), responses((status = 200, body = Listing<Item>)))]
async fn items(
    State(app): State<App>,
    ws: Ws,
    At(catalog): At<String>,
    Ask(which): Ask<WhichItems>,
) -> Result<Json<Listing<Item>>, Problem> {
    let paging = Paging { cursor: which.cursor, limit: which.limit };
    let after = paging.cursor.as_deref().unwrap_or_default();
    let search = which.search.as_deref().unwrap_or_default();
    let collection = which.collection.as_deref();
    let (mut found, total) =
        app.platform.find_items(ws.0, &catalog, search, collection, after, paging.ask() as usize).await?;
    let next_cursor = paging.cut(&mut found, |row| row.id.clone());
    let items = found.into_iter().map(|row| Item {
        name: Some(row.name),
        category: row.category,
        price: row.price,
        stock: row.stock,
        image: row.image,
        barred: row.barred.map(str::to_owned),
        ..Item::of(row.id, row.fields)
    });
    Ok(Json(Listing { items: items.collect(), next_cursor, total: Some(total as i64) }))
}

/// One item.
#[utoipa::path(get, path = "/api/catalogs/{catalog}/items/{id}", tag = "catalogs", operation_id = "item", params(("catalog" = String, Path), ("id" = String, Path)), responses((status = 200, body = Item)))]
async fn one(
    State(app): State<App>,
    ws: Ws,
    At((catalog, id)): At<(String, String)>,
) -> Result<Json<Item>, Problem> {
    let body = app.platform.store.item(ws.0, &catalog, &id).await?;
    let body = body.ok_or_else(|| Problem::missing("There is no such item."))?;
    Ok(Json(Item::of(id, serde_json::from_str(&body).unwrap_or_default())))
}

/// Writes an item; it replaces the former one.
#[utoipa::path(put, path = "/api/catalogs/{catalog}/items/{id}", tag = "catalogs", operation_id = "put_item", params(("catalog" = String, Path), ("id" = String, Path)), request_body = std::collections::BTreeMap<String, Value>, responses((status = 200, body = Item)))]
async fn put(
    State(app): State<App>,
    ws: Ws,
    At((catalog, id)): At<(String, String)>,
    Body(fields): Body<Map>,
) -> Result<Json<Item>, Problem> {
    let named = |text: &str| !text.is_empty() && text.len() <= 100 && !text.contains(char::is_control);
    if !named(&catalog) || !named(&id) {
        return Err(Problem::invalid(
            "Names of catalogues and ids of items have 1 to 100 bytes of plain text.",
        ));
    }
    let fields = Value::Object(fields);
    if fields.to_string().len() > ITEM_BYTES_MAX {
        return Err(Problem::too_large("An item has at most 64 KB: keep long texts and pictures elsewhere."));
    }
    app.platform.put_items(ws.0, &catalog, vec![(id.clone(), fields.clone())]).await?;
    Ok(Json(Item::of(id, fields)))
}

/// Removes an item.
#[utoipa::path(delete, path = "/api/catalogs/{catalog}/items/{id}", tag = "catalogs", operation_id = "delete_item", params(("catalog" = String, Path), ("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(
    State(app): State<App>,
    ws: Ws,
    At((catalog, id)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let gone = app.platform.remove_item(ws.0, &catalog, &id).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("There is no such item.")) }
}
