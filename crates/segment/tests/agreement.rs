//! Stream, history and a slow reference give the same answer at every instant, whatever the order of arrival.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;

use expr::{
    Aggregate, Attributes, Comparison, Condition, EventPattern, Op, Test, Which, Window, bucket, day_of,
};
use model::time::{DAY, HOUR, MINUTE};
use model::{Map, Timestamp, Value};
use proptest::prelude::*;
use segment::{Definition, Engine, EventView, FeatureIds, Preview, State};

/// A profile whose attributes and zone are fixed.
struct Person(Map, jiff::tz::TimeZone);

impl Attributes for Person {
    fn get(&self, path: &str) -> Option<std::borrow::Cow<'_, Value>> {
        Attributes::get(&self.0, path)
    }
    fn zone(&self) -> jiff::tz::TimeZone {
        self.1.clone()
    }
    fn consents(&self, purpose: &str) -> bool {
        purpose == "email_marketing"
    }
}

#[derive(Clone, Debug)]
struct Happened {
    name: &'static str,
    at: Timestamp,
    arrives: Timestamp,
    properties: Value,
}

fn start() -> Timestamp {
    Timestamp::parse("2026-01-20T10:00:00Z").unwrap()
}

fn inside(window: &Option<Window>, at: Timestamp, now: Timestamp, zone: &jiff::tz::TimeZone) -> bool {
    at <= now
        && match window {
            None => true,
            Some(Window::InLast { span }) => now < span.after(at, zone),
            Some(Window::Since { when }) => at >= when.start(zone),
            Some(Window::Before { when }) => at < when.start(zone),
            Some(Window::Between { from, to }) => at >= from.start(zone) && at < to.end(zone),
            Some(Window::Today) => day_of(at, zone) == day_of(now, zone),
        }
}

