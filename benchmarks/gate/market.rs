//! Payouts by seed and era of specs whose truth is known. The gate's own tests have them from here too; where scores come
//! from, whoever includes this says.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Scores, SeedPayouts};

/// What a market is made of. Payouts of a spec: what the era gives to all specs, what it gives to this spec, what the
/// spec earns, the luck of the run (fold and seed), and the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Market {
    /// Folds.
    pub(crate) folds: usize,
    /// Retained eras of a fold; every fourth week is retained.
    pub(crate) eras_a_fold: usize,
    /// Standard deviation of a seed's mean payout over all folds.
    pub(crate) seeds: f64,
    /// Standard deviation, in one era, of what eras do to one spec and not to another.
    pub(crate) eras: f64,
    /// Standard deviation of what a run does in one era beyond its luck.
    pub(crate) rest: f64,
    /// By how much a spec's noise differs from another's: it is `seeds` times a number between 1 and this, or its inverse.
    pub(crate) unlike: f64,
}

/// Weeks between retained eras.
pub(crate) const STRIDE: u32 = 4;
/// Weeks that a target of sixty days spans.
pub(crate) const OVERLAP: u32 = 12;

impl Market {
    /// At the write-up's noise: 0.0048 between repeats.
    pub(crate) const WRITE_UP: Self =
        Self { folds: 4, eras_a_fold: 30, seeds: 0.0048, eras: 0.0, rest: 0.01, unlike: 1.0 };

    /// Test eras of each fold.
    pub(crate) fn fold_eras(&self) -> Vec<Vec<u32>> {
        let era = |index: usize| 1 + STRIDE * index as u32;
        let fold = |fold: usize| (fold * self.eras_a_fold..(fold + 1) * self.eras_a_fold).map(era).collect();
        (0..self.folds).map(fold).collect()
    }

    fn count(&self) -> usize {
        self.folds * self.eras_a_fold
    }

    /// What eras do to one spec, autocorrelated as overlapping targets make it: the sum of the shocks of the weeks that a
    /// target spans.
    pub(crate) fn era_effects(&self, luck: &mut impl Normal) -> Vec<f64> {
        overlapping(self.count(), STRIDE as usize, OVERLAP as usize, luck)
            .iter()
            .map(|value| value * self.eras)
            .collect()
    }
}

/// A series of `count` values of variance 1, each the sum of `span` weekly shocks, `stride` weeks apart.
pub(crate) fn overlapping(count: usize, stride: usize, span: usize, luck: &mut impl Normal) -> Vec<f64> {
    let weeks: Vec<f64> = (0..(count - 1) * stride + span).map(|_| luck.normal()).collect();
    (0..count).map(|at| weeks[at * stride..at * stride + span].iter().sum::<f64>() / (span as f64).sqrt()).collect()
}

/// A spec whose payout is known.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// What it earns.
    pub(crate) payout: f64,
    /// What eras do to it.
    pub(crate) eras: Vec<f64>,
    /// What its runs draw their luck from.
    stream: u64,
    /// How noisy its runs are, beside others'.
    noise: f64,
}

impl Model {
    /// A spec that earns `payout`, and in each era so much more or less; as noisy as the market says.
    pub(crate) fn of(payout: f64, eras: Vec<f64>) -> Self {
        Self { payout, eras, stream: 0, noise: 1.0 }
    }

    /// A spec that earns `payout`, to which eras do what they do to no other.
    pub(crate) fn new(payout: f64, market: &Market, luck: &mut Luck) -> Self {
        let noise = market.unlike.powf(2.0 * luck.uniform() - 1.0);
        let new = Self::of(payout, market.era_effects(luck));
        Self { stream: luck.generator.next_u64(), noise, ..new }
    }

    /// A spec that earns `payout`, to which eras do what they do to `other` where the market has no effect of its own.
    pub(crate) fn beside(other: &Self, payout: f64, market: &Market, luck: &mut Luck) -> Self {
        let new = Self::new(payout, market, luck);
        if market.eras == 0.0 { Self { eras: other.eras.clone(), ..new } } else { new }
    }

    /// One cell: the payouts of a fold's eras under a seed. The same cell is the same numbers.
    pub(crate) fn cell(&self, fold: usize, seed: u64, market: &Market) -> Vec<f64> {
        let stream = self.stream ^ (seed << 8 | fold as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.draw(fold, market, &mut Luck::new(stream))
    }

    /// One cell under a seed that nothing else is drawn under.
    pub(crate) fn draw(&self, fold: usize, market: &Market, luck: &mut impl Normal) -> Vec<f64> {
        // A seed's mean over F folds has the F-th part of the variance of a cell's.
        let run = self.noise * market.seeds * (market.folds as f64).sqrt() * luck.normal();
        let from = fold * market.eras_a_fold;
        let eras = &self.eras[from..from + market.eras_a_fold];
        eras.iter().map(|era| self.payout + era + run + market.rest * luck.normal()).collect()
    }

    /// Whole seeds.
    pub(crate) fn scores(&self, seeds: std::ops::Range<u64>, market: &Market) -> Scores {
        let whole = |seed: u64| (0..market.folds).flat_map(|fold| self.cell(fold, seed, market)).collect();
        let seeds = seeds.map(|seed| SeedPayouts { seed, payout: whole(seed) }).collect();
        Scores { eras: market.fold_eras().concat(), seeds }
    }
}

/// A source of standard normal numbers.
pub(crate) trait Normal {
    /// The next.
    fn normal(&mut self) -> f64;
}

/// A source of uniform and normal numbers.
pub(crate) struct Luck {
    generator: ChaCha8Rng,
    spare: Option<f64>,
}

impl Luck {
    /// The same number gives the same luck.
    pub(crate) fn new(seed: u64) -> Self {
        Self { generator: ChaCha8Rng::seed_from_u64(seed), spare: None }
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64 + 1e-17
    }
}

impl Normal for Luck {
    /// Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}
