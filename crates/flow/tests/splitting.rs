//! One profile turns out to be two people: each gets what its own events make of it, as if they had never been one.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Shop, W};
use flow::{DefinitionKind, Work, identifier};
use model::{IdentifierKind, ProfileId};
use proptest::prelude::*;
use serde_json::{Value, json};

const DAY: i64 = 86_400;
/// What each person is known by from the beginning, and what may be added later.
const OF: [[(&str, &str); 4]; 2] = [
    [("user_id", "ada"), ("anonymous_id", "ada-1"), ("email", "ada@example.com"), ("anonymous_id", "ada-2")],
    [("user_id", "ben"), ("anonymous_id", "ben-1"), ("email", "ben@example.com"), ("anonymous_id", "ben-2")],
];
const SEGMENTS: [(&str, &str); 7] = [
    ("buyers", "did \"Bought\""),
    ("twice", "count \"Bought\" in last 20 days >= 2"),
    ("rich", "sum(value) of \"Bought\" in last 60 days >= 100"),
    ("gold", "plan = \"gold\" and not in segment \"twice\""),
    ("quiet", "did \"Said\" and not did \"Said\" in last 7 days"),
    ("chain", "\"Said\" then \"Bought\" within 2 days"),
    ("most", "top(item) of \"Bought\" = \"a\""),
];

#[derive(Clone, Debug)]
enum Act {
    /// Somebody does something, known by one or two of his identifiers.
    Track {
        who: usize,
        by: usize,
        event: usize,
        item: usize,
    },
    /// Somebody states attributes; a further identifier joins.
    State {
        who: usize,
        by: usize,
        plan: usize,
        joins: bool,
    },
    /// Says yes or no.
    Word {
        who: usize,
        given: bool,
    },
    Pass(i64),
    Work,
    /// Steps without archiving.
    Step,
    Crash,
    /// By an event that names both, or by hand into one of them.
    Merge(Option<usize>),
    /// The identifiers of one are named.
    Split(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0_usize..2;
    prop_oneof![
        6 => (who.clone(), 0_usize..5, 0_usize..3, 0_usize..3)
            .prop_map(|(who, by, event, item)| Act::Track { who, by, event, item }),
        2 => (who.clone(), 0_usize..3, 0_usize..3, any::<bool>())
            .prop_map(|(who, by, plan, joins)| Act::State { who, by, plan, joins }),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, given)| Act::Word { who, given }),
        2 => (1_i64..5 * DAY).prop_map(Act::Pass),
        2 => Just(Act::Work),
        2 => Just(Act::Step),
        1 => Just(Act::Crash),
        2 => prop_oneof![2 => Just(None), 1 => who.clone().prop_map(Some)].prop_map(Act::Merge),
        2 => who.prop_map(Act::Split),
    ]
}

struct Story {
    shop: Shop,
    /// The identifiers each has by now.
    known: [usize; 2],
    number: usize,
    is_one: bool,
    /// It is the tale of two who are never merged.
    is_reference: bool,
    /// Ben has a user id: then no event merges them but an alias.
    both_known: bool,
    /// Whom events that name both go to.
    keeper: usize,
}

impl Story {
    async fn begin(is_reference: bool, both_known: bool, keeper: usize) -> Story {
        let shop = Shop::open().await;
        for (id, condition) in SEGMENTS {
            shop.segment(id, condition).await;
        }
        let body = json!({"figure": "sum(value) of \"Bought\"", "description": ""});
        shop.save(DefinitionKind::Trait, "spent", body).await.expect("a sound trait");
        let mut story =
            Story { shop, known: [3, 3], number: 0, is_one: false, is_reference, both_known, keeper };
        for (who, of) in OF.iter().enumerate() {
            let mut call = json!({"type": "identify", "traits": {"email": of[2].1}, "anonymousId": of[1].1});
            if who == 0 || both_known {
                call["userId"] = json!(of[0].1);
            }
            story.send(call).await;
        }
        story.shop.work().await;
        story
    }

    async fn send(&mut self, mut call: Value) {
        self.number += 1;
        call["messageId"] = json!(format!("call-{}", self.number));
        call["timestamp"] = json!(self.shop.now());
        assert_eq!(self.shop.call(call).await, flow::Outcome::Accepted);
    }

