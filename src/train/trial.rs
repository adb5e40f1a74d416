//! A trial: the cells that are asked for, one after another.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use burn::backend::Flex;
use prepare::data::Harness;
use prepare::evaluate::{CellId, CellScore};
use prepare::exposure::Exposure;
use prepare::holdout::Holdout;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::TrainError;
use super::aggregate::{combine_members, combine_targets};
use super::backend::{Device, DeviceError, DeviceSettings, Precision};
use super::batches::Columns;
use super::cells::check_cells;
use super::feed::Feed;
use super::group::{Context, Prediction, layout_error, train_group};
use super::kernels::Kernels;
use super::post::PostProcessing;
use super::rates;
use super::streams::Replica;
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
        self.train_on(&self.harness, spec, (cells, exposure), stop, report)
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
        self.train_on(holdout.harness(), spec, (&Holdout::cells(seeds), false), stop, report)
    }

    fn train_on(
        &self,
        harness: &Harness,
        spec: &Spec,
        (cells, exposure): (&[CellId], bool),
        stop: &AtomicBool,
        report: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<CellResult>, TrainError> {
        check_cells(cells, harness.plan().folds.len())?;
        let kinds = Kinds::of(spec)?;
        let trial =
            |precision| Trial::of(spec, &kinds, harness, precision, stop).map(|trial| Trial { exposure, ..trial });
        match self.device {
            Device::Cpu { threads } => {
                // Matrix products of a replica must not spread over the cores that other replicas use.
                let crew = Crew { threads, helpers: 1, most: 1 };
                run::<Flex>(&trial(Precision::Fp32)?, cells, &Default::default(), crew, report)
            }
            #[cfg(feature = "cuda")]
            Device::Cuda { precision, memory } => {
                let bytes = crate::spec::cost::estimate(spec, &super::facts(harness)).replica_bytes;
                let most = usize::try_from(memory / bytes.max(1)).unwrap_or(usize::MAX);
                // One thread feeds the GPU; the host's share of the work (orders, scores) is spread over all cores.
                let crew = Crew { threads: 1, helpers: 0, most };
                run::<burn::backend::Cuda<f32, i32>>(&trial(precision)?, cells, &Default::default(), crew, report)
            }
        }
    }
}

/// Who trains the replicas of a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crew {
    /// Threads that train groups of replicas side by side.
    pub(super) threads: usize,
    /// Threads that help each of them; 0 for one a core.
    pub(super) helpers: usize,
    /// The most replicas a group may have.
    pub(super) most: usize,
}

impl Crew {
    /// The size of a group: as few groups as can be, all of about one size.
    fn group(self, replicas: usize) -> usize {
        let groups = replicas.div_ceil(self.most.max(1)).max(1);
        replicas.div_ceil(groups).max(1)
    }
}

/// A trial, laid out.
pub(super) struct Trial<'h> {
    spec: &'h Spec,
    /// One for each kind of member.
    pub(super) contexts: Vec<Context<'h>>,
    /// Which of them each member is.
    kind_of: Vec<usize>,
    post: PostProcessing<'h>,
    /// Whether cells come with their feature exposure.
    exposure: bool,
}

