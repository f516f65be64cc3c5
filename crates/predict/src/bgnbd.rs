//! BG/NBD: how often people buy while they are customers, and whether they still are.
//!
//! Source: Fader, Hardie, Lee: "Counting Your Customers" the Easy Way, Marketing Science 24 (2005), equations 6, 10
//! and the note on P(alive) (2008). While alive somebody buys at a rate λ ~ Gamma(r, α); after each purchase he is
//! gone with probability p ~ Beta(a, b).

use serde::{Deserialize, Serialize};

use crate::customer::Purchases;
use crate::fit::{Estimate, Fitted, estimates, minimise};
use crate::gamma::{hypergeometric, ln_gamma};
use crate::{FIT_CUSTOMERS_MAX, FIT_CUSTOMERS_MIN};

/// The parameters of a group of customers. Units of `alpha`: those of the times it was fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BgNbd {
    /// Shape of the rates.
    pub r: f64,
    /// Scale of the rates.
    pub alpha: f64,
    /// First shape of the chance to leave.
    pub a: f64,
    /// Second shape of the chance to leave.
    pub b: f64,
}

/// The largest shape that is fitted.
const LARGE: f64 = 1_000.0;

/// The parts of the likelihood that depend on how often alone.
struct ByCount {
    first: f64,
    left: f64,
}

impl BgNbd {
    fn by_count(&self, repeats: u32) -> ByCount {
        let BgNbd { r, alpha, a, b } = *self;
        let x = f64::from(repeats);
        let rates = ln_gamma(r + x) - ln_gamma(r) + r * alpha.ln();
        let stays = ln_gamma(a + b) + ln_gamma(b + x) - ln_gamma(b) - ln_gamma(a + b + x);
        ByCount { first: rates + stays, left: if repeats > 0 { a.ln() - (b + x - 1.0).ln() } else { 0.0 } }
    }

    fn of_one(&self, known: &ByCount, one: &Purchases) -> f64 {
        let x = f64::from(one.repeats);
        let here = -(self.r + x) * (self.alpha + one.age).ln();
        if one.repeats == 0 {
            return known.first + here;
        }
        let left = known.left - (self.r + x) * (self.alpha + one.last).ln();
        // The logarithm of a sum of exponentials, without overflow.
        let (high, low) = if here > left { (here, left) } else { (left, here) };
        known.first + high + (low - high).exp().ln_1p()
    }

    /// The logarithm of the likelihood of these customers.
    pub fn log_likelihood(&self, customers: &[Purchases]) -> f64 {
        let most = customers.iter().map(|one| one.repeats).max().unwrap_or(0).min(100_000);
        let known: Vec<ByCount> = (0..=most).map(|repeats| self.by_count(repeats)).collect();
        let one = |each: &Purchases| match known.get(each.repeats as usize) {
            Some(known) => self.of_one(known, each),
            None => self.of_one(&self.by_count(each.repeats), each),
        };
        customers.iter().map(one).sum()
    }

    /// The most likely parameters. `None` when there are too few customers, or too few who bought again.
    ///
    /// Cost: some thousand passes over at most `FIT_CUSTOMERS_MAX` customers.
    pub fn fit(customers: &[Purchases]) -> Option<Fitted<BgNbd>> {
        let chosen: Vec<Purchases> = selection(customers);
        let repeated = chosen.iter().filter(|one| one.repeats > 0).count();
        if chosen.len() < FIT_CUSTOMERS_MIN || repeated < FIT_CUSTOMERS_MIN / 3 {
            return None;
        }
        let many = chosen.len() as f64;
        let age = chosen.iter().map(|one| one.age).sum::<f64>() / many;
        let of = |at: &[f64; 4]| BgNbd { r: at[0].exp(), alpha: at[1].exp(), a: at[2].exp(), b: at[3].exp() };
        let cost = |at: &[f64; 4]| -of(at).log_likelihood(&chosen);
        // Two beginnings: people who leave early, and people who hardly leave.
        let scale = (age / 8.0).max(1e-3).ln();
        let starts = [[-1.0, scale, -0.2, 0.9], [0.0, scale + 1.5, -1.5, 1.5]];
        // Shapes beyond a thousand: everybody is alike, and more says the same.
        let highest = [LARGE.ln(), 1e9_f64.ln(), LARGE.ln(), LARGE.ln()];
        let found = starts.into_iter().map(|start| minimise(start, highest, &cost));
        let (at, lowest) =
            found.min_by(|one, two| one.1.total_cmp(&two.1)).filter(|found| found.1.is_finite())?;
        let estimates: Vec<Estimate> = estimates(["r", "alpha", "a", "b"], &at, &cost);
        Some(Fitted { model: of(&at), estimates, log_likelihood: -lowest, customers: chosen.len() })
    }

    /// How likely somebody is still a customer. For who bought once the model says 1: it lets people leave only after
    /// a repeated purchase.
    pub fn alive(&self, one: &Purchases) -> f64 {
        if one.repeats == 0 {
            return 1.0;
        }
        let x = f64::from(one.repeats);
        let gone = self.a / (self.b + x - 1.0)
            * ((self.r + x) * ((self.alpha + one.age) / (self.alpha + one.last)).ln()).exp();
        1.0 / (1.0 + gone)
    }

    /// Purchases to expect of somebody in a time from now on.
    ///
    /// Equation 10, with Euler's transformation, which keeps the series short whatever the number of purchases.
    pub fn expected(&self, one: &Purchases, time: f64) -> f64 {
        let BgNbd { r, alpha, b, .. } = *self;
        // The expression has a removable gap at a = 1.
        let a = if (self.a - 1.0).abs() < 1e-6 { 1.0 + 1e-6 } else { self.a };
        let x = f64::from(one.repeats);
        let z = time / (alpha + one.age + time);
        let series = hypergeometric(a + b - 1.0 - r, a - 1.0, a + b + x - 1.0, z);
        let rest = 1.0 - ((a - 1.0) * (1.0 - z).ln()).exp() * series;
        ((a + b + x - 1.0) / (a - 1.0) * rest * self.alive(one)).max(0.0)
    }

    /// The time from now on in which one more purchase is to be expected; `None` when it is beyond `time_max`.
    pub fn time_to_next(&self, one: &Purchases, time_max: f64) -> Option<f64> {
        if self.expected(one, time_max) < 1.0 {
            return None;
        }
        let (mut low, mut high) = (0.0, time_max);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.expected(one, middle) < 1.0 { low = middle } else { high = middle }
        }
        Some(high)
    }
}

/// An even selection of at most `FIT_CUSTOMERS_MAX`.
pub(crate) fn selection<T: Clone>(all: &[T]) -> Vec<T> {
    let every = all.len().div_ceil(FIT_CUSTOMERS_MAX).max(1);
    all.iter().step_by(every).cloned().collect()
}
