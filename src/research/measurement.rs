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

/// Payouts by seed and era, for the gate.
pub fn scores(cells: &[CellScore], seeds: &[u64]) -> Scores {
    let mut by_seed: BTreeMap<u64, BTreeMap<u32, f64>> = BTreeMap::new();
    for cell in cells {
        by_seed.entry(cell.seed).or_default().extend(cell.eras.iter().map(|era| (era.era, era.payout)));
    }
    let eras = by_seed.values().next().map(|eras| eras.keys().copied().collect()).unwrap_or_default();
    let in_order = seeds.iter().filter_map(|seed| by_seed.get(seed).map(|eras| (*seed, eras)));
    Scores {
        eras,
        seeds: in_order.map(|(seed, eras)| SeedPayouts { seed, payout: eras.values().copied().collect() }).collect(),
    }
}
