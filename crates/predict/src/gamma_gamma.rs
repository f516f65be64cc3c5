//! Gamma-Gamma: what an order of somebody is worth, from the orders seen and from all others'.
//!
//! Source: Fader, Hardie: The Gamma-Gamma Model of Monetary Value (2013), equations 1a and 5. It takes how much people
//! spend to have nothing to do with how often they buy.

use serde::{Deserialize, Serialize};

use crate::FIT_CUSTOMERS_MIN;
use crate::bgnbd::selection;
use crate::customer::Purchases;
use crate::fit::{Fitted, estimates, minimise};
use crate::gamma::ln_gamma;

/// The parameters of a group of customers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GammaGamma {
    /// Shape of the values of one person's orders.
    pub p: f64,
    /// Shape of the people.
    pub q: f64,
    /// Scale of the people.
    pub v: f64,
}

impl GammaGamma {
    /// The logarithm of the likelihood of these customers; who did not buy again or spent nothing says nothing.
    pub fn log_likelihood(&self, customers: &[Purchases]) -> f64 {
        let GammaGamma { p, q, v } = *self;
        let one = |each: &Purchases| {
            let (x, mean) = (f64::from(each.repeats), each.mean);
            ln_gamma(p * x + q) - ln_gamma(p * x) - ln_gamma(q)
                + q * v.ln()
                + (p * x - 1.0) * mean.ln()
                + p * x * x.ln()
                - (p * x + q) * (x * mean + v).ln()
        };
        customers.iter().filter(|each| each.repeats > 0 && each.mean > 0.0).map(one).sum()
    }

    /// The most likely parameters; `None` when too few customers bought again.
    pub fn fit(customers: &[Purchases]) -> Option<Fitted<GammaGamma>> {
        let spent = |one: &&Purchases| one.repeats > 0 && one.mean > 0.0;
        let chosen: Vec<Purchases> =
            selection(&customers.iter().filter(spent).copied().collect::<Vec<Purchases>>());
        if chosen.len() < FIT_CUSTOMERS_MIN {
            return None;
        }
        let mean = chosen.iter().map(|one| one.mean).sum::<f64>() / chosen.len() as f64;
        let of = |at: &[f64; 3]| GammaGamma { p: at[0].exp(), q: at[1].exp(), v: at[2].exp() };
        let cost = |at: &[f64; 3]| -of(at).log_likelihood(&chosen);
        let starts = [[1.5, 1.2, (mean / 2.0).max(1e-6).ln()], [0.5, 1.0, mean.max(1e-6).ln()]];
        let highest = [1e3_f64.ln(), 1e3_f64.ln(), 1e12_f64.ln()];
        let found = starts.into_iter().map(|start| minimise(start, highest, &cost));
        let (at, lowest) =
            found.min_by(|one, two| one.1.total_cmp(&two.1)).filter(|found| found.1.is_finite())?;
        let estimates = estimates(["p", "q", "v"], &at, &cost);
        Some(Fitted { model: of(&at), estimates, log_likelihood: -lowest, customers: chosen.len() })
    }

    /// What an order of somebody is worth on average. `None` where the model has no mean (q ≤ 1, bought once).
    pub fn expected(&self, one: &Purchases) -> Option<f64> {
        let x = if one.mean > 0.0 { f64::from(one.repeats) } else { 0.0 };
        let below = self.p * x + self.q - 1.0;
        (below > 0.0).then(|| self.p * (self.v + x * one.mean) / below)
    }
}
