//! New definitions are filled from history while the stream flows: no gap, no double count, and a crash loses nothing.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Shop, W};
use flow::{DefinitionKind, Work};
use serde_json::{Value, json};

const PROFILES: usize = 2_500;
const SAID: &str = "did \"Said\" in last 30 days";

fn said(shop: &Shop, number: usize, user: usize) -> Value {
    json!({
        "type": "track", "messageId": format!("said-{number}"), "userId": format!("user-{user}"), "event": "Said",
        "timestamp": shop.now(),
    })
}

async fn send(shop: &Shop, calls: Vec<Value>) {
    for some in calls.chunks(500) {
        let body = json!({"batch": some}).to_string();
        let batch = shop.platform.intake(W, body.as_bytes(), None, model::Trust::Server);
        assert!(batch.items.iter().all(Result::is_ok));
        shop.platform.ingest(batch, W, "test").await.expect("stored");
    }
}

/// Everybody said it once, in the archive.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    send(&shop, (0..PROFILES).map(|user| said(&shop, user, user)).collect()).await;
    shop.work().await;
    shop
}

async fn members(shop: &Shop, segment: &str) -> usize {
    let counts = shop.platform.store.segment_counts(W).await.expect("answered");
    counts.into_iter().find(|(id, _)| id == segment).map_or(0, |(_, many)| many as usize)
}

#[tokio::test]
async fn what_is_said_while_a_segment_is_filled_counts_once_and_does_not_wait_for_the_fill() {
    let shop = shop().await;
    let done = AtomicBool::new(false);
    let save = async {
        shop.segment("twice", "count \"Said\" in last 30 days >= 2").await;
        done.store(true, Ordering::SeqCst);
    };
    let stream = async {
        let (mut sent, mut during) = (0, 0);
        while !done.load(Ordering::SeqCst) {
            let calls = vec![said(&shop, PROFILES + sent, sent % PROFILES)];
            send(&shop, calls).await;
            sent += 1;
            shop.platform.round(Work::Events).await.unwrap();
            during += usize::from(shop.platform.progress(W).is_some());
        }
        (sent, during)
    };
    let ((), (sent, during)) = tokio::join!(save, stream);
    assert!(during > 1, "{during} steps were made while it was filled");
    assert!(sent <= PROFILES, "each was said by somebody else");
    shop.work().await;
    assert_eq!(members(&shop, "twice").await, sent);
    assert_eq!(shop.platform.progress(W), None);
    // What is counted later is counted on from there.
    shop.segment("thrice", "count \"Said\" in last 30 days >= 3").await;
    assert_eq!(members(&shop, "thrice").await, 0, "nothing was counted twice");
    send(&shop, vec![said(&shop, 1_000_000, 0), said(&shop, 1_000_001, PROFILES - 1)]).await;
    shop.work().await;
    assert_eq!(members(&shop, "thrice").await, 1 + usize::from(sent == PROFILES));
}

#[tokio::test]
async fn a_fill_that_a_crash_cuts_short_is_taken_up_at_the_next_start() {
    let mut shop = shop().await;
    {
        let save = shop.save(DefinitionKind::Segment, "once", json!({"where": SAID}));
        tokio::pin!(save);
        loop {
            let some = async {
                let filled = members(&shop, "once").await;
                filled > 0 && filled < PROFILES
            };
            tokio::select! {
                biased;
                cut = some => if cut { break },
                _ = &mut save => panic!("the fill was over before it could be cut"),
            }
        }
    }
    shop = shop.crashed().await;
    assert_eq!(members(&shop, "once").await, PROFILES);
    shop.work().await;
    assert_eq!(shop.count("Segment Entered").await, PROFILES, "each once");
    // Who was filled before the crash was not filled twice.
    shop.segment("twice", "count \"Said\" in last 30 days >= 2").await;
    assert_eq!(members(&shop, "twice").await, 0);
}

