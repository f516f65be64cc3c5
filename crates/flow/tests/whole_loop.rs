//! The loop as a whole: an event in, a mail out, once, whatever happens in between.

mod common;

use common::{Shop, W, accepted, wait_then_send};
use flow::{Outcome, Work};
use serde_json::json;

async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.template("cart", "<p>Hello {{ customer.first_name }}</p>").await;
    shop.segment("intent", "did \"Product Added\" in last 48 hours").await;
    shop
}

/// On entering the segment, wait ten minutes, then write; an order ends it.
fn cart() -> serde_json::Value {
    json!({
        "trigger": {"event": "Segment Entered", "where": "segment = \"intent\""}, "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "seconds": 600, "next": "send"},
            "send": {"type": "send", "template": "cart", "next": "end"},
            "end": {"type": "exit"},
        },
        "exits": [{"event": "Order Completed", "reason": "ordered"}],
    })
}

#[tokio::test]
async fn an_event_becomes_a_membership_an_entry_and_a_mail_and_the_mail_an_event() {
    let shop = shop().await;
    shop.journey("cart", cart()).await;
    shop.identify("ada", json!({"first_name": "Ada"})).await;
    shop.track("ada", "Product Added", json!({"product_id": "p1"})).await;
    shop.work().await;
    let ada = shop.profile("ada").await;
    let memberships = shop.platform.store.memberships(ada).await.unwrap();
    assert_eq!(memberships[0].0, "intent");
    assert!(shop.mails().await.is_empty(), "the wait has not passed");
    shop.pass_and_work(599).await;
    assert!(shop.mails().await.is_empty(), "never early");
    shop.pass_and_work(1).await;
    let messages = shop.messages().await;
    assert_eq!((messages.len(), messages[0].state.as_str()), (1, "accepted"));
    assert_eq!(messages[0].recipient, "ada@example.com");
    assert!(messages[0].content.as_ref().unwrap().contains("Hello Ada"));
    assert_eq!(shop.count("Email Sent").await, 1);
    assert_eq!(shop.count("Segment Entered").await, 1);
    shop.pass_and_work(48 * 3_600).await;
    assert!(shop.platform.store.memberships(ada).await.unwrap().is_empty(), "the window has closed");
    assert_eq!(shop.count("Segment Exited").await, 1);
    assert_eq!(shop.mails().await.len(), 1);
}

#[tokio::test]
async fn an_order_ends_the_entry_at_once_and_no_mail_follows() {
    let shop = shop().await;
    shop.journey("cart", cart()).await;
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Product Added", json!({})).await;
    shop.work().await;
    shop.pass(300);
    shop.track("ada", "Order Completed", json!({})).await;
    shop.work().await;
    let entries = shop.entries().await;
    assert_eq!(entries[0].exit_reason.as_deref(), Some("ordered"));
    assert_eq!(entries[0].exited_at, Some(shop.now()));
    shop.pass_and_work(3_600).await;
    assert!(shop.mails().await.is_empty());
}

#[tokio::test]
async fn the_same_event_twice_counts_once_also_after_a_restart() {
    let mut shop = shop().await;
    shop.segment("twice", "count \"Product Added\" in last 30 days >= 2").await;
    shop.identify("ada", json!({})).await;
    let add = |shop: &Shop| {
        let now = shop.now();
        json!({"type": "track", "messageId": "same", "userId": "ada", "event": "Product Added", "timestamp": now})
    };
    let body = add(&shop);
    assert_eq!(shop.call(body.clone()).await, Outcome::Accepted);
    assert!(matches!(shop.call(body.clone()).await, Outcome::Duplicate { .. }));
    shop.work().await;
    shop = shop.crashed().await;
    assert!(matches!(shop.call(body).await, Outcome::Duplicate { .. }));
    shop.work().await;
    let ada = shop.profile("ada").await;
    let memberships: Vec<String> =
        shop.platform.store.memberships(ada).await.unwrap().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(memberships, ["intent"]);
    assert_eq!(shop.count("Product Added").await, 1);
}

