//! What is kept of columns: bounded, the least lately used goes first, what belongs to no file any more goes at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Value;
use model::column::{Coded, Names};

use super::read::Slice;
use crate::Error;

type Base = (Arc<Vec<u32>>, Arc<Vec<i64>>);
/// The first row of a slice, and the property; profiles and instants without.
type Place = (usize, Option<Names>);

enum Part {
    /// With the generation of owners it was read by.
    Base(Base, u64),
    Property(Arc<Coded>),
}

struct Kept {
    part: Part,
    bytes: usize,
    used: u64,
}

#[derive(Default)]
struct OfFile {
    slices: Option<Arc<Vec<Slice>>>,
    parts: HashMap<Place, Kept>,
}

#[derive(Default)]
struct Inner {
    files: HashMap<String, OfFile>,
    bytes: usize,
    uses: u64,
}

impl Inner {
    fn find(&mut self, file: &str, place: &Place) -> Option<&Part> {
        self.uses += 1;
        let uses = self.uses;
        let kept = self.files.get_mut(file)?.parts.get_mut(place)?;
        kept.used = uses;
        Some(&kept.part)
    }

    fn put(&mut self, file: &str, place: Place, part: Part, bytes: usize, bytes_max: usize) {
        if bytes > bytes_max {
            return;
        }
        self.uses += 1;
        let kept = Kept { part, bytes, used: self.uses };
        let former = self.files.entry(file.to_owned()).or_default().parts.insert(place, kept);
        self.bytes += bytes;
        self.bytes -= former.map_or(0, |former| former.bytes);
        if self.bytes > bytes_max {
            self.shrink(bytes_max - bytes_max / 8);
        }
    }

    /// Drops what was used least lately until no more than so many bytes are kept.
    fn shrink(&mut self, bytes_max: usize) {
        let mut all: Vec<(u64, String, Place)> = Vec::new();
        for (file, of_file) in &self.files {
            all.extend(of_file.parts.iter().map(|(place, kept)| (kept.used, file.clone(), place.clone())));
        }
        all.sort_unstable();
        for (_, file, place) in all {
            if self.bytes <= bytes_max {
                return;
            }
            let gone = self.files.get_mut(&file).and_then(|of_file| of_file.parts.remove(&place));
            self.bytes -= gone.map_or(0, |kept| kept.bytes);
        }
    }
}

/// The columns of a lake's files.
pub struct Cache {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

impl Cache {
    /// Keeps up to so many bytes.
    pub fn new(bytes_max: usize) -> Cache {
        Cache { inner: Mutex::default(), bytes_max }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the files that are not known any more.
    pub fn keep(&self, known: impl Fn(&str) -> bool) {
        let mut inner = self.inner();
        let mut gone = 0;
        inner.files.retain(|file, of_file| {
            let stays = known(file);
            if !stays {
                gone += of_file.parts.values().map(|kept| kept.bytes).sum::<usize>();
            }
            stays
        });
        inner.bytes -= gone;
    }

    /// The slices of a file.
    pub fn slices(
        &self,
        file: &str,
        read: impl FnOnce() -> Result<Vec<Slice>, Error>,
    ) -> Result<Arc<Vec<Slice>>, Error> {
        if let Some(slices) = self.inner().files.get(file).and_then(|of_file| of_file.slices.clone()) {
            return Ok(slices);
        }
        let slices = Arc::new(read()?);
        self.inner().files.entry(file.to_owned()).or_default().slices = Some(slices.clone());
        Ok(slices)
    }

    /// Profiles and instants of the slice that begins with a row.
    pub fn base(
        &self,
        file: &str,
        row: usize,
        generation: u64,
        read: impl FnOnce() -> Result<(Vec<u32>, Vec<i64>), Error>,
    ) -> Result<Base, Error> {
        let place = (row, None);
        if let Some(Part::Base(base, of)) = self.inner().find(file, &place)
            && *of == generation
        {
            return Ok(base.clone());
        }
        let (profiles, times) = read()?;
        let bytes = 12 * profiles.len() + 100;
        let base = (Arc::new(profiles), Arc::new(times));
        self.inner().put(file, place, Part::Base(base.clone(), generation), bytes, self.bytes_max);
        Ok(base)
    }

    /// Properties of the slice that begins with a row; those that are missing are read together.
    pub fn properties(
        &self,
        file: &str,
        row: usize,
        wanted: &[Names],
        read: impl FnOnce(&[Names]) -> Result<Vec<Coded>, Error>,
    ) -> Result<BTreeMap<Names, Arc<Coded>>, Error> {
        let mut out = BTreeMap::new();
        let mut missing = Vec::new();
        let mut inner = self.inner();
        for names in wanted {
            match inner.find(file, &(row, Some(names.clone()))) {
                Some(Part::Property(coded)) => drop(out.insert(names.clone(), coded.clone())),
                _ => missing.push(names.clone()),
            }
        }
        drop(inner);
        if missing.is_empty() {
            return Ok(out);
        }
        let found = read(&missing)?;
        let mut inner = self.inner();
        for (names, coded) in missing.into_iter().zip(found) {
            let bytes = coded.codes.bytes() + coded.values.iter().map(size).sum::<usize>() + 100;
            let coded = Arc::new(coded);
            let part = Part::Property(coded.clone());
            inner.put(file, (row, Some(names.clone())), part, bytes, self.bytes_max);
            out.insert(names, coded);
        }
        Ok(out)
    }

    /// What is kept now. Units: bytes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.inner().bytes
    }
}

/// About what a value takes. Units: bytes.
fn size(value: &Option<Value>) -> usize {
    let more = match value {
        Some(Value::String(text)) => text.len() + 16,
        Some(value @ (Value::Array(_) | Value::Object(_))) => 4 * value.to_string().len(),
        _ => 0,
    };
    std::mem::size_of::<Option<Value>>() + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_lately_used_goes_first_and_a_file_that_is_gone_takes_its_columns_along() {
        let cache = Cache::new(3_000);
        let base = || Ok((vec![1; 80], vec![1; 80]));
        let unread =
            || -> Result<(Vec<u32>, Vec<i64>), Error> { Err(Error::Corrupt("read again".to_owned())) };
        cache.base("a", 0, 0, base).unwrap();
        cache.base("b", 0, 0, base).unwrap();
        cache.base("a", 0, 0, unread).unwrap();
        cache.base("c", 0, 0, base).unwrap();
        assert!(cache.bytes() <= 3_000);
        assert!(cache.base("a", 0, 0, unread).is_ok());
        assert!(cache.base("b", 0, 0, unread).is_err());
        assert!(cache.base("a", 0, 1, unread).is_err(), "owners have changed since");
        cache.keep(|file| file == "c");
        assert!(cache.base("a", 0, 0, unread).is_err());
        assert_eq!(cache.bytes(), 12 * 80 + 100);
    }
}
