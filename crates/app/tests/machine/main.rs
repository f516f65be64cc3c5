//! The machine under the server misbehaves: its clock is stepped, descriptors run out, the process stands still with
//! mails under way, ten times as much comes in as it takes. The promises hold, and it goes on afterwards.
//!
//! Ignored by default: libfaketime is needed; `.ci/run` installs it and runs them.

#![expect(clippy::unwrap_used, reason = "a test harness")]

#[path = "../common/mod.rs"]
mod common;

mod clock;
mod descriptors;
mod harness;
mod overload;
mod stopped;
