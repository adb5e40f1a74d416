//! Noise on features and masks over them, as hashes of their places, as `kernels/dropout.rs` has them: the same bits on
//! every backend, however replicas are grouped.

use burn::tensor::{Int, Tensor, backend::Backend};
use rand::Rng;

use super::kernels::Dropout;
use super::kernels::dropout::HALF;
use super::kernels::loops::noise::{add_noise, mask};
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
    /// As the spec says of features; None for nothing.
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        Self::new(spec.features.noise, spec.features.mask)
    }

    /// Of this standard deviation, and a mask over this share; None for nothing.
    pub(super) fn new(deviation: f64, mask: f64) -> Option<Self> {
        // The variance of one of the numbers is (65536² - 1) / 12.
        let unit = (2.0 * HASHES as f64 * (65_536.0_f64.powi(2) - 1.0) / 12.0).sqrt();
        let scale = (deviation > 0.0).then_some((deviation / unit) as f32);
        let threshold = Dropout::new(mask, Vec::new()).threshold;
        (scale.is_some() || mask > 0.0).then_some(Self { scale, mask, threshold })
    }

    /// Changes the features of one row of a replica's batch.
    pub(super) fn change(&self, keys: &Keys, row: usize, features: &mut [f32]) {
        let first = (row * features.len()) as u32;
        if let Some(scale) = self.scale {
            add_noise(features, first, &keys.noise, (MEAN, scale));
        }
        if self.mask > 0.0 {
            mask(features, first, keys.mask, self.threshold);
        }
    }

    /// The same for all replicas' features `[replica, row, feature]`, of Burn's own operations.
    pub(super) fn changed<B: Backend>(&self, keys: &[Keys], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let (shape, device) = (x.dims(), x.device());
        let x = match self.scale {
            Some(scale) => {
                let sums = (0..HASHES).map(|which| {
                    let keys: Vec<[u32; 2]> = keys.iter().map(|keys| keys.noise[which]).collect();
                    let hash: Tensor<B, 3, Int> = Dropout::hashes(&keys, shape, &device);
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

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::{Tensor, TensorData};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::{Keys, Noise};
    use crate::spec::Spec;

    fn noise(features: &str) -> Noise {
        let text = format!("network: [{{ dense: {{ width: 4 }} }}]\nfeatures: {features}\n");
        Noise::of(&Spec::parse(&text, "test").expect("valid")).expect("there is noise")
    }

    /// What becomes of zeros, row by row, under some seed's first keys.
    fn zeros(noise: &Noise, seed: u64, rows: usize, width: usize) -> Vec<f64> {
        let keys = Keys::draw(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut values = vec![0.0_f32; rows * width];
        values.chunks_exact_mut(width).enumerate().for_each(|(row, values)| noise.change(&keys, row, values));
        values.into_iter().map(f64::from).collect()
    }

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = values.len() as f64;
        values.sum::<f64>() / count
    }

    #[test]
    fn noise_is_normal_and_independent_of_its_neighbours() {
        let (rows, width) = (1000, 100);
        let one = zeros(&noise("{ noise: 0.5 }"), 1, rows, width);
        let other = zeros(&noise("{ noise: 0.5 }"), 2, rows, width);
        let unit: Vec<f64> = one.iter().map(|value| value / 0.5).collect();
        let moment = |power: i32| mean(unit.iter().map(|value| value.powi(power)));
        // 100,000 draws: standard errors of 0.003, 0.0045, 0.012 and 0.03. A sum of eight uniform numbers has a fourth
        // moment of 3 - 6/5/8 = 2.85.
        assert!(moment(1).abs() < 0.012 && (moment(2) - 1.0).abs() < 0.018, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.05 && (moment(4) - 2.85).abs() < 0.12, "{} {}", moment(3), moment(4));
        let within = |limit: f64| mean(unit.iter().map(|value| f64::from(value.abs() < limit)));
        // The normal distribution's 68.3 % and 95.4 %, to which the sum comes within half a percent.
        assert!(
            (within(1.0) - 0.6827).abs() < 0.008 && (within(2.0) - 0.9545).abs() < 0.004,
            "{} {}",
            within(1.0),
            within(2.0)
        );
        let together = |a: &[f64], b: &[f64]| mean(a.iter().zip(b).map(|(a, b)| a * b)) / 0.25;
        for lag in [1, 2, 7, width - 1, width, width + 1, 10 * width] {
            let found = together(&one[lag..], &one[..one.len() - lag]);
            assert!(found.abs() < 0.015, "{lag} places apart: {found}");
        }
        assert!(together(&one, &other).abs() < 0.015, "two replicas");
    }

    #[test]
    fn masks_take_their_share_and_noise_does_not_come_back_behind_them() {
        let values = zeros(&noise("{ noise: 0.1, mask: 0.3 }"), 3, 1000, 50);
        let share = mean(values.iter().map(|value| f64::from(*value == 0.0)));
        // A standard error of 0.002.
        assert!((share - 0.3).abs() < 0.008, "{share}");
    }

    #[test]
    fn the_device_makes_the_same_bits() {
        let (rows, width) = (37, 11);
        for features in ["{ noise: 0.2 }", "{ mask: 0.4 }", "{ noise: 0.05, mask: 0.1 }"] {
            let noise = noise(features);
            let mut stream = ChaCha8Rng::seed_from_u64(9);
            let keys = [Keys::draw(&mut stream), Keys::draw(&mut stream)];
            let start: Vec<f32> = (0..2 * rows * width).map(|place| (place % 5) as f32 * 0.5 - 1.0).collect();
            let x = Tensor::<Flex, 3>::from_data(TensorData::new(start.clone(), [2, rows, width]), &Default::default());
            let found: Vec<u32> = noise.changed(&keys, x).into_data().iter::<f32>().map(f32::to_bits).collect();
            let mut wanted = start;
            for (row, values) in wanted.chunks_exact_mut(width).enumerate() {
                noise.change(&keys[row / rows], row % rows, values);
            }
            let wanted: Vec<u32> = wanted.into_iter().map(f32::to_bits).collect();
            assert_eq!(found, wanted, "{features}");
        }
    }
}
