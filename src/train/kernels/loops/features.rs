//! Packed features to numbers.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::Level;
use super::dispatched;

dispatched! {
    /// One row of packed features (0, 1, 2, 3, 4) as -1, -0.5, 0, 0.5, 1. Both slices are of one length.
    pub(in crate::train) unpack = unpack_body(row: &[u8], out: &mut [f32])
}

#[inline(always)]
fn unpack_body<L: Level>(row: &[u8], out: &mut [f32]) {
    for (value, out) in row.iter().zip(out) {
        *out = scaled(*value);
    }
}

/// A packed feature as a number.
#[inline(always)]
pub(in crate::train) fn scaled(value: u8) -> f32 {
    (f32::from(value) - 2.0) * 0.5
}

/// Asks for bytes that will be read soon: the rows of a batch lie anywhere in a matrix that no cache holds.
#[inline(always)]
pub(in crate::train) fn prefetch(bytes: &[u8]) {
    /// Bytes in a cache line.
    #[cfg(target_arch = "x86_64")]
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that may name any address; this one lies in a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
