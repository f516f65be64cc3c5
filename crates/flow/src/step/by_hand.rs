//! Profiles that a person says are one: an event of ours says so, and the step merges them when it comes to it, as it
//! would again when the log is replayed.

use model::{Event, ProfileId, Trust, Value, WorkspaceId};
use serde_json::json;
use store::Emitted;

use super::{Key, Step};
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
        let message_id = format!("merge-{}-{}", into.id, other.id);
        let properties = json!({"with": other.id.0, "reason": reason});
        let now = self.clock.now();
        let event = emit::event(workspace, into.id, NAME, message_id.clone(), now, properties);
        let payload = codec::encode_event(&event)?;
        self.store.emit(&[Emitted { message_id: event.message_id, payload }]).await?;
        self.wake.relay.notify_one();
        Ok(message_id)
    }
}
