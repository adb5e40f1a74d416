//! Which rows a batch holds, and the gathering of them from the packed u8 features.

use std::ops::Range;

use prepare::data::{EraSpan, Harness};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::{IndexedParallelIterator, ParallelIterator, ParallelSlice, ParallelSliceMut};

use super::TrainError;
use super::kernels::buffers;
use super::kernels::loops::features::{prefetch, scaled, unpack};
use super::labels::Labels;
use super::split::inner_split;
use crate::spec::net::Inputs;
use crate::spec::{Names, Spec, Within};

/// Eras are cut into parts of at most this many rows where the loss is taken per era.
const MOST_PART_ROWS: usize = 1024;

/// How many rows before its turn a row is asked for.
const AHEAD: usize = 12;

/// The columns that a spec uses.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Columns of the packed features; None for all, in their order.
    features: Option<Vec<usize>>,
    feature_total: usize,
    /// Columns of the training targets.
    pub(super) targets: Vec<usize>,
    target_total: usize,
}

impl Columns {
    /// Looks the spec's names up.
    ///
    /// # Errors
    /// A name that the data does not have; `Spec::check_data` says so first.
    pub(super) fn of(spec: &Spec, harness: &Harness) -> Result<Self, TrainError> {
        let features = match &spec.features.sets {
            Names::All => None,
            Names::Only(names) => {
                let mut columns = Vec::new();
                for name in names {
                    let set = harness.feature_set(name);
                    columns
                        .extend(set.ok_or_else(|| TrainError::Data(format!("the data has no feature set `{name}`")))?);
                }
                columns.sort_unstable();
                columns.dedup();
                Some(columns)
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
        Ok(Self { features, feature_total: harness.feature_count(), targets, target_total: known.len() })
    }

    /// How many features a net reads.
    pub(super) fn inputs(&self) -> usize {
        self.features.as_ref().map_or(self.feature_total, Vec::len)
    }

    /// What a net is laid out for: the features, the sets that they make up, the targets.
    pub(super) fn layout(&self, spec: &Spec, harness: &Harness) -> Inputs {
        let place = |column: &usize| match &self.features {
            None => Some(*column),
            Some(columns) => columns.binary_search(column).ok(),
        };
        let known = &harness.protocol().features.sets;
        let names = match &spec.features.sets {
            Names::All => known,
            Names::Only(names) => names,
        };
        let sets = names.iter().map(|name| {
            let mut columns: Vec<usize> =
                harness.feature_set(name).unwrap_or_default().iter().filter_map(place).collect();
            columns.sort_unstable();
            (name.clone(), columns)
        });
        Inputs { features: self.inputs(), sets: sets.collect(), targets: self.targets.len() }
    }

    /// One row of the whole packed matrix.
    fn packed_row<'f>(&self, features: &'f [u8], row: usize) -> &'f [u8] {
        &features[row * self.feature_total..][..self.feature_total]
    }

    /// Writes one row's features as -1, -0.5, 0, 0.5, 1. `features` is the whole packed matrix.
    pub(super) fn write_features(&self, features: &[u8], row: usize, out: &mut [f32]) {
        let row = self.packed_row(features, row);
        match &self.features {
            None => unpack(row, out),
            Some(columns) => {
                for (column, out) in columns.iter().zip(out) {
                    *out = scaled(row[*column]);
                }
            }
        }
    }

    /// The used columns of every row, `[row, feature]`. `features` is the whole packed matrix.
    pub(super) fn used(&self, features: &[u8]) -> Vec<u8> {
        let Some(columns) = &self.features else { return features.to_vec() };
        let mut used = vec![0; features.len() / self.feature_total.max(1) * columns.len()];
        let rows = features.par_chunks_exact(self.feature_total.max(1));
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

/// One era's rows and labels.
#[derive(Clone, Debug)]
pub(super) struct EraRows<'h> {
    /// Rows of the packed matrix.
    pub(super) rows: Range<usize>,
    /// `[row, target]` of all the protocol's training targets.
    pub(super) labels: Labels<'h>,
}

/// What one fold is learned from and watched on.
#[derive(Clone, Debug)]
pub(super) struct FoldData<'h> {
    pub(super) learn: Vec<EraRows<'h>>,
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
            chosen.map(|(span, labels)| EraRows { rows: span.rows.clone(), labels: Labels::Harness(labels) }).collect()
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
        Ok(Self { learn, watch, test: harness.test_rows(fold) })
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
    /// Whether a batch consists of runs of rows of one era each, as a loss per era needs; else its rows are mixed.
    pub(super) per_era: bool,
    /// How many such runs; 1 for mixed rows.
    pub(super) parts: usize,
    /// Batches an epoch.
    pub(super) steps: usize,
}

impl BatchPlan {
    /// Cuts the smallest fold's rows.
    pub(super) fn of(spec: &Spec, folds: &[FoldData<'_>]) -> Self {
        let wanted = spec.training.batch_rows as usize;
        let per_era = spec.loss.iter().any(|term| term.within() == Some(Within::Era));
        if !per_era {
            let smallest = folds.iter().map(FoldData::learn_rows).min().unwrap_or(0);
            let rows = wanted.min(smallest).max(1);
            return Self { rows, per_era, parts: 1, steps: (smallest / rows).max(1) };
        }
        let eras = || folds.iter().flat_map(|fold| &fold.learn);
        let part = eras().map(|era| era.rows.len()).min().unwrap_or(1).min(wanted).clamp(1, MOST_PART_ROWS);
        let count = |fold: &FoldData<'_>| fold.learn.iter().map(|era| era.rows.len() / part).sum::<usize>();
        let parts_there = folds.iter().map(count).min().unwrap_or(1).max(1);
        let parts = (wanted / part).clamp(1, parts_there);
        Self { rows: parts * part, per_era, parts, steps: (parts_there / parts).max(1) }
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
        let part = plan.rows / plan.parts;
        if !plan.per_era {
            for (era, rows) in fold.learn.iter().enumerate() {
                self.order.extend((0..rows.rows.len() as u32).map(|row| (era as u32, row)));
            }
            self.order.shuffle(&mut self.stream);
            return;
        }
        let mut cut: Vec<Vec<(u32, u32)>> = Vec::new();
        for (era, rows) in fold.learn.iter().enumerate() {
            let mut all: Vec<(u32, u32)> = (0..rows.rows.len() as u32).map(|row| (era as u32, row)).collect();
            all.shuffle(&mut self.stream);
            cut.extend(all.chunks_exact(part).map(<[_]>::to_vec));
        }
        cut.shuffle(&mut self.stream);
        self.order.extend(cut.into_iter().flatten());
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
        features: &[u8],
        (batch, replica): (&mut Batch, usize),
    ) {
        let (inputs, targets) = (columns.inputs(), columns.targets.len());
        let order = &self.order[step * plan.rows..][..plan.rows];
        for (place, (era, row)) in order.iter().enumerate() {
            if let Some((era, row)) = order.get(place + AHEAD) {
                prefetch(columns.packed_row(features, fold.learn[*era as usize].rows.start + *row as usize));
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
