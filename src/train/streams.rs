//! Random numbers: one independent stream a purpose, derived from the cell's seed, so that no draw moves another.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Initial weights.
    Weights,
    /// The order of rows.
    Order,
    /// Dropout masks.
    Dropout,
    /// Noise and masks of features.
    Noise,
    /// Noise of blocks.
    BlockNoise,
    /// Mixes of rows.
    Mixing,
    /// Subsets of features, by member alone.
    Features,
    /// Noise on gradients.
    GradientNoise,
}

/// One net of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    /// The fold that is left out.
    pub(super) fold: usize,
    /// The protocol's seed.
    pub(super) seed: u64,
    /// The member of the ensemble, from 0.
    pub(super) member: u32,
}

impl Replica {
    /// This replica's generator for one purpose.
    pub(super) fn stream(&self, purpose: Purpose) -> ChaCha8Rng {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&(self.fold as u64).to_le_bytes());
        key[16..20].copy_from_slice(&self.member.to_le_bytes());
        key[20] = match purpose {
            Purpose::Weights => 1,
            Purpose::Order => 2,
            Purpose::Dropout => 3,
            Purpose::Noise => 20,
            Purpose::Mixing => 21,
            Purpose::Features => 22,
            Purpose::BlockNoise => 23,
            Purpose::GradientNoise => 10,
        };
        ChaCha8Rng::from_seed(key)
    }
}
