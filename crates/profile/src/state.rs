//! A profile: the fold of a person's events into identifiers, attributes and consent.
//!
//! Attributes are last-write-wins by event time, so the order of arrival does not matter. Values are kept as JSON text:
//! the state is stored in a binary format that knows no dynamic values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Call, Event, IdentifierKind, Map, Timestamp, Value, limit};
use serde::{Deserialize, Serialize};

use crate::identity::Identifier;
use crate::intake::object;

/// Decisions kept for the profile's page.
const DECISIONS_MAX: usize = 50;

/// An identifier with where and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierState {
    /// Its kind.
    pub kind: IdentifierKind,
    /// Its value.
    pub value: String,
    /// First seen, by event time.
    pub first_seen_at: Timestamp,
    /// Last seen, by event time.
    pub last_seen_at: Timestamp,
    /// The call that brought it.
    pub source: String,
}

/// An attribute with its time and source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The value as JSON text.
    pub json: String,
    /// The event time that set it.
    pub updated_at: Timestamp,
    /// The call that set it.
    pub source: String,
}

/// A decision about identity, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// Stable code.
    pub code: String,
    /// For people.
    pub sentence: String,
}

impl Decision {
    /// A decision made at `at`.
    pub fn new(at: Timestamp, code: &str, sentence: impl Into<String>) -> Decision {
        Decision { at, code: code.to_owned(), sentence: sentence.into() }
    }
}

/// The state of one profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What it is known by.
    pub identifiers: Vec<IdentifierState>,
    /// What is known of it.
    pub attributes: BTreeMap<String, Attribute>,
    /// Accounts it belongs to.
    pub groups: Vec<String>,
    /// How its identity came about, newest last.
    pub decisions: Vec<Decision>,
    /// Its earliest event.
    pub first_seen_at: Option<Timestamp>,
    /// Its latest event.
    pub last_seen_at: Option<Timestamp>,
}

/// What a fold asks of the caller besides keeping the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// An attribute changed.
    pub attributes_changed: bool,
    /// Consent given or withdrawn: topic or category, and yes or no.
    pub consents: Vec<(String, bool)>,
}

impl Profile {
    /// Whether it has an identifier of this kind.
    pub fn has(&self, kind: IdentifierKind) -> bool {
        self.identifiers.iter().any(|known| known.kind == kind)
    }

    /// Whether it is a known person rather than a browser.
    pub fn is_known(&self) -> bool {
        self.identifiers.iter().any(|known| known.kind < IdentifierKind::AnonymousId)
    }

    /// The newest identifier of a kind.
    pub fn identifier(&self, kind: IdentifierKind) -> Option<&str> {
        self.identifiers.iter().filter(|known| known.kind == kind).max_by_key(|known| known.last_seen_at).map(|k| k.value.as_str())
    }

    /// Notes identifiers seen with an event; new ones are added.
    pub fn see(&mut self, identifiers: &[Identifier], event: &Event) {
        for identifier in identifiers {
            let known = self.identifiers.iter_mut().find(|k| k.kind == identifier.kind && k.value == identifier.value);
            match known {
                Some(known) => {
                    known.first_seen_at = known.first_seen_at.min(event.timestamp);
                    known.last_seen_at = known.last_seen_at.max(event.timestamp);
                }
                None => self.identifiers.push(IdentifierState {
                    kind: identifier.kind,
                    value: identifier.value.clone(),
                    first_seen_at: event.timestamp,
                    last_seen_at: event.timestamp,
                    source: event.call.name().to_owned(),
                }),
            }
        }
    }

    /// Adds decisions; the oldest give way.
    pub fn decide(&mut self, decisions: Vec<Decision>) {
        self.decisions.extend(decisions);
        let surplus = self.decisions.len().saturating_sub(DECISIONS_MAX);
        self.decisions.drain(..surplus);
    }

    /// Folds one event in.
    pub fn fold(&mut self, event: &Event) -> Folded {
        let at = event.timestamp;
        self.first_seen_at = Some(self.first_seen_at.map_or(at, |first| first.min(at)));
        self.last_seen_at = Some(self.last_seen_at.map_or(at, |last| last.max(at)));
        let mut folded = Folded::default();
        match event.call {
            Call::Identify => {
                for (name, value) in object(&event.properties) {
                    folded.attributes_changed |= self.set(&name, &value, at, event.call.name());
                }
            }
            Call::Group => {
                if let Some(group) = &event.other_id
                    && !self.groups.contains(group)
                    && self.groups.len() < limit::PROFILE_IDENTIFIERS_MAX
                {
                    self.groups.push(group.clone());
                }
            }
            _ => {}
        }
        folded.consents = consents(event);
        folded
    }

