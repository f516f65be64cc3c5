//! Both models against their papers' figures for the CDNOW sample (2,357 customers, times in weeks).
//!
//! The data is not ours to commit. `.ci/predictions` takes it from the PyPI package `lifetimes` and names it here:
//! `RAPPORT_CDNOW` is its `cdnow_customers_summary_with_transactions.csv` (customer, repeats, last, age, mean).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use predict::{BgNbd, GammaGamma, Purchases};

fn customers() -> Option<Vec<Purchases>> {
    #[expect(clippy::disallowed_methods, reason = "the data lies where the caller says")]
    let Ok(path) = std::env::var("RAPPORT_CDNOW") else {
        println!("skipped: RAPPORT_CDNOW does not name the CDNOW sample");
        return None;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let numbers: Vec<f64> = line.split(',').map(|field| field.trim().parse().unwrap()).collect();
        Purchases {
            repeats: numbers[1] as u32,
            last: numbers[2],
            age: numbers[3],
            mean: numbers.get(4).copied().unwrap_or(0.0),
        }
    };
    Some(text.lines().skip(1).filter(|line| !line.is_empty()).map(row).collect())
}

#[test]
fn the_fit_of_both_models_gives_the_published_figures() {
    let Some(customers) = customers() else { return };
    assert_eq!(customers.len(), 2_357);
    let fitted = BgNbd::fit(&customers).unwrap();
    println!("BG/NBD {:?} log-likelihood {}", fitted.estimates, fitted.log_likelihood);
    // Fader, Hardie, Lee (2005), table 1: three decimals, of which the last is rounded.
    for (estimate, published) in fitted.estimates.iter().zip([0.243, 4.414, 0.793, 2.426]) {
        assert!((estimate.value - published).abs() <= 0.0005 + 1e-3 * published, "{estimate:?}: {published}");
        let (low, high) = estimate.interval.unwrap();
        assert!(low < published && published < high, "{estimate:?}");
    }
    assert!((fitted.log_likelihood + 9_582.4).abs() < 0.05, "{}", fitted.log_likelihood);
    let fitted = GammaGamma::fit(&customers).unwrap();
    println!("Gamma-Gamma {:?} log-likelihood {}", fitted.estimates, fitted.log_likelihood);
    // Fader, Hardie (2013): p = 6.25, q = 3.74, v = 15.44 on the 946 who bought again.
    assert_eq!(fitted.customers, 946);
    for (estimate, published) in fitted.estimates.iter().zip([6.25, 3.74, 15.44]) {
        assert!((estimate.value / published - 1.0).abs() < 2e-3, "{estimate:?}: {published}");
    }
}
