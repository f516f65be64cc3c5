//! Which conditions need not be looked at: those that cannot hold before something they ask for is there.
//!
//! A new profile, or one whose attributes changed, concerns a handful of definitions however many exist. A condition
//! rests while none of its features has an event and nothing else could make it true; one that asks for an
//! attribute's exact text is found by that text.

use std::collections::{BTreeSet, HashMap};

use expr::{Attributes, Condition, Literal, NoAttributes, Op, Path, Test};
use model::Timestamp;

use crate::dependence::depends_on_attributes;
use crate::evaluate::{Node, Outcome};
use crate::state::State;

/// Conditions by what wakes them, as their places in the engine.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// Looked at for every new profile.
    first: Vec<usize>,
    /// Looked at whenever attributes change.
    always: Vec<usize>,
    /// They hold only for one of these texts of an attribute.
    by_text: Vec<(String, HashMap<String, Vec<usize>>)>,
    keyed: BTreeSet<usize>,
}

impl Quiet {
    /// Takes in the condition at this place. `is_trait` tells names whose value does not stand among the attributes.
    pub fn add(&mut self, at: usize, root: &Node, leaves: &[&Condition], is_trait: impl Fn(&Path) -> bool) {
        if let Some((path, texts)) = root.parts().find_map(|part| text_asked_for(part, &is_trait)) {
            self.keyed.insert(at);
            let path = path.dotted().into_owned();
            let known = self.by_text.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
                self.by_text.push((path, HashMap::new()));
                self.by_text.len() - 1
            });
            for text in texts {
                let places = self.by_text[known].1.entry(text.to_owned()).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
            return;
        }
        let asks = leaves.iter().any(|leaf| depends_on_attributes(leaf));
        if asks {
            self.always.push(at);
        }
        if asks || !rests(root) {
            self.first.push(at);
        }
    }

    /// Those that attributes can have made true, or false where they are among these that held.
    pub fn by_attributes<'a>(
        &'a self,
        attributes: &dyn Attributes,
        held: impl Iterator<Item = usize> + 'a,
    ) -> impl Iterator<Item = usize> + 'a {
        let held = held.filter(|at| self.keyed.contains(at));
        self.always.iter().copied().chain(self.texts(attributes)).chain(held)
    }

    /// Those that can hold for a profile none of whose events is asked for.
    pub fn by_nothing<'a>(&'a self, attributes: &dyn Attributes) -> impl Iterator<Item = usize> + 'a {
        self.first.iter().copied().chain(self.texts(attributes))
    }

    fn texts<'a>(&'a self, attributes: &dyn Attributes) -> impl Iterator<Item = usize> + 'a {
        let found: Vec<&'a [usize]> = self
            .by_text
            .iter()
            .filter_map(|(path, texts)| {
                let value = attributes.get(path)?;
                texts.get(value.as_str()?).map(Vec::as_slice)
            })
            .collect();
        found.into_iter().flatten().copied()
    }
}

/// Whether it is false, and stays so, while its features have no event. Nothing in it asks for attributes.
fn rests(root: &Node) -> bool {
    let nothing = Outcome { holds: false, changes_at: None };
    let state = State::default();
    [Timestamp::default(), Timestamp::from_secs(1_900_000_000)]
        .iter()
        .all(|now| root.evaluate(&state, &NoAttributes, *now) == nothing)
}

/// An attribute that must be one of these texts for the part to hold.
fn text_asked_for<'a>(part: &'a Node, is_trait: &impl Fn(&Path) -> bool) -> Option<(&'a Path, Vec<&'a str>)> {
    let Node::Leaf { condition, figure: None, .. } = part else { return None };
    let Condition::Attribute { path, test } = condition.as_ref() else { return None };
    let values = match test {
        Test::Compare { op: Op::Equal, value } => std::slice::from_ref(value),
        Test::In { values } => values.as_slice(),
        _ => return None,
    };
    let text = |value: &'a Literal| if let Literal::Text(text) = value { Some(text.as_str()) } else { None };
    let texts: Option<Vec<&str>> = values.iter().map(text).collect();
    Some((path, texts?)).filter(|_| !is_trait(path))
}

#[cfg(test)]
mod tests {
    use model::Value;

    use crate::{Definition, Engine, FeatureIds};

    fn engine(texts: &[&str]) -> Engine {
        let define = |(number, text): (usize, &&str)| Definition {
            key: format!("s{number}"),
            name: format!("Segment {number}"),
            condition: expr::parse(text).unwrap(),
            watched: true,
        };
        let definitions: Vec<Definition> = texts.iter().enumerate().map(define).collect();
        Engine::build(&definitions, &mut FeatureIds::default()).unwrap()
    }

    fn woken(engine: &Engine, attributes: &Value) -> (Vec<usize>, Vec<usize>) {
        let attributes = attributes.as_object().unwrap();
        let sorted = |places: &mut dyn Iterator<Item = usize>| {
            let mut places: Vec<usize> = places.collect();
            places.sort_unstable();
            places
        };
        (
            sorted(&mut engine.quiet.by_nothing(attributes)),
            sorted(&mut engine.quiet.by_attributes(attributes, std::iter::empty())),
        )
    }

    #[test]
    fn a_new_profile_wakes_what_can_hold_for_it_and_nothing_else() {
        let engine = engine(&[
            r#"did "A" in last 3 days"#,
            r#"not did "A" in last 3 days"#,
            r#"plan = "pro""#,
            r#"plan in ("pro", "team") and did "A""#,
            r#"plan != "pro""#,
            r#"count "A" = 0"#,
            r#"plan = "pro" or did "A""#,
            "age = 3",
        ]);
        let of = |attributes| woken(&engine, &attributes);
        assert_eq!(of(serde_json::json!({})), (vec![1, 4, 5, 6, 7], vec![4, 6, 7]));
        assert_eq!(of(serde_json::json!({"plan": "pro"})), (vec![1, 2, 3, 4, 5, 6, 7], vec![2, 3, 4, 6, 7]));
        assert_eq!(of(serde_json::json!({"plan": "team"})), (vec![1, 3, 4, 5, 6, 7], vec![3, 4, 6, 7]));
    }
}
