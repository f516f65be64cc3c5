//! A figure over history: its value for every profile, before it is a trait.

use std::collections::HashMap;

use expr::{Attributes, Figure};
use model::{Timestamp, Value};

use crate::engine::{Engine, EventView};
use crate::feature::FeatureIds;
use crate::{Error, State, Trait};

/// A figure being computed from history, as of one instant.
#[derive(Debug)]
pub struct Survey {
    engine: Engine,
    now: Timestamp,
    states: HashMap<i64, State>,
}

impl Survey {
    /// Prepares a figure.
    ///
    /// # Errors
    /// As `Engine::build_with`.
    pub fn new(figure: &Figure, now: Timestamp) -> Result<Survey, Error> {
        let one = Trait { name: "figure".to_owned(), figure: figure.clone() };
        let engine = Engine::build_with(&[], &[one], &mut FeatureIds::default())?;
        Ok(Survey { engine, now, states: HashMap::new() })
    }

    /// The names of the events to feed; one with a `*` at its end means all that begin so.
    pub fn events(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.engine.features().into_iter().flat_map(|each| each.events).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Takes an event of a profile, in any order.
    pub fn feed(&mut self, profile: i64, name: &str, at: Timestamp, properties: &str) {
        if self.engine.listens_to(name) {
            let state = self.states.entry(profile).or_default();
            self.engine.apply(state, &EventView::new(name, at, properties), &expr::NoAttributes, self.now);
        }
    }

    /// The value for one profile; `None` when it is missing.
    pub fn value(&mut self, profile: i64, attributes: &dyn Attributes) -> Option<Value> {
        let state = self.states.remove(&profile).unwrap_or_default();
        self.engine.trait_values(&state, attributes, self.now).pop()?.value
    }
}
