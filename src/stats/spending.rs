//! A test that may look several times: how much of its level each look may spend, and which z-value it then needs.
//!
//! At information fractions t₁ < … < t_K the statistics Z_k have, without an effect, the distribution of a Brownian motion:
//! Cov(Z_j, Z_k) = √(t_j/t_k) for j ≤ k. The test is one-sided, and any stop for futility is non-binding: leaving it out
//! of the computation can only make the test stricter.

use super::error::{Result, StatsError, enough, finite, level, within};
use super::normal;

mod density;

use density::Density;

/// The least probability that a look spends. A smaller increment is passed on to the next look: rounding would be a
/// sizeable part of it, and a bound above 7.9 is reached by nobody.
const LEAST_SPENT: f64 = 1e-15;

/// The least step of a fraction relative to itself that is integrated over.
const LEAST_STEP: f64 = 1e-4;

/// The part of the one-sided level `alpha` that may be spent up to the information fraction `fraction` in [0, 1]: the
/// spending function of Lan and DeMets (1983, *Discrete sequential boundaries for clinical trials*, α₁*) that resembles
/// O'Brien and Fleming's bounds,
///
/// `2 − 2Φ(z_{1−α/2} / √t)`,
///
/// which is 0 at t = 0 and `alpha` at t = 1. A two-sided test of level 2α spends this on each side.
///
/// # Errors
/// `alpha` not in (0, 1), or a fraction outside of [0, 1].
pub fn spent(alpha: f64, fraction: f64) -> Result<f64> {
    level("alpha", alpha)?;
    within("the information fraction", fraction, "from 0 to 1", (0.0..=1.0).contains(&fraction))?;
    if fraction == 0.0 {
        return Ok(0.0);
    }
    Ok((2.0 * normal::above(normal::upper_quantile(alpha / 2.0) / fraction.sqrt())).min(alpha))
}

/// The z-values that a look must reach, at `fractions` that ascend in (0, 1], so that without an effect the probability of
/// reaching any bound up to look k is `spent(alpha, t_k)`. By recursive numerical integration over the density of those
/// that went on (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, chapter 19), exact to eight digits for
/// `alpha` from 1e-6 on.
///
/// A look whose increment of the level is below 1e-15 has the bound infinity, and its increment is left to the next look.
/// A look whose fraction is less than a ten-thousandth above the one before is bounded by its own tail alone
/// (Bonferroni), which is strict, and later looks do not count on it.
///
/// # Errors
/// `alpha` not in (0, 1); no fraction; fractions that do not ascend or lie outside of (0, 1].
pub fn bounds(alpha: f64, fractions: &[f64]) -> Result<Vec<f64>> {
    level("alpha", alpha)?;
    enough("information fractions", fractions.len(), 1)?;
    finite("information fractions", fractions)?;
    for fraction in fractions {
        within("an information fraction", *fraction, "above 0 and at most 1", *fraction > 0.0 && *fraction <= 1.0)?;
    }
    if let Some(index) = fractions.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(StatsError::NotAscending { what: "information fractions", index: index + 1 });
    }
    let mut bounds = Vec::with_capacity(fractions.len());
    let mut used = 0.0;
    let mut going_on: Option<Density> = None;
    for (look, fraction) in fractions.iter().enumerate() {
        let increment = spent(alpha, *fraction)? - used;
        let bound = if increment < LEAST_SPENT {
            f64::INFINITY
        } else {
            used += increment;
            match &going_on {
                None => normal::upper_quantile(increment),
                Some(density) if !integrable(density, *fraction) => {
                    bounds.push(normal::upper_quantile(increment));
                    continue;
                }
                Some(density) => density.bound(*fraction, increment),
            }
        };
        bounds.push(bound);
        if let Some(next) = fractions.get(look + 1) {
            // The next step decides how fine the grid must be.
            let step = ((next - fraction) / fraction).max(LEAST_STEP);
            going_on = match going_on.take() {
                None => Some(Density::first(*fraction, bound, step)),
                Some(density) if !integrable(&density, *fraction) => Some(density),
                Some(density) => Some(density.next(*fraction, bound, step)),
            };
        }
    }
    Ok(bounds)
}

fn integrable(density: &Density, fraction: f64) -> bool {
    fraction - density.fraction() >= LEAST_STEP * density.fraction()
}

/// The probability that an estimate will end above its final bound, given what it is now: with a flat prior on the effect
/// and independent increments, `Φ((estimate − z·√V_final) / √(V_now − V_final))`, where `variance_now` and
/// `variance_final` are the squared standard errors of the estimate now and in the end, and z is the final bound
/// (Spiegelhalter, Freedman and Blackburn 1986, *Monitoring clinical trials: conditional or predictive power?*).
///
/// Where nothing more will be learnt (both variances alike) it is 1 if the estimate has reached the bound and 0 if not.
/// A bound of infinity is never reached.
///
/// # Errors
/// An estimate or variance that is no finite number, a negative variance, a final variance above the present one, or a
/// bound that is NaN or minus infinity.
pub fn predictive_power(estimate: f64, variance_now: f64, variance_final: f64, bound_z_final: f64) -> Result<f64> {
    finite("the estimate and its variances", &[estimate, variance_now, variance_final])?;
    within(
        "the final variance",
        variance_final,
        "from 0 to the present variance",
        (0.0..=variance_now).contains(&variance_final),
    )?;
    within("the final bound", bound_z_final, "a number, or infinity", bound_z_final > f64::NEG_INFINITY)?;
    if bound_z_final == f64::INFINITY {
        return Ok(0.0);
    }
    let above = estimate - bound_z_final * variance_final.sqrt();
    let spread = (variance_now - variance_final).sqrt();
    if spread == 0.0 {
        return Ok(if above >= 0.0 { 1.0 } else { 0.0 });
    }
    // An overflow is an infinity of the right sign; 0/0 was excluded, and ∞/∞ cannot be: the spread is finite.
    Ok(normal::below(above / spread))
}

#[cfg(test)]
mod tests;
