//! The models against published figures and against a simulation of their own assumptions.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use predict::{BgNbd, GammaGamma, Purchases};

fn near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} is not {expected} ± {within}");
}

/// The parameters that Fader, Hardie and Lee give for the CDNOW sample, in weeks.
const CDNOW: BgNbd = BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };

#[test]
fn the_expectation_of_the_paper_for_customer_0001_is_met() {
    // Fader, Hardie, Lee: Implementing the BG/NBD Model for Customer Base Analysis in Excel (2005): x = 2, t_x = 30.43,
    // T = 38.86, 39 weeks ahead.
    let one = Purchases { repeats: 2, last: 30.43, age: 38.86, mean: 0.0 };
    near(CDNOW.expected(&one, 39.0), 1.226, 5e-4);
    // By the definition of P(alive): 1 / (1 + a / (b + x − 1) · ((α + T) / (α + t_x))^(r + x)).
    near(CDNOW.alive(&one), 0.7266, 5e-4);
    assert_eq!(CDNOW.alive(&Purchases { repeats: 0, last: 0.0, age: 38.86, mean: 0.0 }), 1.0);
}

#[test]
fn expectations_grow_with_time_and_stay_finite_for_the_busiest() {
    let busy = Purchases { repeats: 3_000, last: 500.0, age: 501.0, mean: 0.0 };
    let mut before = 0.0;
    for weeks in [1.0, 10.0, 100.0, 1_000.0] {
        let found = CDNOW.expected(&busy, weeks);
        assert!(found.is_finite() && found > before, "{found} in {weeks}");
        before = found;
    }
    let time = CDNOW.time_to_next(&busy, 100.0).unwrap();
    near(CDNOW.expected(&busy, time), 1.0, 1e-6);
    let gone = Purchases { repeats: 4, last: 2.0, age: 200.0, mean: 0.0 };
    assert_eq!(CDNOW.time_to_next(&gone, 100.0), None);
    let one = BgNbd { a: 1.0, ..CDNOW };
    let (below, above) = (BgNbd { a: 0.999, ..CDNOW }, BgNbd { a: 1.001, ..CDNOW });
    let twice = Purchases { repeats: 2, last: 30.0, age: 39.0, mean: 0.0 };
    let here = one.expected(&twice, 39.0);
    let mean = f64::midpoint(below.expected(&twice, 39.0), above.expected(&twice, 39.0));
    near(here, mean, 1e-4);
}

#[test]
fn people_who_never_leave_are_fitted_and_expected_as_such() {
    let mut draw = Draw(11);
    let customers: Vec<Purchases> = (0..400)
        .map(|_| {
            let age = 100.0 + 200.0 * draw.unit();
            let (mut at, mut last, mut repeats) = (0.0, 0.0, 0);
            loop {
                at -= draw.unit().ln() * 60.0;
                if at > age {
                    break;
                }
                (last, repeats) = (at, repeats + 1);
            }
            Purchases { repeats, last, age, mean: 0.0 }
        })
        .collect();
    let fitted = BgNbd::fit(&customers).unwrap();
    // One every sixty days, whoever it is.
    let one = Purchases { repeats: 3, last: 170.0, age: 200.0, mean: 0.0 };
    near(fitted.model.expected(&one, 90.0), 1.5, 0.2);
    near(fitted.model.expected(&one, 365.0), 365.0 / 60.0, 0.8);
    assert!(fitted.model.alive(&one) > 0.9, "{:?}", fitted.model);
}

#[test]
fn the_mean_order_of_the_gamma_gamma_paper_is_met() {
    // Fader, Hardie (2013): p = 6.25, q = 3.74, v = 15.44; nobody's mean is E(Z) = p v / (q − 1).
    let model = GammaGamma { p: 6.25, q: 3.74, v: 15.44 };
    let nobody = Purchases { repeats: 0, last: 0.0, age: 1.0, mean: 0.0 };
    near(model.expected(&nobody).unwrap(), 35.2, 0.05);
    let one = Purchases { repeats: 2, last: 1.0, age: 2.0, mean: 22.35 };
    // (15.44 + 2 · 22.35) · 6.25 / (6.25 · 2 + 3.74 − 1)
    near(model.expected(&one).unwrap(), 24.66, 0.02);
    assert_eq!(GammaGamma { q: 0.9, ..model }.expected(&nobody), None);
}

/// Numbers from 0 to 1, always the same ones.
struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Source: Marsaglia, Tsang: A simple method for generating gamma variables (2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.unit().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}

#[test]
fn customers_that_behave_as_the_models_say_give_their_parameters_back() {
    let mut draw = Draw(7);
    let truth = BgNbd { r: 0.7, alpha: 40.0, a: 0.9, b: 2.5 };
    let worth = GammaGamma { p: 5.0, q: 3.0, v: 20.0 };
    let mut customers = Vec::new();
    let mut after = (0.0, 0.0);
    for _ in 0..6_000 {
        let age = 200.0 + 400.0 * draw.unit();
        let rate = draw.gamma(truth.r) / truth.alpha;
        let (one, two) = (draw.gamma(truth.a), draw.gamma(truth.b));
        let leaves = one / (one + two);
        let scale = draw.gamma(worth.q) / worth.v;
        let (mut at, mut repeats, mut last, mut spent, mut later) = (0.0, 0u32, 0.0, 0.0, 0.0);
        loop {
            at -= draw.unit().ln() / rate;
            if at > age + 90.0 {
                break;
            }
            if at > age {
                later += 1.0;
            } else {
                (repeats, last) = (repeats + 1, at);
                spent += draw.gamma(worth.p) / scale;
            }
            if draw.unit() < leaves {
                break;
            }
        }
        let mean = if repeats > 0 { spent / f64::from(repeats) } else { 0.0 };
        customers.push(Purchases { repeats, last, age, mean });
        after.0 += later;
    }
    let fitted = BgNbd::fit(&customers).unwrap();
    assert!(fitted.log_likelihood >= truth.log_likelihood(&customers), "the fit is the most likely");
    for (estimate, true_value) in fitted.estimates.iter().zip([truth.r, truth.alpha, truth.a, truth.b]) {
        // Four times the deviation on each side: the draw is fixed, so this holds or does not.
        let (low, high) = estimate.interval.unwrap();
        let deviation = (high / low).ln() / 3.92;
        assert!((estimate.value / true_value).ln().abs() < 4.0 * deviation, "{estimate:?} for {true_value}");
    }
    after.1 = customers.iter().map(|one| fitted.model.expected(one, 90.0)).sum();
    assert!((after.1 / after.0 - 1.0).abs() < 0.06, "expected {} and came {}", after.1, after.0);
    let fitted = GammaGamma::fit(&customers).unwrap();
    for (estimate, true_value) in fitted.estimates.iter().zip([worth.p, worth.q, worth.v]) {
        assert!((estimate.value / true_value - 1.0).abs() < 0.15, "{estimate:?} for {true_value}");
    }
    assert_eq!(BgNbd::fit(&customers[..10]), None, "ten people tell nothing");
}
