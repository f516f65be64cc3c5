//! What tests need besides the product: SMTP servers with ledgers of their own. Not shipped.

pub mod sink;
pub mod smtp;
