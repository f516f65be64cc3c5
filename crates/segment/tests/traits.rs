//! Traits have the value that a scan of all events gives, at every instant, and conditions see that value then.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;

use expr::{Aggregate, Attributes, EventPattern, Figure, Test, Which, Window, bucket, day_of, lookup};
use jiff::tz::TimeZone;
use model::time::{DAY, HOUR};
use model::{Timestamp, Value};
use proptest::prelude::*;
use proptest::sample::select;
use segment::{Definition, Engine, EventView, FeatureIds, Preview, State, Survey, Trait, score};
use serde_json::json;

struct Person(TimeZone);

impl Attributes for Person {
    fn get(&self, path: &str) -> Option<std::borrow::Cow<'_, Value>> {
        // A trait wins over an attribute of its name.
        (path == "t").then(|| std::borrow::Cow::Owned(json!("the attribute")))
    }
    fn zone(&self) -> TimeZone {
        self.0.clone()
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

fn inside(window: &Option<Window>, at: Timestamp, now: Timestamp, zone: &TimeZone) -> bool {
    at <= now
        && match window {
            None => true,
            Some(Window::InLast { span }) => now < span.after(at, zone),
            Some(Window::BeforeLast { span }) => span.after(at, zone) <= now,
            Some(Window::Ago { from, to }) => to.after(at, zone) <= now && now < from.after(at, zone),
            Some(Window::Since { when }) => at >= when.start(zone),
            Some(Window::Before { when }) => at < when.start(zone),
            Some(Window::Between { from, to }) => at >= from.start(zone) && at < to.end(zone),
            Some(Window::Today) => day_of(at, zone) == day_of(now, zone),
        }
}

/// The value of a figure by a scan of all events.
fn scanned(figure: &Figure, events: &[Happened], zone: &TimeZone, now: Timestamp) -> Option<Value> {
    let matching = |event: &EventPattern, window: &Option<Window>| {
        let by_people = |each: &Happened| {
            each.name != "Email Opened" || each.properties.get("actor").is_none_or(|actor| actor == "person")
        };
        let mut found: Vec<&Happened> = events
            .iter()
            .filter(|each| each.name == event.name && inside(window, each.at, now, zone) && by_people(each))
            .filter(|each| event.filter.as_ref().is_none_or(|filter| filter.matches(&each.properties)))
            .collect();
        found.sort_by_key(|each| each.at);
        found
    };
    let occasion = |which: Which, event: &EventPattern| {
        let found = matching(event, &None);
        if which == Which::First { found.first().copied() } else { found.last().copied() }.map(|each| each.at)
    };
    match figure {
        Figure::Count { event, window } => Some(matching(event, window).len().into()),
        Figure::Aggregate { function, property, event, window } => {
            let numeric = ["sum", "avg", "min", "max"].contains(&function.word());
            let values: Vec<Value> = matching(event, window)
                .into_iter()
                .filter_map(|each| lookup(&each.properties, property).cloned())
                .filter(|value| value.is_number() || (!numeric && value.is_string()))
                .collect();
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
            let many = numbers.len() as f64;
            let sum = (numbers.iter().map(|n| (n * 1e6).round()).sum::<f64>()) / 1e6;
            let mut tally: BTreeMap<String, (usize, Value)> = BTreeMap::new();
            for value in &values {
                // Numbers before texts, as they are in order.
                let key = value.as_f64().map_or_else(|| format!("t{value}"), |n| format!("n{n:09.3}"));
                tally.entry(key).or_insert((0, value.clone())).0 += 1;
            }
            match function {
                Aggregate::Sum => Some(sum.into()),
                Aggregate::Average => (many > 0.0).then(|| (sum / many).into()),
                Aggregate::Minimum => numbers.iter().copied().reduce(f64::min).map(Value::from),
                Aggregate::Maximum => numbers.iter().copied().reduce(f64::max).map(Value::from),
                Aggregate::Distinct => Some(tally.len().into()),
                Aggregate::Top => {
                    let most = tally.values().map(|(many, _)| *many).max()?;
                    tally.into_values().find(|(many, _)| *many == most).map(|(_, value)| value)
                }
                Aggregate::First => values.first().cloned(),
                Aggregate::Last => values.last().cloned(),
            }
        }
        Figure::Periods { period, event, window } => {
            let found = matching(event, window);
            let mut numbers: Vec<_> = found.iter().map(|each| bucket(*period, each.at, zone)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            Some(numbers.len().into())
        }
        Figure::DaysSince { which, event } => {
            Some(((now - occasion(*which, event)?) as f64 / DAY as f64).floor().into())
        }
        Figure::TimeOf { which, event } => Some(occasion(*which, event)?.to_string().into()),
        Figure::Score { terms, half_life, fifty } => {
            let mut points = 0.0;
            for term in terms {
                for each in matching(&term.event, &None) {
                    let halves = (now - each.at) as f64 / half_life.micros_max() as f64;
                    points += term.weight * 0.5_f64.powf(halves);
                }
            }
            Some(fifty.map_or(points, |fifty| 100.0 * (1.0 - 0.5_f64.powf(points / fifty))).into())
        }
    }
}

/// Whether two values are the same but for the last digits of numbers.
fn alike(left: Option<&Value>, right: Option<&Value>, within: f64) -> bool {
    match (left.and_then(Value::as_f64), right.and_then(Value::as_f64)) {
        (Some(left), Some(right)) => (left - right).abs() <= within,
        _ => left == right,
    }
}

fn event() -> impl Strategy<Value = Happened> {
    let late = prop_oneof![4 => Just(0), 1 => -5 * 60_000_000..0i64, 2 => 0..HOUR, 1 => 0..20 * DAY];
    let instant = prop_oneof![3 => 0..60 * DAY, 1 => (0..60i64).prop_map(|day| day * DAY)];
    (0..3usize, instant, late, 0..5u8, 0..3u8).prop_map(|(name, offset, late, price, actor)| {
        let at = start() + offset;
        let category = ["Shoes", "Hats", "Bags"][usize::from(price) % 3];
        let mut properties = json!({"price": f64::from(price) * 0.1 + 1.0, "category": category});
        if price == 4 {
            properties["price"] = "4".into();
        }
        if actor > 0 {
            properties["actor"] = ["person", "scanner"][usize::from(actor) - 1].into();
        }
        let name = ["Product Viewed", "Order Completed", "Email Opened"][name];
        Happened { name, at, arrives: at + late, properties }
    })
}

/// A figure with tests that its value can pass.
fn asked() -> impl Strategy<Value = (String, String)> {
    let name = select(&["\"Product Viewed\"", "\"Order Completed\"", "\"Email Opened\""][..]);
    let filter = select(&["", "", " where price > 1.1", " where category = \"Shoes\""][..]);
    let event = (name, filter).prop_map(|(name, filter)| format!("{name}{filter}"));
    let window = select(
        &[
            "",
            "",
            " in last 7 days",
            " in last 1 month",
            " in last 90 minutes",
            " today",
            " since 2026-02-10",
            " before 2026-02-20",
            " before last 10 days",
            " between 20 days ago and 36 hours ago",
        ][..],
    );
    let number = select(
        &["> 1", "= 0", ">= 2", "< 2.5", "between 1 and 3", "is missing", "is present", "in (0, 2)"][..],
    );
    let days = select(&["> 3", "= 5", "< 2.5", "between 4 and 9", "is missing", "in (1, 20)", ">= 30"][..]);
    let date =
        select(&["in last 9 days", "before 2026-02-10", "is today", "before last 1 month", "is missing"][..]);
    let raw = select(&["> 1", "<= 0.5", "> 2.2", "between 0.3 and 3", "is present"][..]);
    let scale = select(&["> 50", "< 20", "between 10 and 60", ">= 80"][..]);
    let text = select(&["= \"Shoes\"", "in (\"Hats\", \"Bags\")", "is missing", "!= \"Bags\""][..]);
    let amount = select(&[">= 2.2", "< 3", "= 0", "between 1.1 and 4.4", "is present"][..]);
    let which = select(&["first", "last"][..]);
    let terms = proptest::collection::vec((1..9u8, event.clone()), 1..4).prop_map(|terms| {
        let one = |(weight, event): (u8, String)| format!("{} * {event}", f64::from(weight) / 2.0);
        terms.into_iter().map(one).collect::<Vec<_>>().join(" + ")
    });
    let life = select(&["36 hours", "5 days", "2 weeks"][..]);
    let calculation = select(&["sum", "avg", "min", "max"][..]);
    let pick = select(&["top", "first", "last"][..]);
    let period = select(&["hours", "days", "weeks", "months"][..]);
    prop_oneof![
        (event.clone(), window.clone(), number.clone())
            .prop_map(|(e, w, t)| (format!("count {e}{w}"), t.to_owned())),
        (calculation, event.clone(), window.clone(), amount)
            .prop_map(|(f, e, w, t)| (format!("{f}(price) of {e}{w}"), t.to_owned())),
        (event.clone(), window.clone(), number.clone())
            .prop_map(|(e, w, t)| (format!("distinct(category) of {e}{w}"), t.to_owned())),
        (pick, event.clone(), window.clone(), text)
            .prop_map(|(f, e, w, t)| (format!("{f}(category) of {e}{w}"), t.to_owned())),
        (period, event.clone(), window, number)
            .prop_map(|(p, e, w, t)| (format!("{p} with {e}{w}"), t.to_owned())),
        (which.clone(), event.clone(), days)
            .prop_map(|(w, e, t)| (format!("days since {w} {e}"), t.to_owned())),
        (which, event, date).prop_map(|(w, e, t)| (format!("time of {w} {e}"), t.to_owned())),
        (terms.clone(), life.clone(), raw)
            .prop_map(|(s, life, t)| (format!("score({s}, half-life {life})"), t.to_owned())),
        (terms, life, scale)
            .prop_map(|(s, life, t)| (format!("score({s}, half-life {life}, 50 at 3 points)"), t.to_owned())),
    ]
}

/// Whether a value lies so near to what it is compared with that the last digits of the reckoning decide.
fn on_edge(figure: &Figure, test: &Test, value: Option<&Value>) -> bool {
    let (Figure::Score { .. }, Some(value)) = (figure, value.and_then(Value::as_f64)) else { return false };
    let limits = match test {
        Test::Compare { value, .. } => vec![value],
        Test::Between { low, high } => vec![low, high],
        _ => Vec::new(),
    };
    limits.iter().any(|limit| matches!(limit, expr::Literal::Number(limit) if (limit - value).abs() < 1e-6))
}

fn cases() -> u32 {
    option_env!("RAPPORT_CASES").and_then(|text| text.parse().ok()).unwrap_or(1_500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_trait_and_the_conditions_that_ask_for_it_agree_with_a_scan_at_every_instant(
        (text, test) in asked(),
        mut events in proptest::collection::vec(event(), 0..25),
        steps in proptest::collection::vec(0..4 * DAY, 0..20),
        split in any::<u32>(),
        restart in any::<u16>(),
        zone in 0..3usize,
    ) {
        let zone = TimeZone::get(["UTC", "Asia/Kathmandu", "America/New_York"][zone]).unwrap();
        let person = Person(zone.clone());
        let figure = expr::parse_figure(&text).unwrap();
        let condition = expr::parse(&format!("t {test}")).unwrap();
        let expr::Condition::Attribute { test, .. } = condition.clone() else { unreachable!() };
        let traits = [Trait { name: "t".to_owned(), figure: figure.clone() }];
        let key = "s".to_owned();
        let definitions = [Definition { key: key.clone(), name: key, condition: condition.clone(), watched: true }];
        let engine = Engine::build_with(&definitions, &traits, &mut FeatureIds::default()).unwrap();
        let mut state = State::default();
        let mut halves = [State::default(), State::default()];
        let mut arrived: Vec<Happened> = Vec::new();
        events.sort_by_key(|each| each.arrives);
        let mut instants: Vec<(Timestamp, Option<usize>)> =
            events.iter().enumerate().map(|(number, each)| (each.arrives, Some(number))).collect();
        let mut probe = start();
        for step in steps {
            probe = probe + step;
            instants.push((probe, None));
        }
        instants.sort();
        engine.settle(&mut state, &person, start() - DAY);
        let agrees = |what: &str, state: &State, arrived: &[Happened], now: Timestamp| {
            let value = scanned(&figure, arrived, &zone, now);
            if !on_edge(&figure, &test, value.as_ref()) {
                let expected = expr::test_value(&test, value.as_ref(), now, &zone).holds;
                prop_assert_eq!(engine.is_member("s", state), expected, "{} at {}: {} is {:?}", what, now, text, value);
            }
            let told = engine.trait_values(state, &person, now);
            prop_assert!(alike(told[0].value.as_ref(), value.as_ref(), 0.0051), "{what} at {now}: {text}: {told:?}, {value:?}");
            prop_assert!(told[0].changes_at.is_none_or(|at| at > now), "{} changes in the past", text);
            Ok(())
        };
        for (number, (now, arrival)) in instants.iter().enumerate() {
            let mut fired = 0;
            while let Some(due) = state.due_at().filter(|due| due <= now) {
                engine.settle(&mut state, &person, due);
                agrees("timer", &state, &arrived, due)?;
                fired += 1;
                prop_assert!(fired < 5_000, "timers go on without end in {}", text);
            }
            // Between two events the value stands still until it is said to change.
            let before = engine.trait_values(&state, &person, *now - 1);
            if let Some(at) = before[0].changes_at.filter(|at| at > now) {
                let later = scanned(&figure, &arrived, &zone, at - 1);
                prop_assert!(alike(before[0].value.as_ref(), later.as_ref(), 0.0051), "{} changed before {}", text, at);
            }
            if let Some(arrival) = arrival {
                let each = &events[*arrival];
                let properties = each.properties.to_string();
                let view = EventView::new(each.name, each.at, &properties);
                engine.apply(&mut state, &view, &person, *now);
                engine.apply(&mut halves[(split >> (arrival % 32)) as usize & 1], &view, &person, *now);
                arrived.push(each.clone());
                engine.settle(&mut state, &person, *now);
            }
            if restart >> (number % 16) & 1 == 1 {
                state = postcard::from_bytes(&postcard::to_stdvec(&state).unwrap()).unwrap();
            }
            agrees("stream", &state, &arrived, *now)?;
        }
        // Two profiles that are one, and history in another order, as of the last instant.
        let now = instants.last().map_or(start(), |(now, _)| *now);
        let [mut merged, other] = halves;
        engine.settle(&mut merged, &person, now);
        merged.merge(other);
        engine.settle(&mut merged, &person, now);
        agrees("merged", &merged, &arrived, now)?;
        let value = scanned(&figure, &arrived, &zone, now);
        let mut survey = Survey::new(&figure, now).unwrap();
        let mut preview = Preview::with_traits(&condition, &[], &traits, now).unwrap();
        for each in arrived.iter().rev() {
            survey.feed(1, each.name, each.at, &each.properties.to_string());
            preview.feed(1, each.name, each.at, &each.properties.to_string());
        }
        prop_assert!(alike(survey.value(1, &person).as_ref(), value.as_ref(), 0.0051), "survey of {}", text);
        if !on_edge(&figure, &test, value.as_ref()) {
            let expected = expr::test_value(&test, value.as_ref(), now, &zone).holds;
            let found = preview.finish(std::iter::once((1, Person(zone.clone()))), 10);
            prop_assert_eq!(found.count == 1, expected, "preview of {}", text);
        }
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn days_since_tick_in_time_for_the_condition_and_no_earlier() {
    let figure = expr::parse_figure("days since last \"Order Completed\"").unwrap();
    let traits = [Trait { name: "quiet_days".to_owned(), figure }];
    let condition = expr::parse("quiet_days > 30").unwrap();
    let definitions =
        [Definition { key: "q".to_owned(), name: "Quiet".to_owned(), condition, watched: true }];
    let engine = Engine::build_with(&definitions, &traits, &mut FeatureIds::default()).unwrap();
    let mut state = State::default();
    let now = at("2026-03-01T12:00:00Z");
    engine.apply(&mut state, &EventView::new("Order Completed", now, "{}"), &expr::NoAttributes, now);
    engine.settle(&mut state, &expr::NoAttributes, now);
    for (day, inside) in [(30, false), (31, true)] {
        assert_eq!(state.due_at(), Some(now + day * DAY), "where the answer can turn, not every day");
        engine.settle(&mut state, &expr::NoAttributes, now + day * DAY);
        assert_eq!(engine.is_member("q", &state), inside);
    }
    assert_eq!(state.due_at(), None);
}

#[test]
fn the_engagement_score_of_a_workspace_replaces_the_one_that_ships() {
    let figure = expr::parse_figure("score(10 * \"Order Completed\", half-life 1 day)").unwrap();
    let own = [Trait { name: score::NAME.to_owned(), figure }];
    let condition = expr::parse("engagement_score > 9").unwrap();
    let definitions = [Definition { key: "e".to_owned(), name: "e".to_owned(), condition, watched: true }];
    let engine = Engine::build_with(&definitions, &own, &mut FeatureIds::default()).unwrap();
    let mut state = State::default();
    let now = at("2026-03-01T12:00:00Z");
    engine.apply(&mut state, &EventView::new("Order Completed", now, "{}"), &expr::NoAttributes, now);
    engine.settle(&mut state, &expr::NoAttributes, now);
    assert!(engine.is_member("e", &state));
    // 10 · 2^(−t / 1 day) = 9 after 3 h 38 min 55 s.
    let due = state.due_at().unwrap();
    assert_eq!((due - now) / 1_000_000, 13_133);
    engine.settle(&mut state, &expr::NoAttributes, due + HOUR);
    assert!(!engine.is_member("e", &state));
    assert_eq!(engine.trait_values(&state, &expr::NoAttributes, now + DAY)[0].value, Some(json!(5)));
    let shipped = expr::describe_figure(&score::definition().figure);
    assert!(shipped.contains("3 for each “Email Link Clicked”") && shipped.contains("50 at 4"), "{shipped}");
}

#[test]
fn an_edited_figure_decides_every_membership_anew_and_two_traits_of_one_name_are_refused() {
    let named = |text: &str| Trait { name: "orders".to_owned(), figure: expr::parse_figure(text).unwrap() };
    let condition = expr::parse("orders > 0").unwrap();
    let definitions = [Definition { key: "s".to_owned(), name: "s".to_owned(), condition, watched: true }];
    let mut ids = FeatureIds::default();
    let first = Engine::build_with(&definitions, &[named("count \"A\"")], &mut ids).unwrap();
    let second = Engine::build_with(&definitions, &[named("count \"B\"")], &mut ids).unwrap();
    assert_ne!(first.version(), second.version());
    let now = at("2026-03-01T12:00:00Z");
    let mut state = State::default();
    first.apply(&mut state, &EventView::new("A", now, "{}"), &expr::NoAttributes, now);
    first.settle(&mut state, &expr::NoAttributes, now);
    assert!(first.is_member("s", &state));
    let changes = second.settle(&mut state, &expr::NoAttributes, now);
    assert_eq!(changes[0].cause, segment::Cause::Definition);
    assert!(!second.is_member("s", &state));
    let twice = [named("count \"A\""), named("count \"B\"")];
    assert!(matches!(Engine::build_with(&definitions, &twice, &mut ids), Err(segment::Error::Twice { .. })));
}
