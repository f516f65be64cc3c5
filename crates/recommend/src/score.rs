//! Adding up: one dense row for the signal that speaks, one sparse table for what all signals said.

use crate::{SIGNALS, Signal};

/// What one signal says: for each item in all, who says most, and which items were spoken of.
pub(crate) struct Scores {
    said: Vec<(f32, f32, u32)>,
    touched: Vec<u32>,
}

/// What all signals say for one item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub item: u32,
    /// Each signal's share of its strongest item.
    pub parts: [f32; SIGNALS],
    /// Which line of the history said most, for each signal.
    pub by: [u32; SIGNALS],
}

/// What all signals say.
pub(crate) struct Mixed {
    slots: Vec<u32>,
    pub items: Vec<Said>,
}

impl Scores {
    pub fn new(items: usize) -> Scores {
        Scores { said: vec![(0.0, 0.0, 0); items], touched: Vec::new() }
    }

    /// `by` says `much` for an item.
    pub fn add(&mut self, item: u32, much: f32, by: u32) {
        let entry = &mut self.said[item as usize];
        if entry.0 == 0.0 {
            self.touched.push(item);
        }
        entry.0 += much;
        if much > entry.1 {
            (entry.1, entry.2) = (much, by);
        }
    }

    /// What was said in all.
    pub fn all(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.touched.iter().map(|item| (*item, self.said[*item as usize].0))
    }

    /// Writes what was said as shares of the strongest, of `keep` alone, and forgets it.
    pub fn close(&mut self, signal: Signal, mixed: &mut Mixed, keep: impl Fn(u32) -> bool) {
        let strongest = self
            .touched
            .iter()
            .filter(|item| keep(**item))
            .map(|item| self.said[*item as usize].0)
            .fold(0.0_f32, f32::max);
        for item in self.touched.drain(..) {
            let (score, _, by) = std::mem::take(&mut self.said[item as usize]);
            if strongest > 0.0 && keep(item) {
                let said = mixed.of(item);
                said.parts[signal as usize] = score / strongest;
                said.by[signal as usize] = by;
            }
        }
    }
}

impl Mixed {
    pub fn new(items: usize) -> Mixed {
        Mixed { slots: vec![u32::MAX; items], items: Vec::new() }
    }

    fn of(&mut self, item: u32) -> &mut Said {
        let slot = &mut self.slots[item as usize];
        if *slot == u32::MAX {
            *slot = self.items.len() as u32;
            self.items.push(Said { item, parts: [0.0; SIGNALS], by: [0; SIGNALS] });
        }
        &mut self.items[*slot as usize]
    }
}

impl Said {
    pub fn total(&self, weights: &[f32; SIGNALS]) -> f32 {
        self.parts.iter().zip(weights).map(|(part, weight)| part * weight).sum()
    }
}
