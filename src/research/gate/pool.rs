//! What the ledger's trials say together about the noise between seeds.

use super::contrast::variance;
use super::mean;
use crate::research::history::History;
use crate::research::trial::Scores;
use crate::stats::StatsError;
use crate::stats::moderated::{Prior, prior};

/// The variance of a seed's mean payout, with its degrees of freedom, of every trial that was trained under two seeds or
/// more, under the protocol and on the data of the present incumbent.
pub fn seed_variances(history: &History) -> Vec<(f64, f64)> {
    let Some(now) = history.incumbent() else { return Vec::new() };
    history
        .trials()
        .iter()
        .filter(|record| record.protocol_hash == now.protocol_hash && record.data_hash == now.data_hash)
        .filter_map(|record| history.scores(record.trial))
        .filter_map(|scores| of_seeds(&scores))
        .collect()
}

/// Variance of the seeds' mean payouts, and its degrees of freedom; None of fewer than two seeds.
pub fn of_seeds(scores: &Scores) -> Option<(f64, f64)> {
    let means: Vec<f64> = scores.seeds.iter().map(|seed| mean(&seed.payout)).collect();
    (means.len() > 1).then(|| (variance(&means), means.len() as f64 - 1.0))
}

/// What a candidate's noise between seeds is expected to be; None while the incumbent is all that there is.
///
/// # Errors
/// Variances that are no numbers.
pub fn noise_between_seeds(history: &History) -> Result<Option<Prior>, StatsError> {
    prior(&seed_variances(history))
}
