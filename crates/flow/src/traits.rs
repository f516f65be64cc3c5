//! Traits as definitions: named figures, checked, previewed, put in force, and given to whoever asks for a profile.
//!
//! A trait's value is computed from features when it is asked for, so it is true at that instant; nothing is emitted
//! when it changes. Memberships that depend on it change in time, and those changes are events.

use std::collections::BTreeMap;

use expr::Figure;
use model::{ProfileId, Timestamp, Value, WorkspaceId};
use segment::Trait;
use store::DefinitionRow;

use crate::Error;
use crate::error::Problem;
use crate::hot::{Facts, Hot};
use crate::platform::Platform;
use crate::registry::Registry;
use crate::segments::{DefinitionKind, problem};

/// Who wrote the trait that ships.
pub const SHIPPED: &str = "shipped";
/// Traits of one workspace.
const TRAITS_MAX: usize = 200;
/// Characters of a trait's name.
const NAME_MAX: usize = 64;
/// Bars of a distribution.
const BINS_MAX: usize = 12;
/// Profiles of a sample.
const SAMPLE_MAX: usize = 10;
/// Different values of a distribution that are told apart.
const VALUES_MAX: usize = 12;

/// A trait in force.
#[derive(Clone, Debug)]
pub struct TraitInForce {
    /// What its value is.
    pub figure: Figure,
    /// What it is for.
    pub description: String,
    /// Its version; 0 for the one that ships.
    pub version: i64,
    /// When it was last changed.
    pub at: Option<Timestamp>,
}

/// How the values of a figure are spread over the profiles.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// Profiles that have a value.
    pub count: usize,
    /// Profiles that have none.
    pub missing: usize,
    /// The lowest value.
    pub min: Option<Value>,
    /// The value in the middle.
    pub median: Option<Value>,
    /// The highest value.
    pub max: Option<Value>,
    /// Bars from the lowest to the highest value; of texts the most frequent ones.
    pub bins: Vec<Bin>,
    /// Some profiles with their values, the highest first.
    pub sample: Vec<(ProfileId, Value)>,
}

/// A bar: so many profiles from one value to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// The lowest.
    pub from: Value,
    /// The highest; of the last bar included.
    pub to: Value,
    /// How many profiles.
    pub count: usize,
}

/// The outcome of checking a figure.
#[derive(Clone, Debug)]
pub struct FigureCheck {
    /// It can be saved.
    pub ok: bool,
    /// What must be corrected.
    pub errors: Vec<Problem>,
    /// In plain English.
    pub sentence: String,
    /// The tree.
    pub json: Value,
    /// number, date, or empty when the property decides.
    pub value_type: &'static str,
}

/// What a trait's document says.
fn figure_of(row: &DefinitionRow) -> Result<(Figure, String), Error> {
    let body: Value = serde_json::from_str(&row.body).map_err(|error| Error::Corrupt(error.to_string()))?;
    let figure = parse(body["figure"].as_str().unwrap_or_default())?;
    Ok((figure, body["description"].as_str().unwrap_or_default().to_owned()))
}

fn parse(text: &str) -> Result<Figure, Error> {
    expr::parse_figure(text).map_err(|error| Error::Invalid {
        code: "invalid_figure",
        detail: error.to_string(),
        problems: vec![problem("/figure", &error)],
    })
}

/// The traits of a workspace, with the one that ships unless it is defined otherwise.
pub(crate) fn in_force(rows: Vec<DefinitionRow>) -> Result<BTreeMap<String, TraitInForce>, Error> {
    let shipped = segment::score::definition();
    let description = "How engaged somebody is, from 0 to 100: opens, clicks, visits and orders.".to_owned();
    let shipped_trait = TraitInForce { figure: shipped.figure, description, version: 0, at: None };
    let mut traits = BTreeMap::from([(shipped.name, shipped_trait)]);
    for row in rows {
        let (figure, description) = figure_of(&row)?;
        traits.insert(row.id, TraitInForce { figure, description, version: row.version, at: Some(row.at) });
    }
    Ok(traits)
}

/// The traits as the engine takes them.
pub(crate) fn compiled(traits: &BTreeMap<String, TraitInForce>) -> Vec<Trait> {
    let one =
        |(name, known): (&String, &TraitInForce)| Trait { name: name.clone(), figure: known.figure.clone() };
    traits.iter().map(one).collect()
}

