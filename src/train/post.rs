//! What happens to a cell's prediction before it is scored, era by era. Plain arithmetic; no label takes part.

use std::ops::Range;

use prepare::data::Harness;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use statrs::distribution::{ContinuousCDF, Normal};

use super::TrainError;
use super::aggregate::ranks;
use super::batches::Columns;
use super::kernels::loops::products::{Matrix, product};
use crate::spec::{Diversity, Ensemble, Neutralizer, Post, Spec};

/// A column is left out of a projection where those before it leave less than this share of its sum of squares: it is a sum
/// of them then, as far as double precision can tell.
const LEAST_LEFT: f64 = 1e-10;

/// The post-processing of a trial.
pub(super) struct PostProcessing<'h> {
    post: &'h Post,
    harness: &'h Harness,
    /// The features that predictions are neutralized to; None where they are not.
    features: Option<Columns>,
}

impl<'h> PostProcessing<'h> {
    /// As the spec says.
    ///
    /// # Errors
    /// Names that the data does not have.
    pub(super) fn of(spec: &'h Spec, harness: &'h Harness) -> Result<Self, TrainError> {
        let to_features = spec.post.neutralize.as_ref().is_some_and(|to| to.to == Neutralizer::Features);
        let features = if to_features {
            // All features that the spec uses, whichever part of them a member sees.
            let diversity = Diversity { features: 1.0, ..spec.ensemble.diversity.clone() };
            let whole = Spec { ensemble: Ensemble { diversity, ..spec.ensemble.clone() }, ..spec.clone() };
            Some(Columns::of(&whole, harness, 0)?)
        } else {
            None
        };
        Ok(Self { post: &spec.post, harness, features })
    }

    /// Processes the predictions for a fold's test rows, in the harness's order.
    pub(super) fn process(&self, fold: usize, predictions: &mut [f32]) {
        if !self.post.gaussianize && self.post.neutralize.is_none() {
            return;
        }
        let mut rest = predictions;
        let mut eras = Vec::new();
        for rows in self.harness.test_rows(fold) {
            let (era, after) = rest.split_at_mut(rows.len());
            eras.push((rows, era));
            rest = after;
        }
        eras.into_par_iter().for_each(|(rows, era)| self.era(rows, era));
    }

    fn era(&self, rows: Range<usize>, era: &mut [f32]) {
        let mut predictions: Vec<f64> = if self.post.gaussianize {
            normal_scores(era)
        } else {
            era.iter().map(|value| f64::from(*value)).collect()
        };
        if let Some(neutralize) = &self.post.neutralize {
            match &self.features {
                None => {
                    let benchmark = &self.harness.benchmark()[rows];
                    neutralize_to_benchmark(&mut predictions, benchmark, neutralize.proportion);
                }
                Some(columns) => {
                    let packed = self.harness.features();
                    let x: Vec<f32> =
                        rows.flat_map(|row| columns.packed(packed, row)).map(|value| f32::from(value) - 2.0).collect();
                    neutralize_to_features(&mut predictions, &x, neutralize.proportion);
                }
            }
        }
        era.iter_mut().zip(predictions).for_each(|(out, value)| *out = value as f32);
    }
}

/// Φ⁻¹((rank - 0.5) / count), ties sharing their average rank.
fn normal_scores(values: &[f32]) -> Vec<f64> {
    let normal = Normal::standard();
    ranks(values).into_iter().map(|share| normal.inverse_cdf(share)).collect()
}

