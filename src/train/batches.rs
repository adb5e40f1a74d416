//! Which rows a batch holds, and the gathering of them from the packed u8 features.

use std::ops::Range;
use std::sync::Arc;

use prepare::data::{EraSpan, Harness};
use prepare::features::Features;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::{IndexedParallelIterator, ParallelIterator, ParallelSliceMut};

use super::TrainError;
use super::aggregate::ranks;
use super::era_weights::systematic;
use super::facts::facts;
use super::kernels::buffers;
use super::kernels::loops::features::{prefetch, scaled, unpack};
use super::labels::Labels;
use super::split::inner_split;
use super::streams::{Purpose, Replica};
use crate::spec::members::seen_features;
use crate::spec::net::Inputs;
use crate::spec::{Batches, Names, Spec, Within};

/// Eras are cut into parts of at most this many rows where the loss is taken per era and rows are not asked for by era.
const MOST_PART_ROWS: usize = 1024;

/// How many rows before its turn a row is asked for.
const AHEAD: usize = 12;

/// The columns that a spec uses.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Columns of the packed features; None for all, in their order.
    features: Option<Vec<usize>>,
    feature_total: usize,
    /// Whether the benchmark is an input after the features.
    reads_benchmark: bool,
    /// Its rank in its era by row of the packed matrix, from -1 to 1, once it is given; all members share it.
    benchmark: Option<Arc<[f32]>>,
    /// Columns of the training targets.
    pub(super) targets: Vec<usize>,
    target_total: usize,
}

impl Columns {
    /// Looks the spec's names up. Where members see parts of the features, this is the member's part.
    ///
    /// # Errors
    /// A name that the data does not have; `Spec::check_data` says so first.
    pub(super) fn of(spec: &Spec, harness: &Harness, member: u32) -> Result<Self, TrainError> {
        let features = match &spec.features.sets {
            Names::All => None,
            Names::Only(names) => {
                if let Some(name) = names.iter().find(|name| harness.feature_set(name).is_none()) {
                    return Err(TrainError::Data(format!("the data has no feature set `{name}`")));
                }
                Some(facts(harness).columns(spec))
            }
        };
        let known = harness.target_names();
        let targets = match &spec.targets.train_on {
            Names::All => (0..known.len()).collect(),
            Names::Only(names) => names
                .iter()
                .map(|name| known.iter().position(|other| other == name))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| {
                    TrainError::Data(format!("the data does not have all of the targets {}", names.join(", ")))
                })?,
        };
        let feature_total = harness.feature_count();
        let reads_benchmark = spec.reads_benchmark();
        let mut columns =
            Self { features, feature_total, reads_benchmark, benchmark: None, targets, target_total: known.len() };
        let seen = seen_features(spec, columns.features());
        if seen < columns.features() {
            let mut all = columns.features.unwrap_or_else(|| (0..feature_total).collect());
            all.shuffle(&mut Replica { fold: 0, seed: 0, member }.stream(Purpose::Features));
            all.truncate(seen);
            all.sort_unstable();
            columns.features = Some(all);
        }
        Ok(columns)
    }

    /// With the benchmark's ranks where they are read: those of other columns, or else taken now.
    pub(super) fn with_benchmark(mut self, harness: &Harness, other: Option<&Self>) -> Self {
        if self.reads_benchmark {
            let known = other.and_then(|other| other.benchmark.clone());
            self.benchmark = Some(known.unwrap_or_else(|| benchmark_ranks(harness).into()));
        }
        self
    }

    /// Whether they are the same features.
    pub(super) fn same_features(&self, other: &Self) -> bool {
        self.features == other.features
    }

    /// How many numbers a net reads.
    pub(super) fn inputs(&self) -> usize {
        self.features() + usize::from(self.reads_benchmark)
    }

    /// How many of them are features.
    pub(super) fn features(&self) -> usize {
        self.features.as_ref().map_or(self.feature_total, Vec::len)
    }

    /// The benchmark as an input, by row of the packed matrix.
    pub(super) fn benchmark(&self) -> Option<&[f32]> {
        self.benchmark.as_deref()
    }

    /// What a net is laid out for.
    pub(super) fn layout(&self, spec: &Spec, harness: &Harness) -> Inputs {
        match &self.features {
            Some(columns) => facts(harness).layout(spec, columns),
            None => facts(harness).layout(spec, &(0..self.feature_total).collect::<Vec<_>>()),
        }
    }

    /// Writes one row's features as -1, -0.5, 0, 0.5, 1, and what follows them. `features` is the whole packed matrix.
    pub(super) fn write_features(&self, features: Features<'_>, row: usize, out: &mut [f32]) {
        let (out, after) = out.split_at_mut(self.features());
        if let (Some(benchmark), [after]) = (&self.benchmark, after) {
            *after = benchmark[row];
        }
        let row = features.row(row);
        match &self.features {
            None => unpack(row, out),
            Some(columns) => {
                for (column, out) in columns.iter().zip(out) {
                    *out = scaled(row[*column]);
                }
            }
        }
    }

    /// The used features of one row, as packed. `features` is the whole packed matrix.
    pub(super) fn packed<'f>(&'f self, features: Features<'f>, row: usize) -> impl Iterator<Item = u8> + 'f {
        let row = features.row(row);
        let column = |place| self.features.as_ref().map_or(place, |columns| columns[place]);
        (0..self.features()).map(move |place| row[column(place)])
    }

    /// The used features of every row, `[row, feature]`. `features` is the whole packed matrix.
    pub(super) fn used(&self, features: Features<'_>) -> Vec<u8> {
        let Some(columns) = &self.features else { return features.to_vec() };
        let rows = features.par_rows();
        let mut used = vec![0; rows.len() * columns.len()];
        rows.zip(used.par_chunks_exact_mut(columns.len().max(1))).for_each(|(row, out)| {
            for (column, out) in columns.iter().zip(out) {
                *out = row[*column];
            }
        });
        used
    }

    /// Writes one row's targets minus 0.5, and its mask; a missing target is 0 with mask 0. True if one is missing.
    pub(super) fn write_targets(&self, labels: &[f32], row: usize, targets: &mut [f32], mask: &mut [f32]) -> bool {
        let row = &labels[row * self.target_total..][..self.target_total];
        let mut missing = false;
        for ((column, target), mask) in self.targets.iter().zip(targets).zip(mask) {
            let value = row[*column];
            let here = !value.is_nan();
            missing |= !here;
            *target = if here { value - 0.5 } else { 0.0 };
            *mask = if here { 1.0 } else { 0.0 };
        }
        missing
    }
}

