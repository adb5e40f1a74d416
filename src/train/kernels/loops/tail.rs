//! What follows a matrix product: batch norm or bias, activation, dropout, and their gradients.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::{Curve, Level};
use super::{ROWS_A_SUM, add_up, dispatched, for_curve};
use crate::spec::net::Pointwise;
use crate::train::kernels::Dropout;

/// Dropout of one replica.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Mask {
    pub(in crate::train::kernels) key: [u32; 2],
    pub(in crate::train::kernels) threshold: u32,
    pub(in crate::train::kernels) scale: f32,
}

impl Mask {
    #[inline(always)]
    fn at(self, place: u32) -> f32 {
        if Dropout::keeps(self.key, self.threshold, place) { self.scale } else { 0.0 }
    }

    /// Drops of numbers that begin at `start`.
    #[inline(always)]
    pub(super) fn apply(self, numbers: &mut [f32], start: usize) {
        for (index, number) in numbers.iter_mut().enumerate() {
            *number *= self.at((start as u32).wrapping_add(index as u32));
        }
    }
}

/// Mean and variance of each unit, of rows that come in runs.
pub(in crate::train::kernels) struct Gathered {
    /// Differences to the first row keep the sums of squares small.
    first: Vec<f32>,
    totals: [Vec<f64>; 2],
    rows: usize,
}

impl Gathered {
    /// Of no rows yet.
    pub(in crate::train::kernels) fn new(units: usize) -> Self {
        Self { first: Vec::new(), totals: [vec![0.0; units], vec![0.0; units]], rows: 0 }
    }

    /// Takes in a run of rows.
    pub(in crate::train::kernels) fn add(&mut self, x: &[f32]) {
        let units = self.totals[0].len();
        if self.first.is_empty() {
            self.first = x[..units].to_vec();
        }
        self.rows += x.len() / units;
        let [sums, squares] = &mut self.totals;
        gather(x, &self.first, sums, squares);
    }

    /// Means and biased variances.
    pub(in crate::train::kernels) fn moments(&self) -> (Vec<f32>, Vec<f32>) {
        let rows = self.rows.max(1) as f64;
        let [sums, squares] = &self.totals;
        let mean = sums.iter().zip(&self.first).map(|(sum, first)| (sum / rows + f64::from(*first)) as f32);
        let variance =
            sums.iter().zip(squares).map(|(sum, squares)| (squares / rows - (sum / rows).powi(2)).max(0.0) as f32);
        (mean.collect(), variance.collect())
    }
}

dispatched! {
    /// Adds differences to `first`, and their squares, to both totals.
    gather = gather_body(x: &[f32], first: &[f32], sums: &mut [f64], squares: &mut [f64])
}

#[inline(always)]
fn gather_body<L: Level>(x: &[f32], first: &[f32], sums: &mut [f64], squares: &mut [f64]) {
    let units = first.len();
    let (mut sum, mut square) = (vec![0.0_f32; units], vec![0.0_f32; units]);
    for block in x.chunks(units * ROWS_A_SUM) {
        sum.fill(0.0);
        square.fill(0.0);
        for row in block.chunks_exact(units) {
            for (((value, first), sum), square) in row.iter().zip(first).zip(&mut sum).zip(&mut square) {
                let difference = value - first;
                *sum += difference;
                *square = L::fma(difference, difference, *square);
            }
        }
        add_up(&sum, sums);
        add_up(&square, squares);
    }
}

/// What a unit does to its numbers before the activation: factor · (x - centre) + offset. Centring first loses no digits where
/// the mean is large beside the spread.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Units<'a> {
    pub(in crate::train::kernels) centre: &'a [f32],
    pub(in crate::train::kernels) factor: &'a [f32],
    pub(in crate::train::kernels) offset: &'a [f32],
}

