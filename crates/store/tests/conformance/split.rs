//! Profiles that were merged and are two people.

use super::*;

#[test]
fn a_split_gives_back_what_was_merged_and_keeps_every_refusal_on_both() {
    everywhere("split", |location| async move {
        let store = Store::open(&location).await.unwrap();
        let mut step = StepCommit::new("step", Position(0), Position(1));
        step.profiles = vec![profile(1, "a@shop.example", None), profile(2, "b@shop.example", None)];
        step.identifiers = vec![identifier("one", 1), identifier("two", 2)];
        step.messages = vec![message("k1", 1), message("k2", 2)];
        let consent = |profile, topic: &str, subscribed| ConsentRow {
            workspace: W,
            profile: ProfileId(profile),
            topic: topic.into(),
            subscribed,
            at: at(profile),
            source: "x".into(),
        };
        step.consents = vec![consent(1, "news", false), consent(1, "offers", true), consent(2, "tips", true)];
        store.commit_step(&step).await.unwrap();
        let mut step = StepCommit::new("step", Position(1), Position(2));
        step.merges = vec![MergeRow {
            workspace: W,
            source: ProfileId(2),
            target: ProfileId(1),
            at: at(5),
            reason: "same".into(),
        }];
        step.merged_identifiers = vec![identifier("two", 2)];
        store.commit_step(&step).await.unwrap();
        let brought = store.merged_identifiers(ProfileId(1)).await.unwrap();
        assert_eq!(brought, [(ProfileId(2), IdentifierKind::UserId, "two".to_owned())]);
        let recipients = store.recipients_of(ProfileId(1)).await.unwrap();
        assert_eq!(recipients.len(), 2, "{recipients:?}");

        let mut step = StepCommit::new("step", Position(2), Position(3));
        step.profiles = vec![profile(2, "b@shop.example", None)];
        step.identifiers = vec![identifier("two", 2)];
        step.splits = vec![SplitRow {
            workspace: W,
            message_id: "split-1".into(),
            source: ProfileId(1),
            target: Some(ProfileId(2)),
            at: at(7),
            reason: "two people".into(),
            moved: 3,
            kept: 4,
            shared: 1,
            consents: vec![consent(1, "offers", true), consent(2, "tips", true), consent(2, "news", true)],
            given: vec![(9, 1, 2)],
            addresses: vec!["k2@nobody.example".into()],
            ..SplitRow::default()
        }];
        store.commit_step(&step).await.unwrap();
        assert!(store.merges(W).await.unwrap().is_empty());
        assert!(store.merged_identifiers(ProfileId(1)).await.unwrap().is_empty());
        assert_eq!(store.given_events().await.unwrap(), [(9, 1, 2)]);
        let said = async |id| {
            let rows = store.consents(W, ProfileId(id)).await.unwrap();
            let mut rows: Vec<_> = rows.into_iter().map(|row| (row.topic, row.subscribed)).collect();
            rows.sort();
            rows
        };
        let rows = |rows: &[(&str, bool)]| -> Vec<(String, bool)> {
            rows.iter().map(|(topic, said)| ((*topic).to_owned(), *said)).collect()
        };
        assert_eq!(said(1).await, rows(&[("news", false), ("offers", true)]));
        assert_eq!(
            said(2).await,
            rows(&[("news", false), ("tips", true)]),
            "who refused has refused on both"
        );
        let found = store.split(W, "split-1").await.unwrap().unwrap();
        assert_eq!((found.target, found.moved, found.kept, found.shared), (Some(ProfileId(2)), 3, 4, 1));
        assert_eq!(store.splits(W, ProfileId(2)).await.unwrap().len(), 1);
        assert!(store.splits(OTHER, ProfileId(2)).await.unwrap().is_empty());
        assert_eq!(store.max_profile_id().await.unwrap(), 2);
    });
}
