//! Random numbers that are the same on every machine: ChaCha, and only additions, multiplications and square roots.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator of its own for each purpose: the streams of one seed do not overlap.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64, stream: u64) -> Random {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Random(generator)
    }

    /// Mean 0, variance 1: the sum of four uniform numbers (Irwin-Hall). Its tails end at ±3.46, which a market of
    /// ranks does not notice, and it needs no logarithm, whose last bit differs between systems.
    pub(super) fn normal(&mut self) -> f64 {
        const CENTRE: f64 = 4.0 * 32_767.5;
        const SCALE: f64 = 1.0 / 37_837.227_476_6;
        let bits = self.0.next_u64();
        let sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
        (sum as f64 - CENTRE) * SCALE
    }

    /// Uniform in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// 1 or -1.
    pub(super) fn sign(&mut self) -> f64 {
        if self.0.next_u64() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// A position in `0..count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        // The bias of the multiplication is below 2^-32 for the small counts used here.
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }
}

/// A mixing of 64 bits that maps no two inputs to one output (the finalizer of SplitMix64).
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
