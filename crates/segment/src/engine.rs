//! The engine: definitions compiled to features, listeners and conditions in the order of their references.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use expr::{Attributes, Condition};
use model::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::evaluate::{Explanation, Node, Outcome};
use crate::feature::{BY_PEOPLE, Feature, FeatureIds, FeatureInfo, is_final};
use crate::listeners::Listeners;
use crate::quiet::Quiet;
use crate::state::{Member, Series, State};
use crate::traits::Trait;
use crate::{Error, score};

/// A named condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Unique among all definitions: a segment's id, a journey's node.
    pub key: String,
    /// What `in segment "…"` calls it, beside its key.
    pub name: String,
    /// Who or when.
    pub condition: Condition,
    /// Whether settling keeps its membership: true for segments, false for what is asked for when needed.
    pub watched: bool,
}

impl Definition {
    fn is_segment(&self) -> bool {
        let other = [crate::RULE_PREFIX, crate::TABLE_PREFIX].iter().any(|start| self.key.starts_with(start));
        self.watched && !other
    }
}

/// An event as the engine sees it; its properties are parsed only when a listener needs them.
#[derive(Debug)]
pub struct EventView<'a> {
    pub(crate) name: &'a str,
    timestamp: Timestamp,
    properties: &'a str,
    parsed: OnceCell<Value>,
}

impl<'a> EventView<'a> {
    /// From its name, its time and its properties as JSON text.
    pub fn new(name: &'a str, timestamp: Timestamp, properties: &'a str) -> EventView<'a> {
        EventView { name, timestamp, properties, parsed: OnceCell::new() }
    }

    /// From an event of the log.
    pub fn of(event: &'a model::Event) -> EventView<'a> {
        EventView::new(&event.name, event.timestamp, &event.properties)
    }

    pub(crate) fn properties(&self) -> &Value {
        self.parsed.get_or_init(|| serde_json::from_str(self.properties).unwrap_or(Value::Null))
    }
}

/// A membership that began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The segment's key.
    pub segment: String,
    /// The segment's name.
    pub name: String,
    /// True when it began.
    pub entered: bool,
    /// Why.
    pub cause: Cause,
}

/// Why a membership began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// An event of this name.
    Event(String),
    /// Attributes, consent or identity changed.
    Attribute,
    /// Time passed.
    Time,
    /// The membership in this segment changed.
    Segment(String),
    /// A definition is new or was edited.
    Definition,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Event(name) => write!(f, "{name}"),
            Cause::Attribute => f.write_str("attributes changed"),
            Cause::Time => f.write_str("time passed"),
            Cause::Segment(name) => write!(f, "membership in {name} changed"),
            Cause::Definition => f.write_str("the definition changed"),
        }
    }
}

/// A condition, compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub definition: Definition,
    pub id: u32,
    pub root: Node,
    /// It has sequences that may be complete for ever.
    finishes: bool,
}

/// All definitions of a workspace, compiled together. Immutable; shared by all profiles.
#[derive(Debug, Default)]
pub struct Engine {
    version: u64,
    pub(crate) features: Vec<Feature>,
    places: HashMap<u32, usize>,
    listeners: Listeners,
    pub(crate) quiet: Quiet,
    pub(crate) conditions: Vec<Compiled>,
    keys: HashMap<String, usize>,
    by_feature: HashMap<u32, Vec<usize>>,
    by_segment: HashMap<u32, Vec<usize>>,
    by_id: HashMap<u32, usize>,
    fresh: Vec<u32>,
    /// Each with the number of its feature.
    pub(crate) traits: Vec<(Trait, u32)>,
}

impl Engine {
    /// Compiles definitions. Features that did not exist under `ids` get new numbers and are listed by `fresh`.
    ///
    /// # Errors
    /// An unknown segment, a circle of references, a key used twice, a count that is too large.
    pub fn build(definitions: &[Definition], ids: &mut FeatureIds) -> Result<Engine, Error> {
        let own = score::definition();
        let mut leaves = definitions.iter().flat_map(|each| each.condition.leaves());
        let asked =
            leaves.any(|leaf| matches!(leaf, Condition::Attribute { path, .. } if path.dotted() == own.name));
        Engine::build_with(definitions, if asked { std::slice::from_ref(&own) } else { &[] }, ids)
    }