/// The benchmark's rank within its era, from -1 to 1, ties sharing their average; 0 where a row has none.
fn benchmark_ranks(harness: &Harness) -> Vec<f32> {
    let benchmark = harness.benchmark();
    let mut ranked = vec![0.0; benchmark.len()];
    for era in harness.eras() {
        let rows: Vec<usize> = era.rows.clone().filter(|row| !benchmark[*row].is_nan()).collect();
        let values: Vec<f32> = rows.iter().map(|row| benchmark[*row]).collect();
        // From (rank - 0.5) / count to (rank - 1) / (count - 1).
        let (count, spread) = (rows.len() as f64, (rows.len().max(2) - 1) as f64);
        for (row, rank) in rows.iter().zip(ranks(&values)) {
            ranked[*row] = ((rank * count - 0.5) / spread * 2.0 - 1.0) as f32;
        }
        if let [only] = rows.as_slice() {
            ranked[*only] = 0.0;
        }
    }
    ranked
}

/// One era's rows and labels.
#[derive(Clone, Debug)]
pub(super) struct EraRows<'h> {
    /// The era's number.
    pub(super) era: u32,
    /// Rows of the packed matrix.
    pub(super) rows: Range<usize>,
    /// `[row, target]` of all the protocol's training targets.
    pub(super) labels: Labels<'h>,
}

/// What one fold is learned from and watched on.
#[derive(Clone, Debug)]
pub(super) struct FoldData<'h> {
    pub(super) learn: Vec<EraRows<'h>>,
    /// What a row of each of these eras counts when rows are drawn; empty where all count the same.
    pub(super) era_weights: Vec<f64>,
    /// Empty without early stopping.
    pub(super) watch: Vec<EraRows<'h>>,
    /// Row ranges of the test eras.
    pub(super) test: Vec<Range<usize>>,
}

impl<'h> FoldData<'h> {
    /// Divides a fold's training eras.
    ///
    /// # Errors
    /// Too few eras for early stopping.
    pub(super) fn of(spec: &Spec, harness: &'h Harness, fold: usize) -> Result<Self, TrainError> {
        let set = harness.training(fold);
        let spans: Vec<(&EraSpan, &'h [f32])> =
            set.eras().iter().enumerate().map(|(index, span)| (span, set.targets(index))).collect();
        let only = |wanted: &[u32]| -> Vec<EraRows<'h>> {
            let chosen = spans.iter().filter(|(span, _)| wanted.contains(&span.era));
            chosen
                .map(|(span, labels)| EraRows {
                    era: span.era,
                    rows: span.rows.clone(),
                    labels: Labels::Harness(labels),
                })
                .collect()
        };
        let all: Vec<u32> = spans.iter().map(|(span, _)| span.era).collect();
        let (learn, watch) = match spec.training.patience {
            None => (only(&all), Vec::new()),
            Some(_) => {
                let split = inner_split(&all, harness.protocol().folds.embargo)
                    .map_err(|why| TrainError::Data(format!("fold {fold}: {why}")))?;
                (only(&split.learn), only(&split.watch))
            }
        };
        Ok(Self { learn, era_weights: Vec::new(), watch, test: harness.test_rows(fold) })
    }

