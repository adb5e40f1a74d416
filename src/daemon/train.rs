//! Training a checked proposal: the first seed, the screen, the other seeds, the gate.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prepare::evaluate::{CellScore, all_cells};

use super::check::{Checked, knob_changes};
use super::propose::stopped;
use super::session::{Flow, Session};
use super::update::Update;
use crate::error::{Error, Result};
use crate::research::event::Event;
use crate::research::gate;
use crate::research::measurement::{evaluate, scores};
use crate::research::settings::PhaseSettings;
use crate::research::trial::{Judgement, Measurement, Proposal, RECORD_VERSION, TrialRecord, Usage, Verdict};
use crate::spec::Spec;
use crate::worker::supervisor::{Trained, Worker, WorkerError, WorkerProgress};
use crate::worker::wire::{FailureKind, Request};

/// How the training of a trial ended.
enum Outcome {
    /// It was measured, and judged if there was an incumbent.
    Measured(Box<Measurement>, Option<Judgement>),
    /// It failed.
    Failed(Verdict, String),
}

impl Session<'_> {
    /// Takes a checked proposal to its verdict.
    pub(super) async fn try_out(&mut self, phase: &PhaseSettings, checked: Checked) -> Result<Flow<TrialRecord>> {
        let incumbent = self.incumbent()?.0;
        let against = (incumbent.trial, incumbent.measurement.clone());
        let Checked { proposal, spec, hash, changes } = checked;
        let changes_in_words = changes.iter().map(ToString::to_string).collect();
        let begun = self.begin(&proposal.title, &hash, changes_in_words)?;
        let outcome = match self.race(&spec, against.1.as_ref()).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(outcome) => outcome,
        };
        let (verdict, reason, measurement, judgement) = match outcome {
            Outcome::Failed(verdict, reason) => (verdict, reason, None, None),
            Outcome::Measured(measurement, judgement) => {
                let judgement = judgement.ok_or_else(|| Error::Internal("a trial without a judgement".into()))?;
                let verdict = if judgement.keep { Verdict::Keep } else { Verdict::Discard };
                (verdict, judgement.reason.clone(), Some(*measurement), Some(judgement))
            }
        };
        Ok(Flow::On(TrialRecord {
            version: RECORD_VERSION,
            trial: begun.trial,
            verdict,
            reason,
            proposal,
            phase: phase.name.clone(),
            spec_hash: Some(hash),
            protocol_hash: self.protocol.hash(),
            data_hash: self.data_hash.clone(),
            incumbent: Some(against.0),
            changes,
            measurement,
            judgement,
            wall_seconds: begun.clock.elapsed().as_secs_f64(),
            started: begun.started.to_string(),
            ended: Timestamp::now().to_string(),
        }))
    }

    /// Measures a baseline: every seed, no gate.
    pub(super) async fn measure_baseline(&mut self, spec: Spec, hash: String, why: &str) -> Result<Flow<TrialRecord>> {
        let begun = self.begin("baseline", &hash, vec![why.to_owned()])?;
        let outcome = match self.race(&spec, None).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(outcome) => outcome,
        };
        let (verdict, reason, measurement) = match outcome {
            Outcome::Measured(measurement, _) => (
                Verdict::Keep,
                format!("the baseline: every later trial is compared with it or its successors ({why})"),
                Some(*measurement),
            ),
            Outcome::Failed(verdict, reason) => (verdict, reason, None),
        };
        let earlier = self.history.incumbent().map(|record| record.proposal.spec.clone());
        let changes = match earlier.map(|text| Spec::parse(&text, "earlier incumbent")) {
            Some(Ok(earlier)) => knob_changes(&earlier, &spec),
            _ => Vec::new(),
        };
        Ok(Flow::On(TrialRecord {
            version: RECORD_VERSION,
            trial: begun.trial,
            verdict,
            reason,
            proposal: Proposal {
                title: "baseline".into(),
                hypothesis: "model.yaml as it stands is what every proposal has to beat.".into(),
                category: "baseline".into(),
                expected_effect: None,
                spec: self.model_text()?,
                researcher: "human".into(),
                parents: Vec::new(),
                usage: Usage::default(),
            },
            phase: self.history.phase().unwrap_or("baseline").to_owned(),
            spec_hash: Some(hash),
            protocol_hash: self.protocol.hash(),
            data_hash: self.data_hash.clone(),
            incumbent: None,
            changes,
            measurement,
            judgement: None,
            wall_seconds: begun.clock.elapsed().as_secs_f64(),
            started: begun.started.to_string(),
            ended: Timestamp::now().to_string(),
        }))
    }

    /// model.yaml, byte for byte: the baseline's commit leaves it as it is.
    fn model_text(&self) -> Result<String> {
        let path = self.lab.model();
        Ok(std::fs::read_to_string(&path).map_err(|error| crate::lab::LabError::io("read it", &path, error))?)
    }

    fn begin(&mut self, title: &str, hash: &str, changes: Vec<String>) -> Result<Begun> {
        let trial = self.history.next_trial();
        let started = Timestamp::now();
        self.record(Event::TrialStarted { trial, title: title.to_owned(), spec_hash: hash.to_owned() })?;
        let live = &mut self.live.live;
        live.doing = "training".into();
        live.trial = Some(trial);
        live.title = Some(title.to_owned());
        live.trial_started = Some(started);
        (live.nets_done, live.nets_total) = (0, 0);
        self.live.write();
        self.notify.status(&format!("trial {trial:06}: {title}"));
        tracing::info!(trial, title, spec = hash, "training");
        (self.say)(Update::Training { trial, title: title.to_owned(), changes });
        Ok(Begun { trial, started, clock: Instant::now() })
    }

    /// The first seed alone, then, for those that pass the screen (and for a baseline), the others.
    async fn race(&mut self, spec: &Spec, incumbent: Option<&Measurement>) -> Result<Flow<Outcome>> {
        let clock = Instant::now();
        let limit = self.config.budget.trial_seconds as f64;
        let deadline = clock + Duration::from_secs_f64(limit);
        let seeds = self.protocol.seeds.clone();
        let members = spec.ensemble.members as usize;
        let nets_a_seed = self.facts.folds.len() * members;
        let first = if incumbent.is_some() { &seeds[..1] } else { &seeds[..] };
        let mut cells = Vec::new();
        let mut tally = Tally::default();
        let mut trained: BTreeSet<u64> = BTreeSet::new();
        for stage in [first, &seeds[first.len()..]] {
            if stage.is_empty() {
                continue;
            }
            let done = trained.len() * nets_a_seed;
            let words = stage.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let words = format!("seed{} {words}", if stage.len() == 1 { "" } else { "s" });
            let total = done + stage.len() * nets_a_seed;
            match self.train_seeds(spec, stage, deadline, limit, (done, total, &words)).await? {
                Flow::End(reason) => return Ok(Flow::End(reason)),
                Flow::On(Err(failure)) => return Ok(Flow::On(failure)),
                Flow::On(Ok(result)) => {
                    cells.extend(result.cells);
                    tally.rows += result.rows_trained;
                    tally.seconds += result.seconds;
                    tally.params = result.params;
                }
            }
            trained.extend(stage);
            let Some(incumbent) = incumbent else { continue };
            let so_far = scores(&cells, &seeds);
            let failed = |error| Error::Configuration(format!("the gate cannot judge: {error}"));
            let (go_on, judged) = if trained.len() < seeds.len() {
                let screening = gate::screen(&so_far, &incumbent.scores, &self.config.gate).map_err(failed)?;
                (screening.go_on, screening.judgement)
            } else {
                (false, gate::judge(&so_far, &incumbent.scores, &self.config.gate, &seeds).map_err(failed)?)
            };
            if !go_on {
                let measured = self.measurement(&cells, &seeds, &tally, clock)?;
                return Ok(Flow::On(Outcome::Measured(Box::new(measured), Some(judged))));
            }
        }
        let measured = self.measurement(&cells, &seeds, &tally, clock)?;
        Ok(Flow::On(Outcome::Measured(Box::new(measured), None)))
    }

    fn measurement(&self, cells: &[CellScore], seeds: &[u64], tally: &Tally, clock: Instant) -> Result<Measurement> {
        Ok(Measurement {
            evaluation: evaluate(cells, &self.protocol.objective)?,
            scores: scores(cells, seeds),
            wall_seconds: clock.elapsed().as_secs_f64(),
            rows_per_second: tally.rows as f64 / tally.seconds.max(1e-9),
            params: tally.params,
            device: self.device.clone(),
        })
    }

    /// A new worker in place of one that is gone. It reads protocol and data anew, and must find what the session found.
    async fn restarted(&self) -> Result<Worker> {
        let worker = Worker::start(self.worker_settings.clone()).await?;
        let found = worker.greeting();
        if found.protocol_hash != self.protocol.hash() || found.data_hash != self.data_hash {
            let message = "the protocol or the data was changed while the session ran; run `autoresearch prepare`, then start it again";
            return Err(Error::Configuration(message.into()));
        }
        Ok(worker)
    }

    /// One request to the worker. The inner error is the trial's failure; a worker that is not to be trusted any more is
    /// dropped, and the next request starts a new one.
    async fn train_seeds(
        &mut self,
        spec: &Spec,
        seeds: &[u64],
        deadline: Instant,
        limit: f64,
        (done_before, total, stage): (usize, usize, &str),
    ) -> Result<Flow<Result<Trained, Outcome>>> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.restarted().await?,
        };
        let cells = all_cells(self.facts.folds.len(), seeds);
        let request = Request::Train { spec: spec.to_yaml(), cells, predictions: None, exposure: false };
        let (say, live, notify) = (&mut self.say, &mut self.live, &mut self.notify);
        let report = |progress: WorkerProgress| {
            notify.progress();
            if let WorkerProgress::Replica { done, .. } = progress {
                live.live.nets_done = done_before + done;
                live.live.nets_total = total;
                live.write_soon();
                say(Update::Nets { done: done_before + done, total, stage: stage.to_owned() });
            }
        };
        let trained = tokio::select! {
            trained = worker.train(&request, deadline, limit, report) => trained,
            () = stopped(&mut self.stop) => {
                worker.kill().await;
                return Ok(Flow::End("asked to stop; the trial in training was given up".into()));
            }
        };
        match trained {
            Ok(trained) => {
                self.worker = Some(worker);
                Ok(Flow::On(Ok(trained)))
            }
            Err(WorkerError::Failed { kind: FailureKind::Training | FailureKind::Data, message }) => {
                // The worker of a net that diverged is as good as new; one that panicked is gone, and says so next time.
                self.worker = worker.is_alive().then_some(worker);
                Ok(Flow::On(Err(Outcome::Failed(Verdict::Crash, message))))
            }
            Err(error @ WorkerError::Timeout { .. }) => {
                Ok(Flow::On(Err(Outcome::Failed(Verdict::Timeout, error.to_string()))))
            }
            Err(error @ (WorkerError::Died { .. } | WorkerError::Memory { .. })) => {
                Ok(Flow::On(Err(Outcome::Failed(Verdict::Crash, error.to_string()))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A trial that has begun.
struct Begun {
    trial: u32,
    started: Timestamp,
    clock: Instant,
}

/// What training cost.
#[derive(Default)]
struct Tally {
    rows: u64,
    seconds: f64,
    params: u64,
}
