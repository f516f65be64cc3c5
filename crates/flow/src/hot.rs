//! A profile's state as the step works on it, and its stored format: one blob beside the profile's row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Timestamp, Value};
use profile::Profile;
use serde::{Deserialize, Serialize};

use crate::registry::Registry;
use crate::{Error, codec};

const STATE_V1: u8 = 1;
const STATE_V2: u8 = 2;

/// A profile's state; stored as one blob.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hot {
    /// Identity, attributes, consent.
    pub profile: Profile,
    /// Features and memberships.
    pub segments: segment::State,
    /// Entries into journeys that have not ended.
    pub entries: Vec<journey::Entry>,
    /// What it did with items of the catalogue.
    pub history: recommend::History,
    /// When it entered each journey last, for those that may be entered once or seldom.
    pub entered: BTreeMap<String, Timestamp>,
}

/// The first format: no history, no visits.
#[derive(Serialize, Deserialize)]
struct HotV1 {
    profile: Profile,
    segments: segment::State,
    entries: Vec<EntryV1>,
}

#[derive(Serialize, Deserialize)]
struct EntryV1 {
    id: String,
    journey: String,
    version: i64,
    node: String,
    key: String,
    entered_at: Timestamp,
    due_at: Option<Timestamp>,
    waiting: bool,
    event: String,
}

impl From<EntryV1> for journey::Entry {
    fn from(old: EntryV1) -> journey::Entry {
        journey::Entry {
            id: old.id,
            journey: old.journey,
            version: old.version,
            node: old.node,
            key: old.key,
            entered_at: old.entered_at,
            due_at: old.due_at,
            waiting: old.waiting,
            event: old.event,
            visits: BTreeMap::new(),
        }
    }
}

impl From<HotV1> for Hot {
    fn from(old: HotV1) -> Hot {
        let entries: Vec<journey::Entry> = old.entries.into_iter().map(journey::Entry::from).collect();
        let entered = entries.iter().map(|entry| (entry.journey.clone(), entry.entered_at)).collect();
        Hot { profile: old.profile, segments: old.segments, entries, entered, ..Hot::default() }
    }
}

impl Hot {
    /// Decodes a stored profile.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Hot, Error> {
        match bytes.first() {
            Some(&STATE_V1) => codec::decode_state::<HotV1>(STATE_V1, bytes).map(Hot::from),
            _ => codec::decode_state(STATE_V2, bytes),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        codec::encode_state(STATE_V2, self)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_stored_by_the_first_format_is_read_with_its_entries_and_written_in_the_second() {
        let old = HotV1 {
            profile: Profile { groups: vec!["g".into()], ..Profile::default() },
            segments: segment::State::default(),
            entries: vec![EntryV1 {
                id: "e".into(),
                journey: "cart".into(),
                version: 3,
                node: "wait".into(),
                key: "c1".into(),
                entered_at: Timestamp::from_secs(5),
                due_at: Some(Timestamp::from_secs(9)),
                waiting: true,
                event: "{}".into(),
            }],
        };
        let bytes = codec::encode_state(STATE_V1, &old).unwrap();
        let hot = Hot::decode(&bytes).unwrap();
        assert_eq!((hot.profile.groups.as_slice(), hot.entries[0].version), (["g".to_owned()].as_slice(), 3));
        assert_eq!(hot.entered["cart"], Timestamp::from_secs(5));
        let again = hot.encode().unwrap();
        assert_eq!(again[0], STATE_V2);
        assert_eq!(Hot::decode(&again).unwrap().entries, hot.entries);
    }
}
