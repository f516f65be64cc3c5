//! Visits: what others looked at in visits that were like the last one of a profile.
//!
//! Source: vector-multiplication-indexed session kNN (Kersbergen, Sprangers, Schelter: Serenade, SIGMOD 2022).

use crate::neighbour::{Rows, occurrences};
use crate::score::Scores;

/// A pause longer than this ends a visit. Units: microseconds.
pub(crate) const PAUSE_MICROS: i64 = 30 * model::time::MINUTE;
/// Visits that are kept of one item, the newest.
const VISITS_MAX: usize = 1_502;
/// Visits that speak, the most alike.
const ALIKE_MAX: usize = 288;
/// Items of the last visit that visits are compared by, newest first.
pub(crate) const LAST_MAX: usize = 4;
/// Items of one visit that are kept, the newest; more is a robot.
const VISIT_ITEMS_MAX: usize = 100;

/// Visits by number, the newest last, and the visits of each item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Visits {
    items: Rows<u32>,
    /// Of each item, newest first.
    of_item: Rows<u32>,
    rarity: Vec<f32>,
}

impl Visits {
    /// From visits in the order of their ends; those of one item say nothing.
    pub fn new(visits: impl Iterator<Item = Vec<u32>>, items: usize) -> Visits {
        let visits: Vec<Vec<u32>> = visits
            .map(|visit| {
                let mut kept: Vec<u32> = visit.into_iter().rev().take(VISIT_ITEMS_MAX).collect();
                kept.sort_unstable();
                kept.dedup();
                kept
            })
            .filter(|visit| visit.len() > 1)
            .collect();
        let places = occurrences(&visits, items);
        let all = visits.len() as f32;
        let mut of_item = Rows::with_capacity(items);
        let mut rarity = Vec::with_capacity(items);
        for item in 0..items as u32 {
            let row = places.row(item);
            rarity.push(if row.is_empty() { 0.0 } else { 1.0 + 2.0 * (all / row.len() as f32).ln() });
            of_item.push(row.iter().rev().take(VISITS_MAX).map(|(visit, _)| *visit));
        }
        let mut rows = Rows::with_capacity(visits.len());
        for visit in visits {
            rows.push(visit);
        }
        Visits { items: rows, of_item, rarity }
    }

    /// Adds what visits like `last` say; `last` is newest first.
    pub fn speak(&self, last: &[u32], scores: &mut Scores) {
        let last = &last[..last.len().min(LAST_MAX)];
        if last.is_empty() || self.items.len() == 0 {
            return;
        }
        // How alike a visit is, and the newest item that both have.
        let mut alike: Vec<(u32, f32, u32)> = Vec::new();
        let mut places: std::collections::HashMap<u32, u32, Mix> = std::collections::HashMap::default();
        for (place, item) in last.iter().enumerate() {
            let weight = (last.len() - place) as f32 / last.len() as f32;
            for visit in self.of_item.row(*item) {
                match places.entry(*visit) {
                    std::collections::hash_map::Entry::Occupied(found) => {
                        alike[*found.get() as usize].1 += weight;
                    }
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(alike.len() as u32);
                        alike.push((*visit, weight, place as u32));
                    }
                }
            }
        }
        let closest = |a: &(u32, f32, u32), b: &(u32, f32, u32)| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0));
        if alike.len() > ALIKE_MAX {
            alike.select_nth_unstable_by(ALIKE_MAX, closest);
            alike.truncate(ALIKE_MAX);
        }
        alike.sort_unstable_by(closest);
        for (visit, likeness, place) in alike {
            let says = likeness * (1.0 - 0.1 * (place + 1) as f32);
            for item in self.items.row(visit) {
                if *item != last[0] {
                    scores.add(*item, says * self.rarity[*item as usize], place);
                }
            }
        }
    }
}

/// Visits are numbered densely: one multiplication spreads them.
#[derive(Clone, Default)]
struct Mix;

impl std::hash::BuildHasher for Mix {
    type Hasher = Mixed;
    fn build_hasher(&self) -> Mixed {
        Mixed(0)
    }
}

struct Mixed(u64);

impl std::hash::Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }
    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
