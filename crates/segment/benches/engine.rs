//! Events through live definitions, one core: a hundred, and a thousand of which nine hundred match nothing.
//!
//! `cargo bench -p segment` prints CPU time (of this thread, from the kernel's account) and the bytes of a profile's
//! state first, then what divan measures by the clock.

use expr::NoAttributes;
use model::Timestamp;
use model::time::{DAY, SECOND};
use segment::{Definition, Engine, EventView, FeatureIds, State};

const PROFILES: usize = 500;
const EVENTS: usize = 50_000;
const DAYS: i64 = 60;

fn define(number: usize, text: &str) -> Definition {
    let key = format!("s{number}");
    let condition = expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Definition { name: key.clone(), key, condition, watched: true }
}

/// A hundred that live: ten shapes, ten variants of each.
fn live() -> Vec<String> {
    (0..10)
        .flat_map(|n| {
            let (days, number) = (3 + n * 7, 1 + n);
            let category = CATEGORIES[n % CATEGORIES.len()];
            [
                format!(r#"did "Product Added" in last {days} days and last "Product Added" after last "Order Completed""#),
                format!(r#"did "Product Viewed" where category = "{category}" in last {days} days and not did "Order Completed" in last {days} days"#),
                format!(r#"count "Order Completed" in last {days} days > {number}"#),
                format!(r#"sum(revenue) of "Order Completed" in last {days} days >= {}"#, number * 100),
                format!(r#"weeks with "Email Link Clicked" in last 6 months >= {number}"#),
                format!(r#"time since last "Email Opened" > {days} days"#),
                format!(r#""Product Added" then not "Order Completed" within {number} hours in last {days} days"#),
                format!(r#"stopped "Order Completed" for {days} days after {number} times in 90 days"#),
                format!(r#"did "Order Completed" for the first time in last {days} days"#),
                format!(r#"engagement_score > {} and country = "BD""#, number * 9),
            ]
        })
        .collect()
}

/// Nine hundred that match nothing: other events, other values of the same property, other attributes.
fn silent() -> Vec<String> {
    (0..300)
        .flat_map(|n| {
            [
                format!(r#"did "Event {n}" in last 30 days"#),
                format!(r#"did "Product Viewed" where category = "Category {n}" in last 30 days"#),
                format!(r#"plan = "plan {n}""#),
            ]
        })
        .collect()
}

fn engine(texts: &[String]) -> Engine {
    let definitions: Vec<_> = texts.iter().enumerate().map(|(n, text)| define(n, text)).collect();
    Engine::build(&definitions, &mut FeatureIds::default()).expect("the definitions build")
}

const CATEGORIES: [&str; 4] = ["Shoes", "Hats", "Bags", "Coats"];

struct Happened {
    profile: usize,
    name: &'static str,
    at: Timestamp,
    properties: String,
}

/// Half page views, the rest as a shop sees them; in order of time.
fn events() -> Vec<Happened> {
    let mut seed: u64 = 7;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let start = Timestamp::from_secs(1_780_000_000);
    (0..EVENTS)
        .map(|number| {
            let name = match draw(100) {
                0..50 => "Page Viewed",
                50..75 => "Product Viewed",
                75..83 => "Product Added",
                83..87 => "Order Completed",
                87..95 => "Email Opened",
                95..98 => "Email Link Clicked",
                _ => "identify",
            };
            let category = CATEGORIES[draw(4) as usize];
            let properties = format!(
                r#"{{"category":"{category}","product_id":"p{}","revenue":{},"url":"https://shop.example/{category}/{number}"}}"#,
                draw(1_000),
                draw(20_000) as f64 / 100.0
            );
            let at = start + DAYS * DAY * number as i64 / EVENTS as i64 + draw(1_000) as i64 * SECOND / 1_000;
            Happened { profile: draw(PROFILES as u64) as usize, name, at, properties }
        })
        .collect()
}

/// Takes all events as the step does: due timers first, then the event, then the memberships.
fn play(engine: &Engine, events: &[Happened]) -> (Vec<State>, usize) {
    let mut states = vec![State::default(); PROFILES];
    let mut changes = 0;
    for event in events {
        let state = &mut states[event.profile];
        while let Some(due) = state.due_at().filter(|due| *due <= event.at) {
            changes += engine.settle(state, &NoAttributes, due).len();
        }
        engine.apply(
            state,
            &EventView::new(event.name, event.at, &event.properties),
            &NoAttributes,
            event.at,
        );
        changes += engine.settle(state, &NoAttributes, event.at).len();
    }
    (states, changes)
}

/// CPU time of this thread. Units: nanoseconds.
fn cpu() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn hundred() -> Vec<String> {
    live()
}

fn thousand() -> Vec<String> {
    live().into_iter().chain(silent()).collect()
}

/// Rounds in which each set of definitions takes its turn.
const ROUNDS: usize = 9;

fn median(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[figures.len() / 2], figures[0], figures[figures.len() - 1])
}

fn main() {
    let events = events();
    let sets = [("100", hundred()), ("1,000", thousand()), ("900 silent", silent())];
    let engines: Vec<Engine> = sets.iter().map(|(_, texts)| engine(texts)).collect();
    let mut spent = vec![Vec::new(); sets.len()];
    let mut shown = vec![String::new(); sets.len()];
    for _ in 0..ROUNDS {
        for (at, engine) in engines.iter().enumerate() {
            let before = cpu();
            let (states, changes) = play(engine, &events);
            if let (Some(before), Some(after)) = (before, cpu()) {
                spent[at].push((after - before).max(1) as f64);
            }
            let mut bytes: Vec<usize> = states
                .iter()
                .map(|state| postcard::to_stdvec(state).map_or(0, |bytes| bytes.len()))
                .collect();
            bytes.sort_unstable();
            shown[at] = format!(
                "{changes} changes; state of a profile: median {} bytes, largest {}",
                bytes[PROFILES / 2],
                bytes[PROFILES - 1]
            );
        }
    }
    if spent.iter().all(|rounds| rounds.len() == ROUNDS) {
        for (at, (what, _)) in sets.iter().enumerate() {
            let (middle, most, least) =
                median(spent[at].iter().map(|spent| EVENTS as f64 * 1e9 / spent).collect());
            println!(
                "{what} definitions, {EVENTS} events of {PROFILES} profiles: {middle:.0} events per CPU second ({most:.0} to {least:.0}); {}",
                shown[at]
            );
        }
        let shares = spent[1].iter().zip(&spent[0]).map(|(thousand, hundred)| thousand / hundred - 1.0);
        let (middle, least, most) = median(shares.map(|share| share * 100.0).collect());
        println!(
            "what 900 silent definitions add, in the same round: {middle:.1} % ({least:.1} to {most:.1})"
        );
    }
    divan::main();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_hundred_live(bencher: divan::Bencher<'_, '_>) {
    let (engine, events) = (engine(&hundred()), events());
    bencher.counter(divan::counter::ItemsCount::new(EVENTS)).bench_local(|| play(&engine, &events).1);
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_hundred_live_among_a_thousand(bencher: divan::Bencher<'_, '_>) {
    let (engine, events) = (engine(&thousand()), events());
    bencher.counter(divan::counter::ItemsCount::new(EVENTS)).bench_local(|| play(&engine, &events).1);
}
