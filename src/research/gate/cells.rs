//! What a candidate has been trained to so far, cell by cell.

use std::collections::HashMap;

use super::error::GateError;
use crate::research::trial::Scores;

/// The cells of a candidate: payouts by fold and seed, folds in the protocol's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    /// For each fold its cells: seed, and one payout for each of the fold's eras.
    pub folds: Vec<Vec<(u64, Vec<f64>)>>,
}

impl Cells {
    /// No cell yet, of so many folds.
    pub fn none(folds: usize) -> Self {
        Self { folds: vec![Vec::new(); folds] }
    }

    /// Adds a cell.
    ///
    /// # Errors
    /// A fold that is not there, or a cell that is.
    pub fn add(&mut self, fold: usize, seed: u64, payout: Vec<f64>) -> Result<(), GateError> {
        let Some(own) = self.folds.get_mut(fold) else {
            return Err(GateError::StrayCell { fold, seed, what: "is of no fold of the protocol" });
        };
        if own.iter().any(|(known, _)| *known == seed) {
            return Err(GateError::StrayCell { fold, seed, what: "came twice" });
        }
        own.push((seed, payout));
        Ok(())
    }

    /// Whether a cell is there.
    pub fn has(&self, fold: usize, seed: u64) -> bool {
        self.folds.get(fold).is_some_and(|own| own.iter().any(|(known, _)| *known == seed))
    }

    /// Seeds of which every fold is there, in the order of the first fold's cells.
    pub fn whole_seeds(&self) -> Vec<u64> {
        let Some(first) = self.folds.first() else { return Vec::new() };
        let whole = |seed: &u64| (0..self.folds.len()).all(|fold| self.has(fold, *seed));
        first.iter().map(|(seed, _)| *seed).filter(whole).collect()
    }

    /// Whether the payouts are another's to the last bit, in two cells or more, all of which that other has, too. Luck does not
    /// do that: the two have made the same predictions.
    pub fn are_those_of(&self, other: &Scores, folds: &[Vec<u32>]) -> bool {
        let places: HashMap<u32, usize> = other.eras.iter().enumerate().map(|(place, era)| (*era, place)).collect();
        let same = |eras: &[u32], seed: u64, payout: &[f64]| {
            let theirs = other.seeds.iter().find(|theirs| theirs.seed == seed);
            theirs.is_some_and(|theirs| {
                let of = |era: &u32| places.get(era).and_then(|place| theirs.payout.get(*place));
                eras.len() == payout.len() && eras.iter().zip(payout).all(|(era, own)| of(era) == Some(own))
            })
        };
        self.count() > 1
            && self
                .folds
                .iter()
                .zip(folds)
                .all(|(own, eras)| own.iter().all(|(seed, payout)| same(eras, *seed, payout)))
    }

    pub(super) fn of(&self, fold: usize, seed: u64) -> Option<&[f64]> {
        self.folds[fold].iter().find(|(known, _)| *known == seed).map(|(_, payout)| payout.as_slice())
    }

    /// Cells in all.
    pub fn count(&self) -> usize {
        self.folds.iter().map(Vec::len).sum()
    }
}
