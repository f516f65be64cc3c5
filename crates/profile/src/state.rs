//! A profile: the fold of a person's events into identifiers, attributes and consent.
//!
//! Attributes are last-write-wins by event time, so the order of arrival does not matter. Values are kept as JSON text:
//! the state is stored in a binary format that knows no dynamic values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Call, Event, IdentifierKind, Map, Timestamp, Trust, Value, limit};
use serde::{Deserialize, Serialize};

use crate::identity::Identifier;
use crate::intake::object;

/// Decisions kept for the profile's page.
const DECISIONS_MAX: usize = 50;
/// Topics and categories of one profile.
const CONSENTS_MAX: usize = 100;
/// Bytes of all attributes of one profile.
const ATTRIBUTES_BYTES_MAX: usize = 512 * 1024;
/// Below so many attributes an event's own limit bounds their bytes.
const ATTRIBUTES_UNWEIGHED: usize = ATTRIBUTES_BYTES_MAX / (4 * limit::EVENT_BYTES_MAX);

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

/// What a profile said of one topic or category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Given, or withdrawn.
    pub given: bool,
    /// The event time that says so.
    pub updated_at: Timestamp,
    /// It is a category of `context.consent`: a statement that leaves it out withdraws it.
    pub is_category: bool,
    /// How it was said: the `source` of the event or of `context.consent`.
    pub by: Option<String>,
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
    /// What it consented to, by topic or category.
    pub consents: BTreeMap<String, Consent>,
    /// Its latest statement on categories.
    pub categories_stated_at: Option<Timestamp>,
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
    /// An attribute changed, or consent was spoken of.
    pub attributes_changed: bool,
    /// Which.
    pub changed: Vec<String>,
    /// Consent given or withdrawn: topic or category, and yes or no.
    pub consents: Vec<(String, bool)>,
}

/// How consent was said, as an object's `source` tells.
fn source(object: Option<&Value>) -> Option<String> {
    object?.get("source").and_then(short)
}

