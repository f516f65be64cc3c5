//! Who an event belongs to: priorities, limits, blocked values, merges, and what a browser's key may not do.

use std::collections::{BTreeMap, HashMap};

use model::{Call, Event, IdentifierKind, ProfileId, Timestamp, Trust, WorkspaceId};
use profile::{Identifier, Profile, Resolution, identifiers, identity};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The caller's side in small: an index of identifiers and the profiles' states.
#[derive(Default)]
struct World {
    index: HashMap<Identifier, ProfileId>,
    profiles: BTreeMap<ProfileId, Profile>,
    next: i64,
    clock: i64,
}

impl World {
    fn send(&mut self, event: &Event) -> (ProfileId, Resolution) {
        let wanted = identifiers(event);
        let found = |id: &Identifier| self.index.get(id).copied();
        let state = |id: ProfileId| self.profiles.get(&id);
        let resolution = identity::resolve(event, &wanted, &found, &state, event.received_at);
        let id = resolution.profile.unwrap_or_else(|| {
            self.next += 1;
            ProfileId(self.next)
        });
        let mut profile = self.profiles.remove(&id).unwrap_or_default();
        for (from, _) in &resolution.merge {
            profile.merge(self.profiles.remove(from).expect("a merged profile exists"));
            self.index.values_mut().filter(|owner| **owner == *from).for_each(|owner| *owner = id);
        }
        for identifier in &resolution.add {
            assert!(self.index.insert(identifier.clone(), id).is_none(), "an added identifier was free");
        }
        let seen: Vec<Identifier> = wanted.into_iter().filter(|w| self.index.get(w) == Some(&id)).collect();
        profile.see(&seen, event);
        profile.decide(resolution.decisions.clone());
        profile.fold(event);
        self.profiles.insert(id, profile);
        (id, resolution)
    }

    fn call(
        &mut self,
        trust: Trust,
        call: Call,
        ids: (&str, &str, &str),
        traits: &Value,
    ) -> (ProfileId, Resolution) {
        self.clock += 1;
        self.send(&event(trust, call, ids, traits, self.clock))
    }

    fn identify(&mut self, trust: Trust, user: &str, anonymous: &str, traits: &Value) -> ProfileId {
        self.call(trust, Call::Identify, (user, anonymous, ""), traits).0
    }

    fn of(&self, kind: IdentifierKind, value: &str) -> Option<ProfileId> {
        self.index.get(&Identifier { kind, value: value.to_owned() }).copied()
    }
}

fn event(
    trust: Trust,
    call: Call,
    (user, anonymous, other): (&str, &str, &str),
    traits: &Value,
    at: i64,
) -> Event {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let at = Timestamp::from_secs(1_700_000_000 + at);
    Event {
        workspace: WorkspaceId(1),
        message_id: format!("m{}", at.micros()),
        call,
        name: call.name().to_owned(),
        user_id: some(user),
        anonymous_id: some(anonymous),
        other_id: some(other),
        timestamp: at,
        original_timestamp: at,
        received_at: at,
        properties: traits.to_string(),
        context: "{}".to_owned(),
        trust,
        backfill: false,
    }
}

fn codes(resolution: &Resolution) -> Vec<&str> {
    resolution.decisions.iter().map(|decision| decision.code.as_str()).collect()
}

#[test]
fn a_browser_that_becomes_known_takes_its_past_along() {
    let mut world = World::default();
    let anonymous = world.identify(Trust::Browser, "", "a1", &json!({}));
    assert_eq!(world.identify(Trust::Browser, "u1", "a1", &json!({})), anonymous);
    // From another device: two pasts, one person.
    let other = world.identify(Trust::Browser, "", "a2", &json!({}));
    assert_ne!(other, anonymous);
    let (id, resolution) = world.call(Trust::Browser, Call::Identify, ("u1", "a2", ""), &json!({}));
    assert_eq!((id, resolution.merge[0].0), (anonymous, other));
    assert_eq!(codes(&resolution), ["merged"]);
    assert_eq!(world.profiles.len(), 1);
}

#[test]
fn two_people_on_one_device_stay_two() {
    let mut world = World::default();
    let first = world.identify(Trust::Server, "u1", "a1", &json!({}));
    let (second, resolution) = world.call(Trust::Server, Call::Identify, ("u2", "a1", ""), &json!({}));
    assert_ne!(first, second);
    assert_eq!(codes(&resolution), ["identifier_dropped"]);
    assert_eq!(world.of(IdentifierKind::AnonymousId, "a1"), Some(first));
}

