//! Variances of many groups, each from few values, moderated by what they have in common.
//!
//! A variance from three values is almost unknown. Where many groups have such variances, and their true variances are
//! scattered around a common one, each is estimated far better together with the others: Smyth (2004, *Linear models and
//! empirical Bayes methods for assessing differential expression in microarray experiments*), as the R package limma does
//! it.

use statrs::function::gamma::digamma;

use super::error::{Result, StatsError, finite, representable, within};

mod polygamma;

use polygamma::{trigamma, trigamma_inverse};

/// A variance is taken for no less than this share of the median one, so that a zero has a logarithm (limma's `fitFDist`).
const LEAST_SHARE: f64 = 1e-5;

/// What is known of a variance before its own values are seen: `variance · freedom / σ²` is chi-squared with `freedom`
/// degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// The common variance s₀².
    pub variance: f64,
    /// Its degrees of freedom d₀ > 0: how alike the groups' true variances are. Infinite where they do not differ more
    /// than their own sampling explains.
    pub freedom: f64,
    /// The sum of all groups' degrees of freedom: no moderated variance has more, for it is all that was ever seen.
    pub pooled: f64,
}

/// The prior that groups with sample variances `(s²_g, d_g)` have in common, by the method of moments on logarithms
/// (Smyth 2004, section 6.2): `e_g = ln s²_g − ψ(d_g/2) + ln(d_g/2)` has the mean `ln s₀² − ψ(d₀/2) + ln(d₀/2)` and the
/// variance `v_g + ψ′(d₀/2)`, with `v_g = ψ′(d_g/2)`. Smyth gives every group the same weight; here one may have a hundred
/// times the degrees of freedom of another, so groups are weighed as in a meta-analysis (DerSimonian and Laird 1986):
/// with `w_g = 1/v_g` and `ē = Σw e/Σw`, `ψ′(d₀/2) = (Σ w (e − ē)² − (G − 1)) / (Σw − Σw²/Σw)`, and s₀² from the mean of e
/// under the weights `1/(v_g + ψ′(d₀/2))`. Where all `d_g` are equal that is limma's estimate. Where the right side is not
/// positive, d₀ is infinite and s₀² is the pooled variance `Σ d_g s²_g / Σ d_g`.
///
/// Groups without degrees of freedom tell nothing and are left out. A variance below 1e-5 of the median one counts as that,
/// as limma has it. None where fewer than two groups have a positive variance.
///
/// # Errors
/// Variances or degrees of freedom that are negative or no finite numbers; overflow.
pub fn prior(samples: &[(f64, f64)]) -> Result<Option<Prior>> {
    for (variance, freedom) in samples {
        finite("variances and their degrees of freedom", &[*variance, *freedom])?;
        within("a variance", *variance, "at least 0", *variance >= 0.0)?;
        within("the degrees of freedom of a variance", *freedom, "at least 0", *freedom >= 0.0)?;
    }
    let used: Vec<(f64, f64)> = samples.iter().copied().filter(|(_, freedom)| *freedom > 1e-15).collect();
    if used.iter().filter(|(variance, _)| *variance > 0.0).count() < 2 {
        return Ok(None);
    }
    let pooled: f64 = used.iter().map(|(_, freedom)| freedom).sum();
    let middle = median(used.iter().map(|(variance, _)| *variance).collect());
    // Most are zero: the positive ones say what size a variance has here.
    let middle = if middle > 0.0 {
        middle
    } else {
        median(used.iter().map(|(variance, _)| *variance).filter(|variance| *variance > 0.0).collect())
    };
    let floored: Vec<(f64, f64)> =
        used.iter().map(|(variance, freedom)| (variance.max(LEAST_SHARE * middle), *freedom)).collect();
    let logs: Vec<f64> = floored
        .iter()
        .map(|(variance, freedom)| variance.ln() - digamma(freedom / 2.0) + (freedom / 2.0).ln())
        .collect();
    let sampling: Vec<f64> = floored.iter().map(|(_, freedom)| trigamma(freedom / 2.0)).collect();
    let excess = excess_variance(&logs, &sampling);
    let (variance, freedom) = if excess > 0.0 {
        let half = trigamma_inverse(excess);
        let centre = weighted_mean(&logs, |group| 1.0 / (sampling[group] + excess));
        ((centre + digamma(half) - half.ln()).exp(), 2.0 * half)
    } else {
        (floored.iter().map(|(variance, freedom)| freedom / pooled * variance).sum(), f64::INFINITY)
    };
    if !(variance > 0.0 && freedom > 0.0) {
        return Err(StatsError::Overflow { what: "variances" });
    }
    Ok(Some(Prior {
        variance: representable("variances", variance)?,
        freedom,
        pooled: representable("degrees of freedom", pooled)?,
    }))
}

impl Prior {
    /// What a single group says of the others: its own variance, with its own degrees of freedom.
    pub fn of(variance: f64, freedom: f64) -> Self {
        Self { variance, freedom, pooled: freedom }
    }

    /// A group's variance and its degrees of freedom, moderated: `(d₀ s₀² + d s²)/(d₀ + d)` with
    /// `min(d₀ + d, Σ d_g)` degrees of freedom (Smyth 2004, section 3; the cap is limma's). A group without values of its
    /// own has d = 0 and gets the prior.
    ///
    /// # Errors
    /// A variance or degrees of freedom that are negative or no finite numbers.
    pub fn moderate(&self, variance: f64, freedom: f64) -> Result<(f64, f64)> {
        finite("a variance and its degrees of freedom", &[variance, freedom])?;
        within("a variance", variance, "at least 0", variance >= 0.0)?;
        within("the degrees of freedom of a variance", freedom, "at least 0", freedom >= 0.0)?;
        let own = if self.freedom.is_finite() { freedom / (self.freedom + freedom) } else { 0.0 };
        // Shares of each, so that large variances do not overflow on the way.
        Ok(((1.0 - own) * self.variance + own * variance, (self.freedom + freedom).min(self.pooled)))
    }
}

/// DerSimonian and Laird's variance of what is beyond sampling; not positive where there is none.
fn excess_variance(values: &[f64], sampling: &[f64]) -> f64 {
    let weight = |group: usize| 1.0 / sampling[group];
    let centre = weighted_mean(values, weight);
    let scatter: f64 = values.iter().enumerate().map(|(group, value)| weight(group) * (value - centre).powi(2)).sum();
    let (mut sum, mut squares) = (0.0, 0.0);
    for group in 0..values.len() {
        sum += weight(group);
        squares += weight(group).powi(2);
    }
    (scatter - (values.len() as f64 - 1.0)) / (sum - squares / sum)
}

fn weighted_mean(values: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (group, value) in values.iter().enumerate() {
        sum += weight(group) * value;
        weights += weight(group);
    }
    sum / weights
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { values[middle - 1] / 2.0 + values[middle] / 2.0 }
}

#[cfg(test)]
mod tests;
