//! Stepping: how an entry begins, moves and ends, and what follows.

use std::collections::BTreeMap;

use model::time::SECOND;
use model::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::definition::{Compiled, Node};

/// One passage of one profile through a journey, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Follows from the journey, the profile and the event that began it.
    pub id: String,
    /// The journey.
    pub journey: String,
    /// The version it finishes with.
    pub version: i64,
    /// The node it is at.
    pub node: String,
    /// Keeps entries of one profile apart.
    pub key: String,
    /// When it began.
    pub entered_at: Timestamp,
    /// When it goes on by itself.
    pub due_at: Option<Timestamp>,
    /// It is at a wait that has begun.
    pub waiting: bool,
    /// The properties of the event that began it, as JSON text.
    pub event: String,
    /// How often it has been at each node that sends.
    #[serde(default)]
    pub visits: BTreeMap<String, u32>,
}

/// What follows from a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Plan a message.
    Send {
        /// The node.
        node: String,
        /// Which of the entry's visits to the node it is, from 1: a circle sends once in each.
        visit: u32,
        /// The template.
        template: String,
        /// The topic.
        topic: String,
        /// `marketing` or `transactional`.
        kind: String,
        /// Prefix of a discount code.
        coupon: Option<String>,
    },
    /// A branch was decided.
    Decided {
        /// The node.
        node: String,
        /// The condition's text.
        condition: String,
        /// Whether it held.
        held: bool,
    },
}

/// The outcome of a step on one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Why the entry ended; `None` while it goes on.
    pub ended: Option<String>,
    /// Nodes that were passed, in order.
    pub passed: Vec<String>,
    /// What follows.
    pub effects: Vec<Effect>,
    /// Whether anything happened.
    pub moved: bool,
}

/// Nodes walked in one step; more means a fault in the definition's checks.
const WALK_MAX: usize = 500;
/// Open entries of one profile in one journey; a sender that makes up keys gets no further.
pub const ENTRIES_MAX: usize = 20;
/// Bytes of an entry's key.
const KEY_BYTES_MAX: usize = 256;

/// Begins an entry when `name` with `properties` triggers the journey, no open entry has its key, and the profile,
/// which entered at `last` before, may enter again.
///
/// `id` makes the entry's id from its key.
pub fn enter(
    journey: &Compiled,
    name: &str,
    properties: &Value,
    open: &[Entry],
    last: Option<Timestamp>,
    at: Timestamp,
    id: &dyn Fn(&str) -> String,
) -> Option<Entry> {
    let trigger = &journey.definition.trigger;
    if trigger.event != name || journey.trigger.as_ref().is_some_and(|filter| !filter.matches(properties)) {
        return None;
    }
    if !journey.definition.reentry.allows(last, at) {
        return None;
    }
    let key = match &trigger.key {
        None => String::new(),
        Some(path) => key_of(properties, path)?,
    };
    let mut own = open.iter().filter(|entry| entry.journey == journey.id);
    if own.clone().any(|entry| entry.key == key) || own.nth(ENTRIES_MAX - 1).is_some() {
        return None;
    }
    Some(Entry {
        id: id(&key),
        journey: journey.id.clone(),
        version: journey.version,
        node: journey.definition.start.clone(),
        key,
        entered_at: at,
        due_at: Some(at),
        waiting: false,
        event: properties.to_string(),
        visits: BTreeMap::new(),
    })
}

/// Begins an entry that something other than the trigger asks for, under the same conditions; it has no key.
pub fn start(
    journey: &Compiled,
    properties: &Value,
    open: &[Entry],
    last: Option<Timestamp>,
    at: Timestamp,
    id: String,
) -> Option<Entry> {
    let mut own = open.iter().filter(|entry| entry.journey == journey.id);
    let taken = own.clone().any(|entry| entry.key.is_empty()) || own.nth(ENTRIES_MAX - 1).is_some();
    if taken || !journey.definition.reentry.allows(last, at) {
        return None;
    }
    Some(Entry {
        id,
        journey: journey.id.clone(),
        version: journey.version,
        node: journey.definition.start.clone(),
        key: String::new(),
        entered_at: at,
        due_at: Some(at),
        waiting: false,
        event: properties.to_string(),
        visits: BTreeMap::new(),
    })
}

/// The text of the property at a dotted path: what keeps entries apart.
fn key_of(properties: &Value, path: &str) -> Option<String> {
    let found = match properties.get(path) {
        Some(found) => found,
        None => path.split('.').try_fold(properties, |value, name| value.get(name))?,
    };
    let key = match found {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!key.is_empty() && key.len() <= KEY_BYTES_MAX).then_some(key)
}