    /// A call as somebody makes it; `by` says with which identifiers.
    fn known_by(&self, who: usize, by: usize) -> Value {
        let mut call = json!({});
        let browser = if self.known[who] == 4 && by % 2 == 1 { 3 } else { 1 };
        if by != 0 && (who == 0 || self.both_known) {
            call["userId"] = json!(OF[who][0].1);
        }
        if by < 3 || call.get("userId").is_none() {
            call["anonymousId"] = json!(OF[who][browser].1);
        }
        call
    }

    async fn id(&self, who: usize) -> ProfileId {
        let key = (W, IdentifierKind::Email, OF[who][2].1.to_owned());
        let found = self.shop.platform.store.lookup_identifiers(std::slice::from_ref(&key)).await.unwrap();
        found[&key]
    }

    async fn act(mut self, act: &Act) -> Story {
        match act {
            Act::Track { who, by, event, item } => {
                let mut call = self.known_by(*who, *by);
                call["type"] = json!("track");
                call["event"] = json!(["Bought", "Said", "Product Viewed"][*event]);
                call["properties"] = json!({"value": 10 * (1 + item * item * 4), "item": (["a", "b", "c"][*item]), "product_id": format!("p{item}")});
                self.send(call).await;
            }
            Act::State { who, by, plan, joins } => {
                let mut call = self.known_by(*who, *by);
                call["type"] = json!("identify");
                call["traits"] = json!({"plan": (["free", "pro", "gold"][*plan]), "of": OF[*who][2].1});
                if *joins && self.known[*who] == 3 && (*who == 0 || self.both_known) {
                    call["userId"] = json!(OF[*who][0].1);
                    call["anonymousId"] = json!(OF[*who][3].1);
                    self.known[*who] = 4;
                }
                self.send(call).await;
            }
            Act::Word { who, given } => {
                let mut call = self.known_by(*who, 2);
                call["type"] = json!("track");
                call["event"] = json!(if *given { "Subscribed" } else { "Unsubscribed" });
                call["properties"] = json!({"topic": "news"});
                self.send(call).await;
            }
            Act::Pass(seconds) => self.shop.pass(*seconds),
            Act::Work => self.shop.work().await,
            Act::Step => drop(self.shop.platform.round(Work::Events).await.unwrap()),
            Act::Crash => self.shop = self.shop.crashed().await,
            Act::Merge(_) if self.is_one => {}
            Act::Merge(None) => {
                self.is_one = true;
                self.shop.work().await;
                let (keeper, other) = (OF[self.keeper], OF[1 - self.keeper]);
                let call = match (self.is_reference, self.both_known) {
                    // The one it goes to says that much of himself.
                    (true, true) => json!({"type": "identify", "userId": keeper[0].1}),
                    (true, false) if self.keeper == 0 => json!({"type": "identify", "userId": keeper[0].1}),
                    (true, false) => json!({"type": "identify", "anonymousId": keeper[1].1}),
                    (false, true) => {
                        json!({"type": "alias", "userId": keeper[0].1, "previousId": other[0].1})
                    }
                    (false, false) => {
                        json!({"type": "identify", "userId": OF[0][0].1, "anonymousId": OF[1][1].1})
                    }
                };
                self.send(call).await;
                if self.is_reference {
                    return self;
                }
                self.shop.work().await;
                assert_eq!(self.id(0).await, self.id(1).await);
            }
            Act::Merge(Some(into)) => {
                self.is_one = true;
                self.shop.work().await;
                if self.is_reference {
                    return self;
                }
                let (into, with) = (self.id(*into).await, self.id(1 - into).await);
                self.shop.platform.merge_profiles(W, into, with, "test").await.expect("taken");
                self.shop.work().await;
                assert_eq!(self.id(0).await, self.id(1).await);
            }
            Act::Split(_) if !self.is_one => {}
            Act::Split(who) => {
                self.is_one = false;
                self.shop.work().await;
                if self.is_reference {
                    return self;
                }
                // An alias makes the former user id an anonymous id too.
                let aliased = ("anonymous_id", OF[*who][0].1);
                let all = OF[*who].iter().chain([&aliased]);
                let all: Vec<_> = all.filter_map(|(kind, value)| identifier(kind, value)).collect();
                let (_, hot) = self.shop.platform.hot(W, self.id(0).await).await.unwrap();
                let has = |id: &profile::Identifier| {
                    hot.profile
                        .identifiers
                        .iter()
                        .any(|known| known.kind == id.kind && known.value == id.value)
                };
                let all: Vec<_> = all.into_iter().filter(has).collect();
                let id = self.id(0).await;
                let named = self.shop.platform.split_profile(W, id, &all, "test").await.expect("taken");
                let again = self.shop.platform.split_profile(W, id, &all, "test").await.expect("taken");
                assert_eq!(named, again, "said twice, it is done once");
                // It is in the log; when it is stepped, and with what, is left to what follows.
                self.shop.platform.round(Work::Relay).await.unwrap();
            }
        }
        self
    }

