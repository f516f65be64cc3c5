//! Rules fire once within their time, whatever the order of arrival and wherever a crash falls; tables decide.

mod common;

use common::{Shop, W};
use flow::{DefinitionKind, Hit, Work};
use model::Value;
use serde_json::json;

const DAY: i64 = 86_400;

fn loyal() -> Value {
    json!({
        "where": "count \"Order Completed\" in last 60 days > 3", "on": "Order Completed", "every_seconds": 60 * DAY,
        "actions": [
            {"type": "grant_coupon", "prefix": "LOYAL"},
            {"type": "set_attribute", "name": "loyal", "value": true},
        ],
    })
}

async fn rule(shop: &Shop, id: &str, body: Value) {
    shop.save(DefinitionKind::Rule, id, body).await.expect("a sound rule");
}

/// (properties) of each event of this name, in order of time.
async fn told(shop: &Shop, name: &str) -> Vec<(i64, Value)> {
    let mut out = Vec::new();
    shop.platform
        .lake
        .scan(W.0, &[name.to_owned()], i64::MAX, true, &mut |row| {
            let properties: Value = serde_json::from_str(row.properties).expect("JSON");
            out.push((row.timestamp.micros(), properties));
        })
        .expect("the lake answers");
    out.sort_by_key(|(at, _)| *at);
    out
}

async fn order(shop: &Shop, user: &str) {
    shop.track(user, "Order Completed", json!({"revenue": 10})).await;
    shop.pass_and_work(1).await;
}

#[tokio::test]
async fn more_than_three_purchases_grant_the_discount_once_in_sixty_days() {
    let shop = Shop::open().await;
    shop.identify("ada", json!({})).await;
    rule(&shop, "loyalty", loyal()).await;
    for _ in 0..3 {
        order(&shop, "ada").await;
    }
    assert_eq!(shop.count("Rule Fired").await, 0, "three are not more than three");
    for _ in 0..4 {
        order(&shop, "ada").await;
    }
    let fired = told(&shop, "Rule Fired").await;
    assert_eq!(fired.len(), 1);
    let coupons = told(&shop, "Coupon Granted").await;
    let code = coupons[0].1["code"].as_str().unwrap();
    assert!(code.starts_with("LOYAL-") && code.len() == 14, "{code}");
    assert_eq!(fired[0].1["actions"][0]["code"], code);
    let (_, hot) = shop.platform.hot(W, shop.profile("ada").await).await.unwrap();
    assert_eq!(hot.profile.values()["loyal"], true);
    shop.pass_and_work(60 * DAY - 10).await;
    for _ in 0..3 {
        order(&shop, "ada").await;
    }
    assert_eq!(shop.count("Coupon Granted").await, 1);
    shop.pass_and_work(30).await;
    order(&shop, "ada").await;
    let coupons = told(&shop, "Coupon Granted").await;
    assert_eq!(coupons.len(), 2, "sixty days are over and she still buys");
    assert_ne!(coupons[0].1["code"], coupons[1].1["code"]);
}

#[tokio::test]
async fn a_rule_fires_when_its_condition_becomes_true_and_not_for_those_it_finds_unless_asked() {
    let shop = Shop::open().await;
    for user in ["ada", "bob"] {
        shop.track(user, "Viewed", json!({})).await;
    }
    shop.work().await;
    let body = |on_save: bool| {
        json!({
            "where": "did \"Viewed\" in last 10 days", "every_seconds": 60, "fire_on_save": on_save,
            "actions": [{"type": "send_event", "event": "Noted", "properties": {"by": "rule"}}],
        })
    };
    rule(&shop, "quiet", body(false)).await;
    shop.work().await;
    assert_eq!(shop.count("Rule Fired").await, 0);
    rule(&shop, "loud", body(true)).await;
    shop.work().await;
    assert_eq!(shop.count("Rule Fired").await, 2);
    assert_eq!(shop.count("Noted").await, 2);
    // Out by time, in again by an event: both fire, as both have waited.
    shop.pass_and_work(11 * DAY).await;
    shop.track("ada", "Viewed", json!({})).await;
    shop.work().await;
    assert_eq!(shop.count("Rule Fired").await, 4);
    let status = |status: &'static str| {
        shop.platform.set_definition_status(W, DefinitionKind::Rule, "quiet", status, "test")
    };
    status("paused").await.unwrap();
    shop.track("bob", "Viewed", json!({})).await;
    shop.work().await;
    assert_eq!(shop.count("Rule Fired").await, 5, "the paused one rests");
    status("live").await.unwrap();
    shop.work().await;
    assert_eq!(shop.count("Rule Fired").await, 5);
    let memberships = shop.platform.store.all_memberships(W, 100).await.unwrap();
    assert!(memberships.is_empty(), "nobody is a member of a rule: {memberships:?}");
}

