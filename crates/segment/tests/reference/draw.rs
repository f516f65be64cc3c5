//! Random events and conditions: crowded instants, late arrivals, every family of the language.

use model::time::{DAY, HOUR, MINUTE};
use proptest::prelude::*;

use super::{Happened, start};

const EVENTS: [&str; 5] = ["Product Viewed", "Product Added", "Order Completed", "Email Opened", "identify"];

/// An event of a profile, with when it arrives.
pub fn event() -> impl Strategy<Value = Happened> {
    let late = prop_oneof![
        4 => Just(0),
        2 => -5 * MINUTE..0,
        2 => 0..HOUR,
        1 => 0..20 * DAY,
    ];
    // Coarse and crowded instants too, so that events coincide, lie on edges and follow each other.
    let instant = prop_oneof![
        3 => 0..60 * DAY,
        1 => (0..60i64).prop_map(|day| day * DAY),
        3 => (0..2i64, 0..40i64).prop_map(|(day, number)| day * 20 * DAY + number * 15 * MINUTE),
    ];
    (0..5usize, instant, late, 0..4u8, 0..3u8, 0..3u8).prop_map(|(name, offset, late, price, category, actor)| {
        let at = start() + offset;
        let chosen = ["Shoes", "Hats", "Bags"][category as usize];
        let mut properties = serde_json::json!({
            "price": f64::from(price) * 0.1 + 1.0,
            "category": chosen,
            "products": [{"category": "Shoes", "price": price}, {"category": "Hats", "price": 3 - price.min(3)}],
        });
        if EVENTS[name].starts_with("Email") && actor > 0 {
            properties["actor"] = ["person", "scanner"][actor as usize - 1].into();
        }
        if price == 3 {
            properties["price"] = "3".into();
        }
        if actor > 0 {
            properties["cart"] = actor.into();
        }
        // Of one name, now this type, now that, now none.
        match (price, actor) {
            (2, 2) => properties["category"] = model::Value::Null,
            (0, 1) => properties["category"] = true.into(),
            (1, 1) => properties["products"] = "Shoes".into(),
            (1, 2) => properties["details"] = serde_json::json!({"size": price, "category": chosen}),
            (2, 0) => properties["details"] = 2.into(),
            _ => {}
        }
        if EVENTS[name] == "identify" {
            let plan = ["pro", "free", "pro"][category as usize];
            properties = serde_json::json!({"plan": plan});
            if price == 3 {
                properties = serde_json::json!({"plan": null});
            }
        }
        Happened { name: EVENTS[name], at, arrives: at + late, properties }
    })
}

fn leaf_text() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(
        &["Product Viewed", "Product Added", "Order Completed", "Email Opened", "Product *", "*"][..],
    );
    let filter = proptest::sample::select(
        &[
            "",
            "",
            "",
            " where category = \"Shoes\"",
            " where (price > 1.1 or category != \"Hats\")",
            " where any products (category = \"Shoes\" and price > 1)",
            " where actor = \"scanner\"",
            " where not price is missing",
            " where none products (category = \"Hats\" and price > 1)",
            " where (category = \"Shoes\" and price > 1 or cart = 2)",
            " where category is missing",
            " where category in (\"Hats\", \"Bags\")",
            " where not (price >= 1.1 and category != \"Bags\")",
            " where details.size = 1",
            " where all products (price < 3)",
        ][..],
    );
    let window = proptest::sample::select(
        &[
            "",
            "",
            " in last 48 hours",
            " in last 7 days",
            " in last 1 month",
            " in last 30 days",
            " today",
            " since 2026-02-10",
            " before 2026-02-20",
            " between 2026-02-01 and 2026-02-20",
            " in last 90 minutes",
            " since 2026-02-10T09:07:00Z",
            " before last 10 days",
            " before last 1 month",
            " between 20 days ago and 36 hours ago",
            " between 1 month ago and 10 days ago",
        ][..],
    );
    let number = proptest::sample::select(
        &[
            "= 0",
            "> 0",
            "> 1",
            ">= 3",
            "= 2",
            "< 2",
            "between 1 and 3",
            "in (0, 2)",
            "!= 1",
            "> 9",
            "not in (1, 2)",
        ][..],
    );
    let text = proptest::sample::select(
        &["= \"Shoes\"", "in (\"Hats\", \"Bags\")", "is missing", "!= \"Bags\""][..],
    );
    let sum = proptest::sample::select(
        &[">= 2.2", "< 3", "= 0", "between 1.1 and 4.4", "> 1.15", "is present"][..],
    );
    let pattern = (name, filter).prop_map(|(name, filter)| format!("\"{name}\"{filter}"));
    let within = proptest::sample::select(
        &["", " within 2 hours", " within 30 minutes", " within 1 month", " within 20 days"][..],
    );
    let step = (any::<bool>(), pattern.clone(), within)
        .prop_map(|(not, event, within)| format!(" then {}{event}{within}", if not { "not " } else { "" }));
    let same = proptest::sample::select(
        &[
            "",
            "",
            " with same cart",
            " with same category",
            " all within 3 hours",
            " all within 1 month with same cart",
        ][..],
    );
    let sequence = (pattern.clone(), proptest::collection::vec(step, 1..4), same, window.clone())
        .prop_map(|(event, steps, same, window)| format!("{event}{}{same}{window}", steps.concat()));
    let some_window =
        window.clone().prop_map(|window| if window.is_empty() { " in last 9 days" } else { window });
    let quiet = proptest::sample::select(&["3 days", "1 month", "30 hours"][..]);
    let before = proptest::sample::select(&["20 days", "2 months", "50 hours"][..]);
    let share = proptest::sample::select(
        &["2 of last 4 weeks", "1 of last 3 days", "2 of last 2 months", "3 of last 30 hours"][..],
    );
    let lifecycle = prop_oneof![
            (pattern.clone(), some_window)
                .prop_map(|(event, window)| format!("did {event} for the first time{window}")),
            (pattern.clone(), quiet.clone(), 1..4u8, before).prop_map(|(event, quiet, times, before)| {
                format!("stopped {event} for {quiet} after {times} times in {before}")
            }),
            (pattern.clone(), window.clone(), quiet).prop_map(|(event, window, quiet)| format!(
                "resumed {event}{window} after a pause of {quiet}"
            )),
            (pattern.clone(), 1..3u8, share)
                .prop_map(|(event, times, share)| format!("regularly {event} {times} times in {share}")),
            proptest::sample::select(
                &[
                    "plan = \"pro\" for 5 days",
                    "plan != \"free\" for 1 month",
                    "plan = \"pro\" for 90 minutes"
                ][..]
            )
            .prop_map(str::to_owned),
        ];
    let about = proptest::sample::select(
        &[
            "consents to \"email_marketing\"",
            "withdrew consent to \"sms\"",
            "subscribed to topic \"nothing\"",
        ][..],
    );
    let consent = (about, proptest::sample::select(&["", " by \"form\"", " by \"api\""][..]), window.clone())
        .prop_map(|(about, by, window)| format!("{about}{by}{window}"));
    prop_oneof![
        4 => sequence,
        5 => lifecycle,
        1 => consent,
        8 => former(pattern, window, number, sum, text),
    ]
}

