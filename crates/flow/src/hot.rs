//! A profile's state as the step works on it, and its stored format: one blob beside the profile's row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Timestamp, Value};
use profile::Profile;
use serde::{Deserialize, Serialize};

use crate::registry::Registry;
use crate::{Error, codec};

/// Older formats were never released.
const STATE_VERSION: u8 = 5;

/// A profile's state; stored as one blob.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hot {
    /// Identity, attributes, consent. The first part: it can be read alone.
    pub profile: Profile,
    /// Features and memberships.
    pub segments: segment::State,
    /// Entries into journeys that have not ended.
    pub entries: Vec<journey::Entry>,
    /// What it did with items of the catalogue.
    pub history: recommend::History,
    /// When it entered each journey last, for those that may be entered once or seldom.
    pub entered: BTreeMap<String, Timestamp>,
    /// When each rule fired last.
    pub fired: BTreeMap<String, Timestamp>,
    /// A print of what each decision table that keeps its outcome decided last.
    pub decided: BTreeMap<String, u64>,
}

impl Hot {
    /// Decodes a stored profile.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Hot, Error> {
        codec::decode_state(STATE_VERSION, bytes)
    }

    /// Decodes the profile of a stored state alone: a small part of it.
    ///
    /// # Errors
    /// As `decode`.
    pub(crate) fn decode_profile(bytes: &[u8]) -> Result<Profile, Error> {
        codec::decode_first(STATE_VERSION, bytes)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        codec::encode_state(STATE_VERSION, self)
    }

    /// The next instant at which anything can change without an event. Entries of paused journeys rest.
    pub(crate) fn due_at(&self, registry: &Registry) -> Option<Timestamp> {
        let moves = |entry: &&journey::Entry| {
            registry.journeys.get(&entry.journey).is_none_or(|journey| journey.live)
        };
        let entries = self.entries.iter().filter(moves).filter_map(|entry| entry.due_at).min();
        [self.segments.due_at(), entries].into_iter().flatten().min()
    }

    /// Takes in the state of a profile that turned out to be the same person; the entries that end by it are answered.
    pub(crate) fn merge(&mut self, other: Hot) -> Vec<journey::Entry> {
        self.profile.merge(other.profile);
        self.segments.merge(other.segments);
        self.segments.attributes_changed();
        self.history.merge(other.history);
        for (journey, at) in other.entered {
            let last = self.entered.entry(journey).or_insert(at);
            *last = at.max(*last);
        }
        for (rule, at) in other.fired {
            let last = self.fired.entry(rule).or_insert(at);
            *last = at.max(*last);
        }
        journey::merge(&mut self.entries, other.entries)
    }
}

/// A profile's attributes, as conditions read them.
pub struct Facts<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The workspace's zone, for those whose own is unknown.
    pub zone: &'a jiff::tz::TimeZone,
}

impl expr::Attributes for Facts<'_> {
    fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        self.profile.get(path)
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        let own = self.profile.get("timezone");
        own.and_then(|zone| jiff::tz::TimeZone::get(zone.as_str()?).ok()).unwrap_or_else(|| self.zone.clone())
    }

    fn consents(&self, purpose: &str) -> bool {
        expr::Attributes::consents(self.profile, purpose)
    }

    fn subscribed(&self, topic: &str) -> bool {
        expr::Attributes::subscribed(self.profile, topic)
    }

    fn consent(&self, about: &str) -> Option<expr::Consented> {
        expr::Attributes::consent(self.profile, about)
    }

    fn seed(&self) -> Option<Cow<'_, str>> {
        expr::Attributes::seed(self.profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_it_was_written_and_a_foreign_version_is_named() {
        let mut hot =
            Hot { profile: Profile { groups: vec!["g".into()], ..Profile::default() }, ..Hot::default() };
        hot.entered.insert("cart".into(), Timestamp::from_secs(5));
        let mut bytes = hot.encode().unwrap();
        let again = Hot::decode(&bytes).unwrap();
        assert_eq!((&again.profile.groups, again.entered), (&hot.profile.groups, hot.entered));
        assert_eq!(Hot::decode_profile(&bytes).unwrap().groups, hot.profile.groups);
        bytes[0] = STATE_VERSION + 1;
        let error = Hot::decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("version"), "{error}");
    }
}
