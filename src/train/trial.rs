//! A trial: every fold and seed that is asked for, cell by cell.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use burn::backend::Flex;
use prepare::data::Harness;
use prepare::evaluate::CellScore;
use rayon::prelude::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::TrainError;
use super::aggregate::{combine_members, combine_targets};
use super::backend::{Device, DeviceError, DeviceSettings, Precision};
use super::feed::Feed;
use super::group::{Context, Prediction, layout_error, train_group};
use super::kernels::Kernels;
use super::streams::Replica;
use crate::spec::net::Net;
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
    pub fn new(harness: Harness, settings: &DeviceSettings) -> Result<Self, DeviceError> {
        Ok(Self { harness, device: Device::find(settings)? })
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
        let net = Net::of(spec, &columns.layout(spec, &self.harness)).map_err(|faults| layout_error(&faults))?;
        Ok(net.size())
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
        let context = |precision| Context::new(spec, &self.harness, precision, stop);
        match self.device {
            Device::Cpu { threads } => {
                // Matrix products of a replica must not spread over the cores that other replicas use.
                let crew = Crew { threads, helpers: 1, most: 1 };
                run::<Flex>(&context(Precision::Fp32)?, seeds, &Default::default(), crew, report)
            }
            #[cfg(feature = "cuda")]
            Device::Cuda { precision, memory } => {
                let bytes = crate::spec::cost::estimate(spec, &facts(&self.harness)).replica_bytes;
                let most = usize::try_from(memory / bytes.max(1)).unwrap_or(usize::MAX);
                // One thread feeds the GPU; the host's share of the work (orders, scores) is spread over all cores.
                let crew = Crew { threads: 1, helpers: 0, most };
                run::<burn::backend::Cuda<f32, i32>>(&context(precision)?, seeds, &Default::default(), crew, report)
            }
        }
    }
}

/// Who trains the replicas of a trial.
#[derive(Clone, Copy, Debug)]
struct Crew {
    /// Threads that train groups of replicas side by side.
    threads: usize,
    /// Threads that help each of them; 0 for one a core.
    helpers: usize,
    /// The most replicas a group may have.
    most: usize,
}

impl Crew {
    /// The size of a group: as few groups as can be, all of about one size.
    fn group(self, replicas: usize) -> usize {
        let groups = replicas.div_ceil(self.most.max(1)).max(1);
        replicas.div_ceil(groups).max(1)
    }
}

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

/// Trains a trial's replicas in groups.
fn run<B: Kernels>(
    context: &Context<'_>,
    seeds: &[u64],
    device: &B::Device,
    crew: Crew,
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
    let group = crew.group(replicas.len());
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
        for _ in 0..crew.threads.min(replicas.len().div_ceil(group)).max(1) {
            scope.spawn(|| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(crew.helpers).build();
                // What a device holds is made by the thread that uses it.
                let work = || shared.work(&Feed::<B>::of(context, device.clone()), group);
                match pool {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
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
    fn work<B: Kernels>(&self, feed: &Feed<'_, B>, group: usize) {
        while !self.abandoned.load(Ordering::Relaxed) {
            let start = self.next.fetch_add(group, Ordering::Relaxed);
            if start >= self.replicas.len() {
                return;
            }
            let range = start..(start + group).min(self.replicas.len());
            let trained = train_group(feed, &self.replicas[range.clone()], &|| (self.report)(Progress::Epoch));
            let handed_in = trained.and_then(|predictions| {
                range.into_par_iter().zip(predictions).try_for_each(|(index, net)| self.hand_in(index, &net))
            });
            if let Err(failure) = handed_in {
                lock(&self.state).failure.get_or_insert(failure);
                self.abandoned.store(true, Ordering::Relaxed);
            }
        }
    }

    fn hand_in(&self, index: usize, net: &Prediction) -> Result<(), TrainError> {
        let replica = self.replicas[index];
        let eras = era_ranges(self.context.harness, replica.fold);
        let prediction = combine_targets(&net.outputs, &net.weights, &eras);
        let cell = {
            let mut state = lock(&self.state);
            state.nets[index] = Some(Net1 { prediction, rows_trained: net.rows_trained });
            state.done += 1;
            (self.report)(Progress::Replica { done: state.done, total: self.replicas.len() });
            self.whole_cell(&mut state, index)
        };
        if let Some(nets) = cell {
            let cell = self.score(replica, &nets, &eras)?;
            let mut state = lock(&self.state);
            (self.report)(Progress::Cell(&cell));
            state.cells.push(cell);
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

#[cfg(test)]
mod tests {
    use super::Crew;

    #[test]
    fn groups_are_as_few_as_memory_allows_and_of_one_size() {
        for (most, replicas, group) in
            [(1, 12, 1), (48, 12, 12), (48, 60, 30), (48, 97, 33), (usize::MAX, 240, 240), (0, 5, 1), (7, 0, 1)]
        {
            assert_eq!(Crew { threads: 1, helpers: 0, most }.group(replicas), group, "{replicas}, at most {most}");
        }
    }
}
