//! One suite for both databases. SQLite always; PostgreSQL when `RAPPORT_TEST_POSTGRES` names a server
//! (`postgres://…` of a user who may create databases): each test gets a database of its own there.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests; the server is named by the environment"
)]

#[path = "conformance/coupons.rs"]
mod coupons;
#[path = "conformance/split.rs"]
mod split;

use std::collections::HashSet;
use std::future::Future;

use model::{IdentifierKind, Position, ProfileId, Timestamp, WorkspaceId};
use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use store::*;

const W: WorkspaceId = WorkspaceId(1);
const OTHER: WorkspaceId = WorkspaceId(2);

/// Runs a test at each location there is.
fn everywhere<F, Fut>(name: &str, test: F)
where
    F: Fn(Location) -> Fut,
    Fut: Future<Output = ()>,
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        test(Location::Directory(dir.path().to_owned())).await;
        let Ok(server) = std::env::var("RAPPORT_TEST_POSTGRES") else {
            eprintln!("{name}: PostgreSQL skipped, RAPPORT_TEST_POSTGRES is not set");
            return;
        };
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let database = format!("conformance_{name}");
        for statement in [
            format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            format!("CREATE DATABASE {database}"),
        ] {
            admin.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        let base = server.rsplit_once('/').map_or(server.as_str(), |(base, _)| base);
        test(Location::Postgres(format!("{base}/{database}"))).await;
    });
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn append(workspace: WorkspaceId, id: &str, body: &str) -> Append {
    Append {
        workspace,
        message_id: id.to_owned(),
        body_hash: body.len() as u64 ^ u64::from(*body.as_bytes().first().unwrap_or(&0)) << 32,
        payload: body.as_bytes().to_vec(),
    }
}

fn profile(id: i64, email: &str, due: Option<i64>) -> ProfileRow {
    ProfileRow {
        workspace: W,
        id: ProfileId(id),
        due_at: due.map(at),
        created_at: at(1),
        last_seen_at: at(id),
        email: Some(email.to_owned()),
        name: None,
        user_id: Some(format!("u{id}")),
        state: vec![id as u8; id as usize % 7],
    }
}

fn identifier(value: &str, profile: i64) -> IdentifierRow {
    IdentifierRow {
        workspace: W,
        kind: IdentifierKind::UserId,
        value: value.to_owned(),
        profile: ProfileId(profile),
    }
}

fn change(segment: &str, profile: i64, entered: bool, when: i64) -> MembershipChange {
    MembershipChange {
        workspace: W,
        segment: segment.to_owned(),
        profile: ProfileId(profile),
        entered,
        at: at(when),
        cause: format!("at {when}"),
    }
}

fn message(key: &str, profile: i64) -> NewMessage {
    NewMessage {
        workspace: W,
        id: format!("m-{key}"),
        send_key: key.to_owned(),
        profile: ProfileId(profile),
        kind: "marketing".to_owned(),
        topic: "news".to_owned(),
        source: None,
        template: "t".to_owned(),
        recipient: "Rose@Shop.example".to_owned(),
        due_at: at(10),
        created_at: at(5),
        data: "{}".to_owned(),
        trace: "[]".to_owned(),
    }
}

fn gate(key: &str) -> Gate {
    Gate {
        id: format!("m-{key}"),
        address_key: "keyed".to_owned(),
        trace: "[]".to_owned(),
        composed: Some(Composed {
            subject: "Hello".to_owned(),
            content: "{}".to_owned(),
            raw: b"raw\0bytes".to_vec(),
        }),
    }
}

fn told(id: &str) -> Told {
    Told { trace: format!("[\"{id}\"]"), emitted: vec![emitted(id)] }
}

fn emitted(id: &str) -> Emitted {
    Emitted { message_id: id.to_owned(), payload: id.as_bytes().to_vec() }
}

fn strict(facts: &GateFacts) -> GateVerdict {
    if facts.suppressed.is_some() {
        return GateVerdict::Skip("suppressed".to_owned());
    }
    if facts.topic_subscribed == Some(false) || facts.marketing_subscribed == Some(false) {
        return GateVerdict::Skip("unsubscribed".to_owned());
    }
    if facts.profile_exists { GateVerdict::Allow } else { GateVerdict::Skip("profile_gone".to_owned()) }
}

async fn state(store: &Store, key: &str) -> String {
    store.message(&format!("m-{key}")).await.unwrap().unwrap().state
}