#[tokio::test]
async fn profiles_that_become_one_while_a_segment_is_filled_bring_both_their_histories() {
    let shop = Shop::open().await;
    let call = |number: usize, who: Value| {
        let mut call = json!({"type": "track", "messageId": format!("m{number}"), "event": "Said", "timestamp": shop.now()});
        call.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        call
    };
    let mut calls: Vec<Value> = (0..50).map(|n| call(n, json!({"userId": format!("user-{n}")}))).collect();
    calls.extend((0..50).map(|n| call(100 + n, json!({"anonymousId": format!("browser-{n}")}))));
    send(&shop, calls).await;
    shop.work().await;
    let save = shop.segment("twice", "count \"Said\" in last 30 days >= 2");
    let join = async {
        for n in 0..50 {
            let joined = json!({
                "type": "identify", "messageId": format!("j{n}"), "userId": format!("user-{n}"),
                "anonymousId": format!("browser-{n}"), "timestamp": shop.now(),
            });
            send(&shop, vec![joined]).await;
            shop.platform.round(Work::Events).await.unwrap();
        }
    };
    tokio::join!(save, join);
    shop.work().await;
    assert_eq!(members(&shop, "twice").await, 50);
    shop.segment("thrice", "count \"Said\" in last 30 days >= 3").await;
    assert_eq!(members(&shop, "thrice").await, 0);
}

#[tokio::test]
async fn a_definition_that_cannot_be_compiled_leaves_no_version_behind() {
    let shop = Shop::open().await;
    shop.segment("a", SAID).await;
    shop.segment("b", "in segment \"a\"").await;
    let circle = shop.save(DefinitionKind::Segment, "a", json!({"where": "in segment \"b\""})).await;
    assert!(circle.unwrap_err().to_string().contains('b'));
    assert_eq!(shop.platform.store.versions(W, "segment", "a").await.unwrap().len(), 1);
    assert_eq!(shop.platform.registry(W).segments["a"].condition, SAID);
}

/// Waits, without a clock, until something is being filled.
async fn until_filling(shop: &Shop) -> String {
    loop {
        if let Some(fill) = shop.platform.fills(W).pop() {
            return fill.key;
        }
        tokio::task::yield_now().await;
    }
}

async fn until_some_are_in(shop: &Shop, segment: &str) {
    while members(shop, segment).await == 0 {}
}

#[tokio::test]
async fn a_paused_fill_rests_while_the_stream_goes_on_and_ends_exactly_when_it_is_resumed() {
    let shop = shop().await;
    let save =
        shop.save(DefinitionKind::Segment, "twice", json!({"where": "count \"Said\" in last 30 days >= 2"}));
    let turn = async {
        let key = until_filling(&shop).await;
        assert_eq!(key, "segment:twice");
        assert!(shop.platform.rest_fill(W, &key, true).expect("it rests").is_paused);
        send(&shop, (0..100).map(|user| said(&shop, PROFILES + user, user)).collect()).await;
        while shop.platform.round(Work::Events).await.unwrap() > 0 {}
        let seen = shop.platform.fills(W).pop().expect("it has not ended");
        assert!(seen.is_paused && seen.is_new && seen.profiles_done < PROFILES as u64, "{seen:?}");
        let other = shop.save(DefinitionKind::Segment, "b", json!({"where": SAID})).await;
        assert!(other.unwrap_err().to_string().contains("resume or cancel"), "nothing waits for ever");
        assert!(shop.platform.rest_fill(W, "segment:other", true).is_err());
        assert!(!shop.platform.rest_fill(W, &key, false).expect("it goes on").is_paused);
    };
    let (saved, ()) = tokio::join!(save, turn);
    assert_eq!(saved.expect("in force"), 1);
    assert!(shop.platform.fills(W).is_empty());
    shop.work().await;
    assert_eq!(members(&shop, "twice").await, 100);
}

