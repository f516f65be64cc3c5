//! What is kept of one profile: the series of its features, its memberships and its next instants.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::feature::Keep;
use crate::{VALUES_MAX, score};

/// The segment state of one profile. Small, binary, owned by the caller; merges with another's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The engine that settled it last; 0 when none did.
    pub(crate) version: u64,
    pub(crate) features: BTreeMap<u32, Series>,
    pub(crate) members: BTreeMap<u32, Member>,
    /// Conditions that can change without an event, and when.
    pub(crate) due: BTreeMap<u32, i64>,
    pub(crate) changed: BTreeSet<u32>,
    pub(crate) attributes_changed: bool,
    pub(crate) last_event: Option<String>,
}

/// A membership and since when it has stood so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub held: bool,
    pub since: Timestamp,
}

/// A property's value as a feature keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Val {
    None,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Val {
    fn rank(&self) -> u8 {
        match self {
            Val::None => 0,
            Val::Bool(_) => 1,
            Val::Number(_) => 2,
            Val::Text(_) => 3,
        }
    }

    pub(crate) fn number(&self) -> f64 {
        if let Val::Number(number) = self { *number } else { 0.0 }
    }

    pub(crate) fn to_value(&self) -> model::Value {
        match self {
            Val::None => model::Value::Null,
            Val::Bool(value) => (*value).into(),
            Val::Number(number) => (*number).into(),
            Val::Text(text) => text.as_str().into(),
        }
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Val) -> Ordering {
        match (self, other) {
            (Val::Bool(left), Val::Bool(right)) => left.cmp(right),
            (Val::Number(left), Val::Number(right)) => left.total_cmp(right),
            (Val::Text(left), Val::Text(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Val) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Val) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Val {}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub at: i64,
    pub value: Val,
}

/// The events of one feature: those told apart, in order of time, and those folded into figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub entries: Vec<Entry>,
    pub folded: Option<Box<Folded>>,
}

/// Figures over events that need not be told apart. Sums are in millionths, so their order does not matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Folded {
    pub count: u64,
    pub sum: i128,
    pub min: f64,
    pub max: f64,
    pub tally: BTreeMap<Val, u64>,
    pub points: f64,
    pub points_at: i64,
}

impl Default for Folded {
    fn default() -> Folded {
        Folded {
            count: 0,
            sum: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            tally: BTreeMap::new(),
            points: 0.0,
            points_at: i64::MIN,
        }
    }
}

/// A number in whole millionths.
pub(crate) fn millionths(number: f64) -> i128 {
    (number * 1e6).round() as i128
}

impl Folded {
    pub(crate) fn take(&mut self, entry: &Entry, keep: &Keep) {
        self.count += 1;
        match keep {
            Keep::Tally => {
                if self.tally.len() < VALUES_MAX || self.tally.contains_key(&entry.value) {
                    *self.tally.entry(entry.value.clone()).or_default() += 1;
                }
            }
            Keep::Score(half_life) => self.add_points(entry.value.number(), entry.at, *half_life),
            _ => {
                let number = entry.value.number();
                self.sum = self.sum.saturating_add(millionths(number));
                self.min = self.min.min(number);
                self.max = self.max.max(number);
            }
        }
    }

    fn add_points(&mut self, points: f64, at: i64, half_life: i64) {
        let to = self.points_at.max(at);
        let decayed = |points: f64, at: i64| score::decayed_by(points, to - at, half_life);
        let old = if self.points == 0.0 { 0.0 } else { decayed(self.points, self.points_at) };
        self.points = old + decayed(points, at);
        self.points_at = to;
    }

    fn join(&mut self, other: Folded) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        for (value, many) in other.tally {
            *self.tally.entry(value).or_default() += many;
        }
    }
}

impl Series {
    /// What says that a sequence is complete.
    pub(crate) fn mark() -> Series {
        Series { entries: Vec::new(), folded: Some(Box::default()) }
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        let place = self.entries.partition_point(|there| *there <= entry);
        self.entries.insert(place, entry);
    }

    /// Folds the first `many` entries.
    pub(crate) fn fold(&mut self, many: usize, keep: &Keep) {
        if many == 0 {
            return;
        }
        let folded = self.folded.get_or_insert_default();
        for entry in self.entries.drain(..many) {
            folded.take(&entry, keep);
        }
    }
}

impl State {
    /// The next instant at which anything can change without an event. Never later than the true one.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.due.values().min().map(|at| Timestamp::from_micros(*at))
    }

    /// Says that attributes, consent or the time zone changed since the last settling.
    pub fn attributes_changed(&mut self) {
        self.attributes_changed = true;
    }

    /// Whether settling has anything to do at this instant.
    pub fn needs_settling(&self, now: Timestamp) -> bool {
        self.version == 0
            || self.attributes_changed
            || !self.changed.is_empty()
            || self.due_at().is_some_and(|due| due <= now)
    }

    /// Forgets one feature, before it is built anew from history.
    pub fn forget(&mut self, feature: u32) {
        self.features.remove(&feature);
        self.changed.insert(feature);
    }

    /// Takes over the events of another profile that turned out to be the same person. The next settling decides
    /// every membership anew.
    pub fn merge(&mut self, other: State) {
        for (id, theirs) in other.features {
            let ours = self.features.entry(id).or_default();
            ours.entries.extend(theirs.entries);
            ours.entries.sort_unstable();
            if let Some(folded) = theirs.folded {
                // Points decay from their instant on like an event's weight; the next settling folds them.
                if folded.points > 0.0 {
                    let value = Val::Number(folded.points);
                    ours.insert(Entry { at: folded.points_at, value });
                }
                ours.folded.get_or_insert_default().join(*folded);
            }
            self.changed.insert(id);
        }
        self.version = 0;
    }

    /// Takes over which memberships stood: the next settling decides all of them anew and tells what differs.
    pub fn keep_members(&mut self, former: &State) {
        self.members = former.members.clone();
        self.version = 0;
    }

    /// Asks the next settling to decide every membership anew.
    pub fn unsettle(&mut self) {
        self.version = 0;
    }
}
