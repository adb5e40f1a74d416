//! What the trials of a lab amount to, for people who ask whether its keeps are luck. Pure; and no researcher is told any
//! of it.
//!
//! All of it is about the trials under the protocol and on the data of the present incumbent. Gains are the gate's own:
//! each trial against the incumbent of then, at the look that ended its race, or, of a keep, when it was last measured again.
//! A race that was given up early ends, on average, on an unlucky look, so that gains of discards are a little too small here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::audit::AuditReport;
use super::calibration::NoiseFloor;
use super::effect::{CONFIDENCE, Effect, of_all};
use super::evidence::category_of;
use super::gate::settings::{Control, GateSettings};
use super::gate::{self, KnownEras, contrast, level, pool};
use super::history::History;
use super::remeasure::Remeasurement;
use super::trial::{JudgementKind, TrialRecord, Verdict};
use crate::stats::deflated::deflated;
use crate::stats::interval::student_quantile;
use crate::stats::overfitting::{BLOCKS, probability_of_overfitting};
use crate::stats::shrinkage::truncated;

/// Fewer trials than these say nothing of overfitting.
pub const FEWEST_TRIALS: usize = 8;

/// Everything that `status` tells of the trials as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SessionStatistics {
    /// What is controlled; None where the configuration cannot be read.
    pub error_control: Option<ErrorControl>,
    /// The best trial against the best of as many without an effect; None before one was judged.
    pub best_of_null: Option<BestOfNull>,
    /// The probability of backtest overfitting.
    pub overfitting: Overfitting,
    /// Gains by category of change, most trials first.
    pub effects: Vec<CategoryEffect>,
    /// Every kept gain, oldest first.
    pub keeps: Vec<KeptGain>,
    /// The incumbent's score on seeds that nothing was selected by; None where there are none.
    pub fresh: Option<FreshScore>,
    /// The last re-measurement.
    pub last_remeasurement: Option<Remeasurement>,
    /// Keeps that were demoted.
    pub demotions: usize,
    /// The last calibration.
    pub noise_floor: Option<NoiseFloor>,
    /// The last audit with proposals that changed nothing.
    pub null_audit: Option<AuditReport>,
    /// The last audit with planted gains.
    pub planted_audit: Option<AuditReport>,
}

/// The error that the gate may make.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorControl {
    /// The kind.
    pub control: Control,
    /// What it promises, in a sentence.
    pub promise: String,
    /// The level of the next trial.
    pub next_level: Option<f64>,
}

/// The most convincing of all trials, against luck among as many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BestOfNull {
    /// Trials that were judged.
    pub trials: u32,
    /// The trial that is furthest ahead, in standard errors.
    pub best: u32,
    /// How far: the standard normal deviate of its p-value, which honours its degrees of freedom.
    pub observed: f64,
    /// How far the best of as many independent trials without an effect is ahead on average.
    pub expected: f64,
    /// The deflated score: Φ(observed − expected), in the manner of the Deflated Sharpe Ratio.
    pub deflated: f64,
    /// The probability that the best of as many trials without an effect is at least as far ahead.
    pub by_chance: f64,
}

/// Combinatorially symmetric cross-validation over the trials' payouts by era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Overfitting {
    /// The share of splits of the eras in which the best trial of one half is no better than the median on the other;
    /// None for fewer than [`FEWEST_TRIALS`].
    pub probability: Option<f64>,
    /// Trials that were trained under the protocol's seeds or more, the baseline among them: the others fell before, and are
    /// not in it.
    pub trials: usize,
    /// Trials that were measured at all, over whole seeds or not.
    pub measured: usize,
    /// Splits.
    pub splits: usize,
}

/// What changes of one category brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryEffect {
    /// The category.
    pub category: String,
    /// Trials that were judged.
    pub trials: usize,
    /// Of them, kept and not demoted since.
    pub keeps: usize,
    /// Mean gain: trials weighted by their precision, with a spread of true gains among them
    /// ([`crate::stats::random_effects`]).
    pub effect: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
    /// Standard deviation of the true gains around their mean; None for a single trial.
    pub spread: Option<f64>,
}

/// A gain that was kept, and what it is likely worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptGain {
    /// The trial.
    pub trial: u32,
    /// What was tried.
    pub title: String,
    /// Why it was kept.
    pub kind: JudgementKind,
    /// The gain that it was kept by.
    pub delta: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// The gain that is likely true, given that only a gain above the threshold of the trial's level would have been kept:
    /// the conditional median-unbiased estimate (Zhong and Prentice 2008), given the bound of the look that kept it. None where that
    /// threshold is not known, or another one was passed (`simpler`).
    pub shrunk: Option<f64>,
    /// The 95 % interval of the true gain, by the same.
    pub interval: Option<(f64, f64)>,
    /// The gain on fresh seeds, by its last re-measurement.
    pub fresh_gain: Option<f64>,
    /// Standard error of `fresh_gain`.
    pub fresh_gain_error: Option<f64>,
    /// Whether it failed a re-measurement.
    pub demoted: bool,
}

/// A score on seeds that nothing was selected by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FreshScore {
    /// The payout that the incumbent was selected by.
    pub selected: f64,
    /// Over so many seeds.
    pub selected_seeds: usize,
    /// Mean payout on the other seeds.
    pub payout: f64,
    /// Its standard error, over seeds and eras; None where it cannot be estimated.
    pub standard_error: Option<f64>,
    /// How many others.
    pub seeds: usize,
}

