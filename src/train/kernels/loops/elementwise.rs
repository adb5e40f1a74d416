//! Crossings, excitations, learned slopes, weights of rows, means of parts, entropies, mean squares, and their gradients.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::{Curve, Level, Sigmoid};
use super::{LANES, ROWS_A_SUM, add_up, dispatched};
use crate::train::kernels::SURE;

dispatched! {
    /// y = start · (product + bias) + x.
    pub(in crate::train::kernels) cross = cross_body(start: &[f32], product: &[f32], bias: &[f32], x: &[f32], y: &mut [f32])
}

#[inline(always)]
fn cross_body<L: Level>(start: &[f32], product: &[f32], bias: &[f32], x: &[f32], y: &mut [f32]) {
    let width = bias.len();
    let rows = start.chunks_exact(width).zip(product.chunks_exact(width)).zip(x.chunks_exact(width));
    for (((start, product), x), y) in rows.zip(y.chunks_exact_mut(width)) {
        for ((((start, product), x), bias), y) in start.iter().zip(product).zip(x).zip(bias).zip(y) {
            *y = L::fma(*start, product + bias, *x);
        }
    }
}

dispatched! {
    /// The gradients of [`cross`] by start, and by product in place of product.
    pub(in crate::train::kernels) cross_backward = cross_backward_body(gradient: &[f32], start: &[f32], product: &mut [f32], bias: &[f32], by_start: &mut [f32])
}

#[inline(always)]
fn cross_backward_body<L: Level>(
    gradient: &[f32],
    start: &[f32],
    product: &mut [f32],
    bias: &[f32],
    by_start: &mut [f32],
) {
    let width = bias.len();
    let rows = gradient.chunks_exact(width).zip(start.chunks_exact(width)).zip(product.chunks_exact_mut(width));
    for (((gradient, start), product), by_start) in rows.zip(by_start.chunks_exact_mut(width)) {
        let each = gradient.iter().zip(start).zip(product).zip(bias).zip(by_start);
        for ((((gradient, start), product), bias), by_start) in each {
            *by_start = gradient * (*product + bias);
            *product = gradient * start;
        }
    }
}

dispatched! {
    /// logits ← sigmoid(logits), and y = x · that, each for `each` numbers one after another.
    pub(in crate::train::kernels) excite = excite_body(x: &[f32], logits: &mut [f32], y: &mut [f32], each: usize)
}

#[inline(always)]
fn excite_body<L: Level>(x: &[f32], logits: &mut [f32], y: &mut [f32], each: usize) {
    logits.iter_mut().for_each(|logit| *logit = Sigmoid::value::<L>(*logit));
    if each == 1 {
        for ((x, scale), y) in x.iter().zip(logits).zip(y) {
            *y = x * *scale;
        }
        return;
    }
    for ((x, scale), y) in x.chunks_exact(each).zip(logits).zip(y.chunks_exact_mut(each)) {
        for (x, y) in x.iter().zip(y) {
            *y = x * *scale;
        }
    }
}

dispatched! {
    /// The gradients of [`excite`]: by x in place of the one by y, by logits in place of their sigmoids.
    pub(in crate::train::kernels) excite_backward = excite_backward_body(x: &[f32], scales: &mut [f32], gradient: &mut [f32], each: usize)
}

#[inline(always)]
fn excite_backward_body<L: Level>(x: &[f32], scales: &mut [f32], gradient: &mut [f32], each: usize) {
    if each == 1 {
        for ((x, scale), gradient) in x.iter().zip(scales).zip(gradient) {
            let pull = *gradient * x;
            *gradient *= *scale;
            *scale = pull * *scale * (1.0 - *scale);
        }
        return;
    }
    for ((x, scale), gradient) in x.chunks_exact(each).zip(scales).zip(gradient.chunks_exact_mut(each)) {
        let pull = dot::<L>(x, gradient);
        gradient.iter_mut().for_each(|gradient| *gradient *= *scale);
        *scale = pull * *scale * (1.0 - *scale);
    }
}

#[inline(always)]
fn dot<L: Level>(x: &[f32], y: &[f32]) -> f32 {
    let mut parts = [0.0_f32; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for ((part, x), y) in parts.iter_mut().zip(x).zip(y) {
            *part = L::fma(*x, *y, *part);
        }
    }
    for ((part, x), y) in parts.iter_mut().zip(xs.remainder()).zip(ys.remainder()) {
        *part = L::fma(*x, *y, *part);
    }
    parts.iter().sum()
}

dispatched! {
    /// y = x where positive, else slope · x; x·0 keeps NaN.
    pub(in crate::train::kernels) prelu = prelu_body(x: &[f32], slope: &[f32], y: &mut [f32])
}

#[inline(always)]
fn prelu_body<L: Level>(x: &[f32], slope: &[f32], y: &mut [f32]) {
    let width = slope.len();
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        for ((x, slope), y) in x.iter().zip(slope).zip(y) {
            *y = if *x > 0.0 { *x } else { slope * x };
        }
    }
}

dispatched! {
    /// The gradients of [`prelu`]: by x in place of the one by y, and by slope.
    pub(in crate::train::kernels) prelu_backward = prelu_backward_body(x: &[f32], slope: &[f32], gradient: &mut [f32]) -> Vec<f64>
}

#[inline(always)]
fn prelu_backward_body<L: Level>(x: &[f32], slope: &[f32], gradient: &mut [f32]) -> Vec<f64> {
    let width = slope.len();
    let mut total = vec![0.0_f64; width];
    let mut sum = vec![0.0_f32; width];
    for (x, gradient) in x.chunks(width * ROWS_A_SUM).zip(gradient.chunks_mut(width * ROWS_A_SUM)) {
        sum.fill(0.0);
        for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            for (((x, slope), gradient), sum) in x.iter().zip(slope).zip(gradient).zip(&mut sum) {
                *sum += if *x < 0.0 { *gradient * x } else { 0.0 };
                // As of both halves apart, 0 has no slope.
                let bend = if *x > 0.0 { 1.0 } else { *slope };
                *gradient *= if *x == 0.0 { 0.0 } else { bend };
            }
        }
        add_up(&sum, &mut total);
    }
    total
}