    fn learn_rows(&self) -> usize {
        self.learn.iter().map(|era| era.rows.len()).sum()
    }
}

/// How an epoch is cut into batches: the same for every fold, so that a replica's numbers do not depend on which others
/// train beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchPlan {
    /// Rows a batch.
    pub(super) rows: usize,
    /// Whether a batch consists of runs of rows of one era each; else its rows are mixed.
    pub(super) per_era: bool,
    /// How many such runs; 1 for mixed rows.
    pub(super) parts: usize,
    /// Whether the runs of a batch are of different eras, as far as no era has more runs than there are batches.
    pub(super) distinct: bool,
    /// Batches an epoch.
    pub(super) steps: usize,
}

impl BatchPlan {
    /// Cuts the smallest fold's rows.
    pub(super) fn of(spec: &Spec, folds: &[FoldData<'_>]) -> Self {
        let wanted = spec.training.batch_rows as usize;
        let loss_per_era = spec.loss.iter().any(|term| term.within() == Some(Within::Era));
        // The most rows of a run, and how many runs a batch has where that is given.
        let (most, asked) = match &spec.training.batches {
            Batches::Rows(_) if !loss_per_era => {
                let smallest = folds.iter().map(FoldData::learn_rows).min().unwrap_or(0);
                let rows = wanted.min(smallest).max(1);
                return Self { rows, per_era: false, parts: 1, distinct: false, steps: (smallest / rows).max(1) };
            }
            Batches::Rows(_) => (wanted.min(MOST_PART_ROWS), None),
            Batches::Era(_) => (wanted, Some(1)),
            Batches::Eras(eras) => {
                let fewest = folds.iter().map(|fold| fold.learn.len()).min().unwrap_or(1);
                let count = (eras.count as usize).min(fewest).max(1);
                (wanted / count, Some(count))
            }
        };
        let eras = || folds.iter().flat_map(|fold| &fold.learn);
        let part = eras().map(|era| era.rows.len()).min().unwrap_or(1).min(most).max(1);
        let count = |fold: &FoldData<'_>| fold.learn.iter().map(|era| era.rows.len() / part).sum::<usize>();
        let parts_there = folds.iter().map(count).min().unwrap_or(1).max(1);
        let parts = asked.unwrap_or(wanted / part).clamp(1, parts_there);
        let steps = (parts_there / parts).max(1);
        Self { rows: parts * part, per_era: true, parts, distinct: asked.is_some_and(|count| count > 1), steps }
    }
}

/// A batch on the host, all replicas of a group one after another.
#[derive(Debug)]
pub(super) struct Batch {
    /// `[replica, row, feature]`
    pub(super) features: Vec<f32>,
    /// `[replica, row, target]`
    pub(super) targets: Vec<f32>,
    /// The same shape: 1 where there is a target.
    pub(super) mask: Vec<f32>,
    /// Whether any target is missing.
    pub(super) missing: bool,
}

impl Batch {
    /// Room for `count` replicas' rows.
    pub(super) fn new(count: usize, plan: &BatchPlan, columns: &Columns) -> Self {
        let rows = count * plan.rows;
        let targets = rows * columns.targets.len();
        Self {
            features: buffers::take(rows * columns.inputs()),
            targets: buffers::take(targets),
            mask: buffers::take(targets),
            missing: false,
        }
    }
}

/// The order in which one replica sees its rows.
pub(super) struct Sampler {
    stream: ChaCha8Rng,
    order: Vec<(u32, u32)>,
}

impl Sampler {
    /// A sampler with its own stream.
    pub(super) fn new(stream: ChaCha8Rng) -> Self {
        Self { stream, order: Vec::new() }
    }

