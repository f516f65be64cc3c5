//! Kinds of error, named by what the caller should do; HTTP status, retry and log level follow from them.

use serde::{Deserialize, Serialize};

/// What an error asks of its caller. Every crate's error enum has `fn kind(&self) -> Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Correct the input, then try again (400, 422).
    Invalid,
    /// Not permitted (401, 403).
    Denied,
    /// No such thing (404).
    Missing,
    /// Collides with the present state (409).
    Conflict,
    /// Too much or too often; wait (413, 429).
    Limited,
    /// Try again later (503).
    Unavailable,
    /// Stored data is damaged; restore it (500).
    Corrupt,
    /// A fault of ours (500).
    Bug,
}
