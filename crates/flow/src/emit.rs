//! Events the platform itself emits: their names, deterministic ids, and the shape they enter the log in.
//!
//! They are rows of the transaction that caused them; the relay carries them to the log, where the id absorbs a
//! second delivery after a crash.

use model::{Call, Event, ProfileId, Timestamp, Trust, Value, WorkspaceId};
use serde_json::json;

/// An event of ours about `profile`. `id` must follow from the cause alone, never from the moment of writing.
pub fn event(
    workspace: WorkspaceId,
    profile: ProfileId,
    name: &str,
    id: String,
    at: Timestamp,
    properties: Value,
) -> Event {
    Event {
        workspace,
        message_id: id,
        call: Call::Track,
        name: name.to_owned(),
        user_id: None,
        anonymous_id: None,
        other_id: Some(profile.0.to_string()),
        timestamp: at,
        original_timestamp: at,
        received_at: at,
        properties: properties.to_string(),
        context: "{}".to_owned(),
        trust: Trust::Internal,
        backfill: false,
    }
}

/// The profile that an event of ours speaks of.
pub fn subject(event: &Event) -> Option<ProfileId> {
    if event.trust != Trust::Internal {
        return None;
    }
    event.other_id.as_deref()?.parse().ok().map(ProfileId)
}

/// `Segment Entered` or `Segment Exited`. The instant is part of the id: entries and exits alternate.
pub fn segment_change(
    workspace: WorkspaceId,
    profile: ProfileId,
    segment: &str,
    entered: bool,
    at: Timestamp,
    cause: &str,
) -> Event {
    let (name, short) = if entered { ("Segment Entered", "in") } else { ("Segment Exited", "out") };
    let id = format!("seg-{short}-{segment}-{profile}-{}", at.micros());
    event(workspace, profile, name, id, at, json!({"segment": segment, "cause": cause}))
}

/// `Attribute Mistyped`: an event set an attribute to a value that is not of its declared type. The value is kept.
pub fn attribute_problem(
    workspace: WorkspaceId,
    profile: ProfileId,
    cause: &Event,
    problem: &profile::Problem,
) -> Event {
    let text = format!("{}/{}", problem.attribute, cause.message_id);
    let id = format!("mistyped-{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()));
    let properties = json!({
        "code": problem.code, "attribute": problem.attribute, "declared": problem.declared, "value": problem.value,
        "message": problem.message, "message_id": cause.message_id, "trust": cause.trust,
    });
    event(workspace, profile, "Attribute Mistyped", id, cause.received_at, properties)
}

/// An event about a message: `Email Sent`, `Email Skipped` … Once per message and name.
pub fn message(
    workspace: WorkspaceId,
    profile: ProfileId,
    name: &str,
    message_id: &str,
    at: Timestamp,
    properties: Value,
) -> Event {
    let id = format!("msg-{}-{message_id}", name.to_ascii_lowercase().replace(' ', "-"));
    let mut properties = properties;
    properties["message_id"] = json!(message_id);
    event(workspace, profile, name, id, at, properties)
}
