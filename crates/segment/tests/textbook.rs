//! The segments that the field's textbooks name, events in and memberships out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod story;

use model::Map;
use segment::{Cause, Definition, Engine, Error, EventView, FeatureIds, Preview, State};
use story::{at, define, story};

#[test]
fn high_intent_buyers_added_to_the_cart_and_have_not_checked_out_since() {
    story(
        r#"did "Product Added" in last 48 hours and last "Product Added" after last "Order Completed""#,
        "{}",
        "2026-05-01T09:00:00Z out
         2026-05-01T10:00:00Z Product Added
         2026-05-01T10:00:00Z in
         2026-05-02T10:00:00Z Order Completed
         2026-05-02T10:00:00Z out
         2026-05-03T08:00:00Z Product Added
         2026-05-03T08:00:00Z in
         2026-05-05T07:59:59.999999Z in
         2026-05-05T08:00:00Z out",
    );
}

#[test]
fn viewed_a_category_and_bought_nothing_of_it_in_30_days() {
    story(
        r#"did "Product Viewed" where category = "Shoes" in last 30 days
           and not did "Order Completed" where any products (category = "Shoes") in last 30 days"#,
        "{}",
        r#"2026-05-01T10:00:00Z Product Viewed {"category": "Hats"}
           2026-05-01T10:00:00Z out
           2026-05-01T11:00:00Z Product Viewed {"category": "Shoes"}
           2026-05-01T11:00:00Z in
           2026-05-02T11:00:00Z Order Completed {"products": [{"category": "Hats"}]}
           2026-05-02T11:00:00Z in
           2026-05-03T11:00:00Z Order Completed {"products": [{"category": "Hats"}, {"category": "Shoes"}]}
           2026-05-03T11:00:00Z out
           2026-06-01T09:00:00Z Product Viewed {"category": "Shoes"}
           2026-06-01T09:00:00Z out
           2026-06-02T11:00:00Z in"#,
    );
}

