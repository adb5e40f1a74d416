//! Mean squared or absolute error of each target, and its gradient.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::correlation::Pair;
use super::curves::Level;
use super::{ROWS_A_SUM, add_up, dispatched};

/// How an error's size is taken.
pub(in crate::train::kernels) trait Size {
    fn of(error: f32) -> f32;
    fn slope(error: f32) -> f32;
}

/// e²
pub(in crate::train::kernels) struct Square;

impl Size for Square {
    #[inline(always)]
    fn of(error: f32) -> f32 {
        error * error
    }
    #[inline(always)]
    fn slope(error: f32) -> f32 {
        2.0 * error
    }
}

/// |e|; its slope at 0 is 0.
pub(in crate::train::kernels) struct Absolute;

impl Size for Absolute {
    #[inline(always)]
    fn of(error: f32) -> f32 {
        error.abs()
    }
    #[inline(always)]
    fn slope(error: f32) -> f32 {
        f32::from(error > 0.0) - f32::from(error < 0.0) + error * 0.0
    }
}

/// Each target's mean, over rows whose target is there, and how many those are (at least 1).
pub(in crate::train::kernels) fn means<S: Size>(pair: Pair<'_>) -> (Vec<f32>, Vec<f32>) {
    let [sums, counts] = totals::<S>(pair);
    let counts: Vec<f32> = counts.iter().map(|count| count.max(1.0) as f32).collect();
    (sums.iter().zip(&counts).map(|(sum, count)| (sum / f64::from(*count)) as f32).collect(), counts)
}

dispatched! {
    /// Sums of sizes and of the mask.
    totals = totals_body<S: Size>(pair: Pair<'_>) -> [Vec<f64>; 2]
}

#[inline(always)]
fn totals_body<L: Level, S: Size>(pair: Pair<'_>) -> [Vec<f64>; 2] {
    let width = pair.width;
    let mut totals = [vec![0.0; width], vec![0.0; width]];
    let [sizes, counts] = &mut totals;
    let (mut sum, mut count) = (vec![0.0_f32; width], vec![0.0_f32; width]);
    let block = width * ROWS_A_SUM;
    for (at, (p, y)) in pair.outputs.chunks(block).zip(pair.targets.chunks(block)).enumerate() {
        sum.fill(0.0);
        count.fill(0.0);
        match pair.mask {
            Some(mask) => {
                let mask = &mask[at * block..][..p.len()];
                for ((p, y), m) in p.chunks_exact(width).zip(y.chunks_exact(width)).zip(mask.chunks_exact(width)) {
                    for (((p, y), m), (sum, count)) in p.iter().zip(y).zip(m).zip(sum.iter_mut().zip(&mut count)) {
                        *sum += S::of(p - y) * m;
                        *count += m;
                    }
                }
            }
            None => {
                for (p, y) in p.chunks_exact(width).zip(y.chunks_exact(width)) {
                    for ((p, y), sum) in p.iter().zip(y).zip(&mut sum) {
                        *sum += S::of(p - y);
                    }
                }
                count.fill((p.len() / width) as f32);
            }
        }
        add_up(&sum, sizes);
        add_up(&count, counts);
    }
    totals
}

dispatched! {
    /// The gradient by the outputs; `pull` is the gradient by each mean, divided by its count.
    pub(in crate::train::kernels) gradient = gradient_body<S: Size>(pair: Pair<'_>, pull: &[f32], out: &mut [f32])
}

#[inline(always)]
fn gradient_body<L: Level, S: Size>(pair: Pair<'_>, pull: &[f32], out: &mut [f32]) {
    let width = pair.width;
    let rows = pair.outputs.chunks_exact(width).zip(pair.targets.chunks_exact(width)).zip(out.chunks_exact_mut(width));
    for (row, ((p, y), out)) in rows.enumerate() {
        for (((p, y), pull), out) in p.iter().zip(y).zip(pull).zip(out.iter_mut()) {
            *out = S::slope(p - y) * pull;
        }
        if let Some(mask) = pair.mask {
            for (out, m) in out.iter_mut().zip(&mask[row * width..][..width]) {
                *out *= m;
            }
        }
    }
}
