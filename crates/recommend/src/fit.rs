//! Fitting: interactions become directed neighbours of items, demand, and the order of the newest.

use std::collections::HashMap;

use model::Timestamp;

use crate::{Action, GAP_MAX, Interaction, Item, NEIGHBOURS_MAX, SEQUENCE_MAX, TRENDING_MICROS};

/// What one interaction says of an earlier one, against a later one.
const BACKWARD: f32 = 0.6;
/// How strongly popular items are held back.
const POPULARITY_POWER: f32 = 0.3;
/// Demand halves with this age. Units: microseconds.
const DEMAND_HALF_LIFE: f64 = 10.0 * model::time::DAY as f64;

/// A fitted model. Cost: up to 300 neighbours of 8 bytes for each item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub(crate) items: Vec<Item>,
    pub(crate) index: HashMap<String, u32>,
    /// Categories as numbers; `u32::MAX` for none.
    pub(crate) categories: Vec<u32>,
    /// Neighbours of item `n`: `neighbours[starts[n]..starts[n + 1]]`, strongest first.
    pub(crate) starts: Vec<usize>,
    pub(crate) neighbours: Vec<(u32, f32)>,
    /// Items in demand, strongest first.
    pub(crate) trending: Vec<(u32, f32)>,
    /// All items, newest first.
    pub(crate) newest: Vec<u32>,
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
    /// Cost: sorting the interactions, then 16 additions for each.
    pub fn fit<'a>(
        interactions: impl IntoIterator<Item = Interaction<'a>>,
        catalogue: impl IntoIterator<Item = Item>,
        now: Timestamp,
    ) -> Model {
        let mut items: Vec<Item> = catalogue.into_iter().collect();
        items.sort_by(|a, b| (&a.id, &a.name, &a.category).cmp(&(&b.id, &b.name, &b.category)));
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
        let trending = trending(&steps, items.len(), now);
        let (starts, neighbours) = neighbours(&steps, items.len());
        let mut newest: Vec<u32> = (0..items.len() as u32).collect();
        newest.sort_by_key(|n| (std::cmp::Reverse(items[*n as usize].created_at), *n));
        Model { categories: categories(&items), items, index, starts, neighbours, trending, newest }
    }

    /// Items it knows.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it knows no item.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn neighbours_of(&self, item: u32) -> &[(u32, f32)] {
        let n = item as usize;
        match (self.starts.get(n), self.starts.get(n + 1)) {
            (Some(from), Some(to)) => &self.neighbours[*from..*to],
            _ => &[],
        }
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

/// Demand of the last 30 days: a profile counts once for an item, by its strongest and latest interaction.
fn trending(steps: &[Step], items: usize, now: Timestamp) -> Vec<(u32, f32)> {
    let from = now - TRENDING_MICROS;
    let mut recent: Vec<&Step> = steps.iter().filter(|step| step.at > from).collect();
    recent.sort_unstable_by_key(|step| (step.item, step.profile, step.action, step.at));
    let mut demand = vec![0.0_f32; items];
    for run in recent.chunk_by(|a, b| (a.item, a.profile) == (b.item, b.profile)) {
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

fn strongest_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Sequences of items, one after another: repeats in a row are one, long ones keep their newest part.
fn sequences(steps: &[Step]) -> Vec<Vec<u32>> {
    steps
        .chunk_by(|a, b| a.profile == b.profile)
        .map(|run| {
            let mut sequence: Vec<u32> =
                run[run.len().saturating_sub(SEQUENCE_MAX)..].iter().map(|step| step.item).collect();
            sequence.dedup();
            sequence
        })
        .collect()
}

/// The pairs of one item's occurrences: (other item, weight).
fn pairs_at(sequence: &[u32], at: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
    let later = (1..=GAP_MAX).map_while(move |gap| Some((*sequence.get(at + gap)?, 1.0 / gap as f32)));
    let earlier = (1..=GAP_MAX)
        .map_while(move |gap| Some((*sequence.get(at.checked_sub(gap)?)?, BACKWARD / gap as f32)));
    later.chain(earlier)
}

/// Source: directed, distance-weighted item-to-item counts, held back by popularity.
fn neighbours(steps: &[Step], items: usize) -> (Vec<usize>, Vec<(u32, f32)>) {
    let sequences = sequences(steps);
    let mut counts = vec![0_u32; items];
    for item in sequences.iter().flatten() {
        counts[*item as usize] += 1;
    }
    // Where each item occurs, so that its neighbours are summed at once in one dense row.
    let mut occurrence_starts = vec![0_usize; items + 1];
    for (n, count) in counts.iter().enumerate() {
        occurrence_starts[n + 1] = occurrence_starts[n] + *count as usize;
    }
    let mut occurrences = vec![(0_u32, 0_u32); occurrence_starts[items]];
    let mut next = occurrence_starts.clone();
    for (number, sequence) in sequences.iter().enumerate() {
        for (at, item) in sequence.iter().enumerate() {
            let place = &mut next[*item as usize];
            occurrences[*place] = (number as u32, at as u32);
            *place += 1;
        }
    }
    let (mut starts, mut out) = (Vec::with_capacity(items + 1), Vec::new());
    let (mut row, mut touched) = (vec![0.0_f32; items], Vec::new());
    for item in 0..items {
        starts.push(out.len());
        for (sequence, at) in &occurrences[occurrence_starts[item]..occurrence_starts[item + 1]] {
            for (other, weight) in pairs_at(&sequences[*sequence as usize], *at as usize) {
                if other as usize != item {
                    if row[other as usize] == 0.0 {
                        touched.push(other);
                    }
                    row[other as usize] += weight;
                }
            }
        }
        let own = counts[item] as f32;
        let from = out.len();
        for other in touched.drain(..) {
            let together = std::mem::take(&mut row[other as usize]);
            let held_back = (own * counts[other as usize] as f32).powf(POPULARITY_POWER) + 1.0;
            out.push((other, together / held_back));
        }
        out[from..].sort_unstable_by(strongest_first);
        out.truncate(from + NEIGHBOURS_MAX);
    }
    starts.push(out.len());
    out.shrink_to_fit();
    (starts, out)
}
