//! The log and the present state, durable: SQLite under the data directory, or PostgreSQL.
//!
//! The only crate that knows SQL databases. It stores rows and bytes; what they mean is its callers' affair.

mod catalog;
mod count;
mod coupon;
mod definition;
mod error;
mod list;
mod log;
mod membership;
mod open;
mod page;
mod read;
mod row;
mod send;
mod setup;
mod split;
mod sql;
mod step;
mod upkeep;

pub use count::TemplateMessage;
pub use coupon::Claim;
pub use error::Error;
pub use log::{Append, Log, Outcome};
pub use open::{DirectoryLock, Location, Store};
pub use row::*;
pub use send::{Composed, Gate, GateFacts, GateVerdict, OptOut, Told};
pub use split::Given;
