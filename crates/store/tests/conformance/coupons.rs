//! Coupons and changes of items: a code is given once, comes back once, and a change is told once.

use super::*;

fn pool(id: &str, pattern: Option<&str>) -> PoolRow {
    PoolRow {
        id: id.to_owned(),
        pattern: pattern.map(str::to_owned),
        most: None,
        low_at: 5,
        expires_at: Some(at(1_000)),
        created_at: at(1),
    }
}

fn claim<'a>(pool: &'a str, owner: &'a str, profile: i64, message: &'a str) -> Claim<'a> {
    Claim { pool, owner, profile: ProfileId(profile), message, now: at(10) }
}

fn codes(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

#[test]
fn a_code_is_given_to_one_owner_who_is_given_no_other() {
    everywhere("coupons", async |location| {
        let store = Store::open(&location).await.unwrap();
        store.put_pool(W, &pool("spring", None)).await.unwrap();
        assert_eq!(store.pool(W, "spring").await.unwrap(), Some(pool("spring", None)));
        assert_eq!(store.pool(OTHER, "spring").await.unwrap(), None);
        assert_eq!(store.add_codes(W, "spring", &codes(&["B", "A", "B"])).await.unwrap(), 2);
        assert_eq!(store.add_codes(W, "spring", &codes(&["A", "C"])).await.unwrap(), 1);
        assert_eq!(store.sample_coupon(W, "spring").await.unwrap().as_deref(), Some("B"));

        let first = store.claim_coupon(W, &claim("spring", "1/j/n", 1, "m1")).await.unwrap().unwrap();
        assert_eq!(
            (first.code.as_str(), first.profile, first.assigned_at),
            ("B", Some(ProfileId(1)), Some(at(10)))
        );
        for message in ["m1", "m2"] {
            let again = store.claim_coupon(W, &claim("spring", "1/j/n", 1, message)).await.unwrap().unwrap();
            assert_eq!(again, first, "the same code, and the first message stands");
        }
        let second = store.claim_coupon(W, &claim("spring", "2/j/n", 2, "m3")).await.unwrap().unwrap();
        assert_eq!(second.code, "A", "in the order of the upload");
        let third = store.claim_coupon(W, &claim("spring", "1/j/other", 1, "m4")).await.unwrap().unwrap();
        assert_eq!(third.code, "C", "another step, another code");
        assert_eq!(store.claim_coupon(W, &claim("spring", "3/j/n", 3, "m5")).await.unwrap(), None);
        assert_eq!(store.sample_coupon(W, "spring").await.unwrap(), None);
        let given = store.coupons_after(W, "spring", "A", 10).await.unwrap();
        assert_eq!(given.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["B", "C"]);
        let used = &store.pools(W).await.unwrap()[0];
        assert_eq!((used.codes, used.assigned, used.redeemed), (3, 3, 0));

        assert!(store.delete_pool(W, "spring").await.unwrap());
        assert!(!store.delete_pool(W, "spring").await.unwrap());
        assert!(store.pools(W).await.unwrap().is_empty());
        assert!(store.coupons_after(W, "spring", "", 10).await.unwrap().is_empty());
    });
}

#[test]
fn many_who_ask_at_once_are_given_different_codes() {
    everywhere("coupons_at_once", async |location| {
        let store = std::sync::Arc::new(Store::open(&location).await.unwrap());
        store.put_pool(W, &pool("p", None)).await.unwrap();
        let all: Vec<String> = (0..20).map(|n| format!("C{n:02}")).collect();
        store.add_codes(W, "p", &all).await.unwrap();
        let mut asked = Vec::new();
        for n in 0..40 {
            let store = store.clone();
            asked.push(tokio::spawn(async move {
                let owner = format!("{}", n % 25);
                store.claim_coupon(W, &claim("p", &owner, n, "m")).await.unwrap().map(|one| (owner, one.code))
            }));
        }
        let mut of_owner = std::collections::HashMap::new();
        for one in asked {
            if let Some((owner, code)) = one.await.unwrap() {
                let known = of_owner.entry(owner).or_insert_with(|| code.clone());
                assert_eq!(*known, code);
            }
        }
        assert_eq!(of_owner.values().collect::<HashSet<_>>().len(), of_owner.len());
        assert_eq!(of_owner.len(), 20);
    });
}

#[test]
fn a_made_code_is_the_first_that_nobody_has_as_long_as_there_may_be_more() {
    everywhere("coupons_made", async |location| {
        let store = Store::open(&location).await.unwrap();
        store.put_pool(W, &pool("made", Some("X-******"))).await.unwrap();
        let made = codes(&["X-1", "X-2", "X-3"]);
        let give = async |owner: &'static str| {
            store.claim_made(W, &claim("made", owner, 1, "m"), Some(2), &made).await.unwrap().map(|c| c.code)
        };
        assert_eq!(give("a").await.as_deref(), Some("X-1"));
        assert_eq!(give("a").await.as_deref(), Some("X-1"));
        assert_eq!(give("b").await.as_deref(), Some("X-2"));
        assert_eq!(give("c").await, None, "two were allowed");
        assert_eq!(give("b").await.as_deref(), Some("X-2"));
    });
}

