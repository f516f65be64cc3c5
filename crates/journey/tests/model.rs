//! Any journey, stepped at any instants and stored in between, does what a naive reading of it says.

use std::collections::BTreeMap;

use journey::{Compiled, Definition, Effect, Entry, enter, event, merge, tick};
use model::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn compile(definition: Value) -> Compiled {
    let definition: Definition = serde_json::from_value(definition).expect("a definition");
    Compiled::new("j", 1, definition).expect("a sound definition")
}

fn begin(journey: &Compiled, properties: &Value, open: &[Entry]) -> Option<Entry> {
    enter(journey, "Go", properties, open, None, at(0), &|key| format!("entry-{key}"))
}

/// A journey whose node `n` leads to later nodes only: wait, branch or send, then the exit.
fn journeys() -> impl Strategy<Value = Value> {
    proptest::collection::vec((0_u8..3, 1_u64..50, 1_usize..4), 0..12).prop_map(|shape| {
        let last = shape.len();
        let mut nodes = serde_json::Map::new();
        for (n, (kind, seconds, jump)) in shape.iter().enumerate() {
            let next = format!("n{}", n + 1);
            let further = format!("n{}", (n + jump).min(last));
            nodes.insert(
                format!("n{n}"),
                match kind {
                    0 => json!({"type": "wait", "seconds": seconds, "next": next}),
                    1 => {
                        json!({"type": "branch", "condition": "plan = \"gold\"", "yes": next, "no": further})
                    }
                    _ => json!({"type": "send", "template": format!("t{n}"), "next": next}),
                },
            );
        }
        nodes.insert(format!("n{last}"), json!({"type": "exit"}));
        json!({"trigger": {"event": "Go"}, "start": "n0", "nodes": nodes, "exits": [{"event": "Stop"}]})
    })
}

fn holds(node: &str, seed: u64) -> bool {
    node.bytes().fold(seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte))) % 2 == 0
}

/// The naive reading: walks the nodes, adding up the waits. Answers (second, template) of each message, and the end.
fn naive(definition: &Value, seed: u64) -> (Vec<(i64, String)>, i64) {
    let (mut node, mut second, mut sent) = ("n0".to_owned(), 0, Vec::new());
    loop {
        let here = &definition["nodes"][&node];
        let follow = |name: &str| here[name].as_str().expect("a node").to_owned();
        node = match here["type"].as_str().expect("a type") {
            "wait" => {
                second += here["seconds"].as_i64().expect("seconds");
                follow("next")
            }
            "branch" => follow(if holds(&node, seed) { "yes" } else { "no" }),
            "send" => {
                sent.push((second, follow("template")));
                follow("next")
            }
            _ => return (sent, second),
        };
    }
}

/// Stored and read back, as between any two steps.
fn restart(entry: &Entry) -> Entry {
    postcard::from_bytes(&postcard::to_stdvec(entry).expect("bytes")).expect("an entry")
}