    /// Compiles definitions and the traits that they and others may ask for; the value of every trait is kept up.
    ///
    /// # Errors
    /// As `build`; two traits of one name.
    pub fn build_with(
        definitions: &[Definition],
        traits: &[Trait],
        ids: &mut FeatureIds,
    ) -> Result<Engine, Error> {
        let order = order(definitions)?;
        let mut engine = Engine::default();
        let mut numbers = ids.clone();
        for each in traits {
            if engine.trait_of(&each.name).is_some() {
                return Err(Error::Twice { key: each.name.clone() });
            }
            let feature = engine.intern(Feature::of_figure(&each.figure), &mut numbers);
            engine.traits.push((each.clone(), feature));
        }
        let mut segment_ids: HashMap<&str, (u32, &str)> = HashMap::new();
        for place in order {
            let definition = &definitions[place];
            let (id, _) = numbers.number(&format!("condition {}", definition.key));
            let root = engine.compile(definition, &definition.condition, &mut numbers, &segment_ids)?;
            segment_ids.insert(&definition.key, (id, &definition.key));
            segment_ids.entry(&definition.name).or_insert((id, &definition.key));
            let at = engine.conditions.len();
            if definition.watched {
                for feature in root.features() {
                    engine.by_feature.entry(feature).or_default().push(at);
                }
                for segment in root.segments() {
                    engine.by_segment.entry(segment).or_default().push(at);
                }
            }
            engine.keys.insert(definition.key.clone(), at);
            engine.by_id.insert(id, at);
            let leaves = definition.condition.leaves();
            let finishes = leaves.iter().any(|leaf| is_final(leaf));
            if definition.watched {
                let Engine { quiet, traits, .. } = &mut engine;
                quiet.add(at, &root, &leaves, |path| {
                    traits.iter().any(|(named, _)| named.name == path.dotted())
                });
            }
            engine.conditions.push(Compiled { definition: definition.clone(), id, root, finishes });
        }
        let conditions: BTreeSet<u32> = engine.conditions.iter().map(|each| each.id).collect();
        numbers.keep(|id| conditions.contains(&id) || engine.places.contains_key(&id));
        *ids = numbers;
        engine.version = engine.fingerprint();
        Ok(engine)
    }

    fn compile(
        &mut self,
        definition: &Definition,
        condition: &Condition,
        ids: &mut FeatureIds,
        segments: &HashMap<&str, (u32, &str)>,
    ) -> Result<Node, Error> {
        let mut all = |parts: &[Condition]| {
            parts
                .iter()
                .map(|part| self.compile(definition, part, ids, segments))
                .collect::<Result<Vec<_>, _>>()
        };
        match condition {
            Condition::And { all: parts } => Ok(Node::And(all(parts)?)),
            Condition::Or { any: parts } => Ok(Node::Or(all(parts)?)),
            Condition::Not { condition } => {
                Ok(Node::Not(Box::new(self.compile(definition, condition, ids, segments)?)))
            }
            leaf => {
                let unfit = || Error::Count { key: definition.key.clone() };
                if let Condition::Attribute { path, .. } = leaf
                    && let Some((named, feature)) = self.trait_of(&path.dotted())
                {
                    let figure = Some(Box::new(named.figure.clone()));
                    let condition = Box::new(leaf.clone());
                    return Ok(Node::Leaf { condition, features: vec![*feature], segment: None, figure });
                }
                let features = match leaf {
                    Condition::Passed { passage, segment, window } => {
                        let key = segments.get(segment.as_str()).map_or(segment.as_str(), |(_, key)| *key);
                        Feature::passed(*passage, key, window).into_iter().collect()
                    }
                    leaf => Feature::of(leaf).ok_or_else(unfit)?,
                };
                let features: Vec<u32> =
                    features.into_iter().map(|feature| self.intern(feature, ids)).collect();
                if let (true, Some((mark, steps))) = (is_final(leaf), features.split_first()) {
                    for step in steps {
                        self.features[self.places[step]].mark = Some(*mark);
                    }
                }
                let segment = match leaf {
                    Condition::InSegment { segment } => segments.get(segment.as_str()).map(|(id, _)| *id),
                    _ => None,
                };
                Ok(Node::Leaf { condition: Box::new(leaf.clone()), features, segment, figure: None })
            }
        }
    }

