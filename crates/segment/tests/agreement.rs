//! Stream, history and a slow reference give the same answer at every instant, whatever the order of arrival.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod columns;
mod reference;

use model::time::{DAY, HOUR, MINUTE};
use model::{Timestamp, Value};
use proptest::prelude::*;
use reference::{Happened, Person, reference, start};
use segment::{Definition, Engine, EventView, FeatureIds, Preview, State};

const EVENTS: [&str; 5] = ["Product Viewed", "Product Added", "Order Completed", "Email Opened", "identify"];

fn event() -> impl Strategy<Value = Happened> {
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
            (2, 2) => properties["category"] = Value::Null,
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

fn condition_text(segment: bool) -> impl Strategy<Value = String> {
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

fn definitions(texts: &[String]) -> Vec<Definition> {
    let names = ["First", "Second", "Third"];
    texts
        .iter()
        .enumerate()
        .map(|(number, text)| Definition {
            key: format!("s{number}"),
            name: names[number].to_owned(),
            condition: expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")),
            watched: true,
        })
        .collect()
}

fn cases() -> u32 {
    option_env!("RAPPORT_CASES").and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// A profile under definitions that may be edited, whole and as two halves that are one person.
struct Run {
    person: Person,
    ids: FeatureIds,
    definitions: Vec<Definition>,
    engine: Engine,
    state: State,
    halves: [State; 2],
    arrived: Vec<Happened>,
    held: Vec<bool>,
}

impl Run {
    fn new(person: Person, definitions: Vec<Definition>) -> Run {
        let mut ids = FeatureIds::default();
        let engine = Engine::build(&definitions, &mut ids).unwrap();
        let held = vec![false; definitions.len()];
        let (state, halves, arrived) = (State::default(), [State::default(), State::default()], Vec::new());
        Run { person, ids, definitions, engine, state, halves, arrived, held }
    }

    fn arrive(&mut self, happened: Happened, half: usize, now: Timestamp) {
        let properties = happened.properties.to_string();
        let view = EventView::new(happened.name, happened.at, &properties);
        self.engine.apply(&mut self.state, &view, &self.person, now);
        self.engine.apply(&mut self.halves[half], &view, &self.person, now);
        self.arrived.push(happened);
    }

    /// Settles until nothing changes: what changed comes back as an event, as it does through the log.
    fn settle(&mut self, now: Timestamp) {
        for round in 0.. {
            assert!(round < 10, "memberships change each other without end");
            let changes = self.engine.settle(&mut self.state, &self.person, now);
            if changes.is_empty() {
                return;
            }
            for change in changes {
                let place = self.definitions.iter().position(|each| each.key == change.segment).unwrap();
                assert_ne!(self.held[place], change.entered, "entries and exits alternate");
                self.held[place] = change.entered;
                let name = if change.entered { "Segment Entered" } else { "Segment Exited" };
                let properties = serde_json::json!({"segment": change.segment});
                self.arrive(Happened { name, at: now, arrives: now, properties }, 0, now);
            }
        }
    }

    /// Puts an edited definition in force: new features are filled from history, then all is decided anew.
    fn edit(&mut self, place: usize, condition: expr::Condition, now: Timestamp) {
        self.definitions[place].condition = condition;
        self.engine = Engine::build(&self.definitions, &mut self.ids).unwrap();
        let fresh = self.engine.fresh().to_vec();
        let mut filled = State::default();
        for each in self.arrived.iter().rev() {
            let properties = each.properties.to_string();
            let view = EventView::new(each.name, each.at, &properties);
            self.engine.apply_only(&mut filled, &fresh, &view, now);
        }
        self.halves[0].merge(filled.clone());
        self.state.merge(filled);
        self.settle(now);
    }

    fn restart(&mut self) {
        let bytes = postcard::to_stdvec(&self.state).unwrap();
        self.state = postcard::from_bytes(&bytes).unwrap();
    }

    fn expected(&self, place: usize, now: Timestamp) -> bool {
        reference(&self.definitions[place].condition, &self.arrived, &self.person, now, &self.definitions)
    }

    fn agrees(&self, what: &str, now: Timestamp) -> Result<(), TestCaseError> {
        for (place, definition) in self.definitions.iter().enumerate() {
            prop_assert_eq!(
                self.held[place],
                self.expected(place, now),
                "{} at {} of {}: {}",
                what,
                now,
                definition.key,
                definition.condition
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn stream_history_and_reference_agree_at_every_instant(
        first in condition_text(false),
        second in condition_text(true),
        edited in condition_text(true),
        edit_after in 0..60usize,
        mut events in proptest::collection::vec(event(), 0..25),
        steps in proptest::collection::vec(0..4 * DAY, 0..20),
        restart in any::<u16>(),
        split in any::<u32>(),
        zone in 0..3usize,
        files in 1..4usize,
    ) {
        let zone = ["UTC", "Asia/Kathmandu", "America/New_York"][zone];
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let attributes = serde_json::json!({
            "country": "BD", "trial_ends": "2026-02-15T12:30:00Z", "birthday": "1996-02-29", "plan": "pro",
            "interests": ["fitness", "food"], "pets": [{"kind": "dog", "age": 5}, {"kind": "cat", "age": 1}],
        });
        let Value::Object(attributes) = attributes else { unreachable!() };
        let person = Person(attributes, zone);
        let mut run = Run::new(person, definitions(&[first.clone(), second.clone()]));
        let edited = expr::parse(&edited).unwrap();
        events.sort_by_key(|each| each.arrives);

        // Instants at which something is done or looked at: arrivals and random steps.
        let mut instants: Vec<(Timestamp, Option<usize>)> =
            events.iter().enumerate().map(|(number, each)| (each.arrives, Some(number))).collect();
        let mut probe = start();
        for step in steps {
            probe = probe + step;
            instants.push((probe, None));
        }
        instants.sort();
        run.settle(start() - DAY);
        for (number, (now, arrival)) in instants.iter().enumerate() {
            let mut fired = 0;
            while let Some(due) = run.state.due_at().filter(|due| due <= now) {
                run.settle(due);
                run.agrees("timer", due)?;
                fired += 1;
                prop_assert!(fired < 5_000, "timers go on without end in {} / {}", first, second);
            }
            if let Some(arrival) = arrival {
                run.arrive(events[*arrival].clone(), (split >> (arrival % 32)) as usize & 1, *now);
                run.settle(*now);
            }
            if restart >> (number % 16) & 1 == 1 {
                run.restart();
            }
            run.agrees("stream", *now)?;
            for place in 0..run.definitions.len() {
                let key = &run.definitions[place].key;
                prop_assert_eq!(run.engine.evaluate(key, &run.state, &run.person, *now), run.held[place]);
            }
            if number == edit_after {
                run.edit(1, edited.clone(), *now);
                run.agrees("edited", *now)?;
            }
        }
        // History, fed in another order, as of the last instant; and two profiles merged into one.
        let now = instants.last().map_or(start(), |(now, _)| *now);
        let [mut merged, other] = run.halves.clone();
        merged.merge(other);
        run.engine.settle(&mut merged, &run.person, now);
        for (place, definition) in run.definitions.iter().enumerate() {
            let expected = run.expected(place, now);
            let text = definition.condition.to_string();
            prop_assert_eq!(run.engine.is_member(&definition.key, &merged), expected, "merged {}", text);
            let mut preview = Preview::new(&definition.condition, &run.definitions, now).unwrap();
            let needs = preview.needs();
            let needed = |name: &str| needs.iter().any(|need| match need.event.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => need.event == name,
            });
            for each in run.arrived.iter().rev().filter(|each| needed(each.name)) {
                preview.feed(1, each.name, each.at, &each.properties.to_string());
            }
            let people = std::iter::once((1, run.person.clone()));
            prop_assert_eq!(preview.finish(people, 10).count == 1, expected, "history {}", text);

            // The same in columns: of a profile, of one that became part of it, and of somebody elsewhere.
            let elsewhere = Person(run.person.0.clone(), jiff::tz::TimeZone::get("Asia/Tokyo").unwrap());
            let preview = Preview::new(&definition.condition, &run.definitions, now).unwrap();
            let found = columns::over(&preview, &run.arrived, &run.person, &elsewhere, files);
            prop_assert_eq!(found.total, 2);
            prop_assert_eq!(found.ids.contains(&1), expected, "columns {}", text);
            let theirs = reference(&definition.condition, &[], &elsewhere, now, &run.definitions);
            prop_assert_eq!(found.ids.contains(&3), theirs, "columns, nothing happened {}", text);
        }
    }
}