    /// Sets an attribute unless a later event has; null removes it. True when something changed.
    pub fn set(&mut self, name: &str, value: &Value, at: Timestamp, source: &str) -> bool {
        if name.is_empty() || name.len() > limit::IDENTIFIER_BYTES_MAX {
            return false;
        }
        let json = value.to_string();
        let full = self.attributes.len() >= limit::PROFILE_ATTRIBUTES_MAX;
        match self.attributes.get_mut(name) {
            // Equal instants: the greater text wins, so that any order of arrival gives one answer.
            Some(known) if (known.updated_at, &known.json) >= (at, &json) => false,
            Some(known) => {
                let changed = known.json != json;
                *known = Attribute { json, updated_at: at, source: source.to_owned() };
                changed
            }
            None if full => false,
            None => {
                self.attributes.insert(name.to_owned(), Attribute { json, updated_at: at, source: source.to_owned() });
                true
            }
        }
    }

    /// The value at a dotted path: an attribute by its whole name, or a field within one.
    pub fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        if let Some(attribute) = self.attributes.get(path) {
            let value: Value = serde_json::from_str(&attribute.json).ok()?;
            return (!value.is_null()).then_some(Cow::Owned(value));
        }
        if let Some((first, rest)) = path.split_once('.')
            && let Some(attribute) = self.attributes.get(first)
        {
            let value: Value = serde_json::from_str(&attribute.json).ok()?;
            let found = rest.split('.').try_fold(&value, |value, name| value.get(name))?;
            return (!found.is_null()).then(|| Cow::Owned(found.clone()));
        }
        let kind = match path {
            "email" => IdentifierKind::Email,
            "phone" => IdentifierKind::Phone,
            "user_id" => IdentifierKind::UserId,
            _ => return None,
        };
        self.identifier(kind).map(|value| Cow::Owned(Value::String(value.to_owned())))
    }

    /// All attributes as JSON values.
    pub fn values(&self) -> Map {
        let mut out = Map::new();
        for (name, attribute) in &self.attributes {
            if let Ok(value) = serde_json::from_str::<Value>(&attribute.json)
                && !value.is_null()
            {
                out.insert(name.clone(), value);
            }
        }
        out
    }

    /// The address to write to.
    pub fn email(&self) -> Option<String> {
        self.get("email")
            .and_then(|value| value.as_str().and_then(crate::identity::email))
            .or_else(|| self.identifier(IdentifierKind::Email).map(str::to_owned))
    }

    /// What to call the person in lists.
    pub fn display(&self) -> Option<String> {
        let text = |name: &str| self.get(name).and_then(|value| value.as_str().map(str::to_owned));
        let full = [text("first_name").or_else(|| text("firstName")), text("last_name").or_else(|| text("lastName"))];
        let full: Vec<String> = full.into_iter().flatten().collect();
        if full.is_empty() { text("name") } else { Some(full.join(" ")) }
    }

    /// Takes in a profile that turned out to be the same person.
    pub fn merge(&mut self, other: Profile) {
        for identifier in other.identifiers {
            let known = self.identifiers.iter_mut().find(|k| k.kind == identifier.kind && k.value == identifier.value);
            match known {
                Some(known) => {
                    known.first_seen_at = known.first_seen_at.min(identifier.first_seen_at);
                    known.last_seen_at = known.last_seen_at.max(identifier.last_seen_at);
                }
                None => self.identifiers.push(identifier),
            }
        }
        for (name, theirs) in other.attributes {
            match self.attributes.get(&name) {
                Some(ours) if (ours.updated_at, &ours.json) >= (theirs.updated_at, &theirs.json) => {}
                _ => {
                    self.attributes.insert(name, theirs);
                }
            }
        }
        for group in other.groups {
            if !self.groups.contains(&group) {
                self.groups.push(group);
            }
        }
        let mut decisions = other.decisions;
        decisions.append(&mut self.decisions);
        self.decide(decisions);
        self.first_seen_at = [self.first_seen_at, other.first_seen_at].into_iter().flatten().min();
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
    }
}

/// Consent in an event: `context.consent.categoryPreferences`, `Subscribed`, `Unsubscribed`.
fn consents(event: &Event) -> Vec<(String, bool)> {
    let mut out = Vec::new();
    if event.context.contains("\"categoryPreferences\"") {
        let context = object(&event.context);
        let preferences = context.get("consent").and_then(|consent| consent.get("categoryPreferences"));
        for (category, value) in preferences.and_then(Value::as_object).into_iter().flatten().take(50) {
            out.push((category.clone(), value.as_bool().unwrap_or(false)));
        }
    }
    let word = match event.name.as_str() {
        "Subscribed" => Some(true),
        "Unsubscribed" => Some(false),
        _ => None,
    };
    if let Some(word) = word {
        let properties = object(&event.properties);
        let topic = properties.get("topic").and_then(Value::as_str).unwrap_or("marketing");
        out.push((topic.to_owned(), word));
    }
    out
}
