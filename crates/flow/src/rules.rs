//! Rules: a condition that becomes true for somebody fires actions, at most once within its time.
//!
//! A rule is a condition of the same engine as the segments', under a key of its own. The step fires it in its
//! transaction: the firing, what follows from it and the instant that the next one must wait for are written together
//! or not at all. Every rule waits at least a minute, so that rules that move each other cannot run in a circle faster.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::time::SECOND;
use model::{Call, Event, Timestamp, Value, WorkspaceId};
use segment::RULE_PREFIX;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::DefinitionRow;

use crate::Error;
use crate::emit;
use crate::error::Problem;
use crate::lists;
use crate::registry::Registry;
use crate::step::{Key, Step, entry_id, entry_row};

/// The least time between two firings for one person. Units: seconds.
const EVERY_SECONDS_MIN: i64 = 60;
/// The most. Units: seconds.
const EVERY_SECONDS_MAX: i64 = 10 * 366 * 86_400;
/// Actions of one rule.
const ACTIONS_MAX: usize = 20;
/// Bytes of the value or the properties that an action sets.
const VALUE_BYTES_MAX: usize = 4_096;
/// Attributes that name a person; a rule cannot make one person another.
const NAMING: [&str; 5] = ["email", "phone", "user_id", "userId", "id"];

/// A rule as people write it. Shape: JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// When it fires.
    #[serde(rename = "where")]
    pub condition: String,
    /// The threshold and why it is that.
    #[serde(default)]
    pub threshold: String,
    /// The time that it looks back on.
    #[serde(default)]
    pub time_frame: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// The day on which somebody looks whether it is still right. Shape: `2026-12-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_at: Option<String>,
    /// The event after which the condition is asked; when it becomes true otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The least time between two firings for one person. Units: seconds.
    pub every_seconds: i64,
    /// Fires also for those whom a new or edited rule finds already.
    #[serde(default)]
    pub fire_on_save: bool,
    /// What a firing is hoped to lead to.
    #[serde(default)]
    pub goal: Goal,
    /// What a firing does.
    pub actions: Vec<Action>,
}

/// What a firing is hoped to lead to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The event.
    pub event: String,
    /// Within so many days.
    pub days: i64,
}

impl Default for Goal {
    fn default() -> Goal {
        Goal { event: "Order Completed".to_owned(), days: 14 }
    }
}

/// What a firing does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Sets an attribute.
    SetAttribute {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// Puts the person on the list of a static segment.
    AddToSegment {
        /// The segment.
        segment: String,
    },
    /// Takes the person off the list of a static segment.
    RemoveFromSegment {
        /// The segment.
        segment: String,
    },
    /// Sends an event about the person.
    SendEvent {
        /// Its name.
        event: String,
        /// Its properties.
        #[serde(default)]
        properties: Value,
    },
    /// Begins an entry into a journey, whatever triggers it otherwise.
    StartJourney {
        /// The journey.
        journey: String,
    },
    /// Grants a discount code that is this firing's alone.
    GrantCoupon {
        /// What the code begins with.
        prefix: String,
    },
}

/// A rule in force.
#[derive(Clone, Debug)]
pub struct RuleInForce {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// It fires; a paused one only knows for whom it would.
    pub live: bool,
    /// The document.
    pub rule: Arc<Rule>,
}

/// The key of a rule's condition in the engine.
pub fn rule_key(id: &str) -> String {
    format!("{RULE_PREFIX}{id}")
}

fn refuse(path: &str, message: impl Into<String>) -> Error {
    Error::invalid("invalid_rule", path, message)
}