/// Numbers `[row, count]` of which one counts.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Shares<'a> {
    pub(in crate::train::kernels) weights: &'a [f32],
    pub(in crate::train::kernels) count: usize,
    pub(in crate::train::kernels) place: usize,
}

dispatched! {
    /// y = x · weights[place] of each row.
    pub(in crate::train::kernels) weigh = weigh_body(x: &[f32], shares: Shares<'_>, y: &mut [f32])
}

#[inline(always)]
fn weigh_body<L: Level>(x: &[f32], shares: Shares<'_>, y: &mut [f32]) {
    let Shares { weights, count, place } = shares;
    let rows = weights.len() / count;
    let width = x.len().checked_div(rows).unwrap_or(1).max(1);
    let each = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(weights.chunks_exact(count));
    for ((x, y), weights) in each {
        let weight = weights[place];
        for (x, y) in x.iter().zip(y) {
            *y = x * weight;
        }
    }
}

dispatched! {
    /// The gradients of [`weigh`]: by x in place of the one by y, by weights into `by_weights`.
    pub(in crate::train::kernels) weigh_backward = weigh_backward_body(x: &[f32], shares: Shares<'_>, gradient: &mut [f32], by_weights: &mut [f32])
}

#[inline(always)]
fn weigh_backward_body<L: Level>(x: &[f32], shares: Shares<'_>, gradient: &mut [f32], by_weights: &mut [f32]) {
    let Shares { weights, count, place } = shares;
    let rows = weights.len() / count;
    let width = x.len().checked_div(rows).unwrap_or(1).max(1);
    let each = x.chunks_exact(width).zip(gradient.chunks_exact_mut(width));
    let each = each.zip(weights.chunks_exact(count)).zip(by_weights.chunks_exact_mut(count));
    for (((x, gradient), weights), by_weights) in each {
        by_weights.fill(0.0);
        by_weights[place] = dot::<L>(x, gradient);
        let weight = weights[place];
        gradient.iter_mut().for_each(|gradient| *gradient *= weight);
    }
}

dispatched! {
    /// y = the mean of the row's `count` parts.
    pub(in crate::train::kernels) mean_of_parts = mean_of_parts_body(x: &[f32], y: &mut [f32], parts: [usize; 2])
}

#[inline(always)]
fn mean_of_parts_body<L: Level>(x: &[f32], y: &mut [f32], parts: [usize; 2]) {
    let [count, width] = parts;
    let share = (count as f32).recip();
    for (x, y) in x.chunks_exact(count * width).zip(y.chunks_exact_mut(width)) {
        y.fill(0.0);
        for part in x.chunks_exact(width) {
            for (x, y) in part.iter().zip(y.iter_mut()) {
                *y += x;
            }
        }
        y.iter_mut().for_each(|y| *y *= share);
    }
}

dispatched! {
    /// The gradient by x of [`mean_of_parts`].
    pub(in crate::train::kernels) mean_of_parts_backward = mean_of_parts_backward_body(gradient: &[f32], by_x: &mut [f32], parts: [usize; 2])
}

#[inline(always)]
fn mean_of_parts_backward_body<L: Level>(gradient: &[f32], by_x: &mut [f32], parts: [usize; 2]) {
    let [count, width] = parts;
    let share = (count as f32).recip();
    for (gradient, by_x) in gradient.chunks_exact(width).zip(by_x.chunks_exact_mut(count * width)) {
        for part in by_x.chunks_exact_mut(width) {
            for (gradient, by_x) in gradient.iter().zip(part) {
                *by_x = gradient * share;
            }
        }
    }
}

/// -Σ m·ln(m + ε). Most numbers of a sparse mask are 0, and 0 needs no logarithm.
pub(in crate::train::kernels) fn entropy(x: &[f32], width: usize) -> f64 {
    let term = |m: &f32| if *m == 0.0 { 0.0 } else { -m * (m + SURE as f32).ln() };
    x.chunks(width * ROWS_A_SUM).map(|rows| f64::from(rows.iter().map(term).sum::<f32>())).sum()
}

/// The gradient of [`entropy`], times `factor`.
pub(in crate::train::kernels) fn entropy_backward(x: &[f32], factor: f32, by_x: &mut [f32]) {
    let sure = SURE as f32;
    let nothing = -factor * sure.ln();
    for (m, by_x) in x.iter().zip(by_x) {
        *by_x = if *m == 0.0 { nothing } else { -factor * ((m + sure).ln() + m / (m + sure)) };
    }
}

dispatched! {
    /// x ← x - target, and the sum of its squares.
    pub(in crate::train::kernels) differences = differences_body(x: &mut [f32], target: &[f32], width: usize) -> f64
}

#[inline(always)]
fn differences_body<L: Level>(x: &mut [f32], target: &[f32], width: usize) -> f64 {
    let mut total = 0.0;
    for (x, target) in x.chunks_mut(width * ROWS_A_SUM).zip(target.chunks(width * ROWS_A_SUM)) {
        let mut parts = [0.0_f32; LANES];
        for (x, target) in x.chunks_mut(LANES).zip(target.chunks(LANES)) {
            for ((part, x), target) in parts.iter_mut().zip(x).zip(target) {
                *x -= target;
                *part = L::fma(*x, *x, *part);
            }
        }
        total += f64::from(parts.iter().sum::<f32>());
    }
    total
}
