//! Properties: items that share a category, a brand or another property with what a profile knows.

use std::collections::HashMap;

use crate::Item;
use crate::fit::strongest_first;
use crate::neighbour::Rows;
use crate::score::Scores;

/// Items kept of one property, the most wanted.
const SHARING_MAX: usize = 100;
/// Properties that speak, those the history shares most.
const SPEAKING_MAX: usize = 12;

/// Properties by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    of_item: Rows<u32>,
    /// Of each property, its most wanted items with how much they are wanted.
    items: Rows<(u32, f32)>,
    rarity: Vec<f32>,
}

impl Content {
    /// `wanted`: how many profiles each item has.
    pub fn new(items: &[Item], wanted: &[u32]) -> Content {
        let mut numbers: HashMap<(u8, &str), u32> = HashMap::new();
        let mut sharing: Vec<Vec<(u32, f32)>> = Vec::new();
        let mut of_item = Rows::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let category = item.category.as_deref().map(|name| (0, name));
            let others = item.attributes.iter().map(|name| (1, name.as_str()));
            let mut row: Vec<u32> = category
                .into_iter()
                .chain(others)
                .filter(|(_, name)| !name.is_empty())
                .map(|property| {
                    let next = numbers.len() as u32;
                    *numbers.entry(property).or_insert(next)
                })
                .collect();
            row.sort_unstable();
            row.dedup();
            sharing.resize_with(numbers.len(), Vec::new);
            for property in &row {
                sharing[*property as usize].push((number as u32, (wanted[number] as f32).ln_1p()));
            }
            of_item.push(row);
        }
        let all = items.len() as f32;
        let rarity = sharing.iter().map(|row| (all / row.len() as f32).ln_1p()).collect();
        let mut rows = Rows::with_capacity(sharing.len());
        for mut row in sharing {
            if row.len() > SHARING_MAX {
                row.select_nth_unstable_by(SHARING_MAX, strongest_first);
                row.truncate(SHARING_MAX);
            }
            row.sort_unstable_by(strongest_first);
            rows.push(row);
        }
        Content { of_item, items: rows, rarity }
    }

    /// Adds what the properties of a history say: (item, how loud), newest first.
    pub fn speak(&self, history: impl Iterator<Item = (u32, f32)>, scores: &mut Scores) {
        let mut loud: HashMap<u32, (f32, f32, u32)> = HashMap::new();
        for (place, (item, loudness)) in history.enumerate() {
            for property in self.of_item.row(item) {
                let entry = loud.entry(*property).or_default();
                entry.0 += loudness;
                if loudness > entry.1 {
                    (entry.1, entry.2) = (loudness, place as u32);
                }
            }
        }
        let mut speaking: Vec<(u32, f32)> = loud
            .iter()
            .map(|(property, said)| (*property, said.0 * self.rarity[*property as usize]))
            .collect();
        speaking.sort_unstable_by(strongest_first);
        for (property, loudness) in speaking.into_iter().take(SPEAKING_MAX) {
            let by = loud.get(&property).map_or(0, |said| said.2);
            for (item, wanted) in self.items.row(property) {
                scores.add(*item, loudness * (wanted + 0.1), by);
            }
        }
    }
}
