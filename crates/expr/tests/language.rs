//! The language's forms, its errors and its promise: text, JSON and back without loss.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use expr::{Attributes, Checked, Condition, Filter, Schema, Unit};
use model::{Timestamp, Value};
use proptest::prelude::*;

const CANONICAL: &[&str] = &[
    r#"country = "BD" and age between 25 and 40"#,
    r#"plan in ("pro", "team")"#,
    r#"plan not in ("pro", "team") or score >= -1.5"#,
    r#"email ends with "@example.com""#,
    r"name matches /^A\/\d/",
    "phone is missing",
    "phone is present",
    r#"interests contains "fitness""#,
    r#"interests contains any of ("a", "b")"#,
    r#"interests contains all of ("a", 2, true)"#,
    r#"address.city = "Dhaka""#,
    "`Customer ID` > 12",
    "signed_up in last 30 days",
    "trial_ends in next 3 days",
    "birthday is anniversary today",
    "birthday is anniversary in next 7 days",
    "renewal before 2027-01-01",
    "renewal after 2027-01-01T10:00:00Z",
    "renewal on 2027-01-01",
    "signed_up in May",
    "signed_up on Monday",
    "signed_up is today",
    r#"did "Order Completed""#,
    r#"did "Product Viewed" where category = "Shoes" in last 30 days and not did "Order Completed" where category = "Shoes" in last 30 days"#,
    r#"count "Order Completed" in last 60 days > 3"#,
    r#"count "Order Completed" since 2026-01-01 between 2 and 5"#,
    r#"count "Order Completed" between 2026-01-01 and 2026-06-30 = 0"#,
    r#"sum(revenue) of "Order Completed" in last 180 days >= 500"#,
    r#"distinct(product_id) of "Product Viewed" in last 1 day > 4"#,
    r#"top(category) of "Product Viewed" = "Shoes""#,
    r#"first(utm_source) of "Page Viewed" in ("ads", "mail")"#,
    r#"weeks with "Email Link Clicked" in last 6 months >= 20"#,
    r#"did "Order Completed" where any products (category = "Shoes" and price > 50)"#,
    r#"did "Order Completed" where (revenue > 10 and not currency = "EUR") today"#,
    r#"did "Order Completed" where all products (price < 5 or `a.b`.c is missing)"#,
    r#"time since last "Email Opened" > 90 days"#,
    r#"last "Product Added" after last "Order Completed""#,
    r#"first "Product Added" where price > 2 before last "Order Completed""#,
    r#"in segment "High Intent Buyers""#,
    r#"consents to "email_marketing""#,
    r#"subscribed to topic "news""#,
    "engagement_score > 80",
    "signed_up before last 30 days",
    "trial_ends after next 3 days",
    "renewal between 2027-01-01 and 2027-03-31",
    "birthday is anniversary in last 2 weeks",
    "interests length >= 3",
    r#"interests length = 0 and plan = "pro" for 30 days"#,
    r#"any pets (kind = "dog" and age < 3)"#,
    r#"none interests (it starts with "fit") or all scores (it > 3)"#,
    r#"did "Order Completed" where none products (price > 50) before last 30 days"#,
    r#"count "Order Completed" between 60 days ago and 30 days ago >= 2"#,
    r#"did "Order Completed" for the first time in last 7 days"#,
    r#""Product Added" then "Checkout Started" within 2 hours"#,
    r#""Checkout Started" then not "Order Completed" within 30 minutes"#,
    r#""Signed Up" then "Product Viewed" where price > 5 within 1 day then not "Help Opened" then "Order Completed" within 1 month with same cart.id in last 60 days"#,
    r#"stopped "Order Completed" for 30 days after 3 times in 90 days"#,
    r#"stopped "Order Completed" where revenue > 3 for 1 month after 1 time in 1 year"#,
    r#"resumed "App Opened" in last 7 days after a pause of 30 days"#,
    r#"resumed "App Opened" after a pause of 2 months"#,
    r#"regularly "App Opened" in 3 of last 4 weeks"#,
    r#"regularly "App Opened" 2 times in 3 of last 4 weeks"#,
    r#"entered segment "VIP" in last 7 days and not left segment "VIP""#,
    r#"consents to "email_marketing" by "checkout" in last 1 year"#,
    r#"withdrew consent to "email_marketing" in last 7 days"#,
    r#"subscribed to topic "news" by "form" since 2026-01-01 or unsubscribed from topic "news""#,
    r#"in random 20% of "spring" or in random 20% to 50.5% of "spring""#,
    "everyone",
    r#"everyone and not (stopped = 1 or resumed is missing or everyone = 3 or left = "x")"#,
    r#"did "Email *" in last 30 days"#,
    "not (a = 1 or b = 2) and (c = 3 or not not d = 4)",
    "(a = 1 and b = 2) and c = 3",
    r#"`and` = 1 and `did`.x = "say \"hi\"\n\\""#,
];

