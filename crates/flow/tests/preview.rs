//! A preview says of whom a condition holds now: the same people as a segment with that condition has, whatever was
//! written, merged, filed away or asked before.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Shop, W};
use serde_json::json;

const CONDITIONS: [&str; 13] = [
    "everyone",
    "did \"Product Viewed\" in last 2 days",
    "count \"Product Viewed\" where category = \"Shoes\" in last 30 days >= 2 and not did \"Order Completed\" in last 7 days",
    "sum(revenue) of \"Order Completed\" in last 180 days >= 50",
    "\"Product Viewed\" then \"Order Completed\" within 2 days",
    "\"Product Viewed\" then not \"Order Completed\" within 2 days",
    "country = \"BD\" and did \"Product Viewed\"",
    "not (country = \"BD\")",
    "consents to \"email_marketing\" or address.city = \"Dhaka\"",
    "days with \"Product Viewed\" >= 2",
    "in random 50% of \"spring\" or did \"Product Viewed\" today",
    "country = \"BD\" for 1 day",
    "distinct(category) of \"Product Viewed\" >= 2 or in segment \"s1\"",
];

/// Every segment has the members that a preview of its condition finds.
async fn agree(shop: &Shop, when: &str) {
    let mut people = Vec::new();
    for user in ["ada", "bob", "eve", "visitor", "late"] {
        let key = (W, model::IdentifierKind::UserId, user.to_owned());
        let found = shop.platform.store.lookup_identifiers(std::slice::from_ref(&key)).await.unwrap();
        people.extend(found.into_values());
    }
    for (number, condition) in CONDITIONS.iter().enumerate() {
        let preview = shop.platform.preview(W, condition).await.unwrap();
        let registry = shop.platform.registry(W);
        let mut members = Vec::new();
        for id in &people {
            let (_, hot) = shop.platform.hot(W, *id).await.unwrap();
            if registry.engine.is_member(&format!("s{number}"), &hot.segments) {
                members.push(*id);
            }
        }
        members.sort_unstable();
        assert_eq!(preview.sample, members, "{when}: {condition}");
        assert_eq!(preview.count, members.len(), "{when}: {condition}");
        assert_eq!(preview.total, people.len(), "{when}: {condition}");
    }
}

async fn begun() -> Shop {
    let shop = Shop::open().await;
    for (number, condition) in CONDITIONS.iter().enumerate() {
        shop.segment(&format!("s{number}"), condition).await;
    }
    shop.identify("ada", json!({"country": "BD", "address": {"city": "Dhaka"}})).await;
    shop.identify("bob", json!({"country": "NP", "timezone": "Asia/Kathmandu"})).await;
    shop.identify("eve", json!({})).await;
    shop.work().await;
    shop
}

#[tokio::test]
async fn a_preview_finds_the_members_of_a_segment_as_things_go_on() {
    let mut shop = begun().await;
    agree(&shop, "at first").await;
    shop.track("ada", "Product Viewed", json!({"category": "Shoes"})).await;
    shop.track("bob", "Product Viewed", json!({"category": ["Shoes"]})).await;
    shop.pass(3_600);
    shop.track("ada", "Product Viewed", json!({"category": "Shoes", "revenue": "60"})).await;
    shop.track("ada", "Product Viewed", json!({"category": "Hats"})).await;
    shop.track("bob", "Order Completed", json!({"revenue": 60})).await;
    shop.work().await;
    agree(&shop, "after events").await;
    shop.platform.lake.flush().unwrap();
    agree(&shop, "after the flush").await;
    shop.identify("eve", json!({"country": "BD"})).await;
    shop.identify("ada", json!({"country": null})).await;
    shop.identify("late", json!({"country": "BD"})).await;
    shop.work().await;
    agree(&shop, "after attributes changed and somebody came").await;
    shop.pass_and_work(2 * 86_400).await;
    agree(&shop, "after two days").await;
    shop = shop.crashed().await;
    shop.work().await;
    agree(&shop, "after a restart").await;
    shop.pass_and_work(40 * 86_400).await;
    agree(&shop, "after forty days").await;
}

#[tokio::test]
async fn what_a_visitor_did_counts_for_the_person_that_the_visitor_turns_out_to_be() {
    let shop = begun().await;
    let anonymous = |name: &str, id: &str| {
        json!({
            "type": "track", "messageId": id, "anonymousId": "a-1", "event": name,
            "properties": {"category": "Shoes", "revenue": 70}, "timestamp": shop.now(),
        })
    };
    shop.call(anonymous("Product Viewed", "v-1")).await;
    shop.call(anonymous("Order Completed", "v-2")).await;
    shop.work().await;
    let before = shop.platform.preview(W, "did \"Product Viewed\"").await.unwrap();
    assert_eq!((before.count, before.total), (1, 4), "the visitor is somebody");
    shop.platform.lake.flush().unwrap();
    let body = json!({
        "type": "identify", "messageId": "v-3", "anonymousId": "a-1", "userId": "ada", "traits": {},
        "timestamp": shop.now(),
    });
    shop.call(body).await;
    shop.work().await;
    let after = shop.platform.preview(W, "did \"Product Viewed\"").await.unwrap();
    assert_eq!((after.sample.clone(), after.total), (vec![shop.profile("ada").await], 3));
    agree(&shop, "after the merge").await;
}
