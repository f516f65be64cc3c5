//! Two profiles become one: because their identifiers met, or because a person says so. Then an event of ours says so,
//! and the step merges them when it comes to it, as it would again when the log is replayed.

use model::{Event, ProfileId, Trust, Value, WorkspaceId};
use serde_json::json;
use store::Emitted;

use super::{Key, Step, entry_row};
use crate::platform::Platform;
use crate::{Error, codec, emit};

/// The event's name.
const NAME: &str = "Profiles Merged";

/// The profile that an event says is the same person as its subject.
pub(super) fn other(event: &Event) -> Option<ProfileId> {
    if event.trust != Trust::Internal || event.name != NAME {
        return None;
    }
    let properties: Value = serde_json::from_str(&event.properties).ok()?;
    properties["with"].as_i64().map(ProfileId)
}

impl Step<'_> {
    /// Makes `other` part of `into`: identifiers, state, entries and what this step was about to write of it.
    pub(super) fn merge(&mut self, into: Key, other: ProfileId, reason: String) {
        let from = (into.0, other);
        let Some(theirs) = self.profiles.remove(&from) else { return };
        // What it was known by tells a split whom to give back.
        self.commit.merged_identifiers.extend(theirs.hot.profile.identifiers.iter().map(|known| {
            let (kind, value) = (known.kind, known.value.clone());
            store::IdentifierRow { workspace: into.0, kind, value, profile: other }
        }));
        self.dirty.remove(&from);
        for owner in self.index.values_mut().filter(|owner| **owner == other) {
            *owner = into.1;
        }
        for row in
            self.commit.identifiers.iter_mut().filter(|row| row.workspace == into.0 && row.profile == other)
        {
            row.profile = into.1;
        }
        for row in
            self.commit.consents.iter_mut().filter(|row| row.workspace == into.0 && row.profile == other)
        {
            row.profile = into.1;
        }
        self.commit.memberships.retain(|change| (change.workspace, change.profile) != from);
        self.gone.insert(from, into.1);
        let mut superseded = Vec::new();
        if let Some(ours) = self.profiles.get_mut(&into) {
            ours.created_at = ours.created_at.min(theirs.created_at);
            superseded = ours.hot.merge(theirs.hot);
            for entry in &ours.hot.entries {
                self.commit.entries.push(entry_row(into, entry, None, Vec::new(), self.now));
            }
        }
        for entry in superseded {
            self.end(into, &entry, "merged", Vec::new());
        }
        self.dirty.insert(into);
        self.commit.merges.push(store::MergeRow {
            workspace: into.0,
            source: other,
            target: into.1,
            at: self.now,
            reason,
        });
    }

    /// Does what such an event says; nothing when the two are one already.
    pub(super) fn merge_by_hand(&mut self, into: Key, event: &Event) {
        let Some(other) = other(event) else { return };
        let other = self.gone.get(&(into.0, other)).copied().unwrap_or(other);
        if other == into.1 || !self.profiles.contains_key(&(into.0, other)) {
            return;
        }
        let properties: Value = serde_json::from_str(&event.properties).unwrap_or_default();
        let reason = properties["reason"].as_str().unwrap_or_default();
        let sentence = format!("Profile {other} was merged into this one by hand: {reason}");
        self.merge(into, other, sentence.clone());
        if let Some(working) = self.profiles.get_mut(&into) {
            working.hot.profile.decide(vec![profile::Decision::new(
                event.timestamp,
                "merged_by_hand",
                sentence,
            )]);
        }
    }
}

impl Platform {
    /// Says that two profiles are one person: `with` becomes part of `id`. It is done when the event has been stepped; its
    /// message id is returned. Said twice, it is done once.
    ///
    /// # Errors
    /// `Missing` when there is no such profile, `Invalid` when both are the same.
    pub async fn merge_profiles(
        &self,
        workspace: WorkspaceId,
        id: ProfileId,
        with: ProfileId,
        reason: &str,
    ) -> Result<String, Error> {
        let (into, _) = self.hot(workspace, id).await?;
        let (other, _) = self.hot(workspace, with).await?;
        if into.id == other.id {
            return Err(Error::invalid(
                "same_profile",
                "/with",
                "Both are the same profile already: there is nothing to merge.",
            ));
        }
        let apart = self.store.splits(workspace, into.id).await?;
        let apart = apart.iter().filter(|split| split.source == other.id || split.target == Some(other.id));
        // Who was split and is merged again is merged by another event than the first time.
        let message_id = match apart.count() {
            0 => format!("merge-{}-{}", into.id, other.id),
            again => format!("merge-{}-{}-{again}", into.id, other.id),
        };
        let properties = json!({"with": other.id.0, "reason": reason});
        let now = self.clock.now();
        let event = emit::event(workspace, into.id, NAME, message_id.clone(), now, properties);
        let payload = codec::encode_event(&event)?;
        self.store.emit(&[Emitted { message_id: event.message_id, payload }]).await?;
        self.wake.relay.notify_one();
        Ok(message_id)
    }
}
