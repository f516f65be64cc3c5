//! The clock is set back an hour while people are members by what they did within a window.

mod common;

use common::{Shop, W};
use serde_json::{Value, json};

const HOUR: i64 = 3_600;

fn journey(segment: &str) -> Value {
    json!({
        "trigger": {"event": "Segment Entered", "where": format!("segment = \"{segment}\"")},
        "start": "wait",
        "nodes": {"wait": {"type": "wait", "seconds": 86_400, "next": "end"}, "end": {"type": "exit"}},
    })
}

async fn members(shop: &Shop, segment: &str) -> (usize, usize) {
    let condition = shop.platform.registry(W).segments[segment].condition.clone();
    let history = shop.platform.preview(W, &condition).await.expect("previewed").count as usize;
    let live = shop.platform.store.segment_counts(W).await.expect("answered");
    let live = live.into_iter().find(|(id, _)| id == segment).map_or(0, |(_, many)| many as usize);
    (live, history)
}

#[tokio::test]
async fn memberships_follow_a_clock_that_is_set_back_and_no_journey_begins_twice_for_one_deed() {
    let shop = Shop::open().await;
    shop.segment("recent", "did \"Viewed\" in last 2 hours").await;
    shop.segment("waits", "\"Viewed\" then not \"Bought\" within 10 minutes").await;
    shop.journey("of-recent", journey("recent")).await;
    shop.journey("of-waits", journey("waits")).await;
    shop.pass(2 * HOUR);
    shop.track("early", "Viewed", json!({})).await;
    shop.work().await;
    shop.pass_and_work(1_200).await;
    assert_eq!((members(&shop, "recent").await, shop.entries().await.len()), ((1, 1), 2));

    // An hour back: what was done lies ahead now.
    shop.pass_and_work(-HOUR).await;
    shop.work().await;
    assert_eq!(members(&shop, "recent").await, (0, 0), "what lies ahead does not count yet");
    assert_eq!(members(&shop, "waits").await, (0, 0));

    // What is new in the hour that passes again is told as ever, also where only time decides.
    shop.track("late", "Viewed", json!({})).await;
    shop.pass_and_work(700).await;
    assert_eq!(members(&shop, "recent").await, (1, 1));
    assert_eq!(members(&shop, "waits").await, (1, 1));
    let late = shop.profile("late").await;
    assert_eq!(shop.entries().await.iter().filter(|entry| entry.profile == late).count(), 2);

    // The time of the deed comes again: a member again, and nothing begins a second time.
    shop.pass_and_work(HOUR + 1_200).await;
    assert_eq!(members(&shop, "recent").await, (2, 2));
    assert_eq!(members(&shop, "waits").await, (2, 2));
    assert_eq!(shop.entries().await.len(), 4, "a journey began twice for one deed");

    // After a restart behind what was stored last, the same.
    shop.track("third", "Viewed", json!({})).await;
    shop.work().await;
    shop.pass(-HOUR);
    let shop = shop.crashed().await;
    shop.work().await;
    let (live, history) = members(&shop, "recent").await;
    assert_eq!(live, history);
}
