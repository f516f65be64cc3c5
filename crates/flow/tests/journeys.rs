//! Journeys while they are edited, paused and deleted, entered again, and walked in circles.

mod common;

use common::{Shop, accepted, wait_then_send};
use flow::DefinitionKind;
use proptest::prelude::*;
use serde_json::{Value, json};

async fn shop() -> Shop {
    let shop = Shop::open().await;
    for template in ["t0", "t1", "t2", "t3"] {
        shop.template(template, "<p>Hello</p>").await;
    }
    shop
}

async fn enter(shop: &Shop, user: &str) {
    shop.identify(user, json!({"plan": "gold"})).await;
    shop.track(user, "Go", json!({})).await;
    shop.work().await;
}

#[tokio::test]
async fn an_entry_finishes_the_version_it_entered_also_after_a_restart() {
    let mut shop = shop().await;
    shop.journey("j", wait_then_send(600, "t1")).await;
    enter(&shop, "ada").await;
    shop.pass(300);
    let second = shop.journey("j", wait_then_send(60, "t2")).await;
    enter(&shop, "ben").await;
    let entries = shop.entries().await;
    assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [second, second - 1]);
    shop = shop.crashed().await;
    shop.pass_and_work(60).await;
    assert_eq!(shop.mails().await, [accepted("t2")], "ben went by the second version");
    shop.pass_and_work(240).await;
    assert_eq!(shop.mails().await, [accepted("t2"), accepted("t1")], "ada by the first");
    assert!(shop.entries().await.iter().all(|entry| entry.exit_reason.as_deref() == Some("completed")));
}

#[tokio::test]
async fn a_former_version_keeps_its_branches_and_its_exits_while_somebody_is_inside() {
    let shop = shop().await;
    shop.segment("viewers", "did \"Product Viewed\" in last 30 days").await;
    let branching = json!({
        "trigger": {"event": "Go"}, "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "seconds": 600, "next": "branch"},
            "branch": {"type": "branch", "condition": "in segment \"viewers\" and count \"Product Viewed\" in last 7 days >= 2", "yes": "send", "no": "end"},
            "send": {"type": "send", "template": "t1", "next": "end"},
            "end": {"type": "exit"},
        },
        "exits": [{"event": "Leave", "reason": "left"}],
    });
    shop.journey("j", branching).await;
    for user in ["ada", "ben", "cleo"] {
        enter(&shop, user).await;
    }
    shop.journey("j", wait_then_send(60, "t2")).await;
    // What the former version's branch needs is counted on after the edit.
    for _ in 0..2 {
        shop.track("ada", "Product Viewed", json!({})).await;
    }
    shop.track("ben", "Product Viewed", json!({})).await;
    shop.track("cleo", "Leave", json!({})).await;
    shop.track("ben", "Stop", json!({})).await;
    shop.work().await;
    let refused =
        shop.platform.delete_definition(common::W, DefinitionKind::Segment, "viewers", "test").await;
    assert!(refused.unwrap_err().to_string().contains("viewers"), "somebody's branch still asks for it");
    shop.pass_and_work(600).await;
    assert_eq!(shop.mails().await, [accepted("t1")]);
    let mut reasons: Vec<Option<String>> =
        shop.entries().await.into_iter().map(|entry| entry.exit_reason).collect();
    reasons.sort_unstable();
    let text = |reason: &str| Some(reason.to_owned());
    assert_eq!(
        reasons,
        [text("completed"), text("completed"), text("left")],
        "the new version's exit is not theirs"
    );
    shop.platform.delete_definition(common::W, DefinitionKind::Segment, "viewers", "test").await.unwrap();
}

#[tokio::test]
async fn a_paused_journey_lets_nobody_in_holds_those_inside_and_still_lets_exit_events_end_them() {
    let mut shop = shop().await;
    shop.journey("j", wait_then_send(600, "t1")).await;
    enter(&shop, "ada").await;
    enter(&shop, "ben").await;
    shop.set_journey("j", "paused").await;
    enter(&shop, "cleo").await;
    assert_eq!(shop.entries().await.len(), 2, "cleo stayed outside");
    shop.pass_and_work(7_200).await;
    assert!(shop.mails().await.is_empty());
    assert!(shop.entries().await.iter().all(|entry| entry.exited_at.is_none()), "they rest");
    shop.track("ben", "Stop", json!({})).await;
    shop.work().await;
    shop = shop.crashed().await;
    shop.set_journey("j", "live").await;
    shop.work().await;
    assert_eq!(shop.mails().await, [accepted("t1")], "ada's wait had passed; she goes on at once");
    let reasons: Vec<Option<String>> =
        shop.entries().await.into_iter().map(|entry| entry.exit_reason).collect();
    assert!(reasons.contains(&Some("stopped".to_owned())) && reasons.contains(&Some("completed".to_owned())));
}

