//! How often the trial that was best on one half of the eras is a poor one on the other half.

use super::error::{Result, StatsError, enough, finite, representable, within};

/// Into how many blocks eras are cut, where there are as many: 12,870 ways to take half of them.
pub const BLOCKS: usize = 16;

/// The outcome of combinatorially symmetric cross-validation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overfitting {
    /// The probability of backtest overfitting: the share of splits in which the best trial of one half is no better than
    /// the median trial on the other.
    pub probability: f64,
    /// The median logit of the rank that the best trial has on the other half; above 0 is good.
    pub median_logit: f64,
    /// How many blocks the eras were cut into.
    pub blocks: usize,
    /// How many splits were looked at: all there are.
    pub splits: usize,
}

/// The probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado
/// and Zhu 2015, *The probability of backtest overfitting*, section 3), the statistic being the mean score.
///
/// `scores` is `[trial][era]`, eras in order. They are cut into `blocks` contiguous blocks of as equal length as can be (an
/// even number; fewer where there are fewer eras). For each way to take half of the blocks, the trial with the best mean
/// there has on the other half the relative rank `ω = rank/(N + 1)` among the N trials, ranks from 1 for the worst and in
/// the middle of those that tie, and the logit `ln(ω/(1 − ω))`. The probability is the share of splits whose logit is not
/// above 0; where several trials tie for the best, each counts for its part.
///
/// Without any effect it is about one half, with one trial that is truly better it nears 0, and it is 1 where all trials are
/// the same.
///
/// # Errors
/// Fewer than two trials or two eras; trials with different eras; scores that are no finite numbers; an odd number of
/// blocks, or one outside of 2 to 16; overflow.
pub fn probability_of_overfitting(scores: &[Vec<f64>], blocks: usize) -> Result<Overfitting> {
    enough("trials", scores.len(), 2)?;
    let eras = scores[0].len();
    enough("eras", eras, 2)?;
    let even = blocks.is_multiple_of(2) && (2..=BLOCKS).contains(&blocks);
    within("the number of blocks", blocks as f64, "even, from 2 to 16", even)?;
    for trial in scores {
        if trial.len() != eras {
            return Err(StatsError::LengthsDiffer {
                what: "scores of a trial",
                found: trial.len(),
                other: "eras",
                wanted: eras,
            });
        }
        finite("scores of a trial", trial)?;
        representable("scores of a trial", trial.iter().map(|score| score.abs()).sum())?;
    }
    let blocks = blocks.min(eras - eras % 2);
    let edge = |block: usize| block * eras / blocks;
    // `[block][trial]`: a split then adds up whole rows.
    let sums: Vec<Vec<f64>> = (0..blocks)
        .map(|block| scores.iter().map(|trial| trial[edge(block)..edge(block + 1)].iter().sum()).collect())
        .collect();
    let half = blocks as u32 / 2;
    let mut logits = Vec::new();
    let mut poor = 0.0;
    let mut splits = 0;
    let (mut inside, mut outside) = (vec![0.0; scores.len()], vec![0.0; scores.len()]);
    for split in (0..1_u32 << blocks).filter(|split| split.count_ones() == half) {
        inside.fill(0.0);
        outside.fill(0.0);
        for (block, row) in sums.iter().enumerate() {
            let side = if split >> block & 1 == 1 { &mut inside } else { &mut outside };
            side.iter_mut().zip(row).for_each(|(sum, score)| *sum += score);
        }
        // Sums order trials like means, for all have the same eras on a side.
        let best = inside.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let tied: Vec<usize> = (0..inside.len()).filter(|trial| inside[*trial] == best).collect();
        let part = 1.0 / tied.len() as f64;
        let ranked: Vec<f64> = tied.iter().map(|trial| logit_of_rank(&outside, *trial)).collect();
        poor += ranked.iter().filter(|logit| **logit <= 0.0).count() as f64 / tied.len() as f64;
        logits.extend(ranked.into_iter().map(|logit| (logit, part)));
        splits += 1;
    }
    Ok(Overfitting {
        probability: poor / f64::from(splits),
        median_logit: weighted_median(logits),
        blocks,
        splits: splits as usize,
    })
}

/// The logit of a trial's relative rank; ties share the middle of their ranks.
fn logit_of_rank(sums: &[f64], trial: usize) -> f64 {
    let own = sums[trial];
    let below = sums.iter().filter(|sum| **sum < own).count() as f64;
    let tied = sums.iter().filter(|sum| **sum == own).count() as f64;
    let rank = below + (tied + 1.0) / 2.0;
    (rank / (sums.len() as f64 + 1.0 - rank)).ln()
}

/// The least value that half of the weight does not exceed.
fn weighted_median(mut values: Vec<(f64, f64)>) -> f64 {
    values.sort_by(|first, second| first.0.total_cmp(&second.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    values
        .iter()
        .find(|(_, weight)| {
            sum += weight;
            sum >= half - 1e-9
        })
        .map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests;