#[test]
fn the_log_stores_once_in_order_and_for_ever() {
    everywhere("log", |location| async move {
        let log = Log::open(&location).await.unwrap();
        assert_eq!(log.head(), Position(0));
        assert_eq!(log.append(vec![]).await.unwrap(), vec![]);
        let outcomes = log
            .append(vec![
                append(W, "a", "one"),
                append(W, "b", "two"),
                append(W, "a", "one"),
                append(W, "a", "other"),
                append(OTHER, "a", "theirs"),
            ])
            .await
            .unwrap();
        assert_eq!(
            outcomes,
            vec![
                Outcome::Accepted(Position(1)),
                Outcome::Accepted(Position(2)),
                Outcome::Duplicate { conflict: false },
                Outcome::Duplicate { conflict: true },
                Outcome::Accepted(Position(3)),
            ]
        );
        drop(log);
        // Reopened: what was known stays known.
        let log = Log::open(&location).await.unwrap();
        let again = log
            .append(vec![append(W, "b", "two"), append(W, "b", "xxxx"), append(W, "c", "")])
            .await
            .unwrap();
        assert_eq!(
            again,
            vec![
                Outcome::Duplicate { conflict: false },
                Outcome::Duplicate { conflict: true },
                Outcome::Accepted(Position(4)),
            ]
        );
        let read = |from, many| {
            let log = &log;
            async move {
                let rows = log.read(Position(from), many).await.unwrap();
                rows.into_iter().map(|(p, b)| (p.0, String::from_utf8(b).unwrap())).collect::<Vec<_>>()
            }
        };
        let all: Vec<(i64, String)> =
            [(1, "one"), (2, "two"), (3, "theirs"), (4, "")].map(|(p, b)| (p, b.to_owned())).to_vec();
        assert_eq!(read(0, 100).await, all);
        assert_eq!(read(2, 2).await, all[1..3]);
        assert_eq!(read(4, 100).await, all[3..]);
        assert_eq!(read(5, 100).await, vec![]);
        assert_eq!(log.oldest().await.unwrap(), Position(1));
    });
}

#[test]
fn concurrent_senders_of_the_same_ids_store_each_once() {
    everywhere("concurrent", |location| async move {
        let log = std::sync::Arc::new(Log::open(&location).await.unwrap());
        let mut tasks = Vec::new();
        for sender in 0..8 {
            let log = log.clone();
            tasks.push(tokio::spawn(async move {
                let mut accepted = Vec::new();
                for batch in 0..20 {
                    let appends = (0..25)
                        .map(|n| append(W, &format!("id-{}", (batch * 13 + n * (sender + 1)) % 300), "same"))
                        .collect();
                    for outcome in log.append(appends).await.unwrap() {
                        if let Outcome::Accepted(position) = outcome {
                            accepted.push(position.0);
                        }
                    }
                }
                accepted
            }));
        }
        let mut positions = Vec::new();
        for task in tasks {
            positions.extend(task.await.unwrap());
        }
        positions.sort_unstable();
        assert_eq!(positions, (1..=log.head().0).collect::<Vec<_>>());
        assert_eq!(log.read(Position(1), 10_000).await.unwrap().len(), positions.len());
    });
}

