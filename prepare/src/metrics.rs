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

/// The scores of one era.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EraMetrics {
    /// [`numerai_corr`] of predictions and target.
    pub corr: f64,
    /// [`correlation_contribution`] of the predictions beyond the meta model.
    pub contribution: f64,
    /// [`correlation_of_ranks`] of predictions and meta model.
    pub corr_with_meta: f64,
}

/// All scores of one era at once: each ranking, which is what they cost, is made once.
///
/// # Errors
/// Those of each score alone.
pub fn era_metrics(predictions: &[f64], meta: &[f64], target: &[f64]) -> Result<EraMetrics, MetricError> {
    same_length(predictions, target)?;
    same_length(predictions, meta)?;
    if [predictions, meta, target].into_iter().flatten().any(|value| value.is_nan()) {
        // Each score drops the rows that it lacks itself, and ranks what is left.
        return Ok(EraMetrics {
            corr: numerai_corr(predictions, target)?,
            contribution: correlation_contribution(predictions, meta, target)?,
            corr_with_meta: correlation_of_ranks(predictions, meta)?,
        });
    }
    aligned(&[predictions])?;
    let quantiles = quantiles(predictions.len());
    let (p, m) = (gaussianize(predictions, &quantiles), gaussianize(meta, &quantiles));
    Ok(EraMetrics {
        corr: corr(&p, target, mean(target)),
        contribution: contribution(&p, &m, target.to_vec()),
        corr_with_meta: pearson(p, m),
    })
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
    let known: Vec<f64> = target.iter().copied().filter(|value| !value.is_nan()).collect();
    let rows = aligned(&[predictions, target])?;
    Ok(corr(&rank_gaussianize(&pick(predictions, &rows)), &pick(target, &rows), mean(&known)))
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
    Ok(contribution(&p, &m, pick(target, &rows)))
}

/// Pearson correlation of two gaussianized rankings: 1 when both order the rows alike. NaN when one is constant.
///
/// # Errors
/// When the lengths differ, or fewer than 80 % of the rows have both values.
pub fn correlation_of_ranks(left: &[f64], right: &[f64]) -> Result<f64, MetricError> {
    same_length(left, right)?;
    let rows = aligned(&[left, right])?;
    Ok(pearson(rank_gaussianize(&pick(left, &rows)), rank_gaussianize(&pick(right, &rows))))
}

/// Φ⁻¹((rank − ½) / n), where ties share their average rank. The values must not be NaN.
pub fn rank_gaussianize(values: &[f64]) -> Vec<f64> {
    gaussianize(values, &quantiles(values.len()))
}

/// Φ⁻¹ at each rank of so many values without ties, ascending.
fn quantiles(count: usize) -> Vec<f64> {
    let mut out: Vec<f64> = (0..count.div_ceil(2)).map(|below| quantile(below as f64 + 1.0, count)).collect();
    // The upper half mirrors the lower one.
    out.extend_from_within(..count / 2);
    out[count.div_ceil(2)..].reverse();
    out[count.div_ceil(2)..].iter_mut().for_each(|score| *score = -*score);
    out
}

fn quantile(rank: f64, count: usize) -> f64 {
    Normal::standard().inverse_cdf((rank - 0.5) / count as f64)
}

/// `values` in place of whose ranks stand their `quantiles`.
fn gaussianize(values: &[f64], quantiles: &[f64]) -> Vec<f64> {
    let order = sorted(values.iter().zip(0..).map(|(&value, row)| (key(value), row)).collect());
    let mut out = vec![0.0; values.len()];
    let mut start = 0;
    for run in order.chunk_by(|(a, _), (b, _)| a == b) {
        let score = match run.len() {
            1 => quantiles[start],
            tied => quantile(start as f64 + (tied as f64 + 1.0) / 2.0, values.len()),
        };
        for &(_, row) in run {
            out[row as usize] = score;
        }
        start += run.len();
    }
    out
}

/// A whole number that orders as the value does. 0.0 and -0.0 tie, as they do in pandas; bits that are 0 in every value,
/// as in those that came from f32, are the same in every key.
fn key(value: f64) -> u64 {
    let magnitude = (value.to_bits() << 1 >> 1) as i64;
    let signed = if value < 0.0 { -magnitude } else { magnitude };
    signed as u64 ^ 1 << 63
}

/// Pairs of key and row in the order of their keys: a radix sort by bytes. Bytes that are the same everywhere are skipped.
fn sorted(mut pairs: Vec<(u64, u32)>) -> Vec<(u64, u32)> {
    let mut counts = [[0_u32; 256]; 8];
    for (key, _) in &pairs {
        for (count, byte) in counts.iter_mut().zip(key.to_le_bytes()) {
            count[byte as usize] += 1;
        }
    }
    let mut spare = pairs.clone();
    for (byte, counts) in counts.iter().enumerate() {
        if counts.iter().any(|&count| count as usize == pairs.len()) {
            continue;
        }
        let mut next = [0_u32; 256];
        for value in 1..256 {
            next[value] = next[value - 1] + counts[value - 1];
        }
        for &(key, row) in &pairs {
            let next = &mut next[usize::from((key >> (8 * byte)) as u8)];
            spare[*next as usize] = (key, row);
            *next += 1;
        }
        std::mem::swap(&mut pairs, &mut spare);
    }
    pairs
}

/// CORR of gaussianized predictions with a target that is centred by `centre`.
fn corr(p: &[f64], target: &[f64], centre: f64) -> f64 {
    let x = p.iter().copied().map(power).collect();
    let y = target.iter().map(|value| power(value - centre)).collect();
    pearson(x, y)
}

/// Contribution of gaussianized predictions beyond a gaussianized meta model.
fn contribution(p: &[f64], m: &[f64], mut target: Vec<f64>) -> f64 {
    if target.iter().all(|value| (0.0..=1.0).contains(value)) {
        target.iter_mut().for_each(|value| *value *= 4.0);
    }
    center(&mut target);
    let share = dot(p, m) / dot(m, m);
    let left: Vec<f64> = p.iter().zip(m).map(|(p, m)| p - m * share).collect();
    dot(&left, &target) / target.len() as f64
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
    value * value.abs().sqrt()
}

fn mean(values: &[f64]) -> f64 {
    lanes(values, values, |value, _| value) / values.len() as f64
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    lanes(x, y, |x, y| x * y)
}

/// The sum of a term over all pairs, in eight sums side by side: one sum would wait for each addition.
fn lanes(x: &[f64], y: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (x_chunks, x_rest) = x.as_chunks::<8>();
    let (y_chunks, y_rest) = y.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += term(x, y);
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(&x, &y)| term(x, y)).sum();
    sums.iter().sum::<f64>() + rest
}

fn center(values: &mut [f64]) {
    let mean = mean(values);
    values.iter_mut().for_each(|value| *value -= mean);
}

fn pearson(mut x: Vec<f64>, mut y: Vec<f64>) -> f64 {
    center(&mut x);
    center(&mut y);
    let denominator = dot(&x, &x).sqrt() * dot(&y, &y).sqrt();
    if denominator > 0.0 { dot(&x, &y) / denominator } else { f64::NAN }
}
