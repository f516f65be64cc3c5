//! Segments whose members are listed, by a query or by hand: what enters and leaves, on time, once, whatever crashes.

mod common;

use std::future::Future;
use std::task::Poll;

use common::{Shop, W};
use flow::{Changed, DefinitionKind, Gathered, Mode, Named, UploadItem, Work};
use model::Value;
use serde_json::json;

const BUYERS: &str = "SELECT profile_id FROM events WHERE event = 'Bought' GROUP BY profile_id";

async fn gathered(shop: &Shop, users: &[&str]) -> Gathered {
    let items = users
        .iter()
        .enumerate()
        .map(|(row, user)| UploadItem { row: row as u64 + 1, named: Named::of("user_id", &json!(user)) });
    let mut out = Gathered::default();
    shop.platform.gather(W, items.collect(), &mut out).await.expect("looked up");
    out
}

async fn put(shop: &Shop, segment: &str, mode: Mode, users: &[&str]) -> Changed {
    shop.pass(1);
    let named = gathered(shop, users).await;
    shop.platform.change_members(W, segment, mode, &named).await.expect("changed")
}

async fn members(shop: &Shop, segment: &str) -> Vec<i64> {
    shop.platform
        .store
        .segment_members(W, segment)
        .await
        .expect("answered")
        .into_iter()
        .map(|id| id.0)
        .collect()
}

async fn of(shop: &Shop, users: &[&str]) -> Vec<i64> {
    let mut out = Vec::new();
    for user in users {
        out.push(shop.profile(user).await.0);
    }
    out.sort_unstable();
    out
}

async fn shop() -> Shop {
    let shop = Shop::open().await;
    for user in ["ada", "bob", "eve"] {
        shop.identify(user, json!({})).await;
    }
    shop.work().await;
    shop
}

async fn entries(shop: &Shop, segment: &str) -> Vec<(bool, String)> {
    let mut rows = shop.platform.store.segment_history(W, segment, i64::MAX, 1_000).await.expect("answered");
    rows.reverse();
    rows.into_iter().map(|(_, _, _, entered, cause)| (entered, cause)).collect()
}

#[tokio::test]
async fn a_static_segment_holds_whom_it_was_given_and_others_are_composed_of_it() {
    let shop = shop().await;
    shop.save(DefinitionKind::Segment, "vip", json!({"static": true})).await.unwrap();
    shop.segment("vip-buyers", "in segment \"vip\" and did \"Bought\"").await;
    shop.track("ada", "Bought", json!({})).await;
    shop.work().await;
    assert_eq!(put(&shop, "vip", Mode::Add, &["ada", "bob", "nobody"]).await.entered, 2);
    shop.work().await;
    assert_eq!(members(&shop, "vip").await, of(&shop, &["ada", "bob"]).await);
    assert_eq!(members(&shop, "vip-buyers").await, of(&shop, &["ada"]).await);
    let change = put(&shop, "vip", Mode::Replace, &["bob", "eve"]).await;
    assert_eq!(change, Changed { entered: 1, exited: 1, members: 2 });
    assert_eq!(put(&shop, "vip", Mode::Remove, &["bob", "ada"]).await.exited, 1);
    shop.work().await;
    assert_eq!(members(&shop, "vip").await, of(&shop, &["eve"]).await);
    assert!(members(&shop, "vip-buyers").await.is_empty());
    assert_eq!(shop.count("Segment Entered").await, 4);
    assert_eq!(shop.count("Segment Exited").await, 3);
    let told = entries(&shop, "vip").await;
    assert!(told.iter().all(|(_, cause)| cause == "a list was uploaded"), "{told:?}");
    let unknown = gathered(&shop, &["nobody"]).await;
    assert_eq!((unknown.unknown_count, unknown.unknown[0].value.as_str()), (1, "nobody"));
    assert_eq!(shop.platform.store.count_profiles(W).await.unwrap(), 3, "nobody was made");
}