#[test]
fn a_step_is_written_whole_or_not_at_all() {
    everywhere("step", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let mut step = StepCommit::new("step", Position(0), Position(7));
        step.profiles =
            vec![profile(1, "Rose@shop.example", Some(50)), profile(2, "fern@shop.example", None)];
        step.identifiers = vec![identifier("u1", 1), identifier("nul\0é\"'\\u0000", 2)];
        step.memberships =
            vec![change("buyers", 1, true, 3), change("buyers", 2, true, 3), change("buyers", 2, false, 4)];
        step.consents = vec![
            ConsentRow {
                workspace: W,
                profile: ProfileId(1),
                topic: "news".into(),
                subscribed: false,
                at: at(9),
                source: "page".into(),
            },
            ConsentRow {
                workspace: W,
                profile: ProfileId(1),
                topic: "news".into(),
                subscribed: true,
                at: at(8),
                source: "event".into(),
            },
        ];
        step.messages = vec![message("k1", 1), message("k1", 1), message("k2", 2)];
        step.emitted = vec![emitted("e1"), emitted("e2"), emitted("e1")];
        step.entries = vec![EntryRow {
            workspace: W,
            id: "entry".into(),
            journey: "cart".into(),
            version: 1,
            profile: ProfileId(1),
            node: "wait".into(),
            key: "k".into(),
            entered_at: at(3),
            due_at: Some(at(50)),
            exited_at: None,
            exit_reason: None,
            passed: vec!["trigger".into(), "trigger".into(), "wait".into()],
        }];
        store.commit_step(&step).await.unwrap();
        assert_eq!(store.position("step").await.unwrap(), Position(7));
        assert_eq!(store.open_versions(W).await.unwrap(), vec![("cart".into(), 1)]);
        assert_eq!(store.open_versions(OTHER).await.unwrap(), vec![]);

        // The same step again is refused and changes nothing.
        let error = store.commit_step(&step).await.unwrap_err();
        assert!(matches!(error, Error::Moved { expected: 0, found: 7, .. }), "{error}");
        assert_eq!(store.count_profiles(W).await.unwrap(), 2);
        let mut ids = store.profile_ids(W).await.unwrap();
        ids.sort_unstable();
        assert_eq!(ids, [ProfileId(1), ProfileId(2)]);
        assert_eq!(store.node_counts(W, "cart").await.unwrap().len(), 2);
        assert!(store.node_counts(W, "cart").await.unwrap().contains(&("trigger".into(), 0, 2)));
        assert!(store.node_counts(W, "cart").await.unwrap().contains(&("wait".into(), 1, 1)));

        let wanted = vec![
            (W, IdentifierKind::UserId, "u1".to_owned()),
            (W, IdentifierKind::UserId, "nobody".to_owned()),
            (W, IdentifierKind::AnonymousId, "u1".to_owned()),
            (OTHER, IdentifierKind::UserId, "u1".to_owned()),
        ];
        let found = store.lookup_identifiers(&wanted).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[&wanted[0]], ProfileId(1));
        let rows = store.load_profiles(&[ProfileId(1), ProfileId(2), ProfileId(9)]).await.unwrap();
        let states: HashSet<Vec<u8>> = rows.into_iter().map(|row| row.state).collect();
        assert_eq!(states, HashSet::from([vec![1], vec![2, 2]]));
        assert_eq!(store.due_profiles(at(50), 10).await.unwrap(), vec![(W, ProfileId(1))]);
        assert_eq!(store.due_profiles(at(49), 10).await.unwrap(), vec![]);
        assert_eq!(store.next_due_at().await.unwrap(), Some(at(50)));
        assert_eq!(store.max_profile_id().await.unwrap(), 2);
        assert_eq!(store.scan_profiles(W, ProfileId(1), 10).await.unwrap().len(), 1);

        // Entered and left in one step: in the history twice, in the segment not.
        assert_eq!(store.segment_counts(W).await.unwrap(), vec![("buyers".into(), 1)]);
        let history = store.segment_history(W, "buyers", i64::MAX, 10).await.unwrap();
        let history: Vec<_> = history.iter().map(|row| (row.1.0, row.3)).collect();
        assert_eq!(history, vec![(2, false), (2, true), (1, true)]);
        assert_eq!(
            store.memberships(ProfileId(1)).await.unwrap(),
            vec![("buyers".into(), at(3), "at 3".into())]
        );
        assert_eq!(store.all_memberships(W, 10).await.unwrap().len(), 1);

        // The later word wins whatever the order.
        assert!(!store.consents(W, ProfileId(1)).await.unwrap()[0].subscribed);
        assert_eq!(store.message_counts(W).await.unwrap(), vec![("planned".into(), 2)]);
        let waiting = store.emitted(10).await.unwrap();
        assert_eq!(waiting.iter().map(|(_, e)| e.message_id.as_str()).collect::<Vec<_>>(), ["e1", "e2"]);
        assert_eq!(waiting[1].1.payload, b"e2");
        store.forget_emitted(&[waiting[0].0]).await.unwrap();
        assert_eq!(store.emitted(10).await.unwrap().len(), 1);

        let found = store.search_profiles(W, Some("ROSE"), None, 0, 10).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(store.search_profiles(W, None, Some("buyers"), 0, 10).await.unwrap().len(), 1);
        assert_eq!(store.search_profiles(W, Some("100%_"), None, 0, 10).await.unwrap().len(), 0);
        assert_eq!(store.search_profiles(OTHER, None, None, 0, 10).await.unwrap().len(), 0);

        assert_eq!(store.segment_members(W, "buyers").await.unwrap(), [ProfileId(1)]);
        assert_eq!(store.segment_members(OTHER, "buyers").await.unwrap(), []);
        let known = [ProfileId(9), ProfileId(2), ProfileId(1)];
        assert_eq!(store.known_profiles(W, &known).await.unwrap().len(), 2);
        assert_eq!(store.known_profiles(OTHER, &known).await.unwrap(), []);

        // The entry goes on; a second step builds on the first.
        let mut next = StepCommit::new("step", Position(7), Position(9));
        next.entries = vec![EntryRow {
            node: "end".into(),
            exited_at: Some(at(60)),
            exit_reason: Some("done".into()),
            due_at: None,
            passed: vec!["wait".into()],
            ..step.entries[0].clone()
        }];
        store.commit_step(&next).await.unwrap();
        assert_eq!(store.exit_counts(W, "cart").await.unwrap(), vec![("done".into(), 1)]);
        assert_eq!(store.journey_counts(W).await.unwrap(), vec![("cart".into(), 1, 0)]);
        assert_eq!(store.entries(W, Some("cart"), None, 10).await.unwrap()[0].node, "end");
        assert_eq!(store.open_versions(W).await.unwrap(), vec![], "nobody is inside any more");

        // A segment that is no more has no members, and its history says when they left.
        store.end_memberships(OTHER, "buyers", at(70), "gone").await.unwrap();
        assert_eq!(store.segment_members(W, "buyers").await.unwrap().len(), 1);
        store.end_memberships(W, "buyers", at(70), "gone").await.unwrap();
        assert_eq!(store.segment_members(W, "buyers").await.unwrap(), []);
        let last = store.segment_history(W, "buyers", i64::MAX, 1).await.unwrap().remove(0);
        assert_eq!((last.1, last.2, last.3, last.4.as_str()), (ProfileId(1), at(70), false, "gone"));
    });
}