/// What each trait is for a profile now; nothing where it has no value.
pub(crate) fn values(registry: &Registry, hot: &Hot, now: Timestamp) -> BTreeMap<String, Option<Value>> {
    let facts = Facts { profile: &hot.profile, zone: &registry.zone };
    let all = registry.engine.trait_values(&hot.segments, &facts, now);
    all.into_iter().map(|each| (each.name, each.value)).collect()
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Platform {
    /// Checks a figure's text.
    pub fn check_figure(&self, workspace: WorkspaceId, text: &str) -> FigureCheck {
        let checked = expr::check_figure_text(text, &self.registry(workspace).schema());
        let figure = checked.figure.as_ref();
        FigureCheck {
            ok: checked.errors.is_empty(),
            errors: checked.errors.iter().map(|error| problem("/figure", error)).collect(),
            sentence: figure.map(expr::describe_figure).unwrap_or_default(),
            json: figure.and_then(|f| serde_json::from_str(&f.to_json()).ok()).unwrap_or_default(),
            value_type: figure.map_or("", Figure::value_type),
        }
    }

    /// Whether a trait can be put in force: its name, its figure, and the conditions that ask for it.
    pub(crate) fn check_trait(&self, workspace: WorkspaceId, row: &DefinitionRow) -> Result<(), Error> {
        let name = row.id.as_str();
        let refuse = |message: String| Err(Error::invalid("invalid_name", "/name", message));
        if !is_name(name) || row.name != name {
            return refuse(format!(
                "A trait's name is written in small letters, digits and underscores and begins with a letter, as in total_spent; \
                 at most {NAME_MAX} characters."
            ));
        }
        if ["id", "email", "timezone", "segments"].contains(&name) || name.starts_with("rfm_") {
            return refuse(format!(
                "The name '{name}' is taken: the platform gives it a meaning of its own."
            ));
        }
        if expr::parse(&format!("{name} is present")).is_err() {
            return refuse(format!("'{name}' is a word of the condition language: take another."));
        }
        let registry = self.registry(workspace);
        if registry.types.contains_key(name) {
            return refuse(format!("An attribute '{name}' is declared in the settings: take another name."));
        }
        if registry.traits.len() >= TRAITS_MAX && !registry.traits.contains_key(name) {
            return refuse(format!("A workspace has at most {TRAITS_MAX} traits: delete one first."));
        }
        let (figure, _) = figure_of(row)?;
        let check = self.check_figure(workspace, &figure.to_string());
        if let Some(first) = check.errors.first() {
            let detail = first.message.clone();
            return Err(Error::Invalid { code: "invalid_figure", detail, problems: check.errors });
        }
        // A figure of another type may contradict conditions in force.
        let mut schema = registry.schema();
        schema.attributes.retain(|(known, _)| known != name);
        schema.attributes.push((name.to_owned(), figure.value_type().to_owned()));
        let misfits: Vec<Problem> = registry
            .misfits(&schema)
            .into_iter()
            .flat_map(|(of, errors)| errors.into_iter().map(move |error| (of.clone(), error)))
            .map(|(of, error)| Problem {
                path: "/figure".to_owned(),
                message: format!("In {of}: {}. Change the condition first.", error.message),
                ..Problem::default()
            })
            .collect();
        match misfits.first() {
            None => Ok(()),
            Some(first) => {
                let detail = first.message.clone();
                Err(Error::Invalid { code: "trait_in_use", detail, problems: misfits })
            }
        }
    }

    /// The segments and journeys whose conditions ask for a trait: (kind, id, name).
    pub fn trait_used_by(&self, workspace: WorkspaceId, name: &str) -> Vec<(&'static str, String, String)> {
        let registry = self.registry(workspace);
        let asks = |text: &str| {
            expr::parse(text).is_ok_and(|condition| {
                condition.leaves().iter().any(|leaf| match leaf {
                    expr::Condition::Attribute { path, .. } => path.dotted() == name,
                    _ => false,
                })
            })
        };
        let segments = registry.segments.iter().filter(|(_, segment)| asks(&segment.condition));
        let mut out: Vec<_> = segments.map(|(id, each)| ("segment", id.clone(), each.name.clone())).collect();
        for (id, journey) in &registry.journeys {
            let mut all = journey.former.values().chain([&journey.compiled]);
            if all.any(|compiled| compiled.conditions().any(|(_, text)| asks(text))) {
                out.push(("journey", id.clone(), journey.name.clone()));
            }
        }
        out
    }

    /// Takes a trait out of force; a redefined `engagement_score` becomes again what it ships as.
    ///
    /// # Errors
    /// `Missing` when the workspace defines none of this name; `Invalid` while a condition asks for it.
    pub async fn delete_trait(&self, workspace: WorkspaceId, name: &str, author: &str) -> Result<(), Error> {
        let ships = name == segment::score::NAME;
        if ships && self.definition(workspace, DefinitionKind::Trait, name).await?.is_none() {
            let message = format!("'{name}' ships with every workspace: define it otherwise, or leave it.");
            return Err(Error::invalid("trait_ships", "/id", message));
        }
        let used = self.trait_used_by(workspace, name);
        if let Some((kind, id, by)) = used.first().filter(|_| !ships) {
            let message = format!("The {kind} '{by}' ({id}) asks for '{name}': change it first.");
            return Err(Error::invalid("trait_in_use", "/id", message));
        }
        self.delete_definition(workspace, DefinitionKind::Trait, name, author).await
    }

    /// How a figure's values would be spread, over all history and all profiles.
    ///
    /// # Errors
    /// `Invalid` with the place of each fault.
    pub async fn preview_figure(&self, workspace: WorkspaceId, text: &str) -> Result<Distribution, Error> {
        let figure = parse(text)?;
        let registry = self.registry(workspace);
        let problems = expr::check_figure(&figure, &registry.schema());
        if let Some(fault) = problems.into_iter().find(|problem| problem.fatal) {
            return Err(Error::invalid("invalid_figure", "/figure", fault.message));
        }
        let mut survey = segment::Survey::new(&figure, self.clock.now())
            .map_err(|error| Error::invalid("invalid_figure", "/figure", error.to_string()))?;
        self.lake_caught_up().await;
        let rows = self.every_profile(workspace).await?;
        let lake = self.lake.clone();
        tokio::task::spawn_blocking(move || {
            lake.scan(workspace.0, &survey.events(), i64::MAX, true, &mut |row| {
                survey.feed(row.profile_id, row.name, row.timestamp, row.properties);
            })?;
            let values = rows.iter().map(|(id, hot)| {
                let facts = Facts { profile: &hot.profile, zone: &registry.zone };
                (*id, survey.value(id.0, &facts))
            });
            Ok(distribution(values.collect()))
        })
        .await
        .map_err(|error| Error::Bug(error.to_string()))?
    }

    async fn every_profile(&self, workspace: WorkspaceId) -> Result<Vec<(ProfileId, Hot)>, Error> {
        let mut out = Vec::new();
        let mut after = ProfileId(0);
        loop {
            let rows = self.store.scan_profiles(workspace, after, 5_000).await?;
            let Some(last) = rows.last() else { return Ok(out) };
            after = last.id;
            for row in &rows {
                out.push((row.id, Hot::decode(&row.state)?));
            }
        }
    }

    /// How the values of the traits in force are spread over the first profiles, at most `profiles_max`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn trait_distributions(
        &self,
        workspace: WorkspaceId,
        profiles_max: usize,
    ) -> Result<BTreeMap<String, Distribution>, Error> {
        let registry = self.registry(workspace);
        let now = self.clock.now();
        let mut values: BTreeMap<String, Vec<(ProfileId, Option<Value>)>> =
            registry.traits.keys().map(|name| (name.clone(), Vec::new())).collect();
        let (mut after, mut asked) = (ProfileId(0), 0);
        while asked < profiles_max {
            let many = (profiles_max - asked).min(2_000);
            let rows = self.store.scan_profiles(workspace, after, many as i64).await?;
            let Some(last) = rows.last() else { break };
            (after, asked) = (last.id, asked + rows.len());
            for row in &rows {
                let hot = Hot::decode(&row.state)?;
                let facts = Facts { profile: &hot.profile, zone: &registry.zone };
                for each in registry.engine.trait_values(&hot.segments, &facts, now) {
                    values.entry(each.name).or_default().push((row.id, each.value));
                }
            }
        }
        Ok(values.into_iter().map(|(name, values)| (name, distribution(values))).collect())
    }
}

