//! Picking weights: what the newest of each profile's history would have been found by.

use std::collections::HashMap;

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::score::Said;
use crate::{Action, Interaction, Item, Model, Request, SIGNALS, Seen, Signal, Weights};

/// Profiles that are asked.
const CASES_MAX: usize = 4_000;
/// Weights are picked from fewer cases only by chance.
const CASES_MIN: usize = 50;
/// Weights that are tried for each signal.
const TRIED: [f32; 8] = [0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0];
/// Places that count.
const PLACES: usize = 20;
/// Candidates of each signal that are weighed: those behind have no part in the first places.
const WEIGHED_MAX: usize = 40;
/// Other places where the search may begin: visits first, the same people first.
const STARTS: [[f32; SIGNALS]; 2] = [[0.1, 0.0, 1.0, 0.0, 0.0, 2.0], [0.4, 1.0, 0.1, 0.1, 0.05, 2.0]];
/// Standard errors that a gain must exceed to count.
const CHANCE: f64 = 1.5;

/// What the lists are for that weights are picked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Items that the profile does not know; `repeat` is set by what comes back.
    New,
    /// Any item, known or not.
    Any,
}

/// Weights and what they were picked on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The weights.
    pub weights: Weights,
    /// Profiles whose newest items were held out.
    pub cases: usize,
    /// Mean reciprocal rank in the first 20, with the usual weights and with these.
    pub usual: f64,
    /// The same with these weights.
    pub tuned: f64,
}

/// What was said of each candidate, and which of them were held out.
struct Asked {
    said: Vec<Said>,
    held_out: Vec<bool>,
}

impl Asked {
    fn new(said: Vec<Said>, later: &[u32]) -> Asked {
        let mut least = [0.0_f32; SIGNALS];
        for signal in Signal::ALL {
            let mut parts: Vec<f32> = said.iter().map(|said| said.parts[signal as usize]).collect();
            if parts.len() > WEIGHED_MAX {
                let (_, last, _) = parts.select_nth_unstable_by(WEIGHED_MAX, |a, b| b.total_cmp(a));
                least[signal as usize] = *last;
            }
        }
        let counts = |said: &Said| {
            later.contains(&said.item) || said.parts.iter().zip(&least).any(|(part, least)| part > least)
        };
        let said: Vec<Said> = said.into_iter().filter(counts).collect();
        let held_out = said.iter().map(|said| later.contains(&said.item)).collect();
        Asked { said, held_out }
    }

    fn reciprocal_rank(&self, weights: &[f32; SIGNALS]) -> f64 {
        let best = self.said.iter().zip(&self.held_out).filter(|(_, out)| **out);
        let Some(best) = best.map(|(said, _)| said.total(weights)).max_by(f32::total_cmp) else { return 0.0 };
        if best <= 0.0 {
            return 0.0;
        }
        let ahead = self.said.iter().zip(&self.held_out);
        let ahead = ahead.filter(|(said, out)| !**out && said.total(weights) >= best).count();
        if ahead < PLACES { 1.0 / (ahead as f64 + 1.0) } else { 0.0 }
    }
}

fn ranks(asked: &[Asked], weights: &[f32; SIGNALS]) -> Vec<f64> {
    asked.iter().map(|one| one.reciprocal_rank(weights)).collect()
}

fn mean(ranks: &[f64]) -> f64 {
    ranks.iter().sum::<f64>() / ranks.len().max(1) as f64
}

/// Whether `others` are better by more than chance explains: by more than a standard error of the pairs' differences.
fn are_better(others: &[f64], ranks: &[f64]) -> bool {
    let many = ranks.len().max(2) as f64;
    let differences = || others.iter().zip(ranks).map(|(other, rank)| other - rank);
    let mean = differences().sum::<f64>() / many;
    let variance = differences().map(|one| (one - mean).powi(2)).sum::<f64>() / (many - 1.0);
    mean > CHANCE * (variance / many).sqrt()
}