fn former(
    pattern: impl Strategy<Value = String> + Clone + 'static,
    window: impl Strategy<Value = &'static str> + Clone + 'static,
    number: impl Strategy<Value = &'static str> + Clone + 'static,
    sum: impl Strategy<Value = &'static str> + 'static,
    text: impl Strategy<Value = &'static str> + 'static,
) -> impl Strategy<Value = String> {
    let figure = proptest::sample::select(&["sum", "avg", "min", "max"][..]);
    let pick = proptest::sample::select(&["top", "first", "last"][..]);
    let period = proptest::sample::select(&["hours", "days", "weeks", "months"][..]);
    let which = proptest::sample::select(&["first", "last"][..]);
    prop_oneof![
        (pattern.clone(), window.clone()).prop_map(|(event, window)| format!("did {event}{window}")),
        (pattern.clone(), window.clone(), number.clone())
            .prop_map(|(event, window, number)| format!("count {event}{window} {number}")),
        (figure, pattern.clone(), window.clone(), sum)
            .prop_map(|(figure, event, window, sum)| format!("{figure}(price) of {event}{window} {sum}")),
        (pattern.clone(), window.clone(), number.clone())
            .prop_map(|(event, window, number)| format!("distinct(category) of {event}{window} {number}")),
        (pick, pattern.clone(), window.clone(), text)
            .prop_map(|(pick, event, window, text)| format!("{pick}(category) of {event}{window} {text}")),
        (period, pattern.clone(), window, number)
            .prop_map(|(period, event, window, number)| format!("{period} with {event}{window} {number}")),
        (
            which.clone(),
            pattern.clone(),
            proptest::sample::select(&["> 3 days", "<= 36 hours", ">= 1 month", "< 5 days"][..])
        )
            .prop_map(|(which, event, span)| format!("time since {which} {event} {span}")),
        (which.clone(), pattern.clone(), proptest::sample::select(&["after", "before"][..]), which, pattern)
            .prop_map(|(a, left, word, b, right)| format!("{a} {left} {word} {b} {right}")),
        proptest::sample::select(
            &[
                "trial_ends in next 3 days",
                "trial_ends in last 10 days",
                "birthday is anniversary today",
                "birthday is anniversary in next 7 days",
                "country = \"BD\"",
                "plan = \"pro\"",
                "plan in (\"team\", \"free\")",
                "plan != \"team\"",
                "age is missing",
                "consents to \"email_marketing\"",
                "engagement_score > 33.3",
                "trial_ends before last 3 days",
                "trial_ends after next 10 days",
                "trial_ends between 2026-02-01 and 2026-02-15",
                "birthday is anniversary in last 2 weeks",
                "interests length >= 2",
                "any pets (kind = \"dog\" and age < 3)",
                "none interests (it starts with \"fit\")",
                "in random 40% of \"spring\"",
                "everyone",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

/// A condition; it may speak of the segment "First".
pub fn condition_text(segment: bool) -> impl Strategy<Value = String> {
    let leaf = if segment {
        let of_first = [
            "in segment \"First\"",
            "entered segment \"First\" in last 7 days",
            "left segment \"First\" in last 3 days",
            "entered segment \"First\"",
        ];
        prop_oneof![4 => leaf_text(), 1 => proptest::sample::select(of_first.to_vec()).prop_map(str::to_owned)]
            .boxed()
    } else {
        leaf_text().boxed()
    };
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}
