//! Recommendations in a mail: from memory and the profile's own history, never from a scan, never what was bought.

mod common;

use common::{Shop, W};
use flow::Work;
use serde_json::{Value, json};

const LIST: &str = "<p>{% assign offered = site.recommendations[customer.id] %}{% for p in offered %}[{{ p.product_id }}]{% endfor %}</p>";

async fn shop() -> Shop {
    let shop = Shop::open().await;
    let items = (0..9)
        .map(|n| {
            let id = format!("p{n}");
            let body = json!({"product_id": id, "name": format!("Product {n}"), "category": format!("c{}", n % 5), "price": 5});
            (id, body)
        })
        .collect();
    shop.platform.put_items(W, "products", items).await.expect("written");
    shop.template("offer", LIST).await;
    shop.journey("offer", common::wait_then_send(600, "offer")).await;
    shop
}

async fn view(shop: &Shop, user: &str, items: &[&str]) {
    for item in items {
        shop.pass(1);
        shop.track(user, "Product Viewed", json!({"product_id": item})).await;
    }
}

/// The html of the last mail and the recommendations' step of its trace.
async fn last_mail(shop: &Shop) -> (String, Value) {
    let message = shop.messages().await.pop().expect("a mail");
    assert_eq!(message.state, "accepted");
    let content: Value = serde_json::from_str(message.content.as_deref().unwrap_or_default()).expect("JSON");
    let trace: Vec<Value> = serde_json::from_str(&message.trace).expect("JSON");
    let step = trace.into_iter().find(|step| step["step"] == "recommendations").expect("a step of the trace");
    (content["html"].as_str().unwrap_or_default().to_owned(), step)
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["product_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_mail_offers_what_others_took_next_says_why_and_reads_no_lake() {
    let shop = shop().await;
    for user in ["ben", "cleo", "dan"] {
        view(&shop, user, &["p1", "p2", "p3"]).await;
    }
    shop.identify("ada", json!({})).await;
    shop.work().await;
    assert_eq!(shop.platform.fit_recommendations(W).await.unwrap(), 9);
    // Whatever reads the lake from here on fails.
    shop.platform.lake.flush().unwrap();
    let mut removed = 0;
    let mut folders = vec![shop.dir().join("lake")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                std::fs::remove_file(path).unwrap();
                removed += 1;
            }
        }
    }
    assert!(removed > 0);
    assert!(shop.platform.fit_recommendations(W).await.is_err(), "a fit reads the lake");
    view(&shop, "ada", &["p1"]).await;
    shop.track("ada", "Go", json!({})).await;
    shop.work().await;
    shop.pass_and_work(600).await;
    let (html, step) = last_mail(&shop).await;
    assert!(html.contains("[p2][p3]"), "{html}");
    assert!(!html.contains("[p1]"), "{html}");
    assert_eq!(step["data"]["items"][0]["reason"], "Because you viewed Product 1");
    assert_eq!(step["data"]["items"][0]["source"], "history");
    assert_eq!(step["data"]["model"]["interactions"], 9);
    assert!(
        step["sentence"].as_str().unwrap().contains("Product 2 (because you viewed Product 1)"),
        "{step}"
    );
}

#[tokio::test]
async fn what_was_bought_a_moment_ago_or_is_sold_out_is_not_in_the_mail() {
    let shop = shop().await;
    for user in ["ben", "cleo"] {
        view(&shop, user, &["p1", "p2", "p3", "p4"]).await;
    }
    view(&shop, "ada", &["p1"]).await;
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Go", json!({})).await;
    shop.work().await;
    shop.platform.fit_recommendations(W).await.unwrap();
    let ada = shop.profile("ada").await;
    let before = shop.platform.recommendations(W, ada, 6).await.unwrap();
    assert_eq!(ids(&before)[..3], ["p2", "p3", "p4"]);
    shop.pass(599);
    shop.track("ada", "Order Completed", json!({"products": [{"product_id": "p2"}], "total": 5})).await;
    let sold_out = json!({"product_id": "p3", "name": "Product 3", "price": 5, "stock": 0});
    shop.platform.put_items(W, "products", vec![("p3".to_owned(), sold_out)]).await.unwrap();
    shop.pass_and_work(1).await;
    let (html, step) = last_mail(&shop).await;
    assert!(!html.contains("[p2]") && !html.contains("[p3]"), "{html}");
    assert!(html.contains("[p4]"), "{html}");
    let sources: Vec<&Value> =
        step["data"]["items"].as_array().unwrap().iter().map(|i| &i["source"]).collect();
    assert!(sources.contains(&&json!("history")) && sources.contains(&&json!("newest")), "{step}");
    assert_eq!(sources.len(), 6, "the ladder fills the list");
}

#[tokio::test]
async fn a_merged_profile_keeps_what_its_browser_looked_at_and_a_restart_forgets_nothing() {
    let mut shop = shop().await;
    for user in ["ben", "cleo"] {
        view(&shop, user, &["p6", "p7"]).await;
    }
    let anonymous = json!({
        "type": "track", "messageId": "a-1", "anonymousId": "browser-1", "event": "Product Viewed",
        "properties": {"product_id": "p6"}, "timestamp": shop.now(),
    });
    shop.call(anonymous).await;
    shop.track("ada", "Order Completed", json!({"products": [{"product_id": "p0"}]})).await;
    shop.work().await;
    let joined = json!({
        "type": "identify", "messageId": "a-2", "anonymousId": "browser-1", "userId": "ada", "traits": {},
        "timestamp": shop.now(),
    });
    shop.call(joined).await;
    shop.work().await;
    shop = shop.crashed().await;
    shop.platform.round(Work::Archive).await.unwrap();
    shop.work().await;
    shop.platform.fit_recommendations(W).await.unwrap();
    let ada = shop.profile("ada").await;
    let items = shop.platform.recommendations(W, ada, 6).await.unwrap();
    assert_eq!(
        (ids(&items)[0], items[0]["reason"].as_str().unwrap()),
        ("p7", "Because you viewed Product 6")
    );
    assert!(!ids(&items).contains(&"p0"), "bought before the merge");
}

#[tokio::test]
async fn before_the_first_fit_and_for_a_stranger_the_newest_is_offered_and_without_a_catalogue_nothing() {
    let shop = shop().await;
    let items = shop.platform.recommendations(W, model::ProfileId(99), 4).await.unwrap();
    assert_eq!(items.len(), 4);
    assert!(items.iter().all(|item| item["source"] == "newest"));
    let bare = Shop::open().await;
    assert!(bare.platform.recommendations(W, model::ProfileId(99), 4).await.unwrap().is_empty());
}