/// Computes all of it. `required` is the number of the protocol's seeds.
pub fn session_statistics(
    history: &History,
    settings: Option<&GateSettings>,
    eras: &KnownEras,
    required: usize,
) -> SessionStatistics {
    let comparable: Vec<&TrialRecord> = history.comparable().collect();
    SessionStatistics {
        error_control: settings.map(|settings| ErrorControl {
            control: settings.control,
            promise: level::promise(settings),
            next_level: level::next_level(history, settings).ok(),
        }),
        best_of_null: best_of_null(&comparable),
        overfitting: overfitting(&comparable, required),
        effects: effects(&comparable, history),
        keeps: comparable.iter().filter_map(|record| kept_gain(record, history)).collect(),
        fresh: fresh(history, eras),
        last_remeasurement: history.remeasurements().last().cloned(),
        demotions: comparable.iter().filter(|record| history.is_demoted(record.trial)).count(),
        noise_floor: history.noise_floor().cloned(),
        null_audit: history.last_null_audit().cloned(),
        planted_audit: history.last_planted_audit().cloned(),
    }
}

fn best_of_null(trials: &[&TrialRecord]) -> Option<BestOfNull> {
    let deviates = trials.iter().filter_map(|record| {
        let judged = record.judgement.as_ref().filter(|judged| judged.p_value.is_finite())?;
        // Neither certainty has a deviate; the nearest numbers do.
        Some((record.trial, contrast::beyond(judged.p_value.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON))))
    });
    let deviates: Vec<(u32, f64)> = deviates.collect();
    let (best, observed) = deviates.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let trials = u32::try_from(deviates.len()).ok()?;
    let found = deflated(observed, 1.0, trials).ok()?;
    Some(BestOfNull {
        trials,
        best,
        observed,
        expected: found.expected_max,
        deflated: found.probability,
        by_chance: found.by_chance,
    })
}

fn overfitting(trials: &[&TrialRecord], required: usize) -> Overfitting {
    let measured = || trials.iter().filter_map(|record| record.measurement.as_ref().map(|measured| &measured.scores));
    let enough = || measured().filter(|scores| !scores.seeds.is_empty() && scores.seeds.len() >= required);
    // Those of a protocol are scored on the same eras; anything else cannot be compared.
    let all = Overfitting { measured: measured().count(), ..Overfitting::default() };
    let Some(eras) = enough().next().map(|scores| &scores.eras) else { return all };
    let series: Vec<Vec<f64>> = enough().filter(|scores| scores.eras == *eras).map(contrast::era_means).collect();
    let trials = series.len();
    if trials < FEWEST_TRIALS {
        return Overfitting { trials, ..all };
    }
    match probability_of_overfitting(&series, BLOCKS) {
        Ok(found) => Overfitting { probability: Some(found.probability), trials, splits: found.splits, ..all },
        Err(_) => Overfitting { trials, ..all },
    }
}

fn effects(trials: &[&TrialRecord], history: &History) -> Vec<CategoryEffect> {
    let mut by_category: BTreeMap<String, Vec<(&TrialRecord, Effect)>> = BTreeMap::new();
    for record in trials {
        // A baseline changed nothing, and has no effect.
        if let Some(effect) = Effect::of(record, history).filter(|_| record.incumbent.is_some()) {
            by_category.entry(category_of(record)).or_default().push((record, effect));
        }
    }
    let mut found: Vec<CategoryEffect> = by_category
        .into_iter()
        .filter_map(|(category, trials)| {
            let (count, together) = of_all(trials.iter().map(|(_, effect)| *effect))?;
            Some(CategoryEffect {
                category,
                trials: count,
                keeps: trials.iter().filter(|(record, _)| history.stands(record)).count(),
                effect: together.mean,
                interval: (together.interval.low, together.interval.high),
                spread: together.spread,
            })
        })
        .collect();
    found.sort_by(|a, b| b.trials.cmp(&a.trials).then_with(|| a.category.cmp(&b.category)));
    found
}

pub(super) fn kept_gain(record: &TrialRecord, history: &History) -> Option<KeptGain> {
    let judged = record.judgement.as_ref().filter(|_| record.verdict == Verdict::Keep)?;
    let shrunk = judged.bound.or(judged.level).filter(|_| judged.kind == JudgementKind::Better).and_then(|level| {
        let freedom = judged.degrees_of_freedom.unwrap_or(f64::INFINITY);
        // The level is one-sided, the quantile two-sided.
        let threshold = judged.standard_error * student_quantile(1.0 - 2.0 * level, freedom).ok()?;
        truncated(judged.delta, judged.standard_error, threshold, CONFIDENCE).ok()
    });
    let again = history.remeasurement(record.trial);
    Some(KeptGain {
        trial: record.trial,
        title: record.proposal.title.clone(),
        kind: judged.kind,
        delta: judged.delta,
        standard_error: judged.standard_error,
        shrunk: shrunk.map(|found| found.estimate),
        interval: shrunk.map(|found| (found.interval.low, found.interval.high)),
        fresh_gain: again.and_then(|found| found.gain),
        fresh_gain_error: again.and_then(|found| found.gain_error),
        demoted: history.is_demoted(record.trial),
    })
}

fn fresh(history: &History, eras: &KnownEras) -> Option<FreshScore> {
    let record = history.incumbent()?;
    let scores = history.fresh_scores(record.trial)?;
    let means: Vec<f64> = scores.seeds.iter().map(|seed| gate::mean(&seed.payout)).collect();
    let prior = pool::noise_between_seeds(history).ok().flatten();
    Some(FreshScore {
        selected: record.payout()?,
        selected_seeds: record.measurement.as_ref()?.scores.seeds.len(),
        payout: gate::mean(&means),
        standard_error: gate::standard_error(&scores, eras, prior).ok(),
        seeds: means.len(),
    })
}

#[cfg(test)]
mod tests;
