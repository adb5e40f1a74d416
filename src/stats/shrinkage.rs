//! What a gain is worth that was picked because it looked large.
//!
//! [`truncated`] corrects one estimate for having passed a threshold; [`normal_means`] looks at all estimates together,
//! the picked and the others.

use super::error::{Result, StatsError, enough, finite, level, representable, within};
use super::interval::{Interval, crossing};
use super::normal;

/// How far below its estimate a truth is looked for, in standard errors.
const FARTHEST: f64 = 1e6;

/// An estimate after its selection was taken into account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncated {
    /// The median-unbiased estimate, but at least 0 where the estimate was not below 0 itself.
    pub estimate: f64,
    /// The interval of the truth, which may well reach below 0.
    pub interval: Interval,
}

/// The truth behind a normal `estimate` that would not have been seen at or below `threshold`.
///
/// Given its selection the estimate X exceeds x with the probability
/// `P_μ(X > x | X > c) = (1 − Φ((x − μ)/σ)) / (1 − Φ((c − μ)/σ))`, which rises with μ from 0 to 1. The median-unbiased
/// estimate is the μ that makes it ½, and the ends of the interval of the given `confidence` those that make it
/// `(1 ∓ confidence)/2`: the exact conditional interval of Zhong and Prentice (2008, *Bias-reduced estimators and confidence
/// intervals for odds ratios in genome-wide association studies*), one-sided selection. Without selection (a threshold far
/// below) that is x itself and `x ± zσ`.
///
/// Just above the threshold the data are worth next to nothing and μ falls without limit; a gain that was kept is then said
/// to be 0, and the interval ends a million standard errors below at the lowest.
///
/// # Errors
/// Numbers that are not finite, a standard error that is not positive, an estimate that is not above the threshold, a
/// confidence not in (0, 1).
pub fn truncated(estimate: f64, standard_error: f64, threshold: f64, confidence: f64) -> Result<Truncated> {
    finite("an estimate, its standard error and its threshold", &[estimate, standard_error, threshold])?;
    level("a confidence", confidence)?;
    within("a standard error", standard_error, "above 0", standard_error > 0.0)?;
    within("a selected estimate", estimate, "above the threshold that it was selected by", estimate > threshold)?;
    // In standard errors: how far the estimate is above the threshold. Infinite is no selection at all.
    let excess = (estimate - threshold) / standard_error;
    // The shift of the truth against the estimate, in standard errors, at which a larger one has the given probability.
    let shift = |probability: f64| {
        let wanted = probability.ln();
        let reached = |shift: f64| {
            let all = if excess.is_finite() { log_above(-excess - shift) } else { 0.0 };
            log_above(-shift) - all >= wanted
        };
        crossing(-FARTHEST, 1e3, reached)
    };
    let outside = (1.0 - confidence) / 2.0;
    let at =
        |probability: f64| representable("the ends of an interval", estimate + standard_error * shift(probability));
    let middle = at(0.5)?.min(estimate);
    Ok(Truncated {
        estimate: if estimate >= 0.0 { middle.max(0.0) } else { middle },
        interval: Interval { low: at(outside)?, high: at(1.0 - outside)? },
    })
}

/// Estimates of many effects, each drawn towards their common mean.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalMeans {
    /// The mean m of the effects.
    pub centre: f64,
    /// Its standard error.
    pub centre_error: f64,
    /// The standard deviation τ of the true effects around it; 0 where the estimates differ no more than their errors
    /// explain.
    pub spread: f64,
    /// The posterior mean of each effect.
    pub means: Vec<f64>,
    /// The posterior standard deviation of each, the uncertainty of m included, that of τ not.
    pub standard_errors: Vec<f64>,
}