/// What an event does to an open entry: nothing, or ends it at once.
pub fn event(
    journey: &Compiled,
    entry: &Entry,
    name: &str,
    properties: &Value,
    at: Timestamp,
) -> Option<String> {
    if at < entry.entered_at {
        return None;
    }
    journey.definition.exits.iter().zip(&journey.exits).find_map(|(exit, filter)| {
        let matches = exit.event == name
            && filter.as_ref().is_none_or(|filter| filter.matches(properties))
            && exit.key.as_ref().is_none_or(|path| key_of(properties, path).as_ref() == Some(&entry.key));
        matches.then(|| if exit.reason.is_empty() { exit.event.clone() } else { exit.reason.clone() })
    })
}

/// Joins the open entries of two profiles that turned out to be one person; answers those that end by it.
///
/// Of two entries with one journey and key the earlier goes on, so that nobody gets the same mail twice.
pub fn merge(ours: &mut Vec<Entry>, theirs: Vec<Entry>) -> Vec<Entry> {
    ours.extend(theirs);
    ours.sort_by(|a, b| (a.entered_at, &a.id).cmp(&(b.entered_at, &b.id)));
    let (mut kept, mut ended): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
    for entry in ours.drain(..) {
        let twin = kept.iter().any(|known| (&known.journey, &known.key) == (&entry.journey, &entry.key));
        if twin {
            ended.push(entry);
        } else {
            kept.push(entry);
        }
    }
    *ours = kept;
    ended
}

