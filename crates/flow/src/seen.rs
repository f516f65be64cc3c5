//! What has been seen: properties of events and attributes of profiles with their types, how many have them, and their most
//! frequent values. Bounded in rows read and values kept; for suggestions, not for counting.

use std::collections::{BTreeMap, HashMap};

use model::{Map, ProfileId, Value, WorkspaceId};

use crate::Error;
use crate::hot::Hot;
use crate::platform::Platform;

/// Events of one name that are looked at, the latest.
const EVENTS_MAX: usize = 2_000;
/// Profiles that are looked at.
const PROFILES_MAX: usize = 20_000;
/// Profiles of one chunk.
const CHUNK: i64 = 5_000;
/// Names that are kept.
const NAMES_MAX: usize = 500;
/// Different values of a name that are told apart.
const VALUES_MAX: usize = 400;
/// Values of a name that are offered.
const OFFERED_MAX: usize = 25;
/// Characters of a text that is worth offering.
const TEXT_MAX: usize = 80;
/// Elements of a list that are looked at.
const ELEMENTS_MAX: usize = 50;
/// Levels of objects in objects.
const DEPTH_MAX: usize = 3;

/// A name with what it held.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The name as the condition language writes it, dotted for fields of objects.
    pub name: String,
    /// text, number, bool, date or list; what most of its values are.
    pub kind: &'static str,
    /// How many have it.
    pub count: usize,
    /// Its most frequent values with how often they were there.
    pub values: Vec<(Value, usize)>,
    /// What the objects of a list have.
    pub elements: Vec<Seen>,
}

/// What was looked at, and what was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Events or profiles that were looked at.
    pub of: usize,
    /// The names, those most have first.
    pub names: Vec<Seen>,
    /// Purposes and topics somebody spoke of.
    pub topics: Vec<String>,
}

#[derive(Default)]
struct Tally {
    count: usize,
    kinds: HashMap<&'static str, usize>,
    values: HashMap<String, (Value, usize)>,
    elements: Names,
}

#[derive(Default)]
struct Names(BTreeMap<Vec<String>, Tally>);

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Array(_) => "list",
        Value::String(_) if expr::instant_of(value, &jiff::tz::TimeZone::UTC).is_some() => "date",
        _ => "text",
    }
}

impl Tally {
    fn offer(&mut self, value: &Value) {
        let fits = match value {
            Value::String(text) => !text.is_empty() && text.chars().nth(TEXT_MAX).is_none(),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        let key = value.to_string();
        if fits && (self.values.len() < VALUES_MAX || self.values.contains_key(&key)) {
            self.values.entry(key).or_insert_with(|| (value.clone(), 0)).1 += 1;
        }
    }

    fn seen(self, path: Vec<String>) -> Option<Seen> {
        let name = expr::Path::new(path)?.to_string();
        let kind =
            self.kinds.into_iter().max_by_key(|(kind, many)| (*many, *kind)).map_or("text", |(kind, _)| kind);
        let mut values: Vec<(Value, usize)> = self.values.into_values().collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.to_string().cmp(&b.0.to_string())));
        // Names and addresses of people, numbers of orders, amounts and instants are nobody's suggestion.
        let different = values.len() > 1 && values.first().is_some_and(|(_, most)| *most == 1);
        if different || kind == "date" || (kind == "number" && values.len() > OFFERED_MAX) {
            values.clear();
        }
        values.truncate(OFFERED_MAX);
        Some(Seen { name, kind, count: self.count, values, elements: self.elements.seen() })
    }
}

impl Names {
    fn take(&mut self, map: &Map, path: &mut Vec<String>) {
        for (name, value) in map {
            if value.is_null() || name.is_empty() {
                continue;
            }
            path.push(name.clone());
            match value {
                Value::Object(inner) if path.len() < DEPTH_MAX => self.take(inner, path),
                Value::Object(_) => {}
                _ if self.0.len() < NAMES_MAX || self.0.contains_key(path) => {
                    let tally = self.0.entry(path.clone()).or_default();
                    tally.count += 1;
                    *tally.kinds.entry(kind_of(value)).or_default() += 1;
                    match value {
                        Value::Array(list) => {
                            for element in list.iter().take(ELEMENTS_MAX) {
                                match element {
                                    Value::Object(inner) => tally.elements.take(inner, &mut Vec::new()),
                                    other => tally.offer(other),
                                }
                            }
                        }
                        other => tally.offer(other),
                    }
                }
                _ => {}
            }
            path.pop();
        }
    }

    fn seen(self) -> Vec<Seen> {
        let mut out: Vec<Seen> = self.0.into_iter().filter_map(|(path, tally)| tally.seen(path)).collect();
        out.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        out
    }
}