impl Rule {
    /// Reads a rule's document.
    ///
    /// # Errors
    /// `Invalid` with the place of the fault.
    pub fn parse(body: &Value) -> Result<Rule, Error> {
        let actions = body["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(at) = actions.iter().position(|action| action["type"] == "call_webhook") {
            return Err(Error::invalid(
                "not_available",
                &format!("/actions/{at}"),
                "A rule cannot call a webhook in this release: send an event and read it from the log or the lake.",
            ));
        }
        let rule: Rule =
            serde_json::from_value(body.clone()).map_err(|error| refuse("", error.to_string()))?;
        if !(EVERY_SECONDS_MIN..=EVERY_SECONDS_MAX).contains(&rule.every_seconds) {
            return Err(refuse(
                "/every_seconds",
                "A rule waits at least 60 seconds and at most ten years before it fires again for the same person.",
            ));
        }
        if let Some(day) = &rule.review_at
            && day.parse::<jiff::civil::Date>().is_err()
        {
            return Err(refuse("/review_at", "A review is due on a day such as 2026-12-31."));
        }
        if !(1..=366).contains(&rule.goal.days) || rule.goal.event.trim().is_empty() {
            return Err(refuse("/goal", "A goal is an event within 1 to 366 days."));
        }
        if rule.actions.is_empty() || rule.actions.len() > ACTIONS_MAX {
            return Err(refuse("/actions", format!("A rule does 1 to {ACTIONS_MAX} things.")));
        }
        for (at, action) in rule.actions.iter().enumerate() {
            action.check().map_err(|why| refuse(&format!("/actions/{at}"), why))?;
        }
        Ok(rule)
    }

    /// Whether the time since a firing has passed.
    pub fn may_fire(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| now >= last + self.every_seconds * SECOND)
    }
}

