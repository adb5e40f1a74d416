//! Numerai's two scores of one era, number for number as numerai-tools 0.7.2 computes them. Pure.
//!
//! All slices of a call are aligned: position `i` is the same row everywhere, and NaN means that a side has no value
//! for it. numerai-tools sorts by id before ranking; ties get their average rank, so the order of rows never shows.

use statrs::distribution::{ContinuousCDF, Normal};

/// Rows that may be lost to alignment, as a share of either side, before a score is refused.
const MOST_MISSING: f64 = 0.2;

/// Why an era has no score.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// The slices differ in length, so they cannot be about the same rows.
    #[error("{left} values on one side and {right} on the other")]
    Length {
        /// Length of the first slice.
        left: usize,
        /// Length of the slice that differs.
        right: usize,
    },
    /// More than a fifth of the rows have no value on some side.
    #[error("only {aligned} of {rows} rows have a value on every side; at least 80 % must")]
    TooManyMissing {
        /// Rows with a value everywhere.
        aligned: usize,
        /// Rows in all.
        rows: usize,
    },
}

/// CORR of one era: the Pearson correlation of gaussianized predictions and centred target, both to the power 1.5.
///
/// The target is centred over all of its values before rows without a prediction are dropped. Constant predictions
/// or a constant target give NaN.
///
/// # Errors
/// When the lengths differ, or fewer than 80 % of the rows have both values.
pub fn numerai_corr(predictions: &[f64], target: &[f64]) -> Result<f64, MetricError> {
    same_length(predictions, target)?;
    let centre = mean(target.iter().copied().filter(|value| !value.is_nan()));
    let rows = aligned(&[predictions, target])?;
    let ranked = rank_gaussianize(&pick(predictions, &rows));
    let x: Vec<f64> = ranked.into_iter().map(power).collect();
    let y: Vec<f64> = rows.iter().map(|&row| power(target[row] - centre)).collect();
    Ok(pearson(&x, &y))
}

/// Contribution of one era (MMC; BMC when `meta` is a benchmark): the covariance with the target of what is left of
/// the gaussianized predictions once the gaussianized meta model is projected out.
///
/// A target within [0, 1] is multiplied by 4 first. Constant predictions give 0, a constant meta model NaN.
///
/// # Errors
/// When the lengths differ, or fewer than 80 % of the rows have all three values.
pub fn correlation_contribution(predictions: &[f64], meta: &[f64], target: &[f64]) -> Result<f64, MetricError> {
    same_length(predictions, target)?;
    same_length(predictions, meta)?;
    let rows = aligned(&[predictions, meta, target])?;
    let p = rank_gaussianize(&pick(predictions, &rows));
    let m = rank_gaussianize(&pick(meta, &rows));
    let mut t = pick(target, &rows);
    if t.iter().all(|value| (0.0..=1.0).contains(value)) {
        t.iter_mut().for_each(|value| *value *= 4.0);
    }
    let centre = mean(t.iter().copied());
    let share = dot(&p, &m) / dot(&m, &m);
    let total: f64 = p.iter().zip(&m).zip(&t).map(|((p, m), t)| (p - m * share) * (t - centre)).sum();
    Ok(total / rows.len() as f64)
}

/// Pearson correlation of two gaussianized rankings: 1 when both order the rows alike. NaN when one is constant.
///
/// # Errors
/// When the lengths differ, or fewer than 80 % of the rows have both values.
pub fn correlation_of_ranks(left: &[f64], right: &[f64]) -> Result<f64, MetricError> {
    same_length(left, right)?;
    let rows = aligned(&[left, right])?;
    Ok(pearson(&rank_gaussianize(&pick(left, &rows)), &rank_gaussianize(&pick(right, &rows))))
}

/// Φ⁻¹((rank − ½) / n), where ties share their average rank. The values must not be NaN.
pub fn rank_gaussianize(values: &[f64]) -> Vec<f64> {
    let normal = Normal::standard();
    let count = values.len() as f64;
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]));
    let mut out = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        // `==` rather than the total order, so that 0.0 and -0.0 tie as they do in pandas.
        let value = values[order[start] as usize];
        let tied = order[start..].iter().take_while(|&&row| values[row as usize] == value).count().max(1);
        let rank = start as f64 + (tied as f64 + 1.0) / 2.0;
        let score = normal.inverse_cdf((rank - 0.5) / count);
        for &row in &order[start..start + tied] {
            out[row as usize] = score;
        }
        start += tied;
    }
    out
}

fn same_length(left: &[f64], right: &[f64]) -> Result<(), MetricError> {
    if left.len() == right.len() { Ok(()) } else { Err(MetricError::Length { left: left.len(), right: right.len() }) }
}

/// Positions where every side has a value, if they are enough.
///
/// numerai-tools asks that 80 % of each side's rows survive; here all sides have the same rows.
fn aligned(sides: &[&[f64]]) -> Result<Vec<usize>, MetricError> {
    let rows = sides[0].len();
    let kept: Vec<usize> = (0..rows).filter(|&row| sides.iter().all(|side| !side[row].is_nan())).collect();
    if rows == 0 || (kept.len() as f64 / rows as f64) < 1.0 - MOST_MISSING {
        return Err(MetricError::TooManyMissing { aligned: kept.len(), rows });
    }
    Ok(kept)
}

fn pick(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&row| values[row]).collect()
}

/// sign(x)·|x|^1.5.
fn power(value: f64) -> f64 {
    value.abs().powf(1.5).copysign(value)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut count) = (0.0, 0.0);
    for value in values {
        total += value;
        count += 1.0;
    }
    total / count
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean(x.iter().copied()), mean(y.iter().copied()));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - mean_x, y - mean_y);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    let denominator = xx.sqrt() * yy.sqrt();
    if denominator > 0.0 { xy / denominator } else { f64::NAN }
}