/// Moves an entry whose time has come as far as it goes at `now`. `holds` answers a branch's condition.
///
/// A wait counts from when it was due to begin, so that a late timer does not add up; after a message it counts from
/// `now`, so that downtime never brings two messages closer together; a circle catches up one round at a time.
pub fn tick(
    journey: &Compiled,
    entry: &mut Entry,
    now: Timestamp,
    holds: &mut dyn FnMut(&str, &str) -> bool,
) -> Step {
    let mut step = Step::default();
    let Some(mut due) = entry.due_at.filter(|due| *due <= now) else { return step };
    for _ in 0..WALK_MAX {
        step.moved = true;
        let Some(node) = journey.definition.nodes.get(&entry.node) else {
            step.ended = Some("node_removed".to_owned());
            entry.due_at = None;
            return step;
        };
        match node {
            Node::Wait { next, .. } if entry.waiting => {
                entry.waiting = false;
                step.passed.push(entry.node.clone());
                entry.node.clone_from(next);
            }
            Node::Wait { seconds, .. } => {
                entry.waiting = true;
                if step.passed.contains(&entry.node) {
                    due = now;
                }
                due = due + (*seconds as i64).saturating_mul(SECOND);
                entry.due_at = Some(due);
                if due > now {
                    return step;
                }
            }
            Node::Branch { condition, yes, no } => {
                let held = holds(&entry.node, condition);
                step.effects.push(Effect::Decided {
                    node: entry.node.clone(),
                    condition: condition.clone(),
                    held,
                });
                step.passed.push(entry.node.clone());
                entry.node.clone_from(if held { yes } else { no });
            }
            Node::Send { template, topic, kind, coupon, next } => {
                let visit = entry.visits.entry(entry.node.clone()).or_default();
                *visit = visit.saturating_add(1);
                step.effects.push(Effect::Send {
                    node: entry.node.clone(),
                    visit: *visit,
                    template: template.clone(),
                    topic: topic.clone(),
                    kind: kind.clone(),
                    coupon: coupon.clone(),
                });
                step.passed.push(entry.node.clone());
                entry.node.clone_from(next);
                due = now;
            }
            Node::Exit {} => {
                step.passed.push(entry.node.clone());
                step.ended = Some("completed".to_owned());
                entry.due_at = None;
                return step;
            }
        }
    }
    step.ended = Some("too_many_steps".to_owned());
    entry.due_at = None;
    step
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Reentry;

    fn journey() -> Compiled {
        let definition = serde_json::from_value(json!({
            "trigger": {"event": "Product Added", "key": "cart_id", "where": "price > 10"},
            "start": "wait",
            "nodes": {
                "wait": {"type": "wait", "seconds": 60, "next": "branch"},
                "branch": {"type": "branch", "condition": "email is present", "yes": "send", "no": "end"},
                "send": {"type": "send", "template": "cart", "next": "end"},
                "end": {"type": "exit"},
            },
            "exits": [{"event": "Order Completed", "reason": "ordered"}],
        }))
        .unwrap();
        Compiled::new("cart", 1, definition).unwrap()
    }

    fn begin(journey: &Compiled) -> Entry {
        let properties = json!({"cart_id": "c1", "price": 20});
        enter(journey, "Product Added", &properties, &[], None, Timestamp::from_secs(100), &|key| {
            format!("e-{key}")
        })
        .unwrap()
    }

    #[test]
    fn an_entry_waits_then_sends_once_and_ends() {
        let journey = journey();
        let mut entry = begin(&journey);
        assert!(tick(&journey, &mut entry, Timestamp::from_secs(100), &mut |_, _| true).effects.is_empty());
        assert_eq!((entry.node.as_str(), entry.due_at), ("wait", Some(Timestamp::from_secs(160))));
        assert!(!tick(&journey, &mut entry, Timestamp::from_secs(159), &mut |_, _| true).moved);
        let step = tick(&journey, &mut entry, Timestamp::from_secs(160), &mut |_, _| true);
        assert_eq!(step.passed, ["wait", "branch", "send", "end"]);
        assert_eq!(step.ended.as_deref(), Some("completed"));
        assert_eq!(step.effects.iter().filter(|e| matches!(e, Effect::Send { .. })).count(), 1);
        assert!(!tick(&journey, &mut entry, Timestamp::from_secs(999), &mut |_, _| true).moved);
    }

    #[test]
    fn the_trigger_needs_its_filter_its_key_and_no_open_entry_of_that_key() {
        let journey = journey();
        let entry = begin(&journey);
        let at = Timestamp::from_secs(101);
        let try_enter = |properties: Value, open: &[Entry]| {
            enter(&journey, "Product Added", &properties, open, None, at, &|key| key.to_owned()).is_some()
        };
        assert!(!try_enter(json!({"cart_id": "c1", "price": 5}), &[]));
        assert!(!try_enter(json!({"price": 20}), &[]));
        assert!(!try_enter(json!({"cart_id": "c1", "price": 20}), std::slice::from_ref(&entry)));
        assert!(try_enter(json!({"cart_id": "c2", "price": 20}), std::slice::from_ref(&entry)));
    }

    #[test]
    fn an_exit_event_ends_the_entry_unless_it_happened_before() {
        let journey = journey();
        let entry = begin(&journey);
        let order = |at| event(&journey, &entry, "Order Completed", &json!({}), Timestamp::from_secs(at));
        assert_eq!(order(150).as_deref(), Some("ordered"));
        assert_eq!(order(99), None);
    }

    #[test]
    fn reentry_is_always_once_or_so_long_after_the_last_entry_began() {
        let allowed = |reentry: Value, last: Option<i64>, at: i64| {
            let reentry: Reentry = serde_json::from_value(reentry).unwrap();
            reentry.allows(last.map(Timestamp::from_secs), Timestamp::from_secs(at))
        };
        for reentry in [json!("always"), json!("once"), json!({"after_seconds": 60})] {
            assert!(allowed(reentry, None, 0), "nobody is kept from the first entry");
        }
        assert!(allowed(json!("always"), Some(100), 100));
        assert!(!allowed(json!("once"), Some(100), i64::from(u32::MAX)));
        assert!(!allowed(json!({"after_seconds": 60}), Some(100), 159));
        assert!(!allowed(json!({"after_seconds": 60}), Some(100), 10), "a late event of an earlier time");
        assert!(allowed(json!({"after_seconds": 60}), Some(100), 160));
    }

    #[test]
    fn a_circle_through_one_send_counts_its_visits() {
        let definition = serde_json::from_value(json!({
            "trigger": {"event": "Go"}, "start": "send",
            "nodes": {
                "send": {"type": "send", "template": "t", "next": "wait"},
                "wait": {"type": "wait", "seconds": 60, "next": "again"},
                "again": {"type": "branch", "condition": "x = 1", "yes": "send", "no": "end"},
                "end": {"type": "exit"},
            },
        }))
        .unwrap();
        let journey = Compiled::new("circle", 1, definition).unwrap();
        let at = Timestamp::from_secs(0);
        let mut entry = enter(&journey, "Go", &json!({}), &[], None, at, &|_| "e".to_owned()).unwrap();
        let mut visits = Vec::new();
        for round in 0..3 {
            let now = Timestamp::from_secs(round * 60);
            let step = tick(&journey, &mut entry, now, &mut |_, _| round < 2);
            visits.extend(step.effects.into_iter().filter_map(|effect| match effect {
                Effect::Send { visit, .. } => Some(visit),
                Effect::Decided { .. } => None,
            }));
        }
        assert_eq!(visits, [1, 2]);
        assert_eq!(entry.due_at, None);
    }

    #[test]
    fn a_definition_with_faults_names_each_of_them() {
        let definition = serde_json::from_value(json!({
            "trigger": {"event": "x"}, "start": "a",
            "nodes": {"a": {"type": "branch", "condition": "(((", "yes": "zzzzzz", "no": "sen"}, "send": {"type": "exit"}},
        }))
        .unwrap();
        let error = Compiled::new("j", 1, definition).unwrap_err();
        assert_eq!(error.problems.len(), 3, "{error}");
        assert!(error.to_string().contains("Did you mean 'send'"), "{error}");
    }

    #[test]
    fn a_circle_without_a_wait_is_refused() {
        let definition = serde_json::from_value(json!({
            "trigger": {"event": "x"}, "start": "a",
            "nodes": {
                "a": {"type": "send", "template": "t", "next": "b"},
                "b": {"type": "branch", "condition": "x = 1", "yes": "a", "no": "c"},
                "c": {"type": "exit"},
            },
        }))
        .unwrap();
        assert!(Compiled::new("j", 1, definition).is_err());
    }
}