/// Runs one mail's life with a crash after every single round of every worker.
#[tokio::test]
async fn a_crash_after_any_round_of_any_worker_neither_loses_nor_doubles() {
    let mut shop = shop().await;
    shop.journey("cart", cart()).await;
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Product Added", json!({})).await;
    for pass in [0, 600] {
        shop.pass(pass);
        loop {
            let mut done = 0;
            for work in [Work::Events, Work::Timers, Work::Relay, Work::Send] {
                done += shop.platform.round(work).await.unwrap();
                shop = shop.crashed().await;
            }
            if done == 0 {
                break;
            }
        }
    }
    shop.work().await;
    assert_eq!(shop.mails().await, [accepted("cart")]);
    for once in ["Segment Entered", "Journey Entered", "Journey Exited", "Email Sent", "Product Added"] {
        assert_eq!(shop.count(once).await, 1, "{once}");
    }
}

#[tokio::test]
async fn a_crash_between_commit_and_relay_delivers_what_was_emitted_once() {
    let mut shop = shop().await;
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Product Added", json!({})).await;
    assert_eq!(shop.platform.round(Work::Events).await.unwrap(), 2);
    let waiting = shop.platform.store.emitted(10).await.unwrap();
    assert_eq!(waiting.len(), 1, "the membership's event waits for the relay");
    shop = shop.crashed().await;
    shop.work().await;
    assert_eq!(shop.count("Segment Entered").await, 1);
    // A relay that died between append and delete tries again.
    let again: Vec<store::Emitted> = waiting.into_iter().map(|(_, emitted)| emitted).collect();
    shop.platform.store.emit(&again).await.unwrap();
    shop.work().await;
    assert_eq!(shop.count("Segment Entered").await, 1);
}

#[tokio::test]
async fn timers_that_came_due_during_downtime_fire_once_soon_after() {
    let mut shop = shop().await;
    shop.journey("plain", wait_then_send(600, "cart")).await;
    for user in ["ada", "ben", "cleo"] {
        shop.identify(user, json!({})).await;
        shop.track(user, "Go", json!({})).await;
    }
    shop.work().await;
    shop.pass(7 * 3_600);
    shop = shop.crashed().await;
    shop.work().await;
    assert_eq!(shop.mails().await, [accepted("cart"), accepted("cart"), accepted("cart")]);
    shop.pass(-3 * 3_600);
    shop.work().await;
    shop.pass(9 * 3_600);
    shop = shop.crashed().await;
    shop.work().await;
    assert_eq!(shop.mails().await.len(), 3, "a clock that steps back and forth fires nothing again");
}

#[tokio::test]
async fn an_opt_out_before_the_intent_wins_over_a_planned_message() {
    let mut shop = shop().await;
    shop.journey("plain", wait_then_send(600, "cart")).await;
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Go", json!({})).await;
    shop.work().await;
    shop.pass(600);
    assert!(shop.platform.round(Work::Timers).await.unwrap() > 0);
    assert_eq!(shop.mails().await, [("cart".to_owned(), "planned".to_owned())]);
    let ada = shop.profile("ada").await;
    shop.platform.set_consent(W, ada, "marketing", false, "test").await.unwrap();
    shop = shop.crashed().await;
    shop.work().await;
    let messages = shop.messages().await;
    assert_eq!(
        (messages[0].state.as_str(), messages[0].reason.as_deref()),
        ("skipped", Some("unsubscribed"))
    );
    assert_eq!(shop.count("Email Sent").await, 0);
    assert_eq!(shop.count("Email Skipped").await, 1);
}

#[tokio::test]
async fn a_saved_segment_takes_its_members_from_history_and_writes_to_none_of_them() {
    let shop = shop().await;
    let mut welcome = cart();
    welcome["trigger"]["where"] = json!("segment = \"late\"");
    shop.journey("late", welcome).await;
    shop.identify("ada", json!({})).await;
    shop.track("ada", "Product Added", json!({})).await;
    shop.work().await;
    shop.segment("late", "did \"Product Added\" in last 30 days").await;
    shop.work().await;
    let ada = shop.profile("ada").await;
    assert!(shop.platform.store.memberships(ada).await.unwrap().iter().any(|(id, ..)| id == "late"));
    shop.pass_and_work(3_600).await;
    assert!(shop.mails().await.is_empty(), "an edited definition fires nothing");
}
