//! Stories: events, attributes and consent in, memberships out over time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use expr::{Attributes, Consented};
use model::{Map, Timestamp, Value};
use segment::{Definition, Engine, EventView, FeatureIds, State};

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(|| panic!("{text}"))
}

pub fn define(key: &str, text: &str) -> Definition {
    let condition = expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Definition { key: key.to_owned(), name: key.to_owned(), condition, watched: true }
}

#[derive(Default)]
pub struct Person {
    attributes: Map,
    consents: BTreeMap<String, Consented>,
}

impl Attributes for Person {
    fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        Attributes::get(&self.attributes, path)
    }
    fn consents(&self, purpose: &str) -> bool {
        self.consents.get(purpose).is_some_and(|said| said.given)
    }
    fn subscribed(&self, topic: &str) -> bool {
        self.consents(topic)
    }
    fn consent(&self, about: &str) -> Option<Consented> {
        self.consents.get(about).cloned()
    }
    fn seed(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("somebody"))
    }
}

/// Plays a story against one condition, beside the segment `VIP` of those whose attribute `tier` is `gold`.
///
/// Lines: `<instant> <event> [properties]`; `<instant> set {attributes}`, as an identify call does;
/// `<instant> says {"to": …, "yes": …, "by": …}`; `<instant> in` or `<instant> out`, which say what must be so
/// then, with all timers before fired.
pub fn story(condition: &str, attributes: &str, lines: &str) {
    let definitions = [define("VIP", "tier = \"gold\""), define("it", condition)];
    let engine = Engine::build(&definitions, &mut FeatureIds::default()).unwrap();
    let mut person = Person { attributes: serde_json::from_str(attributes).unwrap(), ..Person::default() };
    let mut state = State::default();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (instant, what) = line.split_once(' ').unwrap();
        let now = at(instant);
        while let Some(due) = state.due_at().filter(|due| *due <= now) {
            settle(&engine, &mut state, &person, due);
        }
        if what == "in" || what == "out" {
            settle(&engine, &mut state, &person, now);
            assert_eq!(engine.is_member("it", &state), what == "in", "{condition}\n{line}");
            continue;
        }
        let (name, properties) = match what.find('{') {
            Some(place) => (what[..place].trim(), &what[place..]),
            None => (what, "{}"),
        };
        match name {
            "set" => {
                person.attributes.extend(serde_json::from_str::<Map>(properties).unwrap());
                state.attributes_changed();
                engine.apply(&mut state, &EventView::new("identify", now, properties), &person, now);
            }
            "says" => {
                let said: Value = serde_json::from_str(properties).unwrap();
                let consented = Consented {
                    given: said["yes"] == true,
                    at: Some(now),
                    by: said["by"].as_str().map(str::to_owned),
                };
                person.consents.insert(said["to"].as_str().unwrap().to_owned(), consented);
                state.attributes_changed();
            }
            name => {
                engine.apply(&mut state, &EventView::new(name, now, properties), &person, now);
            }
        }
        settle(&engine, &mut state, &person, now);
    }
}

/// Settles, and lets what changed come back as an event.
fn settle(engine: &Engine, state: &mut State, person: &Person, now: Timestamp) {
    loop {
        let changes = engine.settle(state, person, now);
        if changes.is_empty() {
            return;
        }
        for change in changes {
            let name = if change.entered { "Segment Entered" } else { "Segment Exited" };
            let properties = serde_json::json!({"segment": change.segment}).to_string();
            engine.apply(state, &EventView::new(name, now, &properties), person, now);
        }
    }
}
