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
