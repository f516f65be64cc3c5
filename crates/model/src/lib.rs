//! The names of things: typed ids, instants, events, profiles' identifiers and limits.
//!
//! Every other crate speaks in these types. The crate is small and still: no I/O, no engine, no format that
//! is stored (stored formats are versioned types of their owners).

pub mod clock;
pub mod column;
pub mod error;
pub mod event;
pub mod id;
pub mod limit;
pub mod time;

pub use clock::Clock;
pub use error::Kind;
pub use event::{Call, Event, Trust};
pub use id::{IdentifierKind, Position, ProfileId, WorkspaceId};
pub use time::Timestamp;

/// A dynamic value: attribute values, event properties, template data.
pub type Value = serde_json::Value;
/// A dynamic object: names to values.
pub type Map = serde_json::Map<String, serde_json::Value>;