/// y = activation(factor · (x - centre) + offset), by unit.
pub(in crate::train::kernels) fn forward(x: &[f32], y: &mut [f32], units: Units<'_>, kind: Pointwise) {
    for_curve!(kind, forward_at(x, y, units));
}

dispatched! {
    /// See [`forward`].
    forward_at = forward_body<C: Curve>(x: &[f32], y: &mut [f32], units: Units<'_>)
}

#[inline(always)]
fn forward_body<L: Level, C: Curve>(x: &[f32], y: &mut [f32], units: Units<'_>) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        for ((((x, y), centre), factor), offset) in x.iter().zip(y).zip(centre).zip(factor).zip(offset) {
            *y = C::value::<L>(L::fma(x - centre, *factor, *offset));
        }
    }
}

/// The same times dropout's mask, and the slopes ∂y/∂z with z = factor · (x - centre) + offset: taken here, where the
/// exponential that both need is at hand, they leave the backward pass nothing but multiplications.
pub(in crate::train::kernels) fn learn(
    x: &[f32],
    (y, slopes): (&mut [f32], &mut [f32]),
    units: Units<'_>,
    kind: Pointwise,
    mask: Option<Mask>,
) {
    match mask {
        Some(mask) => for_curve!(kind, learn_masked(x, y, slopes, units, mask)),
        None => for_curve!(kind, learn_plain(x, y, slopes, units)),
    }
}

dispatched! {
    /// [`learn`] with dropout.
    learn_masked = learn_masked_body<C: Curve>(x: &[f32], y: &mut [f32], slopes: &mut [f32], units: Units<'_>, mask: Mask)
}

#[inline(always)]
fn learn_masked_body<L: Level, C: Curve>(x: &[f32], y: &mut [f32], slopes: &mut [f32], units: Units<'_>, mask: Mask) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(slopes.chunks_exact_mut(width));
    for (index, ((x, y), slopes)) in rows.enumerate() {
        let start = (index * width) as u32;
        let each = x.iter().zip(y).zip(slopes).zip(centre).zip(factor).zip(offset);
        for (unit, (((((x, y), slope), centre), factor), offset)) in each.enumerate() {
            let z = L::fma(x - centre, *factor, *offset);
            let keep = mask.at(start.wrapping_add(unit as u32));
            *y = C::value::<L>(z) * keep;
            *slope = C::slope::<L>(z) * keep;
        }
    }
}

dispatched! {
    /// [`learn`] without dropout.
    learn_plain = learn_plain_body<C: Curve>(x: &[f32], y: &mut [f32], slopes: &mut [f32], units: Units<'_>)
}

#[inline(always)]
fn learn_plain_body<L: Level, C: Curve>(x: &[f32], y: &mut [f32], slopes: &mut [f32], units: Units<'_>) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(slopes.chunks_exact_mut(width));
    for ((x, y), slopes) in rows {
        let each = x.iter().zip(y).zip(slopes).zip(centre).zip(factor).zip(offset);
        for (((((x, y), slope), centre), factor), offset) in each {
            let z = L::fma(x - centre, *factor, *offset);
            *y = C::value::<L>(z);
            *slope = C::slope::<L>(z);
        }
    }
}

dispatched! {
    /// The gradient before the activation, ∂L/∂z, in place of the one after it, and its sums by unit: alone, and times
    /// (x - centre).
    pub(in crate::train::kernels) backward = backward_body(x: &[f32], gradient: &mut [f32], slopes: &[f32], centre: &[f32]) -> (Vec<f64>, Vec<f64>)
}

#[inline(always)]
fn backward_body<L: Level>(x: &[f32], gradient: &mut [f32], slopes: &[f32], centre: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let width = centre.len();
    let (mut total, mut total_x) = (vec![0.0_f64; width], vec![0.0_f64; width]);
    let (mut sum, mut sum_x) = (vec![0.0_f32; width], vec![0.0_f32; width]);
    let block = width * ROWS_A_SUM;
    for ((x, gradient), slopes) in x.chunks(block).zip(gradient.chunks_mut(block)).zip(slopes.chunks(block)) {
        sum.fill(0.0);
        sum_x.fill(0.0);
        let rows = x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).zip(slopes.chunks_exact(width));
        for ((x, gradient), slopes) in rows {
            let each = x.iter().zip(gradient).zip(slopes).zip(centre).zip(&mut sum).zip(&mut sum_x);
            for (((((x, gradient), slope), centre), sum), sum_x) in each {
                let before = *gradient * slope;
                *gradient = before;
                *sum += before;
                *sum_x = L::fma(before, x - centre, *sum_x);
            }
        }
        add_up(&sum, &mut total);
        add_up(&sum_x, &mut total_x);
    }
    (total, total_x)
}

dispatched! {
    /// The gradient's sums by unit: alone, and times (x - centre).
    pub(in crate::train::kernels) sums_with = sums_with_body(x: &[f32], gradient: &[f32], centre: &[f32]) -> (Vec<f64>, Vec<f64>)
}

#[inline(always)]
fn sums_with_body<L: Level>(x: &[f32], gradient: &[f32], centre: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let width = centre.len();
    let (mut total, mut total_x) = (vec![0.0_f64; width], vec![0.0_f64; width]);
    let (mut sum, mut sum_x) = (vec![0.0_f32; width], vec![0.0_f32; width]);
    let block = width * ROWS_A_SUM;
    for (x, gradient) in x.chunks(block).zip(gradient.chunks(block)) {
        sum.fill(0.0);
        sum_x.fill(0.0);
        for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact(width)) {
            let each = x.iter().zip(gradient).zip(centre).zip(&mut sum).zip(&mut sum_x);
            for ((((x, gradient), centre), sum), sum_x) in each {
                *sum += gradient;
                *sum_x = L::fma(*gradient, x - centre, *sum_x);
            }
        }
        add_up(&sum, &mut total);
        add_up(&sum_x, &mut total_x);
    }
    (total, total_x)
}

