//! Ids that follow from what they name, and the row of an entry.

use model::Timestamp;

use super::Key;

/// A message's id follows from its send key: a second planning is the same message.
pub fn message_id(send_key: &str) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(send_key.as_bytes()))
}

pub(crate) fn entry_id(key: Key, journey: &str, entry_key: &str, cause: &str) -> String {
    let text = format!("{}/{}/{journey}/{entry_key}/{cause}", key.0, key.1);
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

pub(crate) fn entry_row(
    key: Key,
    entry: &journey::Entry,
    ended: Option<&str>,
    passed: Vec<String>,
    now: Timestamp,
) -> store::EntryRow {
    store::EntryRow {
        workspace: key.0,
        id: entry.id.clone(),
        journey: entry.journey.clone(),
        version: entry.version,
        profile: key.1,
        node: entry.node.clone(),
        key: entry.key.clone(),
        entered_at: entry.entered_at,
        due_at: entry.due_at,
        exited_at: ended.map(|_| now),
        exit_reason: ended.map(str::to_owned),
        passed,
    }
}
