//! The simulation: hidden factors, features that show them, returns that follow them, targets made of returns.
//!
//! - Every stock has hidden *factors*, a few for each feature set, that wander slowly (an autoregression of one era).
//!   Its *features* are noisy mixtures of its set's factors, cut into five equal bins in each era. Stocks stay, so
//!   a model that memorizes stocks can find them again in neighbouring eras.
//! - A stock's *return* of an era is a linear signal of the factors, plus interactions (products and squares of
//!   factors), plus noise. How strongly each factor and each interaction pays varies from era to era, and comes back
//!   to a mean that is worth learning.
//! - The *20-day target* sums the returns of 4 eras, the *60-day target* those of 12. Targets of neighbouring eras
//!   therefore share noise, and a train era that is too close to a test era leaks.
//! - *Benchmark columns* see the linear signal, imperfectly, and nothing of the interactions.
//! - Some features are missing in all early eras (every stock gets 2), some cells are null, auxiliary targets are
//!   null here and there.
//!
//! The best achievable prediction is the expected return given the factors, under mean strengths ([`MarketEra::signal`]).

use std::collections::VecDeque;

use rayon::prelude::*;

use super::MarketSizes;
use super::laws::{CLARITY, Laws, Strengths};
use super::random::{Random, mix};
use crate::error::Result;

/// Stocks that are simulated together. Fixed, because each block draws from a random stream of its own.
const BLOCK: usize = 256;
/// Share of a target's noise that all targets have in common.
const COMMON_NOISE: f64 = 0.7;
/// Marks a feature cell that is written as null.
pub(super) const NULL: u8 = u8::MAX;
/// Lower shares of Numerai's five target bins: 5, 20, 50, 20, 5 %.
const TARGET_SHARES: [f64; 4] = [0.05, 0.25, 0.75, 0.95];
const FEATURE_SHARES: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

/// One era of the market. Rows are sorted by id.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketEra {
    /// Era number.
    pub era: u32,
    /// Ids, `n` and 16 hex digits.
    pub ids: Vec<String>,
    /// Feature bins 0..=4 by column, `[feature][row]`; 255 is a null.
    pub features: Vec<Vec<u8>>,
    /// Targets in [0, 1] by column, `[target][row]`; NaN is a null.
    pub targets: Vec<Vec<f32>>,
    /// Benchmark predictions in (0, 1) by column, `[column][row]`.
    pub benchmark: Vec<Vec<f32>>,
    /// Expected return over the scoring target's horizon, given the factors. The answer, which no file holds.
    pub signal: Vec<f64>,
}

/// Simulates the market and hands over its eras in ascending order. `score_on` decides the horizon of the signal and
/// keeps that target free of nulls. Same sizes and seed give the same market, on any number of threads.
///
/// # Errors
/// Those of `sink`.
pub fn simulate(
    sizes: &MarketSizes,
    seed: u64,
    score_on: &str,
    sink: &mut dyn FnMut(MarketEra) -> Result<()>,
) -> Result<()> {
    simulate_weeks(sizes, seed, score_on, &mut |era| era.map_or(Ok(()), &mut *sink))
}

/// As [`simulate`], and hands over `None` for every week that passes, so that one may stop.
pub(super) fn simulate_weeks(
    sizes: &MarketSizes,
    seed: u64,
    score_on: &str,
    sink: &mut dyn FnMut(Option<MarketEra>) -> Result<()>,
) -> Result<()> {
    let laws = Laws::draw(sizes, seed, score_on);
    let mut blocks: Vec<Block> = (0..sizes.rows)
        .step_by(BLOCK)
        .map(|start| Block::new(&laws, seed, start, BLOCK.min(sizes.rows - start)))
        .collect();
    let eras = sizes.era_numbers();
    let mut strengths = Strengths::new(&laws, seed);
    let mut pending: VecDeque<Pending> = VecDeque::new();
    let mut next = eras.iter().copied().peekable();
    let mut week = 1;
    loop {
        if next.next_if_eq(&week).is_some() {
            pending.push_back(Pending::observe(&laws, &mut blocks, seed, week));
        }
        for waiting in &mut pending {
            waiting.collect(&laws, &blocks, week);
        }
        while pending.front().is_some_and(|first| first.complete(&laws, week)) {
            if let Some(first) = pending.pop_front() {
                sink(Some(first.finish()))?;
            }
        }
        if pending.is_empty() && next.peek().is_none() {
            return Ok(());
        }
        sink(None)?;
        let strength = strengths.step();
        blocks.par_iter_mut().for_each(|block| block.step(&laws, &strength));
        week += 1;
    }
}

