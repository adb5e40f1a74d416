//! What nets learn, made once a trial on the host: labels transformed and freed of the benchmark, and the benchmark's ranks.
//!
//! Labels of training eras only; the harness gives no others. Ranks are taken era by era, so an era's are the same in every
//! fold, and folds share them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use prepare::data::Harness;
use prepare::metrics::rank_gaussianize;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

use super::TrainError;
use super::aggregate::ranks;
use super::batches::{Columns, EraRows, FoldData};
use super::era_weights::weigh;
use super::group::Context;
use crate::spec::{LossTerm, Spec, Transform};

/// One era's labels, `[row, target]`; NaN where missing.
#[derive(Clone, Debug)]
pub(super) enum Labels<'h> {
    /// As the harness has them.
    Harness(&'h [f32]),
    /// As the spec wants them.
    Made(Arc<[f32]>),
}

impl Deref for Labels<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Harness(labels) => labels,
            Self::Made(labels) => labels,
        }
    }
}

/// What the nets of a member learn from.
pub(super) struct Learned<'h> {
    pub(super) folds: Vec<FoldData<'h>>,
    /// Where a term of the loss looks at it.
    pub(super) benchmark: Option<Arc<BenchmarkRanks>>,
}

/// What the nets of a member learn from. What those of an `other` one learn from is shared as far as it is the same.
///
/// # Errors
/// Too few eras for early stopping.
pub(super) fn learned<'h>(
    spec: &Spec,
    harness: &'h Harness,
    columns: &Columns,
    other: Option<&Context<'h>>,
) -> Result<Learned<'h>, TrainError> {
    let folds = (0..harness.plan().folds.len()).map(|fold| FoldData::of(spec, harness, fold));
    let mut folds = folds.collect::<Result<Vec<_>, _>>()?;
    let other = other.filter(|other| other.spec.targets == spec.targets && other.spec.training == spec.training);
    match other.filter(|other| other.columns.same_features(columns)) {
        Some(other) => {
            let pairs = folds.iter_mut().zip(&other.folds);
            pairs.for_each(|(fold, other)| fold.era_weights.clone_from(&other.era_weights));
        }
        None => weigh(spec, columns, harness.features(), &mut folds),
    }
    match other {
        Some(other) => share(&other.folds, &mut folds),
        None => make(spec, harness, columns, &mut folds),
    }
    let known = other.filter(|other| other.spec.loss == spec.loss).and_then(|other| other.benchmark.clone());
    let benchmark = known.or_else(|| BenchmarkRanks::of(spec, harness).map(Arc::new));
    Ok(Learned { folds, benchmark })
}