#[test]
fn a_merge_moves_everything_and_keeps_the_stricter_word() {
    everywhere("merge", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let mut step = StepCommit::new("step", Position(0), Position(1));
        step.profiles = vec![
            profile(1, "a@shop.example", None),
            profile(2, "b@shop.example", None),
            profile(3, "c@shop.example", None),
        ];
        step.identifiers = vec![identifier("one", 1), identifier("two", 2)];
        step.memberships = vec![change("buyers", 1, true, 3)];
        step.messages = vec![message("k1", 1)];
        let consent = |profile, subscribed| ConsentRow {
            workspace: W,
            profile: ProfileId(profile),
            topic: "news".into(),
            subscribed,
            at: at(profile),
            source: "x".into(),
        };
        step.consents = vec![consent(1, false), consent(2, true)];
        store.commit_step(&step).await.unwrap();
        for (source, target, expected) in [(1, 2, 1), (2, 3, 2)] {
            let mut step = StepCommit::new("step", Position(expected), Position(expected + 1));
            step.merges = vec![MergeRow {
                workspace: W,
                source: ProfileId(source),
                target: ProfileId(target),
                at: at(5),
                reason: "same".into(),
            }];
            store.commit_step(&step).await.unwrap();
        }
        let merges: HashSet<(i64, i64)> =
            store.merges(W).await.unwrap().into_iter().map(|m| (m.source.0, m.target.0)).collect();
        assert_eq!(merges, HashSet::from([(1, 3), (2, 3)]));
        let found = store.lookup_identifiers(&[(W, IdentifierKind::UserId, "one".into())]).await.unwrap();
        assert_eq!(found.values().next(), Some(&ProfileId(3)));
        assert_eq!(store.count_profiles(W).await.unwrap(), 1);
        assert!(!store.consents(W, ProfileId(3)).await.unwrap()[0].subscribed);
        assert_eq!(store.message("m-k1").await.unwrap().unwrap().profile, ProfileId(3));
        // A word given under the old profile reaches the one it became.
        store
            .opt_out(&OptOut {
                workspace: W,
                profile: ProfileId(1),
                topics: vec![("offers".into(), false)],
                source: "page".into(),
                at: at(9),
                emitted: vec![],
            })
            .await
            .unwrap();
        assert!(
            store
                .consents(W, ProfileId(3))
                .await
                .unwrap()
                .iter()
                .any(|row| row.topic == "offers" && !row.subscribed)
        );
        assert_eq!(store.max_profile_id().await.unwrap(), 3);
    });
}

