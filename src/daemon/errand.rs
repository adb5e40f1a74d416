//! What a person asks of the lab beside the loop: it takes a session's way to the data, the worker and the notebook, does
//! one thing, and ends.

use std::time::Instant;

use jiff::Timestamp;

use super::race::refused;
use super::session::{Flow, Session};
use super::train::Training;
use crate::error::{Error, Result};
use crate::research::audit::{AuditReport, AuditRow, Audited, Planted};
use crate::research::calibration::{NoiseFloor, Terms, noise_floor};
use crate::research::event::{Event, SeedPurpose};
use crate::research::gate::{constraints, level, mean, pool};
use crate::research::remeasure::Remeasurement;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand {
    /// Measure the noise floor on so many further seeds of the incumbent.
    Calibrate {
        /// Further seeds.
        seeds: usize,
    },
    /// Put the gate to the test with proposals that change nothing, and with planted gains.
    Audit {
        /// Planted gains, and how many proposals of each.
        planted: Vec<(Planted, u32)>,
    },
    /// Measure the incumbent again, on fresh seeds.
    Remeasure,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The noise floor.
    Floor(NoiseFloor),
    /// The gate's record, of what was done where it was given up.
    Audit(AuditReport),
    /// Whether the incumbent stands.
    Remeasured(Remeasurement),
    /// It was given up, for this reason; what had been done is in the ledger.
    GivenUp(String),
}

/// Where the seeds of audits begin: no incumbent is ever measured under one of them.
const AUDIT: u64 = 2_000_001;
/// How far the seeds of two proposals are apart: the most that `gate.most_seeds` may be.
const SEEDS_APART: u64 = 1_000;