/// Puts the labels that the spec asks for in place of the harness's, in the eras that are learned from and watched.
fn make(spec: &Spec, harness: &Harness, columns: &Columns, folds: &mut [FoldData<'_>]) {
    if spec.targets.transform == Transform::None && spec.targets.residual == 0.0 {
        return;
    }
    let eras = folds.iter().flat_map(|fold| fold.learn.iter().chain(&fold.watch));
    let eras: BTreeMap<usize, EraRows<'_>> = eras.map(|era| (era.rows.start, era.clone())).collect();
    let made: BTreeMap<usize, Arc<[f32]>> = eras
        .into_par_iter()
        .map(|(start, era)| {
            let mut labels = era.labels.to_vec();
            let benchmark = gaussianized(&harness.benchmark()[era.rows.clone()]);
            let width = (labels.len() / era.rows.len().max(1)).max(1);
            for column in &columns.targets {
                let values: Vec<f32> = labels.iter().skip(*column).step_by(width).copied().collect();
                let values = residual(transformed(&values, spec.targets.transform), &benchmark, spec.targets.residual);
                labels.iter_mut().skip(*column).step_by(width).zip(values).for_each(|(label, value)| *label = value);
            }
            (start, Arc::from(labels))
        })
        .collect();
    for era in folds.iter_mut().flat_map(|fold| fold.learn.iter_mut().chain(&mut fold.watch)) {
        if let Some(labels) = made.get(&era.rows.start) {
            era.labels = Labels::Made(labels.clone());
        }
    }
}

/// Takes the labels that were made for other nets, whose spec asks for the same ones in the same eras.
fn share(made: &[FoldData<'_>], folds: &mut [FoldData<'_>]) {
    let pairs = folds.iter_mut().zip(made);
    let eras = pairs
        .flat_map(|(fold, made)| fold.learn.iter_mut().zip(&made.learn).chain(fold.watch.iter_mut().zip(&made.watch)));
    for (era, made) in eras {
        if let Labels::Made(labels) = &made.labels {
            era.labels = Labels::Made(labels.clone());
        }
    }
}

/// One era's labels of one target, transformed as [`Transform`] says.
fn transformed(labels: &[f32], how: Transform) -> Vec<f32> {
    match how {
        Transform::None => labels.to_vec(),
        Transform::Rank => known(labels, |there| ranks(there).into_iter().map(|share| share as f32).collect()),
        Transform::Gaussian => gaussianized(labels).into_iter().map(|score| 0.5 + score / 4.0).collect(),
    }
}

/// y - share · m (m·y) / (m·m), m being the benchmark's scores, centred over the rows that have both.
fn residual(mut labels: Vec<f32>, benchmark: &[f32], share: f64) -> Vec<f32> {
    let both: Vec<usize> =
        (0..labels.len()).filter(|row| !labels[*row].is_nan() && !benchmark[*row].is_nan()).collect();
    let mean = both.iter().map(|row| f64::from(benchmark[*row])).sum::<f64>() / both.len().max(1) as f64;
    let centred = |row: usize| f64::from(benchmark[row]) - mean;
    let square: f64 = both.iter().map(|row| centred(*row).powi(2)).sum();
    if share == 0.0 || square <= 0.0 {
        return labels;
    }
    let product: f64 = both.iter().map(|row| centred(*row) * f64::from(labels[*row])).sum();
    for row in both {
        labels[row] = (f64::from(labels[row]) - share * centred(row) * product / square) as f32;
    }
    labels
}

/// Φ⁻¹((rank - 1/2) / n) over the values that are there.
pub(super) fn gaussianized(values: &[f32]) -> Vec<f32> {
    known(values, |values| {
        let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        rank_gaussianize(&wide).into_iter().map(|score| score as f32).collect()
    })
}

/// `of` over the values that are not NaN; the others stay.
fn known(values: &[f32], of: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
    let there: Vec<f32> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mut made = of(&there).into_iter();
    values.iter().map(|value| if value.is_nan() { *value } else { made.next().unwrap_or(*value) }).collect()
}

/// The benchmark of every packed row as gaussianized ranks within its era.
#[derive(Clone, Debug)]
pub(super) struct BenchmarkRanks {
    /// NaN where there is none.
    scores: Vec<f32>,
    missing: bool,
}

impl BenchmarkRanks {
    /// Ranks them, if a term of the loss looks at them.
    fn of(spec: &Spec, harness: &Harness) -> Option<Self> {
        if !spec.loss.iter().any(|term| matches!(term, LossTerm::Bmc(_))) {
            return None;
        }
        let mut scores = vec![f32::NAN; harness.rows()];
        for era in harness.eras() {
            scores[era.rows.clone()].copy_from_slice(&gaussianized(&harness.benchmark()[era.rows.clone()]));
        }
        Some(Self::new(scores))
    }

    /// Of every packed row's score, NaN where there is none.
    pub(super) fn new(scores: Vec<f32>) -> Self {
        let missing = scores.iter().any(|score| score.is_nan());
        Self { scores, missing }
    }

    /// Rows of the packed matrix.
    pub(super) fn rows(&self) -> usize {
        self.scores.len()
    }

    /// Whether any row is without a benchmark.
    pub(super) fn missing(&self) -> bool {
        self.missing
    }

    /// A row's score and its mask: 0 and 0 where there is none.
    pub(super) fn at(&self, row: usize) -> (f32, f32) {
        let score = self.scores[row];
        if score.is_nan() { (0.0, 0.0) } else { (score, 1.0) }
    }
}

#[cfg(test)]
mod tests;
