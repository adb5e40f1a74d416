//! From the scores of cells to what a trial reports and what the gate compares.

use std::collections::BTreeMap;

use prepare::evaluate::{CellScore, Evaluation};
use prepare::protocol::Objective;

use super::trial::{Scores, SeedPayouts};

/// The evaluation of a set of whole seeds.
///
/// # Errors
/// An era without a score, named by the harness.
pub fn evaluate(cells: &[CellScore], objective: &Objective) -> prepare::Result<Evaluation> {
    let mut sorted = cells.to_vec();
    // Cells come out of training in no particular order; sums of floats must not depend on it.
    sorted.sort_by_key(|cell| (cell.seed, cell.fold));
    Evaluation::from_cells(&sorted, objective)
}

/// Payouts by seed and era of the seeds that are whole: those with a cell in each of `folds` folds, in the order in
/// which seeds first appear. None is whole in a trial that fell in its first seed; there are no eras then either.
pub fn scores(cells: &[CellScore], folds: usize) -> Scores {
    let mut order: Vec<u64> = Vec::new();
    let mut by_seed: BTreeMap<u64, (usize, BTreeMap<u32, f64>)> = BTreeMap::new();
    for cell in cells {
        if !order.contains(&cell.seed) {
            order.push(cell.seed);
        }
        let (count, eras) = by_seed.entry(cell.seed).or_default();
        *count += 1;
        eras.extend(cell.eras.iter().map(|era| (era.era, era.payout)));
    }
    by_seed.retain(|_, (count, _)| *count == folds);
    let eras = by_seed.values().next().map(|(_, eras)| eras.keys().copied().collect()).unwrap_or_default();
    let whole = order.iter().filter_map(|seed| by_seed.get(seed).map(|(_, eras)| (*seed, eras)));
    Scores {
        eras,
        seeds: whole.map(|(seed, eras)| SeedPayouts { seed, payout: eras.values().copied().collect() }).collect(),
    }
}

#[cfg(test)]
mod tests;