    fn intern(&mut self, mut feature: Feature, ids: &mut FeatureIds) -> u32 {
        let (id, fresh) = ids.number(&feature.text);
        if fresh {
            self.fresh.push(id);
        }
        if let std::collections::hash_map::Entry::Vacant(place) = self.places.entry(id) {
            place.insert(self.features.len());
            for (number, listener) in feature.listeners.iter().enumerate() {
                self.listeners.add(listener, (self.features.len(), number));
            }
            feature.id = id;
            self.features.push(feature);
        }
        id
    }

    /// FNV-1a over everything that decides memberships.
    fn fingerprint(&self) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |text: &str| {
            for byte in text.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (each, feature) in &self.traits {
            add(&format!("trait {} {feature} {}", each.name, each.figure));
        }
        for each in &self.conditions {
            add(&each.id.to_string());
            add(&each.definition.name);
            add(if each.definition.watched { "watched" } else { "asked" });
            add(&each.definition.condition.to_string());
            each.root.features().iter().for_each(|id| add(&id.to_string()));
        }
        hash.max(1)
    }

    /// A number that changes when any definition does.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The features that were new at building: to be filled from history.
    pub fn fresh(&self) -> &[u32] {
        &self.fresh
    }

    /// All features.
    pub fn features(&self) -> Vec<FeatureInfo> {
        let info = |feature: &Feature| FeatureInfo {
            id: feature.id,
            text: feature.text.clone(),
            events: feature.listeners.iter().map(|listener| listener.name.clone()).collect(),
        };
        self.features.iter().map(info).collect()
    }

    pub(crate) fn feature(&self, id: u32) -> &Feature {
        &self.features[self.places[&id]]
    }

    /// Whether any feature listens to events of this name.
    pub fn listens_to(&self, event: &str) -> bool {
        self.listeners.hear(event)
    }

    /// The keys of all segments that settling keeps, in the order of their references.
    pub fn segments(&self) -> impl Iterator<Item = &Definition> {
        self.conditions.iter().map(|each| &each.definition).filter(|definition| definition.is_segment())
    }

    /// Takes an event into a profile's state. Each event exactly once, in any order. True when a feature changed.
    ///
    /// Cost: one hash lookup when nothing listens; otherwise one parse of the properties, if a filter or property
    /// asks for them.
    pub fn apply(
        &self,
        state: &mut State,
        event: &EventView<'_>,
        attributes: &dyn Attributes,
        now: Timestamp,
    ) -> bool {
        let _ = attributes;
        self.take(state, event, now, |_| true)
    }

    /// Takes an event into some features only: fills fresh features from history.
    pub fn apply_only(
        &self,
        state: &mut State,
        features: &[u32],
        event: &EventView<'_>,
        now: Timestamp,
    ) -> bool {
        self.take(state, event, now, |id| features.contains(&id))
    }

    fn take(
        &self,
        state: &mut State,
        event: &EventView<'_>,
        now: Timestamp,
        chosen: impl Fn(u32) -> bool,
    ) -> bool {
        let mut touched = false;
        for (place, number) in self.listeners.of(event) {
            let feature = &self.features[place];
            let listener = &feature.listeners[number];
            let complete = feature.mark.is_some_and(|mark| state.features.contains_key(&mark));
            if complete || !chosen(feature.id) {
                continue;
            }
            if listener.people_only && BY_PEOPLE.contains(&event.name) && !by_a_person(event.properties()) {
                continue;
            }
            if listener.filter.as_ref().is_some_and(|filter| !filter.matches(event.properties())) {
                continue;
            }
            let none = Value::Null;
            let properties = if feature.property.is_some() { event.properties() } else { &none };
            let series = state.features.entry(feature.id).or_default();
            if feature.take(listener, series, event.timestamp, properties, now) {
                state.changed.insert(feature.id);
                touched = true;
            }
            if series.entries.is_empty() && series.folded.is_none() {
                state.features.remove(&feature.id);
            }
        }
        if touched {
            state.last_event = Some(event.name.to_owned());
        }
        touched
    }