    /// Everything that must be the same.
    async fn picture(&self, who: usize) -> BTreeMap<String, String> {
        let platform = &self.shop.platform;
        let id = self.id(who).await;
        let (row, hot) = platform.hot(W, id).await.expect("a profile");
        let profile = &hot.profile;
        let mut out = BTreeMap::new();
        let mut put = |name: &str, value: String| drop(out.insert(name.to_owned(), value));
        let mut known = profile.identifiers.clone();
        // Of no other event than the alias that named both.
        known.retain(|known| known.source != "alias");
        known.sort_by(|a, b| (a.kind, &a.value).cmp(&(b.kind, &b.value)));
        put("identifiers", format!("{known:?}"));
        put("attributes", format!("{:?}", profile.attributes));
        put("first seen", format!("{:?}", profile.first_seen_at));
        let mut items = hot.history.items().to_vec();
        items.sort_by(|a, b| a.item.cmp(&b.item));
        put("history", format!("{items:?}"));
        let memberships = platform.store.memberships(id).await.unwrap();
        let memberships: BTreeSet<String> = memberships.into_iter().map(|(segment, ..)| segment).collect();
        let registry = platform.registry(W);
        let state: BTreeSet<String> =
            registry.engine.memberships(&hot.segments).map(|(segment, _)| segment.key.clone()).collect();
        assert_eq!(memberships, state);
        put("memberships", format!("{memberships:?}"));
        put("timer", format!("{:?} {:?}", hot.segments.due_at(), row.due_at));
        let facts = flow::Facts { profile, zone: &registry.zone };
        let traits = registry.engine.trait_values(&hot.segments, &facts, self.shop.now());
        put("traits", format!("{:?}", traits.iter().map(|each| &each.value).collect::<Vec<_>>()));
        let sql = format!(
            "SELECT message_id FROM events WHERE profile_id = {id} AND trust <> 'internal' ORDER BY position"
        );
        put("events", format!("{:?}", platform.query(W, &sql).await.expect("answered").rows));
        let rows = platform.lake.rows_of(W.0, id.0, i64::MAX, 100_000).expect("read");
        let calls: Vec<_> =
            rows.iter().filter(|row| row.trust != "internal").map(|row| &row.message_id).collect();
        put("calls", format!("{calls:?}"));
        out
    }

    /// How many a preview finds in each segment, and how many members it has.
    async fn counts(&self) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        let members = self.shop.platform.store.segment_counts(W).await.unwrap();
        for (id, condition) in SEGMENTS {
            let found = self.shop.platform.preview(W, condition).await.expect("answered").count;
            let members = members.iter().find(|(of, _)| of == id).map_or(0, |(_, many)| *many as usize);
            out.push((found, members));
        }
        out
    }
}

async fn tell(acts: &[Act], both_known: bool) {
    let mut acts = acts.to_vec();
    // It ends with two people.
    acts.extend([Act::Split(0), Act::Work]);
    let mut is_one = false;
    let mut last = 0;
    for act in &acts {
        match act {
            Act::Merge(_) => is_one = true,
            Act::Split(who) if is_one => (is_one, last) = (false, *who),
            _ => {}
        }
    }
    let mut one = Story::begin(false, both_known, 1 - last).await;
    let mut two = Story::begin(true, both_known, 1 - last).await;
    for act in &acts {
        one = one.act(act).await;
        two = two.act(act).await;
    }
    for story in [&one, &two] {
        story.shop.pass_and_work(60).await;
    }
    assert_ne!(one.id(0).await, one.id(1).await, "they are two");
    for who in 0..2 {
        let (split, never_one) = (one.picture(who).await, two.picture(who).await);
        for (name, value) in &never_one {
            assert_eq!(
                &split[name],
                value,
                "{name} of {who} ({:?} and {:?})",
                one.id(who).await,
                two.id(who).await
            );
        }
        consent_is_no_looser(&one, &two, who).await;
    }
    let counts = one.counts().await;
    assert_eq!(counts, two.counts().await);
    for ((found, members), (id, _)) in counts.iter().zip(SEGMENTS) {
        assert_eq!(found, members, "a preview of {id} finds its members");
    }
    // After a start from the disk it is the same.
    let pictures = (one.picture(0).await, one.picture(1).await);
    one.shop = one.shop.crashed().await;
    one.shop.work().await;
    assert_eq!((one.picture(0).await, one.picture(1).await), pictures);
}

