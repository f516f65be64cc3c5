//! What tests need besides the product: a scripted SMTP sink with a ledger of its own. Not shipped.

pub mod sink;
