//! Two profiles are one person because somebody says so: their histories, identifiers and opt-outs become one, once, and
//! the same again when the log is replayed.

mod common;

use common::{Shop, W};
use model::{Position, ProfileId};
use serde_json::json;

async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.segment("twice", "count \"Bought\" = 2").await;
    shop
}

/// Everything that must be the same: owner, consents and memberships of each.
async fn picture(shop: &Shop, users: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for user in users {
        let id = shop.profile(user).await;
        let store = &shop.platform.store;
        let consents = store.consents(W, id).await.expect("answered");
        let consents: Vec<_> = consents.into_iter().map(|row| (row.topic, row.subscribed)).collect();
        let memberships = store.memberships(id).await.expect("answered");
        let memberships: Vec<String> = memberships.into_iter().map(|(segment, ..)| segment).collect();
        let (row, hot) = shop.platform.hot(W, id).await.expect("a profile");
        let known: Vec<_> = hot.profile.identifiers.iter().map(|one| one.value.clone()).collect();
        out.push(format!("{user}: {id} {:?} {known:?} {consents:?} {memberships:?}", row.email));
    }
    out
}

#[tokio::test]
async fn profiles_merged_by_hand_are_one_person_once_with_every_opt_out_and_again_after_a_replay() {
    let shop = shop().await;
    for user in ["ada", "ada-work", "ben"] {
        shop.identify(user, json!({})).await;
        shop.track(user, "Bought", json!({})).await;
        shop.work().await;
    }
    let (ada, work, ben) =
        (shop.profile("ada").await, shop.profile("ada-work").await, shop.profile("ben").await);
    shop.platform.set_consent(W, work, "marketing", false, "test").await.expect("written");
    shop.work().await;

    let merge = async |id, with| shop.platform.merge_profiles(W, id, with, "she says so").await;
    assert!(merge(ada, ada).await.is_err(), "one profile is not two");
    assert!(merge(ada, ProfileId(99)).await.is_err());
    let first = merge(ada, work).await.expect("taken");
    shop.work().await;
    assert_eq!(shop.profile("ada-work").await, ada);
    assert!(merge(ada, work).await.is_err(), "they are one already");
    assert_eq!(shop.count("Profiles Merged").await, 1, "{first}");
    let seen = picture(&shop, &["ada", "ada-work", "ben"]).await;
    assert!(seen[0].contains("(\"marketing\", false)") && seen[0].contains("twice"), "{}", seen[0]);
    assert!(!seen[2].contains("marketing") && seen[2].starts_with(&format!("ben: {ben}")), "{}", seen[2]);
    let merges = shop.platform.store.merges(W).await.expect("answered");
    assert_eq!((merges.len(), merges[0].source, merges[0].target), (1, work, ada));
    assert!(merges[0].reason.contains("she says so"), "{}", merges[0].reason);
    let (_, hot) = shop.platform.hot(W, work).await.expect("the former id leads on");
    assert!(hot.profile.decisions.iter().any(|decision| decision.code == "merged_by_hand"));

    // The log alone gives the same.
    let again = self::shop().await;
    for (Position(position), payload) in shop.platform.log.read(Position(1), 10_000).await.expect("read") {
        // Ids are the log's own: what the replay emits again stands beside, and says nothing new.
        let append =
            store::Append { workspace: W, message_id: format!("replay-{position}"), body_hash: 0, payload };
        again.platform.log.append(vec![append]).await.expect("appended");
        again.work().await;
    }
    assert_eq!(picture(&again, &["ada", "ada-work", "ben"]).await, seen);
}
