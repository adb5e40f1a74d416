//! At which level the next of a sequence of tests may be made, when nobody knows how many will come or which are true.
//!
//! [`familywise`] bounds the probability of *any* false rejection over a known number of tests (Bonferroni).
//! [`lord_plus_plus`] bounds the expected *share* of false ones among the rejections (the false discovery rate), for
//! independent p-values, over an endless sequence; each rejection earns level for what follows.

use super::error::{Result, StatsError, enough, level, within};

/// Keeps the sum of the weights γ over all tests below one (0.976): the constant of the R package onlineFDR (Robertson et
/// al. 2019).
const NORMALIZER: f64 = 0.077_208_38;

/// The level of each of `trials` tests that keeps the probability of any false rejection at `alpha` at most, whatever
/// their dependence: `α/trials` (Bonferroni 1936).
///
/// # Errors
/// `alpha` not in (0, 1), or no trials.
pub fn familywise(alpha: f64, trials: u32) -> Result<f64> {
    level("alpha", alpha)?;
    enough("trials", trials as usize, 1)?;
    Ok(alpha / f64::from(trials))
}

/// The level of test number `test` (from 1) under LORD++ (Ramdas, Yang, Wainwright and Jordan 2017, *Online control of
/// the false discovery rate with decaying memory*, section 3; the γ of Javanmard and Montanari 2018, equation 31), given
/// the numbers of the tests that were rejected, ascending:
///
/// `α_t = γ_t W₀ + (α − W₀) γ_{t−τ₁} + α Σ_{j≥2} γ_{t−τ_j}`, over the rejections `τ_j < t`, with
/// `γ_j = 0.07720838 · ln(max(j, 2)) / (j · e^{√ln j})` and the initial wealth `W₀ = α/2`.
///
/// A test is rejected when its p-value is at most its level. The false discovery rate is at most `alpha` at every time for
/// independent p-values; a marginal rate for conditionally super-uniform ones. The levels of the first t tests sum to at
/// most `alpha · max(1, rejections before t)`. Rejections at or after `test` do not count.
///
/// # Errors
/// `alpha` not in (0, 1), tests that are counted from 0, rejections that do not ascend.
pub fn lord_plus_plus(alpha: f64, rejections: &[usize], test: usize) -> Result<f64> {
    level("alpha", alpha)?;
    within("the number of the test", test as f64, "at least 1: tests are counted from 1", test >= 1)?;
    if let Some(first) = rejections.first() {
        within("the number of a rejected test", *first as f64, "at least 1: tests are counted from 1", *first >= 1)?;
    }
    if let Some(index) = rejections.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(StatsError::NotAscending { what: "rejections", index: index + 1 });
    }
    let wealth = alpha / 2.0;
    let earned: f64 = rejections
        .iter()
        .take_while(|rejected| **rejected < test)
        .enumerate()
        .map(|(order, rejected)| if order == 0 { alpha - wealth } else { alpha } * gamma(test - rejected))
        .sum();
    Ok(wealth * gamma(test) + earned)
}

/// γ_j, for j from 1.
fn gamma(index: usize) -> f64 {
    let index = index as f64;
    NORMALIZER * index.max(2.0).ln() / (index * index.ln().sqrt().exp())
}

#[cfg(test)]
mod tests;