/// A value on a line: a number, or the instant that a date names.
fn place(value: &Value) -> Option<f64> {
    let instant = |text: &str| Timestamp::parse(text).map(|at| at.micros() as f64);
    value.as_f64().or_else(|| value.as_str().and_then(instant))
}

fn distribution(values: Vec<(ProfileId, Option<Value>)>) -> Distribution {
    let total = values.len();
    let mut known: Vec<(ProfileId, Value)> =
        values.into_iter().filter_map(|(id, value)| value.map(|value| (id, value))).collect();
    let mut out =
        Distribution { count: known.len(), missing: total - known.len(), ..Distribution::default() };
    let places: Option<Vec<f64>> = known.iter().map(|(_, value)| place(value)).collect();
    match places {
        Some(places) if !places.is_empty() => {
            let mut order: Vec<usize> = (0..known.len()).collect();
            order.sort_by(|left, right| places[*left].total_cmp(&places[*right]));
            let at = |place: usize| known[order[place]].1.clone();
            out.min = Some(at(0));
            out.median = Some(at((order.len() - 1) / 2));
            out.max = Some(at(order.len() - 1));
            let sorted: Vec<f64> = order.iter().map(|at| places[*at]).collect();
            let dates = known[0].1.is_string();
            out.bins = bins(&sorted, dates);
            out.sample = order.iter().rev().take(SAMPLE_MAX).map(|at| known[*at].clone()).collect();
        }
        _ => {
            let mut tally: BTreeMap<String, (usize, Value)> = BTreeMap::new();
            for (_, value) in &known {
                tally.entry(value.to_string()).or_insert_with(|| (0, value.clone())).0 += 1;
            }
            let mut tally: Vec<(usize, Value)> = tally.into_values().collect();
            tally.sort_by_key(|(many, _)| std::cmp::Reverse(*many));
            let bin = |(count, value): (usize, Value)| Bin { from: value.clone(), to: value, count };
            out.bins = tally.into_iter().take(VALUES_MAX).map(bin).collect();
            known.truncate(SAMPLE_MAX);
            out.sample = known;
        }
    }
    out
}

