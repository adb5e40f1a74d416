//! Trials trained together: the nets of all of them are one queue, from which each thread takes the next. What a net comes to
//! depends on nothing else in the queue, and one trial's failure leaves the others alone.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use prepare::data::Harness;
use prepare::evaluate::CellId;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::TrainError;
use super::aggregate::{combine_members, combine_targets};
use super::feed::Feed;
use super::group::{Prediction, train_group};
use super::kernels::Kernels;
use super::streams::Replica;
use super::trial::{CellResult, Failed, Progress, Trial};

/// Who trains the replicas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crew {
    /// Threads that train groups of replicas side by side.
    pub(super) threads: usize,
    /// Threads that help each of them; 0 for one a core.
    pub(super) helpers: usize,
}

/// What is wanted of one trial.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'t, 'h> {
    pub(super) trial: &'t Trial<'h>,
    pub(super) cells: &'t [CellId],
    /// The most replicas that a group may have.
    pub(super) most: usize,
}

/// The size of a group: as few groups as can be, all of about one size.
fn size(replicas: usize, most: usize) -> usize {
    let groups = replicas.div_ceil(most.max(1)).max(1);
    replicas.div_ceil(groups).max(1)
}

/// Cuts replicas into groups of one kind, in the order of their first replicas, so that the first cells are whole
/// first. Each group is its kind and its replicas' places.
fn groups(replicas: &[Replica], kind_of: &[usize], most: usize) -> Vec<(usize, Vec<usize>)> {
    let kinds = kind_of.iter().max().map_or(0, |most| most + 1);
    let mut groups: Vec<(usize, Vec<usize>)> = (0..kinds)
        .flat_map(|kind| {
            let of_kind = |place: &usize| kind_of[replicas[*place].member as usize] == kind;
            let places: Vec<usize> = (0..replicas.len()).filter(of_kind).collect();
            let size = size(places.len(), most);
            places.chunks(size).map(|chunk| (kind, chunk.to_vec())).collect::<Vec<_>>()
        })
        .collect();
    groups.sort_by_key(|(_, places)| places[0]);
    groups
}

/// Trains what is wanted of each trial, those that come first first, and says for each what its cells came to. What is
/// reported is of the trial with that number.
pub(super) fn run<B: Kernels>(
    wanted: &[Wanted<'_, '_>],
    device: &B::Device,
    crew: Crew,
    report: &(dyn Fn(usize, Progress<'_>) + Sync),
) -> Vec<Result<Vec<CellResult>, Failed>>
where
    B::Device: Sync,
{
    let started = Instant::now();
    let jobs: Vec<Job<'_, '_>> =
        wanted.iter().enumerate().map(|(number, wanted)| Job::new(number, wanted, started, report)).collect();
    let queue: Vec<Group> = jobs
        .iter()
        .zip(wanted)
        .flat_map(|(job, wanted)| {
            let groups = groups(&job.replicas, &job.trial.kind_of, wanted.most);
            groups.into_iter().map(|(kind, places)| Group { job: job.number, kind, places })
        })
        .collect();
    let next = AtomicUsize::new(0);
    // What a device holds is made by the thread that uses it.
    let work = || work::<B>(&jobs, &queue, &next, device);
    if (crew.threads, crew.helpers) == (1, 0) {
        // A GPU's runtime keeps what a thread has freed for that thread alone (CubeCL: a stream with memory of its own each). A
        // thread for each request would hold on to more and more of it; whoever asks is the same one every time.
        work();
        return jobs.into_iter().map(Job::result).collect();
    }
    std::thread::scope(|scope| {
        for _ in 0..crew.threads.min(queue.len()).max(1) {
            scope.spawn(|| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(crew.helpers).build();
                match pool {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                }
            });
        }
    });
    jobs.into_iter().map(Job::result).collect()
}

/// Replicas that are trained as one, by the same spec on the same features.
struct Group {
    job: usize,
    kind: usize,
    /// Of the replicas among the job's.
    places: Vec<usize>,
}

/// Takes groups from the queue until it is empty.
fn work<B: Kernels>(jobs: &[Job<'_, '_>], queue: &[Group], next: &AtomicUsize, device: &B::Device) {
    let mut feed: Option<((usize, usize), Feed<'_, B>)> = None;
    while let Some(Group { job, kind, places }) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
        let (of, job) = ((*job, *kind), &jobs[*job]);
        if job.abandoned.load(Ordering::Relaxed) {
            continue;
        }
        // A device holds the data of one kind at a time.
        if feed.as_ref().is_none_or(|(held, _)| *held != of) {
            drop(feed.take());
        }
        let (_, feed) = feed.get_or_insert_with(|| (of, Feed::<B>::of(&job.trial.contexts[*kind], device.clone())));
        job.train(feed, places);
    }
}

/// A trial in training.
struct Job<'a, 'h> {
    number: usize,
    trial: &'a Trial<'h>,
    started: Instant,
    /// It has failed: nothing more of it is begun.
    abandoned: AtomicBool,
    replicas: Vec<Replica>,
    state: Mutex<State>,
    report: &'a (dyn Fn(usize, Progress<'_>) + Sync),
}

