//! What a made-up market is made of: who loads on what, what pays, and how that varies. Drawn once from the seed.

use super::MarketSizes;
use super::random::Random;

/// Share of a feature's variance that comes from factors.
pub(super) const CLARITY: f64 = 0.6;
/// How much the strengths of signals vary around their mean of 1, and how slowly.
const STRENGTH_SPREAD: f64 = 0.6;
const STRENGTH_PERSISTENCE: f64 = 0.97;
/// Name and number of eras that a target's returns span: `target_ender_60` is (`ender`, 12).
pub(super) fn parse_target(target: &str) -> Option<(&str, u32)> {
    let (name, days) = target.strip_prefix("target_")?.rsplit_once('_')?;
    let eras = match days {
        "20" => 4,
        "60" => 12,
        _ => return None,
    };
    (!name.is_empty()).then_some((name, eras))
}

/// What does not change over time.
pub(super) struct Laws {
    /// For each feature, loadings on all factors; zero outside its own set's.
    pub(super) loadings: Vec<Vec<(usize, f64)>>,
    /// Eras (as a position among the written ones) before which a feature is missing.
    pub(super) missing_before: Vec<u32>,
    /// Features that have null cells.
    pub(super) with_nulls: Vec<bool>,
    pub(super) factors: usize,
    pub(super) persistence: f64,
    pub(super) feature_persistence: f64,
    /// Weight of each factor in the linear signal; squares sum to 1.
    pub(super) linear: Vec<f64>,
    /// Pairs of factors and weights of their products; squares of weights sum to 1.
    pub(super) interactions: Vec<(usize, usize, f64)>,
    /// Sizes of both parts in one era's return.
    pub(super) linear_size: f64,
    pub(super) interaction_size: f64,
    /// For each blend of returns, what it makes of the two parts.
    pub(super) blends: Vec<(f64, f64)>,
    /// For each target: blend, eras of its horizon, and whether it may have nulls.
    pub(super) targets: Vec<Target>,
    /// For each benchmark column, what it believes the linear weights to be.
    pub(super) beliefs: Vec<Vec<f64>>,
    pub(super) scored: usize,
}

pub(super) struct Target {
    pub(super) blend: usize,
    pub(super) horizon: u32,
    pub(super) auxiliary: bool,
}

impl Laws {
    pub(super) fn draw(sizes: &MarketSizes, seed: u64, score_on: &str) -> Laws {
        let mut random = Random::new(seed, 0);
        let factors = sizes.factors * sizes.sets.len();
        let mut loadings = Vec::new();
        for (set, size) in sizes.sets.iter().enumerate() {
            for feature in 0..size.features {
                let main = feature % sizes.factors;
                let sign = random.sign();
                let weights: Vec<f64> = (0..sizes.factors)
                    .map(|factor| if factor == main { sign } else { 0.3 * random.normal() })
                    .collect();
                loadings.push(
                    unit(weights)
                        .into_iter()
                        .enumerate()
                        .map(|(factor, weight)| (set * sizes.factors + factor, weight * CLARITY.sqrt()))
                        .collect(),
                );
            }
        }
        let span = sizes.eras as f64 * f64::from(sizes.stride);
        let missing_before = loadings
            .iter()
            .map(|_| if random.uniform() < 0.1 { (0.25 * span * random.uniform()) as u32 } else { 0 })
            .collect();
        let with_nulls = loadings.iter().map(|_| random.uniform() < 0.05).collect();
        let linear = unit((0..factors).map(|_| random.sign() * (0.6 + 0.4 * random.uniform())).collect());
        let pairs: Vec<(usize, usize)> = (0..(factors / 2).max(2))
            .map(|index| {
                if index == 0 {
                    let factor = random.below(factors);
                    (factor, factor)
                } else {
                    let first = random.below(factors);
                    (first, (first + 1 + random.below(factors - 1)) % factors)
                }
            })
            .collect();
        let weights = unit(pairs.iter().map(|_| random.sign() * (0.6 + 0.4 * random.uniform())).collect());
        let interactions = pairs.iter().zip(weights).map(|(&(a, b), weight)| (a, b, weight)).collect();
        let mut names: Vec<&str> = Vec::new();
        let targets: Vec<Target> = sizes
            .targets
            .iter()
            .map(|target| {
                let (name, horizon) = parse_target(target).unwrap_or((target, 4));
                let blend = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                });
                Target { blend, horizon, auxiliary: target != score_on }
            })
            .collect();
        let blends = names.iter().map(|_| (0.85 + 0.3 * random.uniform(), 0.85 + 0.3 * random.uniform())).collect();
        let beliefs = sizes
            .benchmark
            .iter()
            .map(|_| unit(linear.iter().map(|weight| weight * (1.0 + 0.4 * random.normal())).collect()))
            .collect();
        // Four eras of signal against four eras of noise of variance 1 each: correlation = 4·size / √4.
        Laws {
            loadings,
            missing_before,
            with_nulls,
            factors,
            persistence: sizes.persistence,
            feature_persistence: (0..sizes.stride).map(|_| sizes.persistence).product(),
            linear,
            interactions,
            linear_size: sizes.linear / 2.0,
            interaction_size: sizes.interaction / 2.0,
            blends,
            scored: sizes.targets.iter().position(|target| target == score_on).unwrap_or(0),
            targets,
            beliefs,
        }
    }

    pub(super) fn interaction(a: usize, b: usize, factors: &[f64]) -> f64 {
        if a == b { (factors[a] * factors[a] - 1.0) * std::f64::consts::FRAC_1_SQRT_2 } else { factors[a] * factors[b] }
    }

    /// Expected return over the scored target's horizon. A factor decays by `persistence` an era, a product of two by
    /// its square.
    pub(super) fn signal(&self, factors: &[f64]) -> f64 {
        let target = &self.targets[self.scored];
        let (mut linear_sum, mut interaction_sum, mut decay) = (0.0, 0.0, 1.0);
        for _ in 0..target.horizon {
            linear_sum += decay;
            interaction_sum += decay * decay;
            decay *= self.persistence;
        }
        let linear: f64 = self.linear.iter().zip(factors).map(|(weight, factor)| weight * factor).sum();
        let interaction: f64 =
            self.interactions.iter().map(|&(a, b, weight)| weight * Self::interaction(a, b, factors)).sum();
        let (of_linear, of_interaction) = self.blends[target.blend];
        of_linear * self.linear_size * linear_sum * linear
            + of_interaction * self.interaction_size * interaction_sum * interaction
    }
}

/// How strongly each factor and interaction pays in one era: autoregressions around 1.
pub(super) struct Strengths {
    pub(super) random: Random,
    pub(super) state: Vec<f64>,
}

impl Strengths {
    pub(super) fn new(laws: &Laws, seed: u64) -> Strengths {
        let mut random = Random::new(seed, 1);
        let count = laws.factors + laws.interactions.len();
        let state = (0..count).map(|_| random.normal()).collect();
        Strengths { random, state }
    }

    pub(super) fn step(&mut self) -> Vec<f64> {
        let fresh = (1.0 - STRENGTH_PERSISTENCE * STRENGTH_PERSISTENCE).sqrt();
        for value in &mut self.state {
            *value = STRENGTH_PERSISTENCE * *value + fresh * self.random.normal();
        }
        self.state.iter().map(|value| 1.0 + STRENGTH_SPREAD * value).collect()
    }
}

fn unit(weights: Vec<f64>) -> Vec<f64> {
    let length = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    weights.into_iter().map(|weight| weight / length).collect()
}