/// A block of stocks.
struct Block {
    random: Random,
    first_stock: usize,
    stocks: usize,
    /// `[stock][factor]`
    factors: Vec<f64>,
    /// The part of each feature that is no factor's, `[stock][feature]`.
    own: Vec<f32>,
    /// Sum of all returns so far, `[stock][blend]`.
    returns: Vec<f64>,
}

impl Block {
    fn new(laws: &Laws, seed: u64, first_stock: usize, stocks: usize) -> Block {
        let mut random = Random::new(seed, 1_000 + (first_stock / BLOCK) as u64);
        let factors = (0..stocks * laws.factors).map(|_| random.normal()).collect();
        let own = (0..stocks * laws.loadings.len()).map(|_| random.normal() as f32).collect();
        Block { random, first_stock, stocks, factors, own, returns: vec![0.0; stocks * laws.blends.len()] }
    }

    /// One era passes: returns of the factors as they stand, then the factors move.
    fn step(&mut self, laws: &Laws, strength: &[f64]) {
        let fresh = (1.0 - laws.persistence * laws.persistence).sqrt();
        let common = COMMON_NOISE.sqrt();
        let separate = (1.0 - COMMON_NOISE).sqrt();
        for stock in 0..self.stocks {
            let factors = &mut self.factors[stock * laws.factors..(stock + 1) * laws.factors];
            let linear: f64 =
                (0..laws.factors).map(|factor| laws.linear[factor] * strength[factor] * factors[factor]).sum();
            let interaction: f64 = laws
                .interactions
                .iter()
                .zip(&strength[laws.factors..])
                .map(|(&(a, b, weight), strength)| weight * strength * Laws::interaction(a, b, factors))
                .sum();
            let shared = common * self.random.normal();
            let returns = &mut self.returns[stock * laws.blends.len()..(stock + 1) * laws.blends.len()];
            for (sum, (of_linear, of_interaction)) in returns.iter_mut().zip(&laws.blends) {
                *sum += of_linear * laws.linear_size * linear
                    + of_interaction * laws.interaction_size * interaction
                    + shared
                    + separate * self.random.normal();
            }
            for factor in factors {
                *factor = laws.persistence * *factor + fresh * self.random.normal();
            }
        }
    }

    /// Feature values of the block, `[stock][feature]`, after its own parts have moved on by one written era.
    fn observe(&mut self, laws: &Laws) -> Vec<f32> {
        let count = laws.loadings.len();
        let kept = laws.feature_persistence as f32;
        let fresh = (1.0 - kept * kept).sqrt();
        let clouded = (1.0 - CLARITY).sqrt() as f32;
        let mut values = Vec::with_capacity(self.own.len());
        for stock in 0..self.stocks {
            let factors = &self.factors[stock * laws.factors..(stock + 1) * laws.factors];
            for (own, loadings) in self.own[stock * count..(stock + 1) * count].iter_mut().zip(&laws.loadings) {
                *own = kept * *own + fresh * self.random.normal() as f32;
                let shown: f64 = loadings.iter().map(|&(factor, weight)| weight * factors[factor]).sum();
                values.push(shown as f32 + clouded * *own);
            }
        }
        values
    }
}

/// An era that has been seen and waits for its returns.
struct Pending {
    era: MarketEra,
    /// Stock of each row: rows are sorted by id.
    order: Vec<usize>,
    /// Sums of returns when the era was seen, `[stock][blend]`.
    start: Vec<f64>,
    random: Random,
}

