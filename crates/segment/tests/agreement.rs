//! Stream, history and a slow reference give the same answer at every instant, whatever the order of arrival.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod columns;
mod reference;

use model::time::DAY;
use model::{Timestamp, Value};
use proptest::prelude::*;
use reference::draw::{condition_text, event};
use reference::{Happened, Person, reference, start};
use segment::{Definition, Engine, EventView, FeatureIds, Preview, State};

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

/// What the plan changes to on the way; conditions ask for the first.
const PLANS: [&str; 2] = ["pro", "team"];

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
        plans in proptest::collection::vec(proptest::option::of(proptest::sample::select(PLANS.to_vec())), 0..4),
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
            if let Some(plan) = plans.get(number).copied() {
                run.person.0.remove("plan");
                run.person.0.extend(plan.map(|plan| ("plan".to_owned(), plan.into())));
                for state in run.halves.iter_mut().chain([&mut run.state]) {
                    state.attributes_changed();
                }
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
