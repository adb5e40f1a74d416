//! Trials: the cells that are asked for of one spec, or of several together.

use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use prepare::data::Harness;
use prepare::evaluate::{CellId, CellScore};
use prepare::exposure::Exposure;
use prepare::holdout::Holdout;

use super::TrainError;
use super::backend::{Device, DeviceError, DeviceSettings, Precision};
use super::batches::Columns;
use super::cells::check_cells;
use super::group::{Context, layout_error};
use super::post::PostProcessing;
use super::rates;
use super::together::{Crew, Wanted, run};
use crate::spec::Spec;
use crate::spec::members::member;
use crate::spec::net::Net;
use crate::spec::rates::DeviceRates;

/// One finished cell: a fold under a seed.
#[derive(Clone, Debug)]
pub struct CellResult {
    /// Its scores by era.
    pub score: CellScore,
    /// One prediction a test row, in the harness's order.
    pub predictions: Vec<f32>,
    /// What they lean on, where that was asked for.
    pub exposure: Option<Exposure>,
    /// Rows that gradients were taken of, over all members.
    pub rows_trained: u64,
    /// Seconds since the call began.
    pub seconds: f64,
}

/// Cells of one spec.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// Its cells: at least one, none twice.
    pub cells: &'a [CellId],
}

/// Why a job failed.
#[derive(Debug)]
pub struct Failed {
    /// The cell that it failed in; None where no cell of the spec can be trained.
    pub cell: Option<CellId>,
    /// Why.
    pub error: TrainError,
}

impl From<TrainError> for Failed {
    fn from(error: TrainError) -> Self {
        let cell = match &error {
            TrainError::Diverged { fold, seed, .. } | TrainError::Constant { fold, seed, .. } => {
                Some(CellId { fold: *fold, seed: *seed })
            }
            _ => None,
        };
        Self { cell, error }
    }
}

/// What is reported while a trial trains.
pub enum Progress<'a> {
    /// One net of a cell is trained.
    Replica {
        /// Nets done.
        done: usize,
        /// Nets in all.
        total: usize,
    },
    /// An epoch of some nets is done: a sign of life.
    Epoch,
    /// A cell is trained and scored.
    Cell(&'a CellResult),
}

/// The harness and a device, ready to train any spec.
pub struct Trainer {
    harness: Harness,
    device: Device,
}

impl Trainer {
    /// Takes the data and finds the device.
    ///
    /// # Errors
    /// The device cannot be had.
    pub fn new(harness: Harness, settings: &DeviceSettings) -> Result<Self, DeviceError> {
        Ok(Self { harness, device: Device::find(settings)? })
    }

    /// The device in words.
    pub fn device(&self) -> String {
        self.device.words()
    }

    /// Threads that train nets side by side; None on a GPU.
    pub fn cpu_threads(&self) -> Option<usize> {
        match self.device {
            Device::Cpu { threads } => Some(threads),
            #[cfg(feature = "cuda")]
            Device::Cuda { .. } => None,
        }
    }

    /// How fast the device trains, measured now, in about half a second; longer on a GPU, which compiles its kernels first.
    pub fn rates(&self) -> DeviceRates {
        match self.device {
            Device::Cpu { threads } => {
                rates::measure::<Flex>(&Default::default(), Precision::Fp32, (threads, threads), None)
            }
            #[cfg(feature = "cuda")]
            Device::Cuda { precision, memory } => {
                let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
                let lanes = (1, threads);
                rates::measure::<burn::backend::Cuda<f32, i32>>(&Default::default(), precision, lanes, Some(memory))
            }
        }
    }

    /// The data.
    pub fn harness(&self) -> &Harness {
        &self.harness
    }