#[test]
fn every_canonical_text_prints_as_itself_and_survives_json() {
    for text in CANONICAL {
        let condition = expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(condition.to_string(), *text);
        assert_eq!(Condition::from_json(&condition.to_json()).unwrap(), condition, "{text}");
        assert!(expr::describe(&condition).ends_with('.'), "{text}");
    }
}

#[test]
fn an_error_names_its_place_what_was_expected_and_the_nearest_word() {
    let check = |text: &str, line: usize, column: usize, part: &str, nearest: Option<&str>| {
        let error = expr::parse(text).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(part), "{text}: {shown}");
        assert_eq!(
            (error.line, error.column, error.nearest.as_deref()),
            (line, column, nearest),
            "{text}: {shown}"
        );
    };
    check("", 1, 1, "the end", None);
    check("country =", 1, 10, "a text in double quotes", None);
    check("country = BD", 1, 11, "without quotes", None);
    check("a = 1 and\n  b betwen 2 and 3", 2, 5, "between", Some("between"));
    check(r#"did "X" in last 3 dys"#, 1, 19, "days", Some("days"));
    check(r#"did "X" in last 0 days"#, 1, 17, "from 1", None);
    check(r#"counts "X" > 3"#, 1, 1, "does not begin", Some("count"));
    check(r#"count "X" > "3""#, 1, 11, "number", None);
    check(r#"did "X" where at in last 3 days"#, 1, 18, "present", None);
    check("did 'X'", 1, 5, "double quotes", None);
    check("a matches /(/", 1, 11, "regex", None);
    check("a = 1 b = 2", 1, 7, "'and'", None);
    check("a = \"x", 1, 5, "closing", None);
    check(r#""A" then "B" within 2 hour then"#, 1, 32, "an event's name", None);
    check(r#""A" within 2 hours"#, 1, 5, "'then'", None);
    check(r#"regularly "A" in 5 of last 4 weeks"#, 1, 28, "cannot be", None);
    check(r#"count "A" between 3 days ago and 9 days ago > 1"#, 1, 19, "the longer time first", None);
    check("x is today for 3 days", 1, 3, "leave out 'for'", None);
    check("x is missing for 3 days", 1, 3, "no beginning", None);
    check(r#"in random 120% of "x""#, 1, 11, "0% to 100%", None);
    check(r#"stoped "A" for 3 days"#, 1, 1, "does not begin", Some("stopped"));
    check("time = 3 and in = 2", 1, 1, "backticks", None);
}

#[test]
fn deep_and_wide_conditions_are_refused_without_harm() {
    for text in [
        "(".repeat(60_000),
        "(".repeat(100_000),
        format!("did \"X\" where {}a = 1", "any a (".repeat(60)),
        format!("{}a = 1", "none a (".repeat(60)),
        format!("a matches /{}/", "(a{1,100}){1,100}".repeat(9)),
        "not ".repeat(10_000) + "a = 1",
        format!("{}a = 1{}", "(".repeat(51), ")".repeat(51)),
        vec!["a = 1"; 3_000].join(" and "),
        format!("did \"X\" where {}a = 1", "not ".repeat(10_000)),
        "a = 1e999".to_owned(),
        "x".repeat(70_000),
    ] {
        assert!(expr::parse(&text).is_err(), "{}", &text[..40.min(text.len())]);
    }
    let steps = "\"A\" then ".repeat(30) + "\"A\"";
    assert!(expr::parse(&steps).unwrap_err().to_string().contains("steps"));
    let deepest = format!("{}a = 1", "not ".repeat(49));
    let condition = expr::parse(&deepest).unwrap();
    assert_eq!(Condition::from_json(&condition.to_json()).unwrap(), condition);
    assert!(Condition::from_json(&("{\"type\":\"not\",\"condition\":".repeat(5_000))).is_err());
    assert!(Condition::from_json(r#"{"type":"and","all":[]}"#).is_err());
    assert!(Condition::from_json(r#"{"type":"did","event":{"name":""},"window":null}"#).is_err());
}

fn holds(text: &str, attributes: &str, now: &str) -> bool {
    let Condition::Attribute { path, test } = expr::parse(text).unwrap() else { panic!("{text}") };
    let Value::Object(map) = serde_json::from_str(attributes).unwrap() else { panic!("{attributes}") };
    expr::evaluate_attribute(&path, &test, &map, Timestamp::parse(now).unwrap()).holds
}

#[test]
fn attributes_are_tested_by_type_and_missing_is_not_a_value() {
    let check = |text: &str, attributes: &str, expected: bool| {
        assert_eq!(holds(text, attributes, "2026-03-01T12:00:00Z"), expected, "{text} of {attributes}");
    };
    check("age > 9", r#"{"age": 10}"#, true);
    check("age > 9", r#"{"age": "10"}"#, false);
    check("age != 9", "{}", false);
    check("age is missing", r#"{"age": null}"#, true);
    check("a.b = 1", r#"{"a": {"b": 1.0}}"#, true);
    check(r#"tags contains "x""#, r#"{"tags": ["y", "x"]}"#, true);
    check(r#"tags contains "x""#, r#"{"tags": "ax"}"#, true);
    check(r#"tags contains all of ("x", "y")"#, r#"{"tags": ["x"]}"#, false);
    check("name matches /^A/", r#"{"name": "Ada"}"#, true);
    check("at in last 48 hours", r#"{"at": "2026-02-27T12:00:00Z"}"#, false);
    check("at in last 48 hours", r#"{"at": "2026-02-27T12:00:00.000001Z"}"#, true);
    check("at in next 1 day", r#"{"at": "2026-03-02T12:00:00Z"}"#, true);
    check("at in next 1 day", r#"{"at": "2026-03-01T12:00:00Z"}"#, false);
    check("at before 2027-01-01", r#"{"at": "2026-12-31"}"#, true);
    check("at after 2026-12-31", r#"{"at": "2026-12-31T23:00:00Z"}"#, false);
    check("at in December", r#"{"at": "2026-12-31"}"#, true);
    check("at on Thursday", r#"{"at": "2026-12-31"}"#, true);
}

#[test]
fn an_anniversary_of_29_february_falls_on_the_28th_in_a_common_year() {
    let birthday = r#"{"birthday": "1996-02-29"}"#;
    let text = "birthday is anniversary today";
    assert!(holds(text, birthday, "2027-02-28T10:00:00Z"));
    assert!(!holds(text, birthday, "2028-02-28T10:00:00Z"));
    assert!(holds(text, birthday, "2028-02-29T10:00:00Z"));
    assert!(holds(
        "birthday is anniversary in next 7 days",
        r#"{"birthday":"1990-01-03"}"#,
        "2026-12-28T00:00:00Z"
    ));
    assert!(!holds(
        "birthday is anniversary in next 5 days",
        r#"{"birthday":"1990-01-03"}"#,
        "2026-12-28T00:00:00Z"
    ));
}

#[test]
fn a_month_never_ends_earlier_for_a_later_event() {
    let zone = jiff::tz::TimeZone::UTC;
    let span = expr::Span { amount: 1, unit: Unit::Months };
    let at = |text: &str| Timestamp::parse(text).unwrap();
    assert_eq!(span.after(at("2026-01-15T08:00:00Z"), &zone), at("2026-02-15T08:00:00Z"));
    assert_eq!(span.after(at("2026-01-30T08:00:00Z"), &zone), at("2026-03-01"));
    let mut last = Timestamp::MIN;
    for hour in 0..24 * 800 {
        let end = span.after(at("2026-01-01") + hour * model::time::HOUR, &zone);
        assert!(end >= last);
        last = end;
    }
}

#[test]
fn a_filter_reads_nested_lists_and_rows() {
    let check = |text: &str, json: &str, expected: bool| {
        let filter = expr::parse_filter(text).unwrap();
        assert_eq!(filter.matches(&serde_json::from_str(json).unwrap()), expected, "{text} of {json}");
        assert_eq!(expr::parse_filter(&filter.to_string()).unwrap(), filter);
    };
    let order = r#"{"products": [{"category": "Shoes", "price": 20}, {"category": "Hats", "price": 60}]}"#;
    check(r#"any products (category = "Shoes" and price > 50)"#, order, false);
    check(r#"any products (category = "Shoes") and any products (price > 50)"#, order, true);
    check("all products (price > 10)", order, true);
    check(
        r#"not (`Invoice No` starts with "C") and Quantity > 0"#,
        r#"{"Invoice No": "5364", "Quantity": 2}"#,
        true,
    );
}

#[test]
fn an_unknown_event_is_a_warning_and_an_unknown_segment_an_error() {
    let schema = Schema {
        traits: vec!["engagement_score".to_owned()],
        attributes: vec![("age".into(), "number".into())],
        events: vec!["Order Completed".into()],
        segments: vec!["VIP".into()],
        properties: vec![("Order Completed".into(), "revenue".into(), "number".into())],
    };
    let Checked { condition, errors, warnings } =
        expr::check_text(r#"did "Order Complete" and in segment "VOP" and age = "x""#, &schema);
    assert!(condition.is_some());
    assert_eq!(warnings[0].nearest.as_deref(), Some("Order Completed"));
    assert_eq!((errors[0].nearest.as_deref(), errors.len()), (Some("VIP"), 2));
}

#[test]
fn a_test_that_does_not_fit_a_declared_type_is_an_error() {
    let of = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let property = |name: &str, kind: &str| ("Order Completed".to_owned(), name.to_owned(), kind.to_owned());
    let schema = Schema {
        traits: vec!["engagement_score".to_owned()],
        attributes: vec![
            of("age", "number"),
            of("plan", "text"),
            of("tags", "list"),
            of("born", "date"),
            of("raw", ""),
        ],
        events: vec!["Order Completed".into()],
        segments: vec!["VIP".into()],
        properties: vec![
            property("revenue", "number"),
            property("currency", "text"),
            property("products", "list"),
        ],
    };
    let fatal = |text: &str, part: &str| {
        let checked = expr::check_text(text, &schema);
        assert!(checked.errors.iter().any(|error| error.to_string().contains(part)), "{text}: {checked:?}");
    };
    let fits = |text: &str| {
        let checked = expr::check_text(text, &schema);
        assert!(checked.errors.is_empty() && checked.warnings.is_empty(), "{text}: {checked:?}");
    };
    fatal("age = \"x\"", "declared as number");
    fatal("age between 1 and \"x\"", "declared as number");
    fatal("age in last 3 days", "as date");
    fatal("plan = 3 for 3 days", "declared as text");
    fatal("any plan (a = 1)", "only lists");
    fatal("tags starts with \"a\"", "declared as list");
    fatal("born > 3", "declared as date");
    fatal(r#"did "Order Completed" where revenue = "3""#, "declared as number");
    fatal(r#"did "Order Completed" where (currency = "EUR" and not any revenue (a = 1))"#, "only lists");
    fatal(r#"sum(currency) of "Order Completed" > 3"#, "needs numbers");
    fatal(r#"entered segment "VOP""#, "no segment");
    fatal("engagement_score > 3 for 2 days", "not kept over time");
    fits("age in (\"x\", 3) and raw > \"a\" and born on Monday and tags contains \"x\" and tags length > 3");
    fits(r#""Order Completed" where revenue > 3 then "Order *" where any products (price > 3)"#);
    fits(r#"last(currency) of "Order Completed" = "EUR" and engagement_score > 3 and left segment "VIP""#);
    let placed = expr::check_text(r#"manage = 1 and age = "x""#, &schema).errors;
    assert_eq!(placed[0].offset, 15, "the whole word, not a part of another");
    let warned = expr::check_text(r#"did "Order Completed" where revenu > 3"#, &schema).warnings;
    assert_eq!(warned[0].nearest.as_deref(), Some("revenue"));
}

#[test]
fn a_condition_reads_as_english() {
    let text = r#"did "Product Added" in last 48 hours and not did "Order Completed""#;
    let sentence = expr::describe(&expr::parse(text).unwrap());
    assert_eq!(sentence, "Did “Product Added” in the last 48 hours, and did not do “Order Completed”.");
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| expr::Literal::Number(n + 0.0).to_string()),
        any::<i32>().prop_map(|n| n.to_string()),
        ".{0,6}".prop_map(|text| expr::Literal::Text(text).to_string()),
        Just("true".to_owned()),
    ]
}

fn leaf() -> impl Strategy<Value = Condition> {
    let chosen = proptest::sample::select(CANONICAL).prop_map(|text| expr::parse(text).unwrap());
    let made = (".{1,8}", literal(), proptest::sample::select(&["=", "<", "!="][..])).prop_map(
        |(name, value, op)| {
            let path = expr::Path::new(vec![name]).unwrap();
            let line = format!("{path} {op} {value}");
            expr::parse(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
        },
    );
    prop_oneof![chosen, made]
}

fn tree() -> impl Strategy<Value = Condition> {
    leaf().prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|all| Condition::And { all }),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|any| Condition::Or { any }),
            inner.prop_map(|condition| Condition::Not { condition: Box::new(condition) }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_and_json_carry_the_same_tree(condition in tree()) {
        let text = condition.to_string();
        let parsed = expr::parse(&text).unwrap();
        prop_assert_eq!(&parsed, &condition);
        let again = Condition::from_json(&parsed.to_json()).unwrap();
        prop_assert_eq!(&again, &condition);
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z\"`/(),.<>=0-9 \\\\é-]{0,60}") {
        let _ = expr::parse(&text);
        let _ = expr::parse_filter(&text);
        let words = text.replace('a', " and ").replace('b', " did ").replace('c', "\"X\" in last ");
        let _ = expr::parse(&words);
    }

    #[test]
    fn an_attribute_leaf_does_not_change_before_it_says(
        test in proptest::sample::select(&["in last 3 days", "in next 2 months", "is today", "is anniversary today",
            "is anniversary in next 7 days", "in last 1 year"][..]),
        offset in -400i64..400, minute in 0i64..1440, probe in 1i64..1_000_000_000,
    ) {
        let now = Timestamp::parse("2026-06-15T12:00:00Z").unwrap();
        let value = now + offset * model::time::DAY + minute * model::time::MINUTE;
        let Condition::Attribute { test, .. } = expr::parse(&format!("x {test}")).unwrap() else { unreachable!() };
        let zone = jiff::tz::TimeZone::get("Asia/Kathmandu").unwrap_or(jiff::tz::TimeZone::UTC);
        let json = Value::String(value.to_string());
        let leaf = expr::test_value(&test, Some(&json), now, &zone);
        let until = leaf.changes_at.unwrap_or(now + 2 * 366 * model::time::DAY);
        prop_assert!(until > now);
        let later = now + (until - now - 1).min(probe * 1_000);
        prop_assert_eq!(expr::test_value(&test, Some(&json), later, &zone).holds, leaf.holds);
    }
}

#[test]
fn a_filter_knows_which_properties_it_reads() {
    let filter: Filter = expr::parse_filter(r#"actor = "scanner" or any products (price > 1)"#).unwrap();
    assert!(filter.mentions("actor") && !filter.mentions("price"));
    let _: &dyn Attributes = &expr::NoAttributes;
}
