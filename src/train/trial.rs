//! A trial: every fold and seed that is asked for, cell by cell.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use burn::backend::Flex;
use prepare::data::Harness;
use prepare::evaluate::CellScore;

use super::TrainError;
use super::aggregate::{combine_members, combine_targets};
use super::backend::{Choice, Device, DeviceError};
use super::group::{Context, Prediction, train_group};
use super::kernels::Kernels;
use super::layers::Net;
use super::streams::Replica;
use crate::spec::{DataFacts, Spec};

/// One finished cell: a fold under a seed.
#[derive(Clone, Debug)]
pub struct CellResult {
    /// Its scores by era.
    pub score: CellScore,
    /// One prediction a test row, in the harness's order.
    pub predictions: Vec<f32>,
    /// Rows that gradients were taken of, over all members.
    pub rows_trained: u64,
    /// Seconds since the call began.
    pub seconds: f64,
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
    pub fn new(harness: Harness, choice: Choice, threads: Option<usize>) -> Result<Self, DeviceError> {
        Ok(Self { harness, device: Device::find(choice, threads)? })
    }

    /// The device in words.
    pub fn device(&self) -> String {
        self.device.words()
    }

    /// The data.
    pub fn harness(&self) -> &Harness {
        &self.harness
    }

    /// Trainable parameters of one net of the spec.
    pub fn params(&self, spec: &Spec) -> Result<u64, TrainError> {
        let columns = super::batches::Columns::of(spec, &self.harness)?;
        Ok(Net::of(spec, columns.inputs(), columns.targets.len()).size())
    }

    /// Trains every fold under each of `seeds`. Cells come out in no particular order; each is reported once.
    ///
    /// # Errors
    /// The first that occurs: divergence, data that does not fit the spec, `stop` set.
    pub fn train(
        &self,
        spec: &Spec,
        seeds: &[u64],
        stop: &AtomicBool,
        report: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<CellResult>, TrainError> {
        let context = Context::new(spec, &self.harness, stop)?;
        match self.device {
            Device::Cpu { threads } => run::<Flex>(&context, seeds, &Default::default(), threads, 1, report),
            #[cfg(feature = "cuda")]
            Device::Cuda => {
                run::<burn::backend::Cuda<f32, i32>>(&context, seeds, &Default::default(), 1, CUDA_GROUP, report)
            }
        }
    }
}

/// Replicas that a GPU trains together.
#[cfg(feature = "cuda")]
const CUDA_GROUP: usize = 48;

/// What the data offers a spec, for checks before training.
pub(crate) fn facts(harness: &Harness) -> DataFacts {
    let sets = &harness.protocol().features.sets;
    DataFacts {
        feature_sets: sets
            .iter()
            .map(|name| (name.clone(), harness.feature_set(name).map_or(0, <[usize]>::len)))
            .collect(),
        features: harness.feature_count(),
        targets: harness.target_names().to_vec(),
        rows: harness.rows() as u64,
        folds: harness.plan().folds.len(),
        seeds: harness.protocol().seeds.len(),
    }
}

/// Trains groups of at most `group` replicas on `threads` threads.
fn run<B: Kernels>(
    context: &Context<'_>,
    seeds: &[u64],
    device: &B::Device,
    threads: usize,
    group: usize,
    report: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Vec<CellResult>, TrainError>
where
    B::Device: Sync,
{
    let members = context.spec.ensemble.members;
    let folds = context.folds.len();
    // Seed by seed, so that the first seed's cells are whole first.
    let replicas: Vec<Replica> = seeds
        .iter()
        .flat_map(|seed| {
            (0..folds).flat_map(move |fold| (0..members).map(move |member| Replica { fold, seed: *seed, member }))
        })
        .collect();
    let shared = Shared {
        context,
        started: Instant::now(),
        next: AtomicUsize::new(0),
        abandoned: AtomicBool::new(false),
        state: Mutex::new(State { nets: Vec::new(), cells: Vec::new(), done: 0, failure: None }),
        replicas: &replicas,
        report,
    };
    lock(&shared.state).nets.resize_with(replicas.len(), || None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(replicas.len().div_ceil(group)).max(1) {
            scope.spawn(|| {
                // One thread a replica: matrix products inside must not spread over the cores that other replicas use.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                match pool {
                    Ok(pool) => pool.install(|| shared.work::<B>(device, group)),
                    Err(_) => shared.work::<B>(device, group),
                }
            });
        }
    });
    let state = shared.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    match state.failure {
        Some(failure) => Err(failure),
        None => Ok(state.cells),
    }
}