#[tokio::test]
async fn a_pause_before_the_intent_holds_a_planned_message_until_the_resume_and_a_deletion_ends_it() {
    for stop in ["paused", "deleted"] {
        let mut shop = shop().await;
        shop.journey("j", wait_then_send(600, "t1")).await;
        enter(&shop, "ada").await;
        shop.pass(600);
        shop.platform.round(flow::Work::Timers).await.unwrap();
        assert_eq!(shop.mails().await, [("t1".to_owned(), "planned".to_owned())]);
        shop.set_journey("j", stop).await;
        shop = shop.crashed().await;
        shop.work().await;
        let message = &shop.messages().await[0];
        let outcome = (message.state.as_str(), message.reason.as_deref());
        if stop == "deleted" {
            assert_eq!(outcome, ("skipped", Some("source_deleted")));
            continue;
        }
        assert_eq!(outcome, ("planned", Some("journey_paused")));
        shop.pass_and_work(86_400).await;
        assert_eq!(shop.messages().await[0].state, "planned", "nothing goes out while it is paused");
        shop.set_journey("j", "live").await;
        shop.work().await;
        assert_eq!(shop.mails().await, [accepted("t1")], "after the resume it goes out, once");
    }
}

#[tokio::test]
async fn an_edit_of_a_paused_journey_leaves_it_paused_and_those_inside_on_their_version() {
    let shop = shop().await;
    shop.journey("j", wait_then_send(600, "t1")).await;
    enter(&shop, "ada").await;
    shop.set_journey("j", "paused").await;
    shop.journey("j", wait_then_send(60, "t2")).await;
    shop.pass_and_work(7_200).await;
    assert!(shop.mails().await.is_empty());
    shop.set_journey("j", "live").await;
    shop.work().await;
    assert_eq!(shop.mails().await, [accepted("t1")]);
}

#[tokio::test]
async fn a_deleted_journey_ends_those_inside_at_once_and_sends_nothing_more() {
    let shop = shop().await;
    shop.journey("j", wait_then_send(600, "t1")).await;
    enter(&shop, "ada").await;
    shop.platform.delete_definition(common::W, DefinitionKind::Journey, "j", "test").await.unwrap();
    let entries = shop.entries().await;
    assert_eq!(entries[0].exit_reason.as_deref(), Some("journey_deleted"));
    shop.pass_and_work(7_200).await;
    assert!(shop.mails().await.is_empty());
    // The name can be used again; it is a new journey to everybody.
    let mut again = wait_then_send(600, "t2");
    again["reentry"] = json!("once");
    shop.journey("j", again).await;
    enter(&shop, "ada").await;
    shop.pass_and_work(600).await;
    assert_eq!(shop.mails().await, [accepted("t2")]);
}

#[tokio::test]
async fn who_may_enter_again_is_always_once_or_after_a_time() {
    let shop = shop().await;
    for (id, reentry) in
        [("always", None), ("once", Some(json!("once"))), ("later", Some(json!({"after_seconds": 86_400})))]
    {
        let mut body = wait_then_send(60, "t0");
        if let Some(reentry) = reentry {
            body["reentry"] = reentry;
        }
        shop.journey(id, body).await;
    }
    for hours in [0, 23, 1, 1] {
        shop.pass(hours * 3_600);
        enter(&shop, "ada").await;
        shop.pass_and_work(60).await;
    }
    let many =
        |id: &str, entries: &[store::EntryRow]| entries.iter().filter(|entry| entry.journey == id).count();
    let entries = shop.entries().await;
    assert_eq!(many("always", &entries), 4);
    assert_eq!(many("once", &entries), 1);
    assert_eq!(many("later", &entries), 2, "again a day after the last entry began");
    let faulty = shop.save(DefinitionKind::Journey, "x", json!({
        "trigger": {"event": "Go"}, "start": "end", "nodes": {"end": {"type": "exit"}}, "reentry": {"after_seconds": 0},
    }));
    assert!(faulty.await.unwrap_err().to_string().contains("Re-entry"));
}