proptest! {
    #[test]
    fn ticked_every_second_it_does_what_the_naive_reading_says(definition in journeys(), seed in any::<u64>()) {
        let journey = compile(definition.clone());
        let (expected, end) = naive(&definition, seed);
        let mut entry = begin(&journey, &json!({}), &[]).unwrap();
        let (mut sent, mut ended) = (Vec::new(), None);
        for second in 0..=end + 5 {
            let due = entry.due_at;
            let step = tick(&journey, &mut entry, at(second), &mut |node, _| holds(node, seed));
            prop_assert_eq!(step.moved, due.is_some_and(|due| due <= at(second)), "it moves when it is due and only then");
            for effect in step.effects {
                if let Effect::Send { template, .. } = effect {
                    sent.push((second, template));
                }
            }
            if step.ended.is_some() {
                prop_assert!(ended.is_none(), "it ends once");
                ended = Some(second);
            }
            entry = restart(&entry);
        }
        prop_assert_eq!(sent, expected);
        prop_assert_eq!(ended, Some(end));
    }

    #[test]
    fn however_late_the_timers_are_each_message_comes_once_in_order_and_never_early(
        definition in journeys(), seed in any::<u64>(), gaps in proptest::collection::vec(1_i64..90, 1..60),
    ) {
        let journey = compile(definition.clone());
        let (expected, end) = naive(&definition, seed);
        let mut entry = begin(&journey, &json!({}), &[]).unwrap();
        let (mut second, mut sent) = (0, Vec::new());
        for gap in gaps.iter().copied().chain(std::iter::repeat_n(end + 100, 40)) {
            second += gap;
            let step = tick(&journey, &mut entry, at(second), &mut |node, _| holds(node, seed));
            sent.extend(step.effects.into_iter().filter_map(|effect| match effect {
                Effect::Send { template, .. } => Some((second, template)),
                Effect::Decided { .. } => None,
            }));
            entry = restart(&entry);
        }
        prop_assert_eq!(sent.len(), expected.len());
        for ((when, template), (earliest, wanted)) in sent.iter().zip(&expected) {
            prop_assert_eq!(template, wanted);
            prop_assert!(when >= earliest);
        }
        for (actual, planned) in sent.windows(2).zip(expected.windows(2)) {
            prop_assert!(actual[1].0 - actual[0].0 >= planned[1].0 - planned[0].0, "downtime brings messages together");
        }
        prop_assert_eq!(entry.due_at, None);
    }

    #[test]
    fn a_step_back_of_the_clock_neither_refires_nor_skips(definition in journeys(), seed in any::<u64>(), back in 1_i64..200) {
        let journey = compile(definition.clone());
        let (expected, end) = naive(&definition, seed);
        let mut entry = begin(&journey, &json!({}), &[]).unwrap();
        let mut sent = 0;
        for second in (0..=end).flat_map(|second| [second, second - back, second]) {
            let step = tick(&journey, &mut entry, at(second), &mut |node, _| holds(node, seed));
            sent += step.effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).count();
        }
        prop_assert_eq!(sent, expected.len());
    }

    #[test]
    fn any_definition_is_refused_with_reasons_or_ends_every_step(
        links in proptest::collection::vec((0_u8..4, 0_usize..6, 0_usize..6), 1..6), hours in 1_i64..10_000,
    ) {
        let nodes: BTreeMap<String, Value> = links.iter().enumerate().map(|(n, (kind, a, b))| {
            let (a, b) = (format!("n{a}"), format!("n{b}"));
            (format!("n{n}"), match kind {
                0 => json!({"type": "wait", "seconds": 60, "next": a}),
                1 => json!({"type": "branch", "condition": "x = 1", "yes": a, "no": b}),
                2 => json!({"type": "send", "template": "t", "next": a}),
                _ => json!({"type": "exit"}),
            })
        }).collect();
        let definition = json!({"trigger": {"event": "Go"}, "start": "n0", "nodes": nodes});
        match Compiled::new("j", 1, serde_json::from_value(definition).unwrap()) {
            Err(error) => prop_assert!(!error.problems.is_empty()),
            Ok(journey) => {
                let mut entry = begin(&journey, &json!({}), &[]).unwrap();
                for round in 0..4 {
                    let now = at(round * hours * 3_600);
                    let step = tick(&journey, &mut entry, now, &mut |node, _| holds(node, round as u64));
                    prop_assert_ne!(step.ended.as_deref(), Some("too_many_steps"), "downtime ends nobody's journey");
                    prop_assert!(entry.due_at.is_none_or(|due| due > now));
                }
            }
        }
    }
}

#[test]
fn entries_are_kept_apart_by_key_and_bounded() {
    let journey = compile(json!({
        "trigger": {"event": "Go", "key": "cart.id"}, "start": "end", "nodes": {"end": {"type": "exit"}},
    }));
    let mut open = Vec::new();
    for n in 0..100 {
        open.extend(begin(&journey, &json!({"cart": {"id": n}}), &open));
        open.extend(begin(&journey, &json!({"cart": {"id": n}}), &open));
    }
    assert_eq!(open.len(), journey::ENTRIES_MAX);
    assert_eq!(open[1].key, "1");
    for bad in [
        json!({}),
        json!({"cart": {"id": null}}),
        json!({"cart": {"id": "x".repeat(300)}}),
        json!({"cart": {"id": [1]}}),
    ] {
        assert!(begin(&journey, &bad, &[]).is_none(), "{bad}");
    }
}

