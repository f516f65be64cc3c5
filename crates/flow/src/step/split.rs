//! One profile becomes two: because a person says that some of its identifiers are somebody else's. Each gets what its own
//! events make of it, and every refusal of the one it was.

use std::collections::BTreeMap;

use model::{Event, ProfileId, Timestamp};
use segment::EventView;

use super::{Key, Step, Working, entry_row};
use crate::hot::{Facts, Hot};
use crate::registry::Registry;
use crate::split::{Apart, Told, splits};

impl Step<'_> {
    /// Does what such an event says.
    pub(super) fn split(&mut self, key: Key, event: &Event) {
        if !splits(event) {
            return;
        }
        let apart = match self.apart.take() {
            Some(Ok(apart)) if apart.source == key.1 => apart,
            Some(Err(why)) => return self.note_split(key, event, why),
            _ => return self.note_split(key, event, "The profile became another one meanwhile.".to_owned()),
        };
        let Some(working) = self.profiles.remove(&key) else { return };
        let target = apart.former.unwrap_or_else(|| {
            self.next_profile_id += 1;
            ProfileId(self.next_profile_id)
        });
        let other = (key.0, target);
        let registry = self.registry(key.0);
        let (ours, theirs) = self.two_of(&working.hot, &apart, target, event, &registry);
        for known in &working.hot.profile.identifiers {
            let named = apart.is_named(known.kind, &known.value);
            let owner = if named { target } else { key.1 };
            self.index.insert((key.0, known.kind, known.value.clone()), owner);
            if named {
                self.commit.identifiers.push(store::IdentifierRow {
                    workspace: key.0,
                    kind: known.kind,
                    value: known.value.clone(),
                    profile: target,
                });
            }
        }
        for entry in &theirs.entries {
            self.commit.entries.push(entry_row(other, entry, None, Vec::new(), self.now));
        }
        let consents = [(key.1, &ours), (target, &theirs)].into_iter().flat_map(|(profile, hot)| {
            hot.profile.consents.iter().map(move |(topic, said)| store::ConsentRow {
                workspace: key.0,
                profile,
                topic: topic.clone(),
                subscribed: said.given,
                at: said.updated_at,
                source: said.by.clone().unwrap_or_else(|| event.name.clone()),
            })
        });
        self.commit.splits.push(store::SplitRow {
            workspace: key.0,
            message_id: event.message_id.clone(),
            source: key.1,
            target: Some(target),
            at: self.now,
            reason: crate::split::reason(event),
            moved: apart.theirs.len() as i64,
            kept: apart.ours.len() as i64,
            shared: apart.shared,
            repointed: apart.repointed.clone(),
            addresses: apart.addresses.clone(),
            entries: apart.entries.iter().cloned().collect(),
            consents: consents.collect(),
            given: apart.given(target),
        });
        self.parted = apart.aliases(target);
        // A former number that the event was looked up by is somebody again.
        self.gone.retain(|(_, from), _| *from != target && !apart.repointed.contains(from));
        self.filled.insert(other);
        let created_at = working.created_at;
        self.profiles.insert(key, Working { hot: ours, ..working });
        self.profiles.insert(other, Working { hot: theirs, created_at, bytes: 0 });
        self.dirty.extend([key, other]);
        self.splitting = true;
        self.settle(other);
        self.decide(other, &registry);
    }

    fn note_split(&mut self, key: Key, event: &Event, why: String) {
        self.commit.splits.push(store::SplitRow {
            workspace: key.0,
            message_id: event.message_id.clone(),
            source: key.1,
            at: self.now,
            reason: why,
            ..store::SplitRow::default()
        });
    }

    fn two_of(
        &self,
        one: &Hot,
        apart: &Apart,
        target: ProfileId,
        event: &Event,
        registry: &Registry,
    ) -> (Hot, Hot) {
        let mut ours = self.fold(&apart.ours, one, |kind, value| !apart.is_named(kind, value), registry);
        let mut theirs = self.fold(&apart.theirs, one, |kind, value| apart.is_named(kind, value), registry);
        for hot in [&mut ours, &mut theirs] {
            for (topic, said) in one.profile.consents.iter().filter(|(_, said)| !said.given) {
                let known = hot.profile.consents.entry(topic.clone()).or_insert_with(|| said.clone());
                if known.given {
                    *known = said.clone();
                }
            }
            hot.segments.attributes_changed();
        }
        ours.segments.keep_members(&one.segments);
        (theirs.entries, ours.entries) =
            one.entries.iter().cloned().partition(|entry| apart.entries.contains(&entry.id));
        (ours.entered, theirs.entered) = apart.entered(&one.entered);
        (ours.fired, theirs.fired) = fired(one, &apart.theirs, &apart.ours);
        ours.decided.clone_from(&one.decided);
        ours.profile.decisions.clone_from(&one.profile.decisions);
        let said = |sentence: String| vec![profile::Decision::new(event.timestamp, "split", sentence)];
        let names = apart.names();
        let many = apart.theirs.len();
        let why = crate::split::reason(event);
        ours.profile.decide(said(format!(
            "{names} were found to be another person's, profile {target}, and went there with {many} events: {why}"
        )));
        theirs.profile.decide(said(format!("It was split off from profile {}: {why}", apart.source)));
        (ours, theirs)
    }

    /// What a person's own events make of it.
    fn fold(
        &self,
        events: &[Told],
        one: &Hot,
        owned: impl Fn(model::IdentifierKind, &str) -> bool,
        registry: &Registry,
    ) -> Hot {
        let mut hot = Hot::default();
        let all = &one.profile.identifiers;
        for told in events {
            let event = &told.event;
            let mut seen = profile::identifiers(event);
            seen.retain(|id| {
                owned(id.kind, &id.value) && all.iter().any(|k| k.kind == id.kind && k.value == id.value)
            });
            hot.profile.see(&seen, event);
            hot.profile.fold(event);
            if let Some(action) = recommend::Action::of_event(&event.name) {
                for item in crate::recommend::items_of(&event.properties) {
                    hot.history.note(&item, action, event.timestamp);
                }
            }
            let facts = Facts { profile: &hot.profile, zone: &registry.zone };
            registry.engine.apply(&mut hot.segments, &EventView::of(event), &facts, self.now);
        }
        // An identifier that only shared events carry is its owner's all the same.
        for known in all.iter().filter(|known| owned(known.kind, &known.value)) {
            if !hot.profile.identifiers.iter().any(|k| k.kind == known.kind && k.value == known.value) {
                hot.profile.identifiers.push(known.clone());
            }
        }
        hot
    }
}

/// When rules fired last, for the one that keeps its number and for the other.
fn fired(
    one: &Hot,
    theirs: &[Told],
    ours: &[Told],
) -> (BTreeMap<String, Timestamp>, BTreeMap<String, Timestamp>) {
    let last = |events: &[Told]| {
        let mut out: BTreeMap<String, Timestamp> = BTreeMap::new();
        for told in events.iter().filter(|told| told.event.name == "Rule Fired" && told.is_internal()) {
            if let Some(rule) = told.property("rule") {
                let at = told.event.timestamp;
                let known = out.entry(rule).or_insert(at);
                *known = at.max(*known);
            }
        }
        out
    };
    let (theirs, own) = (last(theirs), last(ours));
    let mut ours = one.fired.clone();
    ours.retain(|rule, at| match theirs.get(rule) {
        // The last firing was the other's: an earlier one of its own counts.
        Some(other) if *other == *at => match own.get(rule) {
            Some(own) => {
                *at = *own;
                true
            }
            None => false,
        },
        _ => true,
    });
    (ours, theirs)
}