fn short(value: &Value) -> Option<String> {
    value.as_str().filter(|text| text.len() <= limit::IDENTIFIER_BYTES_MAX).map(str::to_owned)
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
        self.identifiers
            .iter()
            .filter(|known| known.kind == kind)
            .max_by_key(|known| known.last_seen_at)
            .map(|k| k.value.as_str())
    }

    /// Notes identifiers seen with an event; new ones are added.
    pub fn see(&mut self, identifiers: &[Identifier], event: &Event) {
        for identifier in identifiers {
            let known = self
                .identifiers
                .iter_mut()
                .find(|k| k.kind == identifier.kind && k.value == identifier.value);
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

    /// Adds decisions; the oldest give way, and one that was made before is only renewed.
    pub fn decide(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            self.decisions
                .retain(|known| (&known.code, &known.sentence) != (&decision.code, &decision.sentence));
            self.decisions.push(decision);
        }
        let surplus = self.decisions.len().saturating_sub(DECISIONS_MAX);
        self.decisions.drain(..surplus);
    }

    /// Folds one event in.
    pub fn fold(&mut self, event: &Event) -> Folded {
        let at = event.timestamp;
        self.first_seen_at = Some(self.first_seen_at.map_or(at, |first| first.min(at)));
        // Figures that the platform states are nothing that somebody did.
        if event.trust != Trust::Internal || event.call != Call::Identify {
            self.last_seen_at = Some(self.last_seen_at.map_or(at, |last| last.max(at)));
        }
        let mut folded = Folded::default();
        match event.call {
            Call::Identify => {
                for (name, value) in object(&event.properties) {
                    if event.trust == Trust::Browser && self.guards(&name, &value) {
                        continue;
                    }
                    if self.set(&name, &value, at, event.call.name()) {
                        folded.attributes_changed = true;
                        folded.changed.push(name);
                    }
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
        // Conditions ask for consent as they ask for attributes.
        folded.attributes_changed |= self.consents_of(event, &mut folded.consents);
        folded
    }

    /// Whether an attribute is the address of a known person, which a browser's key alone may not change.
    fn guards(&self, name: &str, value: &Value) -> bool {
        let (kind, normal) = match name {
            "email" => (IdentifierKind::Email, value.as_str().and_then(crate::identity::email)),
            "phone" => (IdentifierKind::Phone, value.as_str().and_then(crate::identity::phone)),
            _ => return false,
        };
        let mut known = self.identifiers.iter().filter(|known| known.kind == kind).peekable();
        known.peek().is_some() && !known.any(|known| Some(&known.value) == normal.as_ref())
    }

    /// Notes consent in an event: `context.consent.categoryPreferences`, `Subscribed`, `Unsubscribed`.
    /// True when it spoke of any.
    fn consents_of(&mut self, event: &Event, news: &mut Vec<(String, bool)>) -> bool {
        let at = event.timestamp;
        let mut stated = false;
        if event.context.contains("\"categoryPreferences\"") {
            let context = object(&event.context);
            let preferences = context.get("consent").and_then(|consent| consent.get("categoryPreferences"));
            if let Some(preferences) = preferences.and_then(Value::as_object) {
                let by = source(context.get("consent"));
                self.state_categories(preferences, at, by.as_ref(), news);
                stated = true;
            }
        }
        let given = match event.name.as_str() {
            "Subscribed" => true,
            "Unsubscribed" => false,
            _ => return stated,
        };
        let properties = object(&event.properties);
        let topic = properties.get("topic").and_then(Value::as_str).unwrap_or("marketing");
        let by = properties.get("source").and_then(short);
        self.consent(topic, Consent { given, updated_at: at, is_category: false, by }, news);
        true
    }

    /// A statement is whole: a category that is missing from it is refused.
    fn state_categories(
        &mut self,
        preferences: &Map,
        at: Timestamp,
        by: Option<&String>,
        news: &mut Vec<(String, bool)>,
    ) {
        let latest = self.categories_stated_at.map_or(at, |stated| stated.max(at));
        self.categories_stated_at = Some(latest);
        let known = self.consents.iter().filter(|(_, consent)| consent.is_category).map(|(name, _)| name);
        let missing: Vec<String> = known.filter(|name| !preferences.contains_key(*name)).cloned().collect();
        for (category, value) in preferences.iter().take(CONSENTS_MAX) {
            // A later statement that was read before did not know this category, and so refused it.
            let given =
                value.as_bool().unwrap_or(false) && (at == latest || self.consents.contains_key(category));
            let updated_at = if self.consents.contains_key(category) { at } else { latest };
            self.consent(category, Consent { given, updated_at, is_category: true, by: by.cloned() }, news);
        }
        for category in missing {
            let said = Consent { given: false, updated_at: at, is_category: true, by: by.cloned() };
            self.consent(&category, said, news);
        }
    }

    /// Notes consent unless a later event spoke; of two at one instant the withdrawal holds.
    ///
    /// News is what changed, and every later withdrawal: the store may have heard otherwise in between.
    fn consent(&mut self, topic: &str, said: Consent, news: &mut Vec<(String, bool)>) {
        let given = said.given;
        let full = self.consents.len() >= CONSENTS_MAX || topic.len() > limit::IDENTIFIER_BYTES_MAX;
        let is_news = match self.consents.get_mut(topic) {
            Some(known) => {
                let older =
                    said.updated_at < known.updated_at || (said.updated_at == known.updated_at && said.given);
                if older {
                    known.is_category |= said.is_category;
                    return;
                }
                let is_news = known.given != said.given || !said.given;
                *known = Consent { is_category: known.is_category || said.is_category, ..said };
                is_news
            }
            // A withdrawal is passed on even when there is no room to remember it.
            None if full => !said.given,
            None => {
                self.consents.insert(topic.to_owned(), said);
                true
            }
        };
        if is_news {
            news.push((topic.to_owned(), given));
        }
    }

    /// Sets an attribute unless a later event has; null removes it. True when something changed.
    pub fn set(&mut self, name: &str, value: &Value, at: Timestamp, source: &str) -> bool {
        if name.is_empty() || name.len() > limit::IDENTIFIER_BYTES_MAX {
            return false;
        }
        let json = value.to_string();
        let full = self.attributes.len() >= limit::PROFILE_ATTRIBUTES_MAX || self.is_heavy_with(&json);
        match self.attributes.get_mut(name) {
            // Equal instants: the greater text wins, so that any order of arrival gives one answer.
            Some(known) if (known.updated_at, &known.json) >= (at, &json) => false,
            Some(known) if full && json.len() > known.json.len() => false,
            Some(known) => {
                let changed = known.json != json;
                *known = Attribute { json, updated_at: at, source: source.to_owned() };
                changed
            }
            None if full => false,
            None => {
                self.attributes
                    .insert(name.to_owned(), Attribute { json, updated_at: at, source: source.to_owned() });
                true
            }
        }
    }

    fn is_heavy_with(&self, json: &str) -> bool {
        self.attributes.len() >= ATTRIBUTES_UNWEIGHED
            && self.attributes.values().map(|a| a.json.len()).sum::<usize>() + json.len()
                > ATTRIBUTES_BYTES_MAX
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
            "anonymous_id" => IdentifierKind::AnonymousId,
            _ => return None,
        };
        self.identifier(kind).map(|value| Cow::Owned(Value::String(value.to_owned())))
    }

    /// One attribute as a JSON value; nothing when it is absent or null.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        let attribute = self.attributes.get(name)?;
        serde_json::from_str::<Value>(&attribute.json).ok().filter(|value| !value.is_null())
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
        let full = [
            text("first_name").or_else(|| text("firstName")),
            text("last_name").or_else(|| text("lastName")),
        ];
        let full: Vec<String> = full.into_iter().flatten().collect();
        if full.is_empty() { text("name") } else { Some(full.join(" ")) }
    }

    /// Takes in a profile that turned out to be the same person.
    pub fn merge(&mut self, other: Profile) {
        for identifier in other.identifiers {
            let known = self
                .identifiers
                .iter_mut()
                .find(|k| k.kind == identifier.kind && k.value == identifier.value);
            match known {
                Some(known) => {
                    known.first_seen_at = known.first_seen_at.min(identifier.first_seen_at);
                    known.last_seen_at = known.last_seen_at.max(identifier.last_seen_at);
                }
                None => self.identifiers.push(identifier),
            }
        }
        for (name, theirs) in other.attributes {
            let full =
                self.attributes.len() >= limit::PROFILE_ATTRIBUTES_MAX || self.is_heavy_with(&theirs.json);
            match self.attributes.get(&name) {
                Some(ours) if (ours.updated_at, &ours.json) >= (theirs.updated_at, &theirs.json) => {}
                Some(ours) if full && theirs.json.len() > ours.json.len() => {}
                None if full => {}
                _ => {
                    self.attributes.insert(name, theirs);
                }
            }
        }
        for group in other.groups {
            if !self.groups.contains(&group) && self.groups.len() < limit::PROFILE_IDENTIFIERS_MAX {
                self.groups.push(group);
            }
        }
        let mut ignored = Vec::new();
        for (topic, theirs) in other.consents {
            self.consent(&topic, theirs, &mut ignored);
        }
        self.categories_stated_at = self.categories_stated_at.max(other.categories_stated_at);
        let mut decisions = other.decisions;
        decisions.append(&mut self.decisions);
        decisions.sort_by_key(|decision| decision.at);
        self.decide(decisions);
        self.first_seen_at = [self.first_seen_at, other.first_seen_at].into_iter().flatten().min();
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
    }
}

impl expr::Attributes for Profile {
    fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        Profile::get(self, path)
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        let own = Profile::get(self, "timezone");
        own.and_then(|zone| jiff::tz::TimeZone::get(zone.as_str()?).ok()).unwrap_or(jiff::tz::TimeZone::UTC)
    }

    fn consents(&self, purpose: &str) -> bool {
        self.consents.get(purpose).is_some_and(|consent| consent.given)
    }

    fn subscribed(&self, topic: &str) -> bool {
        self.consents.get(topic).is_some_and(|consent| consent.given)
    }

    fn consent(&self, about: &str) -> Option<expr::Consented> {
        let known = self.consents.get(about)?;
        Some(expr::Consented { given: known.given, at: Some(known.updated_at), by: known.by.clone() })
    }

    /// The identifier seen first: it stays when others are added, and one of two stays when profiles are merged.
    fn seed(&self) -> Option<Cow<'_, str>> {
        let first = self.identifiers.iter().min_by_key(|k| (k.first_seen_at, k.kind, &k.value))?;
        Some(Cow::Borrowed(&first.value))
    }
}
