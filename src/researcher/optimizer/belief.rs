//! What the ledger says about changes that have not been tried: a Gaussian process over differences.
//!
//! A trial measures f(candidate) - f(incumbent), with a known standard error. f is taken to be a sum of functions of one
//! dimension each (see `profile`), smooth (squared exponential kernel) with a linear trend, so that what helped is
//! pushed further and what hurt is avoided, plus an effect of the category (some kinds of change just tend to lose) and of
//! how far what was believed beforehand is to be trusted.
//! Being a sum, it needs only the dimensions in which two changes both differ. Rasmussen & Williams, "Gaussian Processes
//! for Machine Learning" (2006), chapter 2; Duvenaud et al., "Additive Gaussian Processes" (2011).

use std::collections::BTreeSet;

use rand::{Rng, RngExt};

use super::matrix::{Cholesky, dot};
use super::prior;
use super::profile::{Shift, category};
use super::scales::{KINDS, Scales, kind};
use crate::research::effect::Effect;

/// Standard deviation of a dimension's function, in typical effects, for the dimensions that matter most.
const AMPLITUDE: f64 = 0.6;
/// Steps after which a dimension's function is a different one.
const LENGTH: f64 = 1.5;
/// Standard deviation of a dimension's slope, per step.
const SLOPE: f64 = 0.2;
/// Standard deviation of a category's effect.
const CATEGORY: f64 = 0.3;
/// How far what is believed beforehand may be wrong as a whole: its gains count times a factor, of 1 ± this. Where what it
/// praises loses, the ledger so turns against all of it at once, and not against one knob after another.
const TRUST: f64 = 0.7;
/// What the sum misses: interactions between knobs.
const MISFIT: f64 = 0.2;
/// The latest observations count; older ones were made around incumbents long gone.
pub(super) const MOST_OBSERVATIONS: usize = 400;

/// A change, as the belief sees it.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Sorted by dimension.
    pub(super) shifts: Vec<Shift>,
    /// How much each shift's dimension is expected to matter: a factor on the variance of its function.
    scales: Vec<f64>,
    /// The number of each shift's category.
    kinds: Vec<usize>,
    categories: BTreeSet<&'static str>,
    /// What it is believed to bring beforehand.
    lean: f64,
}

impl Change {
    pub(super) fn new(mut shifts: Vec<Shift>) -> Self {
        shifts.sort_by(|a, b| a.dimension.cmp(&b.dimension));
        let categories = shifts.iter().map(|shift| category(&shift.dimension)).collect();
        let scales = shifts.iter().map(|shift| prior::relevance(&shift.dimension)).collect();
        let kinds = shifts.iter().map(|shift| kind(category(&shift.dimension))).collect();
        let lean = prior::lean(&shifts);
        Self { shifts, scales, kinds, categories, lean }
    }

    /// These dimensions alone, without what the categories of a change do.
    fn bare(shifts: Vec<Shift>) -> Self {
        Self { categories: BTreeSet::new(), ..Self::new(shifts) }
    }

    /// The categories that it touches.
    pub(super) fn categories(&self) -> &BTreeSet<&'static str> {
        &self.categories
    }
}

/// What a trial said about a change.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// The trial.
    pub(super) trial: u32,
    /// What it changed.
    pub(super) change: Change,
    /// The measured gain in payout.
    pub(super) delta: f64,
    /// Its standard error.
    pub(super) standard_error: f64,
    /// The effect that these two are of; None of a trial that died, whose numbers stand for its loss.
    pub(super) effect: Option<Effect>,
}

/// The belief after some observations.
pub(super) struct Belief<'a> {
    observations: &'a [Observation],
    factor: Cholesky,
    /// L⁻¹·(y - prior)
    weights: Vec<f64>,
    scales: Scales,
}

/// What is believed about some changes together, in payout.
pub(super) struct Outlook {
    /// Expected gains.
    pub(super) mean: Vec<f64>,
    /// Their standard deviations.
    pub(super) deviation: Vec<f64>,
    factor: Cholesky,
    unit: f64,
}

impl<'a> Belief<'a> {
    /// Learns from observations. `min_effect` is the smallest gain that counts.
    pub(super) fn new(observations: &'a [Observation], min_effect: f64) -> Self {
        let observations = &observations[observations.len().saturating_sub(MOST_OBSERVATIONS)..];
        let scales = Scales::learned(observations, typical_effect(observations, min_effect), least_effect(min_effect));
        let unit = scales.unit;
        let covariance = |one: &Change, other: &Change| Parts::of(one, other).covariance(&scales.variance);
        let mut matrix = Vec::with_capacity(observations.len());
        for (i, one) in observations.iter().enumerate() {
            let mut row: Vec<f64> =
                observations[..i].iter().map(|other| covariance(&one.change, &other.change)).collect();
            row.push(covariance(&one.change, &one.change) + noise(one, unit));
            matrix.push(row);
        }
        let factor = Cholesky::of(&matrix, 1e-9);
        let surprise: Vec<f64> = observations.iter().map(|seen| surprise(seen, unit)).collect();
        let weights = factor.forward(&surprise);
        Self { observations, factor, weights, scales }
    }

