//! Pearson correlation of each target's output with the target, and its gradient.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::Level;
use super::{ROWS_A_SUM, add_up, dispatched};

/// Outputs and targets of one run of rows, `[row, target]`; a missing target has mask 0.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Pair<'a> {
    pub(in crate::train::kernels) outputs: &'a [f32],
    pub(in crate::train::kernels) targets: &'a [f32],
    /// None where no target is missing.
    pub(in crate::train::kernels) mask: Option<&'a [f32]>,
    /// Targets a row.
    pub(in crate::train::kernels) width: usize,
}

/// What the gradient needs of the forward pass, by target.
#[derive(Clone, Debug)]
pub(in crate::train::kernels) struct Kept {
    /// Mean of the outputs, and of the targets.
    means: [Vec<f32>; 2],
    /// With c the covariance and a, b the sums of squares: 1 / √(ab + ε), and c·b / √(ab + ε)³.
    factors: [Vec<f32>; 2],
}

/// The correlation of each target, over rows whose target is there.
pub(in crate::train::kernels) fn correlate(pair: Pair<'_>, epsilon: f64) -> (Vec<f32>, Kept) {
    let [outputs, targets, count] = totals(pair);
    let mean = |totals: &[f64]| -> Vec<f32> {
        totals.iter().zip(&count).map(|(total, count)| (total / count.max(1.0)) as f32).collect()
    };
    let means = [mean(&outputs), mean(&targets)];
    let [products, output_squares, target_squares] = sums(pair, &means);
    let mut factors = [Vec::with_capacity(pair.width), Vec::with_capacity(pair.width)];
    let mut correlations = Vec::with_capacity(pair.width);
    for ((product, a), b) in products.iter().zip(&output_squares).zip(&target_squares) {
        let size = (a * b + epsilon).sqrt();
        correlations.push((product / size) as f32);
        factors[0].push((1.0 / size) as f32);
        factors[1].push((product * b / size.powi(3)) as f32);
    }
    (correlations, Kept { means, factors })
}