/// Bars of equal width; of few whole numbers one bar each.
fn bins(sorted: &[f64], dates: bool) -> Vec<Bin> {
    let (Some(low), Some(high)) = (sorted.first().copied(), sorted.last().copied()) else {
        return Vec::new();
    };
    let whole = !dates && sorted.iter().all(|value| value.fract() == 0.0);
    let value = |number: f64| -> Value {
        if dates {
            return Timestamp::from_micros(number as i64).to_string().into();
        }
        if number.fract() == 0.0 && number.abs() < 9e15 { (number as i64).into() } else { number.into() }
    };
    if whole && high - low < BINS_MAX as f64 {
        let numbers = (0..=(high - low) as i64).map(|step| low + step as f64);
        let many = |number: f64| sorted.iter().filter(|each| **each == number).count();
        return numbers.map(|n| Bin { from: value(n), to: value(n), count: many(n) }).collect();
    }
    if low == high {
        return vec![Bin { from: value(low), to: value(high), count: sorted.len() }];
    }
    let mut width = (high - low) / BINS_MAX as f64;
    if whole {
        width = width.ceil();
    }
    let mut out: Vec<Bin> = Vec::new();
    let mut begin = 0;
    for step in 0..BINS_MAX {
        let from = low + width * step as f64;
        if from > high {
            break;
        }
        let last = step + 1 == BINS_MAX || from + width > high;
        let to = if last { high.max(from) } else { from + width };
        let end = if last { sorted.len() } else { sorted.partition_point(|each| *each < to) };
        out.push(Bin { from: value(from), to: value(to), count: end - begin });
        begin = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spread(values: Vec<Value>) -> Distribution {
        let one = |(id, value): (usize, Value)| (ProfileId(id as i64), Some(value).filter(|v| !v.is_null()));
        distribution(values.into_iter().enumerate().map(one).collect())
    }

    #[test]
    fn every_profile_stands_in_one_bar_and_the_middle_is_a_value_that_somebody_has() {
        let found = spread((0..1_000).map(|n| json!(f64::from(n) / 7.0)).chain([Value::Null]).collect());
        assert_eq!((found.count, found.missing), (1_000, 1));
        assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<usize>(), 1_000);
        assert_eq!(found.bins.len(), BINS_MAX);
        assert_eq!(found.median, Some(json!(499.0 / 7.0)));
        assert_eq!(found.sample[0].1, json!(999.0 / 7.0));
    }

    #[test]
    fn few_whole_numbers_get_a_bar_each_and_texts_are_counted() {
        let found = spread(vec![json!(0), json!(3), json!(3), json!(1)]);
        let counts: Vec<usize> = found.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [1, 1, 0, 2]);
        let found = spread(vec![json!("b"), json!("a"), json!("b")]);
        assert_eq!((found.bins[0].from.clone(), found.bins[0].count), (json!("b"), 2));
        let found = spread(vec![json!("2026-01-01T00:00:00Z"), json!("2026-03-01T00:00:00Z")]);
        assert_eq!(found.max, Some(json!("2026-03-01T00:00:00Z")));
        assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<usize>(), 2);
        assert!(spread(vec![]).bins.is_empty());
    }
}