/// Takes away a share of the part along the benchmark, among the rows that have one.
fn neutralize_to_benchmark(predictions: &mut [f64], benchmark: &[f32], proportion: f64) {
    let pairs = || predictions.iter().zip(benchmark).filter(|(_, b)| !b.is_nan()).map(|(p, b)| (*p, f64::from(*b)));
    let count = pairs().count().max(1) as f64;
    let (of_p, of_b) = pairs().fold((0.0, 0.0), |(p, b), pair| (p + pair.0 / count, b + pair.1 / count));
    let along = pairs().map(|(p, b)| (p - of_p) * (b - of_b)).sum::<f64>();
    let spread = pairs().map(|(_, b)| (b - of_b).powi(2)).sum::<f64>();
    if spread <= LEAST_LEFT * count * of_b * of_b {
        return;
    }
    let factor = proportion * along / spread;
    for (p, b) in predictions.iter_mut().zip(benchmark).filter(|(_, b)| !b.is_nan()) {
        *p -= factor * (f64::from(*b) - of_b);
    }
}

/// Takes away a share of the part in the span of the features `[row, feature]`, small whole numbers, each column centred.
///
/// The part is X·b with XᵀX·b = Xᵀp, by a Cholesky decomposition that leaves out columns which those before them already
/// span; the part is the same with any columns of that span.
pub(super) fn neutralize_to_features(predictions: &mut [f64], x: &[f32], proportion: f64) {
    let rows = predictions.len();
    let width = x.len() / rows.max(1);
    if width == 0 {
        return;
    }
    let count = rows as f64;
    let mean = predictions.iter().sum::<f64>() / count;
    let mut sums = vec![0.0; width];
    let mut right = vec![0.0; width];
    for (row, p) in x.chunks_exact(width).zip(&*predictions) {
        for ((x, sum), right) in row.iter().zip(&mut sums).zip(&mut right) {
            *sum += f64::from(*x);
            *right += f64::from(*x) * (p - mean);
        }
    }
    // Sums of products of small whole numbers are whole numbers that an f32 holds exactly.
    let mut products = vec![0.0_f32; width * width];
    product(Matrix::new(x, rows, width).transposed(), Matrix::new(x, rows, width), &mut products);
    let least: Vec<f64> = (0..width).map(|j| LEAST_LEFT * f64::from(products[j * width + j])).collect();
    let mut gram: Vec<f64> = products.into_iter().map(f64::from).collect();
    for (row, of_row) in gram.chunks_exact_mut(width).zip(&sums) {
        row.iter_mut().zip(&sums).for_each(|(value, sum)| *value -= of_row * sum / count);
    }
    let coefficients = solve(&mut gram, &mut right, &least);
    let middle: f64 = coefficients.iter().zip(&sums).map(|(b, sum)| b * sum / count).sum();
    for (row, p) in x.chunks_exact(width).zip(predictions) {
        let part: f64 = row.iter().zip(&coefficients).map(|(x, b)| f64::from(*x) * b).sum();
        *p -= proportion * (part - middle);
    }
}

/// b with gram·b = right, 0 for the columns that are left out because no more than `least` of them is left. `gram` is
/// symmetric and becomes the rows of its upper triangular factor; `right` becomes what is between the two triangles.
fn solve(gram: &mut [f64], right: &mut [f64], least: &[f64]) -> Vec<f64> {
    let width = right.len();
    let mut kept = vec![false; width];
    for j in 0..width {
        let (above, below) = gram.split_at_mut((j + 1) * width);
        let row = &mut above[j * width..];
        if row[j] <= least[j] {
            right[j] = 0.0;
            continue;
        }
        kept[j] = true;
        let root = row[j].sqrt();
        row[j..].iter_mut().for_each(|value| *value /= root);
        right[j] /= root;
        for i in j + 1..width {
            let factor = row[i];
            right[i] -= factor * right[j];
            let other = &mut below[(i - j - 1) * width..][i..width];
            other.iter_mut().zip(&row[i..]).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    let mut solution = vec![0.0; width];
    for j in (0..width).rev().filter(|j| kept[*j]) {
        let row = &gram[j * width..][..width];
        let after: f64 = row[j + 1..].iter().zip(&solution[j + 1..]).map(|(factor, b)| factor * b).sum();
        solution[j] = (right[j] - after) / row[j];
    }
    solution
}

#[cfg(test)]
mod tests;