impl Pending {
    fn observe(laws: &Laws, blocks: &mut [Block], seed: u64, era: u32) -> Pending {
        let observed: Vec<Vec<f32>> = blocks.par_iter_mut().map(|block| block.observe(laws)).collect();
        let stocks: usize = blocks.iter().map(|block| block.stocks).sum();
        let count = laws.loadings.len();
        let salt = mix(seed ^ 0x6d61_726b_6574);
        let id = |stock: usize| mix(salt ^ ((u64::from(era) << 32) | stock as u64));
        let mut order: Vec<usize> = (0..stocks).collect();
        order.sort_unstable_by_key(|&stock| id(stock));
        let mut random = Random::new(seed, (1 << 32) + u64::from(era));
        let nulls: Vec<u64> = (0..count).map(|_| mix(random.uniform().to_bits())).collect();
        let features = (0..count)
            .into_par_iter()
            .map(|feature| {
                if era < laws.missing_before[feature] {
                    return vec![2; stocks];
                }
                let values: Vec<f32> =
                    order.iter().map(|&stock| observed[stock / BLOCK][(stock % BLOCK) * count + feature]).collect();
                let mut bins = bin(&values, FEATURE_SHARES);
                if laws.with_nulls[feature] {
                    for (row, cell) in bins.iter_mut().enumerate() {
                        if mix(nulls[feature] ^ row as u64).is_multiple_of(200) {
                            *cell = NULL;
                        }
                    }
                }
                bins
            })
            .collect();
        let factors = |stock: usize| {
            let block = &blocks[stock / BLOCK];
            let start = (stock - block.first_stock) * laws.factors;
            &block.factors[start..start + laws.factors]
        };
        let benchmark = laws
            .beliefs
            .iter()
            .map(|belief| {
                let values: Vec<f32> = order
                    .iter()
                    .map(|&stock| {
                        let seen: f64 = belief.iter().zip(factors(stock)).map(|(weight, factor)| weight * factor).sum();
                        (seen + 0.5 * random.normal()) as f32
                    })
                    .collect();
                ranks(&values)
            })
            .collect();
        Pending {
            era: MarketEra {
                era,
                ids: order.iter().map(|&stock| format!("n{:016x}", id(stock))).collect(),
                features,
                targets: vec![Vec::new(); laws.targets.len()],
                benchmark,
                signal: order.iter().map(|&stock| laws.signal(factors(stock))).collect(),
            },
            start: blocks.iter().flat_map(|block| block.returns.iter().copied()).collect(),
            order,
            random,
        }
    }

    /// Takes the targets whose horizon ends now.
    fn collect(&mut self, laws: &Laws, blocks: &[Block], week: u32) {
        let blends = laws.blends.len();
        for (index, target) in laws.targets.iter().enumerate() {
            if self.era.era + target.horizon != week {
                continue;
            }
            let values: Vec<f32> = self
                .order
                .iter()
                .map(|&stock| {
                    let block = &blocks[stock / BLOCK];
                    let end = block.returns[(stock - block.first_stock) * blends + target.blend];
                    (end - self.start[stock * blends + target.blend]) as f32
                })
                .collect();
            let absent = target.auxiliary && index % 2 == 1 && self.era.era <= 8;
            self.era.targets[index] = bin(&values, TARGET_SHARES)
                .into_iter()
                .map(|bin| {
                    let null = target.auxiliary && (absent || self.random.uniform() < 0.01);
                    if null { f32::NAN } else { f32::from(bin) * 0.25 }
                })
                .collect();
        }
    }

    fn complete(&self, laws: &Laws, week: u32) -> bool {
        let longest = laws.targets.iter().map(|target| target.horizon).max().unwrap_or(0);
        self.era.era + longest <= week
    }

    fn finish(self) -> MarketEra {
        self.era
    }
}

/// Puts values into bins 0..=4 that hold given shares of them; `shares` are the four inner borders.
fn bin(values: &[f32], shares: [f64; 4]) -> Vec<u8> {
    let mut sorted = values.to_vec();
    let borders = shares.map(|share| {
        let place = ((share * values.len() as f64) as usize).min(values.len() - 1);
        *sorted.select_nth_unstable_by(place, f32::total_cmp).1
    });
    values.iter().map(|value| borders.iter().filter(|border| *value >= **border).count() as u8).collect()
}

/// Ranks of values, spread evenly over (0, 1).
fn ranks(values: &[f32]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let mut out = vec![0.0; values.len()];
    for (rank, row) in order.into_iter().enumerate() {
        out[row] = ((rank as f64 + 0.5) / values.len() as f64) as f32;
    }
    out
}
