//! What the ledger's trials say together about the noise between seeds.

use super::contrast::variance;
use super::mean;
use crate::research::history::History;
use crate::research::trial::Scores;
use crate::stats::StatsError;
pub use crate::stats::moderated::Prior;
use crate::stats::moderated::prior;

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
    expected(&seed_variances(history))
}

/// The degrees of freedom that all other trials together weigh at most beside a spec's own seeds. However alike the specs
/// of the ledger are, the next may be one that they say nothing of (a wild rate, a net without a norm), and a noise that is
/// taken for less than it is makes false keeps.
const MOST_ALIKE: f64 = 10.0;

/// What variances between seeds, with their degrees of freedom, let expect of the next spec.
///
/// # Errors
/// Variances that are no numbers.
pub fn expected(samples: &[(f64, f64)]) -> Result<Option<Prior>, StatsError> {
    Ok(prior(samples)?.map(|found| Prior { freedom: found.freedom.min(MOST_ALIKE), ..found }))
}
