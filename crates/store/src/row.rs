//! Rows as callers see them: plain data, named as in GLOSSARY.md.

use model::{IdentifierKind, Position, ProfileId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::sql::Row;

/// A profile's row. `state` is the caller's own format.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: ProfileId,
    /// The next instant at which anything can change without an event.
    pub due_at: Option<Timestamp>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When it last did anything.
    pub last_seen_at: Timestamp,
    /// For lists and search.
    pub email: Option<String>,
    /// For lists and search.
    pub name: Option<String>,
    /// For lists and search.
    pub user_id: Option<String>,
    /// Everything else.
    pub state: Vec<u8>,
}

/// An identifier of a profile.
#[derive(Clone, Debug)]
pub struct IdentifierRow {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its kind.
    pub kind: IdentifierKind,
    /// Its value, normalised.
    pub value: String,
    /// The profile it belongs to.
    pub profile: ProfileId,
}

/// One profile became part of another.
#[derive(Clone, Debug, Serialize)]
pub struct MergeRow {
    /// Its workspace.
    #[serde(skip)]
    pub workspace: WorkspaceId,
    /// The profile that is no more.
    pub source: ProfileId,
    /// The profile it became part of.
    pub target: ProfileId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A profile was split: some of its identifiers belong to another person.
#[derive(Clone, Debug, Default)]
pub struct SplitRow {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The id of the event that says so.
    pub message_id: String,
    /// The profile that keeps what was not named.
    pub source: ProfileId,
    /// The profile that got the named identifiers; none when nothing was to be split.
    pub target: Option<ProfileId>,
    /// When.
    pub at: Timestamp,
    /// Why, or why not.
    pub reason: String,
    /// Events that went to `target`.
    pub moved: i64,
    /// Events that stayed, those of `shared` among them.
    pub kept: i64,
    /// Events that stayed as they carry identifiers of both.
    pub shared: i64,
    /// For writing: former profiles that become part of `target`.
    pub repointed: Vec<ProfileId>,
    /// For writing: messages to these addresses are of `target`.
    pub addresses: Vec<String>,
    /// For writing: entries of `target`.
    pub entries: Vec<String>,
    /// For writing: consent of both.
    pub consents: Vec<ConsentRow>,
    /// For writing: events that are whose it cannot be told from elsewhere.
    pub given: Vec<crate::split::Given>,
}

/// A profile entered or left a segment.
#[derive(Clone, Debug)]
pub struct MembershipChange {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The segment.
    pub segment: String,
    /// The profile.
    pub profile: ProfileId,
    /// Entered or left.
    pub entered: bool,
    /// When.
    pub at: Timestamp,
    /// Why, in a sentence.
    pub cause: String,
}

/// A journey's entry as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct EntryRow {
    /// Its workspace.
    #[serde(skip)]
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: String,
    /// The journey.
    pub journey: String,
    /// The journey's version.
    pub version: i64,
    /// Who.
    pub profile: ProfileId,
    /// The node it is at.
    pub node: String,
    /// The entry key.
    pub key: String,
    /// When it began.
    pub entered_at: Timestamp,
    /// When it goes on by itself.
    pub due_at: Option<Timestamp>,
    /// When it ended.
    pub exited_at: Option<Timestamp>,
    /// How it ended.
    pub exit_reason: Option<String>,
    /// Nodes passed in this step, for the counts.
    #[serde(skip)]
    pub passed: Vec<String>,
}

/// A message to be planned.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id; follows from the send key.
    pub id: String,
    /// Makes the send unique.
    pub send_key: String,
    /// Who it is for.
    pub profile: ProfileId,
    /// `marketing` or `transactional`.
    pub kind: String,
    /// The topic it belongs to.
    pub topic: String,
    /// The journey, its entry and node.
    pub source: Option<(String, String, String)>,
    /// The template.
    pub template: String,
    /// The address.
    pub recipient: String,
    /// When to send.
    pub due_at: Timestamp,
    /// When it was planned.
    pub created_at: Timestamp,
    /// What the template may use: the trigger event and the like. JSON.
    pub data: String,
    /// The decision trace so far. JSON list.
    pub trace: String,
}

/// A message as stored, without its raw bytes.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// Its place in the order of planning.
    pub number: i64,
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Who it is for.
    pub profile: ProfileId,
    /// `marketing` or `transactional`.
    pub kind: String,
    /// The topic.
    pub topic: String,
    /// The journey.
    pub journey: Option<String>,
    /// The entry.
    pub entry: Option<String>,
    /// The node.
    pub node: Option<String>,
    /// The template.
    pub template: String,
    /// The address.
    pub recipient: String,
    /// The subject, once composed.
    pub subject: String,
    /// planned, intent, accepted, deferred, rejected, skipped, in_doubt, expired, unknown.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempt: i64,
    /// When to send.
    pub due_at: Timestamp,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it was handed over.
    pub sent_at: Option<Timestamp>,
    /// First open by a person.
    pub opened_at: Option<Timestamp>,
    /// First click by a person.
    pub clicked_at: Option<Timestamp>,
    /// JSON.
    pub data: String,
    /// JSON list.
    pub trace: String,
    /// What was composed. JSON.
    pub content: Option<String>,
}

