//! Fitting: interactions become neighbours of items, visits, properties, demand, and the order of the newest.

use std::collections::{BTreeMap, HashMap};

use model::Timestamp;

use crate::content::Content;
use crate::neighbour::{self, Rows};
use crate::session::{PAUSE_MICROS, Visits};
use crate::{Action, Interaction, Item, SEQUENCE_MAX, TRENDING_MICROS, Weights};

/// Demand halves with this age. Units: microseconds.
const DEMAND_HALF_LIFE: f64 = 10.0 * model::time::DAY as f64;
/// Items that are kept of a group's demand.
const GROUP_ITEMS_MAX: usize = 200;

/// Profiles whose demand is counted of its own: a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id, as requests name it.
    pub id: String,
    /// What people call it; used in reasons.
    pub name: String,
    /// Its profiles, in ascending order.
    pub members: Vec<i64>,
}

/// A fitted model. Cost: up to 400 neighbours of 8 bytes for each item, and 8 bytes for each interaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub(crate) items: Vec<Item>,
    pub(crate) index: HashMap<String, u32>,
    /// Categories as numbers; `u32::MAX` for none.
    pub(crate) categories: Vec<u32>,
    /// Neighbours of each item, strongest first.
    pub(crate) follows: Rows<(u32, f32)>,
    pub(crate) knn: Rows<(u32, f32)>,
    pub(crate) visits: Visits,
    pub(crate) content: Content,
    /// Profiles that did something with each item.
    pub(crate) wanted: Vec<u32>,
    /// Items in demand, strongest first.
    pub(crate) trending: Vec<(u32, f32)>,
    /// The same for each group, with its name.
    pub(crate) groups: BTreeMap<String, (String, Vec<(u32, f32)>)>,
    /// All items, newest first.
    pub(crate) newest: Vec<u32>,
    pub(crate) weights: Weights,
    pub(crate) at: Timestamp,
}

/// An item's place in the catalogue, as the sequence holds it.
struct Step {
    profile: i64,
    at: Timestamp,
    item: u32,
    action: Action,
}

impl Model {
    /// Fits a model as of `now`. Interactions with items that are not in `catalogue`, or after `now`, are left out.
    ///
    /// Cost: sorting the interactions, then 16 additions for each, and for each as many as its profile has items.
    pub fn fit<'a>(
        interactions: impl IntoIterator<Item = Interaction<'a>>,
        catalogue: impl IntoIterator<Item = Item>,
        now: Timestamp,
    ) -> Model {
        Model::fit_groups(interactions, catalogue, &[], now)
    }

    /// As `fit`, and counts the demand of each group.
    pub fn fit_groups<'a>(
        interactions: impl IntoIterator<Item = Interaction<'a>>,
        catalogue: impl IntoIterator<Item = Item>,
        groups: &[Group],
        now: Timestamp,
    ) -> Model {
        let mut items: Vec<Item> = catalogue.into_iter().collect();
        items.sort_by(|a, b| {
            (&a.id, &a.name, &a.category, &a.attributes).cmp(&(&b.id, &b.name, &b.category, &b.attributes))
        });
        items.dedup_by(|later, first| later.id == first.id);
        let index: HashMap<String, u32> =
            items.iter().enumerate().map(|(number, item)| (item.id.clone(), number as u32)).collect();
        let mut steps: Vec<Step> = interactions
            .into_iter()
            .filter(|interaction| interaction.at <= now)
            .filter_map(|Interaction { profile, item, action, at }| {
                Some(Step { profile, at, item: *index.get(item)?, action })
            })
            .collect();
        steps.sort_unstable_by_key(|step| (step.profile, step.at, step.item, step.action));
        let of_group = |group: &Group| {
            let recent = recent(&steps, now)
                .filter(|step| group.members.binary_search(&step.profile).is_ok())
                .collect();
            let mut demand = demand(recent, items.len(), now);
            demand.truncate(GROUP_ITEMS_MAX);
            (group.id.clone(), (group.name.clone(), demand))
        };
        let groups = groups.iter().map(of_group).collect();
        let trending = demand(recent(&steps, now).collect(), items.len(), now);
        let sequences = sequences(&steps);
        let mut wanted = vec![0_u32; items.len()];
        for sequence in &sequences {
            let mut own = sequence.clone();
            own.sort_unstable();
            own.dedup();
            for item in own {
                wanted[item as usize] += 1;
            }
        }
        let mut newest: Vec<u32> = (0..items.len() as u32).collect();
        newest.sort_by_key(|n| (std::cmp::Reverse(items[*n as usize].created_at), *n));
        Model {
            categories: categories(&items),
            follows: neighbour::follows(&sequences, items.len()),
            knn: neighbour::knn(&sequences, items.len()),
            visits: Visits::new(visits(&steps).into_iter(), items.len()),
            content: Content::new(&items, &wanted),
            items,
            index,
            wanted,
            trending,
            groups,
            newest,
            weights: Weights::default(),
            at: now,
        }
    }

    /// The same with other weights.
    pub fn with_weights(self, weights: Weights) -> Model {
        Model { weights, ..self }
    }

    /// What each signal counts.
    pub fn weights(&self) -> Weights {
        self.weights
    }

    /// Items it knows.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it knows no item.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What follows on an item, strongest first.
    pub fn following(&self, item: &str) -> Vec<(&str, f32)> {
        let Some(number) = self.index.get(item) else { return Vec::new() };
        let row = self.follows.row(*number).iter();
        row.map(|(other, weight)| (self.items[*other as usize].id.as_str(), *weight)).collect()
    }
}

