//! RFM and predictions as a fold of events: written where they changed, once, whatever crashes.
#![expect(clippy::unwrap_used, reason = "a test harness")]

mod common;

use common::{Shop, W};
use flow::rfm::RfmSettings;
use model::{Map, Timestamp, Value};
use serde_json::json;

const DAY: i64 = 86_400;

impl Shop {
    async fn attributes(&self, user: &str) -> Map {
        let (_, hot) = self.platform.hot(W, self.profile(user).await).await.unwrap();
        hot.profile.values()
    }

    /// Five customers with one order each, a day apart, the last one with three; and somebody who never bought.
    async fn season(&self) {
        self.identify("idle", json!({})).await;
        for (number, user) in ["ann", "bob", "cid", "dan", "eve"].into_iter().enumerate() {
            self.identify(user, json!({})).await;
            for _ in 0..if user == "eve" { 3 } else { 1 } {
                self.track(user, "Order Completed", json!({"total": 10 * (number + 1)})).await;
                self.pass_and_work(DAY).await;
            }
        }
    }
}

#[tokio::test]
async fn a_refresh_writes_attributes_that_segments_see_and_only_what_changed() {
    let shop = Shop::open().await;
    shop.season().await;
    shop.segment("champions", "rfm_group = \"champions\"").await;
    let report = shop.platform.refresh_rfm(W).await.unwrap();
    assert_eq!((report.customers, report.repeat_customers, report.orders, report.changed), (5, 1, 7, 5));
    assert_eq!(report.groups.iter().map(|group| group.count).sum::<usize>(), 5);
    assert!(report.orders_model.is_none(), "five people are too few for a model");
    shop.work().await;
    let eve = shop.attributes("eve").await;
    assert_eq!(
        (&eve["rfm_recency"], &eve["rfm_frequency"], &eve["rfm_monetary"]),
        (&json!(5), &json!(5), &json!(5))
    );
    assert_eq!((&eve["rfm_group"], &eve["average_order_value"]), (&json!("champions"), &json!(50.0)));
    assert!(!eve.contains_key("churn_risk"), "what no model says is not there");
    let ann = shop.attributes("ann").await;
    assert_eq!((&ann["rfm_group"], &ann["rfm_frequency"]), (&json!("lost"), &json!(1)));
    assert!(!shop.attributes("idle").await.contains_key("rfm_group"));
    let members = shop.platform.store.segment_counts(W).await.unwrap();
    assert_eq!(members, [("champions".to_owned(), 1)]);
    let idle = shop.platform.hot(W, shop.profile("idle").await).await.unwrap().0;
    let seen = |text: &str| Timestamp::parse(text).unwrap();
    assert_eq!(idle.last_seen_at, seen("2026-01-05T12:00:00Z"), "a refresh is nothing that somebody did");

    let again = shop.platform.refresh_rfm(W).await.unwrap();
    assert_eq!(again.changed, 0, "the same figures are not written twice");
    shop.pass(60);
    shop.track("ann", "Order Completed", json!({"revenue": "much", "total": 500})).await;
    shop.work().await;
    let found = shop.platform.refresh_rfm(W).await.unwrap();
    assert!((1..=5).contains(&found.changed) && found.value == 750.0, "{found:?}");
    shop.work().await;
    assert_eq!(shop.attributes("ann").await["rfm_group"], json!("champions"));
    let matching = shop.platform.matching(W, "rfm_recency = 5", 10).await.unwrap();
    assert_eq!((matching.count, matching.ids), (1, vec![shop.profile("ann").await]));
}

#[tokio::test]
async fn a_refresh_that_a_crash_cut_short_is_done_again_without_a_second_event() {
    let shop = Shop::open().await;
    shop.season().await;
    let report = shop.platform.refresh_rfm(W).await.unwrap();
    // As if the process had died between the log and the note that it is done: nothing was stepped yet.
    let begun = report.refreshed_at.micros().to_string();
    shop.platform.store.put_meta("rfm.begun.1", &begun).await.unwrap();
    let shop = shop.crashed().await;
    shop.pass(DAY);
    let behind = shop.platform.refresh_rfm(W).await.unwrap_err();
    assert!(
        behind.to_string().contains("not caught up"),
        "a lake that is behind takes nothing away: {behind}"
    );
    while shop.platform.round(flow::Work::Archive).await.unwrap() > 0 {}
    let again = shop.platform.refresh_rfm(W).await.unwrap();
    assert_eq!((again.refreshed_at, again.changed), (report.refreshed_at, 5), "as of its own instant");
    shop.work().await;
    assert_eq!(shop.count("identify").await, 6 + 5, "six people made known, five scored once");
    assert_eq!(shop.platform.store.meta("rfm.begun.1").await.unwrap().as_deref(), Some(""));
}

#[tokio::test]
async fn the_schedule_follows_the_zone_of_the_workspace_and_settings_are_checked() {
    let shop = Shop::open().await;
    shop.platform.set_workspace(W, json!({"timezone": "Asia/Dhaka"})).await.unwrap();
    let due = shop.platform.rfm_due_at(W).await.unwrap();
    assert_eq!(due, Timestamp::parse("2026-01-05T21:00:00Z"), "three o'clock in Dhaka");
    let setting = |event: &str, revenue: Vec<&str>, schedule: &str| RfmSettings {
        event: event.to_owned(),
        revenue: revenue.into_iter().map(str::to_owned).collect(),
        schedule: schedule.to_owned(),
    };
    for (settings, code) in [
        (setting("", vec!["price"], "0 3 * * *"), "invalid_event"),
        (setting("Paid", vec![], "0 3 * * *"), "invalid_revenue"),
        (setting("Paid", vec!["price"], "at night"), "invalid_schedule"),
    ] {
        assert_eq!(shop.platform.set_rfm_settings(W, settings).await.unwrap_err().code(), code);
    }
    shop.platform.set_rfm_settings(W, setting("Paid", vec!["price"], "0 6 * * 1")).await.unwrap();
    shop.identify("ann", json!({})).await;
    shop.track("ann", "Paid", json!({"price": 7.5})).await;
    shop.track("ann", "Order Completed", json!({"revenue": 100})).await;
    shop.work().await;
    let report = shop.platform.refresh_rfm(W).await.unwrap();
    assert_eq!((report.orders, report.value), (1, 7.5));
    let kept: Value = serde_json::to_value(shop.platform.rfm_report(W).await.unwrap()).unwrap();
    assert_eq!(kept["refreshed_at"], json!(shop.now()));
    assert_eq!(shop.platform.rfm_due_at(W).await.unwrap(), Timestamp::parse("2026-01-12T00:00:00Z"));
}
