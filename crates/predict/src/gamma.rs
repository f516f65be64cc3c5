//! The special functions of the models.

/// The logarithm of the gamma function, for x above 0.
///
/// Source: FreeBSD's msun, by way of `libm`.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// Gauss's hypergeometric function for 0 ≤ z < 1 by its series. The caller keeps `a` and `b` small beside `c`.
pub(crate) fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for step in 0..20_000 {
        let step = f64::from(step);
        term *= (a + step) * (b + step) / ((c + step) * (step + 1.0)) * z;
        sum += term;
        if term.abs() <= 1e-13 * f64::abs(sum) {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_gives_known_closed_forms() {
        // 2F1(1, 1; 2; z) = −ln(1 − z) / z and 2F1(a, b; b; z) = (1 − z)^−a.
        for z in [0.0, 0.1, 0.5, 0.9, 0.99] {
            let expected = if z == 0.0 { 1.0 } else { -f64::ln(1.0 - z) / z };
            assert!((hypergeometric(1.0, 1.0, 2.0, z) / expected - 1.0).abs() < 1e-10, "{z}");
            let expected = f64::powf(1.0 - z, 0.3);
            assert!((hypergeometric(-0.3, 1.7, 1.7, z) / expected - 1.0).abs() < 1e-10, "{z}");
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.ln() / 2.0).abs() < 1e-14);
    }
}