#[test]
fn the_gate_obeys_the_newest_word_and_an_answer_counts_once() {
    everywhere("gate", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let mut step = StepCommit::new("step", Position(0), Position(1));
        step.profiles = vec![profile(1, "a@shop.example", None)];
        step.messages = ["k1", "k2", "k3", "k4", "k5"].iter().map(|key| message(key, 1)).collect();
        store.commit_step(&step).await.unwrap();
        assert_eq!(store.due_messages(at(9), 10).await.unwrap().len(), 0);
        assert_eq!(store.due_messages(at(10), 10).await.unwrap().len(), 5);
        let says = |reason: &str| told(&format!("skip-{reason}"));

        let verdict = store.gate(&gate("k1"), &strict, &says).await.unwrap();
        assert_eq!(verdict, GateVerdict::Allow);
        assert_eq!(state(&store, "k1").await, "intent");
        // What a template's messages met is read newest first, those still planned left out.
        let of = store.template_messages(W, "t", 10).await.unwrap();
        let row = store::TemplateMessage { journey: None, node: None, trace: "[]".into() };
        assert_eq!(of, [row]);
        assert_eq!(store.template_messages(W, "other", 10).await.unwrap(), []);
        assert_eq!(store.template_messages(OTHER, "t", 10).await.unwrap(), []);
        assert_eq!(store.raw_message("m-k1").await.unwrap().unwrap(), b"raw\0bytes");
        // The same message cannot pass a second time.
        assert!(matches!(store.gate(&gate("k1"), &strict, &says).await, Err(Error::Missing(_))));
        for _ in 0..2 {
            store
                .record_result("m-k1", "accepted", None, at(20), None, "[]", &[emitted("sent")])
                .await
                .unwrap();
        }
        assert_eq!(state(&store, "k1").await, "accepted");
        assert_eq!(store.emitted(10).await.unwrap().len(), 1);
        store
            .record_result("m-k1", "rejected", Some("late"), at(21), None, "[]", &[emitted("bounced")])
            .await
            .unwrap();
        assert_eq!(state(&store, "k1").await, "accepted");

        // Deferred: due again later, and may pass again.
        store.gate(&gate("k2"), &strict, &says).await.unwrap();
        store.record_result("m-k2", "deferred", Some("451"), at(20), Some(at(90)), "[]", &[]).await.unwrap();
        assert!(store.due_messages(at(89), 10).await.unwrap().iter().all(|m| m.id != "m-k2"));
        let again = Gate { composed: None, ..gate("k2") };
        assert_eq!(store.gate(&again, &strict, &says).await.unwrap(), GateVerdict::Allow);
        let row = store.message("m-k2").await.unwrap().unwrap();
        assert_eq!((row.attempt, row.subject.as_str(), row.content.as_deref()), (2, "Hello", Some("{}")));
        assert_eq!(store.raw_message("m-k2").await.unwrap().unwrap(), b"raw\0bytes");

        // An opt-out before the intent wins; one after does not undo it.
        let word = |topic: &str| OptOut {
            workspace: W,
            profile: ProfileId(1),
            topics: vec![(topic.into(), false)],
            source: "one_click".into(),
            at: at(30),
            emitted: vec![],
        };
        store.opt_out(&word("news")).await.unwrap();
        let verdict = store.gate(&gate("k3"), &strict, &says).await.unwrap();
        assert_eq!(verdict, GateVerdict::Skip("unsubscribed".into()));
        assert_eq!(state(&store, "k3").await, "skipped");
        assert_eq!(store.message("m-k3").await.unwrap().unwrap().trace, "[\"skip-unsubscribed\"]");
        assert_eq!(state(&store, "k2").await, "intent");
        let before = store.emitted(10).await.unwrap().len();
        store.end_message("m-k3", "expired", "again", &told("twice")).await.unwrap();
        assert_eq!(store.emitted(10).await.unwrap().len(), before);

        let row = SuppressionRow {
            address: "keyed".into(),
            hint: "r…@shop.example".into(),
            reason: "complaint".into(),
            at: at(40),
        };
        assert_eq!(store.suppress(W, std::slice::from_ref(&row)).await.unwrap(), 1);
        assert_eq!(store.suppress(W, &[SuppressionRow { reason: "manual".into(), ..row }]).await.unwrap(), 0);
        let verdict = store.gate(&gate("k4"), &strict, &says).await.unwrap();
        assert_eq!(verdict, GateVerdict::Skip("suppressed".into()));
        let (rows, total) = store.suppressions(W, 0, 10).await.unwrap();
        assert_eq!((rows[0].reason.as_str(), total), ("complaint", 1));
        assert_eq!(store.suppressions(OTHER, 0, 10).await.unwrap().1, 0);
        assert!(!store.unsuppress(OTHER, "keyed").await.unwrap());
        assert!(store.unsuppress(W, "keyed").await.unwrap());

        // A restart finds the open intents and tells of them once. What is transactional is due again.
        let mut step = StepCommit::new("step", Position(1), Position(2));
        step.messages = vec![NewMessage { kind: "transactional".into(), ..message("t1", 1) }];
        store.commit_step(&step).await.unwrap();
        store.gate(&gate("t1"), &|_| GateVerdict::Allow, &says).await.unwrap();
        let doubt = |message: &MessageRow| vec![emitted(&format!("doubt-{}", message.id))];
        let found = store.recover_intents(at(50), at(100), &doubt).await.unwrap();
        assert_eq!(found, vec!["m-k2".to_owned(), "m-t1".to_owned()]);
        assert_eq!(store.recover_intents(at(50), at(100), &doubt).await.unwrap(), Vec::<String>::new());
        assert_eq!(state(&store, "k2").await, "in_doubt");
        assert_eq!(state(&store, "t1").await, "deferred");
        assert!(store.emitted(20).await.unwrap().iter().any(|(_, e)| e.message_id == "doubt-m-k2"));
        assert!(store.due_messages(at(50), 10).await.unwrap().iter().any(|m| m.id == "m-t1"));
        // Doubt ends, and is told once.
        let unknown = |message: &MessageRow| vec![emitted(&format!("unknown-{}", message.id))];
        assert_eq!(store.end_doubts(at(99), &unknown).await.unwrap(), Vec::<String>::new());
        assert_eq!(store.end_doubts(at(100), &unknown).await.unwrap(), vec!["m-k2".to_owned()]);
        assert_eq!(store.end_doubts(at(101), &unknown).await.unwrap(), Vec::<String>::new());
        assert_eq!(state(&store, "k2").await, "unknown");
        assert!(store.emitted(20).await.unwrap().iter().any(|(_, e)| e.message_id == "unknown-m-k2"));
        // What is held is not due before its time; what has ended is not moved.
        store.hold_message("m-t1", at(500)).await.unwrap();
        assert!(store.due_messages(at(499), 10).await.unwrap().iter().all(|m| m.id != "m-t1"));
        store.hold_message("m-k1", at(500)).await.unwrap();
        assert_eq!(store.message("m-k1").await.unwrap().unwrap().due_at, at(10));

        // What the recipient did: the first open by a person stays.
        for (when, actor) in [(50, "machine"), (60, "person"), (70, "person")] {
            store.message_event("m-k1", "Email Opened", at(when), "", actor, &[]).await.unwrap();
        }
        assert_eq!(store.message("m-k1").await.unwrap().unwrap().opened_at, Some(at(60)));
        assert_eq!(store.message_events("m-k1").await.unwrap().len(), 3);
        assert_eq!(store.response_counts(W).await.unwrap(), (1, 0));
        let found = store
            .messages(W, i64::MAX, 10, Some("accepted"), None, Some(ProfileId(1)), Some("rose@"))
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(store.messages(OTHER, i64::MAX, 10, None, None, None, None).await.unwrap().len(), 0);
    });
}