    /// Decides the memberships that can have changed: by a feature, by attributes, by another membership, by time.
    /// Entries and exits of one segment alternate.
    pub fn settle(&self, state: &mut State, attributes: &dyn Attributes, now: Timestamp) -> Vec<Change> {
        let all = state.version != self.version;
        let edited = all && state.version != 0;
        let mut pending: BTreeMap<usize, Cause> = BTreeMap::new();
        if all {
            let cause = match (&state.last_event, edited) {
                (_, true) => Cause::Definition,
                (Some(name), _) if !state.changed.is_empty() => Cause::Event(name.clone()),
                _ => Cause::Attribute,
            };
            if state.version == 0 && state.members.is_empty() {
                let features = state.features.keys().chain(&state.changed);
                let by_feature = features.filter_map(|id| self.by_feature.get(id)).flatten().copied();
                let woken = self.quiet.by_nothing(attributes).chain(by_feature);
                pending.extend(woken.map(|at| (at, cause.clone())));
            } else {
                pending.extend((0..self.conditions.len()).map(|at| (at, cause.clone())));
            }
            state.features.retain(|id, _| self.places.contains_key(id));
            state.members.retain(|id, _| self.by_id.contains_key(id));
            state.due.clear();
        } else {
            let due = state.due.iter().filter(|(_, due)| **due <= now.micros());
            pending.extend(due.filter_map(|(id, _)| Some((*self.by_id.get(id)?, Cause::Time))));
            if state.attributes_changed {
                let held = state.members.keys().filter_map(|id| self.by_id.get(id)).copied();
                let woken = self.quiet.by_attributes(attributes, held);
                pending.extend(woken.map(|at| (at, Cause::Attribute)));
            }
            let event = state.last_event.clone().unwrap_or_default();
            for feature in &state.changed {
                for at in self.by_feature.get(feature).into_iter().flatten() {
                    pending.insert(*at, Cause::Event(event.clone()));
                }
            }
        }
        let mut changes = Vec::new();
        // References point backwards, so whatever a change adds lies ahead.
        while let Some((at, cause)) = pending.pop_first() {
            let each = &self.conditions[at];
            if !each.definition.watched {
                continue;
            }
            let Outcome { holds, changes_at } = each.root.evaluate(state, attributes, now);
            if each.finishes {
                for complete in each.root.complete(state, attributes, now) {
                    for step in &complete[1..] {
                        state.features.remove(step);
                    }
                    state.features.insert(complete[0], Series::mark());
                }
            }
            match changes_at {
                Some(due) => state.due.insert(each.id, due.micros()),
                None => state.due.remove(&each.id),
            };
            let held = state.members.get(&each.id).is_some_and(|member| member.held);
            if held == holds {
                continue;
            }
            state.members.insert(each.id, Member { held: holds, since: now });
            for dependent in self.by_segment.get(&each.id).into_iter().flatten() {
                pending.entry(*dependent).or_insert_with(|| Cause::Segment(each.definition.name.clone()));
            }
            changes.push(Change {
                segment: each.definition.key.clone(),
                name: each.definition.name.clone(),
                entered: holds,
                cause,
            });
        }
        let changed = std::mem::take(&mut state.changed);
        let touched: Vec<u32> =
            if all { state.features.keys().copied().collect() } else { changed.into_iter().collect() };
        for id in touched {
            let mark = self.places.get(&id).and_then(|place| self.features[*place].mark);
            if mark.is_some_and(|mark| state.features.contains_key(&mark)) {
                state.features.remove(&id);
                continue;
            }
            let (Some(place), Some(series)) = (self.places.get(&id), state.features.get_mut(&id)) else {
                continue;
            };
            self.features[*place].trim(series, now);
            if series.entries.is_empty() && series.folded.is_none() {
                state.features.remove(&id);
            }
        }
        state.version = self.version;
        state.attributes_changed = false;
        state.last_event = None;
        changes
    }

