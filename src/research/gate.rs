//! The gate: whether a candidate is better than the incumbent, or only luckier.
//!
//! **The claim.** By default a keep says: trained under other seeds, in other eras of the same kind, this spec earns more
//! than the incumbent did. Luck enters twice, through the seed and through the eras, and both are in the standard error
//! ([`contrast`]). `claim: these_eras` says less, and asks for less.
//!
//! "Of the same kind" means that what eras do to the difference of two specs does not last longer than a fold: what does
//! shows in the table of folds, and in no standard error.
//!
//! **The way.** A candidate runs a race ([`race`]): cell by cell, given up as soon as it has little hope, kept only at
//! one of a few looks, each of which spends a part of the trial's error.
//!
//! **The night.** How much error a trial may make is settled by [`level`]: many trials, one night, one budget.
//!
//! **What is known beforehand.** Three seeds say almost nothing of the noise between seeds; the other trials of the
//! ledger say the rest ([`pool`]).
//!
//! **What else must hold** is in [`constraints`].

pub mod cells;
pub mod constraints;
pub mod contrast;
pub mod eras;
pub mod error;
pub mod level;
pub mod order;
pub mod pool;
pub mod race;
pub mod ruling;
pub mod settings;

pub use super::remeasure::cells as remeasured_cells;
pub use cells::Cells;
pub use contrast::{Contrast, Ground};
pub use eras::KnownEras;
pub use error::{GateError, Side};
pub use race::{Design, Race, Step};
pub use ruling::{Kind, Ruling};

use super::trial::Scores;
use crate::stats::moderated::Prior;

/// The fewest eras that an autocorrelated standard error is estimated from.
pub const FEWEST_ERAS: usize = 8;

/// The standard error of a spec's own mean payout over its seeds and eras, for showing it with its uncertainty.
///
/// # Errors
/// When the scores are malformed, or too few: see [`GateError`].
pub fn standard_error(scores: &Scores, eras: &KnownEras, prior: Option<Prior>) -> Result<f64, GateError> {
    contrast::check(scores, Side::Incumbent)?;
    let means: Vec<f64> = scores.seeds.iter().map(|seed| mean(&seed.payout)).collect();
    if means.is_empty() {
        return Err(GateError::TooFewSeeds { found: 0, needed: 1 });
    }
    let eras = eras.of(&scores.eras)?.error_of_mean(&contrast::era_means(scores))?.standard_error.powi(2);
    let own = (means.len() > 1).then(|| contrast::variance(&means));
    let of_a_seed = match (prior, own) {
        (Some(prior), Some(own)) => prior.moderate(own, means.len() as f64 - 1.0)?.0,
        (Some(prior), None) => prior.variance,
        (None, own) => own.unwrap_or(0.0),
    };
    let total = eras + of_a_seed / means.len() as f64;
    if total.is_finite() {
        Ok(total.sqrt())
    } else {
        Err(GateError::Plan("payouts are too large: their squares overflow".into()))
    }
}

/// The mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
pub(crate) mod tests;
