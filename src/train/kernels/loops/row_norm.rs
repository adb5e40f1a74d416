//! Layer norm, activation and dropout of each row, and their gradients.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::{Curve, Level};
use super::tail::Mask;
use super::{LANES, ROWS_A_SUM, add_up, dispatched, for_curve};
use crate::spec::net::Pointwise;
use crate::train::kernels::EPSILON;

/// What is learned of each unit.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Learned<'a> {
    pub(in crate::train::kernels) scale: &'a [f32],
    pub(in crate::train::kernels) shift: &'a [f32],
}

/// y = mask · activation(scale · (x - mean) / √(variance + ε) + shift), mean and variance being the row's.
pub(in crate::train::kernels) fn forward(
    x: &[f32],
    y: &mut [f32],
    learned: Learned<'_>,
    kind: Pointwise,
    mask: Option<Mask>,
) {
    for_curve!(kind, forward_at(x, y, learned, mask));
}

dispatched! {
    /// See [`forward`].
    forward_at = forward_body<C: Curve>(x: &[f32], y: &mut [f32], learned: Learned<'_>, mask: Option<Mask>)
}

#[inline(always)]
fn forward_body<L: Level, C: Curve>(x: &[f32], y: &mut [f32], learned: Learned<'_>, mask: Option<Mask>) {
    let width = learned.scale.len();
    for (row, (x, y)) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).enumerate() {
        let (mean, spread) = moments(x);
        for (((x, y), scale), shift) in x.iter().zip(y.iter_mut()).zip(learned.scale).zip(learned.shift) {
            *y = C::value::<L>((x - mean) * spread * scale + shift);
        }
        if let Some(mask) = mask {
            mask.apply(y, row * width);
        }
    }
}

/// The gradient by x, in place of the gradient by y, and those by scale and shift.
pub(in crate::train::kernels) fn backward(
    x: &[f32],
    gradient: &mut [f32],
    learned: Learned<'_>,
    kind: Pointwise,
    mask: Option<Mask>,
) -> (Vec<f64>, Vec<f64>) {
    for_curve!(kind, backward_at(x, gradient, learned, mask))
}

dispatched! {
    /// See [`backward`].
    backward_at = backward_body<C: Curve>(x: &[f32], gradient: &mut [f32], learned: Learned<'_>, mask: Option<Mask>) -> (Vec<f64>, Vec<f64>)
}

#[inline(always)]
fn backward_body<L: Level, C: Curve>(
    x: &[f32],
    gradient: &mut [f32],
    learned: Learned<'_>,
    mask: Option<Mask>,
) -> (Vec<f64>, Vec<f64>) {
    let Learned { scale, shift } = learned;
    let width = scale.len();
    let (mut d_scale, mut d_shift) = (vec![0.0_f64; width], vec![0.0_f64; width]);
    let (mut scale_sum, mut shift_sum, mut hat) = (vec![0.0_f32; width], vec![0.0_f32; width], vec![0.0_f32; width]);
    let blocks = x.chunks(width * ROWS_A_SUM).zip(gradient.chunks_mut(width * ROWS_A_SUM));
    for (block, (x, gradient)) in blocks.enumerate() {
        scale_sum.fill(0.0);
        shift_sum.fill(0.0);
        for (row, (x, gradient)) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).enumerate() {
            if let Some(mask) = mask {
                mask.apply(gradient, (block * ROWS_A_SUM + row) * width);
            }
            let (mean, spread) = moments(x);
            let each = x.iter().zip(gradient.iter_mut()).zip(scale).zip(shift);
            let sums = hat.iter_mut().zip(&mut scale_sum).zip(&mut shift_sum);
            for ((((x, gradient), scale), shift), ((hat, scale_sum), shift_sum)) in each.zip(sums) {
                *hat = (x - mean) * spread;
                let before = *gradient * C::slope::<L>(*hat * scale + shift);
                *scale_sum += before * *hat;
                *shift_sum += before;
                *gradient = before * scale;
            }
            // With h = ∂L/∂x̂: dx = spread · (h - mean(h) - x̂ · mean(h · x̂)).
            let (plain, crossed) = (sum(gradient), product_sum(gradient, &hat));
            let (plain, crossed) = (plain / width as f32, crossed / width as f32);
            for (gradient, hat) in gradient.iter_mut().zip(&hat) {
                *gradient = (*gradient - plain - hat * crossed) * spread;
            }
        }
        add_up(&scale_sum, &mut d_scale);
        add_up(&shift_sum, &mut d_shift);
    }
    (d_scale, d_shift)
}

/// Mean, and 1 / √(variance + ε).
#[inline(always)]
fn moments(x: &[f32]) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(x) / count;
    let mut parts = [0.0_f32; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (part, x) in parts.iter_mut().zip(chunk) {
            *part += (x - mean) * (x - mean);
        }
    }
    for (part, x) in parts.iter_mut().zip(chunks.remainder()) {
        *part += (x - mean) * (x - mean);
    }
    let variance = parts.iter().sum::<f32>() / count;
    (mean, (variance + EPSILON as f32).sqrt().recip())
}

#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let mut parts = [0.0_f32; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (part, x) in parts.iter_mut().zip(chunk) {
            *part += x;
        }
    }
    for (part, x) in parts.iter_mut().zip(chunks.remainder()) {
        *part += x;
    }
    parts.iter().sum()
}

#[inline(always)]
fn product_sum(x: &[f32], y: &[f32]) -> f32 {
    let mut parts = [0.0_f32; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for ((part, x), y) in parts.iter_mut().zip(x).zip(y) {
            *part += x * y;
        }
    }
    for ((part, x), y) in parts.iter_mut().zip(xs.remainder()).zip(ys.remainder()) {
        *part += x * y;
    }
    parts.iter().sum()
}