    /// One typical effect, in payout.
    pub(super) fn unit(&self) -> f64 {
        self.scales.unit
    }

    /// What is believed about these changes.
    pub(super) fn outlook(&self, changes: &[Change]) -> Outlook {
        self.posterior(changes, prior::gain)
    }

    /// What is believed about the functions of these dimensions alone: what is held against changes as such, and what
    /// their categories do, is left out.
    pub(super) fn effects(&self, moves: Vec<Vec<Shift>>) -> Outlook {
        let changes: Vec<Change> = moves.into_iter().map(Change::bare).collect();
        self.posterior(&changes, prior::lean)
    }

    fn posterior(&self, changes: &[Change], prior: fn(&[Shift]) -> f64) -> Outlook {
        let unit = self.scales.unit;
        let covariance = |one: &Change, other: &Change| Parts::of(one, other).covariance(&self.scales.variance);
        let reduced: Vec<Vec<f64>> = changes
            .iter()
            .map(|change| {
                let with: Vec<f64> = self.observations.iter().map(|seen| covariance(change, &seen.change)).collect();
                self.factor.forward(&with)
            })
            .collect();
        let mean: Vec<f64> = changes
            .iter()
            .zip(&reduced)
            .map(|(change, reduced)| prior(&change.shifts) + dot(reduced, &self.weights))
            .collect();
        let mut matrix = Vec::with_capacity(changes.len());
        for (i, one) in changes.iter().enumerate() {
            let row: Vec<f64> = changes[..=i]
                .iter()
                .enumerate()
                .map(|(j, other)| {
                    covariance(one, other) - dot(&reduced[i], &reduced[j]) + if i == j { 1e-6 } else { 0.0 }
                })
                .collect();
            matrix.push(row);
        }
        Outlook {
            mean: mean.iter().map(|mean| mean * unit).collect(),
            deviation: (0..changes.len()).map(|i| matrix[i][i].max(0.0).sqrt() * unit).collect(),
            factor: Cholesky::of(&matrix, 1e-9),
            unit,
        }
    }
}

impl Outlook {
    /// One draw of what the truth may be (Thompson sampling; Thompson 1933), its spread scaled by `boldness`.
    pub(super) fn draw(&self, boldness: f64, rng: &mut impl Rng) -> Vec<f64> {
        let normals: Vec<f64> = self.mean.iter().map(|_| standard_normal(rng)).collect();
        let spread = self.factor.times(&normals);
        self.mean.iter().zip(spread).map(|(mean, spread)| mean + boldness * spread * self.unit).collect()
    }
}

/// The least that counts as the scale of effects.
fn least_effect(min_effect: f64) -> f64 {
    (2.0 * min_effect).max(1e-6)
}

/// A first guess of the scale of effects: the median size of what was measured, but not below twice what counts as a gain.
fn typical_effect(observations: &[Observation], min_effect: f64) -> f64 {
    let floor = least_effect(min_effect);
    let mut sizes: Vec<f64> = observations.iter().map(|seen| seen.delta.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.get(sizes.len() / 2).map_or(2.0 * floor, |median| median.max(floor))
}

/// The covariance of two differences of f, in typical effects squared, by what it consists of.
pub(super) struct Parts {
    /// Of the functions of each category's dimensions, before what the ledger says of their sizes.
    pub(super) smooth: [f64; KINDS],
    /// Of the categories as such, and of how far the prior is to be trusted.
    rest: f64,
}

impl Parts {
    pub(super) fn of(one: &Change, other: &Change) -> Self {
        let (mut i, mut j, mut smooth) = (0, 0, [0.0; KINDS]);
        while i < one.shifts.len() && j < other.shifts.len() {
            let (a, b) = (&one.shifts[i], &other.shifts[j]);
            match a.dimension.cmp(&b.dimension) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => {
                    // What comes or goes with its owner (the momentum of an optimizer) has no effect of its own.
                    if let (Some(af), Some(at), Some(bf), Some(bt)) = (a.from, a.to, b.from, b.to) {
                        let curve = kernel(at, bt) - kernel(at, bf) - kernel(af, bt) + kernel(af, bf);
                        let trend = SLOPE * SLOPE * (at - af) * (bt - bf);
                        smooth[one.kinds[i]] += one.scales[i] * (AMPLITUDE * AMPLITUDE * curve + trend);
                    }
                    i += 1;
                    j += 1;
                }
            }
        }
        let common = one.categories.intersection(&other.categories).count() as f64;
        let most = (one.categories.len() * other.categories.len()).max(1) as f64;
        Self { smooth, rest: CATEGORY * CATEGORY * common / most.sqrt() + TRUST * TRUST * one.lean * other.lean }
    }

    /// The covariance, with these factors on the variances of the categories' functions.
    pub(super) fn covariance(&self, variance: &[f64; KINDS]) -> f64 {
        self.rest + dot(&self.smooth, variance)
    }
}