#[tokio::test]
async fn a_rule_lists_people_and_starts_journeys_and_history_fires_nothing() {
    let shop = Shop::open().await;
    shop.identify("ada", json!({})).await;
    shop.identify("eve", json!({})).await;
    shop.work().await;
    shop.template("hello", "Hello").await;
    shop.journey("greet", common::wait_then_send(60, "hello")).await;
    shop.save(DefinitionKind::Segment, "vip", json!({"static": true})).await.unwrap();
    let body = json!({
        "where": "count \"Order Completed\" >= 2", "every_seconds": 60,
        "actions": [{"type": "add_to_segment", "segment": "vip"}, {"type": "start_journey", "journey": "greet"}],
    });
    let unknown = json!({
        "where": "a = 1", "every_seconds": 60, "actions": [{"type": "add_to_segment", "segment": "no-such"}],
    });
    assert!(shop.save(DefinitionKind::Rule, "bad", unknown).await.is_err());
    rule(&shop, "good-buyer", body).await;
    let delete = shop.platform.delete_definition(W, DefinitionKind::Segment, "vip", "test").await;
    assert!(delete.unwrap_err().to_string().contains("the rule 'good-buyer'"));
    order(&shop, "ada").await;
    order(&shop, "ada").await;
    let members = shop.platform.store.segment_members(W, "vip").await.unwrap();
    assert_eq!(members, [shop.profile("ada").await]);
    assert_eq!(shop.entries().await.len(), 1);
    shop.pass_and_work(100).await;
    assert_eq!(shop.mails().await, [common::accepted("hello")]);
    let history: Vec<Value> = (0..3)
        .map(|n| json!({"type": "track", "event": "Order Completed", "userId": "eve", "messageId": format!("old-{n}"), "context": {"backfill": true}}))
        .collect();
    let mut batch =
        shop.platform.intake(W, json!({"batch": history}).to_string().as_bytes(), None, model::Trust::Server);
    for event in batch.items.iter_mut().flatten() {
        event.backfill = true;
    }
    shop.platform.ingest(batch, W, "test").await.unwrap();
    shop.work().await;
    assert_eq!(shop.count("Rule Fired").await, 1);
}

#[tokio::test]
async fn two_rules_that_move_each_other_rest_in_between() {
    let shop = Shop::open().await;
    shop.identify("ada", json!({})).await;
    shop.save(DefinitionKind::Segment, "ring", json!({"static": true})).await.unwrap();
    let body = |condition: &str, action: &str| json!({"where": condition, "every_seconds": 60, "actions": [{"type": action, "segment": "ring"}]});
    rule(&shop, "in", body("did \"Go\" and not in segment \"ring\"", "add_to_segment")).await;
    rule(&shop, "out", body("did \"Go\" and in segment \"ring\"", "remove_from_segment")).await;
    shop.track("ada", "Go", json!({})).await;
    for _ in 0..30 {
        shop.pass_and_work(1).await;
    }
    assert!(shop.count("Rule Fired").await <= 3, "{}", shop.count("Rule Fired").await);
}