#[test]
fn an_opt_out_storm_against_the_gate_never_loses() {
    everywhere("storm", |location| async move {
        let store = std::sync::Arc::new(Store::open(&location).await.unwrap());
        let mut step = StepCommit::new("step", Position(0), Position(1));
        step.profiles = (1..=60).map(|id| profile(id, "a@shop.example", None)).collect();
        step.messages = (1..=60).map(|id| message(&format!("k{id}"), id)).collect();
        store.commit_step(&step).await.unwrap();
        let (words, gates) = (store.clone(), store.clone());
        let opting = tokio::spawn(async move {
            let mut answered = Vec::new();
            for id in 1..=60 {
                let word = OptOut {
                    workspace: W,
                    profile: ProfileId(id),
                    topics: vec![("marketing".into(), false)],
                    source: "one_click".into(),
                    at: at(30),
                    emitted: vec![],
                };
                words.opt_out(&word).await.unwrap();
                // What stood at the answer: an intent by then may be sent, later ones may not.
                answered.push((id, words.message(&format!("m-k{id}")).await.unwrap().unwrap().state));
            }
            answered
        });
        let sending = tokio::spawn(async move {
            for id in (1..=60).rev() {
                let _ = gates.gate(&gate(&format!("k{id}")), &strict, &|_| Told::default()).await;
            }
        });
        let answered = opting.await.unwrap();
        sending.await.unwrap();
        for (id, then) in answered {
            let now = state(&store, &format!("k{id}")).await;
            assert!(
                then == "intent" || now == "skipped",
                "k{id}: {then} when the opt-out was answered, {now} afterwards"
            );
        }
    });
}

#[test]
fn an_idempotency_key_has_one_effect_and_one_answer() {
    everywhere("idempotency", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let call = Remembered { key: "k".into(), body: u64::MAX, status: 202, answer: "m-a".into() };
        assert_eq!(store.plan_once(W, &call, &[message("a", 1)], at(1)).await.unwrap(), call);
        let replay = Remembered { answer: "m-b".into(), ..call.clone() };
        assert_eq!(store.plan_once(W, &replay, &[message("b", 1)], at(2)).await.unwrap(), call);
        assert!(store.message("m-b").await.unwrap().is_none());
        let other = Remembered { body: 1, ..call.clone() };
        assert!(matches!(store.plan_once(W, &other, &[message("c", 1)], at(3)).await, Err(Error::Reused(_))));
        // Another workspace has its own keys.
        let theirs = Remembered { answer: "m-d".into(), body: 5, ..call.clone() };
        assert_eq!(store.plan_once(OTHER, &theirs, &[message("d", 1)], at(4)).await.unwrap(), theirs);
        // A call is forgotten after its time; the message it planned stays the same message.
        assert_eq!(store.forget_calls(at(1)).await.unwrap(), 0);
        assert_eq!(store.forget_calls(at(2)).await.unwrap(), 1);
        assert_eq!(store.remembered(W, &call.key).await.unwrap(), None);
        assert!(store.remembered(OTHER, &theirs.key).await.unwrap().is_some());
    });
}

