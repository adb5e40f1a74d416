//! Noise on features and masks over them, as hashes of their places, as `kernels/dropout.rs` has them: the same bits on
//! every backend, however replicas are grouped.

use burn::tensor::{Int, Tensor, backend::Backend};
use rand::Rng;

use super::kernels::Dropout;
use super::kernels::dropout::{HALF, hash, hashes};
use crate::spec::Spec;

/// Hashes that a normal number is made of. Each gives two uniform numbers of 16 bits; the sum of all eight has a mean of
/// four times 65535, and is normal to a kurtosis of 3 - 0.15 (Irwin 1927, Hall 1927). Integers, so that no backend rounds
/// otherwise than another, as it would a logarithm and a cosine.
const HASHES: usize = 4;

/// The mean of the sum.
const MEAN: f32 = (HASHES * 65_535) as f32;

/// The keys of one replica in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    noise: [[u32; 2]; HASHES],
    mask: [u32; 2],
}

impl Keys {
    /// Draws a step's keys.
    pub(super) fn draw(stream: &mut impl Rng) -> Self {
        let mut key = || [stream.next_u32(), stream.next_u32()];
        Self { noise: std::array::from_fn(|_| key()), mask: key() }
    }
}

/// What training does to features: x ← (x + deviation · normal), then 0 for a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// What the centred sum is multiplied by; None without noise.
    scale: Option<f32>,
    /// The share that is masked.
    mask: f64,
    /// A feature is masked where its hash is below.
    threshold: u32,
}

impl Noise {
    /// As the spec says; None for nothing.
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        let (deviation, mask) = (spec.features.noise, spec.features.mask);
        // The variance of one of the numbers is (65536² - 1) / 12.
        let unit = (2.0 * HASHES as f64 * (65_536.0_f64.powi(2) - 1.0) / 12.0).sqrt();
        let scale = (deviation > 0.0).then_some((deviation / unit) as f32);
        let threshold = Dropout::new(mask, Vec::new()).threshold;
        (scale.is_some() || mask > 0.0).then_some(Self { scale, mask, threshold })
    }

    /// Changes the features of one row of a replica's batch.
    pub(super) fn change(&self, keys: &Keys, row: usize, features: &mut [f32]) {
        let first = (row * features.len()) as u32;
        for (place, value) in (first..).zip(features) {
            if let Some(scale) = self.scale {
                let sum: u32 = keys.noise.iter().map(|key| halves(hash(*key, place))).sum();
                *value += (sum as f32 - MEAN) * scale;
            }
            if self.mask > 0.0 && !Dropout::keeps(keys.mask, self.threshold, place) {
                *value = 0.0;
            }
        }
    }

    /// The same for all replicas' features `[replica, row, feature]`, of Burn's own operations.
    pub(super) fn changed<B: Backend>(&self, keys: &[Keys], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let (shape, device) = (x.dims(), x.device());
        let x = match self.scale {
            Some(scale) => {
                let sums = (0..HASHES).map(|which| {
                    let keys: Vec<[u32; 2]> = keys.iter().map(|keys| keys.noise[which]).collect();
                    let hash: Tensor<B, 3, Int> = hashes(&keys, shape, &device);
                    let upper = hash.clone() / HALF;
                    hash - upper.clone() * (HALF - 1)
                });
                let sum = sums.reduce(|a, b| a + b).map(|sum: Tensor<B, 3, Int>| sum.float());
                let noise = sum.map(|sum| (sum - MEAN) * scale);
                noise.map_or(x.clone(), |noise| x + noise)
            }
            None => x,
        };
        if self.mask == 0.0 {
            return x;
        }
        let mask = Dropout::new(self.mask, keys.iter().map(|keys| keys.mask).collect());
        x.mask_fill(mask.dropped(shape, &device), 0.0)
    }
}

/// The sum of a hash's upper and lower half.
#[inline(always)]
fn halves(hash: u32) -> u32 {
    hash / HALF + hash % HALF
}
