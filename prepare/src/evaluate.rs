//! From per-era scores of (fold, seed) cells to the numbers that a trial is judged by. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nullable;
use crate::protocol::Objective;
use crate::summary::Summary;

/// Scores of one era. NaN is written as null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EraScore {
    /// Era number.
    pub era: u32,
    /// Numerai's CORR with the scoring target.
    #[serde(with = "nullable")]
    pub corr: f64,
    /// Contribution beyond the benchmark.
    #[serde(with = "nullable")]
    pub bmc: f64,
    /// The objective's weighted sum of the two.
    #[serde(with = "nullable")]
    pub payout: f64,
}

/// Which cell: a fold under a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellId {
    /// Number of the fold.
    pub fold: usize,
    /// Seed that the cell is trained with.
    pub seed: u64,
}

/// Every cell of some folds, counted from 0, under some seeds: seed by seed, so that the first seed is whole first.
pub fn all_cells(folds: usize, seeds: &[u64]) -> Vec<CellId> {
    seeds.iter().flat_map(|seed| (0..folds).map(|fold| CellId { fold, seed: *seed })).collect()
}

/// Scores of one (fold, seed) cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellScore {
    /// Number of the fold.
    pub fold: usize,
    /// Seed that the cell was trained with.
    pub seed: u64,
    /// One score for each test era, ascending.
    pub eras: Vec<EraScore>,
    /// Correlation of the gaussianized ranks of predictions and benchmark, for each test era.
    #[serde(with = "nullable::list")]
    pub corr_with_benchmark: Vec<f64>,
}

/// Means over one seed's eras.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedScore {
    /// The seed.
    pub seed: u64,
    /// Mean payout.
    pub payout: f64,
    /// Mean CORR.
    pub corr: f64,
    /// Mean contribution.
    pub bmc: f64,
}

/// Mean over one fold's eras and seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldScore {
    /// Number of the fold.
    pub fold: usize,
    /// Mean payout.
    pub payout: f64,
}

/// The evaluation of one spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `objective.corr` · mean CORR + `objective.bmc` · mean contribution, over eras (each the mean over seeds).
    pub payout: f64,
    /// CORR over eras.
    pub corr: Summary,
    /// Contribution over eras.
    pub bmc: Summary,
    /// Mean over eras and seeds of the rank correlation with the benchmark.
    #[serde(with = "nullable")]
    pub corr_with_benchmark: f64,
    /// Each seed's means, in the order in which seeds first appear.
    pub seeds: Vec<SeedScore>,
    /// Each fold's mean, ascending.
    pub folds: Vec<FoldScore>,
    /// Each era's mean over seeds, ascending.
    pub eras: Vec<EraScore>,
}

impl Objective {
    /// Payout of one era.
    pub fn payout(&self, corr: f64, bmc: f64) -> f64 {
        self.corr * corr + self.bmc * bmc
    }
}

impl Evaluation {
    /// Puts cells together. Any set of cells is accepted, complete or not, so that a race can be judged half-way.
    ///
    /// # Errors
    /// When there are no cells, when a cell comes twice, when two folds tested the same era, or when an era's score
    /// is NaN: that is named, never averaged away.
    pub fn from_cells(cells: &[CellScore], objective: &Objective) -> Result<Evaluation> {
        check(cells)?;
        let mut by_era: BTreeMap<u32, Vec<&EraScore>> = BTreeMap::new();
        let mut by_seed: Vec<(u64, Vec<&EraScore>)> = Vec::new();
        let mut by_fold: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for cell in cells {
            let position = by_seed.iter().position(|(seed, _)| *seed == cell.seed);
            let position = position.unwrap_or_else(|| {
                by_seed.push((cell.seed, Vec::new()));
                by_seed.len() - 1
            });
            by_seed[position].1.extend(&cell.eras);
            for score in &cell.eras {
                by_era.entry(score.era).or_default().push(score);
                by_fold.entry(cell.fold).or_default().insert(score.era);
            }
        }
        let eras: BTreeMap<u32, EraScore> =
            by_era.into_iter().map(|(era, scores)| (era, mean_score(era, &scores, objective))).collect();
        let seeds = by_seed
            .into_iter()
            .map(|(seed, scores)| {
                let mean = mean_score(0, &scores, objective);
                SeedScore { seed, payout: mean.payout, corr: mean.corr, bmc: mean.bmc }
            })
            .collect();
        let folds = by_fold
            .into_iter()
            .map(|(fold, tested)| {
                let scores: Vec<&EraScore> = tested.iter().map(|era| &eras[era]).collect();
                FoldScore { fold, payout: mean_score(0, &scores, objective).payout }
            })
            .collect();
        let eras: Vec<EraScore> = eras.into_values().collect();
        let corr = Summary::of(&eras.iter().map(|era| era.corr).collect::<Vec<_>>());
        let bmc = Summary::of(&eras.iter().map(|era| era.bmc).collect::<Vec<_>>());
        let against: Vec<f64> = cells.iter().flat_map(|cell| cell.corr_with_benchmark.iter().copied()).collect();
        Ok(Evaluation {
            payout: objective.payout(corr.mean, bmc.mean),
            corr,
            bmc,
            corr_with_benchmark: against.iter().sum::<f64>() / against.len() as f64,
            seeds,
            folds,
            eras,
        })
    }
}