#[test]
fn on_a_conflict_the_identifier_of_lowest_priority_is_dropped() {
    let mut world = World::default();
    let first = world.identify(Trust::Server, "u1", "", &json!({"email": "one@example.com"}));
    let second = world.identify(Trust::Server, "u2", "", &json!({"email": " ONE@example.com "}));
    assert_ne!(first, second);
    assert_eq!(world.of(IdentifierKind::Email, "one@example.com"), Some(first));
}

#[test]
fn no_merge_brings_two_user_ids_together() {
    let mut world = World::default();
    world.identify(Trust::Server, "", "a1", &json!({"email": "one@example.com"}));
    let known = world.identify(Trust::Server, "u9", "a9", &json!({}));
    // The e-mail's profile is adopted by u1, so u9's browser may not come along.
    let (id, resolution) =
        world.call(Trust::Server, Call::Identify, ("u1", "a9", ""), &json!({"email": "one@example.com"}));
    assert_ne!(id, known);
    assert!(resolution.merge.is_empty());
    for profile in world.profiles.values() {
        assert!(profile.identifiers.iter().filter(|i| i.kind == IdentifierKind::UserId).count() <= 1);
    }
}

#[test]
fn a_browser_never_takes_over_a_known_person() {
    let mut world = World::default();
    let victim = world.identify(
        Trust::Server,
        "u1",
        "",
        &json!({"email": "victim@example.com", "phone": "+4915123456789"}),
    );
    let check = |world: &mut World, user: &str, anonymous: &str, traits: &Value| {
        let (id, resolution) = world.call(Trust::Browser, Call::Identify, (user, anonymous, ""), traits);
        assert_ne!(id, victim, "{user} {traits}");
        assert!(!resolution.merge.iter().any(|(from, _)| *from == victim));
    };
    check(&mut world, "", "attacker", &json!({"email": "victim@example.com"}));
    check(&mut world, "u2", "attacker", &json!({"email": "victim@example.com"}));
    check(&mut world, "u2", "", &json!({"phone": "+4915123456789"}));
    assert_eq!(world.of(IdentifierKind::Email, "victim@example.com"), Some(victim));
    // Who knows a user id may not turn that person's mail to another address.
    world.identify(
        Trust::Browser,
        "u1",
        "attacker2",
        &json!({"email": "attacker@example.com", "city": "Bonn"}),
    );
    let profile = &world.profiles[&victim];
    assert_eq!(profile.email().as_deref(), Some("victim@example.com"));
    assert_eq!(world.of(IdentifierKind::Email, "attacker@example.com"), None);
    assert!(profile.attributes.contains_key("city"));
    // A server may.
    world.identify(Trust::Server, "u1", "", &json!({"email": "new@example.com"}));
    assert_eq!(world.profiles[&victim].email().as_deref(), Some("new@example.com"));
}

#[test]
fn a_browser_may_bring_the_first_address() {
    let mut world = World::default();
    let id = world.identify(Trust::Browser, "", "a1", &json!({"email": "new@example.com"}));
    assert_eq!(world.of(IdentifierKind::Email, "new@example.com"), Some(id));
    assert_eq!(world.profiles[&id].email().as_deref(), Some("new@example.com"));
}

#[test]
fn external_ids_from_a_browser_do_not_speak_for_a_known_person() {
    let mut world = World::default();
    let with_external = |trust, user: &str, at| {
        let mut event = event(trust, Call::Identify, (user, "", ""), &json!({}), at);
        event.context =
            json!({"externalIds": [{"type": "crm", "id": "77"}, {"type": "crm", "id": "null"}]}).to_string();
        event
    };
    let (known, _) = world.send(&with_external(Trust::Server, "u1", 1));
    assert_eq!(world.of(IdentifierKind::External, "crm:null"), None);
    assert_ne!(world.send(&with_external(Trust::Browser, "", 2)).0, known);
    assert_eq!(world.send(&with_external(Trust::Server, "", 3)).0, known);
}

#[test]
fn values_that_name_nobody_join_nobody() {
    let mut world = World::default();
    let mut seen = Vec::new();
    for value in ["null", "-1", "anonymous", "0", "00000000-0000-0000-0000-000000000000", "NULL", "undefined"]
    {
        let (id, resolution) = world.call(Trust::Server, Call::Identify, (value, "", ""), &json!({}));
        assert!(!seen.contains(&id), "{value}");
        assert_eq!(codes(&resolution), ["identifier_blocked"]);
        seen.push(id);
    }
    assert!(!identity::is_blocked("test") && !identity::is_blocked("10"));
}

