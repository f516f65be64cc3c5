//! Where mails go.

use crate::delivery::{Delivery, Envelope};
use crate::smtp::Smtp;

/// Messages on their way into the built-in inbox at once.
const INBOX_CONNECTIONS: usize = 10;

/// Where mails go.
pub enum Transport {
    /// Nowhere: they can be looked at in the console.
    Inbox,
    /// An SMTP server.
    Smtp(Box<Smtp>),
}

impl Transport {
    /// Messages that may be on the wire at once.
    pub fn connections_max(&self) -> usize {
        match self {
            Transport::Inbox => INBOX_CONNECTIONS,
            Transport::Smtp(smtp) => smtp.connections_max(),
        }
    }

    /// Whether each message has a return path of its own.
    pub fn has_own_return_path(&self) -> bool {
        match self {
            Transport::Inbox => true,
            Transport::Smtp(smtp) => smtp.has_own_return_path(),
        }
    }

    /// Hands over a mail.
    pub async fn send(&self, envelope: &Envelope, raw: &[u8]) -> Delivery {
        match self {
            Transport::Inbox => Delivery::Accepted { answer: "kept in the built-in inbox".to_owned() },
            Transport::Smtp(smtp) => smtp.send(envelope, raw).await,
        }
    }
}
