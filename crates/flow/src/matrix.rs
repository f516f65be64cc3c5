//! A template for many people at once: real ones, chosen so that every way through it is taken that anybody takes, and made
//! ones with nothing, too much, or what breaks mails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Map, ProfileId, Value, WorkspaceId};
use serde_json::json;
use template::contract::{How, Schema, Use};

use crate::compose::Order;
use crate::contract::Words;
use crate::hot::Hot;
use crate::platform::Platform;
use crate::registry::Registry;
use crate::{Error, RenderRequest};

/// Real people who are tried, those with a triggering event first.
const TRIED_MAX: i64 = 200;
/// Real people who are shown.
const SHOWN_MAX: usize = 12;
/// Items that made people are offered.
const OFFERED: usize = 6;

/// A template as one person gets it.
#[derive(Clone, Debug)]
pub struct PersonView {
    /// What to call them.
    pub name: String,
    /// The profile; none for made people.
    pub profile: Option<ProfileId>,
    /// The first one who gets the very same.
    pub same_as: Option<usize>,
    /// The mail; none when there is an error.
    pub mail: Option<template::Rendered>,
    /// Why there is no mail.
    pub error: Option<String>,
}

/// Somebody whom a template is rendered for.
struct Candidate {
    row: store::ProfileRow,
    hot: Hot,
    data: Value,
}

impl Platform {
    /// Renders a template for people who differ in what they get.
    ///
    /// Cost: up to 200 renders, and a look at the latest triggering events.
    ///
    /// # Errors
    /// `Invalid` with the place when the template cannot be compiled.
    pub async fn people_matrix(
        &self,
        workspace: WorkspaceId,
        id: Option<&str>,
        request: &RenderRequest,
        words: &Words,
    ) -> Result<Vec<PersonView>, Error> {
        let compiled = crate::registry::compile_template(&request.body)?;
        let registry = self.registry(workspace);
        let mut people = self.real_people(workspace, &registry, &compiled, id).await?;
        let schema = self.template_schema(workspace, id, words).await?;
        let uses = template::contract::contract(&compiled, &schema, &[]).uses;
        let items = self.offered_to_anybody(workspace, OFFERED).await?;
        for (name, data) in made(&schema, &uses, &items) {
            let rendered = self.rendered_with(&registry, workspace, &compiled, &data).await;
            people.push(view(name.to_owned(), None, rendered)?);
        }
        let mut first: HashMap<u64, usize> = HashMap::new();
        for (n, person) in people.iter_mut().enumerate() {
            let mail = person.mail.as_ref();
            let content = json!([
                mail.map(|mail| [&mail.subject, &mail.preheader, &mail.html, &mail.text]),
                person.error
            ]);
            let hash = xxhash_rust::xxh3::xxh3_64(content.to_string().as_bytes());
            let of = *first.entry(hash).or_insert(n);
            person.same_as = (of != n).then_some(of);
        }
        Ok(people)
    }

    /// A mail for a made person who has everything that the template looks at.
    pub(crate) async fn sample_mail(
        &self,
        workspace: WorkspaceId,
        compiled: &template::Template,
        schema: &Schema,
        uses: &[Use],
    ) -> Result<template::Rendered, Error> {
        let items = self.offered_to_anybody(workspace, OFFERED).await?;
        let data = person(schema, uses, Fill::Usual, &items);
        self.rendered_with(&self.registry(workspace), workspace, compiled, &data).await
    }

    async fn rendered_with(
        &self,
        registry: &Registry,
        workspace: WorkspaceId,
        compiled: &template::Template,
        data: &Value,
    ) -> Result<template::Rendered, Error> {
        let order = Order {
            message_id: "",
            campaign: "",
            step: "",
            template: compiled,
            hot: None,
            recipient: SOMEONE,
            data,
            now: self.clock.now(),
            keep_ways: false,
        };
        self.render_for(registry, workspace, &order, &mut Vec::new()).await
    }

