//! Maximum likelihood: a simplex search over the logarithms of the parameters, and how certain its answer is.

use serde::{Deserialize, Serialize};

/// A parameter as it was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Its name in the paper.
    pub name: String,
    /// The most likely value.
    pub value: f64,
    /// Where it lies with 95% confidence; `None` where the data do not say.
    pub interval: Option<(f64, f64)>,
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted<M> {
    /// The model.
    pub model: M,
    /// Its parameters with their uncertainty.
    pub estimates: Vec<Estimate>,
    /// The logarithm of the likelihood of the data it was fitted on.
    pub log_likelihood: f64,
    /// Customers it was fitted on.
    pub customers: usize,
}

const STEPS_MAX: usize = 4_000;
const TOLERANCE: f64 = 1e-10;
/// Logarithms of parameters are looked for from here on.
const LOWEST: f64 = -30.0;

/// The lowest point of `cost` that the search finds from `start`, with its cost. No axis goes beyond its highest value:
/// where the data cannot tell large values apart, the likelihood grows for ever, and by nothing.
///
/// Source: Nelder, Mead: A simplex method for function minimization, The Computer Journal 7 (1965).
pub(crate) fn minimise<const N: usize>(
    start: [f64; N],
    highest: [f64; N],
    cost: &dyn Fn(&[f64; N]) -> f64,
) -> ([f64; N], f64) {
    let bounded = |at: &[f64; N]| {
        let inside = at.iter().zip(highest).all(|(x, highest)| (LOWEST..=highest).contains(x));
        Some(cost(at)).filter(|value| inside && value.is_finite()).unwrap_or(f64::INFINITY)
    };
    let mut best = (start, bounded(&start));
    // A simplex that has shrunk is spread anew where it stands, until that no longer helps.
    for spread in [1.0, 0.5, 0.25, 0.25, 0.1] {
        let before = best.1;
        let mut simplex: Vec<([f64; N], f64)> = vec![best];
        for axis in 0..N {
            let mut at = best.0;
            at[axis] += spread;
            simplex.push((at, bounded(&at)));
        }
        descend(&mut simplex, &bounded);
        best = simplex[0];
        if spread < 0.5 && (before - best.1).abs() < TOLERANCE * best.1.abs().max(1.0) {
            break;
        }
    }
    best
}

fn descend<const N: usize>(simplex: &mut [([f64; N], f64)], cost: &dyn Fn(&[f64; N]) -> f64) {
    let along = |from: &[f64; N], to: &[f64; N], by: f64| -> [f64; N] {
        std::array::from_fn(|axis| from[axis] + by * (to[axis] - from[axis]))
    };
    for _ in 0..STEPS_MAX {
        simplex.sort_by(|left, right| left.1.total_cmp(&right.1));
        let (best, worst) = (simplex[0].1, simplex[N].1);
        if (worst - best).abs() <= TOLERANCE * best.abs().max(1e-3) {
            return;
        }
        let centre: [f64; N] =
            std::array::from_fn(|axis| simplex[..N].iter().map(|(at, _)| at[axis]).sum::<f64>() / N as f64);
        let place = |by: f64| {
            let at = along(&centre, &simplex[N].0, by);
            (at, cost(&at))
        };
        let reflected = place(-1.0);
        let next = if reflected.1 < best {
            let further = place(-2.0);
            if further.1 < reflected.1 { further } else { reflected }
        } else if reflected.1 < simplex[N - 1].1 {
            reflected
        } else {
            let contracted = if reflected.1 < worst { place(-0.5) } else { place(0.5) };
            if contracted.1 >= worst.min(reflected.1) {
                let best = simplex[0].0;
                for (at, value) in &mut simplex[1..] {
                    *at = along(&best, at, 0.5);
                    *value = cost(at);
                }
                continue;
            }
            contracted
        };
        simplex[N] = next;
    }
}

/// Parameters with 95% intervals, from the curvature of the cost at its lowest point. In logarithms the likelihood is
/// nearer to a normal one, so intervals are taken there.
pub(crate) fn estimates<const N: usize>(
    names: [&str; N],
    at: &[f64; N],
    cost: &dyn Fn(&[f64; N]) -> f64,
) -> Vec<Estimate> {
    let step = 1e-3;
    let moved = |one: usize, by: f64, two: usize, also: f64| {
        let mut to = *at;
        to[one] += by;
        to[two] += also;
        cost(&to)
    };
    let curvature: [[f64; N]; N] = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let corners = moved(row, step, column, step)
                - moved(row, step, column, -step)
                - moved(row, -step, column, step)
                + moved(row, -step, column, -step);
            corners / (4.0 * step * step)
        })
    });
    let variances = inverse_diagonal(curvature);
    let one = |place: usize| {
        let deviation = variances.map(|all| all[place]).filter(|v| *v > 0.0 && v.is_finite()).map(f64::sqrt);
        Estimate {
            name: names[place].to_owned(),
            value: at[place].exp(),
            interval: deviation
                .map(|d| ((at[place] - 1.96 * d).exp(), (at[place] + 1.96 * d).exp()))
                // Wider than a millionfold says nothing.
                .filter(|(low, high)| high.is_finite() && high / low < 1e6),
        }
    };
    (0..N).map(one).collect()
}

/// The diagonal of the inverse; `None` when there is no inverse.
fn inverse_diagonal<const N: usize>(mut matrix: [[f64; N]; N]) -> Option<[f64; N]> {
    let mut inverse = [[0.0; N]; N];
    for (place, row) in inverse.iter_mut().enumerate() {
        row[place] = 1.0;
    }
    for column in 0..N {
        let pivot = (column..N)
            .max_by(|one, two| matrix[*one][column].abs().total_cmp(&matrix[*two][column].abs()))
            .filter(|row| matrix[*row][column].abs() > 1e-12)?;
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let divisor = matrix[column][column];
        for place in 0..N {
            matrix[column][place] /= divisor;
            inverse[column][place] /= divisor;
        }
        let (pivot_row, pivot_inverse) = (matrix[column], inverse[column]);
        for row in (0..N).filter(|row| *row != column) {
            let factor = matrix[row][column];
            for place in 0..N {
                matrix[row][place] -= factor * pivot_row[place];
                inverse[row][place] -= factor * pivot_inverse[place];
            }
        }
    }
    Some(std::array::from_fn(|place| inverse[place][place]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_bottom_of_a_narrow_valley_and_its_curvature() {
        let valley = |at: &[f64; 2]| 100.0 * (at[1] - at[0] * at[0]).powi(2) + (1.0 - at[0]).powi(2);
        let (found, cost) = minimise([-1.2, 1.0], [30.0; 2], &valley);
        let (edge, _) = minimise([-1.2, 1.0], [0.5, 30.0], &valley);
        assert!((edge[0] - 0.5).abs() < 1e-3, "the bound holds: {edge:?}");
        assert!(cost < 1e-9 && (found[0] - 1.0).abs() < 1e-4 && (found[1] - 1.0).abs() < 1e-4, "{found:?}");
        // Twice the cost's curvature along the axes is 2 / σ².
        let bowl = |at: &[f64; 2]| at[0].powi(2) / (2.0 * 0.04) + at[1].powi(2) / (2.0 * 0.25);
        let all = estimates(["a", "b"], &[0.0, 0.0], &bowl);
        let (low, high) = all[0].interval.unwrap();
        assert!((high.ln() - 1.96 * 0.2).abs() < 1e-6 && (low.ln() + 1.96 * 0.2).abs() < 1e-6);
        assert!((all[1].interval.unwrap().1.ln() - 1.96 * 0.5).abs() < 1e-6);
    }
}