/// Empirical Bayes for effects `θ_i ~ N(m, τ²)` with estimates `y_i ~ N(θ_i, s_i²)`: the posterior means
/// `m + (1 − B_i)(y_i − m)` with `B_i = s_i²/(s_i² + τ²)` (Efron and Morris 1975, *Data analysis using Stein's estimator and
/// its generalizations*), with variances `(1 − B_i) s_i² + B_i²/Σ w`.
///
/// m is the mean weighted by `w_i = 1/(s_i² + τ²)`, and τ² is Paule and Mandel's (1982): the one for which
/// `Σ w_i (y_i − m)² = k − 1`, or 0 if that is less already at 0.
///
/// # Errors
/// Fewer than two estimates, other numbers of errors than estimates, numbers that are not finite, standard errors that are
/// not positive or vanish against the largest, overflow.
pub fn normal_means(estimates: &[f64], standard_errors: &[f64]) -> Result<NormalMeans> {
    enough("estimates", estimates.len(), 2)?;
    if estimates.len() != standard_errors.len() {
        return Err(StatsError::LengthsDiffer {
            what: "standard errors",
            found: standard_errors.len(),
            other: "estimates",
            wanted: estimates.len(),
        });
    }
    finite("estimates", estimates)?;
    finite("standard errors", standard_errors)?;
    let unit = standard_errors.iter().copied().fold(0.0, f64::max);
    for error in standard_errors {
        let allowed = "above 0, and not below 1e-100 of the largest";
        within("a standard error", *error, allowed, *error > 0.0 && error / unit > 1e-100)?;
    }
    // In units of the largest error, and around one of the estimates, so that squares neither vanish nor overflow.
    let origin = estimates[0];
    let scaled: Vec<f64> = estimates.iter().map(|estimate| (estimate - origin) / unit).collect();
    let variances: Vec<f64> = standard_errors.iter().map(|error| (error / unit).powi(2)).collect();
    let widest = scaled.iter().fold(0.0_f64, |widest, value| widest.max(value.abs()));
    representable("estimates in units of their errors", widest * widest * estimates.len() as f64)?;
    let freedom = estimates.len() as f64 - 1.0;
    let weighted = |tau_squared: f64| {
        let weights: Vec<f64> = variances.iter().map(|variance| 1.0 / (variance + tau_squared)).collect();
        let total: f64 = weights.iter().sum();
        let centre = weights.iter().zip(&scaled).map(|(weight, value)| weight / total * value).sum::<f64>();
        let scatter: f64 = weights.iter().zip(&scaled).map(|(weight, value)| weight * (value - centre).powi(2)).sum();
        (centre, total, scatter)
    };
    // The scatter falls with τ²: its terms are below (2·widest)²/τ² each, so that the root is below their sum.
    let most = 8.0 * widest * widest + 1.0;
    let tau_squared =
        if weighted(0.0).2 <= freedom { 0.0 } else { crossing(0.0, most, |tau| weighted(tau).2 <= freedom) };
    let (centre, total, _) = weighted(tau_squared);
    let mut means = Vec::with_capacity(estimates.len());
    let mut errors = Vec::with_capacity(estimates.len());
    for (value, variance) in scaled.iter().zip(&variances) {
        let pulled = variance / (variance + tau_squared);
        means.push(representable("estimates", origin + unit * (value + pulled * (centre - value)))?);
        errors.push(unit * ((1.0 - pulled) * variance + pulled * pulled / total).sqrt());
    }
    Ok(NormalMeans {
        centre: representable("estimates", origin + unit * centre)?,
        centre_error: unit * (1.0 / total).sqrt(),
        spread: unit * tau_squared.sqrt(),
        means,
        standard_errors: errors,
    })
}

/// ln(1 − Φ(z)), also where the tail is below the least double: Laplace's expansion of Mills' ratio there.
fn log_above(z: f64) -> f64 {
    if z < 30.0 {
        return normal::above(z).ln();
    }
    let q = 1.0 / (z * z);
    let mills = 1.0 - q * (1.0 - q * (3.0 - q * (15.0 - 105.0 * q)));
    -0.5 * z * z - (z * (2.0 * std::f64::consts::PI).sqrt()).ln() + mills.ln()
}

#[cfg(test)]
mod tests;
