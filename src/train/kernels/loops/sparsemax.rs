//! The nearest point of the simplex to each row, and its gradient.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::Level;
use super::{LANES, dispatched};

dispatched! {
    /// y ← sparsemax(y), row by row.
    pub(in crate::train::kernels) forward = forward_body(y: &mut [f32], width: usize)
}

#[inline(always)]
fn forward_body<L: Level>(y: &mut [f32], width: usize) {
    for row in y.chunks_exact_mut(width) {
        let most = largest(row);
        row.iter_mut().for_each(|y| *y -= most);
        // The largest number is at 0 and no more than 1 above τ; Newton's method from below rises to τ.
        let (mut threshold, mut support) = (-1.0, width as f32 + 1.0);
        loop {
            let (sum, count) = above(row, threshold);
            // No fewer than before is no other threshold than before. NaN is above nothing.
            if count >= support || count == 0.0 {
                break;
            }
            (threshold, support) = ((sum - 1.0) / count, count);
        }
        // What is no number stays none.
        row.iter_mut().for_each(|y| *y = if *y <= threshold { 0.0 } else { *y - threshold });
    }
}

#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let mut parts = [f32::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (part, y) in parts.iter_mut().zip(chunk) {
            *part = if *y > *part { *y } else { *part };
        }
    }
    let rest = chunks.remainder().iter().copied();
    parts.into_iter().chain(rest).fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of what lies above, and how many they are.
#[inline(always)]
fn above(row: &[f32], threshold: f32) -> (f32, f32) {
    let (mut sums, mut counts) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for ((sum, count), y) in sums.iter_mut().zip(&mut counts).zip(chunk) {
            *sum += if *y > threshold { *y } else { 0.0 };
            *count += if *y > threshold { 1.0 } else { 0.0 };
        }
    }
    for ((sum, count), y) in sums.iter_mut().zip(&mut counts).zip(chunks.remainder()) {
        *sum += if *y > threshold { *y } else { 0.0 };
        *count += if *y > threshold { 1.0 } else { 0.0 };
    }
    (sums.iter().sum(), counts.iter().sum())
}

dispatched! {
    /// gradient ← g - (mean of g over the row's support) on the support, else 0.
    pub(in crate::train::kernels) backward = backward_body(y: &[f32], gradient: &mut [f32], width: usize)
}

#[inline(always)]
fn backward_body<L: Level>(y: &[f32], gradient: &mut [f32], width: usize) {
    for (y, gradient) in y.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
        let (mut sums, mut counts) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (mut ys, mut gs) = (y.chunks_exact(LANES), gradient.chunks_exact(LANES));
        for (y, g) in (&mut ys).zip(&mut gs) {
            for (((sum, count), y), g) in sums.iter_mut().zip(&mut counts).zip(y).zip(g) {
                *sum += if *y > 0.0 { *g } else { 0.0 };
                *count += if *y > 0.0 { 1.0 } else { 0.0 };
            }
        }
        for (((sum, count), y), g) in sums.iter_mut().zip(&mut counts).zip(ys.remainder()).zip(gs.remainder()) {
            *sum += if *y > 0.0 { *g } else { 0.0 };
            *count += if *y > 0.0 { 1.0 } else { 0.0 };
        }
        let mean = sums.iter().sum::<f32>() / counts.iter().sum::<f32>().max(1.0);
        for (y, gradient) in y.iter().zip(gradient) {
            *gradient = if *y > 0.0 { *gradient - mean } else { 0.0 };
        }
    }
}
