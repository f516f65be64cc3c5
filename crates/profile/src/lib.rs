//! Folds events into profiles: intake of calls, identity resolution, attributes and consent.
//!
//! Pure: bytes, lookups and `now` come in as values; what must be written goes out as values.

mod declared;
pub mod identity;
pub mod intake;
mod state;

pub use declared::{AttributeType, Problem, Types, problems};
pub use identity::{Identifier, Resolution, identifiers};
pub use state::{Attribute, Consent, Decision, Folded, IdentifierState, Profile};
