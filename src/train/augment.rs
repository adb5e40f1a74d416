//! What is done to a batch before it is learned from: rows are mixed, labels made smaller.
//!
//! λ and the keys of a mix come from a replica's own stream. Only the block that manifold mixup mixes after is shared by a
//! group: it is a function of the step's number.

use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::kernels::{Benchmark, Dropout, Truth};
use super::streams::{Purpose, Replica};
use crate::spec::Augment;

/// The key under which a step's number becomes the block that is mixed after.
const BLOCK_KEY: [u32; 2] = [0x4D61_6E69, 0x666F_6C64];

/// The augmentations of a spec, with a stream for each replica.
pub(super) struct Augmenter<'s> {
    list: &'s [Augment],
    streams: Vec<ChaCha8Rng>,
}

impl<'s> Augmenter<'s> {
    /// For a group of replicas.
    pub(super) fn new(list: &'s [Augment], replicas: &[Replica]) -> Self {
        Self { list, streams: replicas.iter().map(|replica| replica.stream(Purpose::Mixing)).collect() }
    }

    /// Augments the batch of step `at`, counted over all epochs, for a net of `layers` blocks, its output layer included.
    pub(super) fn augment<B: Backend>(
        &mut self,
        at: usize,
        layers: usize,
        x: Tensor<Autodiff<B>, 3>,
        truth: Truth<Autodiff<B>>,
    ) -> Augmented<Autodiff<B>> {
        let (mut x, mut truth, mut inside) = (x, truth, None);
        for augment in self.list {
            match augment {
                Augment::Mixup(mixup) => {
                    let mix = self.mix(mixup.alpha, truth.parts, &x.device());
                    x = mix.rows(x);
                    truth = mix.truth(truth);
                }
                Augment::ManifoldMixup(mixup) => {
                    let mix = self.mix(mixup.alpha, truth.parts, &x.device());
                    truth = mix.truth(truth);
                    inside = Some(Inside { block: block(at, layers), mix });
                }
                Augment::Cutmix(cutmix) => {
                    let mix = self.mix(cutmix.alpha, truth.parts, &x.device());
                    let keys: Vec<[u32; 2]> =
                        self.streams.iter_mut().map(|stream| [stream.next_u32(), stream.next_u32()]).collect();
                    x = mix.features(x, &keys);
                    truth = mix.truth(truth);
                }
                Augment::LabelSmoothing(smoothing) => {
                    truth = Truth { targets: truth.targets * (1.0 - smoothing.amount), ..truth };
                }
            }
        }
        Augmented { x, truth, inside }
    }

    fn mix<B: Backend>(&mut self, alpha: f64, parts: usize, device: &B::Device) -> Mix<B> {
        let shares: Vec<f32> = self.streams.iter_mut().map(|stream| beta(alpha, stream) as f32).collect();
        let count = shares.len();
        Mix { share: Tensor::from_data(TensorData::new(shares, [count, 1, 1]), device), parts }
    }
}

/// An augmented batch.
pub(super) struct Augmented<B: Backend> {
    /// `[replica, row, feature]`
    pub(super) x: Tensor<B, 3>,
    pub(super) truth: Truth<B>,
    /// The mix that is yet to happen inside the net.
    pub(super) inside: Option<Inside<B>>,
}

/// The block that step `at` is mixed before, of `layers`: uniform, the same for every replica.
fn block(at: usize, layers: usize) -> usize {
    ((u64::from(Dropout::hash(BLOCK_KEY, at as u32)) * layers as u64) >> 32) as usize
}

/// A mix that happens inside the net.
pub(super) struct Inside<B: Backend> {
    block: usize,
    mix: Mix<B>,
}

impl<B: Backend> Inside<B> {
    /// What goes into a block, counted from 0.
    pub(super) fn before(&self, block: usize, x: Tensor<B, 3>) -> Tensor<B, 3> {
        if block == self.block { self.mix.rows(x) } else { x }
    }
}

/// A mix of each row with its partner.
struct Mix<B: Backend> {
    /// λ, `[replica, 1, 1]`.
    share: Tensor<B, 3>,
    /// Runs of rows of one era each, one after another.
    parts: usize,
}

impl<B: Backend> Mix<B> {
    /// λ·x + (1 - λ)·x'.
    fn rows(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let others = self.partners(x.clone());
        x * self.share.clone() + others * (self.share.clone().neg() + 1.0)
    }

    /// Each number is the partner's with probability 1 - λ.
    fn features(&self, x: Tensor<B, 3>, keys: &[[u32; 2]]) -> Tensor<B, 3> {
        let others = self.partners(x.clone());
        let hashes: Tensor<B, 3, Int> = Dropout::hashes(keys, x.dims(), &x.device());
        // A hash as a number in [0, 1), to the 24 bits that an f32 holds.
        let drawn = (hashes / 256).float() / 16_777_216.0;
        x.mask_where(drawn.greater_equal(self.share.clone()), others)
    }

    /// The label of a mix, which exists where both labels do.
    fn truth(&self, truth: Truth<B>) -> Truth<B> {
        let Truth { targets, mask, parts, benchmark } = truth;
        let benchmark = benchmark.map(|benchmark| Benchmark {
            scores: self.rows(benchmark.scores),
            mask: benchmark.mask.map(|mask| self.partners(mask.clone()) * mask),
        });
        let targets = self.rows(targets);
        match mask {
            Some(mask) => {
                let both = self.partners(mask.clone()) * mask;
                Truth { targets: targets * both.clone(), mask: Some(both), parts, benchmark }
            }
            None => Truth { targets, mask: None, parts, benchmark },
        }
    }

    /// Each row's partner: the row at the mirrored place of its run.
    fn partners(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, units] = x.dims();
        x.reshape([replicas * self.parts, rows / self.parts, units]).flip([1]).reshape([replicas, rows, units])
    }
}

/// A number of the distribution Beta(alpha, alpha), as the share of one of two gamma numbers in their sum. Taken in
/// logarithms, because with a small alpha both gamma numbers may be too small for floating point.
fn beta(alpha: f64, stream: &mut impl Rng) -> f64 {
    let (one, other) = (log_gamma(alpha, stream), log_gamma(alpha, stream));
    1.0 / (1.0 + (other - one).exp())
}

/// The logarithm of a number of the distribution Gamma(alpha, 1), by Marsaglia and Tsang (2000).
fn log_gamma(alpha: f64, stream: &mut impl Rng) -> f64 {
    // Gamma(alpha) is Gamma(alpha + 1) · U^(1/alpha).
    let boost = (1.0 - stream.random::<f64>()).ln() / alpha;
    let d = alpha + 1.0 - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * stream.random::<f64>()).cos();
        let v = (1.0 + c * normal).powi(3);
        let u = 1.0 - stream.random::<f64>();
        if v > 0.0 && u.ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return (d * v).ln() + boost;
        }
    }
}

#[cfg(test)]
mod tests;
