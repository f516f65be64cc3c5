//! How a series is stored: instants as steps from one to the next in the coarsest unit that is exact, and no values
//! where none are kept. A profile's state is written with every batch that touches it, so its size is its cost.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::state::{Entry, Folded, Series, Val};

/// Microseconds, milliseconds, seconds. Units: microseconds.
const UNITS: [i64; 3] = [1, 1_000, 1_000_000];
/// Added to the number of the unit when the entries have values.
const WITH_VALUES: u8 = 4;
const FIELDS: usize = 5;

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = &self.entries;
        let exact = |unit: &&i64| entries.iter().all(|entry| entry.at % **unit == 0);
        let at = UNITS.iter().rposition(|unit| exact(&unit)).unwrap_or_default();
        let has_values = entries.iter().any(|entry| !matches!(entry.value, Val::None));
        let first = entries.first().map_or(0, |entry| entry.at / UNITS[at]);
        let steps: Vec<i64> = entries.windows(2).map(|pair| (pair[1].at - pair[0].at) / UNITS[at]).collect();
        let values: Vec<&Val> =
            if has_values { entries.iter().map(|entry| &entry.value).collect() } else { Vec::new() };
        let mut tuple = serializer.serialize_tuple(FIELDS)?;
        tuple.serialize_element(&(at as u8 + if has_values { WITH_VALUES } else { 0 }))?;
        tuple.serialize_element(&(!entries.is_empty()).then_some(first))?;
        tuple.serialize_element(&steps)?;
        tuple.serialize_element(&values)?;
        tuple.serialize_element(&self.folded)?;
        tuple.end()
    }
}

struct Packed;

impl<'de> Visitor<'de> for Packed {
    type Value = Series;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Series, A::Error> {
        fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(seq: &mut A) -> Result<T, A::Error> {
            seq.next_element()?.ok_or_else(|| A::Error::custom("a series ends early"))
        }
        let shape: u8 = next(&mut seq)?;
        let first: Option<i64> = next(&mut seq)?;
        let steps: Vec<i64> = next(&mut seq)?;
        let values: Vec<Val> = next(&mut seq)?;
        let folded: Option<Box<Folded>> = next(&mut seq)?;
        let unit = *UNITS
            .get(usize::from(shape & !WITH_VALUES))
            .ok_or_else(|| A::Error::custom(format!("a series of the unknown shape {shape}")))?;
        let count = if first.is_some() { steps.len() + 1 } else { 0 };
        if (first.is_none() && !steps.is_empty())
            || values.len() != if shape & WITH_VALUES > 0 { count } else { 0 }
        {
            return Err(A::Error::custom("a series whose parts do not fit"));
        }
        let mut at = first;
        let instants = first.into_iter().chain(steps.into_iter().map_while(|step| {
            at = at.and_then(|at| at.checked_add(step));
            at
        }));
        let mut values = values.into_iter();
        let mut entries = Vec::with_capacity(count);
        for instant in instants {
            let at = instant.checked_mul(unit).ok_or_else(|| A::Error::custom("an instant out of range"))?;
            entries.push(Entry { at, value: values.next().unwrap_or(Val::None) });
        }
        if entries.len() != count {
            return Err(A::Error::custom("an instant out of range"));
        }
        Ok(Series { entries, folded })
    }
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Series, D::Error> {
        deserializer.deserialize_tuple(FIELDS, Packed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Val> {
        prop_oneof![
            Just(Val::None),
            any::<bool>().prop_map(Val::Bool),
            (-1e9..1e9).prop_map(Val::Number),
            ".{0,8}".prop_map(Val::Text),
        ]
    }

    fn series(unit: i64, steps: Vec<(i64, Val)>, with_values: bool, folded: bool) -> Series {
        let mut at = 1_764_000_000_000_000 / unit;
        let entries = steps.into_iter().map(|(step, value)| {
            at += step;
            Entry { at: at * unit, value: if with_values { value } else { Val::None } }
        });
        Series { entries: entries.collect(), folded: folded.then(Box::default) }
    }

    proptest! {
        #[test]
        fn a_series_comes_back_as_it_was(
            unit in proptest::sample::select(UNITS.to_vec()),
            steps in proptest::collection::vec((0..5_000_000i64, value()), 0..20),
            with_values: bool,
            folded: bool,
        ) {
            let series = series(unit, steps, with_values, folded);
            let bytes = postcard::to_stdvec(&series).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Series>(&bytes).unwrap(), series);
        }

        #[test]
        fn arbitrary_bytes_are_a_series_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = postcard::from_bytes::<Series>(&bytes);
        }
    }

    #[test]
    fn whole_seconds_without_values_take_a_few_bytes_each() {
        let steps = (0..100).map(|_| (3_600, Val::None)).collect();
        assert!(postcard::to_stdvec(&series(1_000_000, steps, false, false)).unwrap().len() < 320);
    }
}
