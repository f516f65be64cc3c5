//! The log and the present state, durable: SQLite under the data directory.
//!
//! The only crate that knows SQL databases. It stores rows and bytes; what they mean is its callers' affair.

mod error;
mod log;
mod open;
mod read;
mod row;
mod send;
mod step;

pub use error::Error;
pub use log::{Append, Log, Outcome};
pub use open::{DirectoryLock, Store};
pub use row::*;
pub use send::{Gate, GateFacts, GateVerdict, OptOut};
