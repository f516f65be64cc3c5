//! What conditions read of all profiles, as columns by their numbers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use expr::{Attributes, Consented};
use jiff::tz::TimeZone;
use model::column::Bits;
use model::{Timestamp, Value};
use serde_json::json;

/// The attribute that says in which zone a profile lives.
pub(crate) const ZONE: &str = "timezone";

/// What a condition reads of profiles; nothing when it goes by events alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Attributes by their dotted paths; the time zone's too, where a calendar matters.
    pub attributes: BTreeSet<String>,
    /// Purposes and topics.
    pub consents: BTreeSet<String>,
    /// What random draws go by.
    pub seed: bool,
}

impl Asked {
    /// Whether nothing is read.
    pub fn is_empty(&self) -> bool {
        *self == Asked::default()
    }
}

/// One thing that is known of profiles: a code for each number, and what the codes stand for. Code 0 is absence.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// By profile number; absent beyond the end.
    pub codes: Vec<u32>,
    /// By code.
    pub values: Vec<Option<Value>>,
}

impl Default for Fact {
    fn default() -> Fact {
        Fact { codes: Vec::new(), values: vec![None] }
    }
}

impl Fact {
    pub(crate) fn code(&self, number: usize) -> usize {
        self.codes.get(number).map_or(0, |code| *code as usize)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Value> {
        self.values.get(self.code(number)).and_then(Option::as_ref)
    }
}

/// The profiles there are and what was asked of them.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// The numbers of those that exist.
    pub present: Bits,
    /// By dotted path.
    pub attributes: BTreeMap<String, Fact>,
    /// By purpose or topic, as `consent_value` has it.
    pub consents: BTreeMap<String, Fact>,
    /// Texts.
    pub seed: Option<Fact>,
}

/// What a profile said of a purpose or topic, as a value.
pub fn consent_value(consented: &Consented) -> Value {
    json!([consented.given, consented.at.map(Timestamp::micros), consented.by])
}

fn consented(value: &Value) -> Consented {
    Consented {
        given: value[0].as_bool().unwrap_or(false),
        at: value[1].as_i64().map(Timestamp::from_micros),
        by: value[2].as_str().map(str::to_owned),
    }
}

/// The zones that profiles live in.
pub(crate) struct Zones {
    pub all: Vec<TimeZone>,
    /// By code of the attribute.
    by_code: Vec<usize>,
}

impl Zones {
    pub fn of(people: &People, otherwise: &TimeZone) -> Zones {
        let mut all = vec![otherwise.clone()];
        let mut by_code = Vec::new();
        for value in people.attributes.get(ZONE).map(|fact| &fact.values[..]).unwrap_or_default() {
            let zone = value.as_ref().and_then(|zone| TimeZone::get(zone.as_str()?).ok());
            by_code.push(zone.map_or(0, |zone| {
                all.iter().position(|known| *known == zone).unwrap_or_else(|| {
                    all.push(zone);
                    all.len() - 1
                })
            }));
        }
        Zones { all, by_code }
    }

    /// The place of a profile's zone among all.
    pub fn place(&self, people: &People, number: usize) -> usize {
        if self.all.len() == 1 {
            return 0;
        }
        let code = people.attributes.get(ZONE).map_or(0, |fact| fact.code(number));
        self.by_code.get(code).copied().unwrap_or(0)
    }
}

/// One profile, as conditions read it.
pub(crate) struct One<'a> {
    pub people: &'a People,
    pub zones: &'a Zones,
    pub number: usize,
}

impl Attributes for One<'_> {
    fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        self.people.attributes.get(path)?.get(self.number).map(Cow::Borrowed)
    }

    fn zone(&self) -> TimeZone {
        self.zones.all[self.zones.place(self.people, self.number)].clone()
    }

    fn seed(&self) -> Option<Cow<'_, str>> {
        self.people.seed.as_ref()?.get(self.number)?.as_str().map(Cow::Borrowed)
    }

    fn consent(&self, about: &str) -> Option<Consented> {
        self.people.consents.get(about)?.get(self.number).map(consented)
    }

    fn consents(&self, purpose: &str) -> bool {
        self.consent(purpose).is_some_and(|consented| consented.given)
    }

    fn subscribed(&self, topic: &str) -> bool {
        self.consents(topic)
    }
}
