//! Which rows pass a filter: each test is asked once for each distinct value, then looked up by code.

use expr::{Filter, Path, test_value};
use jiff::tz::TimeZone;
use model::column::{Codes, Rows};
use model::{Timestamp, Value};

/// The rows of a range that pass; bit 0 is the first of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    All,
    None,
    Some(Vec<u64>),
}

/// A range of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub start: usize,
    pub end: usize,
}

impl Mask {
    pub fn has(&self, row: usize) -> bool {
        match self {
            Mask::All => true,
            Mask::None => false,
            Mask::Some(words) => words[row / 64] >> (row % 64) & 1 == 1,
        }
    }

    fn and(self, other: Mask) -> Mask {
        match (self, other) {
            (Mask::None, _) | (_, Mask::None) => Mask::None,
            (Mask::All, mask) | (mask, Mask::All) => mask,
            (Mask::Some(mut words), Mask::Some(theirs)) => {
                words.iter_mut().zip(theirs).for_each(|(word, their)| *word &= their);
                Mask::Some(words)
            }
        }
    }

    fn not(self) -> Mask {
        match self {
            Mask::All => Mask::None,
            Mask::None => Mask::All,
            // Bits beyond the range are never asked for.
            Mask::Some(words) => Mask::Some(words.into_iter().map(|word| !word).collect()),
        }
    }

    fn or(self, other: Mask) -> Mask {
        self.not().and(other.not()).not()
    }

    /// Rows of a range whose property passes a test of its value.
    pub fn by_value(
        rows: &Rows,
        names: &[String],
        range: Range,
        passes: impl Fn(Option<&Value>) -> bool,
    ) -> Mask {
        let Some(coded) = rows.properties.get(names) else {
            return if passes(None) { Mask::All } else { Mask::None };
        };
        let table: Vec<bool> = coded.values.iter().map(|value| passes(value.as_ref())).collect();
        if table.iter().all(|passes| *passes) {
            return Mask::All;
        }
        if !table.contains(&true) {
            return Mask::None;
        }
        let Range { start, end } = range;
        Mask::Some(match &coded.codes {
            Codes::Byte(codes) => words(&codes[start..end], |code| table[*code as usize]),
            Codes::Short(codes) => words(&codes[start..end], |code| table[*code as usize]),
            Codes::Whole(codes) => words(&codes[start..end], |code| table[*code as usize]),
        })
    }

    /// Rows of a range that pass a filter.
    pub fn of(filter: &Filter, rows: &Rows, range: Range) -> Mask {
        let by_value = |path: &Path, passes: &dyn Fn(Option<&Value>) -> bool| {
            Mask::by_value(rows, path.names(), range, passes)
        };
        match filter {
            Filter::And { all } => all.iter().fold(Mask::All, |mask, part| match mask {
                Mask::None => Mask::None,
                mask => mask.and(Mask::of(part, rows, range)),
            }),
            Filter::Or { any } => any.iter().fold(Mask::None, |mask, part| match mask {
                Mask::All => Mask::All,
                mask => mask.or(Mask::of(part, rows, range)),
            }),
            Filter::Not { filter } => Mask::of(filter, rows, range).not(),
            Filter::Property { path, test } => {
                by_value(path, &|value| test_value(test, value, Timestamp::default(), &TimeZone::UTC).holds)
            }
            Filter::Elements { quantifier, path, filter } => {
                by_value(path, &|value| expr::elements_pass(*quantifier, value, filter))
            }
        }
    }

    /// Those that pass both.
    pub fn both(self, other: Mask) -> Mask {
        self.and(other)
    }
}

fn words<T>(codes: &[T], passes: impl Fn(&T) -> bool) -> Vec<u64> {
    let word = |codes: &[T]| {
        codes.iter().enumerate().fold(0, |word, (bit, code)| word | u64::from(passes(code)) << bit)
    };
    codes.chunks(64).map(word).collect()
}
