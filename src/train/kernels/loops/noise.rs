//! Noise on features and masks over them, row by row.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::Level;
use super::dispatched;
use crate::train::kernels::Dropout;
use crate::train::kernels::dropout::HALF;

dispatched! {
    /// values ← values + (the sum of the halves of the hashes of their places - mean) · scale; places count from `first`.
    pub(in crate::train) add_noise = add_noise_body(values: &mut [f32], first: u32, keys: &[[u32; 2]; 4], moves: (f32, f32))
}

#[inline(always)]
fn add_noise_body<L: Level>(values: &mut [f32], first: u32, keys: &[[u32; 2]; 4], moves: (f32, f32)) {
    let (mean, scale) = moves;
    for (offset, value) in values.iter_mut().enumerate() {
        let place = first.wrapping_add(offset as u32);
        let halves = |key: &[u32; 2]| {
            let hash = Dropout::hash(*key, place);
            hash / HALF + hash % HALF
        };
        let sum: u32 = keys.iter().map(halves).sum();
        // A sum below 2²⁰ is the same number as signed, which more processors convert at once.
        *value += (sum as i32 as f32 - mean) * scale;
    }
}

dispatched! {
    /// values ← 0 where the hash of their place is below the threshold; places count from `first`.
    pub(in crate::train) mask = mask_body(values: &mut [f32], first: u32, key: [u32; 2], threshold: u32)
}

#[inline(always)]
fn mask_body<L: Level>(values: &mut [f32], first: u32, key: [u32; 2], threshold: u32) {
    for (offset, value) in values.iter_mut().enumerate() {
        if Dropout::hash(key, first.wrapping_add(offset as u32)) < threshold {
            *value = 0.0;
        }
    }
}
