//! Coded columns: what a condition reads of history, built from the files at first use and kept.
//!
//! In a file the events of one name lie together in the order of time. Such a slice has its profiles and instants as
//! plain arrays, and each property that somebody asked for as codes with a list of what they stand for. Slices of other
//! names and other times are not touched. What is kept is bounded; what was used least lately goes first.

mod cache;
mod extract;
mod read;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use model::column::{Coded, Names, Rows, Wanted, covers};

pub(crate) use cache::Cache;
use extract::Extractor;
use read::Slice;

use crate::archive::{Row, follow};
use crate::owners::Owners;
use crate::{Error, Lake};

/// What is kept of all columns. Units: bytes.
pub(crate) const BYTES_MAX: usize = 768 << 20;

/// The properties that somebody wants of events of this name in this time; `None` when nobody wants the events.
fn asked(wanted: &[Wanted], name: &str, first: i64, last: i64) -> Option<Vec<Names>> {
    let mut out = None;
    for each in wanted.iter().filter(|each| covers(&each.event, name)) {
        if first < each.until && last >= each.from {
            out.get_or_insert_with(Vec::new).extend(each.properties.iter().cloned());
        }
    }
    let mut names: Vec<Names> = out?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

impl Lake {
    /// The rows that somebody wants, each name of each file by itself, and those in memory. Blocking.
    ///
    /// Cost: at first use of a property one read of the JSON of its events; then none.
    ///
    /// # Errors
    /// `Corrupt` when a file cannot be read.
    pub fn columns(&self, workspace: i64, wanted: &[Wanted]) -> Result<Vec<Rows>, Error> {
        let (manifest, buffered) = self.snapshot();
        let owners = self.owners_now();
        let known: HashSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        self.columns.keep(|file| known.contains(file));
        let mut out = Vec::new();
        for file in manifest.files.iter().filter(|file| file.workspace == workspace) {
            let mut names = file.names.iter();
            if !names.any(|name| asked(wanted, name, i64::MIN, i64::MAX).is_some()) {
                continue;
            }
            let path = self.dir.join(&file.path);
            let slices = self.columns.slices(&file.path, || read::slices(&path))?;
            for slice in slices.iter() {
                if let Some(properties) = asked(wanted, &slice.name, slice.first, slice.last) {
                    out.push(self.slice_of(&file.path, slice, &properties, &owners)?);
                }
            }
        }
        let theirs = buffered.iter().filter(|row| row.workspace == workspace);
        out.extend(in_memory(theirs.map(AsRef::as_ref), wanted, &owners));
        Ok(out)
    }

    fn slice_of(&self, file: &str, slice: &Slice, wanted: &[Names], owners: &Owners) -> Result<Rows, Error> {
        let path = self.dir.join(file);
        let range: Range<usize> = slice.rows.clone();
        let (profiles, times) = self
            .columns
            .base(file, slice.rows.start, owners.generation, || read::base(&path, range.clone(), owners))?;
        let columns = self.columns.properties(file, slice.rows.start, wanted, |missing| {
            read::properties(&path, range.clone(), missing)
        })?;
        Ok(Rows { name: slice.name.clone(), profiles, times, properties: columns })
    }

    /// Which profile each number has become part of, itself when of none; `None` when none has. At least as long as
    /// `size`, and longer when later numbers have become part of others.
    pub fn owners(&self, size: usize) -> Option<Vec<u32>> {
        let aliases = &self.owners_now().aliases;
        let last = aliases.keys().filter(|id| read::number(**id) != u32::MAX).max()?;
        let size = size.max(read::number(*last) as usize + 1);
        let mut owners: Vec<u32> = (0..size as u32).collect();
        for id in aliases.keys() {
            let place = usize::try_from(*id).ok().and_then(|id| owners.get_mut(id));
            if let (Some(place), Some(into)) = (place, follow(aliases, *id)) {
                *place = read::number(into);
            }
        }
        Some(owners)
    }
}

/// Rows that are in no file yet, each name by itself in the order of time.
fn in_memory<'a>(rows: impl Iterator<Item = &'a Row>, wanted: &[Wanted], owners: &Owners) -> Vec<Rows> {
    let mut names: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.filter(|row| wanted.iter().any(|each| covers(&each.event, &row.name))) {
        names.entry(&row.name).or_default().push(row);
    }
    let mut out = Vec::new();
    for (name, mut rows) in names {
        rows.sort_by_key(|row| (row.timestamp, row.position));
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        let Some(asked) = asked(wanted, name, first.timestamp.micros(), last.timestamp.micros()) else {
            continue;
        };
        let mut properties: BTreeMap<Names, Arc<Coded>> = BTreeMap::new();
        if !asked.is_empty() {
            let mut extractor = Extractor::new(&asked);
            for row in &rows {
                extractor.take(&row.properties);
            }
            properties.extend(asked.into_iter().zip(extractor.finish().into_iter().map(Arc::new)));
        }
        out.push(Rows {
            name: name.to_owned(),
            profiles: Arc::new(
                rows.iter().map(|row| read::number(owners.given(row.profile_id, row.position))).collect(),
            ),
            times: Arc::new(rows.iter().map(|row| row.timestamp.micros()).collect()),
            properties,
        });
    }
    out
}
