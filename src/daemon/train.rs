//! Training: one request after another to a worker, in the time that a trial has.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use prepare::evaluate::{CellId, CellScore};

use super::propose::over;
use super::session::{Flow, Session};
use super::stock::Stock;
use super::update::Update;
use crate::error::{Error, Result};
use crate::research::event::Event;
use crate::research::measurement::{evaluate, scores};
use crate::research::trial::{Measurement, Verdict};
use crate::spec::Spec;
use crate::worker::supervisor::{CellTrained, Trained, Worker, WorkerError, WorkerProgress};
use crate::worker::wire::{FailureKind, Job};

/// Why a spec could not be trained: the verdict that this is for a trial, and the words.
pub(super) type Failure = (Verdict, String);

/// A trial that has begun.
pub(super) struct Begun {
    pub(super) trial: u32,
    pub(super) started: Timestamp,
    pub(super) clock: Instant,
}

/// The training of one spec: its cells so far, what they cost, and what is known of cells to come.
pub(super) struct Training {
    pub(super) spec: Spec,
    /// Whether the worker measures feature exposure.
    pub(super) exposure: bool,
    /// Scored cells, in the order in which they were asked for.
    pub(super) cells: Vec<CellScore>,
    /// Largest exposure to a feature, of each cell that it was measured of.
    exposures: Vec<f64>,
    /// What cells came to that were not asked for yet, and what all of them cost.
    pub(super) stock: Stock,
    /// Seconds that it took before it began, beside others.
    before: f64,
    /// Seconds since it began that others took beside it.
    pub(super) others: f64,
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
        Self::with(spec, exposure, Stock::default())
    }

    /// A training of which some cells are known.
    pub(super) fn with(spec: Spec, exposure: bool, stock: Stock) -> Self {
        Self {
            spec,
            exposure,
            cells: Vec::new(),
            exposures: Vec::new(),
            before: stock.wall,
            stock,
            others: 0.0,
            clock: Instant::now(),
        }
    }

    /// Cells of it, as a job of a request.
    pub(super) fn job(&self, cells: Vec<CellId>) -> Job {
        Job { spec: self.spec.to_yaml(), cells, predictions: None }
    }

    /// Takes a cell from what is known. None where nothing is.
    pub(super) fn take(&mut self, fold: usize, seed: u64) -> Option<Result<(), Failure>> {
        match self.stock.look(fold, seed)? {
            Ok(CellTrained { score, exposure, .. }) => {
                self.cells.push(score.clone());
                self.exposures.extend(exposure.as_ref().map(|exposure| exposure.max));
                Some(Ok(()))
            }
            Err(failure) => Some(Err(failure.clone())),
        }
    }

    /// Its seconds of a clock that began with it or before: without what others took beside it, and with what it took
    /// beside others.
    pub(super) fn own_seconds(&self, clock: &Instant) -> f64 {
        (clock.elapsed().as_secs_f64() - self.others).max(0.0) + self.before
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
            wall_seconds: training.own_seconds(&training.clock),
            rows_per_second: training.stock.rows as f64 / training.stock.seconds.max(1e-9),
            params: training.stock.params,
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
            None => {
                let worker = self.restarted().await?;
                // A new configuration may have given it other threads.
                (self.cpu_threads, self.device) = (worker.greeting().cpu_threads, worker.greeting().device.clone());
                Ok(worker)
            }
        }
    }

    /// Trains and scores cells, all of which are wanted, alone. It may take `limit` seconds in all, over its requests. The
    /// inner error is the spec's failure.
    pub(super) async fn train_cells(
        &mut self,
        training: &mut Training,
        cells: Vec<CellId>,
        limit: f64,
        stage: &Stage,
    ) -> Result<Flow<Result<(), Failure>>> {
        let begun = Instant::now();
        let jobs = vec![training.job(cells.clone())];
        let time = Time { left: limit - training.stock.spent, limit };
        let trained = match self.request(jobs, 0, training.exposure, time, stage).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(Err(failure)) => return Ok(Flow::On(Err(failure))),
            Flow::On(Ok(trained)) => trained,
        };
        training.stock.seconds += trained.seconds;
        training.stock.spent += begun.elapsed().as_secs_f64();
        trained.jobs.into_iter().for_each(|job| training.stock.take_in(job));
        if let Some(failure) = training.stock.failure() {
            return Ok(Flow::On(Err(failure.clone())));
        }
        for CellId { fold, seed } in cells {
            match training.take(fold, seed) {
                Some(Ok(())) => {}
                Some(Err(failure)) => return Ok(Flow::On(Err(failure))),
                None => return Err(left_out(fold, seed)),
            }
        }
        Ok(Flow::On(Ok(())))
    }

    /// One request to the worker: jobs that are trained together, of which the one at `own` is what is shown. It ends where
    /// the session does. The inner error is a failure of the request as a whole; a worker that is not to be trusted any more
    /// is dropped, and the next request starts a new one.
    pub(super) async fn request(
        &mut self,
        jobs: Vec<Job>,
        own: usize,
        exposure: bool,
        time: Time,
        stage: &Stage,
    ) -> Result<Flow<Result<Trained, Failure>>> {
        // A trial that is promising has many requests; none of them begins after the session's time.
        if let Some(why) = self.is_over() {
            return Ok(Flow::End(given_up(why)));
        }
        let mut worker = self.worker().await?;
        let deadline = Instant::now() + Duration::from_secs_f64(time.left.max(0.0));
        let (say, live, notify) = (&mut self.say, &mut self.live, &mut self.notify);
        let report = |progress: WorkerProgress| {
            notify.progress();
            match progress {
                WorkerProgress::Replica { job, done, .. } if job == own => {
                    live.live.nets_done = stage.done + done;
                    live.live.nets_total = stage.total;
                    live.write_soon();
                    say(Update::Nets { done: stage.done + done, total: stage.total, stage: stage.words.clone() });
                }
                WorkerProgress::Replica { .. } | WorkerProgress::Epoch => {}
            }
        };
        let trained = tokio::select! {
            trained = worker.train(jobs, exposure, deadline, time.limit, report) => trained,
            why = over(&mut self.stop, self.limits.until) => {
                worker.kill().await;
                return Ok(Flow::End(given_up(why)));
            }
        };
        match trained {
            Ok(trained) => {
                self.worker = Some(worker);
                // What is wrong with the lab is wrong for every trial.
                let lab = trained.jobs.iter().filter_map(|job| job.failure.as_ref());
                match lab.into_iter().find(|failed| failed.kind == FailureKind::Lab).cloned() {
                    Some(failed) => Err(WorkerError::Failed { kind: failed.kind, message: failed.message }.into()),
                    None => Ok(Flow::On(Ok(trained))),
                }
            }
            Err(WorkerError::Failed { kind: FailureKind::Training | FailureKind::Data, message }) => {
                // A request fails as a whole where the worker panicked. It may take a moment to be gone, and must not be asked
                // again in that moment: its death would be held against the next.
                worker.kill().await;
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

/// The time that a request has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// Seconds from now.
    pub(super) left: f64,
    /// The limit that is named where they are over.
    pub(super) limit: f64,
}

/// A worker that says it is done, and has said nothing of a cell.
pub(super) fn left_out(fold: usize, seed: u64) -> Error {
    Error::Internal(format!("the worker left out fold {fold} under seed {seed}"))
}

/// How a session ends that was to end while it trained.
fn given_up(why: &str) -> String {
    format!("{why}; what was in training was given up")
}