#[test]
fn a_server_alias_brings_two_user_ids_together_once() {
    let mut world = World::default();
    let old = world.identify(Trust::Server, "old", "", &json!({}));
    // The new id is not known yet: it joins, and later events of it stay there.
    assert_eq!(world.call(Trust::Server, Call::Alias, ("new", "", "old"), &json!({})).0, old);
    assert_eq!(world.identify(Trust::Server, "new", "", &json!({})), old);
    // Both known.
    let third = world.identify(Trust::Server, "third", "", &json!({}));
    let (id, resolution) = world.call(Trust::Server, Call::Alias, ("third", "", "new"), &json!({}));
    assert_eq!((id, resolution.merge.len()), (third, 1));
    // Round and round: nothing is left to merge.
    for (user, previous) in [("old", "new"), ("new", "third"), ("third", "old"), ("old", "old")] {
        let (id, resolution) = world.call(Trust::Server, Call::Alias, (user, "", previous), &json!({}));
        assert_eq!((id, resolution.merge.len()), (third, 0));
    }
}

#[test]
fn a_browser_alias_takes_over_nobody() {
    let mut world = World::default();
    let victim = world.identify(Trust::Server, "victim", "", &json!({}));
    let (id, resolution) = world.call(Trust::Browser, Call::Alias, ("attacker", "", "victim"), &json!({}));
    assert!(id != victim && resolution.merge.is_empty());
    assert_eq!(world.of(IdentifierKind::UserId, "victim"), Some(victim));
}

#[test]
fn more_than_five_anonymous_ids_within_a_week_are_left_out() {
    let mut world = World::default();
    for n in 0..7 {
        world.identify(Trust::Browser, "u1", &format!("a{n}"), &json!({}));
    }
    assert_eq!(world.of(IdentifierKind::AnonymousId, "a4"), Some(ProfileId(1)));
    assert_eq!(world.of(IdentifierKind::AnonymousId, "a5"), None);
    world.clock += 8 * 86_400;
    world.identify(Trust::Browser, "u1", "later", &json!({}));
    assert_eq!(world.of(IdentifierKind::AnonymousId, "later"), Some(ProfileId(1)));
}

#[test]
fn a_hundred_thousand_browsers_do_not_become_one_person() {
    let mut world = World::default();
    for n in 0..2_000 {
        world.clock += 3_600;
        world.identify(Trust::Browser, "", &format!("a{n}"), &json!({}));
        world.identify(Trust::Browser, "u1", &format!("a{n}"), &json!({}));
    }
    let owner = world.of(IdentifierKind::UserId, "u1").unwrap();
    let profile = &world.profiles[&owner];
    assert!(profile.identifiers.len() <= model::limit::PROFILE_IDENTIFIERS_MAX);
    assert!(profile.decisions.len() <= 50);
}

fn calls() -> impl Strategy<Value = Vec<(u8, u8, u8, u8, u8)>> {
    proptest::collection::vec((0_u8..3, 0_u8..5, 0_u8..5, 0_u8..5, 0_u8..5), 1..60)
}

proptest! {
    #[test]
    fn whatever_comes_every_identifier_has_one_owner_and_limits_hold(calls in calls()) {
        let mut world = World::default();
        let name = |prefix: &str, n: u8| if n == 0 { String::new() } else { format!("{prefix}{n}") };
        for (kind, user, anonymous, email, previous) in calls {
            let trust = if kind == 0 { Trust::Browser } else { Trust::Server };
            let call = if kind == 2 && user > 0 && previous > 0 { Call::Alias } else { Call::Identify };
            let traits = if email == 0 { json!({}) } else { json!({"email": format!("e{email}@example.com")}) };
            let known: Vec<ProfileId> =
                world.profiles.iter().filter(|(_, p)| p.is_known()).map(|(id, _)| *id).collect();
            let (user, anonymous) = (name("u", user), name("a", anonymous));
            if user.is_empty() && anonymous.is_empty() {
                continue;
            }
            let (id, resolution) = world.call(trust, call, (&user, &anonymous, &name("u", previous)), &traits);
            if trust == Trust::Browser {
                prop_assert!(resolution.merge.iter().all(|(from, _)| !known.contains(from)));
            }
            prop_assert!(resolution.merge.iter().all(|(from, _)| *from != id));
            for (identifier, owner) in &world.index {
                let profile = world.profiles.get(owner);
                prop_assert!(profile.is_some(), "{identifier:?} belongs to a profile that is gone");
            }
            for profile in world.profiles.values() {
                prop_assert!(profile.identifiers.len() <= model::limit::PROFILE_IDENTIFIERS_MAX);
                for known in &profile.identifiers {
                    let identifier = Identifier { kind: known.kind, value: known.value.clone() };
                    prop_assert!(world.index.contains_key(&identifier));
                }
            }
        }
    }
}