/// Nobody consents who would not have, and who refused by himself has refused.
async fn consent_is_no_looser(one: &Story, two: &Story, who: usize) {
    let word = async |story: &Story| {
        let id = story.id(who).await;
        let stored = story.shop.platform.store.consents(W, id).await.unwrap();
        let (_, hot) = story.shop.platform.hot(W, id).await.unwrap();
        let stored = stored.iter().find(|row| row.topic == "news").map(|row| row.subscribed);
        (stored, hot.profile.consents.get("news").map(|said| said.given))
    };
    let (split, never_one) = (word(one).await, word(two).await);
    let looser = |split: Option<bool>, never_one: Option<bool>| match (split, never_one) {
        (Some(true), said) => said != Some(true),
        (None, said) => said == Some(false),
        (Some(false), _) => false,
    };
    assert!(!looser(split.0, never_one.0), "{who}: {split:?} instead of {never_one:?}");
    assert!(!looser(split.1, never_one.1), "{who}: {split:?} instead of {never_one:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn two_who_were_one_for_a_while_are_as_if_they_had_never_been(
        acts in proptest::collection::vec(act(), 8..40), both_known in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(tell(&acts, both_known));
    }
}

/// Who is whom, what each is known by and in, and what each did, without instants.
async fn outline(shop: &Shop) -> Vec<String> {
    let mut out = Vec::new();
    for of in OF {
        let key = (W, IdentifierKind::Email, of[2].1.to_owned());
        let found = shop.platform.store.lookup_identifiers(std::slice::from_ref(&key)).await.unwrap();
        let id = found[&key];
        let (row, hot) = shop.platform.hot(W, id).await.unwrap();
        let known: BTreeSet<_> = hot.profile.identifiers.iter().map(|one| one.value.clone()).collect();
        let memberships = shop.platform.store.memberships(id).await.unwrap();
        let memberships: BTreeSet<String> = memberships.into_iter().map(|(segment, ..)| segment).collect();
        let consents = shop.platform.store.consents(W, id).await.unwrap();
        let consents: Vec<_> = consents.into_iter().map(|row| (row.topic, row.subscribed)).collect();
        let rows = shop.platform.lake.rows_of(W.0, id.0, i64::MAX, 10_000).unwrap();
        let did: Vec<_> = rows.iter().filter(|row| row.trust != "internal").map(|row| &row.name).collect();
        let decisions = hot.profile.decisions.iter().filter(|one| one.code == "split").count();
        out.push(format!("{id} {:?} {known:?} {memberships:?} {consents:?} {did:?} {decisions}", row.email));
    }
    out
}

