//! Catalogues: typed rows, partial updates, what a mail may read of them, and what a change tells those who know the item.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use common::{Shop, W};
use flow::{Declared, Work};
use serde_json::{Value, json};

async fn shop() -> Shop {
    let shop = Shop::open().await;
    let declared: Declared = serde_json::from_value(json!({
        "fields": {"price": "number", "stock": "number"},
        "collections": {"cheap": "price < 10"},
    }))
    .unwrap();
    shop.platform.declare_catalogue(W, "products", declared, "test").await.unwrap();
    let rows = (0..4)
        .map(|n| json!({"id": format!("p{n}"), "name": format!("Product {n}"), "price": n * 5, "stock": "3"}))
        .collect();
    let taken = shop.platform.take_items(W, "products", rows, false).await.unwrap();
    assert_eq!((taken.written, taken.refused.len()), (4, 0));
    shop
}

async fn rendered(shop: &Shop, template: &str) -> String {
    let request = flow::RenderRequest {
        body: json!({"subject": "s", "format": "html", "body": template}),
        ..flow::RenderRequest::default()
    };
    shop.platform.render(W, request).await.unwrap().html
}

#[tokio::test]
async fn a_row_that_contradicts_its_types_costs_itself_and_a_patch_keeps_what_it_does_not_name() {
    let shop = shop().await;
    let rows = vec![
        json!({"id": "p1", "price": "4.50"}),
        json!({"id": "p2", "price": "cheap"}),
        json!({"id": "p9", "price": 1}),
        json!({"price": 1}),
        json!([]),
    ];
    let taken = shop.platform.take_items(W, "products", rows, true).await.unwrap();
    assert_eq!(taken.written, 1);
    let refused: Vec<(usize, Option<&str>)> =
        taken.refused.iter().map(|row| (row.row, row.id.as_deref())).collect();
    assert_eq!(refused, [(1, Some("p2")), (2, Some("p9")), (3, None), (4, None)]);
    let stored: Value =
        serde_json::from_str(&shop.platform.store.item(W, "products", "p1").await.unwrap().unwrap()).unwrap();
    assert_eq!((&stored["price"], &stored["name"]), (&json!(4.5), &json!("Product 1")));
}

#[tokio::test]
async fn a_mail_reads_items_and_collections_from_memory_and_what_is_removed_is_gone_at_once() {
    let shop = shop().await;
    let template = r#"{{ catalog.products["p3"].name }}|{% for p in catalog.collections.cheap %}{{ p.product_id }} {% endfor %}|{% for p in catalog.products %}{{ p[0] }} {% endfor %}"#;
    let html = rendered(&shop, template).await;
    assert!(html.contains("Product 3|p0 p1 |p0 p1 p2 p3 "), "{html}");
    assert!(shop.platform.remove_item(W, "products", "p1").await.unwrap());
    assert!(!shop.platform.remove_item(W, "products", "p1").await.unwrap());
    let html = rendered(&shop, template).await;
    assert!(html.contains("Product 3|p0 |p0 p2 p3 "), "{html}");
    let ids = |items: Vec<Value>| items.iter().map(|item| item["product_id"].clone()).collect::<Vec<_>>();
    let offered = shop.platform.recommendations(W, model::ProfileId(9), 9).await.unwrap();
    assert!(!ids(offered).contains(&json!("p1")));
    let wish = flow::Wish { collection: Some("cheap".to_owned()), ..flow::Wish::of(9) };
    let offer = shop.platform.recommend(W, model::ProfileId(9), &wish).await.unwrap();
    assert_eq!(ids(offer.items), [json!("p0")]);
    let unknown = flow::Wish { collection: Some("dear".to_owned()), ..flow::Wish::of(9) };
    assert_eq!(
        shop.platform.recommend(W, model::ProfileId(9), &unknown).await.unwrap_err().code(),
        "unknown_collection"
    );
}

#[tokio::test]
async fn those_who_looked_and_did_not_buy_hear_once_of_a_lower_price_and_a_return() {
    let shop = shop().await;
    shop.track("ada", "Product Viewed", json!({"product_id": "p2"})).await;
    shop.track("ben", "Product Viewed", json!({"product_id": "p2"})).await;
    shop.pass(10);
    shop.track("ben", "Order Completed", json!({"products": [{"product_id": "p2"}]})).await;
    shop.track("cleo", "Product Viewed", json!({"product_id": "p3"})).await;
    shop.identify("ada", json!({})).await;
    shop.template("dropped", "<p>Now {{ event.new_price }}, was {{ event.old_price }}</p>").await;
    let mut journey = common::wait_then_send(60, "dropped");
    journey["trigger"]["event"] = json!("Price Dropped");
    shop.journey("dropped", journey).await;
    shop.work().await;
    let change = |price: f64, stock: i64| vec![json!({"id": "p2", "price": price, "stock": stock})];
    shop.platform.take_items(W, "products", change(8.0, 3), true).await.unwrap();
    shop.platform.round(Work::Archive).await.unwrap();
    assert_eq!(shop.platform.tell_item_changes().await.unwrap(), 1, "ada alone");
    assert_eq!(shop.platform.tell_item_changes().await.unwrap(), 0, "once");
    shop.work().await;
    shop.pass_and_work(60).await;
    assert_eq!(shop.count("Price Dropped").await, 1);
    assert_eq!(shop.mails().await, [common::accepted("dropped")]);
    let content = shop.messages().await.pop().unwrap().content.unwrap();
    assert!(content.contains("Now 8.0, was 10"), "{content}");
    shop.platform.take_items(W, "products", change(8.0, 0), true).await.unwrap();
    shop.platform.take_items(W, "products", change(8.0, 1), true).await.unwrap();
    assert_eq!(shop.platform.tell_item_changes().await.unwrap(), 1);
    shop.work().await;
    assert_eq!(shop.count("Back In Stock").await, 1);
}

#[tokio::test]
async fn what_a_mail_showed_does_not_come_again_at_once() {
    let shop = shop().await;
    let body = "<p>{% assign list = site.recommendations[customer.id] %}{% for p in list limit: 2 %}[{{ p.product_id }}]{% endfor %}</p>";
    shop.template("offer", body).await;
    shop.journey("offer", common::wait_then_send(60, "offer")).await;
    let more =
        (4..20).map(|n| json!({"id": format!("p{n:02}"), "name": "x", "price": 1, "stock": 1})).collect();
    shop.platform.take_items(W, "products", more, false).await.unwrap();
    shop.platform.fit_recommendations(W).await.unwrap();
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Go", json!({})).await;
    shop.work().await;
    shop.pass_and_work(60).await;
    shop.work().await;
    let message = shop.messages().await.pop().unwrap();
    let trace: Vec<Value> = serde_json::from_str(&message.trace).unwrap();
    let step = trace.iter().find(|step| step["step"] == "recommendations").unwrap();
    assert_eq!(step["data"]["model"]["variant"], "usual");
    assert!(!step["data"]["candidates"].as_array().unwrap().is_empty());
    let shown: Vec<&Value> =
        step["data"]["items"].as_array().unwrap().iter().map(|i| &i["product_id"]).collect();
    let ada = shop.profile("ada").await;
    let next = shop.platform.recommendations(W, ada, 6).await.unwrap();
    assert!(next.iter().all(|item| !shown.contains(&&item["product_id"])), "{shown:?} {next:?}");
}