#[tokio::test]
async fn a_segment_made_anew_under_an_old_id_begins_empty_and_one_that_others_need_stays() {
    let shop = shop().await;
    shop.save(DefinitionKind::Segment, "vip", json!({"static": true})).await.unwrap();
    put(&shop, "vip", Mode::Add, &["ada"]).await;
    shop.segment("named", "in segment \"vip\"").await;
    let delete = || shop.platform.delete_definition(W, DefinitionKind::Segment, "vip", "test");
    let refused = delete().await.unwrap_err();
    assert!(refused.to_string().contains("the segment 'named'"), "{refused}");
    shop.segment("named", "did \"Bought\"").await;
    delete().await.unwrap();
    shop.work().await;
    shop.save(DefinitionKind::Segment, "vip", json!({"static": true})).await.unwrap();
    assert!(members(&shop, "vip").await.is_empty());
}

fn sql(query: &str, schedule: &str, zone: &str) -> Value {
    json!({"sql": query, "schedule": schedule, "timezone": zone})
}

#[tokio::test]
async fn a_refresh_moves_only_who_entered_or_left_and_journeys_begin_by_it_but_not_by_the_definition() {
    let shop = shop().await;
    shop.template("hello", "Hello").await;
    let mut journey = common::wait_then_send(1, "hello");
    journey["trigger"] = json!({"event": "Segment Entered", "where": "segment = \"buyers\""});
    shop.journey("greet", journey).await;
    shop.track("ada", "Bought", json!({})).await;
    shop.work().await;
    shop.save(DefinitionKind::Segment, "buyers", json!({"sql": BUYERS})).await.unwrap();
    shop.work().await;
    assert_eq!(members(&shop, "buyers").await, of(&shop, &["ada"]).await);
    assert_eq!(entries(&shop, "buyers").await, [(true, "the definition changed".to_owned())]);
    assert!(shop.entries().await.is_empty(), "the definition moved her");
    shop.track("bob", "Bought", json!({})).await;
    shop.pass_and_work(10).await;
    assert_eq!(members(&shop, "buyers").await.len(), 1, "nothing was asked");
    let refresh = shop.platform.refresh(W, "buyers").await.unwrap();
    assert_eq!((refresh.rows, refresh.entered, refresh.exited, refresh.error), (2, 1, 0, None));
    shop.work().await;
    assert_eq!(members(&shop, "buyers").await, of(&shop, &["ada", "bob"]).await);
    assert_eq!(entries(&shop, "buyers").await[1], (true, "the query was refreshed".to_owned()));
    assert_eq!(shop.entries().await.len(), 1);
    let by_mail = "SELECT email FROM profiles WHERE email = 'eve@example.com' OR email = 'x@example.com'";
    shop.pass(1);
    shop.save(DefinitionKind::Segment, "buyers", json!({"sql": by_mail})).await.unwrap();
    shop.work().await;
    assert_eq!(members(&shop, "buyers").await, of(&shop, &["eve"]).await);
    assert_eq!(shop.platform.last_refresh(W, "buyers").await.unwrap().exited, 2);
    // Whoever was found stays when the query goes.
    shop.save(DefinitionKind::Segment, "buyers", json!({"static": true})).await.unwrap();
    assert_eq!(members(&shop, "buyers").await, of(&shop, &["eve"]).await);
}

#[tokio::test]
async fn a_schedule_runs_in_its_zone_and_what_was_missed_runs_once() {
    let mut shop = shop().await;
    // It is 12:00 UTC, 18:00 in Dhaka.
    shop.save(DefinitionKind::Segment, "buyers", sql(BUYERS, "0 3 * * *", "Asia/Dhaka")).await.unwrap();
    shop.track("ada", "Bought", json!({})).await;
    shop.pass_and_work(9 * 3_600 - 1).await;
    assert!(members(&shop, "buyers").await.is_empty(), "it is not three o'clock");
    shop.pass_and_work(1).await;
    assert_eq!(members(&shop, "buyers").await.len(), 1);
    shop.track("bob", "Bought", json!({})).await;
    shop.work().await;
    shop = shop.crashed().await;
    shop.pass(3 * 86_400);
    shop.work().await;
    assert_eq!(
        shop.platform.round(Work::Refresh).await.unwrap(),
        0,
        "three nights were missed: once is enough"
    );
    assert_eq!(members(&shop, "buyers").await.len(), 2);
}

