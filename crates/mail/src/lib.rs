//! A composed mail on its way out: MIME, DKIM, sealed links, SMTP.
//!
//! The last stage of the loop. Only bytes that `flow`'s gate let through reach [`Transport::send`].

mod address;
mod error;
mod mime;
mod sign;
mod smtp;
mod token;

pub use address::{Mailbox, normalise_address};
pub use error::Error;
pub use mime::{Draft, compose};
pub use sign::Signer;
pub use smtp::{Delivery, Envelope, Smtp, Transport};
pub use token::{Opened, TokenKind, Tokens};
