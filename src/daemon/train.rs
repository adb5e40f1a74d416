//! Training: one request after another to a worker, in the time that a trial has.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use prepare::evaluate::{CellId, CellScore};

use super::propose::over;
use super::session::{Flow, Session};
use super::update::Update;
use crate::error::{Error, Result};
use crate::research::event::Event;
use crate::research::measurement::{evaluate, scores};
use crate::research::trial::{Measurement, Verdict};
use crate::spec::Spec;
use crate::worker::supervisor::{Worker, WorkerError, WorkerProgress};
use crate::worker::wire::{FailureKind, Request};

/// Why a spec could not be trained: the verdict that this is for a trial, and the words.
pub(super) type Failure = (Verdict, String);

/// A trial that has begun.
pub(super) struct Begun {
    pub(super) trial: u32,
    pub(super) started: Timestamp,
    pub(super) clock: Instant,
}

/// The training of one spec: its cells so far, what they cost, and how long more may take.
pub(super) struct Training {
    spec: Spec,
    /// Whether the worker measures feature exposure.
    exposure: bool,
    /// Scored cells.
    pub(super) cells: Vec<CellScore>,
    /// Largest exposure to a feature, of each cell that it was measured of.
    exposures: Vec<f64>,
    rows: u64,
    seconds: f64,
    params: u64,
    /// Wall-clock seconds in requests.
    spent: f64,
    clock: Instant,
}

/// What is shown while a request is carried out.
pub(super) struct Stage {
    /// Nets that were trained before.
    pub(super) done: usize,
    /// Nets in all, as far as is known.
    pub(super) total: usize,
    /// In words: `seed 42`.
    pub(super) words: String,
}

impl Training {
    pub(super) fn new(spec: Spec, exposure: bool) -> Self {
        Self {
            spec,
            exposure,
            cells: Vec::new(),
            exposures: Vec::new(),
            rows: 0,
            seconds: 0.0,
            params: 0,
            spent: 0.0,
            clock: Instant::now(),
        }
    }

    /// Nets of a cell.
    pub(super) fn members(&self) -> usize {
        self.spec.ensemble.members as usize
    }

    /// Mean over cells of the largest exposure to a feature; None where it was not measured.
    pub(super) fn exposure(&self) -> Option<f64> {
        let count = self.exposures.len() as f64;
        (count > 0.0).then(|| self.exposures.iter().sum::<f64>() / count)
    }
}

impl Session<'_> {
    /// A trial goes into training: into the ledger, and onto the screen.
    pub(super) fn begin(&mut self, title: &str, hash: &str, changes: Vec<String>) -> Result<Begun> {
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

    /// What was measured, over the cells so far.
    pub(super) fn measurement(&self, training: &Training) -> Result<Measurement> {
        Ok(Measurement {
            evaluation: evaluate(&training.cells, &self.protocol.objective)?,
            scores: scores(&training.cells, self.folds.len()),
            wall_seconds: training.clock.elapsed().as_secs_f64(),
            rows_per_second: training.rows as f64 / training.seconds.max(1e-9),
            params: training.params,
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

    /// The session's worker; a new one where there is none.
    pub(super) async fn worker(&mut self) -> Result<Worker> {
        match self.worker.take() {
            Some(worker) => Ok(worker),
            None => self.restarted().await,
        }
    }

    /// One request to the worker: trains and scores cells. The training may take `limit` seconds in all, over its
    /// requests, and ends where the session does. The inner error is the spec's failure; a worker that is not to be trusted any more is dropped, and the
    /// next request starts a new one.
    pub(super) async fn train_cells(
        &mut self,
        training: &mut Training,
        cells: Vec<CellId>,
        limit: f64,
        stage: &Stage,
    ) -> Result<Flow<Result<(), Failure>>> {
        // A trial that is promising has many requests; none of them begins after the session's time.
        if let Some(why) = self.is_over() {
            return Ok(Flow::End(given_up(why)));
        }
        let mut worker = self.worker().await?;
        let request =
            Request::Train { spec: training.spec.to_yaml(), cells, predictions: None, exposure: training.exposure };
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs_f64((limit - training.spent).max(0.0));
        let (say, live, notify) = (&mut self.say, &mut self.live, &mut self.notify);
        let report = |progress: WorkerProgress| {
            notify.progress();
            if let WorkerProgress::Replica { done, .. } = progress {
                live.live.nets_done = stage.done + done;
                live.live.nets_total = stage.total;
                live.write_soon();
                say(Update::Nets { done: stage.done + done, total: stage.total, stage: stage.words.clone() });
            }
        };
        let trained = tokio::select! {
            trained = worker.train(&request, deadline, limit, report) => trained,
            why = over(&mut self.stop, self.limits.until) => {
                worker.kill().await;
                return Ok(Flow::End(given_up(why)));
            }
        };
        training.spent += begun.elapsed().as_secs_f64();
        match trained {
            Ok(trained) => {
                self.worker = Some(worker);
                training.cells.extend(trained.cells);
                training.exposures.extend(trained.exposures.iter().map(|exposure| exposure.max));
                training.rows += trained.rows_trained;
                training.seconds += trained.seconds;
                training.params = trained.params;
                Ok(Flow::On(Ok(())))
            }
            Err(WorkerError::Failed { kind: FailureKind::Training | FailureKind::Data, message }) => {
                // The worker of a net that diverged is as good as new; one that panicked is gone, and says so next time.
                self.worker = worker.is_alive().then_some(worker);
                Ok(Flow::On(Err((Verdict::Crash, message))))
            }
            Err(error @ WorkerError::Timeout { .. }) => Ok(Flow::On(Err((Verdict::Timeout, error.to_string())))),
            Err(error @ (WorkerError::Died { .. } | WorkerError::Memory { .. })) => {
                Ok(Flow::On(Err((Verdict::Crash, error.to_string()))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// How a session ends that was to end while it trained.
fn given_up(why: &str) -> String {
    format!("{why}; what was in training was given up")
}