#[tokio::test]
async fn a_fill_that_is_cancelled_before_it_is_in_force_was_never_written() {
    let shop = shop().await;
    let save = shop.save(DefinitionKind::Segment, "once", json!({"where": SAID}));
    let cancel = async {
        let key = until_filling(&shop).await;
        shop.platform.cancel_fill(W, &key).await
    };
    let (saved, cancelled) = tokio::join!(save, cancel);
    cancelled.expect("it is given up");
    assert!(saved.unwrap_err().to_string().contains("cancelled"));
    assert!(shop.platform.store.versions(W, "segment", "once").await.unwrap().is_empty());
    shop.segment("once", SAID).await;
    assert_eq!(members(&shop, "once").await, PROFILES, "it can be saved again");
}

#[tokio::test]
async fn a_fill_that_is_cancelled_half_way_leaves_nobody_in_what_was_new_and_the_former_version_of_what_was_not()
 {
    let shop = shop().await;
    send(&shop, (0..10).map(|user| said(&shop, PROFILES + user, user)).collect()).await;
    shop.work().await;
    let cancelled = async |condition: &str, began: &dyn Fn(usize) -> bool| {
        let save = shop.save(DefinitionKind::Segment, "s", json!({"where": condition}));
        let cancel = async {
            let key = until_filling(&shop).await;
            while !began(members(&shop, "s").await) {}
            shop.platform.cancel_fill(W, &key).await
        };
        let (saved, cancelled) = tokio::join!(save, cancel);
        cancelled.expect("it is given up");
        assert!(saved.unwrap_err().to_string().contains("cancelled"));
    };
    cancelled(SAID, &|many| many > 0).await;
    assert_eq!(members(&shop, "s").await, 0);
    assert!(shop.platform.definition(W, DefinitionKind::Segment, "s").await.unwrap().is_none());

    shop.segment("s", "count \"Said\" in last 30 days >= 2").await;
    assert_eq!(members(&shop, "s").await, 10);
    cancelled("count \"Said\" in last 60 days < 2", &|many| many > 10).await;
    assert_eq!(members(&shop, "s").await, 10, "as it was");
    let now = shop.platform.definition(W, DefinitionKind::Segment, "s").await.unwrap().unwrap();
    assert!(now.body.contains(">= 2"), "{}", now.body);
    send(&shop, vec![said(&shop, 1_000_000, 20), said(&shop, 1_000_001, PROFILES - 1)]).await;
    shop.work().await;
    assert_eq!(members(&shop, "s").await, 12, "it is as true as before");
    let crashed = shop.crashed().await;
    crashed.work().await;
    assert_eq!(members(&crashed, "s").await, 12);
}

#[tokio::test]
async fn a_paused_fill_that_a_crash_cuts_short_is_taken_up_at_the_next_start() {
    let mut shop = shop().await;
    {
        let save = shop.save(DefinitionKind::Segment, "once", json!({"where": SAID}));
        let pause = async {
            let key = until_filling(&shop).await;
            until_some_are_in(&shop, "once").await;
            shop.platform.rest_fill(W, &key, true).expect("it rests");
            members(&shop, "once").await
        };
        tokio::pin!(save);
        let filled = tokio::select! {
            biased;
            filled = pause => filled,
            _ = &mut save => panic!("the fill was over before it could rest"),
        };
        assert!(filled > 0 && filled < PROFILES, "{filled}");
    }
    shop = shop.crashed().await;
    assert_eq!(members(&shop, "once").await, PROFILES);
    shop.work().await;
    assert_eq!(shop.count("Segment Entered").await, PROFILES, "each once");
}

#[tokio::test]
async fn nobody_enters_a_journey_by_a_fill() {
    let shop = shop().await;
    shop.template("hello", "<p>Hello</p>").await;
    let mut journey = common::wait_then_send(1, "hello");
    journey["trigger"] = json!({"event": "Segment Entered"});
    shop.journey("greet", journey).await;
    shop.segment("once", SAID).await;
    shop.work().await;
    assert_eq!((shop.count("Segment Entered").await, shop.entries().await.len()), (PROFILES, 0));
    // Who comes in by what he does is greeted.
    send(&shop, vec![said(&shop, 1_000_000, PROFILES)]).await;
    shop.work().await;
    assert_eq!(shop.entries().await.len(), 1);
}
