//! Dropout as a hash, the same on every backend.

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend};

/// Dropout of one layer in one step: which units stay is a hash of their place and of each replica's key, so that every
/// backend drops the same ones, however replicas are grouped.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Dropout {
    /// A place is dropped where its hash is below this share of 2³².
    pub(in crate::train) threshold: u32,
    /// What the others are multiplied by: 1 / (1 - rate).
    pub(in crate::train) scale: f32,
    /// One key a replica.
    pub(in crate::train) keys: Vec<[u32; 2]>,
}

/// What the hash divides by to bring its upper half down.
pub(in crate::train) const HALF: u32 = 1 << 16;

impl Dropout {
    /// The hash's constants: odd, and so far below 2³¹ that every product fits the signed 64 bits in which the CPU backend
    /// computes integers.
    pub(in crate::train) const MIX: [u32; 3] = [0x61C8_8647, 0x7FEB_352D, 0x2C1B_3C6D];

    /// Dropout with this rate, in (0, 1).
    pub(in crate::train) fn new(rate: f64, keys: Vec<[u32; 2]>) -> Self {
        Self { threshold: (rate * 4_294_967_296.0) as u32, scale: (1.0 / (1.0 - rate)) as f32, keys }
    }

    /// Whether the unit at `place` (row · units + unit) stays.
    #[inline(always)]
    pub(in crate::train) fn keeps(key: [u32; 2], threshold: u32, place: u32) -> bool {
        Self::hash(key, place) >= threshold
    }

    /// A place's hash under a key: from 0 to 2³² - 1.
    ///
    /// A linear step from the place, then two squarings of sorts: a number times its own upper half, as in Widynski's middle
    /// square. It has neither shifts nor exclusive ors, because of integers Burn fuses arithmetic alone into one kernel of a
    /// GPU.
    #[inline(always)]
    pub(in crate::train) fn hash(key: [u32; 2], place: u32) -> u32 {
        let hash = place.wrapping_mul(Self::MIX[0]).wrapping_add(key[0]);
        let hash = hash.wrapping_mul(hash / HALF + Self::MIX[1]).wrapping_add(key[1]);
        hash.wrapping_mul(hash / HALF + Self::MIX[2])
    }

    /// x with units dropped and the others scaled, of Burn's own operations, on x's device.
    pub(super) fn apply<B: Backend>(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let dropped = self.dropped(x.dims(), &x.device());
        (x * self.scale).mask_fill(dropped, 0.0)
    }

    /// Which units of `[replica, row, unit]` are dropped.
    pub(in crate::train) fn dropped<B: Backend>(&self, shape: [usize; 3], device: &B::Device) -> Tensor<B, 3, Bool> {
        Self::hashes::<B>(&self.keys, shape, device).lower_elem(self.threshold)
    }

    /// The hash of every place of `[replica, row, unit]`, by the replicas' keys: from 0 to 2³² - 1.
    pub(in crate::train) fn hashes<B: Backend>(
        keys: &[[u32; 2]],
        shape: [usize; 3],
        device: &B::Device,
    ) -> Tensor<B, 3, Int> {
        let [replicas, rows, units] = shape;
        let whole = |values: Vec<u32>, shape: [usize; 3]| -> Tensor<B, 3, Int> {
            Tensor::from_data(TensorData::new(values, shape), (device, DType::U32))
        };
        let key = |which: usize| whole(keys.iter().map(|key| key[which]).collect(), [replicas, 1, 1]);
        let [first, second] = [key(0), key(1)];
        let row = whole((0..rows as u32).map(|row| row * units as u32).collect(), [1, rows, 1]);
        let unit = whole((0..units as u32).collect(), [1, 1, units]);
        let squared = |hash: Tensor<B, 3, Int>, mix: u32| hash.clone() * (hash / HALF + mix);
        let hash = squared((row + unit) * Self::MIX[0] + first, Self::MIX[1]) + second;
        squared(hash, Self::MIX[2])
    }
}