/// The variance of an observation around f, in typical effects squared.
pub(super) fn noise(seen: &Observation, unit: f64) -> f64 {
    (seen.standard_error / unit).powi(2) + MISFIT * MISFIT
}

/// How far an observation is from what was expected beforehand, in typical effects.
pub(super) fn surprise(seen: &Observation, unit: f64) -> f64 {
    (seen.delta / unit).clamp(-8.0, 8.0) - prior::gain(&seen.change.shifts)
}

fn kernel(a: f64, b: f64) -> f64 {
    (-0.5 * ((a - b) / LENGTH).powi(2)).exp()
}

/// Box & Muller (1958).
pub(super) fn standard_normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn change(dimension: &str, from: f64, to: f64) -> Change {
        Change::new(vec![Shift { dimension: dimension.into(), from: Some(from), to: Some(to) }])
    }

    fn seen(trial: u32, dimension: &str, (from, to): (f64, f64), delta: f64) -> Observation {
        Observation { trial, change: change(dimension, from, to), delta, standard_error: 0.0003, effect: None }
    }

    #[test]
    fn nothing_seen_is_the_prior() {
        let belief = Belief::new(&[], 0.0005);
        let outlook = belief.outlook(&[change("network.dense.activation=gelu", 0.0, 2.0), change("x", 0.0, 1.0)]);
        assert!(outlook.mean[0] > 0.0 && outlook.mean[1] < 0.0);
        assert!(outlook.deviation.iter().all(|deviation| *deviation > 0.0));
    }

    #[test]
    fn what_helped_is_pushed_further_and_what_hurt_is_avoided() {
        let observations = [seen(1, "x", (0.0, 1.0), 0.003), seen(2, "y", (0.0, 1.0), -0.003)];
        let belief = Belief::new(&observations, 0.0005);
        let changes = [
            change("x", 1.0, 2.0),
            change("x", 1.0, 0.0),
            change("y", 0.0, 2.0),
            change("y", 0.0, -1.0),
            change("z", 0.0, 1.0),
        ];
        let mean = belief.outlook(&changes).mean;
        assert!(mean[0] > mean[4] && mean[4] > mean[1], "on, rather than back: {mean:?}");
        assert!(mean[3] > mean[4] && mean[4] > mean[2], "the other way, rather than on: {mean:?}");
    }

    #[test]
    fn a_belief_that_proves_wrong_is_given_up_as_a_whole() {
        // What is praised beforehand, knob by knob, loses; what nobody has tried of it is then praised no more.
        let praised = |words: [&str; 3], delta: f64| -> Vec<Observation> {
            (1..).zip(words).map(|(trial, word)| seen(trial, word, (0.0, 2.0), delta)).collect()
        };
        let words = ["network.dense.norm=batch", "loss=pearson", "schedule=polynomial"];
        let gelu = [change("network.dense.activation=gelu", 0.0, 2.0)];
        let mean = |delta: f64| Belief::new(&praised(words, delta), 0.0005).outlook(&gelu).mean[0];
        let before = Belief::new(&[], 0.0005).outlook(&gelu).mean[0];
        assert!(before > 0.0 && mean(-0.002) < 0.5 * before, "{before} {}", mean(-0.002));
        assert!(mean(0.002) > mean(-0.002));
    }

    #[test]
    fn certainty_grows_where_trials_were() {
        let observations: Vec<Observation> = (0..6).map(|trial| seen(trial, "x", (0.0, 1.0), 0.002)).collect();
        let belief = Belief::new(&observations, 0.0005);
        let outlook = belief.outlook(&[change("x", 0.0, 1.0), change("y", 0.0, 1.0)]);
        assert!(outlook.deviation[0] < 0.5 * outlook.deviation[1], "{:?}", outlook.deviation);
        assert!((outlook.mean[0] - 0.002).abs() < 0.0005, "six trials agree: {:?}", outlook.mean);
    }

    #[test]
    fn draws_are_reproducible_and_have_the_stated_moments() {
        let belief = Belief::new(&[], 0.0005);
        let outlook = belief.outlook(&[change("x", 0.0, 1.0), change("y", 0.0, 3.0)]);
        let draws = |seed| -> Vec<Vec<f64>> {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (0..4000).map(|_| outlook.draw(1.0, &mut rng)).collect()
        };
        let some = draws(1);
        assert_eq!(some, draws(1));
        for index in 0..2 {
            let mean = some.iter().map(|draw| draw[index]).sum::<f64>() / 4000.0;
            let variance = some.iter().map(|draw| (draw[index] - mean).powi(2)).sum::<f64>() / 4000.0;
            // Four standard errors of a mean and of a standard deviation over 4000 draws.
            let deviation = outlook.deviation[index];
            assert!((mean - outlook.mean[index]).abs() < 4.0 * deviation / 4000_f64.sqrt());
            assert!((variance.sqrt() / deviation - 1.0).abs() < 4.0 / 8000_f64.sqrt());
        }
    }
}