/// An event of ours on its way to the log.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// Its id; a second one with the same id is left out.
    pub message_id: String,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// A pool of coupons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRow {
    /// Its id, as templates name it.
    pub id: String,
    /// How codes are made; nothing when they are uploaded.
    pub pattern: Option<String>,
    /// How many codes are made at most.
    pub most: Option<i64>,
    /// So few free codes deserve a look.
    pub low_at: i64,
    /// From when its codes are worth nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A pool and how far it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// The pool.
    pub pool: PoolRow,
    /// Codes there are.
    pub codes: i64,
    /// Codes somebody was given.
    pub assigned: i64,
    /// Codes that came back.
    pub redeemed: i64,
}

/// A code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CouponRow {
    /// Its pool.
    pub pool: String,
    /// The code.
    pub code: String,
    /// What made it theirs.
    pub owner: Option<String>,
    /// Who was given it.
    pub profile: Option<ProfileId>,
    /// In which message.
    pub message: Option<String>,
    /// When.
    pub assigned_at: Option<Timestamp>,
    /// When it came back.
    pub redeemed_at: Option<Timestamp>,
    /// With which order.
    pub order_id: Option<String>,
}

/// A code that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The code.
    pub code: String,
    /// With which order.
    pub order_id: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A change of an item that people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemChange {
    /// Its number; 0 before it is stored.
    pub id: i64,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The item.
    pub item: String,
    /// What is told: the event's name.
    pub name: String,
    /// The event's properties. JSON.
    pub detail: String,
    /// When it changed.
    pub at: Timestamp,
}

/// A person's word on a topic.
#[derive(Clone, Debug, Serialize)]
pub struct ConsentRow {
    /// Its workspace.
    #[serde(skip)]
    pub workspace: WorkspaceId,
    /// Whose.
    #[serde(skip)]
    pub profile: ProfileId,
    /// On what.
    pub topic: String,
    /// Yes or no.
    pub subscribed: bool,
    /// When it was given.
    pub at: Timestamp,
    /// How.
    pub source: String,
}

/// A call under an idempotency key, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The key.
    pub key: String,
    /// A hash of the body.
    pub body: u64,
    /// The status that was answered.
    pub status: u16,
    /// The answer. JSON.
    pub answer: String,
}

/// An address that must not be written to.
#[derive(Clone, Debug, Serialize)]
pub struct SuppressionRow {
    /// The address, keyed by the caller.
    #[serde(skip)]
    pub address: String,
    /// Enough of it to recognise, such as `a…@example.com`.
    pub hint: String,
    /// hard_bounce, complaint, manual, import, erased.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// A version of a definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefinitionRow {
    /// segment, journey, template.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// From 1.
    pub version: i64,
    /// What people call it.
    pub name: String,
    /// The document. JSON.
    pub body: String,
    /// live, paused, draft.
    pub status: String,
    /// Who changed it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// Everything that follows from one step; written in one transaction.
#[derive(Debug, Default)]
pub struct StepCommit {
    /// Whose position.
    pub consumer: String,
    /// What the position must be before.
    pub expected: Position,
    /// What it is after.
    pub position: Position,
    /// Rows to write; one for each profile.
    pub profiles: Vec<ProfileRow>,
    /// Profiles merged away: their rows are removed.
    pub merges: Vec<MergeRow>,
    /// What those were known by.
    pub merged_identifiers: Vec<IdentifierRow>,
    /// Profiles that are two people.
    pub splits: Vec<SplitRow>,
    /// Identifiers to point at their profile.
    pub identifiers: Vec<IdentifierRow>,
    /// Entries and exits.
    pub memberships: Vec<MembershipChange>,
    /// Journey entries as they stand.
    pub entries: Vec<EntryRow>,
    /// Messages to plan.
    pub messages: Vec<NewMessage>,
    /// Events of ours.
    pub emitted: Vec<Emitted>,
    /// Consent; later words win.
    pub consents: Vec<ConsentRow>,
    /// Coupons that came back.
    pub redeemed: Vec<Redeemed>,
}

impl StepCommit {
    /// A step of `consumer` from `expected` to `position`.
    pub fn new(consumer: &str, expected: Position, position: Position) -> StepCommit {
        StepCommit { consumer: consumer.to_owned(), expected, position, ..StepCommit::default() }
    }
}

/// An entry from the columns workspace, id, journey, version, profile, node, key, `entered_at`, `due_at`, `exited_at`,
/// `exit_reason`.
pub(crate) fn entry_of(row: &Row) -> Result<EntryRow, Error> {
    let instant = |at: Option<i64>| at.map(Timestamp::from_micros);
    Ok(EntryRow {
        workspace: WorkspaceId(row.get(0)?),
        id: row.get(1)?,
        journey: row.get(2)?,
        version: row.get(3)?,
        profile: ProfileId(row.get(4)?),
        node: row.get(5)?,
        key: row.get(6)?,
        entered_at: Timestamp::from_micros(row.get(7)?),
        due_at: instant(row.get(8)?),
        exited_at: instant(row.get(9)?),
        exit_reason: row.get(10)?,
        passed: Vec::new(),
    })
}