impl Session<'_> {
    /// Does one thing, measuring the baseline first where there is no incumbent yet, and ends the session.
    ///
    /// # Errors
    /// What makes it impossible; the ledger and the notebook are whole then, too.
    pub async fn carry_out(mut self, errand: &Errand) -> Result<Outcome> {
        let done = self.errand(errand).await;
        let reason = match (&done, errand) {
            (Err(error), _) => format!("error: {error}"),
            (Ok(Outcome::GivenUp(reason)), _) => reason.clone(),
            (Ok(Outcome::Audit(AuditReport { given_up: Some(reason), .. })), _) => reason.clone(),
            (Ok(_), Errand::Calibrate { .. }) => "calibrated".into(),
            (Ok(_), Errand::Audit { .. }) => "audited".into(),
            (Ok(_), Errand::Remeasure) => "measured again".into(),
        };
        // The errand's own error is the one to report, not that its end could not be written as well.
        let ended = self.end(reason).await;
        let outcome = done?;
        ended?;
        Ok(outcome)
    }

    async fn errand(&mut self, errand: &Errand) -> Result<Outcome> {
        let ended = |flow: Flow<()>| match flow {
            Flow::End(reason) => Some(Outcome::GivenUp(reason)),
            Flow::On(()) => None,
        };
        if let Some(given_up) = ended(self.baseline().await?) {
            return Ok(given_up);
        }
        if let Some(given_up) = ended(self.settle_incumbent().await?) {
            return Ok(given_up);
        }
        let flow = match errand {
            Errand::Calibrate { seeds } => self.calibrate(*seeds).await?,
            Errand::Audit { planted } => self.audit(planted).await?,
            Errand::Remeasure => match self.remeasure().await? {
                Flow::End(reason) => Flow::End(reason),
                Flow::On(Some(found)) => Flow::On(Outcome::Remeasured(found)),
                Flow::On(None) => return Err(Error::Training("the incumbent could not be measured again".into())),
            },
        };
        Ok(match flow {
            Flow::On(outcome) => outcome,
            Flow::End(reason) => Outcome::GivenUp(reason),
        })
    }

    /// Trains the incumbent under further seeds and says how much luck moves its score.
    async fn calibrate(&mut self, seeds: usize) -> Result<Flow<Outcome>> {
        let trial = self.incumbent()?.0.trial;
        let further = self.further_seeds(trial, seeds);
        match self.measure_seeds(trial, &further, SeedPurpose::Calibration).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(Err((_, why))) => {
                return Err(Error::Training(format!("the incumbent could not be trained: {why}")));
            }
            Flow::On(Ok(_)) => {}
        }
        let scores = self.history.scores(trial).unwrap_or_default();
        let settings = &self.config.gate;
        let prior = pool::noise_between_seeds(&self.history).map_err(refused)?;
        let terms = Terms {
            folds: &self.folds,
            eras: &self.known_eras,
            prior,
            most_seeds: self.most_seeds(),
            incumbent_seeds: scores.seeds.len().max(2 * self.most_seeds()),
            level: level::next_level(&self.history, settings).map_err(refused)?,
            power: settings.power,
        };
        let mut floor = noise_floor(&scores, &terms).map_err(refused)?;
        floor.trial = trial;
        floor.protocol_hash = self.protocol.hash();
        floor.data_hash.clone_from(&self.data_hash);
        floor.ended = Timestamp::now().to_string();
        self.record(Event::Calibrated { floor: floor.clone() })?;
        Ok(Flow::On(Outcome::Floor(floor)))
    }

    /// Sends proposals through the whole gate that are the incumbent itself under other seeds, with `planted` added to
    /// every payout. Nothing is kept, whatever the gate says; neither does a proposal spend any of the night's error.
    async fn audit(&mut self, planted: &[(Planted, u32)]) -> Result<Flow<Outcome>> {
        let clock = Instant::now();
        let trial = self.incumbent()?.0.trial;
        let between_seeds = self.between_seeds(trial);
        let settings = &self.config.gate;
        let mut report = AuditReport {
            trial,
            level: level::next_level(&self.history, settings).map_err(refused)?,
            control: Some(settings.control),
            promise: level::promise(settings),
            between_seeds,
            candidate_seeds: (self.protocol.seeds.len(), self.most_seeds()),
            incumbent_seeds: 0,
            rows: Vec::new(),
            given_up: None,
            wall_seconds: 0.0,
            ended: String::new(),
        };
        let of: u32 = planted.iter().map(|(_, count)| count).sum();
        let mut number = 0;
        'all: for (gain, count) in planted {
            let mut row = AuditRow::new(gain.payout(between_seeds));
            for _ in 0..*count {
                number += 1;
                if let Flow::End(reason) = self.audit_one(&mut row, number, of).await? {
                    report.given_up = Some(reason);
                    report.rows.extend((row.proposals > 0).then_some(row));
                    break 'all;
                }
            }
            report.rows.push(row);
        }
        if let (true, Some(reason)) = (report.rows.is_empty(), &report.given_up) {
            return Ok(Flow::End(reason.clone()));
        }
        report.incumbent_seeds = self.history.scores(trial).map_or(0, |scores| scores.seeds.len());
        report.wall_seconds = clock.elapsed().as_secs_f64();
        report.ended = Timestamp::now().to_string();
        self.record(Event::Audited { report: report.clone() })?;
        Ok(Flow::On(Outcome::Audit(report)))
    }

    /// Sends one proposal of an audit, number `number` of `of`, through the gate.
    async fn audit_one(&mut self, row: &mut AuditRow, number: u32, of: u32) -> Result<Flow<()>> {
        let (record, spec) = self.incumbent()?;
        let trial = record.trial;
        let most = self.most_seeds();
        // Never a seed twice, of earlier audits neither: each proposal is luck of its own.
        let rows = self.history.audits().iter().flat_map(|report| &report.rows);
        let earlier: u64 = rows.map(|row| u64::from(row.proposals)).sum();
        let first = AUDIT + (earlier + u64::from(number - 1)) * SEEDS_APART;
        let mut design = self.design(&spec, (first..).take(most).collect())?;
        design.simplify = None;
        let required = design.required;
        self.auditing(number, of, row.planted);
        let mut training = Training::new(spec, self.measures_exposure());
        let ruling = match self.race(&mut training, design, row.planted, Vec::new()).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(Err((_, why))) => return Ok(Flow::End(format!("proposal {number} could not be trained: {why}"))),
            Flow::On(Ok(ruling)) => ruling,
        };
        let proven = ruling.kind.keep();
        let found = Audited {
            proven,
            constrained: proven && self.breaks_a_constraint(&training, row.planted)?,
            plain: self.plainly_better(trial, &training, required, row.planted),
            seeds: training.stock.trained() as f64 / self.folds.len() as f64,
        };
        tracing::info!(number, of, planted = row.planted, ?found, "a proposal of the audit is through the gate");
        row.add(found).map_err(refused)?;
        Ok(Flow::On(()))
    }

    /// Whether a trial with this training, and `planted` on top of every payout, would break a constraint.
    fn breaks_a_constraint(&self, training: &Training, planted: f64) -> Result<bool> {
        let mut evaluation = self.measurement(training)?.evaluation;
        evaluation.eras.iter_mut().for_each(|era| era.payout += planted);
        let bounds = &self.config.gate.constraints;
        Ok(!constraints::broken(&evaluation, training.exposure(), bounds).is_empty())
    }

    /// Standard deviation of a seed's mean payout: by the last calibration of this trial, or over its seeds so far.
    fn between_seeds(&self, trial: u32) -> f64 {
        let floor = self.history.noise_floor().filter(|floor| floor.trial == trial);
        let own = || self.history.scores(trial).and_then(|scores| pool::of_seeds(&scores));
        floor.map(|floor| floor.between_seeds).or_else(|| own().map(|(variance, _)| variance.sqrt())).unwrap_or(0.0)
    }

    /// What the plain rule says: the mean over the first seeds that were trained, up to the required ones, is above the
    /// incumbent's over the protocol's.
    fn plainly_better(&self, trial: u32, training: &Training, required: usize, gain: f64) -> bool {
        let Some(theirs) = self.history.trial(trial).and_then(|record| record.measurement.as_ref()) else {
            return false;
        };
        let mut seeds: Vec<u64> = training.cells.iter().map(|cell| cell.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.truncate(required);
        let of = |cell: &&prepare::evaluate::CellScore| seeds.contains(&cell.seed);
        let own: Vec<f64> =
            training.cells.iter().filter(of).flat_map(|cell| cell.eras.iter().map(|era| era.payout + gain)).collect();
        let tested =
            |era: &&prepare::EraScore| training.cells.iter().any(|cell| cell.eras.iter().any(|own| own.era == era.era));
        let against: Vec<f64> = theirs.evaluation.eras.iter().filter(tested).map(|era| era.payout).collect();
        mean(&own) > mean(&against)
    }
}
