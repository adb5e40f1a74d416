//! The noise floor: how much the incumbent's score moves when nothing but luck changes, and what gains can be told from
//! that. Pure.

use serde::{Deserialize, Serialize};

use super::gate::contrast::{era_means, variance};
use super::gate::error::{GateError, Side};
use super::gate::settings::{Claim, GateSettings, MinEffect};
use super::gate::{FEWEST_ERAS, KnownEras, contrast, mean};
use super::trial::Scores;
use crate::stats::bootstrap;
use crate::stats::moderated::Prior;

/// What `calibrate` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// The trial that was measured.
    pub trial: u32,
    /// The protocol it was measured under.
    pub protocol_hash: String,
    /// The data it was measured on.
    pub data_hash: String,
    /// Seeds that it was measured under, in all.
    pub seeds: usize,
    /// Mean payout over all of them.
    pub payout: f64,
    /// Its standard error, over seeds and eras.
    pub standard_error: f64,
    /// Standard deviation of a seed's mean payout.
    pub between_seeds: f64,
    /// Standard deviation of the folds' mean payouts.
    pub between_folds: f64,
    /// Standard deviation of the eras' payouts, each the mean over seeds.
    pub between_eras: f64,
    /// Standard deviation of a single fold's mean payout between seeds: the noise of a cell.
    pub between_cells: f64,
    /// Standard error of a comparison with the incumbent at the most seeds, by the noise of seeds alone.
    pub comparison_error: f64,
    /// The seeds of a candidate that this is for.
    pub most_seeds: usize,
    /// Seeds of the incumbent that this is for.
    pub incumbent_seeds: usize,
    /// The level of a single trial that this is for.
    pub level: f64,
    /// The power that this is for.
    pub power: f64,
    /// The smallest gain that the protocol detects with this power, if eras add no noise to the difference.
    pub detectable: f64,
    /// Standard error of the payout over eras alone: Newey and West's, made whole for overlapping targets, as the gate has
    /// it (`stats::long_run`). None in old ledgers, as what follows.
    #[serde(default)]
    pub era_error: Option<f64>,
    /// The same by a stationary bootstrap over the eras, which shares no formula with it (`stats::bootstrap`).
    #[serde(default)]
    pub bootstrap_error: Option<f64>,
    /// Mean length of its blocks, in eras.
    #[serde(default)]
    pub bootstrap_block: Option<f64>,
    /// Eras of the shortest series that the gate estimates noise of eras from: a fold's, or all where folds are too short.
    #[serde(default)]
    pub series_eras: Option<usize>,
    /// When, RFC 3339, UTC; empty in old ledgers.
    #[serde(default)]
    pub ended: String,
}

/// Two estimates of one error that are further apart than this are worth a warning: the larger over the smaller.
const FURTHEST_APART: f64 = 4.0 / 3.0;
/// Series shorter than this have intervals that cover less than 93 % where their eras are weekly.
const SHORT_SERIES: usize = 30;

impl NoiseFloor {
    /// What a person should know before the errors over eras are believed, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let (Some(own), Some(other)) = (self.era_error, self.bootstrap_error)
            && own.max(other) > FURTHEST_APART * own.min(other)
        {
            found.push(format!(
                "the two errors over eras, {own:.5} and {other:.5}, differ by more than a third: too few eras, or ones that \
                 resemble each other for longer than their targets overlap. Trust neither to more than that"
            ));
        }
        if let Some(eras) = self.series_eras.filter(|eras| *eras < SHORT_SERIES) {
            found.push(format!(
                "the noise of eras is estimated from series of {eras} retained eras; under {SHORT_SERIES}, intervals that say \
                 95 % cover less than 93 % where eras are weekly. Longer folds mend that"
            ));
        }
        found
    }
}

/// What the floor is computed for.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Test eras of each fold.
    pub folds: &'a [Vec<u32>],
    /// What is known of means over eras.
    pub eras: &'a KnownEras,
    /// Noise between seeds of the ledger's trials.
    pub prior: Option<Prior>,
    /// The most seeds of a candidate.
    pub most_seeds: usize,
    /// Seeds of the incumbent at that look.
    pub incumbent_seeds: usize,
    /// The level of one trial.
    pub level: f64,
    /// The power that is asked for.
    pub power: f64,
}