struct Shared<'a, 'h> {
    context: &'a Context<'h>,
    started: Instant,
    next: AtomicUsize,
    abandoned: AtomicBool,
    state: Mutex<State>,
    replicas: &'a [Replica],
    report: &'a (dyn Fn(Progress<'_>) + Sync),
}

struct State {
    /// Predictions of trained nets whose cell is not whole yet, by replica.
    nets: Vec<Option<Net1>>,
    cells: Vec<CellResult>,
    done: usize,
    failure: Option<TrainError>,
}

/// A trained net's prediction, `[row]`, and the rows it was trained on.
struct Net1 {
    prediction: Vec<f32>,
    rows_trained: u64,
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    // A thread that panicked takes the process down with it (the worker's hook), so poison carries no news.
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared<'_, '_> {
    fn work<B: Kernels>(&self, device: &B::Device, group: usize) {
        while !self.abandoned.load(Ordering::Relaxed) {
            let start = self.next.fetch_add(group, Ordering::Relaxed);
            if start >= self.replicas.len() {
                return;
            }
            let range = start..(start + group).min(self.replicas.len());
            let trained = train_group::<B>(self.context, &self.replicas[range.clone()], device, &|| {
                (self.report)(Progress::Epoch);
            });
            if let Err(failure) = trained.and_then(|predictions| self.hand_in(range, &predictions)) {
                lock(&self.state).failure.get_or_insert(failure);
                self.abandoned.store(true, Ordering::Relaxed);
            }
        }
    }

    fn hand_in(&self, range: Range<usize>, predictions: &[Prediction]) -> Result<(), TrainError> {
        for (index, net) in range.zip(predictions) {
            let replica = self.replicas[index];
            let eras = era_ranges(self.context.harness, replica.fold);
            let prediction = combine_targets(&net.outputs, &net.weights, &eras);
            let mut state = lock(&self.state);
            state.nets[index] = Some(Net1 { prediction, rows_trained: net.rows_trained });
            state.done += 1;
            (self.report)(Progress::Replica { done: state.done, total: self.replicas.len() });
            if let Some(cell) = self.whole_cell(&mut state, index) {
                let cell = self.score(replica, &cell, &eras)?;
                (self.report)(Progress::Cell(&cell));
                state.cells.push(cell);
            }
        }
        Ok(())
    }

    /// The members of this replica's cell, once all are trained.
    fn whole_cell(&self, state: &mut State, index: usize) -> Option<Vec<Net1>> {
        let members = self.context.spec.ensemble.members as usize;
        let first = index - index % members;
        let nets = &mut state.nets[first..first + members];
        if nets.iter().all(Option::is_some) { nets.iter_mut().map(Option::take).collect() } else { None }
    }

    fn score(&self, replica: Replica, nets: &[Net1], eras: &[Range<usize>]) -> Result<CellResult, TrainError> {
        let members: Vec<Vec<f32>> = nets.iter().map(|net| net.prediction.clone()).collect();
        let predictions = combine_members(&members, self.context.spec.ensemble.aggregate, eras);
        let score = self.context.harness.score_cell(replica.fold, replica.seed, &predictions)?;
        Ok(CellResult {
            score,
            predictions,
            rows_trained: nets.iter().map(|net| net.rows_trained).sum(),
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }
}

/// Row ranges of a fold's test eras within its predictions.
fn era_ranges(harness: &Harness, fold: usize) -> Vec<Range<usize>> {
    let mut start = 0;
    let test = harness.test_rows(fold);
    test.iter()
        .map(|rows| {
            let range = start..start + rows.len();
            start = range.end;
            range
        })
        .collect()
}
