//! What the best of many trials is worth: against the best that as many trials without any effect would show.

use super::error::{Result, enough, finite, representable, within};
use super::normal;

/// Euler and Mascheroni's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// A best score against the best of as many null trials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deflated {
    /// What the best of as many trials without an effect shows on average.
    pub expected_max: f64,
    /// How far the observed best is above that, in standard deviations of a null trial.
    pub z: f64,
    /// Φ(z): the deflated score in the manner of the Deflated Sharpe Ratio. Below one half the best is no better than luck
    /// among that many; it is no p-value.
    pub probability: f64,
    /// The probability that the best of as many independent trials without an effect is at least as high: a p-value.
    pub by_chance: f64,
}

/// The expectation of the largest of `trials` independent normal estimates around 0 with the standard deviation `null_sd`:
/// `σ ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e)))`, γ being Euler and Mascheroni's constant (Bailey and López de Prado 2014,
/// *The deflated Sharpe ratio*, equation 1); 0 for one trial. Against the exact expectation it is
/// 8 % too small for two trials, and else too large: by at most 2.6 %, by 0.9 % for 100.
///
/// # Errors
/// No trials, a standard deviation that is negative or no finite number, overflow.
pub fn expected_max(null_sd: f64, trials: u32) -> Result<f64> {
    enough("trials", trials as usize, 1)?;
    finite("the standard deviation of a null trial", &[null_sd])?;
    within("the standard deviation of a null trial", null_sd, "at least 0", null_sd >= 0.0)?;
    if trials == 1 {
        return Ok(0.0);
    }
    let share = 1.0 / f64::from(trials);
    let of_one =
        (1.0 - EULER) * normal::upper_quantile(share) + EULER * normal::upper_quantile(share / std::f64::consts::E);
    representable("the standard deviation of a null trial", null_sd * of_one)
}

/// The best `observed` of `trials` against [`expected_max`], in the manner of Bailey and López de Prado (2014), and the
/// probability `1 − Φ(x/σ)^N` that chance alone does as well.
///
/// # Errors
/// As [`expected_max`], with a standard deviation above 0, and an observed score that is a finite number.
pub fn deflated(observed: f64, null_sd: f64, trials: u32) -> Result<Deflated> {
    finite("the observed score", &[observed])?;
    within("the standard deviation of a null trial", null_sd, "above 0", null_sd > 0.0)?;
    let expected_max = expected_max(null_sd, trials)?;
    let z = representable("the observed score", (observed - expected_max) / null_sd)?;
    let tail = normal::above(observed / null_sd);
    // ln(1 − tail) is −∞ where the tail is 1, and the power 0: then chance does as well for sure.
    let by_chance = -(f64::from(trials) * (-tail).ln_1p()).exp_m1();
    Ok(Deflated { expected_max, z, probability: normal::below(z), by_chance: by_chance.clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests;