#[tokio::test]
async fn a_split_keeps_refusals_on_both_gives_mails_to_their_address_fires_nothing_and_replays() {
    let shop = Shop::open().await;
    shop.segment("buyers", "did \"Bought\"").await;
    shop.template("hello", "<p>Hello</p>").await;
    shop.journey("go", common::wait_then_send(3 * DAY as u64, "hello")).await;
    let mut greeted = common::wait_then_send(1, "hello");
    greeted["trigger"] = json!({"event": "Segment Entered"});
    for user in ["ada", "ben"] {
        shop.identify(user, json!({"of": user})).await;
    }
    shop.track("ben", "Bought", json!({})).await;
    shop.track("ben", "Go", json!({})).await;
    shop.work().await;
    shop.journey("greeted", greeted).await;
    let (ada, ben) = (shop.profile("ada").await, shop.profile("ben").await);
    shop.platform.merge_profiles(W, ada, ben, "a mistake").await.expect("taken");
    shop.work().await;
    // While they are one: a refusal, an entry by each, a purchase.
    shop.platform.set_consent(W, ada, "news", false, "test").await.expect("written");
    shop.platform.set_consent(W, ada, "tips", true, "test").await.expect("written");
    shop.track("ada", "Go", json!({})).await;
    shop.track("ben", "Bought", json!({})).await;
    shop.work().await;
    let entries = shop.entries().await;
    assert!(entries.iter().all(|entry| entry.profile == ada), "{entries:?}");
    let begun = entries.len();

    let named = [identifier("user_id", "ben").unwrap(), identifier("email", "BEN@example.com").unwrap()];
    let outlook = shop.platform.preview_split(W, ada, &named).await.expect("it can be split");
    assert_eq!((outlook.former, outlook.shared), (Some(ben), 0));
    shop.platform.split_profile(W, ada, &named, "two people").await.expect("taken");
    shop.work().await;
    assert_eq!((shop.profile("ada").await, shop.profile("ben").await), (ada, ben), "the former one is back");
    let splits = shop.platform.store.splits(W, ada).await.unwrap();
    assert_eq!((splits.len(), splits[0].moved), (1, outlook.moved));
    assert!(shop.platform.store.merges(W).await.unwrap().is_empty());
    let entries = shop.entries().await;
    assert_eq!(entries.len(), begun, "the split itself lets nobody enter");
    for (who, profile) in [("ada", ada), ("ben", ben)] {
        let consents = shop.platform.store.consents(W, profile).await.unwrap();
        let news = consents.iter().find(|row| row.topic == "news").map(|row| row.subscribed);
        assert_eq!(news, Some(false), "{who} is not written to");
        assert_eq!(consents.iter().any(|row| row.topic == "tips"), profile == ada, "{who} {consents:?}");
    }
    let of =
        |profile| entries.iter().filter(|entry| entry.profile == profile && entry.journey == "go").count();
    assert_eq!((of(ada), of(ben)), (0, 1), "an open entry of one let the other not enter: {entries:?}");
    let (_, hot) = shop.platform.hot(W, ben).await.unwrap();
    assert_eq!(hot.entries.len(), 1, "an open entry goes on with who entered");
    shop.pass_and_work(4 * DAY).await;
    let mails = shop.messages().await;
    let to_ben = mails.iter().filter(|mail| mail.profile == ben).map(|mail| mail.recipient.as_str());
    assert_eq!(to_ben.collect::<Vec<_>>(), ["ben@example.com"]);

    // They are merged and split again: each time is another one.
    shop.platform.merge_profiles(W, ben, ada, "again").await.expect("taken");
    shop.work().await;
    assert_eq!(shop.profile("ada").await, ben);
    shop.platform.split_profile(W, ben, &named, "again").await.expect("taken");
    shop.work().await;
    assert_ne!(shop.profile("ada").await, shop.profile("ben").await);
    assert_eq!(shop.count("Profiles Split").await, 2);

    // The log alone gives the same.
    let again = Shop::open().await;
    again.segment("buyers", "did \"Bought\"").await;
    for (position, payload) in shop.platform.log.read(model::Position(1), 10_000).await.expect("read") {
        let append = store::Append {
            workspace: W,
            message_id: format!("replay-{}", position.0),
            body_hash: 0,
            payload,
        };
        again.platform.log.append(vec![append]).await.expect("appended");
        again.work().await;
    }
    assert_eq!(outline(&again).await, outline(&shop).await);
}

#[tokio::test]
async fn a_split_while_a_segment_is_filled_gives_each_the_own_history() {
    let shop = Shop::open().await;
    for n in 0..40 {
        for who in ["ada", "ben"] {
            shop.identify(&format!("{who}{n}"), json!({})).await;
            shop.track(&format!("{who}{n}"), "Said", json!({})).await;
        }
    }
    shop.work().await;
    for n in 0..40 {
        let (ada, ben) = (shop.profile(&format!("ada{n}")).await, shop.profile(&format!("ben{n}")).await);
        shop.platform.merge_profiles(W, ada, ben, "a mistake").await.expect("taken");
    }
    shop.work().await;
    let save = shop.segment("twice", "count \"Said\" in last 30 days >= 2");
    let part = async {
        for n in 0..40 {
            let id = shop.profile(&format!("ada{n}")).await;
            let ben = format!("ben{n}");
            let named = [
                identifier("user_id", &ben).unwrap(),
                identifier("email", &format!("{ben}@example.com")).unwrap(),
            ];
            shop.platform.split_profile(W, id, &named, "two people").await.expect("taken");
            shop.platform.round(Work::Relay).await.unwrap();
            shop.platform.round(Work::Events).await.unwrap();
        }
    };
    tokio::join!(save, part);
    shop.work().await;
    let counts = shop.platform.store.segment_counts(W).await.unwrap();
    assert!(counts.iter().all(|(_, many)| *many == 0), "each said it once: {counts:?}");
    shop.segment("once", "count \"Said\" in last 30 days = 1").await;
    let counts = shop.platform.store.segment_counts(W).await.unwrap();
    assert_eq!(counts.iter().map(|(_, many)| *many).sum::<i64>(), 80);
}
