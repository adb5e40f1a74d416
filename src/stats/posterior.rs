//! What a noisy estimate says of the truth behind it, once it is known what such truths are like.

use super::error::{Result, StatsError, enough, finite, representable, within};
use super::normal;

/// The median absolute deviation of a normal distribution is its standard deviation divided by this: `1/Φ⁻¹(3/4)`.
const NORMAL_MAD: f64 = 1.482_602_218_505_602;

/// The largest odds that are told, and one over the smallest: no normal prior is to be trusted in its tails.
pub const MOST_ODDS: f64 = 1e6;

/// Truths as they are before one of them is estimated: N(centre, spread²).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalPrior {
    /// Their mean.
    pub centre: f64,
    /// Their standard deviation, above 0.
    pub spread: f64,
}

/// What is believed of one truth: N(mean, deviation²).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

impl NormalPrior {
    /// The prior that estimates `y_i ~ N(θ_i, s_i²)` of k truths suggest, in closed form and whatever a few wild ones among
    /// them say: the median in the place of the mean, and the median absolute deviation in the place of the standard one.
    ///
    /// With `t = median s_i`, `m̂ = median y_i` and `τ̂² = max(0, (1.4826·MAD)² − t²)`, which is the spread that the errors do
    /// not explain, `centre = k·m̂/(k + K)` and `spread² = (k·τ̂² + K·t²)/(k + K)`: as if K more estimates had been seen that
    /// are 0 in the median and whose truths differ by one typical error. So a few estimates decide little, a single one next
    /// to nothing, and the spread is never 0.
    ///
    /// # Errors
    /// No estimate, other numbers of errors than estimates, numbers that are not finite, an error or a K (`weight`) that is
    /// not above 0, overflow.
    pub fn robust(estimates: &[f64], standard_errors: &[f64], weight: f64) -> Result<Self> {
        enough("estimates", estimates.len(), 1)?;
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
        within("the weight of a prior", weight, "above 0", weight > 0.0)?;
        for error in standard_errors {
            within("a standard error", *error, "above 0", *error > 0.0)?;
        }
        let typical = median(standard_errors.to_vec());
        let middle = median(estimates.to_vec());
        let distances = estimates.iter().map(|estimate| (estimate - middle).abs()).collect();
        // In typical errors, so that squares neither vanish nor overflow while the ratio does not.
        let scatter = NORMAL_MAD * median(distances) / typical;
        let count = estimates.len() as f64;
        let variance = (count * (scatter * scatter - 1.0).max(0.0) + weight) / (count + weight);
        Ok(Self {
            centre: representable("the centre of a prior", count / (count + weight) * middle)?,
            spread: representable("the spread of a prior", typical * variance.sqrt())?,
        })
    }

    /// What is believed of a truth of which there is an estimate: `centre + (1 − B)(y − centre)` with `B = s²/(s² + spread²)`
    /// and the variance `(1 − B)·s²`, the normal posterior (as in [`super::shrinkage::normal_means`]).
    pub fn given(&self, estimate: f64, standard_error: f64) -> Belief {
        let ratio = self.spread / standard_error;
        // Without an error it is the estimate; a ratio that overflows is the same.
        let kept = if ratio.is_finite() { ratio * ratio / (1.0 + ratio * ratio) } else { 1.0 };
        let kept = if kept.is_finite() { kept } else { 1.0 };
        Belief { mean: self.centre + kept * (estimate - self.centre), deviation: standard_error * kept.sqrt() }
    }
}

impl Belief {
    /// What is then believed of another truth of the same prior that is correlated with this one by ρ: given the one, the
    /// other is `N(centre + ρ(θ − centre), (1 − ρ²)·spread²)`, and so it is `N(centre + ρ(mean − centre), ρ²·deviation² +
    /// (1 − ρ²)·spread²)`. At ρ = 0 the prior is all that is left.
    pub fn carried_over(&self, prior: &NormalPrior, correlation: f64) -> Self {
        let rest = (1.0 - correlation * correlation).max(0.0).sqrt() * prior.spread;
        Self {
            mean: prior.centre + correlation * (self.mean - prior.centre),
            deviation: (correlation * self.deviation).hypot(rest),
        }
    }

    /// The odds that it is above 0: `Φ(z)/(1 − Φ(z))` with `z = mean/deviation`, within [`MOST_ODDS`] and one over it.
    pub fn odds_above_zero(&self) -> f64 {
        let z = if self.mean == 0.0 { 0.0 } else { self.mean / self.deviation };
        (normal::below(z) / normal::above(z)).clamp(1.0 / MOST_ODDS, MOST_ODDS)
    }
}

/// The middle of some numbers, or of the two middle ones the mean; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        // Halved first, so that the sum of two large ones does not overflow.
        Some(upper) => values[middle - 1] / 2.0 + upper / 2.0,
    }
}

#[cfg(test)]
mod tests;
