//! The workers and what they offer: ingest, step, relay, archive, gate, send; previews, explanations, recipients' acts.
//!
//! The only crate that composes the engines. HTTP, the demo and imports stand on [`Platform`].

mod balance;
mod catalogue;
mod codec;
mod compose;
mod cron;
mod emit;
mod error;
mod fill;
mod gather;
pub mod health;
mod hot;
mod ingest;
mod lists;
pub mod live;
mod open;
mod platform;
mod query;
mod recipient;
mod recommend;
pub mod registry;
mod report;
mod rules;
mod segments;
mod send;
mod step;
mod suppression;
mod tables;
mod transport;
mod upload;
mod worker;

pub use crate::recommend::Offer;
pub use balance::Balance;
pub use error::{Error, Problem};
pub use fill::Progress;
pub use gather::{Gathered, MEMBERS_MAX, Untaken};
pub use health::{Part, Status};
pub use hot::{Facts, Hot};
pub use ingest::{ItemOutcome, Outcome};
pub use lists::{Changed, Dependent, LISTED, Mode, Refresh, Source};
pub use platform::{Limits, Options, Platform};
pub use profile::intake::Batch;
pub use profile::{Attribute, Decision};
pub use recipient::{Hint, Recipient};
pub use report::{Firing, Likely, Report, newcombe};
pub use rules::{Action, Goal, Rule, RuleInForce};
pub use segments::{Check, DefinitionKind, Draft, Preview};
pub use send::{RenderRequest, SendRequest};
pub use suppression::REASONS as SUPPRESSION_REASONS;
pub use tables::{Decided, DecidedRow, Hit, Outlook, Overlap, Table, TableInForce, TableRow};
pub use transport::{SmtpDraft, SmtpSettings, TransportSettings};
pub use upload::{Format as UploadFormat, Item as UploadItem, Named, Upload};
pub use worker::{Work, Workers};
