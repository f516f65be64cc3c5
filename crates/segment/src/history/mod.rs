//! A condition over history: counted over columns for all profiles at once, or explained for one whose events are fed
//! in any order.

mod bounds;
mod chain;
mod mask;
mod over;
mod people;
mod series;

use std::collections::HashMap;

use expr::{Attributes, Condition};
use jiff::tz::TimeZone;
use model::Timestamp;
use model::column::{Names, Rows, Wanted, covers};

pub(crate) use bounds::first_after;
pub use people::{Asked, Fact, People, consent_value};

use crate::engine::{Definition, Engine, EventView};
use crate::evaluate::Explanation;
use crate::feature::{BY_PEOPLE, FeatureIds};
use crate::{Error, State};

const KEY: &str = "\u{0}preview";

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

    /// The events that are read; what is not listed need not be fed.
    pub fn needs(&self) -> Vec<Wanted> {
        let mut needs: Vec<Wanted> = Vec::new();
        for feature in &self.engine.features {
            let (from, until) = feature.bounds(self.now);
            for listener in &feature.listeners {
                let filtered = listener.filter.iter().flat_map(|filter| filter.paths());
                let mut properties: Vec<Names> = filtered.map(|path| path.names().to_vec()).collect();
                if listener.people_only && BY_PEOPLE.iter().any(|name| covers(&listener.name, name)) {
                    properties.push(vec!["actor".to_owned()]);
                }
                if let Some((path, _)) = &feature.property {
                    properties.push(path.names().to_vec());
                    if feature.test.is_some() {
                        // A call states an attribute by its whole name, or within another one.
                        properties.push(vec![path.dotted().into_owned()]);
                        properties.push(path.names()[..1].to_vec());
                    }
                }
                properties.sort_unstable();
                properties.dedup();
                needs.push(Wanted { event: listener.name.clone(), properties, from, until });
            }
        }
        needs
    }

    /// What is read of profiles.
    pub fn asks(&self) -> Asked {
        let mut asked = Asked::default();
        for each in &self.engine.conditions {
            for leaf in each.definition.condition.leaves() {
                match leaf {
                    Condition::Attribute { path, .. } if self.engine.has_trait(&path.dotted()) => {}
                    Condition::Attribute { path, .. }
                    | Condition::Held { path, .. }
                    | Condition::Elements { path, .. } => {
                        asked.attributes.insert(path.dotted().into_owned());
                    }
                    Condition::Consent { about, .. } => drop(asked.consents.insert(about.clone())),
                    Condition::Random { .. } => asked.seed = true,
                    _ => {}
                }
                if over::reads_zone(leaf) {
                    asked.attributes.insert(people::ZONE.to_owned());
                }
            }
        }
        asked
    }

    /// Answers for all people over the rows that `needs` asks for. Rows of profiles that became part of another one
    /// count for that one, as `owners` says by number; `zone` is that of profiles whose own is unknown.
    ///
    /// Cost: one pass over the rows for each leaf; memory for a few arrays as long as there are profiles, and more
    /// for leaves that need the events of a profile together.
    pub fn over(
        &self,
        rows: &[Rows],
        owners: Option<&[u32]>,
        people: &People,
        zone: &TimeZone,
        ids_max: usize,
    ) -> Found {
        let zones = people::Zones::of(people, zone);
        let (engine, now) = (&self.engine, self.now);
        let over = over::Over { engine, rows, owners, people, zones, now, members: HashMap::new() };
        let found = over.decide();
        Found {
            count: found.count(),
            total: people.present.count(),
            ids: found.iter().take(ids_max).map(|number| number as i64).collect(),
        }
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
