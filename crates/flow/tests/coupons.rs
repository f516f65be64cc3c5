//! Coupons in mails: one code for a person and a step, none for a preview, a refusal from an empty pool, and what comes
//! back with an order.

#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use common::{Shop, W};
use flow::RenderRequest;
use model::Timestamp;
use serde_json::{Value, json};
use store::PoolRow;

async fn shop(pattern: Option<&str>) -> Shop {
    let shop = Shop::open().await;
    let pool = PoolRow {
        id: "SPRING".to_owned(),
        pattern: pattern.map(str::to_owned),
        most: None,
        low_at: 1,
        expires_at: Some(Timestamp::from_secs(1_800_000_000)),
        created_at: shop.now(),
    };
    shop.platform.put_coupon_pool(W, pool).await.unwrap();
    shop.template("offer", "<p>Use {{ coupon.code }}.</p>").await;
    let mut journey = common::wait_then_send(60, "offer");
    journey["nodes"]["send"]["coupon"] = json!("SPRING");
    shop.journey("offer", journey).await;
    shop
}

async fn go(shop: &Shop, user: &str) {
    shop.identify(user, json!({})).await;
    shop.track(user, "Go", json!({})).await;
    shop.work().await;
    shop.pass_and_work(60).await;
}

async fn html(shop: &Shop) -> String {
    let message = shop.messages().await.pop().expect("a mail");
    let content: Value = serde_json::from_str(message.content.as_deref().unwrap_or("{}")).expect("JSON");
    content["html"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn each_person_gets_a_code_of_the_upload_and_an_empty_pool_skips_the_mail_with_its_reason() {
    let shop = shop(None).await;
    let taken =
        shop.platform.add_coupons(W, "SPRING", "AAA111\nBBB222\n\nAAA111\nno spaces\n").await.unwrap();
    assert_eq!((taken.added, taken.known, taken.refused), (2, 1, 1));
    let preview = RenderRequest {
        template: Some("offer".to_owned()),
        data: json!({"coupon": "SPRING"}),
        ..RenderRequest::default()
    };
    let shown = shop.platform.render(W, preview).await.unwrap().html;
    assert!(shown.contains("AAAXXX"), "a preview shows the shape of a code: {shown}");
    go(&shop, "ada").await;
    assert!(html(&shop).await.contains("AAA111"));
    go(&shop, "ben").await;
    assert!(html(&shop).await.contains("BBB222"));
    go(&shop, "cleo").await;
    let message = shop.messages().await.pop().unwrap();
    assert_eq!((message.state.as_str(), message.reason.as_deref()), ("skipped", Some("no_coupon")));
    assert!(message.trace.contains("is empty: add codes"), "{}", message.trace);
    let health = shop.platform.health(W).await.unwrap();
    let part = health.iter().find(|part| part.name == "Coupons").unwrap();
    assert_eq!(part.detail, "'SPRING' is empty");
}

#[tokio::test]
async fn a_made_code_stays_the_same_after_a_crash_and_comes_back_with_the_order_as_an_event() {
    let mut shop = shop(Some("SPRING-******")).await;
    go(&shop, "ada").await;
    let mail = html(&shop).await;
    let code = mail.split("Use ").nth(1).and_then(|rest| rest.split('.').next()).unwrap().to_owned();
    assert!(code.starts_with("SPRING-") && code.len() == 13, "{code}");
    shop = shop.crashed().await;
    let given = shop.platform.coupons_given(W, "SPRING", "", 10).await.unwrap();
    assert_eq!((given.len(), given[0].code.as_str()), (1, code.as_str()));
    let order = json!({"order_id": "o-1", "coupon": code, "products": []});
    shop.track("ada", "Order Completed", order.clone()).await;
    shop.track("ada", "Order Completed", order).await;
    shop.work().await;
    shop.work().await;
    assert_eq!(shop.count("Coupon Redeemed").await, 1);
    let given = shop.platform.coupons_given(W, "SPRING", "", 10).await.unwrap();
    assert_eq!(given[0].order_id.as_deref(), Some("o-1"));
    assert_eq!(shop.platform.coupon_pools(W).await.unwrap()[0].redeemed, 1);
}

#[tokio::test]
async fn without_a_pool_of_that_name_the_code_is_made_for_the_message_alone() {
    let shop = Shop::open().await;
    shop.template("offer", "<p>Use {{ coupon.code }}.</p>").await;
    let mut journey = common::wait_then_send(60, "offer");
    journey["nodes"]["send"]["coupon"] = json!("CART");
    shop.journey("offer", journey).await;
    go(&shop, "ada").await;
    assert!(html(&shop).await.contains("Use CART-"));
}
