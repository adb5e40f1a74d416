//! What cells of a spec have come to before its race asks for them: trained ahead, or beside another candidate. A race that takes
//! its cells from here comes to what it comes to without.

use std::collections::BTreeMap;

use prepare::evaluate::CellId;

use super::train::Failure;
use crate::research::trial::Verdict;
use crate::worker::supervisor::{CellTrained, JobTrained};

/// The cells of one spec that are known, and what they cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Stock {
    cells: BTreeMap<(usize, u64), CellTrained>,
    /// Failures, each of a cell, or of the spec as a whole.
    failures: Vec<(Option<CellId>, Failure)>,
    /// Trainable parameters of one net.
    pub(super) params: u64,
    /// Rows that gradients were taken of.
    pub(super) rows: u64,
    /// Seconds of training and scoring, its share.
    pub(super) seconds: f64,
    /// Seconds of requests that count for its budget, its share.
    pub(super) spent: f64,
    /// Those seconds, and its share of requests that came to nothing for no fault of its own.
    pub(super) wall: f64,
}

impl Stock {
    /// Takes in what a job came to.
    pub(super) fn take_in(&mut self, job: JobTrained) {
        self.rows += job.cells.iter().map(|cell| cell.rows_trained).sum::<u64>();
        self.cells.extend(job.cells.into_iter().map(|cell| ((cell.score.fold, cell.score.seed), cell)));
        self.params = self.params.max(job.params);
        self.failures.extend(job.failure.map(|failed| (failed.cell, (Verdict::Crash, failed.message))));
    }

    /// What a cell came to, if that is known. A spec of which no cell can be trained fails in each.
    pub(super) fn look(&self, fold: usize, seed: u64) -> Option<Result<&CellTrained, &Failure>> {
        if let Some(cell) = self.cells.get(&(fold, seed)) {
            return Some(Ok(cell));
        }
        let own =
            |failed: &&(Option<CellId>, Failure)| failed.0.is_none_or(|cell| (cell.fold, cell.seed) == (fold, seed));
        self.failures.iter().find(own).map(|(_, failure)| Err(failure))
    }

    /// Whether nothing is known of a cell.
    pub(super) fn lacks(&self, (fold, seed): (usize, u64)) -> bool {
        self.look(fold, seed).is_none()
    }

    /// How many cells were trained.
    pub(super) fn trained(&self) -> usize {
        self.cells.len()
    }

    /// How many cells and failures are known.
    pub(super) fn known(&self) -> usize {
        self.cells.len() + self.failures.len()
    }

    /// The first failure, of whatever cell.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failures.first().map(|(_, failure)| failure)
    }

    /// Whether every cell comes with its feature exposure.
    pub(super) fn has_exposures(&self) -> bool {
        self.cells.values().all(|cell| cell.exposure.is_some())
    }
}

#[cfg(test)]
mod tests {
    use prepare::evaluate::CellScore;

    use super::*;
    use crate::worker::supervisor::JobFailure;
    use crate::worker::wire::FailureKind;

    fn cell(fold: usize, seed: u64) -> CellTrained {
        let score = CellScore { fold, seed, eras: Vec::new(), corr_with_benchmark: Vec::new() };
        CellTrained { score, exposure: None, rows_trained: 7 }
    }

    fn job(cells: &[(usize, u64)], failure: Option<Option<(usize, u64)>>) -> JobTrained {
        let failure = failure.map(|cell| JobFailure {
            cell: cell.map(|(fold, seed)| CellId { fold, seed }),
            kind: FailureKind::Training,
            message: "it diverged".into(),
        });
        JobTrained { cells: cells.iter().map(|(fold, seed)| cell(*fold, *seed)).collect(), params: 9, failure }
    }

    #[test]
    fn a_failure_is_of_its_cell_and_leaves_the_others_alone() {
        let mut stock = Stock::default();
        assert!(stock.lacks((0, 42)) && stock.failure().is_none());
        stock.take_in(job(&[(0, 42)], Some(Some((1, 42)))));
        assert!(matches!(stock.look(0, 42), Some(Ok(_))), "what was whole before stands");
        assert_eq!(stock.look(1, 42).and_then(Result::err), Some(&(Verdict::Crash, "it diverged".to_owned())));
        assert!(stock.lacks((2, 42)) && stock.lacks((1, 17)), "nothing is known of these");
        stock.take_in(job(&[(2, 42)], None));
        assert!(!stock.lacks((2, 42)));
        assert_eq!((stock.rows, stock.params, stock.trained(), stock.known()), (14, 9, 2, 3));
        assert!(stock.failure().is_some());
    }

    #[test]
    fn where_no_cell_can_be_trained_each_fails() {
        let mut stock = Stock::default();
        stock.take_in(job(&[], Some(None)));
        assert!(matches!(stock.look(3, 17), Some(Err(_))));
    }
}
