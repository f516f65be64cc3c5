//! Catalogues and their items: what recommendations and templates choose from.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::{Map, Value};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Ws;
use crate::extract::{Ask, At, Body};
use crate::shape::{Listing, Paging};
use crate::{App, Problem};

/// Bytes of one item.
const ITEM_BYTES_MAX: usize = 64 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(items)).routes(routes!(one, put, remove))
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
}

fn item((id, body): (String, String)) -> Item {
    Item { id, fields: serde_json::from_str(&body).unwrap_or_default() }
}

/// The catalogues.
#[utoipa::path(get, path = "/api/catalogs", tag = "catalogs", operation_id = "catalogs", responses((status = 200, body = Listing<Catalog>)))]
async fn list(State(app): State<App>, ws: Ws) -> Result<Json<Listing<Catalog>>, Problem> {
    let rows = app.platform.store.catalogs(ws.0).await?;
    Ok(Json(Listing::all(rows.into_iter().map(|(name, items)| Catalog { name, items }).collect())))
}

/// The items of a catalogue, by id.
#[utoipa::path(get, path = "/api/catalogs/{catalog}/items", tag = "catalogs", operation_id = "items", params(("catalog" = String, Path), Paging), responses((status = 200, body = Listing<Item>)))]
async fn items(
    State(app): State<App>,
    ws: Ws,
    At(catalog): At<String>,
    Ask(paging): Ask<Paging>,
) -> Result<Json<Listing<Item>>, Problem> {
    let after = paging.cursor.as_deref().unwrap_or_default();
    let mut rows = app.platform.store.items_after(ws.0, &catalog, after, paging.ask()).await?;
    if rows.is_empty() && after.is_empty() {
        return Err(Problem::missing(&format!("There is no catalogue '{catalog}'.")));
    }
    let next_cursor = paging.cut(&mut rows, |row| row.0.clone());
    Ok(Json(Listing { items: rows.into_iter().map(item).collect(), next_cursor, total: None }))
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
    Ok(Json(item((id, body))))
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
    Ok(Json(Item { id, fields }))
}

/// Removes an item.
#[utoipa::path(delete, path = "/api/catalogs/{catalog}/items/{id}", tag = "catalogs", operation_id = "delete_item", params(("catalog" = String, Path), ("id" = String, Path)), responses((status = 204, description = "It is gone.")))]
async fn remove(
    State(app): State<App>,
    ws: Ws,
    At((catalog, id)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    let gone = app.platform.store.delete_item(ws.0, &catalog, &id).await?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::missing("There is no such item.")) }
}