impl Platform {
    /// The properties of an event, from its latest occurrences; a name that ends with `*` is all names that begin so.
    ///
    /// # Errors
    /// When the lake does not answer.
    pub async fn properties_seen(&self, workspace: WorkspaceId, event: &str) -> Result<Sight, Error> {
        let quoted = |text: &str| text.replace('\'', "''");
        let test = match event.strip_suffix('*') {
            Some(beginning) => {
                let beginning = quoted(beginning);
                format!("name >= '{beginning}' AND name < '{beginning}{}'", char::MAX)
            }
            None => format!("name = '{}'", quoted(event)),
        };
        let sql =
            format!("SELECT properties FROM events WHERE {test} ORDER BY timestamp DESC LIMIT {EVENTS_MAX}");
        let answer = self.query(workspace, &sql).await?;
        let mut names = Names::default();
        for row in &answer.rows {
            let text = row.first().and_then(Value::as_str).unwrap_or_default();
            if let Ok(Value::Object(map)) = serde_json::from_str(text) {
                names.take(&map, &mut Vec::new());
            }
        }
        Ok(Sight { of: answer.rows.len(), names: names.seen(), topics: Vec::new() })
    }

    /// The attributes of profiles, or of the members of a segment, and the purposes and topics they spoke of. Declared types
    /// stand before seen ones.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn attributes_seen(
        &self,
        workspace: WorkspaceId,
        segment: Option<&str>,
    ) -> Result<Sight, Error> {
        let mut names = Names::default();
        let mut topics = BTreeMap::<String, usize>::new();
        let mut of = 0;
        let mut after = ProfileId(0);
        while of < PROFILES_MAX {
            let rows = match segment {
                Some(_) => self.store.search_profiles(workspace, None, segment, of as i64, CHUNK).await?,
                None => self.store.scan_profiles(workspace, after, CHUNK).await?,
            };
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in &rows {
                let hot = Hot::decode(&row.state)?;
                of += 1;
                names.take(&hot.profile.values(), &mut Vec::new());
                for topic in hot.profile.consents.keys() {
                    *topics.entry(topic.clone()).or_default() += 1;
                }
            }
        }
        let types = &self.registry(workspace).types;
        let mut names = names.seen();
        for (name, declared) in types {
            match names.iter_mut().find(|seen| seen.name == *name) {
                Some(seen) => seen.kind = declared.name(),
                None => names.push(Seen {
                    name: name.clone(),
                    kind: declared.name(),
                    count: 0,
                    values: Vec::new(),
                    elements: Vec::new(),
                }),
            }
        }
        let mut topics: Vec<(String, usize)> = topics.into_iter().collect();
        topics.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(Sight { of, names, topics: topics.into_iter().map(|(topic, _)| topic).take(NAMES_MAX).collect() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(all: &[Value]) -> Vec<Seen> {
        let mut names = Names::default();
        for one in all {
            names.take(one.as_object().unwrap(), &mut Vec::new());
        }
        names.seen()
    }

    #[test]
    fn names_come_with_type_how_many_have_them_and_their_most_frequent_values() {
        let all = seen(&[
            json!({"city": "Dhaka", "age": 30, "at": "2026-01-01T10:00:00Z"}),
            json!({"city": "Paris", "age": 31, "gone": null}),
            json!({"city": "Paris"}),
        ]);
        let facts: Vec<_> = all.iter().map(|each| (each.name.as_str(), each.kind, each.count)).collect();
        assert_eq!(facts, [("city", "text", 3), ("age", "number", 2), ("at", "date", 1)]);
        assert_eq!(all[0].values, [(json!("Paris"), 2), (json!("Dhaka"), 1)]);
    }

    #[test]
    fn fields_of_objects_are_paths_and_lists_of_objects_have_elements() {
        let all = seen(&[json!({
            "address": {"post code": "1"},
            "products": [{"category": "Shoes"}, {"category": "Shoes", "price": 5}],
            "tags": ["a", "b", "a"],
        })]);
        let names: Vec<_> = all.iter().map(|each| each.name.as_str()).collect();
        assert_eq!(names, ["address.`post code`", "products", "tags"]);
        assert_eq!(all[1].kind, "list");
        assert_eq!((all[1].elements[0].name.as_str(), all[1].elements[0].count), ("category", 2));
        assert_eq!(all[2].values, [(json!("a"), 2), (json!("b"), 1)]);
    }

    #[test]
    fn texts_that_nobody_shares_are_not_offered() {
        let all = seen(&[json!({"email": "a@x.example"}), json!({"email": "b@x.example"})]);
        assert!(all[0].values.is_empty(), "{:?}", all[0].values);
    }
}
