//! Two profiles that are merged by hand at any moment are what they would be had they been one from the beginning, and the
//! log alone gives the same.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::{Shop, W};
use flow::DefinitionKind;
use model::Position;
use proptest::prelude::*;
use serde_json::{Value, json};

const USERS: [&str; 2] = ["ada", "ada-work"];
const SEGMENTS: [(&str, &str); 5] = [
    ("twice", "count \"Bought\" in last 20 days >= 2"),
    ("rich", "sum(value) of \"Bought\" >= 50"),
    ("gold", "plan = \"gold\" and in segment \"twice\""),
    ("quiet", "did \"Said\" and not did \"Said\" in last 7 days"),
    ("chain", "\"Said\" then \"Bought\" within 2 days"),
];

#[derive(Clone, Debug)]
enum Act {
    Track { who: usize, event: usize, value: usize },
    State { who: usize, plan: usize },
    Word { who: usize, given: bool },
    Pass(i64),
    Work,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0_usize..2, 0_usize..3, 0_usize..40).prop_map(|(who, event, value)| Act::Track { who, event, value }),
        2 => (0_usize..2, 0_usize..3).prop_map(|(who, plan)| Act::State { who, plan }),
        1 => (0_usize..2, any::<bool>()).prop_map(|(who, given)| Act::Word { who, given }),
        2 => (1_i64..400_000).prop_map(Act::Pass),
        2 => Just(Act::Work),
        1 => Just(Act::Crash),
    ]
}

async fn begin() -> Shop {
    let shop = Shop::open().await;
    for (id, condition) in SEGMENTS {
        shop.segment(id, condition).await;
    }
    let body = json!({"figure": "sum(value) of \"Bought\"", "description": ""});
    shop.save(DefinitionKind::Trait, "spent", body).await.expect("a sound trait");
    shop
}

async fn merge(shop: &Shop, into: usize) {
    shop.work().await;
    let (into, with) = (shop.profile(USERS[into]).await, shop.profile(USERS[1 - into]).await);
    shop.platform.merge_profiles(W, into, with, "she says so").await.expect("taken");
    shop.work().await;
}

async fn play(mut shop: Shop, acts: &[Act], merged_at: usize, into: usize) -> Shop {
    for user in USERS {
        shop.identify(user, json!({})).await;
    }
    for (at, act) in acts.iter().enumerate() {
        if at == merged_at {
            merge(&shop, into).await;
        }
        match act {
            Act::Track { who, event, value } => {
                let name = ["Bought", "Said", "Product Viewed"][*event];
                let properties = json!({"value": value, "product_id": format!("p{}", value % 5)});
                shop.track(USERS[*who], name, properties).await;
            }
            Act::State { who, plan } => {
                let plan = ["free", "pro", "gold"][*plan];
                shop.identify(USERS[*who], json!({"plan": plan})).await;
            }
            Act::Word { who, given } => {
                let name = if *given { "Subscribed" } else { "Unsubscribed" };
                shop.track(USERS[*who], name, json!({"topic": "news"})).await;
            }
            Act::Pass(seconds) => shop.pass(*seconds),
            Act::Work => shop.work().await,
            Act::Crash => shop = shop.crashed().await,
        }
    }
    if merged_at >= acts.len() {
        merge(&shop, into).await;
    }
    shop.pass_and_work(60).await;
    shop
}

/// What the person is, as far as it does not follow from the instants at which things were decided.
async fn picture(shop: &Shop) -> Vec<(&'static str, Value)> {
    let id = shop.profile(USERS[0]).await;
    assert_eq!(shop.profile(USERS[1]).await, id, "one person");
    let (row, hot) = shop.platform.hot(W, id).await.expect("a profile");
    let profile = &hot.profile;
    let registry = shop.platform.registry(W);
    let facts = flow::Facts { profile, zone: &registry.zone };
    let traits = registry.engine.trait_values(&hot.segments, &facts, shop.now());
    let memberships = shop.platform.store.memberships(id).await.unwrap();
    let memberships: BTreeSet<String> = memberships.into_iter().map(|(segment, ..)| segment).collect();
    let texts = |all: Vec<String>| all.into_iter().collect::<BTreeSet<_>>();
    let known = texts(profile.identifiers.iter().map(|known| format!("{known:?}")).collect());
    let items = texts(hot.history.items().iter().map(|item| format!("{item:?}")).collect());
    let sql = format!(
        "SELECT message_id FROM events WHERE profile_id = {id} AND trust <> 'internal' ORDER BY position"
    );
    vec![
        ("identifiers", json!(known)),
        ("attributes", json!(format!("{:?}", profile.attributes))),
        ("first seen", json!(format!("{:?}", profile.first_seen_at))),
        ("history", json!(items)),
        ("memberships", json!(memberships)),
        ("timer", json!(format!("{:?}", row.due_at))),
        ("traits", json!(traits.into_iter().map(|each| each.value).collect::<Vec<_>>())),
        ("events", json!(shop.platform.query(W, &sql).await.expect("answered").rows)),
    ]
}

async fn word(shop: &Shop) -> Option<bool> {
    let id = shop.profile(USERS[0]).await;
    let rows = shop.platform.store.consents(W, id).await.unwrap();
    rows.into_iter().find(|row| row.topic == "news").map(|row| row.subscribed)
}

async fn tell(acts: &[Act], merged_at: usize, into: usize) {
    let late = play(begin().await, acts, merged_at, into).await;
    let early = play(begin().await, acts, 0, into).await;
    let (seen, wanted) = (picture(&late).await, picture(&early).await);
    for (ours, theirs) in seen.iter().zip(&wanted) {
        assert_eq!(ours, theirs);
    }
    // The stricter word stays: one may have refused what the other then allowed.
    if word(&late).await == Some(true) {
        assert_eq!(word(&early).await, Some(true));
    }
    let again = begin().await;
    again.pass((late.now() - again.now()) / model::time::SECOND);
    for (Position(position), payload) in late.platform.log.read(Position(1), 10_000).await.expect("read") {
        // Ids are the log's own: what the replay emits again stands beside, and says nothing new.
        let append =
            store::Append { workspace: W, message_id: format!("replay-{position}"), body_hash: 0, payload };
        again.platform.log.append(vec![append]).await.expect("appended");
        again.work().await;
    }
    let replayed = picture(&again).await;
    // Calls of the replay have ids of their own in the log alone; the rows say the same ones.
    assert_eq!(replayed, seen);
    assert_eq!(again.profile(USERS[0]).await, late.profile(USERS[0]).await);
    assert_eq!(word(&again).await, word(&late).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn two_merged_by_hand_are_as_if_they_had_been_one_from_the_beginning_and_again_after_a_replay(
        acts in proptest::collection::vec(act(), 1..30), at in 0_usize..30, into in 0_usize..2,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(tell(&acts, at, into));
    }
}