    /// Those of the latest profiles who take all the ways that any of them takes.
    async fn real_people(
        &self,
        workspace: WorkspaceId,
        registry: &Registry,
        compiled: &template::Template,
        id: Option<&str>,
    ) -> Result<Vec<PersonView>, Error> {
        let mut tried = Vec::new();
        for candidate in self.candidates(workspace, id).await? {
            let order = Order {
                message_id: "",
                campaign: "",
                step: "",
                template: compiled,
                hot: Some((&candidate.row, &candidate.hot)),
                recipient: candidate.row.email.as_deref().unwrap_or_default(),
                data: &candidate.data,
                now: self.clock.now(),
                keep_ways: true,
            };
            let rendered = self.render_for(registry, workspace, &order, &mut Vec::new()).await;
            let mut ways: BTreeSet<String> = BTreeSet::new();
            if let Ok(mail) = &rendered {
                ways.extend(
                    mail.trace.ways.iter().map(|way| format!("{}:{}:{}", way.file, way.tag, way.way)),
                );
                ways.extend(
                    mail.trace.fallbacks.iter().map(|each| format!("default {} {}", each.name, each.place)),
                );
                ways.extend(
                    mail.trace.missing.iter().map(|each| format!("missing {} {}", each.name, each.place)),
                );
            }
            // That there is no mail for somebody is a way, too.
            ways.insert(rendered.as_ref().err().map(Error::to_string).unwrap_or_default());
            let name =
                candidate.hot.profile.display().unwrap_or_else(|| format!("Profile {}", candidate.row.id));
            tried.push((ways, view(name, Some(candidate.row.id), rendered)?));
        }
        let chosen = cover(&tried.iter().map(|(ways, _)| ways).collect::<Vec<_>>(), SHOWN_MAX);
        let mut views: Vec<Option<PersonView>> = tried.into_iter().map(|(_, view)| Some(view)).collect();
        Ok(chosen.into_iter().filter_map(|n| views[n].take()).collect())
    }

    async fn candidates(&self, workspace: WorkspaceId, id: Option<&str>) -> Result<Vec<Candidate>, Error> {
        let mut out = Vec::new();
        let mut known = BTreeSet::new();
        for event in self.template_events(workspace, id) {
            let name = event.replace('\'', "''");
            let sql = format!(
                "SELECT profile_id, properties FROM events WHERE name = '{name}' ORDER BY timestamp DESC LIMIT {TRIED_MAX}"
            );
            let mut latest: Vec<(ProfileId, Value)> = Vec::new();
            for row in self.query(workspace, &sql).await?.rows {
                let Some(id) = row.first().and_then(Value::as_i64).map(ProfileId) else { continue };
                if known.insert(id) {
                    let text = row.get(1).and_then(Value::as_str).unwrap_or_default();
                    latest.push((id, serde_json::from_str(text).unwrap_or_default()));
                }
            }
            let ids: Vec<ProfileId> = latest.iter().map(|(id, _)| *id).collect();
            let mut rows: HashMap<ProfileId, store::ProfileRow> = HashMap::new();
            for row in self.store.load_profiles(&ids).await? {
                rows.insert(row.id, row);
            }
            for (id, event) in latest {
                if let Some(row) = rows.remove(&id).filter(|row| row.workspace == workspace) {
                    out.push(Candidate { hot: Hot::decode(&row.state)?, row, data: json!({"event": event}) });
                }
            }
        }
        // A journey's mail has its event: people without one would show what nobody gets.
        if out.is_empty() {
            for row in self.store.search_profiles(workspace, None, None, 0, TRIED_MAX).await? {
                out.push(Candidate { hot: Hot::decode(&row.state)?, row, data: json!({}) });
            }
        }
        out.truncate(TRIED_MAX as usize);
        Ok(out)
    }
}

fn view(
    name: String,
    profile: Option<ProfileId>,
    rendered: Result<template::Rendered, Error>,
) -> Result<PersonView, Error> {
    let (mail, error) = match rendered {
        Ok(mail) => (Some(mail), None),
        Err(error @ Error::Invalid { .. }) => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(PersonView { name, profile, same_as: None, mail, error })
}

/// Chooses greedily until nobody adds anything: the positions of the chosen, the most telling first.
fn cover(all: &[&BTreeSet<String>], most: usize) -> Vec<usize> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let news = |n: usize| all[n].iter().filter(|way| !seen.contains(way.as_str())).count();
        // The earlier of equals: profiles that were seen lately.
        let best = (0..all.len()).map(|n| (news(n), std::cmp::Reverse(n))).max();
        let Some((1.., std::cmp::Reverse(n))) = best else { break };
        seen.extend(all[n].iter().map(String::as_str));
        chosen.push(n);
    }
    chosen
}

/// How made values are filled.
#[derive(Clone, Copy, PartialEq)]
enum Fill {
    Usual,
    Long,
    Leftwards,
    Emoji,
    Markup,
    EmptyLists,
}

/// Whom made mails are for.
const SOMEONE: &str = "someone@example.com";

fn person(schema: &Schema, uses: &[Use], fill: Fill, items: &[Value]) -> Value {
    let mut data = filled(schema, uses, fill);
    data["customer"]["id"] = json!(0);
    data["customer"]["segments"] = json!([]);
    data["customer"]["email"] = json!(SOMEONE);
    data["site"] = json!({"recommendations": {"0": items}});
    data
}

