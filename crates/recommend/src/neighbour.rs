//! Neighbours of items: those that follow closely in people's histories, and those that the same people have.

use crate::fit::strongest_first;
use crate::{GAP_MAX, KNN_MAX, NEIGHBOURS_MAX};

/// What one interaction says of an earlier one, against a later one.
const BACKWARD: f32 = 0.6;
/// How strongly popular items are held back.
const POPULARITY_POWER: f32 = 0.3;
/// Distinct items of one profile that are paired with each other, newest first.
const PAIRED_MAX: usize = 100;
/// Added to what two items share, so that a pair seen once does not look like a perfect match.
const SHRINK: f32 = 1.0;

/// Rows of different lengths behind one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows<T> {
    starts: Vec<usize>,
    values: Vec<T>,
}

impl<T> Rows<T> {
    pub fn with_capacity(rows: usize) -> Rows<T> {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Rows { starts, values: Vec::new() }
    }

    pub fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.starts.push(self.values.len());
    }

    pub fn row(&self, number: u32) -> &[T] {
        let n = number as usize;
        match (self.starts.get(n), self.starts.get(n + 1)) {
            (Some(from), Some(to)) => &self.values[*from..*to],
            _ => &[],
        }
    }

    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub fn shrink(&mut self) {
        self.values.shrink_to_fit();
    }
}

/// Where each item occurs in `sequences`: (sequence, place).
pub(crate) fn occurrences(sequences: &[Vec<u32>], items: usize) -> Rows<(u32, u32)> {
    let mut counts = vec![0_usize; items + 1];
    for item in sequences.iter().flatten() {
        counts[*item as usize + 1] += 1;
    }
    for n in 0..items {
        counts[n + 1] += counts[n];
    }
    let mut values = vec![(0, 0); counts[items]];
    let mut next = counts.clone();
    for (number, sequence) in sequences.iter().enumerate() {
        for (at, item) in sequence.iter().enumerate() {
            let place = &mut next[*item as usize];
            values[*place] = (number as u32, at as u32);
            *place += 1;
        }
    }
    Rows { starts: counts, values }
}

/// The pairs of one item's occurrence: (other item, weight).
fn pairs_at(sequence: &[u32], at: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
    let later = (1..=GAP_MAX).map_while(move |gap| Some((*sequence.get(at + gap)?, 1.0 / gap as f32)));
    let earlier = (1..=GAP_MAX)
        .map_while(move |gap| Some((*sequence.get(at.checked_sub(gap)?)?, BACKWARD / gap as f32)));
    later.chain(earlier)
}

/// One dense row in which an item's neighbours are summed.
struct Sum {
    row: Vec<f32>,
    touched: Vec<u32>,
}

impl Sum {
    fn new(items: usize) -> Sum {
        Sum { row: vec![0.0; items], touched: Vec::new() }
    }

    fn add(&mut self, item: u32, weight: f32) {
        let entry = &mut self.row[item as usize];
        if *entry == 0.0 {
            self.touched.push(item);
        }
        *entry += weight;
    }

    fn strongest(&mut self, most: usize, score: impl Fn(u32, f32) -> f32) -> Vec<(u32, f32)> {
        let mut out: Vec<(u32, f32)> = self
            .touched
            .drain(..)
            .map(|item| (item, score(item, std::mem::take(&mut self.row[item as usize]))))
            .collect();
        if out.len() > most {
            out.select_nth_unstable_by(most, strongest_first);
            out.truncate(most);
        }
        out.sort_unstable_by(strongest_first);
        out
    }
}

/// Source: directed, distance-weighted item-to-item counts, held back by popularity.
pub(crate) fn follows(sequences: &[Vec<u32>], items: usize) -> Rows<(u32, f32)> {
    let found = occurrences(sequences, items);
    let mut out = Rows::with_capacity(items);
    let mut sum = Sum::new(items);
    for item in 0..items as u32 {
        let places = found.row(item);
        for (sequence, at) in places {
            for (other, weight) in pairs_at(&sequences[*sequence as usize], *at as usize) {
                if other != item {
                    sum.add(other, weight);
                }
            }
        }
        let own = places.len() as f32;
        out.push(sum.strongest(NEIGHBOURS_MAX, |other, together| {
            together / ((own * found.row(other).len() as f32).powf(POPULARITY_POWER) + 1.0)
        }));
    }
    out.shrink();
    out
}

/// Source: item-based collaborative filtering by the cosine of who has what.
pub(crate) fn knn(sequences: &[Vec<u32>], items: usize) -> Rows<(u32, f32)> {
    let distinct: Vec<Vec<u32>> = sequences
        .iter()
        .map(|sequence| {
            let mut row: Vec<u32> = Vec::with_capacity(sequence.len().min(PAIRED_MAX));
            let mut seen = std::collections::HashSet::new();
            for item in sequence.iter().rev() {
                if row.len() < PAIRED_MAX && seen.insert(*item) {
                    row.push(*item);
                }
            }
            row
        })
        .collect();
    let found = occurrences(&distinct, items);
    let mut out = Rows::with_capacity(items);
    let mut sum = Sum::new(items);
    for item in 0..items as u32 {
        let places = found.row(item);
        for (sequence, _) in places {
            for other in &distinct[*sequence as usize] {
                if *other != item {
                    sum.add(*other, 1.0);
                }
            }
        }
        let own = places.len() as f32;
        out.push(sum.strongest(KNN_MAX, |other, together| {
            together / ((own * found.row(other).len() as f32).sqrt() + SHRINK)
        }));
    }
    out.shrink();
    out
}