#[tokio::test]
async fn a_query_that_fails_leaves_the_members_and_says_so() {
    let shop = shop().await;
    shop.track("ada", "Bought", json!({"price": 5})).await;
    shop.work().await;
    let fragile = "SELECT profile_id FROM events WHERE event = 'Bought' AND CAST(name AS BIGINT) > 0";
    let refused = shop.save(DefinitionKind::Segment, "fragile", json!({"sql": fragile})).await;
    assert!(refused.is_err(), "it fails at once");
    let until_four = "SELECT profile_id FROM events WHERE event = 'Bought' AND 1 / (4 - (SELECT count(*) FROM profiles)) >= 0";
    shop.save(DefinitionKind::Segment, "until-four", json!({"sql": until_four})).await.unwrap();
    shop.identify("dan", json!({})).await;
    shop.work().await;
    assert!(shop.platform.refresh(W, "until-four").await.is_err());
    let last = shop.platform.last_refresh(W, "until-four").await.unwrap();
    assert!(last.error.is_some_and(|why| why.contains("zero")) && !last.running);
    assert_eq!(members(&shop, "until-four").await, of(&shop, &["ada"]).await);
}

#[tokio::test]
async fn a_refresh_that_a_crash_cuts_short_is_taken_up_and_nobody_enters_twice() {
    const PEOPLE: usize = 5_000;
    let mut shop = Shop::open().await;
    for some in (0..PEOPLE).collect::<Vec<_>>().chunks(500) {
        let calls: Vec<Value> = some
            .iter()
            .map(|n| json!({"type": "track", "event": "Bought", "userId": format!("u{n}"), "messageId": format!("b{n}")}))
            .collect();
        shop.platform.ingest_calls(W, &calls, model::Trust::Server, "test").await.unwrap();
    }
    shop.work().await;
    let none = "SELECT profile_id FROM events WHERE event = 'Bought' AND profile_id < 0";
    shop.save(DefinitionKind::Segment, "buyers", json!({"sql": none})).await.unwrap();
    {
        shop.pass(1);
        let start = shop.platform.log.head().0;
        let mut save = Box::pin(shop.save(DefinitionKind::Segment, "buyers", json!({"sql": BUYERS})));
        std::future::poll_fn(|context| match save.as_mut().poll(context) {
            Poll::Ready(over) => panic!("it was over before it could be cut: {over:?}"),
            Poll::Pending if shop.platform.log.head().0 > start => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }
    shop = shop.crashed().await;
    shop.pass_and_work(1).await;
    let last = shop.platform.last_refresh(W, "buyers").await.unwrap();
    assert_eq!((last.error.as_deref(), last.rows as usize), (None, PEOPLE), "{last:?}");
    assert_eq!(members(&shop, "buyers").await.len(), PEOPLE);
    assert_eq!(shop.count("Segment Entered").await, PEOPLE, "each once");
    assert!(!shop.platform.last_refresh(W, "buyers").await.unwrap().running);
    let told = entries(&shop, "buyers").await;
    assert!(told.iter().all(|(_, cause)| cause == "the definition changed"));
}

#[tokio::test]
async fn a_rebuild_from_the_log_gives_the_same_members_and_nobody_outside_can_list() {
    let shop = shop().await;
    shop.save(DefinitionKind::Segment, "vip", json!({"static": true})).await.unwrap();
    put(&shop, "vip", Mode::Add, &["ada", "bob"]).await;
    put(&shop, "vip", Mode::Remove, &["ada"]).await;
    put(&shop, "vip", Mode::Add, &["eve"]).await;
    shop.work().await;
    // Another definition of the same list is filled from the lake's events alone.
    let list = shop.platform.registry(W).segments["vip"].condition.clone();
    shop.segment("again", &format!("not not ({list})")).await;
    shop.work().await;
    assert_eq!(members(&shop, "again").await, members(&shop, "vip").await);
    assert_eq!(members(&shop, "vip").await, of(&shop, &["bob", "eve"]).await);
    let preview = shop.platform.preview(W, "in segment \"vip\"").await.unwrap();
    assert_eq!(preview.count, 2);
    let forged = json!({
        "type": "track", "messageId": "forged", "userId": "ada", "event": flow::LISTED,
        "properties": {"segment": "vip", "list": "vip.1", "listed": true},
    });
    assert!(matches!(shop.call(forged).await, flow::Outcome::Rejected(_)));
}