dispatched! {
    /// Sums of outputs and targets, and the number of targets that are there.
    totals = totals_body(pair: Pair<'_>) -> [Vec<f64>; 3]
}

#[inline(always)]
fn totals_body<L: Level>(pair: Pair<'_>) -> [Vec<f64>; 3] {
    let width = pair.width;
    let mut totals = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
    let [outputs, targets, count] = &mut totals;
    let (mut p_sum, mut y_sum, mut m_sum) = (vec![0.0_f32; width], vec![0.0_f32; width], vec![0.0_f32; width]);
    let block = width * ROWS_A_SUM;
    for (at, (p, y)) in pair.outputs.chunks(block).zip(pair.targets.chunks(block)).enumerate() {
        p_sum.fill(0.0);
        y_sum.fill(0.0);
        m_sum.fill(0.0);
        match pair.mask {
            Some(mask) => {
                let mask = &mask[at * block..][..p.len()];
                for ((p, y), m) in p.chunks_exact(width).zip(y.chunks_exact(width)).zip(mask.chunks_exact(width)) {
                    let sums = p_sum.iter_mut().zip(&mut y_sum).zip(&mut m_sum);
                    for (((p, y), m), ((p_sum, y_sum), m_sum)) in p.iter().zip(y).zip(m).zip(sums) {
                        *p_sum += p * m;
                        *y_sum += y * m;
                        *m_sum += m;
                    }
                }
            }
            None => {
                for (p, y) in p.chunks_exact(width).zip(y.chunks_exact(width)) {
                    for ((p, y), (p_sum, y_sum)) in p.iter().zip(y).zip(p_sum.iter_mut().zip(&mut y_sum)) {
                        *p_sum += p;
                        *y_sum += y;
                    }
                }
                m_sum.fill((p.len() / width) as f32);
            }
        }
        add_up(&p_sum, outputs);
        add_up(&y_sum, targets);
        add_up(&m_sum, count);
    }
    totals
}

dispatched! {
    /// Of centred outputs and targets: sums of products, of squared outputs, of squared targets.
    sums = sums_body(pair: Pair<'_>, means: &[Vec<f32>; 2]) -> [Vec<f64>; 3]
}

#[inline(always)]
fn sums_body<L: Level>(pair: Pair<'_>, means: &[Vec<f32>; 2]) -> [Vec<f64>; 3] {
    let width = pair.width;
    let mut totals = [vec![0.0; width], vec![0.0; width], vec![0.0; width]];
    let [products, output_squares, target_squares] = &mut totals;
    let (mut py, mut pp, mut yy) = (vec![0.0_f32; width], vec![0.0_f32; width], vec![0.0_f32; width]);
    let (p_mean, y_mean) = (&means[0][..width], &means[1][..width]);
    let block = width * ROWS_A_SUM;
    for (at, (p, y)) in pair.outputs.chunks(block).zip(pair.targets.chunks(block)).enumerate() {
        py.fill(0.0);
        pp.fill(0.0);
        yy.fill(0.0);
        for (row, (p, y)) in p.chunks_exact(width).zip(y.chunks_exact(width)).enumerate() {
            let each = p.iter().zip(y).zip(p_mean.iter().zip(y_mean));
            let sums = py.iter_mut().zip(&mut pp).zip(&mut yy);
            match pair.mask {
                Some(mask) => {
                    let mask = &mask[at * block + row * width..][..width];
                    for ((((p, y), (p_mean, y_mean)), m), ((py, pp), yy)) in each.zip(mask).zip(sums) {
                        let (p, y) = ((p - p_mean) * m, (y - y_mean) * m);
                        *py += p * y;
                        *pp += p * p;
                        *yy += y * y;
                    }
                }
                None => {
                    for (((p, y), (p_mean, y_mean)), ((py, pp), yy)) in each.zip(sums) {
                        let (p, y) = (p - p_mean, y - y_mean);
                        *py += p * y;
                        *pp += p * p;
                        *yy += y * y;
                    }
                }
            }
        }
        add_up(&py, products);
        add_up(&pp, output_squares);
        add_up(&yy, target_squares);
    }
    totals
}

/// The gradient by the outputs, for the gradient by each correlation: with p and y centred,
/// ∂r/∂p = y / √(ab + ε) - p · c·b / √(ab + ε)³ (whose mean over the rows is 0, so centring adds nothing).
pub(in crate::train::kernels) fn gradient(pair: Pair<'_>, kept: &Kept, pull: &[f32], out: &mut [f32]) {
    let scaled = |factor: &[f32]| factor.iter().zip(pull).map(|(factor, pull)| factor * pull).collect();
    let factors: [Vec<f32>; 2] = [scaled(&kept.factors[0]), scaled(&kept.factors[1])];
    gradient_at(pair, &kept.means, &factors, out);
}

dispatched! {
    /// See [`gradient`].
    gradient_at = gradient_body(pair: Pair<'_>, means: &[Vec<f32>; 2], factors: &[Vec<f32>; 2], out: &mut [f32])
}

#[inline(always)]
fn gradient_body<L: Level>(pair: Pair<'_>, means: &[Vec<f32>; 2], factors: &[Vec<f32>; 2], out: &mut [f32]) {
    let width = pair.width;
    let rows = pair.outputs.chunks_exact(width).zip(pair.targets.chunks_exact(width)).zip(out.chunks_exact_mut(width));
    let (p_mean, y_mean) = (&means[0][..width], &means[1][..width]);
    let (of_y, of_p) = (&factors[0][..width], &factors[1][..width]);
    for (row, ((p, y), out)) in rows.enumerate() {
        let each = p.iter().zip(y).zip(p_mean.iter().zip(y_mean)).zip(of_y.iter().zip(of_p)).zip(out.iter_mut());
        for ((((p, y), (p_mean, y_mean)), (of_y, of_p)), out) in each {
            *out = (y - y_mean) * of_y - (p - p_mean) * of_p;
        }
        if let Some(mask) = pair.mask {
            for (out, m) in out.iter_mut().zip(&mask[row * width..][..width]) {
                *out *= m;
            }
        }
    }
}
