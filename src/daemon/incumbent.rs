//! The incumbent's own seeds: they accumulate, so that what is compared with it is compared ever more sharply.

use std::collections::BTreeSet;

use prepare::evaluate::CellId;

use super::race::{FURTHER, seeds_after};
use super::session::{Flow, Session};
use super::train::{Failure, Stage, Training};
use super::update::Update;
use crate::error::{Error, Result};
use crate::research::event::{Event, SeedPurpose};
use crate::research::trial::Scores;
use crate::research::words::count;
use crate::spec::Spec;

/// Seeds that are trained in one request.
const SEEDS_AT_ONCE: usize = 6;

impl Session<'_> {
    /// Measures the incumbent until it has the seeds that a comparison begins with. A failure is said and left alone: the
    /// next trial asks again.
    pub(super) async fn settle_incumbent(&mut self) -> Result<Flow<()>> {
        let trial = self.incumbent()?.0.trial;
        let have = self.history.scores(trial).map_or(0, |scores| scores.seeds.len());
        let missing = (self.config.gate.incumbent_seeds as usize).saturating_sub(have);
        if missing == 0 {
            return Ok(Flow::On(()));
        }
        let seeds = self.further_seeds(trial, missing);
        match self.measure_seeds(trial, &seeds, SeedPurpose::Comparison).await? {
            Flow::End(reason) => Ok(Flow::End(reason)),
            Flow::On(Ok(_)) => Ok(Flow::On(())),
            Flow::On(Err((_, why))) => {
                self.warn(format!("the incumbent could not be measured under further seeds: {why}"));
                Ok(Flow::On(()))
            }
        }
    }

    /// The next seeds under which a trial has not been measured, of those that follow the protocol's.
    pub(super) fn further_seeds(&self, trial: u32, count: usize) -> Vec<u64> {
        self.unused_seeds(&[trial], FURTHER, count)
    }

    /// The next seeds from `from` on under which none of `trials` has been measured.
    pub(super) fn unused_seeds(&self, trials: &[u32], from: u64, count: usize) -> Vec<u64> {
        let used: BTreeSet<u64> = trials
            .iter()
            .filter_map(|trial| self.history.scores(*trial))
            .flat_map(|scores| scores.seeds.into_iter().map(|own| own.seed))
            // A ledger that was retold from git knows of these seeds, and not of their scores.
            .chain(self.history.remeasurements().iter().flat_map(|found| found.seeds.iter().copied()))
            .collect();
        seeds_after(&self.protocol.seeds, from).filter(|seed| !used.contains(seed)).take(count).collect()
    }

    /// Trains a kept trial's spec under further seeds, and writes their scores into the ledger. The inner error is why
    /// that failed.
    pub(super) async fn measure_seeds(
        &mut self,
        trial: u32,
        seeds: &[u64],
        purpose: SeedPurpose,
    ) -> Result<Flow<Result<Scores, Failure>>> {
        let record = self.history.trial(trial).ok_or_else(|| Error::Internal(format!("no trial {trial}")))?;
        let spec = Spec::parse(&record.proposal.spec, &format!("runs/{}/spec.yaml", record.folder()))?;
        let why = match purpose {
            SeedPurpose::Comparison => "a sharper comparison",
            SeedPurpose::Calibration => "the noise floor",
            SeedPurpose::Remeasurement => "its re-measurement",
        };
        let folder = record.folder();
        let before = self.live.live.doing.clone();
        self.live.live.doing = format!("measuring trial {folder} under {} for {why}", count(seeds.len(), "more seed"));
        self.live.write();
        (self.say)(Update::Measuring { trial, seeds: seeds.len(), why: why.to_owned() });
        tracing::info!(trial, seeds = seeds.len(), why, "measuring further seeds");
        let mut measured: Option<Scores> = None;
        // A few at a time, each in the ledger when it is there: who stops this loses the last few.
        for some in seeds.chunks(SEEDS_AT_ONCE) {
            let begun = std::time::Instant::now();
            let mut training = Training::new(spec.clone(), false);
            match self.train_seeds(&mut training, some).await? {
                Flow::End(reason) => return Ok(Flow::End(reason)),
                Flow::On(Err(failure)) => return Ok(Flow::On(Err(failure))),
                Flow::On(Ok(())) => {}
            }
            let scores = self.measurement(&training)?.scores;
            let wall_seconds = begun.elapsed().as_secs_f64();
            self.record(Event::SeedsMeasured { trial, purpose, scores: scores.clone(), wall_seconds })?;
            match &mut measured {
                Some(all) => all.seeds.extend(scores.seeds),
                None => measured = Some(scores),
            }
        }
        self.live.live.doing = before;
        self.live.write();
        Ok(Flow::On(Ok(measured.unwrap_or_default())))
    }

    /// Trains whole seeds, every fold of each, in one go.
    pub(super) async fn train_seeds(
        &mut self,
        training: &mut Training,
        seeds: &[u64],
    ) -> Result<Flow<Result<(), Failure>>> {
        let folds = self.folds.len();
        let cells: Vec<CellId> =
            seeds.iter().flat_map(|seed| (0..folds).map(move |fold| CellId { fold, seed: *seed })).collect();
        let share = (seeds.len() as f64 / self.protocol.seeds.len().max(1) as f64).max(1.0);
        let limit = self.config.budget.trial_seconds as f64 * share;
        let total = cells.len() * training.members();
        let stage = Stage { done: 0, total, words: count(seeds.len(), "seed") };
        self.train_cells(training, cells, limit, &stage).await
    }
}
