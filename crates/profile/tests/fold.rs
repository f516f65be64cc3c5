//! A profile is a fold of events: any order gives the same attributes and consent, and bounds hold.

use expr::Attributes;
use model::{Call, Event, IdentifierKind, Timestamp, Trust, WorkspaceId};
use profile::{Identifier, Profile};
use proptest::prelude::*;
use serde_json::{Value, json};

fn event(call: Call, name: &str, properties: &Value, context: &Value, at: i64) -> Event {
    let at = Timestamp::from_secs(at);
    Event {
        workspace: WorkspaceId(1),
        message_id: String::new(),
        call,
        name: name.to_owned(),
        user_id: Some("u1".to_owned()),
        anonymous_id: None,
        other_id: (call == Call::Group).then(|| "g1".to_owned()),
        timestamp: at,
        original_timestamp: at,
        received_at: at,
        properties: properties.to_string(),
        context: context.to_string(),
        trust: Trust::Server,
        backfill: false,
    }
}

fn identify(traits: &Value, at: i64) -> Event {
    event(Call::Identify, "identify", traits, &json!({}), at)
}

fn categories(preferences: &Value, at: i64) -> Event {
    event(Call::Track, "x", &json!({}), &json!({"consent": {"categoryPreferences": preferences}}), at)
}

fn get(profile: &Profile, path: &str) -> Option<Value> {
    profile.get(path).map(|value| value.into_owned())
}

#[test]
fn the_later_event_wins_and_null_removes() {
    let mut profile = Profile::default();
    profile.fold(&identify(&json!({"plan": "gold", "city": "Bonn"}), 20));
    assert!(!profile.fold(&identify(&json!({"plan": "silver"}), 10)).attributes_changed);
    assert_eq!(get(&profile, "plan"), Some(json!("gold")));
    assert!(profile.fold(&identify(&json!({"city": null}), 30)).attributes_changed);
    assert_eq!(get(&profile, "city"), None);
    assert!(!profile.values().contains_key("city"));
}

