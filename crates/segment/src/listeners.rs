//! Which features hear of an event: by its name, by the beginning of its name, by the text of one of its properties.
//!
//! A thousand definitions that ask `where category = "…"` of one event cost one lookup, not a thousand tests.

use std::collections::HashMap;

use expr::{Filter, Literal, Op, Path, Test};

use crate::engine::EventView;
use crate::feature::Listener;

/// A feature and the number of its listener.
type Place = (usize, usize);

#[derive(Debug, Default)]
pub(crate) struct Listeners {
    by_name: HashMap<String, OfEvent>,
    by_beginning: Vec<(String, Place)>,
}

#[derive(Debug, Default)]
struct OfEvent {
    always: Vec<Place>,
    by_text: Vec<(Path, HashMap<String, Vec<Place>>)>,
}

impl Listeners {
    pub fn add(&mut self, listener: &Listener, place: Place) {
        if let Some(beginning) = listener.name.strip_suffix('*') {
            self.by_beginning.push((beginning.to_owned(), place));
            return;
        }
        let of_event = self.by_name.entry(listener.name.clone()).or_default();
        let Some((path, texts)) = listener.filter.as_ref().and_then(texts_asked_for) else {
            of_event.always.push(place);
            return;
        };
        let at = of_event.by_text.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
            of_event.by_text.push((path.clone(), HashMap::new()));
            of_event.by_text.len() - 1
        });
        for text in texts {
            let places = of_event.by_text[at].1.entry(text.to_owned()).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }

    /// Whether any listens to events of this name.
    pub fn hear(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
            || self.by_beginning.iter().any(|(beginning, _)| name.starts_with(beginning.as_str()))
    }

    /// Those that may be concerned; their filters are still to be asked.
    pub fn of<'a>(&'a self, event: &'a EventView<'_>) -> impl Iterator<Item = Place> + 'a {
        let of_event = self.by_name.get(event.name);
        let always = of_event.into_iter().flat_map(|of_event| of_event.always.iter().copied());
        let by_text =
            of_event.into_iter().flat_map(|of_event| &of_event.by_text).flat_map(|(path, texts)| {
                let text = expr::lookup(event.properties(), path).and_then(|value| value.as_str());
                text.and_then(|text| texts.get(text)).into_iter().flatten().copied()
            });
        let beginnings = self.by_beginning.iter();
        let by_beginning = beginnings
            .filter(|(beginning, _)| event.name.starts_with(beginning.as_str()))
            .map(|(_, place)| *place);
        always.chain(by_text).chain(by_beginning)
    }
}

/// A property that must be one of these texts for the filter to pass.
fn texts_asked_for(filter: &Filter) -> Option<(&Path, Vec<&str>)> {
    let text = |literal: &'_ Literal| matches!(literal, Literal::Text(_));
    match filter {
        Filter::And { all } => all.iter().find_map(texts_asked_for),
        Filter::Property { path, test: Test::Compare { op: Op::Equal, value: Literal::Text(text) } } => {
            Some((path, vec![text]))
        }
        Filter::Property { path, test: Test::In { values } } if values.iter().all(text) => {
            let texts = values.iter().filter_map(|value| match value {
                Literal::Text(text) => Some(text.as_str()),
                _ => None,
            });
            Some((path, texts.collect()))
        }
        _ => None,
    }
}