#[test]
fn a_code_comes_back_once_with_the_step_and_its_owner_is_given_another_later() {
    everywhere("coupons_back", async |location| {
        let store = Store::open(&location).await.unwrap();
        store.put_pool(W, &pool("p", None)).await.unwrap();
        store.add_codes(W, "p", &codes(&["A", "B"])).await.unwrap();
        store.claim_coupon(W, &claim("p", "1/j/n", 1, "m1")).await.unwrap().unwrap();
        let back = |order: &str, when| Redeemed {
            workspace: W,
            code: "A".to_owned(),
            order_id: Some(order.to_owned()),
            at: at(when),
        };
        let mut commit = StepCommit::new("step", Position(0), Position(1));
        commit.redeemed = vec![back("o1", 20), back("o2", 30)];
        store.commit_step(&commit).await.unwrap();
        let asked = [(W, "A".to_owned()), (OTHER, "A".to_owned()), (W, "Z".to_owned())];
        let found = store.coupons_of(&asked).await.unwrap();
        assert_eq!(found.len(), 1);
        let (_, coupon) = &found[0];
        assert_eq!((coupon.redeemed_at, coupon.order_id.as_deref()), (Some(at(20)), Some("o1")));
        assert_eq!(store.pools(W).await.unwrap()[0].redeemed, 1);
        // A retry of the message shows what it showed; a later one has a code that is still worth something.
        let retry = store.claim_coupon(W, &claim("p", "1/j/n", 1, "m1")).await.unwrap().unwrap();
        assert_eq!(retry.code, "A");
        let later = store.claim_coupon(W, &claim("p", "1/j/n", 1, "m2")).await.unwrap().unwrap();
        assert_eq!(later.code, "B");
    });
}

#[test]
fn a_change_of_an_item_waits_with_its_row_until_it_is_told() {
    everywhere("item_changes", async |location| {
        let store = Store::open(&location).await.unwrap();
        let change = |item: &str| ItemChange {
            id: 0,
            workspace: W,
            item: item.to_owned(),
            name: "Price Dropped".to_owned(),
            detail: "{}".to_owned(),
            at: at(7),
        };
        let row = |id: &str| (id.to_owned(), "{}".to_owned());
        store.change_items(W, "products", &[row("a"), row("b")], &[change("a"), change("b")]).await.unwrap();
        let waiting = store.item_changes(1).await.unwrap();
        assert_eq!((waiting.len(), waiting[0].item.as_str(), waiting[0].at), (1, "a", at(7)));
        let event = Emitted { message_id: "e1".to_owned(), payload: vec![1] };
        store.tell_changes(&waiting, std::slice::from_ref(&event)).await.unwrap();
        store.tell_changes(&waiting, &[event]).await.unwrap();
        assert_eq!(store.emitted(10).await.unwrap().len(), 1, "told twice counts once");
        let waiting = store.item_changes(10).await.unwrap();
        assert_eq!(waiting.iter().map(|change| change.item.as_str()).collect::<Vec<_>>(), ["b"]);
    });
}