dispatched! {
    /// x ← scale · x, by unit.
    pub(in crate::train::kernels) rescale = rescale_body(x: &mut [f32], scale: &[f32])
}

#[inline(always)]
fn rescale_body<L: Level>(x: &mut [f32], scale: &[f32]) {
    for row in x.chunks_exact_mut(scale.len()) {
        for (x, scale) in row.iter_mut().zip(scale) {
            *x *= scale;
        }
    }
}

dispatched! {
    /// Sums by unit.
    pub(in crate::train::kernels) sums = sums_body(x: &[f32], width: usize) -> Vec<f64>
}

#[inline(always)]
fn sums_body<L: Level>(x: &[f32], width: usize) -> Vec<f64> {
    let mut total = vec![0.0_f64; width];
    let mut sum = vec![0.0_f32; width];
    for block in x.chunks(width * ROWS_A_SUM) {
        sum.fill(0.0);
        for row in block.chunks_exact(width) {
            for (x, sum) in row.iter().zip(&mut sum) {
                *sum += x;
            }
        }
        add_up(&sum, &mut total);
    }
    total
}

dispatched! {
    /// gradient ← factor · gradient + slope · (x - centre) + constant, by unit: what is left of a batch norm's backward
    /// pass. `units.offset` holds the constants.
    pub(in crate::train::kernels) mend = mend_body(gradient: &mut [f32], x: &[f32], units: Units<'_>, slope: &[f32])
}

#[inline(always)]
fn mend_body<L: Level>(gradient: &mut [f32], x: &[f32], units: Units<'_>, slope: &[f32]) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    for (gradient, x) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let each = gradient.iter_mut().zip(x).zip(centre).zip(factor).zip(slope).zip(offset);
        for (((((gradient, x), centre), factor), slope), constant) in each {
            *gradient = L::fma(*gradient, *factor, L::fma(x - centre, *slope, *constant));
        }
    }
}
