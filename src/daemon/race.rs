//! A checked proposal's race: cells are trained as the gate asks for them, until it has decided.

use jiff::Timestamp;

use super::beside::Companion;
use super::check::Checked;
use super::company::{Machine, cells_a_step};
use super::session::{Flow, Session};
use super::train::{Failure, Stage, Training, left_out};
use crate::error::{Error, Result};
use crate::research::calibration::min_effect;
use crate::research::event::SeedPurpose;
use crate::research::gate::pool::Prior;
use crate::research::gate::{self, Design, GateError, Ground, Race, Ruling, Step, constraints};
use crate::research::settings::PhaseSettings;
use crate::research::trial::{JudgementKind, Measurement, Origin, RECORD_VERSION, Scores, TrialRecord, Verdict};
use crate::spec::{Spec, cost};

/// The most seeds of a candidate where nothing is configured: on a GPU, and on a CPU.
const MOST_SEEDS: (usize, usize) = (24, 12);

impl Session<'_> {
    /// Takes a checked proposal to its verdict.
    pub(super) async fn try_out(
        &mut self,
        phase: &PhaseSettings,
        checked: Checked,
        origin: Option<Origin>,
    ) -> Result<Flow<TrialRecord>> {
        let against = self.incumbent()?.0.trial;
        self.ask_ahead(phase, &checked, origin.as_ref())?;
        let Checked { proposal, spec, hash, changes } = checked;
        let changes_in_words = changes.iter().map(ToString::to_string).collect();
        let rules = self.rules.1.at(&self.history);
        for rule in rules.retried(&changes, &proposal.category) {
            self.note(format!(
                "the rule `{}` of do_not_retry.toml is due for a retry (revisit_after), and this is one",
                rule.name
            ));
        }
        let begun = self.begin(&proposal.title, &hash, changes_in_words)?;
        let design = self.design(&spec, self.candidate_seeds())?;
        let stock = self.stock_of(&hash);
        let company = self.company(&hash, origin.as_ref())?;
        let mut training = Training::with(spec, self.measures_exposure(), stock);
        let ruling = match self.race(&mut training, design, 0.0, company).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(ruling) => ruling,
        };
        let (verdict, reason, measurement, judgement) = match ruling {
            Err((verdict, reason)) => (verdict, reason, None, None),
            Ok(ruling) => {
                let measured = self.measurement(&training)?;
                let mut judgement = ruling.judgement();
                self.constrain(&mut judgement, &measured, training.exposure());
                let verdict = if judgement.keep { Verdict::Keep } else { Verdict::Discard };
                (verdict, judgement.reason.clone(), Some(measured), Some(judgement))
            }
        };
        Ok(Flow::On(TrialRecord {
            version: RECORD_VERSION,
            trial: begun.trial,
            verdict,
            reason,
            proposal,
            phase: phase.name.clone(),
            phase_why: self.history.phase_why().map(str::to_owned),
            origin,
            spec_hash: Some(hash),
            protocol_hash: self.protocol.hash(),
            data_hash: self.data_hash.clone(),
            incumbent: Some(against),
            changes,
            measurement,
            judgement,
            wall_seconds: training.own_seconds(&begun.clock),
            started: begun.started.to_string(),
            ended: Timestamp::now().to_string(),
        }))
    }

    /// Whether a candidate's exposure to features is wanted.
    pub(super) fn measures_exposure(&self) -> bool {
        self.config.gate.constraints.feature_exposure.is_some()
    }

    /// A candidate that would be kept and breaks a constraint is not kept.
    fn constrain(
        &self,
        judgement: &mut crate::research::trial::Judgement,
        measured: &Measurement,
        exposure: Option<f64>,
    ) {
        if !judgement.keep {
            return;
        }
        let broken = constraints::broken(&measured.evaluation, exposure, &self.config.gate.constraints);
        if !broken.is_empty() {
            judgement.keep = false;
            judgement.kind = JudgementKind::Constrained;
            judgement.reason = format!("{}; but {}", judgement.reason, broken.join("; and "));
        }
    }

    /// The most seeds of a candidate.
    pub(super) fn most_seeds(&self) -> usize {
        let (gpu, cpu) = MOST_SEEDS;
        let most = match self.config.gate.most_seeds {
            Some(most) => most as usize,
            None if self.cpu_threads.is_some() => cpu,
            None => gpu,
        };
        most.max(self.protocol.seeds.len())
    }

    /// The seeds of a candidate: the protocol's, then others, always the same.
    pub(super) fn candidate_seeds(&self) -> Vec<u64> {
        seeds_after(&self.protocol.seeds, FURTHER).take(self.most_seeds()).collect()
    }

    /// The design of a race of `spec` under `seeds`.
    pub(super) fn design(&self, spec: &Spec, seeds: Vec<u64>) -> Result<Design> {
        let incumbent = self.incumbent()?.0;
        let settings = &self.config.gate;
        let level = gate::level::next_level(&self.history, settings).map_err(refused)?;
        let scores = self.history.scores(incumbent.trial).unwrap_or_default();
        let smaller = |share: f64| {
            let theirs = incumbent.measurement.as_ref().map_or(0, |measured| measured.params);
            cost::estimate(spec, &self.facts).params as f64 <= share * theirs as f64
        };
        let simplify = settings.simplify.as_ref().filter(|rules| smaller(rules.parameters));
        Ok(Design {
            order: gate::order::of_folds(&self.folds, &scores),
            folds: self.folds.clone(),
            seeds,
            required: self.protocol.seeds.len(),
            cells_at_once: cells_a_step(&self.machine(), spec.ensemble.members as usize),
            incumbent_seeds: settings.incumbent_seeds as usize,
            level,
            min_effect: min_effect(settings, self.history.noise_floor()),
            futility: settings.futility,
            simplify: simplify.map(|rules| (rules.margin, rules.alpha)),
        })
    }

    /// What candidates train on.
    pub(super) fn machine(&self) -> Machine {
        Machine {
            threads: self.cpu_threads,
            bytes: self.budget.replica_bytes.saturating_mul(self.budget.at_once),
            most: self.config.side_by_side,
            folds: self.folds.len(),
        }
    }

    /// The seconds that a candidate may take up to the next look of its race. The budget of a trial is for the protocol's seeds;
    /// each further one has its share again.
    pub(super) fn limit_of(&self, race: &Race) -> f64 {
        let required = self.protocol.seeds.len().max(1);
        self.config.budget.trial_seconds as f64 * (race.next_look().max(required) as f64 / required as f64)
    }

    /// Runs a race. `planted` is added to every payout of the candidate: 0 but in an audit. The inner error is why the
    /// candidate could not be trained. Its cells are judged in the order in which the race asks for them, whichever were
    /// trained before and beside whom, so that the ruling does not depend on that.
    pub(super) async fn race(
        &mut self,
        training: &mut Training,
        design: Design,
        planted: f64,
        mut company: Vec<Companion>,
    ) -> Result<Flow<Result<Box<Ruling>, Failure>>> {
        let incumbent = self.incumbent()?.0.trial;
        let mut race = Race::new(design).map_err(refused)?;
        loop {
            let scores = self.history.scores(incumbent).unwrap_or_default();
            match self.step(&race, &scores)? {
                Step::Done(ruling) => return Ok(Flow::On(Ok(ruling))),
                Step::Incumbent(seeds) => {
                    let further = self.further_seeds(incumbent, seeds.saturating_sub(scores.seeds.len()));
                    match self.measure_seeds(incumbent, &further, SeedPurpose::Comparison).await? {
                        Flow::End(reason) => return Ok(Flow::End(reason)),
                        // The incumbent's failure says nothing of the candidate.
                        Flow::On(Err((_, why))) => {
                            self.warn(format!("the incumbent could not be measured under further seeds: {why}"));
                            race.take_the_incumbent_as_it_is();
                        }
                        Flow::On(Ok(found)) if found.eras == scores.eras && !found.seeds.is_empty() => {}
                        Flow::On(Ok(_)) => {
                            let message = format!("trial {incumbent:06} has no further seeds over the same eras");
                            return Err(Error::Internal(message));
                        }
                    }
                }
                Step::Train(cells) => {
                    while let Some((fold, seed)) = cells.iter().find(|cell| training.stock.lacks(**cell)) {
                        let known = training.stock.known();
                        match self.train_next(training, &race, &mut company).await? {
                            Flow::End(reason) => return Ok(Flow::End(reason)),
                            Flow::On(Err(failure)) => return Ok(Flow::On(Err(failure))),
                            Flow::On(Ok(())) => {}
                        }
                        // A failure in a cell that was trained ahead may have left out those that are wanted now.
                        if training.stock.known() == known {
                            return Err(left_out(*fold, *seed));
                        }
                    }
                    for (fold, seed) in cells {
                        match training.take(fold, seed) {
                            None => return Err(left_out(fold, seed)),
                            Some(Err(failure)) => return Ok(Flow::On(Err(failure))),
                            Some(Ok(())) => {}
                        }
                        if let Some(cell) = training.cells.last() {
                            let payout = cell.eras.iter().map(|era| era.payout + planted).collect();
                            race.add(cell.fold, cell.seed, payout).map_err(refused)?;
                        }
                    }
                }
            }
        }
    }

    /// What a race against the incumbent, with these scores, wants next.
    pub(super) fn step(&self, race: &Race, incumbent: &Scores) -> Result<Step> {
        let prior = self.noise_between_seeds()?;
        let ground = Ground { folds: &self.folds, eras: &self.known_eras, prior, claim: self.config.gate.claim };
        race.step(incumbent, &ground).map_err(refused)
    }

    /// What the ledger says of the noise between seeds; read anew when something was added to it, and not for each of the many
    /// steps of a race and of those beside it.
    fn noise_between_seeds(&self) -> Result<Option<Prior>> {
        if let Some(known) = self.prior.get() {
            return Ok(known);
        }
        let found = gate::pool::noise_between_seeds(&self.history).map_err(refused)?;
        self.prior.set(Some(found));
        Ok(found)
    }

    /// What is shown while the next cells of a race are trained.
    pub(super) fn stage(&self, race: &Race, members: usize, cells: &[(usize, u64)]) -> Stage {
        let folds = self.folds.len();
        let seeds = if race.cells().whole_seeds().is_empty() { 1 } else { race.next_look() };
        Stage { done: race.cells().count() * members, total: folds * seeds * members, words: words(cells) }
    }
}

/// The gate cannot judge.
pub(super) fn refused(error: impl Into<GateError>) -> Error {
    let error = error.into();
    Error::Configuration(format!("the gate cannot judge: {error}"))
}

/// Where the seeds begin that follow the protocol's.
pub(super) const FURTHER: u64 = 1_001;

/// The protocol's seeds, and then the numbers from `from` on that are none of them.
pub(super) fn seeds_after(protocol: &[u64], from: u64) -> impl Iterator<Item = u64> + '_ {
    protocol.iter().copied().chain((from..).filter(|seed| !protocol.contains(seed)))
}

fn words(cells: &[(usize, u64)]) -> String {
    let mut seeds: Vec<u64> = cells.iter().map(|(_, seed)| *seed).collect();
    seeds.dedup();
    let listed = seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("seed{} {listed}", if seeds.len() == 1 { "" } else { "s" })
}