#[test]
fn frequent_occasional_and_inactive_buyers_by_orders_and_engagement() {
    let orders = "2026-01-10T10:00:00Z Order Completed
         2026-02-10T10:00:00Z Order Completed
         2026-03-10T10:00:00Z Order Completed
         2026-03-20T10:00:00Z Email Opened {\"actor\": \"person\"}\n";
    let frequent = r#"count "Order Completed" in last 180 days > 2 and did "Email Opened" in last 60 days"#;
    let occasional = r#"count "Order Completed" in last 180 days between 1 and 2"#;
    let inactive = r#"did "Order Completed" and count "Order Completed" in last 180 days = 0
        and not did "Email Opened" in last 90 days"#;
    story(frequent, "{}", &format!("{orders} 2026-03-21T10:00:00Z in\n 2026-05-19T10:00:00Z out"));
    story(
        occasional,
        "{}",
        &format!("{orders} 2026-03-21T10:00:00Z out\n 2026-07-09T10:00:00Z in\n 2026-09-06T10:00:00Z out"),
    );
    story(inactive, "{}", &format!("{orders} 2026-08-01T10:00:00Z out\n 2026-09-06T10:00:00Z in"));
}

#[test]
fn more_than_two_purchases_in_six_months_and_engaged_with_mail_weekly() {
    let mut lines = String::new();
    for week in 0..20 {
        let day = at("2026-01-05T09:00:00Z") + week * 7 * model::time::DAY;
        lines += &format!("{day} Email Link Clicked {{\"actor\": \"person\"}}\n");
        if week % 8 == 0 {
            lines += &format!("{day} Order Completed\n");
        }
        if week == 18 {
            lines += &format!("{day} out\n");
        }
    }
    story(
        r#"count "Order Completed" in last 6 months > 2 and weeks with "Email Link Clicked" in last 6 months >= 20"#,
        "{}",
        &(lines + "2026-05-18T09:00:00Z in\n2026-07-05T08:59:59Z in\n2026-07-05T09:00:00Z out"),
    );
}

#[test]
fn urban_millennials_interested_in_fitness_are_a_matter_of_attributes() {
    let text = r#"address.city in ("Dhaka", "Berlin") and birth_year between 1981 and 1996 and interests contains "fitness""#;
    story(
        text,
        r#"{"address": {"city": "Dhaka"}, "birth_year": 1990, "interests": ["fitness", "food"]}"#,
        "2026-05-01T10:00:00Z in",
    );
    story(
        text,
        r#"{"address": {"city": "Dhaka"}, "birth_year": 1997, "interests": ["fitness"]}"#,
        "2026-05-01T10:00:00Z out",
    );
}

#[test]
fn high_engagement_is_true_the_moment_after_a_click_and_fades() {
    story(
        "engagement_score > 80",
        "{}",
        r#"2026-05-01T10:00:00Z Email Link Clicked {"actor": "person"}
           2026-05-01T10:01:00Z Email Link Clicked
           2026-05-01T10:02:00Z Email Link Clicked {"actor": "scanner"}
           2026-05-01T10:03:00Z Email Opened {"actor": "prefetch"}
           2026-05-02T10:00:00Z Email Link Clicked
           2026-05-02T10:00:00Z out
           2026-05-02T11:00:00Z Email Link Clicked
           2026-05-02T11:00:00Z in
           2026-05-10T10:00:00Z in
           2026-05-20T10:00:00Z out"#,
    );
}

#[test]
fn lapsed_readers_are_those_whose_last_open_lies_far_back() {
    story(
        r#"time since last "Email Opened" > 90 days"#,
        "{}",
        "2026-01-01T00:00:00Z Email Opened
         2026-04-01T00:00:00Z out
         2026-04-01T00:00:00.000001Z in
         2026-04-02T00:00:00Z Email Opened
         2026-04-02T00:00:00Z out",
    );
}

#[test]
fn a_change_carries_its_cause_and_passes_on_to_segments_of_segments() {
    let definitions = [
        define("outer", r#"in segment "inner" and country = "BD""#),
        define("inner", r#"count "Order Completed" in last 1 day >= 2"#),
    ];
    let engine = Engine::build(&definitions, &mut FeatureIds::default()).unwrap();
    let attributes: Map = serde_json::from_str(r#"{"country": "BD"}"#).unwrap();
    let mut state = State::default();
    let now = at("2026-05-01T10:00:00Z");
    assert_eq!(engine.settle(&mut state, &attributes, now), []);
    for _ in 0..2 {
        engine.apply(&mut state, &EventView::new("Order Completed", now, "{}"), &attributes, now);
    }
    let causes = |changes: Vec<segment::Change>| {
        changes.into_iter().map(|each| (each.segment, each.entered, each.cause)).collect::<Vec<_>>()
    };
    let order = Cause::Event("Order Completed".into());
    let inner = || Cause::Segment("inner".into());
    assert_eq!(
        causes(engine.settle(&mut state, &attributes, now)),
        [("inner".into(), true, order), ("outer".into(), true, inner())]
    );
    let due = state.due_at().unwrap();
    assert_eq!(due, at("2026-05-02T10:00:00Z"));
    assert_eq!(
        causes(engine.settle(&mut state, &attributes, due)),
        [("inner".into(), false, Cause::Time), ("outer".into(), false, inner())]
    );
    assert_eq!(state.due_at(), None);
}

#[test]
fn circles_unknown_segments_and_doubled_keys_are_refused_with_the_path() {
    let check = |definitions: &[Definition], part: &str| {
        let mut ids = FeatureIds::default();
        let error: Error = Engine::build(definitions, &mut ids).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(ids, FeatureIds::default());
    };
    let pair = [define("a", "in segment \"b\""), define("b", "not in segment \"a\"")];
    check(&pair, "a → b → a");
    check(&[define("a", "in segment \"a\"")], "a → a");
    check(&[define("a", "in segment \"x\"")], "\"x\"");
    check(&[define("a", "b = 1"), define("a", "b = 2")], "two definitions");
    check(&[define("a", r#"count "X" in last 1 day > 1000000"#)], "counts beyond");
}

#[test]
fn equal_features_are_kept_once_and_keep_their_numbers_across_edits() {
    let mut ids = FeatureIds::default();
    let text = r#"did "A" in last 3 days"#;
    let engine =
        Engine::build(&[define("x", text), define("y", &format!("{text} and b = 1"))], &mut ids).unwrap();
    assert_eq!((engine.features().len(), engine.fresh().len()), (1, 1));
    let id = engine.features()[0].id;
    let edited = Engine::build(&[define("x", text), define("y", r#"did "B""#)], &mut ids).unwrap();
    assert_eq!(edited.fresh().len(), 1);
    assert!(edited.features().iter().any(|feature| feature.id == id));
    // What is left out loses its number and comes back as new.
    let without = Engine::build(&[define("y", r#"did "B""#)], &mut ids).unwrap();
    assert_eq!(without.fresh().len(), 0);
    let back = Engine::build(&[define("x", text), define("y", r#"did "B""#)], &mut ids).unwrap();
    assert!(back.fresh()[0] > id);
}

#[test]
fn an_explanation_shows_values_events_and_when_it_ends() {
    let text = r#"did "Product Added" in last 48 hours and count "Order Completed" = 0"#;
    let mut preview = Preview::new(&expr::parse(text).unwrap(), &[], at("2026-05-02T00:00:00Z")).unwrap();
    assert_eq!(preview.needs().len(), 2);
    preview.feed(7, "Product Added", at("2026-05-01T10:00:00Z"), "{}");
    let why = preview.explain(7, &expr::NoAttributes);
    assert!(why.holds);
    assert_eq!(why.until, Some(at("2026-05-03T10:00:00Z")));
    assert_eq!(why.children[0].evidence[0].at, at("2026-05-01T10:00:00Z"));
    assert_eq!(why.children[1].value.as_deref(), Some("0"));
}

#[test]
fn hostile_properties_change_nothing_and_a_busy_profile_stays_small() {
    let texts = [
        r#"count "X" in last 7 days > 3"#,
        r#"weeks with "X" in last 6 months > 3"#,
        r#"did "X" where price > 5 in last 1 day"#,
        r#"sum(price) of "X" > 10"#,
    ];
    let definitions: Vec<_> =
        texts.iter().enumerate().map(|(n, text)| define(&n.to_string(), text)).collect();
    let engine = Engine::build(&definitions, &mut FeatureIds::default()).unwrap();
    let mut state = State::default();
    for number in 0..20_000 {
        let now = at("2026-05-01T10:00:00Z") + number * model::time::SECOND;
        let properties =
            ["{", "[]", "{\"price\": 1e400}", "{\"price\": {}}", "{\"price\": 1e300}"][number as usize % 5];
        engine.apply(&mut state, &EventView::new("X", now, properties), &expr::NoAttributes, now);
    }
    engine.settle(&mut state, &expr::NoAttributes, at("2026-05-02T10:00:00Z"));
    let bytes = postcard::to_stdvec(&state).unwrap().len();
    assert!(bytes < 1_500, "{bytes} bytes");
    assert!(!engine.apply(
        &mut state,
        &EventView::new("Y", at("2026-05-02"), "{}"),
        &expr::NoAttributes,
        at("2026-05-02")
    ));
}

#[test]
fn a_sequence_that_is_complete_for_ever_keeps_no_events() {
    let text = r#""Page Viewed" then "Order Completed" within 1 hour"#;
    let engine = Engine::build(&[define("it", text)], &mut FeatureIds::default()).unwrap();
    let mut state = State::default();
    let mut play = |name: &str, number: i64| {
        let now = at("2026-05-01T10:00:00Z") + number * model::time::MINUTE;
        engine.apply(&mut state, &EventView::new(name, now, "{}"), &expr::NoAttributes, now);
        engine.settle(&mut state, &expr::NoAttributes, now);
        (postcard::to_stdvec(&state).unwrap().len(), engine.is_member("it", &state))
    };
    for number in 0..500 {
        assert!(!play("Page Viewed", number).1);
    }
    assert!(play("Page Viewed", 500).0 > 500);
    let (bytes, member) = play("Order Completed", 510);
    assert!(member && bytes < 100, "{bytes} bytes");
    assert!(play("Page Viewed", 511).0 < 100);
}