struct State {
    /// Predictions of trained nets whose cell is not whole yet, by replica.
    nets: Vec<Option<Net1>>,
    cells: Vec<CellResult>,
    done: usize,
    failure: Option<Failed>,
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

impl<'a, 'h> Job<'a, 'h> {
    fn new(
        number: usize,
        wanted: &Wanted<'a, 'h>,
        started: Instant,
        report: &'a (dyn Fn(usize, Progress<'_>) + Sync),
    ) -> Self {
        let members = wanted.trial.spec.ensemble.members;
        // Cell by cell, so that the first cells are whole first.
        let replicas: Vec<Replica> = wanted
            .cells
            .iter()
            .flat_map(|CellId { fold, seed }| (0..members).map(|member| Replica { fold: *fold, seed: *seed, member }))
            .collect();
        let mut nets = Vec::new();
        nets.resize_with(replicas.len(), || None);
        let state = Mutex::new(State { nets, cells: Vec::new(), done: 0, failure: None });
        Self { number, trial: wanted.trial, started, abandoned: AtomicBool::new(false), replicas, state, report }
    }

    fn result(self) -> Result<Vec<CellResult>, Failed> {
        let state = self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match state.failure {
            Some(failure) => Err(failure),
            None => Ok(state.cells),
        }
    }

    fn say(&self, progress: Progress<'_>) {
        (self.report)(self.number, progress);
    }

    fn train<B: Kernels>(&self, feed: &Feed<'_, B>, places: &[usize]) {
        let replicas: Vec<Replica> = places.iter().map(|place| self.replicas[*place]).collect();
        let trained = train_group(feed, &replicas, &|| self.say(Progress::Epoch));
        let handed_in = trained.map_err(Failed::from).and_then(|predictions| {
            places.par_iter().zip(predictions).try_for_each(|(place, net)| {
                let Replica { fold, seed, .. } = self.replicas[*place];
                let of_cell = |error| Failed { cell: Some(CellId { fold, seed }), error };
                self.hand_in(*place, &net).map_err(of_cell)
            })
        });
        if let Err(failure) = handed_in {
            lock(&self.state).failure.get_or_insert(failure);
            self.abandoned.store(true, Ordering::Relaxed);
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
            self.say(Progress::Replica { done: state.done, total: self.replicas.len() });
            self.whole_cell(&mut state, index)
        };
        if let Some(nets) = cell {
            let cell = self.score(replica, &nets, &eras)?;
            let mut state = lock(&self.state);
            self.say(Progress::Cell(&cell));
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
    use super::{groups, size};
    use crate::train::streams::Replica;

    #[test]
    fn groups_are_as_few_as_memory_allows_and_of_one_size() {
        for (most, replicas, group) in
            [(1, 12, 1), (48, 12, 12), (48, 60, 30), (48, 97, 33), (usize::MAX, 240, 240), (0, 5, 1), (7, 0, 1)]
        {
            assert_eq!(size(replicas, most), group, "{replicas}, at most {most}");
        }
    }

    #[test]
    fn groups_are_of_one_kind_and_in_the_order_of_their_first_replicas() {
        let replicas: Vec<Replica> =
            (0..2).flat_map(|fold| (0..3).map(move |member| Replica { fold, seed: 42, member })).collect();
        assert_eq!(groups(&replicas, &[0, 0, 0], 4), [(0, vec![0, 1, 2]), (0, vec![3, 4, 5])]);
        assert_eq!(groups(&replicas, &[0, 1, 0], 9), [(0, vec![0, 2, 3, 5]), (1, vec![1, 4])]);
        assert_eq!(groups(&replicas, &[0, 1, 0], 2), [(0, vec![0, 2]), (1, vec![1, 4]), (0, vec![3, 5])]);
    }
}
