//! What purchases say of people: RFM scores and groups, and what to expect of each from published models.
//!
//! Pure: purchases in, figures out. Two models are fitted by maximum likelihood: BG/NBD for when people buy and
//! whether they still do, Gamma-Gamma for how much an order is worth. `flow` feeds it from the lake on a schedule and
//! writes what comes out as attributes. docs/predictions.md says what each figure means and where it ends.

mod bgnbd;
mod customer;
mod fit;
mod gamma;
mod gamma_gamma;
mod rfm;

pub use bgnbd::BgNbd;
pub use customer::{Customer, Order, Purchases, summarise};
pub use fit::{Estimate, Fitted};
pub use gamma_gamma::GammaGamma;
pub use rfm::{Group, Rfm, group_of, scores};

/// Customers that a model is fitted on; of more an even selection is.
pub const FIT_CUSTOMERS_MAX: usize = 50_000;
/// Fewer than so many customers, or repeated ones, are too few to fit a model on.
pub const FIT_CUSTOMERS_MIN: usize = 30;
