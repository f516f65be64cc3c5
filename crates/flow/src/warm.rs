//! Profiles and identifiers that the step has just worked on, kept in memory: what comes again soon is not read again.
//!
//! Only the step writes profiles, one step at a time, so that what is kept here is what is stored. A step takes profiles
//! out and gives them back once it is committed; what a failed step took is read from the store again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{IdentifierKind, ProfileId, Timestamp, WorkspaceId};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::hot::Hot;

/// Bytes of decoded states, as estimated from their stored size.
const BYTES_MAX: u64 = 128 << 20;
/// A state in memory against its stored bytes.
const SPREAD: u64 = 4;
/// Identifiers that are kept.
const IDENTIFIERS_MAX: usize = 200_000;

/// A profile as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub workspace: WorkspaceId,
    pub hot: Hot,
    pub created_at: Timestamp,
    /// Bytes of the stored state.
    pub bytes: usize,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<i64, Kept> for ByBytes {
    fn weight(&self, _: &i64, kept: &Kept) -> u64 {
        (kept.bytes as u64 + 128) * SPREAD
    }
}

/// An identifier of a workspace.
pub(crate) type Identifier = (WorkspaceId, IdentifierKind, String);

struct Inner {
    profiles: Cache<i64, Kept, ByBytes>,
    identifiers: Cache<Identifier, ProfileId>,
}

/// What the step keeps.
pub(crate) struct Warm(Mutex<Inner>);

impl Default for Warm {
    fn default() -> Warm {
        Warm(Mutex::new(Inner {
            profiles: Cache::with_weighter(20_000, BYTES_MAX, ByBytes),
            identifiers: Cache::new(IDENTIFIERS_MAX),
        }))
    }
}

impl Warm {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes profiles out; those that are not kept are left in `ids`.
    pub fn take(&self, ids: &mut Vec<ProfileId>) -> Vec<(ProfileId, Kept)> {
        let mut inner = self.inner();
        let mut found = Vec::new();
        ids.retain(|id| match inner.profiles.remove(&id.0) {
            Some((_, kept)) => {
                found.push((*id, kept));
                false
            }
            None => true,
        });
        found
    }

    /// Lets go of a profile.
    pub fn forget(&self, id: ProfileId) {
        self.inner().profiles.remove(&id.0);
    }

    /// Keeps profiles that are committed.
    pub fn give_back(&self, profiles: impl Iterator<Item = (ProfileId, Kept)>) {
        let mut inner = self.inner();
        for (id, kept) in profiles {
            inner.profiles.insert(id.0, kept);
        }
    }

    /// Whose identifiers these are, as far as it is kept; the others are left in `keys`.
    pub fn identify(
        &self,
        keys: &mut Vec<Identifier>,
        alias: impl Fn(i64) -> Option<i64>,
    ) -> HashMap<Identifier, ProfileId> {
        let inner = self.inner();
        let mut found = HashMap::with_capacity(keys.len());
        keys.retain(|key| match inner.identifiers.get(key) {
            Some(id) => {
                // The profile may have become part of another one since.
                found.insert(key.clone(), ProfileId(alias(id.0).unwrap_or(id.0)));
                false
            }
            None => true,
        });
        found
    }

    /// Keeps whose identifiers these are.
    pub fn know(&self, identifiers: impl Iterator<Item = (Identifier, ProfileId)>) {
        let mut inner = self.inner();
        for (identifier, id) in identifiers {
            inner.identifiers.insert(identifier, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: usize) -> Kept {
        Kept { workspace: WorkspaceId(1), hot: Hot::default(), created_at: Timestamp::default(), bytes }
    }

    #[test]
    fn what_is_taken_is_gone_until_it_is_given_back() {
        let warm = Warm::default();
        warm.give_back([(ProfileId(1), kept(10))].into_iter());
        let mut ids = vec![ProfileId(1), ProfileId(2)];
        assert_eq!(warm.take(&mut ids).len(), 1);
        assert_eq!(ids, [ProfileId(2)]);
        let mut again = vec![ProfileId(1)];
        assert!(warm.take(&mut again).is_empty());
    }

    #[test]
    fn large_states_give_way_before_memory_does() {
        let warm = Warm::default();
        let many = 1_000;
        warm.give_back((1..=many).map(|id| (ProfileId(id), kept(1 << 20))));
        let mut ids: Vec<ProfileId> = (1..=many).map(ProfileId).collect();
        let found = warm.take(&mut ids);
        assert!(found.len() as u64 <= BYTES_MAX / (SPREAD << 20), "{} are kept", found.len());
    }

    #[test]
    fn an_identifier_of_a_merged_profile_leads_to_the_one_it_became() {
        let warm = Warm::default();
        let key = (WorkspaceId(1), IdentifierKind::Email, "a@example.com".to_owned());
        warm.know([(key.clone(), ProfileId(5))].into_iter());
        let mut keys = vec![key.clone(), (WorkspaceId(2), IdentifierKind::Email, "a@example.com".to_owned())];
        let found = warm.identify(&mut keys, |id| (id == 5).then_some(3));
        assert_eq!(found.get(&key), Some(&ProfileId(3)));
        assert_eq!(keys.len(), 1, "another workspace's identifier is another one");
    }
}