/// The noise floor of a spec's scores. The hashes and the trial are the caller's to fill in: they are empty here.
///
/// # Errors
/// Malformed scores, or too few seeds or eras to know any noise from.
pub fn noise_floor(scores: &Scores, terms: &Terms<'_>) -> Result<NoiseFloor, GateError> {
    contrast::check(scores, Side::Incumbent)?;
    if scores.seeds.len() < 2 {
        return Err(GateError::TooFewSeeds { found: scores.seeds.len(), needed: 2 });
    }
    if scores.eras.len() < FEWEST_ERAS {
        return Err(GateError::TooFewEras { found: scores.eras.len() });
    }
    let seeds: Vec<f64> = scores.seeds.iter().map(|seed| mean(&seed.payout)).collect();
    let eras = era_means(scores);
    let own = variance(&seeds);
    let (moderated, _) = match terms.prior {
        Some(prior) => prior.moderate(own, seeds.len() as f64 - 1.0)?,
        None => (own, seeds.len() as f64 - 1.0),
    };
    // Payout of each fold (rows) under each seed.
    let cells: Vec<Vec<f64>> = terms
        .folds
        .iter()
        .map(|fold| {
            let places: Vec<usize> = fold.iter().filter_map(|era| scores.eras.binary_search(era).ok()).collect();
            scores
                .seeds
                .iter()
                .map(|seed| mean(&places.iter().map(|place| seed.payout[*place]).collect::<Vec<_>>()))
                .collect()
        })
        .collect();
    let folds: Vec<f64> = cells.iter().map(|of_fold| mean(of_fold)).collect();
    let of_cells = mean(&cells.iter().map(|of_fold| variance(of_fold)).collect::<Vec<_>>());
    let era_error = terms.eras.of(&scores.eras)?.error_of_mean(&eras)?.standard_error;
    let bootstrap_block = bootstrap::block_length(&eras).ok();
    let bootstrap_error = bootstrap_block.and_then(|block| bootstrap::standard_error(&eras, block).ok());
    let alone = terms.folds.iter().all(|fold| terms.eras.of(fold).is_ok());
    let shortest = terms.folds.iter().map(Vec::len).min().filter(|_| alone);
    let comparison = (moderated * (1.0 / terms.most_seeds as f64 + 1.0 / terms.incumbent_seeds as f64)).sqrt();
    let floor = NoiseFloor {
        trial: 0,
        protocol_hash: String::new(),
        data_hash: String::new(),
        seeds: seeds.len(),
        payout: mean(&eras),
        standard_error: (era_error.powi(2) + moderated / seeds.len() as f64).sqrt(),
        between_seeds: own.sqrt(),
        between_folds: if folds.len() > 1 { variance(&folds).sqrt() } else { 0.0 },
        between_eras: variance(&eras).sqrt(),
        between_cells: of_cells.sqrt(),
        comparison_error: comparison,
        most_seeds: terms.most_seeds,
        incumbent_seeds: terms.incumbent_seeds,
        level: terms.level,
        power: terms.power,
        detectable: comparison * (contrast::beyond(terms.level) + contrast::beyond(1.0 - terms.power)),
        era_error: Some(era_error),
        bootstrap_error,
        bootstrap_block,
        series_eras: Some(shortest.unwrap_or(eras.len())),
        ended: String::new(),
    };
    let numbers = [
        floor.payout,
        floor.standard_error,
        floor.between_seeds,
        floor.between_folds,
        floor.between_eras,
        floor.between_cells,
        floor.detectable,
    ];
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(floor)
    } else {
        Err(GateError::Plan(
            "the noise floor is no finite number: are the payouts too large, or folds or seeds missing?".into(),
        ))
    }
}

/// The smallest gain that counts, in payout: as configured, or by the last calibration.
pub fn min_effect(settings: &GateSettings, floor: Option<&NoiseFloor>) -> f64 {
    match settings.min_effect {
        MinEffect::Payout(payout) => payout,
        MinEffect::Auto => floor.map_or(0.0, |floor| floor.comparison_error),
    }
}

/// Whether the noise of eras is part of the claim.
pub fn counts_eras(settings: &GateSettings) -> bool {
    settings.claim == Claim::NewEras
}

#[cfg(test)]
mod tests;