/// A small generator: the same seed, the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn firings_keep_their_distance_in_any_order_of_arrival_and_through_crashes_and_are_told_once() {
    for seed in 0..6 {
        let mut dice = Dice(seed * 7_919 + 1);
        let mut shop = Shop::open().await;
        let every = 60 + dice.roll(5) as i64 * 600;
        let mut on_event = json!({
            "where": "count \"Order Completed\" in last 2 hours >= 2", "every_seconds": every,
            "actions": [{"type": "grant_coupon", "prefix": "X"}],
        });
        rule(&shop, "entering", on_event.clone()).await;
        on_event["on"] = json!("Order Completed");
        rule(&shop, "asked", on_event).await;
        for number in 0..60 {
            let user = ["ada", "bob"][dice.roll(2) as usize];
            let late = dice.roll(4) as i64 * 1_200;
            let at = shop.now() - late * model::time::SECOND;
            let call = json!({
                "type": "track", "event": "Order Completed", "userId": user, "timestamp": at,
                "messageId": format!("o-{}", number - dice.roll(2) as i64),
            });
            shop.call(call).await;
            shop.pass(dice.roll(900) as i64);
            match dice.roll(6) {
                // Between the step's commit and the relay, between the relay and what follows, or before either.
                0 => {
                    shop.platform.round(Work::Events).await.unwrap();
                    shop = shop.crashed().await;
                }
                1 => {
                    shop.platform.round(Work::Events).await.unwrap();
                    shop.platform.round(Work::Relay).await.unwrap();
                    shop = shop.crashed().await;
                }
                2 => shop = shop.crashed().await,
                3 => shop.work().await,
                _ => {}
            }
        }
        shop.work().await;
        let fired = told(&shop, "Rule Fired").await;
        assert!(!fired.is_empty(), "seed {seed}");
        for user in ["ada", "bob"] {
            let id = shop.profile(user).await;
            for name in ["entering", "asked"] {
                let mut instants = Vec::new();
                shop.platform
                    .lake
                    .scan(W.0, &["Rule Fired".to_owned()], i64::MAX, true, &mut |row| {
                        if row.profile_id == id.0 && row.properties.contains(&format!("\"rule\":\"{name}\""))
                        {
                            instants.push(row.timestamp.micros());
                        }
                    })
                    .unwrap();
                instants.sort_unstable();
                for pair in instants.windows(2) {
                    assert!(
                        pair[1] - pair[0] >= every * 1_000_000,
                        "seed {seed}: {name} fired too soon for {user}"
                    );
                }
            }
        }
        let mut ids: Vec<String> = fired.iter().map(|(_, told)| told["firing"].to_string()).collect();
        let many = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), many, "seed {seed}: a firing is told twice");
        assert_eq!(told(&shop, "Coupon Granted").await.len(), many, "seed {seed}");
    }
}

#[tokio::test]
async fn the_report_sets_those_it_fired_for_beside_those_just_below() {
    let shop = Shop::open().await;
    let mut body = loyal();
    body["where"] = json!("count \"Order Completed\" in last 60 days > 2");
    body["goal"] = json!({"event": "Reviewed", "days": 7});
    rule(&shop, "loyalty", body).await;
    for user in ["a", "b", "c", "d"] {
        order(&shop, user).await;
        order(&shop, user).await;
    }
    for user in ["a", "b"] {
        order(&shop, user).await;
    }
    // Those who came to two before the first firing are not of the same time.
    for user in ["e", "f", "g"] {
        order(&shop, user).await;
        order(&shop, user).await;
    }
    for user in ["a", "e"] {
        shop.track(user, "Reviewed", json!({})).await;
    }
    shop.work().await;
    let open = shop.platform.rule_report(W, "loyalty", 30).await.unwrap();
    assert_eq!((open.firings, open.people, open.fired.people, open.fired.open), (2, 2, 0, 2));
    assert_eq!(open.difference, None);
    assert!(open.sentence.contains("not over for any of the 2"), "{}", open.sentence);
    shop.pass_and_work(8 * DAY).await;
    let report = shop.platform.rule_report(W, "loyalty", 30).await.unwrap();
    let near = report.near.unwrap();
    assert_eq!((report.fired.did, report.fired.people, near.did, near.people), (1, 2, 1, 3));
    assert_eq!(report.by_day.iter().map(|(_, many)| many).sum::<u64>(), 2);
    let (difference, low, high) = report.difference.unwrap();
    assert!((difference - (0.5 - 1.0 / 3.0)).abs() < 1e-12 && low < 0.0 && high > 0.0);
    assert!(report.sentence.contains("1 of 2") && report.sentence.contains("1 of 3"), "{}", report.sentence);
}