fn categories(items: &[Item]) -> Vec<u32> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    items
        .iter()
        .map(|item| match item.category.as_deref() {
            None | Some("") => u32::MAX,
            Some(category) => {
                let next = numbers.len() as u32;
                *numbers.entry(category).or_insert(next)
            }
        })
        .collect()
}

fn recent(steps: &[Step], now: Timestamp) -> impl Iterator<Item = &Step> {
    let from = now - TRENDING_MICROS;
    steps.iter().filter(move |step| step.at > from)
}

/// Demand: a profile counts once for an item, by its strongest and latest interaction.
fn demand(mut steps: Vec<&Step>, items: usize, now: Timestamp) -> Vec<(u32, f32)> {
    steps.sort_unstable_by_key(|step| (step.item, step.profile, step.action, step.at));
    let mut demand = vec![0.0_f32; items];
    for run in steps.chunk_by(|a, b| (a.item, a.profile) == (b.item, b.profile)) {
        if let Some(last) = run.last() {
            let age = (now - last.at) as f64;
            demand[last.item as usize] +=
                last.action.weight() * (0.5_f64).powf(age / DEMAND_HALF_LIFE) as f32;
        }
    }
    let mut out: Vec<(u32, f32)> =
        demand.into_iter().enumerate().filter(|(_, d)| *d > 0.0).map(|(n, d)| (n as u32, d)).collect();
    out.sort_by(strongest_first);
    out
}

pub(crate) fn strongest_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The steps of each profile, of a long one its newest.
fn of_profiles(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps.chunk_by(|a, b| a.profile == b.profile).map(|run| &run[run.len().saturating_sub(SEQUENCE_MAX)..])
}

/// Sequences of items, one after another: repeats in a row are one.
fn sequences(steps: &[Step]) -> Vec<Vec<u32>> {
    of_profiles(steps)
        .map(|run| {
            let mut sequence: Vec<u32> = run.iter().map(|step| step.item).collect();
            sequence.dedup();
            sequence
        })
        .collect()
}

/// Visits in the order of their ends.
fn visits(steps: &[Step]) -> Vec<Vec<u32>> {
    let mut out: Vec<(Timestamp, i64, Vec<u32>)> = of_profiles(steps)
        .flat_map(|run| run.chunk_by(|a, b| b.at - a.at <= PAUSE_MICROS))
        .filter_map(|run| {
            let last = run.last()?;
            Some((last.at, last.profile, run.iter().map(|step| step.item).collect()))
        })
        .collect();
    out.sort_by_key(|(at, profile, _)| (*at, *profile));
    out.into_iter().map(|(_, _, items)| items).collect()
}
