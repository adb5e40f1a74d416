//! What rows of each era count when an epoch's rows are drawn, and how many of each are then drawn.
//!
//! Weighting by drawing, not by factors in the loss: every loss sees it, those that are correlations too.

use std::collections::BTreeMap;

use prepare::features::Features;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

use super::batches::{Columns, EraRows, FoldData};
use crate::spec::{EraWeighting, Spec};

/// An era's volatility is taken as at least this share of the mean.
const LEAST_VOLATILITY: f64 = 0.1;

/// Weighs the learned eras of every fold, by labels as the harness has them. `features` is the whole packed matrix. An era's
/// volatility is the same in every fold, so it is taken once.
pub(super) fn weigh(spec: &Spec, columns: &Columns, features: Features<'_>, folds: &mut [FoldData<'_>]) {
    let volatile = matches!(spec.training.era_weighting, EraWeighting::Volatility(_));
    let eras = folds.iter().flat_map(|fold| &fold.learn).filter(|_| volatile);
    let eras: BTreeMap<usize, &EraRows<'_>> = eras.map(|era| (era.rows.start, era)).collect();
    let volatilities: BTreeMap<usize, Option<f64>> =
        eras.into_par_iter().map(|(start, era)| (start, volatility(columns, features, era))).collect();
    for fold in folds {
        fold.era_weights = era_weights(spec, &fold.learn, &volatilities);
    }
}

/// The weight of each learned era; empty where all count the same. `volatilities` are those of eras by their first row.
fn era_weights(spec: &Spec, learn: &[EraRows<'_>], volatilities: &BTreeMap<usize, Option<f64>>) -> Vec<f64> {
    match &spec.training.era_weighting {
        EraWeighting::Uniform(_) => Vec::new(),
        EraWeighting::Recency(recency) => {
            let last = learn.iter().map(|era| era.era).max().unwrap_or(0);
            learn.iter().map(|era| 0.5_f64.powf(f64::from(last - era.era) / recency.half_life)).collect()
        }
        EraWeighting::Volatility(by) => {
            let found: Vec<Option<f64>> =
                learn.iter().map(|era| volatilities.get(&era.rows.start).copied().flatten()).collect();
            let known = found.iter().flatten().count();
            let mean = found.iter().flatten().sum::<f64>() / known.max(1) as f64;
            if mean > 0.0 {
                // An era of which nothing can be said counts as one of the mean.
                let relative = found.iter().map(|era| era.map_or(1.0, |era| (era / mean).max(LEAST_VOLATILITY)));
                relative.map(|era| era.powf(-by.power)).collect()
            } else {
                Vec::new()
            }
        }
    }
}

/// The root mean square over the used features of the correlation of feature and first target, over the rows that have it.
/// Features that do not vary among them are left out; None if none does, or if no row has a target.
fn volatility(columns: &Columns, features: Features<'_>, era: &EraRows<'_>) -> Option<f64> {
    let each = era.labels.len() / era.rows.len().max(1);
    let (mut n, mut sy, mut syy) = (0.0, 0.0, 0.0);
    let mut sums = vec![[0.0_f64; 3]; columns.features()];
    for (place, row) in era.rows.clone().enumerate() {
        let y = f64::from(era.labels[place * each + columns.targets[0]]);
        if y.is_nan() {
            continue;
        }
        n += 1.0;
        sy += y;
        syy += y * y;
        for (x, [sx, sxx, sxy]) in columns.packed(features, row).zip(&mut sums) {
            let x = f64::from(x);
            *sx += x;
            *sxx += x * x;
            *sxy += x * y;
        }
    }
    let of_y = n * syy - sy * sy;
    let squares = sums.iter().filter_map(|[sx, sxx, sxy]| {
        let spread = (n * sxx - sx * sx) * of_y;
        (spread > 0.0).then(|| (n * sxy - sx * sy).powi(2) / spread)
    });
    let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), square| (sum + square, count + 1.0));
    (count > 0.0).then(|| (sum / count).sqrt())
}

/// Divides `total` draws in proportion to the weights by systematic resampling: one uniform number `start` in [0, 1) places
/// a comb with one tooth a draw over the stretches of all weights. Each count is its expectation rounded up or down.
pub(super) fn systematic(weights: &[f64], total: usize, start: f64) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let (mut reached, mut teeth) = (0.0, 0);
    let mut counts: Vec<usize> = weights
        .iter()
        .map(|weight| {
            reached += weight;
            let passed = ((reached / sum * total as f64 - start).ceil().max(0.0) as usize).min(total);
            let count = passed.saturating_sub(teeth);
            teeth = teeth.max(passed);
            count
        })
        .collect();
    // Roundings in the sum may leave a tooth over.
    if let Some(last) = counts.last_mut() {
        *last += total - teeth;
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use super::systematic;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn counts_are_within_one_of_their_expectation(weights in vec(1e-3_f64..10.0, 1..80), total in 0_usize..5000, start in 0.0_f64..1.0) {
            let counts = systematic(&weights, total, start);
            prop_assert_eq!(counts.iter().sum::<usize>(), total);
            let sum: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!((*count as f64 - weight / sum * total as f64).abs() < 1.0 + 1e-6, "{count} of {weight}");
            }
        }
    }

    #[test]
    fn equal_weights_draw_each_once_and_starts_average_to_the_expectation() {
        assert_eq!(systematic(&[2.0; 7], 7, 0.3), [1; 7]);
        let starts = 1000;
        let mut sums = [0; 3];
        for start in 0..starts {
            let counts = systematic(&[0.5, 0.3, 1.2], 10, (f64::from(start) + 0.5) / f64::from(starts));
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        // 10 draws of weights 0.25, 0.15 and 0.6.
        assert_eq!(sums, [2500, 1500, 6000]);
    }
}
