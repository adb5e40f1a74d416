//! The order of the folds in a race: the one that informs soonest comes first.
//!
//! What a fold says about the whole is the more, the smaller the noise of its own mean is. That is estimated from the
//! incumbent's scores: noise of eras and of seeds in each fold.

use super::contrast::variance;
use super::mean;
use crate::research::trial::Scores;

/// The folds, least noisy first; among equals by number. `folds` holds each fold's test eras.
pub fn of_folds(folds: &[Vec<u32>], incumbent: &Scores) -> Vec<usize> {
    let noise: Vec<f64> = folds.iter().map(|eras| noise(eras, incumbent)).collect();
    let mut order: Vec<usize> = (0..folds.len()).collect();
    order.sort_by(|a, b| noise[*a].total_cmp(&noise[*b]).then(a.cmp(b)));
    order
}

/// The variance of a fold's mean payout; infinite where it cannot be estimated.
fn noise(eras: &[u32], incumbent: &Scores) -> f64 {
    let places: Vec<usize> = eras.iter().filter_map(|era| incumbent.eras.binary_search(era).ok()).collect();
    if places.len() < 2 || incumbent.seeds.is_empty() {
        return f64::INFINITY;
    }
    let of_seed = |payout: &Vec<f64>| places.iter().filter_map(|place| payout.get(*place)).copied().collect::<Vec<_>>();
    let by_seed: Vec<Vec<f64>> = incumbent.seeds.iter().map(|seed| of_seed(&seed.payout)).collect();
    let eras: Vec<f64> = (0..places.len())
        .map(|at| mean(&by_seed.iter().filter_map(|own| own.get(at)).copied().collect::<Vec<_>>()))
        .collect();
    let seeds: Vec<f64> = by_seed.iter().map(|own| mean(own)).collect();
    let of_seeds = if seeds.len() > 1 { variance(&seeds) } else { 0.0 };
    let found = variance(&eras) / eras.len() as f64 + of_seeds;
    if found.is_finite() { found } else { f64::INFINITY }
}