#[test]
fn what_people_write_keeps_its_versions() {
    everywhere("written", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let row = |body: &str, status: &str| DefinitionRow {
            kind: "segment".into(),
            id: "buyers".into(),
            version: 0,
            name: "Buyers".into(),
            body: body.into(),
            status: status.into(),
            author: "console".into(),
            at: at(1),
        };
        assert_eq!(store.put_definition(W, &row("1", "live")).await.unwrap(), 1);
        assert_eq!(store.put_definition(W, &row("2", "live")).await.unwrap(), 2);
        assert_eq!(store.definitions(W, "segment").await.unwrap()[0].body, "2");
        assert_eq!(store.definitions(OTHER, "segment").await.unwrap().len(), 0);
        assert_eq!(store.put_definition(W, &row("2", "deleted")).await.unwrap(), 3);
        assert_eq!(store.definitions(W, "segment").await.unwrap().len(), 0);
        assert_eq!(store.versions(W, "segment", "buyers").await.unwrap().len(), 3);

        assert_eq!(store.meta_once("secret", "a").await.unwrap(), "a");
        assert_eq!(store.meta_once("secret", "b").await.unwrap(), "a");
        store.put_meta("secret", "c").await.unwrap();
        assert_eq!(store.meta("secret").await.unwrap().as_deref(), Some("c"));
        store.put_workspace(W, "{\"name\":\"a\"}", at(1)).await.unwrap();
        store.put_workspace(W, "{\"name\":\"b\"}", at(2)).await.unwrap();
        assert_eq!(store.workspaces().await.unwrap(), vec![(W, "{\"name\":\"b\"}".into(), at(1))]);
        let id = store.put_key(W, "K", "api", "hash", "…x", at(1)).await.unwrap();
        assert_eq!(store.put_key(W, "K2", "api", "hash", "…x", at(1)).await.unwrap(), id);
        assert_eq!(store.key("hash").await.unwrap(), Some((W, "api".into())));
        assert!(!store.delete_key(OTHER, &id).await.unwrap());
        assert!(store.delete_key(W, &id).await.unwrap());
        assert_eq!(store.key("hash").await.unwrap(), None);
        store.put_session("s", W, None, at(1), at(10)).await.unwrap();
        assert_eq!(store.session("s", at(9)).await.unwrap(), Some(W));
        assert_eq!(store.session("s", at(10)).await.unwrap(), None);
        store.delete_session("s").await.unwrap();
        assert_eq!(store.session("s", at(2)).await.unwrap(), None);
        // A session that began with a key ends with it.
        let id = store.put_key(W, "K", "api", "hash", "…x", at(1)).await.unwrap();
        store.put_session("of-key", W, Some("hash"), at(1), at(10)).await.unwrap();
        store.put_session("of-setup", W, None, at(1), at(10)).await.unwrap();
        assert_eq!(store.session("of-key", at(2)).await.unwrap(), Some(W));
        assert!(store.delete_key(W, &id).await.unwrap());
        assert_eq!(store.session("of-key", at(2)).await.unwrap(), None);
        assert_eq!(store.session("of-setup", at(2)).await.unwrap(), Some(W));
        store
            .change_items(
                W,
                "products",
                &[("p1".into(), "{}".into()), ("p1".into(), "{\"a\":1}".into())],
                &[],
            )
            .await
            .unwrap();
        assert_eq!(store.items(W, "products").await.unwrap(), vec![("p1".into(), "{\"a\":1}".into())]);
        store.put_assets(W, "image/svg+xml", &[("a.svg".into(), "<svg/>".into())]).await.unwrap();
        assert_eq!(store.asset("a.svg").await.unwrap(), Some(("image/svg+xml".into(), b"<svg/>".to_vec())));
        store.quarantine(W, at(3), "batch", &[("[]".into(), "nul\0".into())]).await.unwrap();
        assert_eq!(store.quarantined(W, i64::MAX, 10).await.unwrap().len(), 1);
    });
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let held = DirectoryLock::take(dir.path()).unwrap();
    let error = DirectoryLock::take(dir.path()).unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    drop(held);
    DirectoryLock::take(dir.path()).unwrap();
    everywhere("second", |location| async move {
        if matches!(location, Location::Directory(_)) {
            return;
        }
        let first = Store::open(&location).await.unwrap();
        assert!(matches!(Store::open(&location).await, Err(Error::Locked(_))));
        drop(first);
        Store::open(&location).await.unwrap();
    });
}

#[test]
fn a_lost_connection_is_made_anew() {
    everywhere("reconnect", |location| async move {
        let Location::Postgres(url) = &location else { return };
        let (log, store) = (Log::open(&location).await.unwrap(), Store::open(&location).await.unwrap());
        let mut other = PgConnection::connect(url).await.unwrap();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        other.execute(cut).await.unwrap();
        log.append(vec![append(W, "a", "one")]).await.unwrap();
        store.put_meta("a", "b").await.unwrap();
        assert_eq!(store.meta("a").await.unwrap().as_deref(), Some("b"));
        assert_eq!(log.read(Position(1), 10).await.unwrap().len(), 1);
    });
}

#[test]
fn a_damaged_record_is_named_and_never_served() {
    everywhere("damage", |location| async move {
        let log = Log::open(&location).await.unwrap();
        log.append(vec![append(W, "a", "one"), append(W, "b", "two")]).await.unwrap();
        match &location {
            Location::Directory(dir) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("log.db"));
                let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                other.execute("UPDATE batch SET count = 1").await.unwrap();
            }
            Location::Postgres(url) => {
                let mut other = PgConnection::connect(url).await.unwrap();
                other
                    .execute("UPDATE rapport.batch SET payload = overlay(payload placing '\\x00' from 6)")
                    .await
                    .unwrap();
            }
        }
        let error = log.read(Position(1), 10).await.unwrap_err();
        assert!(matches!(&error, Error::Corrupt(text) if text.contains("position 1")), "{error}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any mixture of batches, repeats and reopenings: the first of each (workspace, id) counts, in order.
    #[test]
    fn dedupe_equals_a_set(batches in prop::collection::vec(prop::collection::vec((1i64..3, 0u8..20, 0u8..3), 0..12), 1..12), reopen in 0usize..12) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let location = Location::Directory(dir.path().to_owned());
            let mut log = Log::open(&location).await.unwrap();
            let mut model: Vec<((i64, u8), u8)> = Vec::new();
            for (number, batch) in batches.iter().enumerate() {
                if number == reopen {
                    drop(log);
                    log = Log::open(&location).await.unwrap();
                }
                let appends = batch
                    .iter()
                    .map(|(w, id, body)| Append { workspace: WorkspaceId(*w), message_id: id.to_string(), body_hash: u64::from(*body), payload: vec![*w as u8, *id, *body] })
                    .collect();
                let outcomes = log.append(appends).await.unwrap();
                for ((w, id, body), outcome) in batch.iter().zip(outcomes) {
                    let expected = match model.iter().find(|(key, _)| *key == (*w, *id)) {
                        Some((_, first)) => Outcome::Duplicate { conflict: first != body },
                        None => {
                            model.push(((*w, *id), *body));
                            Outcome::Accepted(Position(model.len() as i64))
                        }
                    };
                    assert_eq!(outcome, expected);
                }
            }
            let stored: Vec<Vec<u8>> = log.read(Position(1), 1_000).await.unwrap().into_iter().map(|(_, bytes)| bytes).collect();
            let expected: Vec<Vec<u8>> = model.iter().map(|((w, id), body)| vec![*w as u8, *id, *body]).collect();
            assert_eq!(stored, expected);
        });
    }
}

