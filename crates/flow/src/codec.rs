//! Stored formats of the log's events and of a profile's state: a version byte, then postcard of a type of its own.
//!
//! Types of the engines are not stored formats: a change there is a new version here, read side by side.

use model::{Call, Event, Position, Timestamp, Trust, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::Error;

const EVENT_V1: u8 = 1;

/// An event as the log keeps it. Borrowed from the event when written, from the bytes when read.
#[derive(Serialize, Deserialize)]
struct EventV1<'a> {
    workspace: i64,
    #[serde(borrow)]
    message_id: &'a str,
    call: u8,
    name: &'a str,
    user_id: Option<&'a str>,
    anonymous_id: Option<&'a str>,
    other_id: Option<&'a str>,
    timestamp: i64,
    original_timestamp: i64,
    received_at: i64,
    properties: &'a str,
    context: &'a str,
    trust: u8,
    backfill: bool,
}

const CALLS: [Call; 6] = [Call::Identify, Call::Track, Call::Page, Call::Screen, Call::Group, Call::Alias];
const TRUSTS: [Trust; 4] = [Trust::Browser, Trust::Server, Trust::Import, Trust::Internal];

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|item| item == one).unwrap_or_default() as u8
}

/// The bytes the log keeps for `event`.
///
/// # Errors
/// Never for an event that was accepted; a fault of ours otherwise.
pub fn encode_event(event: &Event) -> Result<Vec<u8>, Error> {
    let stored = EventV1 {
        workspace: event.workspace.0,
        message_id: &event.message_id,
        call: number(&CALLS, &event.call),
        name: &event.name,
        user_id: event.user_id.as_deref(),
        anonymous_id: event.anonymous_id.as_deref(),
        other_id: event.other_id.as_deref(),
        timestamp: event.timestamp.micros(),
        original_timestamp: event.original_timestamp.micros(),
        received_at: event.received_at.micros(),
        properties: &event.properties,
        context: &event.context,
        trust: number(&TRUSTS, &event.trust),
        backfill: event.backfill,
    };
    let size = 64 + event.properties.len() + event.context.len() + event.message_id.len() + event.name.len();
    let mut out = Vec::with_capacity(size);
    out.push(EVENT_V1);
    postcard::to_extend(&stored, out)
        .map_err(|error| Error::Bug(format!("an event cannot be encoded: {error}")))
}

/// The event at `position` of the log.
///
/// # Errors
/// `Corrupt` when the bytes are not what a known version wrote.
pub fn decode_event(position: Position, bytes: &[u8]) -> Result<Event, Error> {
    let corrupt = |why: String| Error::Corrupt(format!("the log at position {position}: {why}"));
    let (version, rest) = bytes.split_first().ok_or_else(|| corrupt("empty".to_owned()))?;
    if *version != EVENT_V1 {
        return Err(corrupt(format!("version {version} is unknown; a newer release wrote it")));
    }
    let stored: EventV1 = postcard::from_bytes(rest).map_err(|error| corrupt(error.to_string()))?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(Event {
        workspace: WorkspaceId(stored.workspace),
        message_id: stored.message_id.to_owned(),
        call: *CALLS.get(usize::from(stored.call)).ok_or_else(|| corrupt("unknown call".to_owned()))?,
        name: stored.name.to_owned(),
        user_id: owned(stored.user_id),
        anonymous_id: owned(stored.anonymous_id),
        other_id: owned(stored.other_id),
        timestamp: Timestamp::from_micros(stored.timestamp),
        original_timestamp: Timestamp::from_micros(stored.original_timestamp),
        received_at: Timestamp::from_micros(stored.received_at),
        properties: stored.properties.to_owned(),
        context: stored.context.to_owned(),
        trust: *TRUSTS.get(usize::from(stored.trust)).ok_or_else(|| corrupt("unknown trust".to_owned()))?,
        backfill: stored.backfill,
    })
}

/// Encodes a profile's state of version `version`.
///
/// # Errors
/// A fault of ours.
pub fn encode_state<T: Serialize>(version: u8, state: &T) -> Result<Vec<u8>, Error> {
    postcard::to_extend(state, vec![version])
        .map_err(|error| Error::Bug(format!("a profile's state cannot be encoded: {error}")))
}

/// Decodes a profile's state.
///
/// # Errors
/// `Corrupt` when the version is unknown or the bytes are damaged.
pub fn decode_state<'a, T: Deserialize<'a>>(version: u8, bytes: &'a [u8]) -> Result<T, Error> {
    postcard::from_bytes(state(version, bytes)?)
        .map_err(|error| Error::Corrupt(format!("a profile's state: {error}")))
}

/// Decodes the first part of a state and leaves the rest unread.
///
/// # Errors
/// As `decode_state`.
pub fn decode_first<'a, T: Deserialize<'a>>(version: u8, bytes: &'a [u8]) -> Result<T, Error> {
    postcard::take_from_bytes(state(version, bytes)?)
        .map(|(first, _)| first)
        .map_err(|error| Error::Corrupt(format!("a profile's state: {error}")))
}

fn state(version: u8, bytes: &[u8]) -> Result<&[u8], Error> {
    match bytes.split_first() {
        Some((found, rest)) if *found == version => Ok(rest),
        Some((found, _)) => Err(Error::Corrupt(format!("a profile's state has the unknown version {found}"))),
        None => Err(Error::Corrupt("a profile's state is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_the_log_and_a_cut_or_foreign_record_is_named_corrupt() {
        let event = Event {
            workspace: WorkspaceId(3),
            message_id: "m".into(),
            call: Call::Alias,
            name: "alias".into(),
            user_id: Some("u".into()),
            anonymous_id: None,
            other_id: Some("p".into()),
            timestamp: Timestamp::from_secs(1),
            original_timestamp: Timestamp::from_secs(2),
            received_at: Timestamp::from_secs(3),
            properties: r#"{"a":"ü"}"#.into(),
            context: "{}".into(),
            trust: Trust::Internal,
            backfill: true,
        };
        let bytes = encode_event(&event).unwrap();
        assert_eq!(decode_event(Position(1), &bytes).unwrap(), event);
        for cut in 0..bytes.len() {
            assert!(matches!(decode_event(Position(1), &bytes[..cut]), Err(Error::Corrupt(_))));
        }
        assert!(matches!(decode_event(Position(1), &[9, 0]), Err(Error::Corrupt(_))));
    }
}