fn made(schema: &Schema, uses: &[Use], items: &[Value]) -> Vec<(&'static str, Value)> {
    let person = |fill, items: &[Value]| person(schema, uses, fill, items);
    let marked: Vec<Value> = items.iter().map(marked).collect();
    vec![
        ("Everything missing", json!({"customer": {"id": 0, "segments": [], "email": SOMEONE}})),
        ("Names of 200 characters", person(Fill::Long, items)),
        ("Written from right to left", person(Fill::Leftwards, items)),
        ("Emoji", person(Fill::Emoji, items)),
        ("Quotes and markup in every value", person(Fill::Markup, &marked)),
        ("No recommendations", person(Fill::Usual, &[])),
        ("Empty lists", person(Fill::EmptyLists, &[])),
    ]
}

const MARKUP: &str = "\"><b>O'Neil</b> & Söhne {{ 7 | times: 6 }} <!--";

/// An item whose texts are markup.
fn marked(item: &Value) -> Value {
    match item {
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), marked(value))).collect::<Map>().into()
        }
        Value::String(_) => json!(MARKUP),
        other => other.clone(),
    }
}

fn text(fill: Fill, name: &str) -> String {
    let is_address = ["url", "link", "href", "image", "src"].iter().any(|part| name.contains(part));
    match fill {
        Fill::Markup => MARKUP.to_owned(),
        _ if is_address => "https://shop.example/item".to_owned(),
        Fill::Long => "Wolfeschlegelsteinhausenbergerdorff ".chars().cycle().take(200).collect(),
        Fill::Leftwards => "محمد عبد الرحمن".to_owned(),
        Fill::Emoji => "👩🏽‍🚀 Zoë 🇧🇷".to_owned(),
        Fill::Usual | Fill::EmptyLists => "Sample".to_owned(),
    }
}

/// Values for the paths that a template uses, by their types.
fn filled(schema: &Schema, uses: &[Use], fill: Fill) -> Value {
    let mut paths: BTreeMap<&str, bool> = BTreeMap::new();
    for each in uses {
        *paths.entry(&each.path).or_default() |= each.how == How::Looped;
    }
    let mut data = json!({});
    for (path, looped) in paths {
        let root = path.split(['.', '[']).next().unwrap_or(path);
        if matches!(root, "site" | "workspace" | "links" | "message") {
            continue;
        }
        let kind = schema.paths.get(path).and_then(|known| known.value_type);
        let name = path.rsplit('.').next().unwrap_or(path);
        let value = match (kind, looped) {
            (Some("number"), _) => json!(42),
            (Some("bool"), _) => json!(true),
            (Some("date"), _) => json!("2026-03-01T09:30:00Z"),
            (Some("list"), _) | (None, true) if fill == Fill::EmptyLists => json!([]),
            (Some("list"), _) | (None, true) => json!([text(fill, name), text(fill, name)]),
            _ => json!(text(fill, name)),
        };
        let steps: Vec<&str> = path.split('.').collect();
        put(&mut data, &steps, value, fill);
    }
    data
}

/// Puts a value at a path, making what is on the way; parts win over what was put at the whole.
fn put(at: &mut Value, steps: &[&str], value: Value, fill: Fill) {
    let Some((step, rest)) = steps.split_first() else {
        if !at.is_object() && !at.as_array().is_some_and(|list| list.iter().any(Value::is_object)) {
            *at = value;
        }
        return;
    };
    let (name, lists) = (step.trim_end_matches("[]"), step.matches("[]").count());
    if !at.is_object() {
        *at = json!({});
    }
    let mut place = &mut at[name];
    if lists == 0 {
        return put(place, rest, value, fill);
    }
    if fill == Fill::EmptyLists {
        *place = json!([]);
        return;
    }
    for _ in 1..lists {
        if !place.is_array() {
            *place = json!([null]);
        }
        place = &mut place[0];
    }
    if place.as_array().is_none_or(|list| list.len() != 2) {
        *place = json!([null, null]);
    }
    for item in place.as_array_mut().into_iter().flatten() {
        put(item, rest, value.clone(), fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_chosen_until_nobody_shows_anything_new() {
        let of = |ways: &[&str]| ways.iter().map(|way| (*way).to_owned()).collect::<BTreeSet<_>>();
        let all = [of(&["a"]), of(&["a", "b"]), of(&["c"]), of(&["b"]), of(&["a", "b"])];
        let all: Vec<&BTreeSet<String>> = all.iter().collect();
        assert_eq!(cover(&all, 9), [1, 2]);
        assert_eq!(cover(&all, 1), [1]);
        assert_eq!(cover(&[], 9), [0; 0]);
    }

    #[test]
    fn made_values_stand_where_the_template_looks_for_them() {
        let mut data = json!({});
        for (path, value) in [
            ("event.list", json!(["x", "x"])),
            ("event.list[].name", json!("n")),
            ("event.list[].tags[]", json!("t")),
        ] {
            put(&mut data, &path.split('.').collect::<Vec<_>>(), value, Fill::Usual);
        }
        let item = json!({"name": "n", "tags": ["t", "t"]});
        assert_eq!(data, json!({"event": {"list": [item, item]}}));
    }
}