/// Scans all events for every leaf; shares with the engine only the tests of single values and the calendar.
fn reference(
    condition: &Condition,
    events: &[Happened],
    person: &Person,
    now: Timestamp,
    segments: &[Definition],
) -> bool {
    let zone = person.zone();
    let matching = |event: &EventPattern, window: &Option<Window>| {
        let mut found: Vec<&Happened> = events
            .iter()
            .filter(|each| each.name == event.name && inside(window, each.at, now, &zone))
            .filter(|each| {
                let person = each.properties.get("actor").is_none_or(|actor| actor == "person");
                person
                    || !event.name.starts_with("Email")
                    || event.filter.as_ref().is_some_and(|filter| filter.mentions("actor"))
            })
            .filter(|each| event.filter.as_ref().is_none_or(|filter| filter.matches(&each.properties)))
            .collect();
        found.sort_by_key(|each| each.at);
        found
    };
    let tested = |test: &Test, value: Option<Value>| expr::test_value(test, value.as_ref(), now, &zone).holds;
    let occasion = |which: Which, event: &EventPattern| {
        let found = matching(event, &None);
        if which == Which::First {
            found.first().map(|each| each.at)
        } else {
            found.last().map(|each| each.at)
        }
    };
    match condition {
        Condition::And { all } => all.iter().all(|part| reference(part, events, person, now, segments)),
        Condition::Or { any } => any.iter().any(|part| reference(part, events, person, now, segments)),
        Condition::Not { condition } => !reference(condition, events, person, now, segments),
        Condition::Attribute { path, test } if path.dotted() == segment::score::NAME => {
            let mut points = 0.0;
            for (name, weight) in segment::score::WEIGHTS {
                let event = EventPattern { name: name.to_owned(), filter: None };
                for each in matching(&event, &None) {
                    points += segment::score::decayed(weight, now - each.at);
                }
            }
            tested(test, Some(segment::score::scaled(points).into()))
        }
        Condition::Attribute { path, test } => {
            tested(test, person.get(&path.dotted()).map(|value| value.into_owned()))
        }
        Condition::Did { event, window } => !matching(event, window).is_empty(),
        Condition::Count { event, window, test } => tested(test, Some(matching(event, window).len().into())),
        Condition::Aggregate { function, property, event, window, test } => {
            let numeric = matches!(
                function,
                Aggregate::Sum | Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum
            );
            let mut found: Vec<(Timestamp, Value)> = matching(event, window)
                .into_iter()
                .filter_map(|each| Some((each.at, expr::lookup(&each.properties, property)?.clone())))
                .filter(
                    |(_, value)| {
                        if numeric { value.is_number() } else { value.is_number() || value.is_string() }
                    },
                )
                .collect();
            found.sort_by_key(|(at, value)| (*at, value.is_string(), value.to_string()));
            let numbers: Vec<f64> = found.iter().filter_map(|(_, value)| value.as_f64()).collect();
            let sum = numbers.iter().map(|number| (number * 1e6).round() as i128).sum::<i128>() as f64 / 1e6;
            let mut tally: BTreeMap<(bool, String), (u64, Value)> = BTreeMap::new();
            for (_, value) in &found {
                tally.entry((value.is_string(), value.to_string())).or_insert((0, value.clone())).0 += 1;
            }
            let most = tally.values().map(|(many, _)| *many).max();
            let value = match function {
                Aggregate::Sum => Some(sum.into()),
                Aggregate::Average => (!numbers.is_empty()).then(|| (sum / numbers.len() as f64).into()),
                Aggregate::Minimum => numbers.iter().copied().reduce(f64::min).map(Value::from),
                Aggregate::Maximum => numbers.iter().copied().reduce(f64::max).map(Value::from),
                Aggregate::Distinct => Some(tally.len().into()),
                Aggregate::Top => {
                    tally.into_values().find(|(many, _)| Some(*many) == most).map(|(_, value)| value)
                }
                Aggregate::First => found.first().map(|(_, value)| value.clone()),
                Aggregate::Last => found.last().map(|(_, value)| value.clone()),
            };
            tested(test, value)
        }
        Condition::Periods { period, event, window, test } => {
            let mut periods: Vec<i64> =
                matching(event, window).iter().map(|each| bucket(*period, each.at, &zone)).collect();
            periods.sort_unstable();
            periods.dedup();
            tested(test, Some(periods.len().into()))
        }
        Condition::Since { which, event, op, span } => occasion(*which, event).is_some_and(|at| {
            let turn = span.after(at, &zone);
            match op {
                Op::Greater => now > turn,
                Op::GreaterOrEqual => now >= turn,
                Op::Less => now < turn,
                _ => now <= turn,
            }
        }),
        Condition::Order { left, comparison, right } => {
            match (occasion(left.which, &left.event), occasion(right.which, &right.event), comparison) {
                (Some(left), Some(right), Comparison::After) => left > right,
                (Some(left), Some(right), Comparison::Before) => left < right,
                (Some(_), None, Comparison::After) => true,
                _ => false,
            }
        }
        Condition::InSegment { segment } => {
            let named = segments.iter().find(|each| each.key == *segment || each.name == *segment).unwrap();
            reference(&named.condition, events, person, now, segments)
        }
        Condition::Consents { purpose } => person.consents(purpose),
        Condition::Subscribed { topic } => person.subscribed(topic),
    }
}

const EVENTS: [&str; 4] = ["Product Viewed", "Product Added", "Order Completed", "Email Opened"];

fn event() -> impl Strategy<Value = Happened> {
    let late = prop_oneof![
        4 => Just(0),
        2 => -5 * MINUTE..0,
        2 => 0..HOUR,
        1 => 0..20 * DAY,
    ];
    // Coarse instants too, so that events coincide and lie on edges.
    let instant = prop_oneof![3 => 0..60 * DAY, 1 => (0..60i64).prop_map(|day| day * DAY)];
    (0..4usize, instant, late, 0..4u8, 0..3u8, 0..3u8).prop_map(|(name, offset, late, price, category, actor)| {
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
        Happened { name: EVENTS[name], at, arrives: at + late, properties }
    })
}

