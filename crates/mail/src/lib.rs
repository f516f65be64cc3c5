//! A composed mail on its way out: MIME, DKIM, sealed links, SMTP.
//!
//! The last stage of the loop. Only bytes that `flow`'s gate let through reach [`Transport::send`].

mod address;
mod delivery;
mod error;
mod mime;
mod sign;
mod smtp;
mod token;
mod transport;

pub use address::{Mailbox, normalise_address};
pub use delivery::{Blame, Delivery, Envelope};
pub use error::Error;
pub use mime::{Draft, HTML_BYTES_MAX, HTML_BYTES_WARN, compose, size_refusal, size_warning};
pub use sign::{DnsRecord, Signer};
pub use smtp::{Smtp, Timeouts};
pub use token::{Opened, TokenKind, Tokens};
pub use transport::Transport;
