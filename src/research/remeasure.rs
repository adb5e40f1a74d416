//! Re-measurement: whether the incumbent's gain over its predecessor stands on seeds that nothing was selected by. Pure.
//!
//! What won a selection is, on average, luckier than it is good (the winner's curse). On fresh seeds of both, luck of
//! the seeds is drawn anew, and what is left of the gain is an honest estimate over these eras.

use serde::{Deserialize, Serialize};

use super::gate::error::GateError;
use super::gate::ruling::short;
use super::gate::{Cells, Contrast, Ground};
use super::gate::{mean, standard_error};
use super::trial::Scores;

/// What was found when the incumbent was measured again. It stands in `runs/NNNNNN/remeasured.json` and in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remeasurement {
    /// The trial that was the incumbent.
    pub trial: u32,
    /// The last trial that had ended by then.
    pub after_trial: u32,
    /// The seeds, never used before for either spec.
    pub seeds: Vec<u64>,
    /// Payout by which it was selected.
    pub selected: f64,
    /// Payout on the fresh seeds.
    pub fresh: f64,
    /// Standard error of `fresh`, over seeds and eras.
    pub standard_error: f64,
    /// The trial that it took its place from; None for a baseline, which has beaten nobody.
    pub predecessor: Option<u32>,
    /// Its gain over the predecessor on the fresh seeds of both.
    pub gain: Option<f64>,
    /// Standard error of `gain`.
    pub gain_error: Option<f64>,
    /// One-sided p-value of `gain` > 0; for one that was kept for its simplicity, of a loss within the margin.
    pub p_value: Option<f64>,
    /// The trial that is the incumbent again; None where it stands.
    pub demoted_to: Option<u32>,
    /// One sentence: what follows.
    pub reason: String,
    /// When, RFC 3339, UTC.
    pub ended: String,
}

/// The incumbent on fresh seeds, against its predecessor on the same seeds.
pub struct Evidence<'a> {
    /// The trial.
    pub trial: u32,
    /// The last trial that has ended.
    pub after_trial: u32,
    /// The payout it was selected by.
    pub selected: f64,
    /// Its scores on the fresh seeds.
    pub fresh: &'a Scores,
    /// The predecessor, and its scores on the fresh seeds.
    pub predecessor: Option<(u32, &'a Scores)>,
    /// By how much it may be worse and still stand: 0, but for one that was kept for its simplicity.
    pub margin: f64,
    /// The gain that it was kept for, as the gate measured it; None for a baseline.
    pub kept_for: Option<f64>,
    /// The p-value above which it has failed.
    pub level: f64,
    /// Now, RFC 3339.
    pub now: String,
}

/// Judges a re-measurement.
///
/// # Errors
/// Scores that cannot be compared.
pub fn remeasure(evidence: &Evidence<'_>, ground: &Ground<'_>) -> Result<Remeasurement, GateError> {
    let Evidence { trial, after_trial, selected, fresh, predecessor, margin, kept_for, level, now } = evidence;
    let payouts: Vec<f64> = fresh.seeds.iter().map(|seed| mean(&seed.payout)).collect();
    let mut found = Remeasurement {
        trial: *trial,
        after_trial: *after_trial,
        seeds: fresh.seeds.iter().map(|seed| seed.seed).collect(),
        selected: *selected,
        fresh: mean(&payouts),
        standard_error: standard_error(fresh, ground.eras, ground.prior)?,
        predecessor: predecessor.map(|(trial, _)| trial),
        gain: None,
        gain_error: None,
        p_value: None,
        demoted_to: None,
        reason: "the baseline has no predecessor to fall back to".into(),
        ended: now.clone(),
    };
    let Some((predecessor, theirs)) = predecessor else { return Ok(found) };
    let contrast = Contrast::of(&cells(fresh, ground)?, theirs, ground)?;
    let (gain, error, p) = (contrast.delta, contrast.variance().sqrt(), contrast.p_value(-margin)?);
    (found.gain, found.gain_error, found.p_value) = (Some(gain), Some(error), Some(p));
    let than = if *margin > 0.0 { format!(" for a loss of less than {margin}") } else { String::new() };
    let seeds = payouts.len();
    let over =
        format!("{gain:+.4} ± {error:.4} over trial {predecessor:06} on {seeds} fresh seeds, p {}{than}", short(p));
    let risk = match kept_for.filter(|gain| *gain > 0.0) {
        Some(gain) => {
            let chance = contrast.chance_below(gain, -margin, *level)?;
            format!(
                "; a true gain of {gain:+.4}, which it was kept for, fails so with a chance of {:.0} %",
                chance * 100.0
            )
        }
        None => String::new(),
    };
    if p > *level {
        found.demoted_to = Some(*predecessor);
        found.reason = format!(
            "its gain did not stand: {over}, above {level}{risk}; trial {predecessor:06} is the incumbent again"
        );
    } else {
        found.reason = format!("its gain stands: {over}{risk}");
    }
    Ok(found)
}

/// Whole seeds, cut into the protocol's cells.
///
/// # Errors
/// Eras of the folds that the scores lack.
pub fn cells(scores: &Scores, ground: &Ground<'_>) -> Result<Cells, GateError> {
    let mut cells = Cells::none(ground.folds.len());
    for (fold, eras) in ground.folds.iter().enumerate() {
        let places: Option<Vec<usize>> = eras.iter().map(|era| scores.eras.binary_search(era).ok()).collect();
        let Some(places) = places else {
            return Err(GateError::DifferentEras {
                candidate: scores.eras.len(),
                incumbent: ground.folds.iter().map(Vec::len).sum(),
                first: eras.first().copied().unwrap_or_default(),
            });
        };
        for seed in &scores.seeds {
            cells.add(fold, seed.seed, places.iter().map(|place| seed.payout[*place]).collect())?;
        }
    }
    Ok(cells)
}

#[cfg(test)]
mod tests;
