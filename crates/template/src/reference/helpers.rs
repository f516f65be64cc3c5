//! The helpers of Handlebars.

use super::Entry;

/// The helpers of Handlebars.
pub const HELPERS: &[Entry] = &[];
