//! History as columns: rows of one event name in the order of time, and sets of profiles.
//!
//! The lake fills them, the segment engine reads them; neither knows the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Value;

/// The names of a property's path, outermost first.
pub type Names = Vec<String>;

/// A code for each row, as narrow as the number of distinct values allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codes {
    /// Up to 256 values.
    Byte(Vec<u8>),
    /// Up to 65,536 values.
    Short(Vec<u16>),
    /// More.
    Whole(Vec<u32>),
}

impl Codes {
    /// The narrowest form of codes that are all below `values`.
    pub fn narrowed(codes: Vec<u32>, values: usize) -> Codes {
        if values <= 1 << 8 {
            Codes::Byte(codes.into_iter().map(|code| code as u8).collect())
        } else if values <= 1 << 16 {
            Codes::Short(codes.into_iter().map(|code| code as u16).collect())
        } else {
            Codes::Whole(codes)
        }
    }

    /// The code of a row.
    pub fn get(&self, row: usize) -> usize {
        match self {
            Codes::Byte(codes) => codes[row] as usize,
            Codes::Short(codes) => codes[row] as usize,
            Codes::Whole(codes) => codes[row] as usize,
        }
    }

    /// Units: bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Codes::Byte(codes) => codes.len(),
            Codes::Short(codes) => 2 * codes.len(),
            Codes::Whole(codes) => 4 * codes.len(),
        }
    }
}

/// A property of rows: what the codes stand for. Each value once, of its exact type; `None` is absence.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// For each row.
    pub codes: Codes,
    /// By code.
    pub values: Vec<Option<Value>>,
}

/// Rows of one event name in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The events' name.
    pub name: String,
    /// Whose they were when they were stored; a profile that became part of another one has its former number.
    pub profiles: Arc<Vec<u32>>,
    /// When they happened, never descending. Units: microseconds since 1970 UTC.
    pub times: Arc<Vec<i64>>,
    /// The properties that were asked for.
    pub properties: BTreeMap<Names, Arc<Coded>>,
}

/// Rows that a reader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The events' name; with a `*` at its end all names that begin so.
    pub event: String,
    /// The properties.
    pub properties: Vec<Names>,
    /// From this instant on; earlier ones may come too. Units: microseconds since 1970 UTC.
    pub from: i64,
    /// Before this instant; later ones may come too. Units: microseconds since 1970 UTC.
    pub until: i64,
}

/// Whether a name, perhaps a beginning with `*`, covers an event's name.
pub fn covers(known: &str, name: &str) -> bool {
    known == name || known.strip_suffix('*').is_some_and(|beginning| name.starts_with(beginning))
}

/// A set of small numbers, all below its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    size: usize,
}

impl Bits {
    /// The empty set of numbers below `size`.
    pub fn empty(size: usize) -> Bits {
        Bits { words: vec![0; size.div_ceil(64)], size }
    }

    /// Numbers are below it.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Makes room for numbers below `size`.
    pub fn grow(&mut self, size: usize) {
        if size > self.size {
            self.words.resize(size.div_ceil(64), 0);
            self.size = size;
        }
    }

    /// Whether a number is in it.
    pub fn has(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Takes a number in; one that is too large is left out.
    pub fn add(&mut self, number: usize) {
        if number < self.size {
            self.words[number / 64] |= 1 << (number % 64);
        }
    }

    /// Takes a number out.
    pub fn remove(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Keeps what the other one has too.
    pub fn and(&mut self, other: &Bits) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or(0);
        }
    }

    /// Takes in what the other one has, as far as there is room.
    pub fn or(&mut self, other: &Bits) {
        for (word, theirs) in self.words.iter_mut().zip(&other.words) {
            *word |= theirs;
        }
    }

    /// Takes out what the other one has.
    pub fn and_not(&mut self, other: &Bits) {
        for (word, theirs) in self.words.iter_mut().zip(&other.words) {
            *word &= !theirs;
        }
    }

    /// How many are in it.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    at * 64 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added_and_nothing_beyond_its_size() {
        let mut set = Bits::empty(70);
        for number in [0, 63, 64, 69, 70, 500] {
            set.add(number);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 69]);
        let mut other = Bits::empty(65);
        other.add(64);
        let mut both = set.clone();
        both.and(&other);
        assert_eq!(both.iter().collect::<Vec<_>>(), [64]);
        set.and_not(&other);
        set.remove(0);
        assert_eq!((set.count(), set.has(64), set.has(69)), (2, false, true));
    }

    #[test]
    fn codes_are_as_narrow_as_their_values_allow() {
        for (values, bytes) in [(256, 3), (257, 6), (65_537, 12)] {
            let codes = Codes::narrowed(vec![0, 1, values as u32 - 1], values);
            assert_eq!((codes.bytes(), codes.get(2)), (bytes, values - 1));
        }
    }
}