#[test]
fn pages_of_the_api_are_answered_alike() {
    everywhere("pages", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let mut step = StepCommit::new("step", Position(0), Position(1));
        step.profiles = (1..=3).map(|id| profile(id, &format!("p{id}@shop.example"), None)).collect();
        step.memberships = vec![
            change("a", 1, true, 10),
            change("a", 2, true, 95),
            change("a", 1, false, 99),
            change("b", 3, true, 120),
        ];
        for (id, entered, exit) in [("e1", 5, None), ("e2", 7, Some("completed")), ("e3", 7, Some("ordered"))]
        {
            step.entries.push(EntryRow {
                workspace: W,
                id: id.to_owned(),
                journey: "j".to_owned(),
                version: 1,
                profile: ProfileId(1),
                node: "n".to_owned(),
                key: String::new(),
                entered_at: at(entered),
                due_at: None,
                exited_at: exit.map(|_| at(9)),
                exit_reason: exit.map(str::to_owned),
                passed: Vec::new(),
            });
        }
        store.commit_step(&step).await.unwrap();

        let ids = |rows: Vec<EntryRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let first = store.entries_before(W, Some("j"), None, None, None, 2).await.unwrap();
        let after = first.last().map(|row| (row.entered_at, row.id.clone()));
        assert_eq!(ids(first), ["e3", "e2"]);
        assert_eq!(
            ids(store.entries_before(W, Some("j"), None, after.as_ref(), None, 2).await.unwrap()),
            ["e1"]
        );
        assert!(store.entries_before(OTHER, None, None, None, None, 9).await.unwrap().is_empty());
        let open =
            store.entries(W, None, None, 9).await.unwrap().into_iter().filter(|row| row.exited_at.is_none());
        let at_node = store.entries_before(W, None, None, None, Some("n"), 9).await.unwrap();
        assert_eq!(at_node.len(), open.count(), "those that are there, not those that were");
        assert!(store.entries_before(W, None, None, None, Some("elsewhere"), 9).await.unwrap().is_empty());
        assert_eq!(store.completed_counts(W).await.unwrap(), [("j".to_owned(), 1)]);

        let mut changes = store.membership_changes(W, at(20), 100).await.unwrap();
        changes.sort();
        assert_eq!(changes, [("a".to_owned(), at(0), 0), ("b".to_owned(), at(100), 1)]);

        let causes = store.membership_causes(W, "b", at(0), 100).await.unwrap();
        let all: i64 = causes.iter().map(|(_, entered, _, many)| if *entered { *many } else { -many }).sum();
        assert!(causes.iter().any(|(step, entered, _, _)| *step == at(100) && *entered), "{causes:?}");
        assert_eq!(all, 1);
        assert_eq!(store.overlap(W, ["b", "a", ""]).await.unwrap(), [(1, 1), (2, 1)]);
        assert!(store.overlap(OTHER, ["b", "a", ""]).await.unwrap().is_empty());

        let refused = [("[]".to_owned(), "x".to_owned()), ("[]".to_owned(), "y".to_owned())];
        store.quarantine(W, at(50), "collector", &refused).await.unwrap();
        store.quarantine(W, at(150), "collector", &refused[..1]).await.unwrap();
        assert_eq!(store.quarantined_since(W, at(51)).await.unwrap(), 1);
        assert_eq!(store.quarantined_since(OTHER, at(0)).await.unwrap(), 0);
        let mut by = store.quarantined_by(W, at(0), 100).await.unwrap();
        by.sort();
        assert_eq!(by, [(at(0), 2), (at(100), 1)]);

        assert_eq!(store.messages_due(at(99)).await.unwrap(), (0, None));
        store.plan_message(&message("k1", 1)).await.unwrap();
        assert_eq!(store.messages_due(at(99)).await.unwrap(), (1, Some(at(10))));
        assert_eq!(store.messages_due(at(9)).await.unwrap(), (0, None));

        let items: Vec<_> =
            ["p1", "p2", "p3"].map(|id| (id.to_owned(), format!("{{\"id\":\"{id}\"}}"))).into();
        store.change_items(W, "products", &items, &[]).await.unwrap();
        assert_eq!(store.catalogs(W).await.unwrap(), [("products".to_owned(), 3)]);
        assert_eq!(store.items_after(W, "products", "p1", 1).await.unwrap(), items[1..2]);
        assert_eq!(store.item(W, "products", "p3").await.unwrap(), Some(items[2].1.clone()));
        assert!(store.delete_item(W, "products", "p3").await.unwrap());
        assert!(!store.delete_item(W, "products", "p3").await.unwrap());
        assert!(!store.delete_item(OTHER, "products", "p1").await.unwrap());
        assert_eq!(store.item(W, "products", "p3").await.unwrap(), None);
    });
}