fn table(hit: &str, attribute: Option<&str>) -> Value {
    let mut body = json!({
        "hit": hit,
        "rows": [
            {"name": "Regular", "where": "count \"Order Completed\" >= 2", "outcome": {"discount": 10}},
            {"name": "Bought", "where": "did \"Order Completed\"", "outcome": {"discount": 5}},
            {"name": "Never reached", "where": "count \"Order Completed\" >= 3", "outcome": {"discount": 20}},
        ],
    });
    if let Some(attribute) = attribute {
        body["attribute"] = json!(attribute);
    }
    body
}

#[tokio::test]
async fn a_table_decides_explains_and_names_its_gaps_overlaps_and_unreachable_rows() {
    let shop = Shop::open().await;
    for (user, many) in [("ada", 3), ("bob", 1), ("eve", 0)] {
        shop.identify(user, json!({})).await;
        for _ in 0..many {
            order(&shop, user).await;
        }
    }
    shop.work().await;
    shop.save(DefinitionKind::Table, "offer", table("first", None)).await.unwrap();
    let decided = shop.platform.decide(W, "offer", shop.profile("ada").await).await.unwrap();
    assert_eq!(decided.outcome, json!({"discount": 10}));
    let rows: Vec<_> = decided.rows.iter().map(|row| (row.holds, row.decides)).collect();
    assert_eq!(rows, [(true, true), (true, false), (true, false)]);
    assert_eq!(decided.rows[0].explanation.value.as_deref(), Some("3"));
    let nothing = shop.platform.decide(W, "offer", shop.profile("eve").await).await.unwrap();
    assert_eq!(nothing.outcome, Value::Null);
    let outlook = shop.platform.outlook(W, &table("first", None)).await.unwrap();
    assert_eq!((outlook.total, outlook.gap, outlook.unreachable), (3, 1, vec![2]));
    assert_eq!(outlook.gap_sample, [shop.profile("eve").await]);
    assert_eq!((outlook.holds, outlook.decides), (vec![1, 2, 1], vec![1, 1, 0]));
    let pairs: Vec<_> = outlook.overlaps.iter().map(|pair| (pair.first, pair.second, pair.count)).collect();
    assert_eq!(pairs, [(0, 1, 1), (0, 2, 1), (1, 2, 1)]);
    shop.save(DefinitionKind::Table, "offer", table("all", None)).await.unwrap();
    assert_eq!(shop.platform.registry(W).tables["offer"].table.hit, Hit::All);
    let all = shop.platform.decide(W, "offer", shop.profile("bob").await).await.unwrap();
    assert_eq!(all.outcome, json!([{"discount": 5}]));
}

#[tokio::test]
async fn a_table_keeps_its_outcome_in_an_attribute_and_may_not_read_it() {
    let shop = Shop::open().await;
    shop.identify("ada", json!({})).await;
    order(&shop, "ada").await;
    shop.save(DefinitionKind::Table, "offer", table("first", Some("offer"))).await.unwrap();
    shop.segment("ten", "offer.discount = 10").await;
    shop.work().await;
    let offer = async || {
        let (_, hot) = shop.platform.hot(W, shop.profile("ada").await).await.unwrap();
        hot.profile.values().get("offer").cloned().unwrap_or_default()
    };
    assert_eq!(offer().await, json!({"discount": 5}), "whoever fits already has it");
    order(&shop, "ada").await;
    assert_eq!(offer().await, json!({"discount": 10}));
    assert_eq!(shop.platform.store.segment_members(W, "ten").await.unwrap().len(), 1);
    let mut more = table("first", Some("offer"));
    more["rows"][0]["outcome"] = json!({"discount": 12});
    shop.pass(1);
    shop.save(DefinitionKind::Table, "offer", more).await.unwrap();
    shop.work().await;
    assert_eq!(offer().await, json!({"discount": 12}), "a new outcome reaches those who have the old one");
    let mut circle = table("first", Some("offer"));
    circle["rows"][0]["where"] = json!("not in segment \"ten\"");
    let refused = shop.save(DefinitionKind::Table, "offer", circle).await.unwrap_err();
    assert!(refused.to_string().contains("offer"), "{refused}");
}
