//! The fused loops, on plain slices of one replica: `[row, unit]`, row-major.
//!
//! Each loop is compiled for several instruction sets and chosen at run time, so that one binary serves old and new
//! processors. No sum is reordered between them, so they agree to the bit.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::Dropout;
use super::curves::{Curve, Elu, Gelu, Identity, LeakyRelu, Mish, Relu, Selu, Silu, Tanh};
use crate::spec::Activation;

/// Sums of units are kept in f32 over so many rows, then added up in f64.
const ROWS_A_SUM: usize = 64;

/// Dropout of one replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask {
    pub(super) key: [u32; 2],
    pub(super) threshold: u32,
    pub(super) scale: f32,
}

impl Mask {
    /// A mask that drops nothing.
    const ALL: Self = Self { key: [0, 0], threshold: 0, scale: 1.0 };

    #[inline(always)]
    fn at(self, place: u32) -> f32 {
        if Dropout::keeps(self.key, self.threshold, place) { self.scale } else { 0.0 }
    }
}

/// Declares a function that is compiled once a level and dispatched at run time. The body must be `#[inline(always)]`.
macro_rules! dispatched {
    ($(#[doc = $doc:literal])+ $name:ident = $body:ident <C> ( $($argument:ident : $ty:ty),* $(,)? ) $(-> $out:ty)?) => {
        $(#[doc = $doc])+
        fn $name<C: Curve>($($argument: $ty),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512<C: Curve>($($argument: $ty),*) $(-> $out)? { $body::<C>($($argument),*) }
                #[target_feature(enable = "avx2")]
                fn avx2<C: Curve>($($argument: $ty),*) $(-> $out)? { $body::<C>($($argument),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the processor has just been asked for every feature that the function is compiled for.
                    return unsafe { avx512::<C>($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: as above.
                    return unsafe { avx2::<C>($($argument),*) };
                }
            }
            $body::<C>($($argument),*)
        }
    };
}

/// Runs a function for the curve of an activation.
macro_rules! for_curve {
    ($kind:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $kind {
            Activation::Relu => $function::<Relu>($($argument),*),
            Activation::Gelu => $function::<Gelu>($($argument),*),
            Activation::Silu => $function::<Silu>($($argument),*),
            Activation::Mish => $function::<Mish>($($argument),*),
            Activation::Selu => $function::<Selu>($($argument),*),
            Activation::Elu => $function::<Elu>($($argument),*),
            Activation::LeakyRelu => $function::<LeakyRelu>($($argument),*),
            Activation::Tanh => $function::<Tanh>($($argument),*),
            // Softplus never gets here (`curves::is_known`).
            Activation::Softplus | Activation::Identity => $function::<Identity>($($argument),*),
        }
    };
}

/// Mean and biased variance of each unit.
pub(super) fn moments(x: &[f32], units: usize) -> (Vec<f32>, Vec<f32>) {
    moments_at::<Identity>(x, units)
}

dispatched! {
    /// See [`moments`]. (The curve is not used.)
    moments_at = moments_body<C>(x: &[f32], units: usize) -> (Vec<f32>, Vec<f32>)
}

#[inline(always)]
fn moments_body<C: Curve>(x: &[f32], units: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (x.len() / units).max(1) as f64;
    // Differences to the first row keep the sums of squares small.
    let first = &x[..units];
    let (mut total, mut total_squares) = (vec![0.0_f64; units], vec![0.0_f64; units]);
    let (mut sum, mut squares) = (vec![0.0_f32; units], vec![0.0_f32; units]);
    for block in x.chunks(units * ROWS_A_SUM) {
        sum.fill(0.0);
        squares.fill(0.0);
        for row in block.chunks_exact(units) {
            for (((value, first), sum), squares) in row.iter().zip(first).zip(&mut sum).zip(&mut squares) {
                let difference = value - first;
                *sum += difference;
                *squares += difference * difference;
            }
        }
        add_up(&sum, &mut total);
        add_up(&squares, &mut total_squares);
    }
    let mean = total.iter().zip(first).map(|(total, first)| (total / rows + f64::from(*first)) as f32).collect();
    let variance = total
        .iter()
        .zip(&total_squares)
        .map(|(sum, squares)| (squares / rows - (sum / rows).powi(2)).max(0.0) as f32)
        .collect();
    (mean, variance)
}

#[inline(always)]
fn add_up(part: &[f32], total: &mut [f64]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += f64::from(*part);
    }
}

/// What a unit does to its numbers before the activation: factor · (x - centre) + offset. Centring first loses no digits where
/// the mean is large beside the spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units<'a> {
    pub(super) centre: &'a [f32],
    pub(super) factor: &'a [f32],
    pub(super) offset: &'a [f32],
}

/// y = mask · activation(factor · (x - centre) + offset), by unit.
pub(super) fn forward(x: &[f32], y: &mut [f32], units: Units<'_>, kind: Activation, mask: Option<Mask>) {
    match mask {
        Some(mask) => for_curve!(kind, forward_masked(x, y, units, mask)),
        None => for_curve!(kind, forward_plain(x, y, units)),
    }
}

dispatched! {
    /// [`forward`] with dropout.
    forward_masked = forward_masked_body<C>(x: &[f32], y: &mut [f32], units: Units<'_>, mask: Mask)
}

#[inline(always)]
fn forward_masked_body<C: Curve>(x: &[f32], y: &mut [f32], units: Units<'_>, mask: Mask) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    for (index, (x, y)) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).enumerate() {
        let start = (index * width) as u32;
        let each = x.iter().zip(y).zip(centre).zip(factor).zip(offset);
        for (unit, ((((x, y), centre), factor), offset)) in each.enumerate() {
            *y = C::value((x - centre) * factor + offset) * mask.at(start.wrapping_add(unit as u32));
        }
    }
}

dispatched! {
    /// [`forward`] without dropout.
    forward_plain = forward_plain_body<C>(x: &[f32], y: &mut [f32], units: Units<'_>)
}

#[inline(always)]
fn forward_plain_body<C: Curve>(x: &[f32], y: &mut [f32], units: Units<'_>) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        for ((((x, y), centre), factor), offset) in x.iter().zip(y).zip(centre).zip(factor).zip(offset) {
            *y = C::value((x - centre) * factor + offset);
        }
    }
}

/// The gradient before the activation, in place of the gradient after it, and its sums by unit: alone, and times
/// (x - centre).
///
/// `gradient` holds ∂L/∂y on entry and ∂L/∂z on return, z being factor · (x - centre) + offset.
pub(super) fn backward(
    x: &[f32],
    gradient: &mut [f32],
    units: Units<'_>,
    kind: Activation,
    mask: Option<Mask>,
) -> (Vec<f64>, Vec<f64>) {
    let drops = mask.is_some();
    let mask = mask.unwrap_or(Mask::ALL);
    for_curve!(kind, backward_at(x, gradient, units, mask, drops))
}

dispatched! {
    /// See [`backward`].
    backward_at = backward_body<C>(x: &[f32], gradient: &mut [f32], units: Units<'_>, mask: Mask, drops: bool) -> (Vec<f64>, Vec<f64>)
}

#[inline(always)]
fn backward_body<C: Curve>(
    x: &[f32],
    gradient: &mut [f32],
    units: Units<'_>,
    mask: Mask,
    drops: bool,
) -> (Vec<f64>, Vec<f64>) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    let (mut total, mut total_x) = (vec![0.0_f64; width], vec![0.0_f64; width]);
    let (mut sum, mut sum_x) = (vec![0.0_f32; width], vec![0.0_f32; width]);
    let blocks = x.chunks(width * ROWS_A_SUM).zip(gradient.chunks_mut(width * ROWS_A_SUM));
    for (block, (x, gradient)) in blocks.enumerate() {
        sum.fill(0.0);
        sum_x.fill(0.0);
        for (index, (x, gradient)) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).enumerate() {
            let start = ((block * ROWS_A_SUM + index) * width) as u32;
            if drops {
                for (unit, gradient) in gradient.iter_mut().enumerate() {
                    *gradient *= mask.at(start.wrapping_add(unit as u32));
                }
            }
            let each = x.iter().zip(gradient).zip(centre).zip(factor).zip(offset).zip(&mut sum).zip(&mut sum_x);
            for ((((((x, gradient), centre), factor), offset), sum), sum_x) in each {
                let centred = x - centre;
                let before = *gradient * C::slope(centred * factor + offset);
                *gradient = before;
                *sum += before;
                *sum_x += before * centred;
            }
        }
        add_up(&sum, &mut total);
        add_up(&sum_x, &mut total_x);
    }
    (total, total_x)
}

/// gradient ← factor · gradient + slope · (x - centre) + constant, by unit: what is left of a batch norm's backward pass.
/// `units.offset` holds the constants.
pub(super) fn mend(gradient: &mut [f32], x: &[f32], units: Units<'_>, slope: &[f32]) {
    mend_at::<Identity>(gradient, x, units, slope);
}

dispatched! {
    /// See [`mend`]. (The curve is not used.)
    mend_at = mend_body<C>(gradient: &mut [f32], x: &[f32], units: Units<'_>, slope: &[f32])
}

#[inline(always)]
fn mend_body<C: Curve>(gradient: &mut [f32], x: &[f32], units: Units<'_>, slope: &[f32]) {
    let Units { centre, factor, offset } = units;
    let width = factor.len();
    for (gradient, x) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let each = gradient.iter_mut().zip(x).zip(centre).zip(factor).zip(slope).zip(offset);
        for (((((gradient, x), centre), factor), slope), constant) in each {
            *gradient = *gradient * factor + (x - centre) * slope + constant;
        }
    }
}