fn leaf_text() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(&EVENTS[..]);
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
    let figure = proptest::sample::select(&["sum", "avg", "min", "max"][..]);
    let pick = proptest::sample::select(&["top", "first", "last"][..]);
    let period = proptest::sample::select(&["hours", "days", "weeks", "months"][..]);
    let which = proptest::sample::select(&["first", "last"][..]);
    let pattern = (name, filter).prop_map(|(name, filter)| format!("\"{name}\"{filter}"));
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
                "engagement_score > 33.3"
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn condition_text(segment: bool) -> impl Strategy<Value = String> {
    let leaf = if segment {
        prop_oneof![4 => leaf_text(), 1 => Just("in segment \"First\"".to_owned())].boxed()
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

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn stream_history_and_reference_agree_at_every_instant(
        first in condition_text(false),
        second in condition_text(true),
        mut events in proptest::collection::vec(event(), 0..25),
        steps in proptest::collection::vec(0..4 * DAY, 0..20),
        restart in any::<u16>(),
        split in any::<u32>(),
        zone in 0..3usize,
    ) {
        let zone = ["UTC", "Asia/Kathmandu", "America/New_York"][zone];
        let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let attributes = serde_json::json!({"country": "BD", "trial_ends": "2026-02-15T12:30:00Z", "birthday": "1996-02-29"});
        let Value::Object(attributes) = attributes else { unreachable!() };
        let person = Person(attributes, zone);
        let definitions = definitions(&[first.clone(), second.clone()]);
        let engine = Engine::build(&definitions, &mut FeatureIds::default()).unwrap();
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
        let mut state = State::default();
        let mut halves = [State::default(), State::default()];
        let mut arrived: Vec<Happened> = Vec::new();
        let mut held = [false, false];
        let settle = |state: &mut State, now: Timestamp, held: &mut [bool; 2]| {
            for change in engine.settle(state, &person, now) {
                let place = definitions.iter().position(|each| each.key == change.segment).unwrap();
                assert_ne!(held[place], change.entered, "entries and exits alternate");
                held[place] = change.entered;
            }
        };
        settle(&mut state, start() - DAY, &mut held);
        for (number, (now, arrival)) in instants.iter().enumerate() {
            let mut fired = 0;
            while let Some(due) = state.due_at().filter(|due| due <= now) {
                settle(&mut state, due, &mut held);
                for (place, definition) in definitions.iter().enumerate() {
                    prop_assert_eq!(held[place], reference(&definition.condition, &arrived, &person, due, &definitions),
                        "timer {} {} in {} / {}", due, definition.key, first, second);
                }
                fired += 1;
                prop_assert!(fired < 5_000, "timers go on without end in {} / {}", first, second);
            }
            if let Some(arrival) = arrival {
                let happened = events[*arrival].clone();
                let properties = happened.properties.to_string();
                let view = EventView::new(happened.name, happened.at, &properties);
                engine.apply(&mut state, &view, &person, *now);
                engine.apply(&mut halves[(split >> (arrival % 32)) as usize & 1], &view, &person, *now);
                arrived.push(happened);
                settle(&mut state, *now, &mut held);
            }
            if restart >> (number % 16) & 1 == 1 {
                let bytes = postcard::to_stdvec(&state).unwrap();
                state = postcard::from_bytes(&bytes).unwrap();
            }
            for (place, definition) in definitions.iter().enumerate() {
                let expected = reference(&definition.condition, &arrived, &person, *now, &definitions);
                prop_assert_eq!(held[place], expected, "stream at {} of {} in {} / {}", now, definition.key, first, second);
                prop_assert_eq!(engine.evaluate(&definition.key, &state, &person, *now), expected);
            }
        }
        // History, fed in another order, as of the last instant; and two profiles merged into one.
        let now = instants.last().map_or(start(), |(now, _)| *now);
        let [mut merged, other] = halves;
        merged.merge(other);
        engine.settle(&mut merged, &person, now);
        for definition in &definitions {
            let expected = reference(&definition.condition, &arrived, &person, now, &definitions);
            prop_assert_eq!(engine.is_member(&definition.key, &merged), expected, "merged {} / {}", first, second);
            let mut preview = Preview::new(&definition.condition, &definitions, now).unwrap();
            let needs = preview.needs();
            for each in arrived.iter().rev().filter(|each| needs.iter().any(|need| need.event == each.name)) {
                preview.feed(1, each.name, each.at, &each.properties.to_string());
            }
            let people = std::iter::once((1, Person(person.0.clone(), person.1.clone())));
            prop_assert_eq!(preview.finish(people, 10).count == 1, expected, "history {} / {}", first, second);
        }
    }
}
