//! An accepted event: what every view of the platform is a fold of.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, WorkspaceId};

/// Which call of the tracking API carried the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// Sets attributes.
    Identify,
    /// Something happened.
    Track,
    /// A page was viewed; stored as `Page Viewed`.
    Page,
    /// A screen was viewed; stored as `Screen Viewed`.
    Screen,
    /// Membership in an account.
    Group,
    /// Merges the previous id into the user id.
    Alias,
}

impl Call {
    /// The name in JSON, in columns and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Call::Identify => "identify",
            Call::Track => "track",
            Call::Page => "page",
            Call::Screen => "screen",
            Call::Group => "group",
            Call::Alias => "alias",
        }
    }
}

/// How far the sender of an event is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// A key that anybody can read in a page's source: may never take over a known person.
    Browser,
    /// A server's key.
    Server,
    /// A file imported by an operator.
    Import,
    /// Emitted by the platform itself.
    Internal,
}

/// An accepted, normalised event. Immutable. JSON parts stay raw text until somebody needs a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The sender's id of the event; unique in its workspace for ever.
    pub message_id: String,
    /// The call that carried it.
    pub call: Call,
    /// The event's name: as given for `track`; `Page Viewed`, `Screen Viewed`; otherwise the call's name
    /// (`identify`, `group`, `alias`).
    pub name: String,
    /// The known person's id.
    pub user_id: Option<String>,
    /// The browser's or device's id.
    pub anonymous_id: Option<String>,
    /// `alias`: the id merged away. `group`: the group's id.
    pub other_id: Option<String>,
    /// When it happened, corrected for clock skew and clamped; decides everything.
    pub timestamp: Timestamp,
    /// When the sender's clock says it happened.
    pub original_timestamp: Timestamp,
    /// When we accepted it.
    pub received_at: Timestamp,
    /// `properties` of track, page and screen; `traits` of identify and group. A JSON object as text.
    pub properties: String,
    /// `context` as given. A JSON object as text.
    pub context: String,
    /// How far the sender is trusted.
    pub trust: Trust,
    /// History: stored and counted, but fires no journey, rule or mail.
    pub backfill: bool,
}
