//! Decides who is in which segment: per event, per changed attribute and per instant.
//!
//! Definitions fall apart into features (events, filter, figure, window) that are kept once, however many
//! conditions need them. An event touches the features that listen to it; a condition is evaluated again when one
//! of its features or attributes changed, or when its next instant has come. Preview and backfill run the same
//! code over history. Between `profile` (who did it) and `journey` (what follows).
//!
//! State is exact whatever the order of arrival: what falls out of every window is dropped, nothing else, up to
//! `ENTRIES_MAX` events per feature and profile. Windows are half-open: (now − span, now].

mod dependence;
mod engine;
mod error;
mod evaluate;
mod feature;
mod history;
mod lifecycle;
mod listeners;
mod packed;
mod quiet;
pub mod score;
mod sequence;
mod state;
mod survey;
mod traits;
mod view;

pub use engine::{Cause, Change, Definition, Engine, EventView};
pub use error::Error;
pub use evaluate::{Evidence, Explanation};
pub use feature::{FeatureIds, FeatureInfo};
pub use history::{Asked, Fact, Found, People, Preview, consent_value};
pub use state::State;
pub use survey::Survey;
pub use traits::{Trait, TraitValue};

/// The keys of rules begin so: watched like segments, but nobody is a member of a rule.
pub const RULE_PREFIX: &str = "rule:";
/// The keys of the rows of decision tables begin so.
pub const TABLE_PREFIX: &str = "table:";

/// Events that one feature keeps of one profile; the oldest are dropped beyond.
pub const ENTRIES_MAX: usize = 10_000;
/// The largest number that a count within a window is compared with.
pub const COUNT_MAX: usize = 5_000;
/// Different values that an unbounded distinct or most-frequent figure tells apart.
pub const VALUES_MAX: usize = 10_000;