impl Evaluation {
    /// The payout over eras: its drawdown and its share of positive eras among the rest. The mean is [`Evaluation::payout`].
    pub fn payout_summary(&self) -> Summary {
        Summary::of(&self.eras.iter().map(|era| era.payout).collect::<Vec<_>>())
    }
}

fn check(cells: &[CellScore]) -> Result<()> {
    if cells.iter().all(|cell| cell.eras.is_empty()) {
        return Err(Error::score("a trial", "no cell has been evaluated"));
    }
    let mut seen = BTreeSet::new();
    let mut tested_in = BTreeMap::new();
    for cell in cells {
        let what = format!("fold {}, seed {}", cell.fold, cell.seed);
        if !seen.insert((cell.fold, cell.seed)) {
            return Err(Error::score(what, "this cell was given twice"));
        }
        for score in &cell.eras {
            let other = *tested_in.entry(score.era).or_insert(cell.fold);
            if other != cell.fold {
                return Err(Error::score(
                    format!("{what}, era {:04}", score.era),
                    format!("fold {other} tested this era too"),
                ));
            }
            if !score.corr.is_finite() || !score.bmc.is_finite() {
                return Err(Error::score(
                    format!("{what}, era {:04}", score.era),
                    format!("CORR is {} and BMC is {}; constant predictions have no CORR", score.corr, score.bmc),
                ));
            }
        }
    }
    Ok(())
}

fn mean_score(era: u32, scores: &[&EraScore], objective: &Objective) -> EraScore {
    let count = scores.len() as f64;
    let corr = scores.iter().map(|score| score.corr).sum::<f64>() / count;
    let bmc = scores.iter().map(|score| score.bmc).sum::<f64>() / count;
    EraScore { era, corr, bmc, payout: objective.payout(corr, bmc) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective() -> Objective {
        Objective { name: "test".into(), corr: 1.0, bmc: 2.0 }
    }

    fn cell(fold: usize, seed: u64, scores: &[(u32, f64, f64)]) -> CellScore {
        CellScore {
            fold,
            seed,
            eras: scores
                .iter()
                .map(|&(era, corr, bmc)| EraScore { era, corr, bmc, payout: corr + 2.0 * bmc })
                .collect(),
            corr_with_benchmark: vec![0.5; scores.len()],
        }
    }

    #[test]
    fn means_are_taken_over_seeds_first_and_then_over_eras() {
        let cells = [
            cell(0, 42, &[(1, 0.1, 0.0), (5, 0.3, 0.1)]),
            cell(0, 17, &[(1, 0.3, 0.2), (5, 0.1, 0.1)]),
            cell(1, 42, &[(9, 0.5, 0.3)]),
            cell(1, 17, &[(9, 0.1, 0.1)]),
        ];
        let evaluation = Evaluation::from_cells(&cells, &objective()).expect("an evaluation");
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(evaluation.eras[0].corr, 0.2) && close(evaluation.eras[2].bmc, 0.2));
        assert!(close(evaluation.corr.mean, (0.2 + 0.2 + 0.3) / 3.0));
        assert!(close(evaluation.payout, 0.7 / 3.0 + 2.0 * 0.4 / 3.0));
        assert_eq!(evaluation.seeds[0].seed, 42);
        assert!(close(evaluation.seeds[0].corr, 0.3));
        assert!(close(evaluation.folds[1].payout, 0.3 + 0.4));
        let payout = evaluation.payout_summary();
        assert!(close(payout.mean, evaluation.payout) && close(payout.positive_share, 1.0));
        assert!(close(payout.max_drawdown, 0.0), "every era paid");
        let json = serde_json::to_value(&evaluation).expect("JSON");
        assert_eq!(
            json.as_object().expect("object").keys().map(String::as_str).collect::<BTreeSet<_>>(),
            BTreeSet::from(["payout", "corr", "bmc", "corr_with_benchmark", "seeds", "folds", "eras"])
        );
    }

    #[test]
    fn nan_scores_and_doubled_cells_are_refused_by_name() {
        let nan = [cell(3, 17, &[(77, f64::NAN, 0.0)])];
        let error = Evaluation::from_cells(&nan, &objective()).expect_err("NaN");
        let text = error.to_string();
        assert!(text.contains("fold 3, seed 17, era 0077"), "{text}");
        let twice = [cell(0, 1, &[(1, 0.1, 0.1)]), cell(0, 1, &[(1, 0.1, 0.1)])];
        assert!(Evaluation::from_cells(&twice, &objective()).is_err());
        let overlap = [cell(0, 1, &[(1, 0.1, 0.1)]), cell(1, 1, &[(1, 0.1, 0.1)])];
        assert!(Evaluation::from_cells(&overlap, &objective()).is_err());
        assert!(Evaluation::from_cells(&[], &objective()).is_err());
    }
}