#[test]
fn a_path_reads_whole_names_then_fields_then_identifiers() {
    let mut profile = Profile::default();
    profile.fold(&identify(&json!({"address": {"city": "Bonn"}, "a.b": 1, "a": {"b": 2}}), 1));
    let email = Identifier { kind: IdentifierKind::Email, value: "a@example.com".to_owned() };
    profile.see(&[email], &identify(&json!({}), 1));
    assert_eq!(get(&profile, "address.city"), Some(json!("Bonn")));
    assert_eq!(get(&profile, "a.b"), Some(json!(1)));
    assert_eq!(get(&profile, "address.city.x"), None);
    assert_eq!(get(&profile, "email"), Some(json!("a@example.com")));
    let condition = expr::parse(r#"address.city = "Bonn""#).unwrap();
    let expr::Condition::Attribute { path, test } = condition else { panic!("{condition:?}") };
    assert!(expr::evaluate_attribute(&path, &test, &profile, Timestamp::default()).holds);
}

#[test]
fn context_traits_and_track_properties_change_no_attribute() {
    let mut profile = Profile::default();
    let context = json!({"traits": {"plan": "gold"}});
    assert!(
        !profile.fold(&event(Call::Track, "x", &json!({"plan": "gold"}), &context, 1)).attributes_changed
    );
    assert!(profile.attributes.is_empty());
}

#[test]
fn a_category_missing_from_a_statement_is_refused() {
    let mut profile = Profile::default();
    let news = profile.fold(&categories(&json!({"ads": true, "mail": true}), 1)).consents;
    assert_eq!(news, [("ads".to_owned(), true), ("mail".to_owned(), true)]);
    let news = profile.fold(&categories(&json!({"ads": true}), 2)).consents;
    assert_eq!(news, [("mail".to_owned(), false)]);
    assert!(profile.consents("ads") && !profile.consents("mail"));
    // An absent object says nothing; a topic is no category.
    profile.fold(&event(Call::Track, "Subscribed", &json!({"topic": "news"}), &json!({}), 3));
    profile.fold(&categories(&json!({"ads": true}), 4));
    assert!(profile.subscribed("news"));
}

#[test]
fn consent_is_asked_for_again_after_each_word_and_says_when_and_how() {
    let mut profile = Profile::default();
    let said = json!({"topic": "news", "source": "form"});
    assert!(profile.fold(&event(Call::Track, "Subscribed", &said, &json!({}), 3)).attributes_changed);
    let consent = Attributes::consent(&profile, "news").unwrap();
    assert_eq!((consent.given, consent.by.as_deref()), (true, Some("form")));
    let context = json!({"consent": {"source": "checkout", "categoryPreferences": {"ads": false}}});
    assert!(profile.fold(&event(Call::Track, "x", &json!({}), &context, 4)).attributes_changed);
    let consent = Attributes::consent(&profile, "ads").unwrap();
    assert_eq!((consent.given, consent.by.as_deref()), (false, Some("checkout")));
    assert!(Attributes::consent(&profile, "sms").is_none());
}

#[test]
fn an_opt_out_is_passed_on_even_when_it_is_no_change() {
    let mut profile = Profile::default();
    let out = |at| event(Call::Track, "Unsubscribed", &json!({}), &json!({}), at);
    assert_eq!(profile.fold(&out(1)).consents, [("marketing".to_owned(), false)]);
    assert_eq!(profile.fold(&out(2)).consents, [("marketing".to_owned(), false)]);
    let late = event(Call::Track, "Subscribed", &json!({}), &json!({}), 1);
    assert!(profile.fold(&late).consents.is_empty(), "an older opt-in does not undo it");
}

#[test]
fn attributes_are_bounded_in_number_and_bytes() {
    let mut profile = Profile::default();
    for n in 0..200 {
        profile.fold(&identify(&json!({format!("a{n}"): "x".repeat(30_000)}), n));
    }
    let bytes: usize = profile.attributes.values().map(|attribute| attribute.json.len()).sum();
    assert!(bytes <= 700_000, "{bytes}");
    let mut profile = Profile::default();
    for n in 0..1_500 {
        profile.fold(&identify(&json!({format!("a{n}"): n}), n));
    }
    assert_eq!(profile.attributes.len(), model::limit::PROFILE_ATTRIBUTES_MAX);
}

#[test]
fn the_state_survives_its_binary_form() {
    let mut profile = Profile::default();
    profile.fold(&identify(&json!({"plan": "gold", "n": 1.5, "list": [1, {"a": null}]}), 20));
    profile.fold(&categories(&json!({"ads": true}), 21));
    profile.fold(&event(Call::Group, "group", &json!({}), &json!({}), 22));
    profile.decide(vec![profile::Decision::new(Timestamp::from_secs(1), "merged", "Because.")]);
    let bytes = postcard::to_stdvec(&profile).unwrap();
    assert_eq!(postcard::from_bytes::<Profile>(&bytes).unwrap(), profile);
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0_u8..4, 0_u8..4, 0_u8..4).prop_map(|(what, name, value)| match what {
        0 | 1 => {
            identify(&json!({format!("a{name}"): if value == 0 { Value::Null } else { json!(value) }}), 0)
        }
        2 => categories(&json!({format!("c{name}"): value > 0}), 0),
        _ => event(
            Call::Track,
            if value > 1 { "Subscribed" } else { "Unsubscribed" },
            &json!({"topic": format!("t{name}")}),
            &json!({}),
            0,
        ),
    });
    proptest::collection::vec(one, 0..20).prop_map(|mut events| {
        for (n, event) in events.iter_mut().enumerate() {
            event.timestamp = Timestamp::from_secs(n as i64);
        }
        events
    })
}

fn fold(events: &[Event]) -> Profile {
    let mut profile = Profile::default();
    for event in events {
        profile.fold(event);
    }
    profile
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_profile(events in events(), order in any::<prop::sample::Index>()) {
        let straight = fold(&events);
        let mut shuffled = events.clone();
        shuffled.reverse();
        prop_assert_eq!(&straight, &fold(&shuffled));
        if !events.is_empty() {
            shuffled.rotate_left(order.index(events.len()));
            prop_assert_eq!(&straight, &fold(&shuffled));
        }
    }

    #[test]
    fn equal_instants_do_not_depend_on_the_order_either(values in proptest::collection::vec(0_u8..9, 1..6)) {
        let events: Vec<Event> = values.iter().map(|value| identify(&json!({"a": value}), 7)).collect();
        let reversed: Vec<Event> = events.iter().rev().cloned().collect();
        prop_assert_eq!(fold(&events), fold(&reversed));
    }

    #[test]
    fn merging_halves_gives_the_attributes_of_the_whole(events in events(), at in any::<prop::sample::Index>()) {
        let middle = at.index(events.len() + 1);
        let (mut first, second) = (fold(&events[..middle]), fold(&events[middle..]));
        first.merge(second.clone());
        let whole = fold(&events);
        prop_assert_eq!(&first.attributes, &whole.attributes);
        prop_assert_eq!((first.first_seen_at, first.last_seen_at), (whole.first_seen_at, whole.last_seen_at));
        let once = first.clone();
        first.merge(second);
        prop_assert_eq!(once, first, "merging the same profile again changes nothing");
    }
}