    /// Trainable parameters of one net of the spec; of the largest, where members differ.
    pub fn params(&self, spec: &Spec) -> Result<u64, TrainError> {
        let mut most = 0;
        for (index, spec) in Kinds::of(spec)?.firsts {
            let columns = Columns::of(&spec, &self.harness, index)?;
            let net = Net::of(&spec, &columns.layout(&spec, &self.harness)).map_err(|faults| layout_error(&faults))?;
            most = most.max(net.size());
        }
        Ok(most)
    }

    /// Trains exactly these cells, in this order as far as they do not train side by side. They come out in no particular
    /// order; each is reported once, and its numbers do not depend on which others are asked for. `exposure`: whether each
    /// comes with its feature exposure.
    ///
    /// # Errors
    /// The first that occurs: cells that are not there, divergence, data that does not fit the spec, `stop` set.
    pub fn train(
        &self,
        spec: &Spec,
        cells: &[CellId],
        exposure: bool,
        stop: &AtomicBool,
        report: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<CellResult>, TrainError> {
        self.train_one(&self.harness, (spec, cells, exposure), stop, report)
    }

    /// Trains the cells of several specs together, those of the first first, and says for each what it came to: one that
    /// fails leaves the others alone. What is reported is of the job with that number. A cell's numbers depend neither on the
    /// other cells nor on the other specs.
    pub fn train_together(
        &self,
        jobs: &[Job<'_>],
        exposure: bool,
        stop: &AtomicBool,
        report: &(dyn Fn(usize, Progress<'_>) + Sync),
    ) -> Vec<Result<Vec<CellResult>, Failed>> {
        self.train_on(&self.harness, jobs, exposure, stop, report)
    }

    /// Trains on every era of cross-validation, under each of `seeds`, and scores the holdout. The same training as that of a
    /// fold's cells, on more eras.
    ///
    /// # Errors
    /// As [`Trainer::train`].
    pub fn holdout(
        &self,
        holdout: &Holdout,
        spec: &Spec,
        seeds: &[u64],
        stop: &AtomicBool,
        report: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<CellResult>, TrainError> {
        self.train_one(holdout.harness(), (spec, &Holdout::cells(seeds), false), stop, report)
    }

    fn train_one(
        &self,
        harness: &Harness,
        (spec, cells, exposure): (&Spec, &[CellId], bool),
        stop: &AtomicBool,
        report: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<CellResult>, TrainError> {
        let of_any = |_, progress: Progress<'_>| report(progress);
        let mut found = self.train_on(harness, &[Job { spec, cells }], exposure, stop, &of_any);
        found.pop().unwrap_or_else(|| Ok(Vec::new())).map_err(|failed| failed.error)
    }

    fn train_on(
        &self,
        harness: &Harness,
        jobs: &[Job<'_>],
        exposure: bool,
        stop: &AtomicBool,
        report: &(dyn Fn(usize, Progress<'_>) + Sync),
    ) -> Vec<Result<Vec<CellResult>, Failed>> {
        let precision = match self.device {
            Device::Cpu { .. } => Precision::Fp32,
            #[cfg(feature = "cuda")]
            Device::Cuda { precision, .. } => precision,
        };
        let mut found: Vec<Option<Result<Vec<CellResult>, Failed>>> = jobs.iter().map(|_| None).collect();
        let mut kinds: Vec<(usize, Kinds)> = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            match check_cells(job.cells, harness.plan().folds.len()).and_then(|()| Kinds::of(job.spec)) {
                Ok(own) => kinds.push((number, own)),
                Err(error) => found[number] = Some(Err(error.into())),
            }
        }
        let mut trials: Vec<(usize, Trial<'_>)> = Vec::new();
        for (number, kinds) in &kinds {
            let other = trials.last().map(|(_, trial)| trial);
            match Trial::of(jobs[*number].spec, kinds, harness, precision, stop, other) {
                Ok(trial) => trials.push((*number, Trial { exposure, ..trial })),
                Err(error) => found[*number] = Some(Err(error.into())),
            }
        }
        let most = |spec: &Spec| match (self.device, spec) {
            (Device::Cpu { .. }, _) => 1,
            #[cfg(feature = "cuda")]
            (Device::Cuda { memory, .. }, spec) => {
                let bytes = crate::spec::cost::estimate(spec, &super::facts(harness)).replica_bytes;
                usize::try_from(memory / bytes.max(1)).unwrap_or(usize::MAX)
            }
        };
        let wanted: Vec<Wanted<'_, '_>> = trials
            .iter()
            .map(|(number, trial)| Wanted { trial, cells: jobs[*number].cells, most: most(trial.spec) })
            .collect();
        let report = |place: usize, progress: Progress<'_>| report(trials[place].0, progress);
        let trained = match self.device {
            Device::Cpu { threads } => {
                // Matrix products of a replica must not spread over the cores that other replicas use.
                run::<Flex>(&wanted, &Default::default(), Crew { threads, helpers: 1 }, &report)
            }
            #[cfg(feature = "cuda")]
            Device::Cuda { .. } => {
                // One thread feeds the GPU; the host's share of the work (orders, scores) is spread over all cores.
                let crew = Crew { threads: 1, helpers: 0 };
                run::<burn::backend::Cuda<f32, i32>>(&wanted, &Default::default(), crew, &report)
            }
        };
        for ((number, _), trained) in trials.iter().zip(trained) {
            found[*number] = Some(trained);
        }
        found.into_iter().map(|found| found.unwrap_or_else(|| Ok(Vec::new()))).collect()
    }
}

/// A trial, laid out.
pub(super) struct Trial<'h> {
    pub(super) spec: &'h Spec,
    /// One for each kind of member.
    pub(super) contexts: Vec<Context<'h>>,
    /// Which of them each member is.
    pub(super) kind_of: Vec<usize>,
    pub(super) post: PostProcessing<'h>,
    /// Whether cells come with their feature exposure.
    pub(super) exposure: bool,
}

impl<'h> Trial<'h> {
    /// Lays a trial out. What its nets learn is shared with those of the `other` one as far as it is the same.
    ///
    /// # Errors
    /// What the data does not have; too few eras for early stopping.
    pub(super) fn of(
        spec: &'h Spec,
        kinds: &'h Kinds,
        harness: &'h Harness,
        precision: Precision,
        stop: &'h AtomicBool,
        other: Option<&Self>,
    ) -> Result<Self, TrainError> {
        let mut contexts: Vec<Context<'h>> = Vec::new();
        let beside = other.and_then(|other| other.contexts.first());
        for (member, spec) in &kinds.firsts {
            let other = contexts.first().or(beside);
            contexts.push(Context::of_member(spec, harness, precision, stop, *member, other)?);
        }
        Ok(Self {
            spec,
            contexts,
            kind_of: kinds.of.clone(),
            post: PostProcessing::of(spec, harness)?,
            exposure: false,
        })
    }
}

/// The kinds of members of an ensemble.
pub(super) struct Kinds {
    /// Each as the first member of that kind, and its spec.
    firsts: Vec<(u32, Spec)>,
    /// Which of them each member is.
    of: Vec<usize>,
}

impl Kinds {
    /// Members that are trained by the same spec on the same features are of one kind.
    ///
    /// # Errors
    /// A member whose spec is not valid; a checked spec has none.
    pub(super) fn of(spec: &Spec) -> Result<Self, TrainError> {
        let mut kinds = Self { firsts: Vec::new(), of: Vec::new() };
        // With a part of the features of its own, no member is as another.
        let shared = spec.ensemble.diversity.features >= 1.0;
        for index in 0..spec.ensemble.members {
            let own = member(spec, index).map_err(|why| TrainError::Data(format!("member {index}: {why}")))?;
            let known = kinds.firsts.iter().position(|(_, first)| shared && *first == own);
            kinds.of.push(known.unwrap_or(kinds.firsts.len()));
            if known.is_none() {
                kinds.firsts.push((index, own));
            }
        }
        Ok(kinds)
    }
}