#[test]
fn an_exit_with_a_key_ends_only_the_entry_of_that_key() {
    let journey = compile(json!({
        "trigger": {"event": "Go", "key": "cart_id"}, "start": "end", "nodes": {"end": {"type": "exit"}},
        "exits": [{"event": "Order Completed", "key": "cart", "where": "total > 0", "reason": "ordered"}],
    }));
    let entry = begin(&journey, &json!({"cart_id": 7}), &[]).unwrap();
    let check = |properties: Value, expected: Option<&str>| {
        assert_eq!(
            event(&journey, &entry, "Order Completed", &properties, at(1)).as_deref(),
            expected,
            "{properties}"
        );
    };
    check(json!({"cart": 7, "total": 1}), Some("ordered"));
    check(json!({"cart": "7", "total": 1}), Some("ordered"));
    check(json!({"cart": 8, "total": 1}), None);
    check(json!({"cart": 7, "total": 0}), None);
    check(json!({"total": 1}), None);
    assert_eq!(event(&journey, &entry, "Order Cancelled", &json!({"cart": 7, "total": 1}), at(1)), None);
}

#[test]
fn a_merge_keeps_the_earlier_of_two_entries_with_one_key() {
    let journey = compile(json!({
        "trigger": {"event": "Go", "key": "k"}, "start": "end", "nodes": {"end": {"type": "exit"}},
    }));
    let entry = |key: &str, second, id: &str| {
        enter(&journey, "Go", &json!({"k": key}), &[], None, at(second), &|_| id.to_owned()).unwrap()
    };
    let mut ours = vec![entry("a", 5, "1"), entry("b", 5, "2")];
    let ended = merge(&mut ours, vec![entry("a", 3, "3"), entry("c", 9, "4")]);
    let ids = |entries: &[Entry]| entries.iter().map(|e| e.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&ours), ids(&ended)), (vec!["3".into(), "2".into(), "4".into()], vec!["1".to_owned()]));
    assert!(merge(&mut ours, Vec::new()).is_empty());
}

#[test]
fn each_fault_is_named_with_its_place() {
    let check = |patch: Value, path: &str, part: &str| {
        let mut definition = json!({
            "trigger": {"event": "Go"}, "start": "wait",
            "nodes": {"wait": {"type": "wait", "seconds": 60, "next": "end"}, "end": {"type": "exit"}},
        });
        for (name, value) in patch.as_object().unwrap() {
            definition[name] = value.clone();
        }
        let error = Compiled::new("j", 1, serde_json::from_value(definition).unwrap()).unwrap_err();
        let found = error.problems.iter().any(|p| p.path == path && p.message.contains(part));
        assert!(found, "{path} {part}: {:?}", error.problems);
        assert_eq!(error.kind(), model::Kind::Invalid);
    };
    let end = json!({"type": "exit"});
    check(json!({"start": "waitt"}), "/start", "Did you mean 'wait'");
    check(json!({"trigger": {"event": " "}}), "/trigger/event", "names no event");
    check(json!({"trigger": {"event": "Go", "where": "price >"}}), "/trigger/where", "");
    check(json!({"exits": [{"event": ""}]}), "/exits/0/event", "names no event");
    check(json!({"exits": [{"event": "x", "key": "k"}]}), "/exits/0/key", "trigger");
    check(
        json!({"nodes": {"wait": {"type": "wait", "seconds": 0, "next": "end"}, "end": end}}),
        "/nodes/wait/seconds",
        "second",
    );
    check(
        json!({"nodes": {"wait": {"type": "wait", "seconds": 60, "next": "gone"}, "end": end}}),
        "/nodes/wait/next",
        "gone",
    );
    check(json!({"nodes": {"wait": end, "lost": end}}), "/nodes/lost", "Nothing leads");
    check(
        json!({"nodes": {"wait": {"type": "send", "template": "t", "kind": "spam", "next": "end"}, "end": end}}),
        "/nodes/wait/kind",
        "marketing",
    );
    check(
        json!({"nodes": {"wait": {"type": "send", "template": "t", "next": "wait"}}}),
        "/nodes/wait",
        "leads back",
    );
}
