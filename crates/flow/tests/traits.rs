//! Traits as definitions: filled from history, seen by segments and templates, true between two events.
#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use common::{Shop, W};
use flow::{DefinitionKind, Facts, RenderRequest};
use model::{ProfileId, Value};
use serde_json::json;

const DAY: i64 = 86_400;

impl Shop {
    async fn figure(&self, name: &str, figure: &str) -> Result<i64, flow::Error> {
        self.save(DefinitionKind::Trait, name, json!({"figure": figure, "description": ""})).await
    }

    async fn value(&self, name: &str) -> Option<Value> {
        let (_, hot) = self.platform.hot(W, ProfileId(1)).await.unwrap();
        let registry = self.platform.registry(W);
        let facts = Facts { profile: &hot.profile, zone: &registry.zone };
        let values = registry.engine.trait_values(&hot.segments, &facts, self.now());
        values.into_iter().find(|each| each.name == name).unwrap().value
    }

    async fn is_in(&self, segment: &str) -> bool {
        let (_, hot) = self.platform.hot(W, ProfileId(1)).await.unwrap();
        self.platform.registry(W).engine.is_member(segment, &hot.segments)
    }
}

#[tokio::test]
async fn a_new_trait_knows_history_and_its_segment_is_left_in_time_also_after_a_crash() {
    let shop = Shop::open().await;
    shop.identify("ann", json!({"total_spent": "nothing", "city": "Dhaka"})).await;
    for revenue in [40, 30] {
        shop.track("ann", "Order Completed", json!({"revenue": revenue})).await;
        shop.pass_and_work(DAY).await;
    }
    shop.figure("total_spent", "sum(revenue) of \"Order Completed\" in last 30 days").await.unwrap();
    shop.figure("quiet_days", "days since last \"Order Completed\"").await.unwrap();
    assert_eq!(shop.value("total_spent").await, Some(json!(70)));
    assert_eq!(shop.value("quiet_days").await, Some(json!(1)));
    shop.segment("spenders", "total_spent >= 60 and quiet_days < 10").await;
    assert!(shop.is_in("spenders").await);
    shop.pass_and_work(8 * DAY).await;
    assert!(shop.is_in("spenders").await);
    let shop = shop.crashed().await;
    shop.pass_and_work(DAY).await;
    assert_eq!(shop.value("quiet_days").await, Some(json!(10)));
    assert!(!shop.is_in("spenders").await, "ten days are not fewer than ten");
    shop.track("ann", "Order Completed", json!({"revenue": 5})).await;
    shop.work().await;
    assert!(shop.is_in("spenders").await);
    assert_eq!(shop.value("total_spent").await, Some(json!(75)));

    // A mail sees the trait, and not the attribute of its name.
    shop.template(
        "t",
        "<p>{{ customer.total_spent }} in {{ customer.city }}, {{ customer.nothing_yet }}</p>",
    )
    .await;
    let request = RenderRequest {
        template: Some("t".to_owned()),
        profile: Some(ProfileId(1)),
        ..RenderRequest::default()
    };
    let mail = shop.platform.render(W, request).await.unwrap();
    assert!(mail.html.contains("75 in Dhaka, "), "{}", mail.html);

    // The same figure over all history, before it is a trait.
    let found = shop.platform.preview_figure(W, "count \"Order Completed\"").await.unwrap();
    assert_eq!((found.count, found.missing, found.max), (1, 0, Some(json!(3))));
}

#[tokio::test]
async fn an_edited_trait_moves_people_without_writing_to_them_and_one_in_use_cannot_go() {
    let shop = Shop::open().await;
    shop.identify("ann", json!({})).await;
    shop.track("ann", "Order Completed", json!({"revenue": 40, "currency": "EUR"})).await;
    shop.work().await;
    shop.figure("spent", "sum(revenue) of \"Order Completed\"").await.unwrap();
    shop.segment("big", "spent > 100").await;
    assert!(!shop.is_in("big").await);
    shop.figure("spent", "score(200 * \"Order Completed\", half-life 2 weeks)").await.unwrap();
    assert!(shop.is_in("big").await, "the edited figure is filled from history");
    let causes = shop.platform.store.memberships(ProfileId(1)).await.unwrap();
    assert_eq!(causes[0].2, "the definition changed");

    let text = |error: flow::Error| (error.code().to_owned(), error.to_string());
    let (code, said) = text(shop.platform.delete_trait(W, "spent", "test").await.unwrap_err());
    assert!(code == "trait_in_use" && said.contains("'big'"), "{said}");
    let (code, said) = text(shop.figure("spent", "time of last \"Order Completed\"").await.unwrap_err());
    assert!(code == "trait_in_use" && said.contains("compares it as number"), "{said}");
    let (_, said) = text(shop.figure("spent", "sum(revenue) of").await.unwrap_err());
    assert!(said.contains("column 16"), "{said}");
    for name in ["email", "rfm_group", "Total", "days since", "count"] {
        assert_eq!(text(shop.figure(name, "count \"X\"").await.unwrap_err()).0, "invalid_name", "{name}");
    }
    let (_, said) = text(shop.platform.delete_trait(W, "engagement_score", "test").await.unwrap_err());
    assert!(said.contains("ships"), "{said}");
    let held = shop.save(DefinitionKind::Segment, "h", json!({"where": "spent > 3 for 2 days"})).await;
    assert!(text(held.unwrap_err()).1.contains("not kept over time"));
    shop.platform.delete_definition(W, DefinitionKind::Segment, "big", "test").await.unwrap();
    shop.platform.delete_trait(W, "spent", "test").await.unwrap();
    assert!(!shop.platform.registry(W).traits.contains_key("spent"));
}

#[tokio::test]
async fn the_engagement_score_that_ships_can_be_defined_otherwise_and_comes_back() {
    let shop = Shop::open().await;
    shop.identify("ann", json!({})).await;
    shop.track("ann", "Order Completed", json!({})).await;
    shop.work().await;
    // 100 · (1 − 2^(−3/4))
    assert_eq!(shop.value("engagement_score").await, Some(json!(40.54)));
    shop.figure("engagement_score", "score(7 * \"Order Completed\", half-life 1 day)").await.unwrap();
    assert_eq!(shop.value("engagement_score").await, Some(json!(7)));
    shop.pass(DAY);
    assert_eq!(shop.value("engagement_score").await, Some(json!(3.5)));
    shop.platform.delete_trait(W, "engagement_score", "test").await.unwrap();
    let back = shop.value("engagement_score").await.unwrap().as_f64().unwrap();
    assert!((39.0..40.5).contains(&back), "{back}");
}
