//! The workers and what they offer: ingest, step, relay, archive, gate, send; previews, explanations, recipients' acts.
//!
//! The only crate that composes the engines. HTTP, the demo and imports stand on [`Platform`].

mod actor;
mod audience;
mod balance;
mod catalogue;
mod codec;
mod compose;
mod cron;
mod emit;
mod error;
mod fill;
pub mod health;
mod hot;
mod ingest;
pub mod live;
mod matching;
mod open;
mod pause;
mod people;
mod platform;
mod preview;
mod query;
mod recipient;
mod recommend;
pub mod registry;
pub mod rfm;
mod seen;
mod segments;
mod send;
mod statement;
mod step;
mod suppression;
pub mod traits;
mod transport;
mod warm;
mod worker;

pub use crate::recommend::Offer;
pub use audience::{Clause, Dependent, Funnel};
pub use balance::Balance;
pub use error::{Error, Problem};
pub use fill::Progress;
pub use health::{Part, Status};
pub use hot::{Facts, Hot};
pub use ingest::{ItemOutcome, Outcome};
pub use platform::{Limits, Options, Platform};
pub use preview::Preview;
pub use profile::intake::Batch;
pub use profile::{Attribute, Decision};
pub use recipient::{Hint, Recipient};
pub use seen::{Seen, Sight};
pub use segments::{Check, DefinitionKind, Draft};
pub use send::{RenderRequest, SendRequest};
pub use suppression::REASONS as SUPPRESSION_REASONS;
pub use transport::{Probed, SmtpDraft, SmtpSettings, TransportSettings};
pub use worker::{Work, Workers};