    /// Draws the next epoch's order.
    pub(super) fn shuffle(&mut self, fold: &FoldData<'_>, plan: &BatchPlan) {
        self.order.clear();
        if plan.per_era {
            self.shuffle_runs(fold, plan);
            return;
        }
        for (era, (rows, count)) in self.counts(fold, 1).into_iter().enumerate() {
            let all = (0..rows as u32).map(|row| (era as u32, row));
            for _ in 0..count / rows.max(1) {
                self.order.extend(all.clone());
            }
            // What is left of the count is a random part of the era.
            if let rest @ 1.. = count % rows.max(1) {
                let mut all: Vec<(u32, u32)> = all.collect();
                all.shuffle(&mut self.stream);
                self.order.extend(&all[..rest]);
            }
        }
        self.order.shuffle(&mut self.stream);
    }

    fn shuffle_runs(&mut self, fold: &FoldData<'_>, plan: &BatchPlan) {
        let part = plan.rows / plan.parts;
        let mut cut: Vec<Vec<Vec<(u32, u32)>>> = Vec::new();
        for (era, (_, count)) in self.counts(fold, part).into_iter().enumerate() {
            let mut runs: Vec<Vec<(u32, u32)>> = Vec::new();
            while runs.len() < count {
                let rows = fold.learn[era].rows.len() as u32;
                let mut all: Vec<(u32, u32)> = (0..rows).map(|row| (era as u32, row)).collect();
                all.shuffle(&mut self.stream);
                runs.extend(all.chunks_exact(part).take(count - runs.len()).map(<[_]>::to_vec));
            }
            cut.push(runs);
        }
        if !plan.distinct {
            let mut runs: Vec<Vec<(u32, u32)>> = cut.into_iter().flatten().collect();
            runs.shuffle(&mut self.stream);
            self.order.extend(runs.into_iter().flatten());
            return;
        }
        // Eras one after another, in random order: runs so far apart that no era reaches from one to the other are of
        // different eras.
        cut.shuffle(&mut self.stream);
        let runs: Vec<Vec<(u32, u32)>> = cut.into_iter().flatten().collect();
        let apart = runs.len() / plan.parts;
        let mut batches: Vec<usize> = (0..apart).collect();
        batches.shuffle(&mut self.stream);
        for batch in batches {
            self.order.extend(runs[batch..].iter().step_by(apart).take(plan.parts).flatten());
        }
    }

    /// Each learned era's number of units of `unit` rows, and how many of them this epoch draws: as many in all, each in
    /// proportion to its era's weight.
    fn counts(&mut self, fold: &FoldData<'_>, unit: usize) -> Vec<(usize, usize)> {
        let there: Vec<usize> = fold.learn.iter().map(|era| era.rows.len() / unit).collect();
        if fold.era_weights.is_empty() {
            return there.iter().map(|count| (*count, *count)).collect();
        }
        let raw: Vec<f64> = there.iter().zip(&fold.era_weights).map(|(count, weight)| *count as f64 * weight).collect();
        let counts = systematic(&raw, there.iter().sum(), self.stream.random());
        there.into_iter().zip(counts).collect()
    }

    /// The first `count` rows of this epoch, counted from where each era of the fold starts.
    pub(super) fn places(&self, starts: &[u32], count: usize) -> Vec<i32> {
        self.order[..count].iter().map(|(era, row)| (starts[*era as usize] + row) as i32).collect()
    }

    /// Rows of the packed matrix that batch `step` holds.
    pub(super) fn packed_rows<'s>(
        &'s self,
        step: usize,
        plan: &BatchPlan,
        fold: &'s FoldData<'_>,
    ) -> impl Iterator<Item = usize> + 's {
        let order = &self.order[step * plan.rows..][..plan.rows];
        order.iter().map(|(era, row)| fold.learn[*era as usize].rows.start + *row as usize)
    }

    /// Writes the rows of batch `step` as those of replica `replica` of `batch`.
    pub(super) fn fill(
        &self,
        step: usize,
        plan: &BatchPlan,
        fold: &FoldData<'_>,
        columns: &Columns,
        features: Features<'_>,
        (batch, replica): (&mut Batch, usize),
    ) {
        let (inputs, targets) = (columns.inputs(), columns.targets.len());
        let order = &self.order[step * plan.rows..][..plan.rows];
        for (place, (era, row)) in order.iter().enumerate() {
            if let Some((era, row)) = order.get(place + AHEAD) {
                prefetch(features.row(fold.learn[*era as usize].rows.start + *row as usize));
            }
            let place = replica * plan.rows + place;
            let (era, row) = (&fold.learn[*era as usize], *row as usize);
            columns.write_features(features, era.rows.start + row, &mut batch.features[place * inputs..][..inputs]);
            let range = place * targets..(place + 1) * targets;
            let (target, mask) = (&mut batch.targets[range.clone()], &mut batch.mask[range]);
            batch.missing |= columns.write_targets(&era.labels, row, target, mask);
        }
    }
}
