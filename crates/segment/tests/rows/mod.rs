//! The neighbours' forms, one table each.

pub mod dittofeed;
pub mod klaviyo;
pub mod others;
pub mod posthog;

/// A neighbour's form, our text, attributes at the beginning, and what happens.
pub type Row = (&'static str, &'static str, &'static str, &'static str);
