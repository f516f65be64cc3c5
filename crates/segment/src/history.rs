//! A condition over history: preview and explanation with the stream's own features, fed in any order.

use std::collections::HashMap;

use expr::{Attributes, Condition};
use model::Timestamp;

use crate::engine::{Definition, Engine, EventView};
use crate::evaluate::Explanation;
use crate::feature::{BY_PEOPLE, FeatureIds};
use crate::{Error, State};

const KEY: &str = "\u{0}preview";

/// Whether a listener's name, perhaps a beginning with `*`, covers an event's name.
fn covers(listener: &str, name: &str) -> bool {
    listener == name || listener.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix))
}

/// Events that a preview has to be fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The event's name; with a `*` at its end all names that begin so.
    pub event: String,
    /// The properties it reads; none means that the properties are not needed.
    pub properties: Vec<String>,
}

/// How many profiles match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Profiles that match.
    pub count: usize,
    /// Profiles asked.
    pub total: usize,
    /// The first of those that match, up to the limit.
    pub ids: Vec<i64>,
}

/// A condition being answered from history, as of one instant.
#[derive(Debug)]
pub struct Preview {
    engine: Engine,
    now: Timestamp,
    states: HashMap<i64, State>,
}

impl Preview {
    /// Prepares a condition; `segments` are the definitions it may refer to.
    ///
    /// # Errors
    /// As `Engine::build`.
    pub fn new(condition: &Condition, segments: &[Definition], now: Timestamp) -> Result<Preview, Error> {
        Preview::with_traits(condition, segments, &[crate::score::definition()], now)
    }

    /// Prepares a condition that may ask for these traits.
    ///
    /// # Errors
    /// As `Engine::build`.
    pub fn with_traits(
        condition: &Condition,
        segments: &[Definition],
        traits: &[crate::Trait],
        now: Timestamp,
    ) -> Result<Preview, Error> {
        // Only what the condition refers to, directly or not.
        let mut needed: Vec<Definition> = Vec::new();
        let mut names: Vec<String> = condition.segments().into_iter().map(str::to_owned).collect();
        while let Some(name) = names.pop() {
            let known = |each: &&Definition| each.watched && (each.key == name || each.name == name);
            if needed.iter().any(|each| each.key == name || each.name == name) {
                continue;
            }
            if let Some(definition) = segments.iter().find(known) {
                names.extend(definition.condition.segments().into_iter().map(str::to_owned));
                needed.push(definition.clone());
            }
        }
        needed.push(Definition {
            key: KEY.to_owned(),
            name: KEY.to_owned(),
            condition: condition.clone(),
            watched: true,
        });
        // What nothing asks for need not be fed.
        let names = |path: &expr::Path| path.names().first().cloned();
        let asked: Vec<String> = needed
            .iter()
            .flat_map(|each| each.condition.leaves())
            .filter_map(|leaf| if let Condition::Attribute { path, .. } = leaf { names(path) } else { None })
            .collect();
        let traits: Vec<crate::Trait> =
            traits.iter().filter(|each| asked.contains(&each.name)).cloned().collect();
        let engine = Engine::build_with(&needed, &traits, &mut FeatureIds::default())?;
        Ok(Preview { engine, now, states: HashMap::new() })
    }

    /// The events to feed, each name once; what is not listed need not be read.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = Vec::new();
        let mut add = |event: &str, paths: Vec<String>| {
            let place = needs.iter().position(|need| need.event == event).unwrap_or_else(|| {
                needs.push(Need { event: event.to_owned(), properties: Vec::new() });
                needs.len() - 1
            });
            needs[place].properties.extend(paths);
        };
        for feature in &self.engine.features {
            for listener in &feature.listeners {
                let filtered = listener.filter.iter().flat_map(|filter| filter.paths());
                let read = filtered.chain(feature.property.as_ref().map(|(path, _)| path));
                let mut paths: Vec<String> = read.map(|path| path.dotted().into_owned()).collect();
                if listener.people_only && BY_PEOPLE.iter().any(|name| covers(&listener.name, name)) {
                    paths.push("actor".to_owned());
                }
                add(&listener.name, paths);
            }
        }
        for need in &mut needs {
            need.properties.sort_unstable();
            need.properties.dedup();
        }
        needs
    }

    /// Takes an event of a profile; events that are not needed cost one lookup.
    pub fn feed(&mut self, profile: i64, name: &str, at: Timestamp, properties: &str) {
        if self.engine.listens_to(name) {
            let event = EventView::new(name, at, properties);
            let state = self.states.entry(profile).or_default();
            self.engine.apply(state, &event, &expr::NoAttributes, self.now);
        }
    }

    /// Answers for all profiles of a workspace, also those without events.
    pub fn finish<A: Attributes>(
        mut self,
        profiles: impl Iterator<Item = (i64, A)>,
        ids_max: usize,
    ) -> Found {
        let mut found = Found::default();
        for (profile, attributes) in profiles {
            let mut state = self.states.remove(&profile).unwrap_or_default();
            self.engine.settle(&mut state, &attributes, self.now);
            found.total += 1;
            if self.engine.is_member(KEY, &state) {
                found.count += 1;
                if found.ids.len() < ids_max {
                    found.ids.push(profile);
                }
            }
        }
        found
    }

    /// Explains the condition for one profile whose events have been fed.
    pub fn explain(&mut self, profile: i64, attributes: &dyn Attributes) -> Explanation {
        let state = self.states.entry(profile).or_default();
        self.engine.settle(state, attributes, self.now);
        let none = || Explanation {
            text: String::new(),
            sentence: String::new(),
            holds: false,
            value: None,
            evidence: Vec::new(),
            until: None,
            children: Vec::new(),
        };
        self.engine.explain(KEY, state, attributes, self.now).unwrap_or_else(none)
    }
}