    /// Whether a condition holds now; false for an unknown key. Memberships it refers to are those last settled.
    pub fn evaluate(&self, key: &str, state: &State, attributes: &dyn Attributes, now: Timestamp) -> bool {
        self.outcome(key, state, attributes, now).is_some_and(|outcome| outcome.holds)
    }

    /// The next instant at which a condition can change without an event.
    pub fn next_change(
        &self,
        key: &str,
        state: &State,
        attributes: &dyn Attributes,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.outcome(key, state, attributes, now)?.changes_at
    }

    fn outcome(
        &self,
        key: &str,
        state: &State,
        attributes: &dyn Attributes,
        now: Timestamp,
    ) -> Option<Outcome> {
        self.keys.get(key).map(|at| self.conditions[*at].root.evaluate(state, attributes, now))
    }

    /// Why a condition holds or not: each part with its value and deciding events, and when the whole changes.
    pub fn explain(
        &self,
        key: &str,
        state: &State,
        attributes: &dyn Attributes,
        now: Timestamp,
    ) -> Option<Explanation> {
        self.keys.get(key).map(|at| self.conditions[*at].root.explain(state, attributes, now))
    }

    /// The segments a profile was a member of when last settled, each with the instant of its entry.
    pub fn memberships<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (&'a Definition, Timestamp)> {
        let watched = self.conditions.iter().filter(|each| each.definition.is_segment());
        watched.filter_map(|each| {
            let member = state.members.get(&each.id).filter(|member| member.held)?;
            Some((&each.definition, member.since))
        })
    }

    /// Whether a profile was a member of a segment, by key, when last settled.
    pub fn is_member(&self, key: &str, state: &State) -> bool {
        let id = self.keys.get(key).map(|at| self.conditions[*at].id);
        id.and_then(|id| state.members.get(&id)).is_some_and(|member| member.held)
    }
}

fn by_a_person(properties: &Value) -> bool {
    properties.get("actor").is_none_or(|actor| actor.is_null() || actor.as_str() == Some("person"))
}

/// Places of the definitions, each after those it refers to.
fn order(definitions: &[Definition]) -> Result<Vec<usize>, Error> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (at, definition) in definitions.iter().enumerate() {
        if places.insert(&definition.key, at).is_some() {
            return Err(Error::Twice { key: definition.key.clone() });
        }
    }
    for (at, definition) in definitions.iter().enumerate().filter(|(_, definition)| definition.watched) {
        places.entry(&definition.name).or_insert(at);
    }
    let mut edges = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let find = |segment: &str| {
            let place = places.get(segment).copied().filter(|at| definitions[*at].watched);
            place.ok_or_else(|| Error::Unknown { key: definition.key.clone(), segment: segment.to_owned() })
        };
        edges.push(definition.condition.segments().into_iter().map(find).collect::<Result<Vec<_>, _>>()?);
    }
    // Depth first without recursion: chains of references may be long.
    let mut done = vec![false; definitions.len()];
    let mut out = Vec::with_capacity(definitions.len());
    for start in 0..definitions.len() {
        let mut path = vec![(start, 0)];
        while let Some((at, next)) = path.pop() {
            if done[at] {
                continue;
            }
            let Some(target) = edges[at].get(next).copied() else {
                done[at] = true;
                out.push(at);
                continue;
            };
            path.push((at, next + 1));
            if let Some(from) = path.iter().position(|(there, _)| *there == target) {
                let circle = path[from..].iter().map(|(there, _)| *there).chain([target]);
                let keys: Vec<&str> = circle.map(|there| definitions[there].key.as_str()).collect();
                return Err(Error::Circle { path: keys.join(" → ") });
            }
            path.push((target, 0));
        }
    }
    Ok(out)
}