impl Action {
    fn check(&self) -> Result<(), String> {
        let large = |value: &Value| value.to_string().len() > VALUE_BYTES_MAX;
        match self {
            Action::SetAttribute { name, value } => {
                if name.trim().is_empty() || name.len() > 100 {
                    return Err("Name the attribute that is set.".to_owned());
                }
                if NAMING.contains(&name.as_str()) {
                    return Err(format!("A rule does not set '{name}': it says who somebody is."));
                }
                if large(value) {
                    return Err(format!("A value has at most {VALUE_BYTES_MAX} bytes."));
                }
            }
            Action::SendEvent { event, properties } => {
                if event.trim().is_empty() || event.len() > model::limit::EVENT_NAME_BYTES_MAX {
                    return Err("Name the event that is sent.".to_owned());
                }
                if profile::intake::is_reserved(event) {
                    return Err(format!(
                        "'{event}' is recorded by the platform itself: give it another name."
                    ));
                }
                if !(properties.is_null() || properties.is_object()) || large(properties) {
                    return Err(format!("Properties are an object of at most {VALUE_BYTES_MAX} bytes."));
                }
            }
            Action::GrantCoupon { prefix } => {
                let sound = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
                if prefix.is_empty() || prefix.len() > 20 || !prefix.chars().all(sound) {
                    return Err("A code begins with 1 to 20 capital letters or digits.".to_owned());
                }
            }
            Action::AddToSegment { segment } | Action::RemoveFromSegment { segment } => {
                if segment.is_empty() {
                    return Err("Name a static segment.".to_owned());
                }
            }
            Action::StartJourney { journey } => {
                if journey.is_empty() {
                    return Err("Name a journey.".to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Checks what a rule names.
pub(crate) fn check(registry: &Registry, body: &Value) -> Result<Rule, Error> {
    let rule = Rule::parse(body)?;
    let errors = expr::check_text(&rule.condition, &registry.schema()).errors;
    if let Some(first) = errors.first() {
        let detail = first.message.clone();
        let problems: Vec<Problem> =
            errors.iter().map(|error| crate::segments::problem("/where", error)).collect();
        return Err(Error::Invalid { code: "invalid_condition", detail, problems });
    }
    for (at, action) in rule.actions.iter().enumerate() {
        let path = format!("/actions/{at}");
        match action {
            Action::AddToSegment { segment } | Action::RemoveFromSegment { segment } => {
                let found = registry.segments.get(segment);
                if found.is_none_or(|found| found.source != lists::Source::Static) {
                    let message = format!("There is no static segment '{segment}': make it first.");
                    return Err(refuse(&path, message));
                }
            }
            Action::StartJourney { journey } if !registry.journeys.contains_key(journey) => {
                return Err(refuse(&path, format!("There is no journey '{journey}': make it first.")));
            }
            _ => {}
        }
    }
    Ok(rule)
}

/// Reads a stored rule.
pub(crate) fn in_force(row: &DefinitionRow) -> Result<RuleInForce, Error> {
    let body: Value = serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
    let (id, name) = (row.id.clone(), row.name.clone());
    let rule = Arc::new(Rule::parse(&body)?);
    Ok(RuleInForce { id, name, version: row.version, live: row.status == "live", rule })
}

/// Whether a rule puts people into a segment or takes them out.
pub(crate) fn moves(rule: &Rule, segment: &str) -> bool {
    rule.actions.iter().any(|action| match action {
        Action::AddToSegment { segment: named } | Action::RemoveFromSegment { segment: named } => {
            named == segment
        }
        _ => false,
    })
}

/// Forgets the firings of rules that are no more.
pub(crate) fn forget(fired: &mut BTreeMap<String, Timestamp>, registry: &Registry) {
    fired.retain(|rule, _| registry.rules.contains_key(rule));
}

fn firing_id(workspace: WorkspaceId, profile: model::ProfileId, rule: &str, at: Timestamp) -> String {
    let text = format!("{workspace}/{profile}/{rule}/{}", at.micros());
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

impl Step<'_> {
    /// Asks the rules that an event lets fire.
    pub(crate) fn rules_on(&mut self, key: Key, event: &Event, registry: &Arc<Registry>) {
        let now = self.now;
        let heard = registry.rules.values().filter(|rule| {
            rule.live && rule.rule.on.as_deref() == Some(event.name.as_str()) && self.ready(key, rule)
        });
        let heard: Vec<&RuleInForce> = heard.collect();
        for rule in heard {
            let holds = self.profiles.get(&key).is_some_and(|working| {
                let facts = crate::hot::Facts { profile: &working.hot.profile, zone: &registry.zone };
                registry.engine.evaluate(&rule_key(&rule.id), &working.hot.segments, &facts, now)
            });
            if holds {
                self.fire(key, rule, &event.name, registry);
            }
        }
    }

    fn ready(&self, key: Key, rule: &RuleInForce) -> bool {
        let last = self.profiles.get(&key).and_then(|working| working.hot.fired.get(&rule.id).copied());
        rule.rule.may_fire(last, self.now)
    }

    /// Fires rules whose condition became true: (rule, cause, whether the edit of a definition made it true).
    pub(crate) fn fire_all(
        &mut self,
        key: Key,
        entered: Vec<(String, String, bool)>,
        registry: &Arc<Registry>,
    ) {
        for (id, cause, edited) in entered {
            let Some(rule) = registry.rules.get(&id) else { continue };
            let wanted = rule.live && rule.rule.on.is_none() && (!edited || rule.rule.fire_on_save);
            if wanted && self.ready(key, rule) {
                self.fire(key, rule, &cause, registry);
            }
        }
    }

    fn fire(&mut self, key: Key, rule: &RuleInForce, cause: &str, registry: &Arc<Registry>) {
        let at = self.now;
        let firing = firing_id(key.0, key.1, &rule.id, at);
        let Some(working) = self.profiles.get_mut(&key) else { return };
        working.hot.fired.insert(rule.id.clone(), at);
        self.dirty.insert(key);
        let mut told = Vec::new();
        let context = json!({"rule": rule.id, "firing": firing}).to_string();
        for (number, action) in rule.rule.actions.iter().enumerate() {
            let id = format!("rule-{firing}-{number}");
            let event = |name: &str, properties: Value| Event {
                context: context.clone(),
                ..emit::event(key.0, key.1, name, id.clone(), at, properties)
            };
            let mut said = json!(action);
            let mut done = true;
            match action {
                Action::SetAttribute { name, value } => {
                    let properties = json!({name: value});
                    self.emitted.push(Event { call: Call::Identify, ..event("identify", properties) });
                }
                Action::AddToSegment { segment } | Action::RemoveFromSegment { segment } => {
                    let on = matches!(action, Action::AddToSegment { .. });
                    match registry.segments.get(segment).filter(|found| !found.list.is_empty()) {
                        Some(found) => {
                            let cause = format!("the rule '{}' fired", rule.name);
                            let listed = lists::listed(key.0, key.1, segment, &found.list, on, at, &cause);
                            self.emitted.push(Event { context: context.clone(), ..listed });
                        }
                        None => done = false,
                    }
                }
                Action::SendEvent { event: name, properties } => {
                    let properties = if properties.is_object() { properties.clone() } else { json!({}) };
                    self.emitted.push(event(name, properties));
                }
                Action::StartJourney { journey } => {
                    done = self.start_journey(key, journey, rule, &firing, registry);
                }
                Action::GrantCoupon { prefix } => {
                    let code = format!("{prefix}-{}", self.platform.code(&firing));
                    said["code"] = json!(code);
                    let properties =
                        json!({"code": code, "rule": rule.id, "name": rule.name, "firing": firing});
                    self.emitted.push(event("Coupon Granted", properties));
                }
            }
            said["done"] = json!(done);
            told.push(said);
        }
        let properties = json!({
            "rule": rule.id, "name": rule.name, "version": rule.version, "firing": firing, "cause": cause,
            "actions": told,
        });
        self.emitted.push(emit::event(key.0, key.1, "Rule Fired", format!("rule-{firing}"), at, properties));
    }

    /// False when the journey does not take the person now.
    fn start_journey(
        &mut self,
        key: Key,
        id: &str,
        rule: &RuleInForce,
        firing: &str,
        registry: &Arc<Registry>,
    ) -> bool {
        let at = self.now;
        let Some(journey) = registry.journeys.get(id).filter(|journey| journey.live) else { return false };
        let Some(working) = self.profiles.get_mut(&key) else { return false };
        let hot = &mut working.hot;
        let properties = json!({"rule": rule.id, "name": rule.name, "firing": firing});
        let last = hot.entered.get(id).copied();
        let name = entry_id(key, id, "", firing);
        let Some(entry) = journey::start(&journey.compiled, &properties, &hot.entries, last, at, name) else {
            return false;
        };
        hot.entered.insert(entry.journey.clone(), at);
        hot.entries.push(entry.clone());
        self.commit.entries.push(entry_row(key, &entry, None, Vec::new(), at));
        let properties = json!({
            "journey": entry.journey, "entry": entry.id, "version": entry.version, "rule": rule.id,
        });
        let id = format!("jny-in-{}", entry.id);
        self.emitted.push(emit::event(key.0, key.1, "Journey Entered", id, at, properties));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_may_not_do_is_refused_with_its_place() {
        let rule = |actions: Value| json!({"where": "a = 1", "every_seconds": 60, "actions": actions});
        let sound = rule(json!([{"type": "set_attribute", "name": "loyal", "value": true}]));
        assert!(Rule::parse(&sound).is_ok());
        for (actions, place) in [
            (json!([]), "/actions"),
            (json!([{"type": "call_webhook", "url": "http://127.0.0.1"}]), "/actions/0"),
            (json!([{"type": "set_attribute", "name": "email", "value": "x@y.example"}]), "/actions/0"),
            (json!([{"type": "send_event", "event": "Segment Listed"}]), "/actions/0"),
            (json!([{"type": "send_event", "event": "Unsubscribed"}]), "/actions/0"),
            (json!([{"type": "grant_coupon", "prefix": "no spaces"}]), "/actions/0"),
        ] {
            let error = Rule::parse(&rule(actions.clone())).unwrap_err();
            assert_eq!(error.problems()[0].path, place, "{actions}: {error}");
        }
        for (field, value) in [
            ("every_seconds", json!(59)),
            ("review_at", json!("soon")),
            ("goal", json!({"event": "", "days": 1})),
        ] {
            let mut body = sound.clone();
            body[field] = value;
            assert_eq!(Rule::parse(&body).unwrap_err().problems()[0].path, format!("/{field}"));
        }
    }
}
