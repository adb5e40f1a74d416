//! The standard normal distribution, with upper tails that stay exact where they are tiny.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

use statrs::function::erf::{erfc, erfc_inv};

/// φ(z).
pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Φ(z).
pub(super) fn below(z: f64) -> f64 {
    0.5 * erfc(-z * FRAC_1_SQRT_2)
}

/// 1 − Φ(z).
pub(super) fn above(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// The z with 1 − Φ(z) = `probability`, which lies in (0, 1).
pub(super) fn upper_quantile(probability: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * probability)
}