impl<'h> Trial<'h> {
    /// Lays a trial out.
    ///
    /// # Errors
    /// What the data does not have; too few eras for early stopping.
    pub(super) fn of(
        spec: &'h Spec,
        kinds: &'h Kinds,
        harness: &'h Harness,
        precision: Precision,
        stop: &'h AtomicBool,
    ) -> Result<Self, TrainError> {
        let mut contexts: Vec<Context<'h>> = Vec::new();
        for (member, spec) in &kinds.firsts {
            contexts.push(Context::of_member(spec, harness, precision, stop, *member, contexts.first())?);
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

/// Cuts replicas into groups of one kind, in the order of their first replicas, so that the first cells are whole
/// first. Each group is its kind and its replicas' places.
fn groups(replicas: &[Replica], kind_of: &[usize], crew: Crew) -> Vec<(usize, Vec<usize>)> {
    let kinds = kind_of.iter().max().map_or(0, |most| most + 1);
    let mut groups: Vec<(usize, Vec<usize>)> = (0..kinds)
        .flat_map(|kind| {
            let of_kind = |place: &usize| kind_of[replicas[*place].member as usize] == kind;
            let places: Vec<usize> = (0..replicas.len()).filter(of_kind).collect();
            let size = crew.group(places.len());
            places.chunks(size).map(|chunk| (kind, chunk.to_vec())).collect::<Vec<_>>()
        })
        .collect();
    groups.sort_by_key(|(_, places)| places[0]);
    groups
}

/// Trains a trial's replicas in groups.
pub(super) fn run<B: Kernels>(
    trial: &Trial<'_>,
    cells: &[CellId],
    device: &B::Device,
    crew: Crew,
    report: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Vec<CellResult>, TrainError>
where
    B::Device: Sync,
{
    let members = trial.spec.ensemble.members;
    // Cell by cell, so that the first cells are whole first.
    let replicas: Vec<Replica> = cells
        .iter()
        .flat_map(|CellId { fold, seed }| (0..members).map(|member| Replica { fold: *fold, seed: *seed, member }))
        .collect();
    let groups = groups(&replicas, &trial.kind_of, crew);
    let shared = Shared {
        trial,
        started: Instant::now(),
        next: AtomicUsize::new(0),
        abandoned: AtomicBool::new(false),
        state: Mutex::new(State { nets: Vec::new(), cells: Vec::new(), done: 0, failure: None }),
        replicas: &replicas,
        groups: &groups,
        report,
    };
    lock(&shared.state).nets.resize_with(replicas.len(), || None);
    std::thread::scope(|scope| {
        for _ in 0..crew.threads.min(groups.len()).max(1) {
            scope.spawn(|| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(crew.helpers).build();
                // What a device holds is made by the thread that uses it.
                let work = || shared.work::<B>(device);
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
    trial: &'a Trial<'h>,
    started: Instant,
    next: AtomicUsize,
    abandoned: AtomicBool,
    state: Mutex<State>,
    replicas: &'a [Replica],
    groups: &'a [(usize, Vec<usize>)],
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
    fn work<B: Kernels>(&self, device: &B::Device) {
        let mut feed: Option<(usize, Feed<'_, B>)> = None;
        while !self.abandoned.load(Ordering::Relaxed) {
            let Some((kind, places)) = self.groups.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return };
            // A device holds the data of one kind at a time.
            if feed.as_ref().is_none_or(|(held, _)| held != kind) {
                drop(feed.take());
            }
            let (_, feed) =
                feed.get_or_insert_with(|| (*kind, Feed::<B>::of(&self.trial.contexts[*kind], device.clone())));
            let replicas: Vec<Replica> = places.iter().map(|place| self.replicas[*place]).collect();
            let trained = train_group(feed, &replicas, &|| (self.report)(Progress::Epoch));
            let handed_in = trained.and_then(|predictions| {
                places.par_iter().zip(predictions).try_for_each(|(place, net)| self.hand_in(*place, &net))
            });
            if let Err(failure) = handed_in {
                lock(&self.state).failure.get_or_insert(failure);
                self.abandoned.store(true, Ordering::Relaxed);
            }
        }
    }

    fn hand_in(&self, index: usize, net: &Prediction) -> Result<(), TrainError> {
        let replica = self.replicas[index];
        let eras = era_ranges(self.trial.contexts[0].harness, replica.fold);
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
        let members = self.trial.spec.ensemble.members as usize;
        let first = index - index % members;
        let nets = &mut state.nets[first..first + members];
        if nets.iter().all(Option::is_some) { nets.iter_mut().map(Option::take).collect() } else { None }
    }

    fn score(&self, replica: Replica, nets: &[Net1], eras: &[Range<usize>]) -> Result<CellResult, TrainError> {
        let members: Vec<Vec<f32>> = nets.iter().map(|net| net.prediction.clone()).collect();
        let mut predictions = combine_members(&members, &self.trial.spec.ensemble.aggregate, eras);
        let what = if nets.len() == 1 { "the net predicts a constant" } else { "the nets predict constants" };
        self.refuse_constants(replica, &predictions, eras, what)?;
        self.trial.post.process(replica.fold, &mut predictions);
        self.refuse_constants(replica, &predictions, eras, "post-processing leaves a constant")?;
        let harness = self.trial.contexts[0].harness;
        let score = harness.score_cell(replica.fold, replica.seed, &predictions)?;
        let exposure = self.trial.exposure.then(|| harness.exposure(replica.fold, &predictions)).transpose()?;
        Ok(CellResult {
            score,
            predictions,
            exposure,
            rows_trained: nets.iter().map(|net| net.rows_trained).sum(),
            seconds: self.started.elapsed().as_secs_f64(),
        })
    }
}

impl Shared<'_, '_> {
    /// A correlation with a constant is no number, which the harness would take for a fault of the data.
    fn refuse_constants(
        &self,
        replica: Replica,
        predictions: &[f32],
        eras: &[Range<usize>],
        what: &'static str,
    ) -> Result<(), TrainError> {
        let constant =
            |era: &Range<usize>| era.len() > 1 && predictions[era.clone()].windows(2).all(|pair| pair[0] == pair[1]);
        let Replica { fold, seed, .. } = replica;
        let of_fold = &self.trial.contexts[0].harness.plan().folds[fold].test;
        match eras.iter().zip(of_fold).find(|(rows, _)| constant(rows)) {
            Some((_, era)) => Err(TrainError::Constant { fold, seed, era: *era, what }),
            None => Ok(()),
        }
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
    use super::{Crew, groups};
    use crate::train::streams::Replica;

    #[test]
    fn groups_are_as_few_as_memory_allows_and_of_one_size() {
        for (most, replicas, group) in
            [(1, 12, 1), (48, 12, 12), (48, 60, 30), (48, 97, 33), (usize::MAX, 240, 240), (0, 5, 1), (7, 0, 1)]
        {
            assert_eq!(Crew { threads: 1, helpers: 0, most }.group(replicas), group, "{replicas}, at most {most}");
        }
    }

    #[test]
    fn groups_are_of_one_kind_and_in_the_order_of_their_first_replicas() {
        let replicas: Vec<Replica> =
            (0..2).flat_map(|fold| (0..3).map(move |member| Replica { fold, seed: 42, member })).collect();
        let crew = |most| Crew { threads: 1, helpers: 0, most };
        assert_eq!(groups(&replicas, &[0, 0, 0], crew(4)), [(0, vec![0, 1, 2]), (0, vec![3, 4, 5])]);
        assert_eq!(groups(&replicas, &[0, 1, 0], crew(9)), [(0, vec![0, 2, 3, 5]), (1, vec![1, 4])]);
        assert_eq!(groups(&replicas, &[0, 1, 0], crew(2)), [(0, vec![0, 2]), (1, vec![1, 4]), (0, vec![3, 5])]);
    }
}