#[tokio::test]
async fn a_circle_through_one_send_mails_once_in_each_round_whatever_crashes() {
    let mut shop = shop().await;
    shop.journey("circle", json!({
        "trigger": {"event": "Go"}, "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "seconds": 3_600, "next": "send"},
            "send": {"type": "send", "template": "t3", "next": "again"},
            "again": {"type": "branch", "condition": "count \"Email Sent\" in last 30 days < 3", "yes": "wait", "no": "end"},
            "end": {"type": "exit"},
        },
    })).await;
    enter(&shop, "ada").await;
    for round in 1..=6 {
        shop.pass(3_600);
        // The step is done again from the start when its transaction is lost: only what is committed counts.
        shop = shop.crashed().await;
        shop.work().await;
        let expected = vec![accepted("t3"); round.min(4)];
        assert_eq!(shop.mails().await, expected, "round {round}");
    }
    let keys: std::collections::HashSet<String> =
        shop.messages().await.into_iter().map(|row| row.id).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(shop.entries().await[0].exit_reason.as_deref(), Some("completed"));
}

/// A step of somebody who plays with the journey.
#[derive(Clone, Debug)]
enum Act {
    Enter,
    Edit(Vec<(bool, u64)>),
    Pass(i64),
    Pause,
    Resume,
    Crash,
}

/// Node `n` waits or sends `t0`…`t3`, then goes on.
fn line(shape: &[(bool, u64)]) -> Value {
    let mut nodes = serde_json::Map::new();
    for (n, (waits, number)) in shape.iter().enumerate() {
        let next = format!("n{}", n + 1);
        let node = match waits {
            true => json!({"type": "wait", "seconds": number + 1, "next": next}),
            false => json!({"type": "send", "template": format!("t{}", number % 4), "next": next}),
        };
        nodes.insert(format!("n{n}"), node);
    }
    nodes.insert(format!("n{}", shape.len()), json!({"type": "exit"}));
    json!({"trigger": {"event": "Go"}, "start": "n0", "nodes": nodes})
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let shape = proptest::collection::vec((any::<bool>(), 0_u64..200), 1..6);
    let act = prop_oneof![
        4 => Just(Act::Enter),
        2 => shape.prop_map(Act::Edit),
        4 => (0_i64..300).prop_map(Act::Pass),
        1 => Just(Act::Pause),
        1 => Just(Act::Resume),
        1 => Just(Act::Crash),
    ];
    proptest::collection::vec(act, 1..14)
}

async fn play(acts: Vec<Act>) {
    let mut shop = shop().await;
    let mut version = shop.journey("j", line(&[(true, 100), (false, 0)])).await;
    let mut courses = std::collections::BTreeMap::from([(version, vec![(true, 100), (false, 0)])]);
    let mut paused = false;
    let mut inside = Vec::new();
    for (number, act) in acts.into_iter().enumerate() {
        match act {
            Act::Enter => {
                let user = format!("user-{number}");
                enter(&shop, &user).await;
                if !paused {
                    inside.push((shop.profile(&user).await, version));
                }
            }
            Act::Edit(shape) => {
                version = shop.journey("j", line(&shape)).await;
                courses.insert(version, shape);
            }
            Act::Pass(seconds) => shop.pass_and_work(seconds).await,
            Act::Pause | Act::Resume => {
                paused = matches!(act, Act::Pause);
                shop.set_journey("j", if paused { "paused" } else { "live" }).await;
                // A change of status is a version, too; its course is the former one's.
                let course = courses[&version].clone();
                version = shop.platform.registry(common::W).journeys["j"].compiled.version;
                courses.insert(version, course);
            }
            Act::Crash => shop = shop.crashed().await,
        }
    }
    shop.set_journey("j", "live").await;
    for _ in 0..8 {
        shop.pass_and_work(1_000).await;
    }
    let entries = shop.entries().await;
    assert_eq!(entries.len(), inside.len(), "who could enter did, and nobody else");
    let messages = shop.messages().await;
    for (profile, version) in inside {
        let entry = entries.iter().find(|entry| entry.profile == profile).expect("an entry");
        assert_eq!((entry.version, entry.exit_reason.as_deref()), (version, Some("completed")));
        let sent: Vec<&str> =
            messages.iter().filter(|row| row.profile == profile).map(|row| row.template.as_str()).collect();
        let expected: Vec<String> = courses[&version]
            .iter()
            .filter(|(waits, _)| !waits)
            .map(|(_, n)| format!("t{}", n % 4))
            .collect();
        assert_eq!(sent, expected, "the mails of version {version}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_edited_paused_or_crashes_each_entry_gets_the_mails_of_its_own_version_once(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}