/// Picks weights by what profiles did last: a model is fitted without it and asked for it, and one weight after
/// another is set to what finds it soonest. Nothing when too few profiles did anything twice.
///
/// Cost: one fit, and 600 profiles ranked.
pub fn tune<'a>(
    interactions: &[Interaction<'a>],
    catalogue: impl IntoIterator<Item = Item>,
    now: Timestamp,
    aim: Aim,
) -> Option<Tuned> {
    let mut of_profile: HashMap<i64, Vec<&Interaction<'a>>> = HashMap::new();
    for interaction in interactions.iter().filter(|interaction| interaction.at <= now) {
        of_profile.entry(interaction.profile).or_default().push(interaction);
    }
    let mut profiles: Vec<(i64, Timestamp)> = of_profile
        .iter()
        .filter_map(|(profile, all)| {
            let last = all.iter().map(|interaction| interaction.at).max()?;
            all.iter().any(|interaction| interaction.at < last).then_some((*profile, last))
        })
        .collect();
    // Half of them stay whole, or in a small shop nobody would be left to learn from.
    let asked = (profiles.len() / 2).min(CASES_MAX);
    if asked < CASES_MIN {
        return None;
    }
    // An even draw that is the same each time: profiles' numbers follow the order in which they came.
    profiles.sort_unstable_by_key(|(profile, _)| {
        (profile.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64), *profile)
    });
    profiles.truncate(asked);
    let cut: HashMap<i64, Timestamp> = profiles.iter().copied().collect();
    let kept = interactions
        .iter()
        .filter(|interaction| cut.get(&interaction.profile).is_none_or(|last| interaction.at < *last));
    let model = Model::fit(kept.copied(), catalogue, now);
    let (mut fresh, mut all) = (Vec::new(), Vec::new());
    for (profile, last) in &profiles {
        let own = &of_profile[profile];
        let history = seen(own.iter().copied().filter(|interaction| interaction.at < *last));
        let later: Vec<u32> = own
            .iter()
            .filter(|interaction| interaction.at == *last)
            .filter_map(|interaction| model.index.get(interaction.item).copied())
            .collect();
        for repeat in [false, true] {
            let request = Request {
                repeat_seen: repeat,
                repeat_bought: repeat,
                per_category_max: None,
                ..Request::new(&history, PLACES)
            };
            let excluded = model.excluded(&request);
            let later: Vec<u32> = later.iter().copied().filter(|item| !excluded.contains(item)).collect();
            if later.is_empty() {
                continue;
            }
            let said = model.said(&model.newest_first(&history), &request);
            if repeat { &mut all } else { &mut fresh }.push(Asked::new(said, &later));
        }
    }
    let judged = if aim == Aim::New && fresh.len() >= CASES_MIN { &fresh } else { &all };
    if judged.len() < CASES_MIN {
        return None;
    }
    let usual = Weights::default().values();
    let usual_ranks = ranks(judged, &usual);
    let (mut weights, mut found) = (usual, usual_ranks.clone());
    for start in STARTS {
        let ranks = ranks(judged, &start);
        if are_better(&ranks, &found) {
            (weights, found) = (start, ranks);
        }
    }
    for _ in 0..2 {
        for signal in Signal::ALL {
            // What is new is found by all signals but one; that one is set last, by what comes back.
            if signal != Signal::Repeat || aim == Aim::Any {
                pick(judged, &mut weights, signal);
            }
        }
    }
    if aim == Aim::New && all.len() >= CASES_MIN {
        pick(&all, &mut weights, Signal::Repeat);
    }
    Some(Tuned {
        weights: Weights::from_values(weights),
        cases: judged.len(),
        usual: mean(&usual_ranks),
        tuned: mean(&ranks(judged, &weights)),
    })
}

fn pick(asked: &[Asked], weights: &mut [f32; SIGNALS], signal: Signal) {
    let mut best = (weights[signal as usize], ranks(asked, weights));
    let mut most = mean(&best.1);
    let former = best.1.clone();
    for tried in TRIED {
        weights[signal as usize] = tried;
        let found = ranks(asked, weights);
        if mean(&found) > most && are_better(&found, &former) {
            most = mean(&found);
            best = (tried, found);
        }
    }
    weights[signal as usize] = best.0;
}

/// A history as a request wants it: each item once, by its strongest action and latest time.
pub(crate) fn seen<'a, 'b>(interactions: impl Iterator<Item = &'b Interaction<'a>>) -> Vec<Seen<'a>>
where
    'a: 'b,
{
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut out: Vec<Seen<'a>> = Vec::new();
    for interaction in interactions {
        let bought = u32::from(interaction.action == Action::Bought);
        match places.get(interaction.item) {
            Some(place) => {
                let seen = &mut out[*place];
                seen.action = seen.action.max(interaction.action);
                seen.at = seen.at.max(interaction.at);
                seen.times += bought;
            }
            None => {
                places.insert(interaction.item, out.len());
                out.push(Seen::new(interaction.item, interaction.action, interaction.at));
            }
        }
    }
    out
}
