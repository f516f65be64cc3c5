//! Whose a stored event is now: profiles become part of others, and single events are given back when one is split.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use crate::Lake;
use crate::archive::follow;

/// A single event that belongs to another profile than its row and the aliases say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The event's log position.
    pub position: i64,
    /// The profile that its row names.
    pub stored: i64,
    /// The profile it belongs to; that one may become part of another one later.
    pub profile: i64,
}

/// What is known of owners at one instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    /// Profiles that became part of others.
    pub aliases: HashMap<i64, i64>,
    /// By position.
    moved: HashMap<i64, i64>,
    /// Rows of other profiles need no look at `moved`.
    watched: HashSet<i64>,
    /// Grows with each change of `moved`.
    pub generation: u64,
}

impl Owners {
    /// The profile that a row belongs to now.
    pub fn of(&self, stored: i64, position: i64) -> i64 {
        let id = self.given(stored, position);
        follow(&self.aliases, id).unwrap_or(id)
    }

    /// The profile that a row belongs to, before profiles became part of others.
    pub fn given(&self, stored: i64, position: i64) -> i64 {
        if !self.watched.contains(&stored) {
            return stored;
        }
        self.moved.get(&position).copied().unwrap_or(stored)
    }

    /// Whether any single event was given to another profile.
    pub fn has_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// The numbers that rows of a profile may name.
    pub fn stored_as(&self, profile: i64) -> HashSet<i64> {
        let mut out = self.watched.clone();
        let former = self.aliases.keys().filter(|id| follow(&self.aliases, **id) == Some(profile));
        out.extend(former);
        out.insert(profile);
        out
    }

    fn take(&mut self, moved: impl Iterator<Item = Moved>) {
        for each in moved {
            self.moved.insert(each.position, each.profile);
            self.watched.extend([each.stored, each.profile]);
            self.generation += 1;
        }
    }
}

impl Lake {
    /// Says that profiles have become part of others.
    pub fn add_aliases(&self, pairs: impl Iterator<Item = (i64, i64)>) {
        let mut pairs = pairs.peekable();
        if pairs.peek().is_some() {
            self.change(|owners| owners.aliases.extend(pairs));
        }
    }

    /// Says that profiles are no part of others any more, and which events are whose. At once: no reader sees the half of it.
    pub fn split(
        &self,
        freed: impl Iterator<Item = i64>,
        aliases: impl Iterator<Item = (i64, i64)>,
        moved: impl Iterator<Item = Moved>,
    ) {
        self.change(|owners| {
            for id in freed {
                owners.aliases.remove(&id);
            }
            owners.aliases.extend(aliases);
            owners.take(moved);
        });
    }

    /// The profile that this one became part of.
    pub fn alias(&self, id: i64) -> Option<i64> {
        follow(&self.owners_now().aliases, id)
    }

    /// The profile that a row names, or that a split gave its event to; it may have become part of another one.
    pub fn given(&self, stored: i64, position: i64) -> i64 {
        self.owners_now().given(stored, position)
    }

    /// The profile that an event was given to by a split.
    pub fn moved(&self, position: i64) -> Option<i64> {
        let owners = self.owners_now();
        let id = *owners.moved.get(&position)?;
        Some(follow(&owners.aliases, id).unwrap_or(id))
    }

    /// The owners as of now, for a scan or query.
    pub(crate) fn owners_now(&self) -> Arc<Owners> {
        self.owners.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Owners)) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        // A reader that still looks at the former ones keeps them.
        change(Arc::make_mut(&mut owners));
    }
}
