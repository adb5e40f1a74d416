//! How much the knobs of each category matter in this lab, learned from the ledger: type II maximum likelihood (empirical
//! Bayes; Rasmussen & Williams 2006, section 5.4.1) over a grid, with a prior around what is believed beforehand. Where
//! twenty trials of the optimizer's knobs moved nothing, the next best guess is not one of them.

use super::belief::{Observation, Parts, noise, surprise};
use super::matrix::{Cholesky, dot};
use crate::researcher::categories::ALL;

/// Categories, with one more for what fits none.
pub(super) const KINDS: usize = ALL.len() + 1;

/// Factors on the standard deviation of a category's functions that are weighed.
const FACTORS: [f64; 5] = [0.25, 0.5, 1.0, 1.5, 2.2];
/// Factors on the scale of effects: what was measured is effect and noise, so it is rather smaller than it looks.
const UNITS: [f64; 4] = [1.4, 1.0, 0.7, 0.5];
/// Standard deviation of the logarithm of a category's factor, beforehand.
const SPREAD: f64 = 0.5;
/// The same of the scale of effects.
const UNIT_SPREAD: f64 = 0.7;
/// Fewer observations say nothing of that.
const LEAST: usize = 4;
/// The latest observations that are looked at: time grows with their cube.
const LATEST: usize = 80;
/// Times that each is looked at anew, at most.
const SWEEPS: usize = 2;

/// The number of a category.
pub(super) fn kind(category: &str) -> usize {
    ALL.iter().position(|(name, _)| *name == category).unwrap_or(ALL.len())
}

/// What the ledger says of the sizes of effects.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scales {
    /// Factors on the variances of each category's functions.
    pub(super) variance: [f64; KINDS],
    /// One typical effect, in payout.
    pub(super) unit: f64,
}

impl Scales {
    /// Learns them. `unit` is a first guess of the typical effect, in payout, and `floor` the least it may be.
    pub(super) fn learned(observations: &[Observation], unit: f64, floor: f64) -> Self {
        let first = Self { variance: [1.0; KINDS], unit };
        if observations.len() < LEAST {
            return first;
        }
        let latest = &observations[observations.len().saturating_sub(LATEST)..];
        let parts: Vec<Vec<Parts>> = (0..latest.len())
            .map(|i| latest[..=i].iter().map(|other| Parts::of(&latest[i].change, &other.change)).collect())
            .collect();
        let likely = |scales: &Self| scales.log_posterior(latest, &parts, unit);
        let seen: Vec<usize> =
            (0..KINDS).filter(|kind| parts.iter().enumerate().any(|(i, row)| row[i].smooth[*kind] > 0.0)).collect();
        let mut best = (likely(&first), first);
        let climb = |best: &mut (f64, Self), other: Self| {
            let height = likely(&other);
            if height > best.0 {
                *best = (height, other);
            }
        };
        // One after another, given the others, until nothing gets likelier.
        for _ in 0..SWEEPS {
            let before = best.0;
            for factor in UNITS {
                let other = Self { unit: (unit * factor).max(floor), ..best.1.clone() };
                climb(&mut best, other);
            }
            for kind in &seen {
                for factor in FACTORS {
                    let mut other = best.1.clone();
                    other.variance[*kind] = factor * factor;
                    climb(&mut best, other);
                }
            }
            if best.0 <= before {
                break;
            }
        }
        best.1
    }

    /// Log of the marginal likelihood of what was measured, in payout, times the prior; without constants.
    fn log_posterior(&self, observations: &[Observation], parts: &[Vec<Parts>], first_unit: f64) -> f64 {
        let matrix: Vec<Vec<f64>> = parts
            .iter()
            .zip(observations)
            .map(|(row, seen)| {
                let mut row: Vec<f64> = row.iter().map(|parts| parts.covariance(&self.variance)).collect();
                if let Some(own) = row.last_mut() {
                    *own += noise(seen, self.unit);
                }
                row
            })
            .collect();
        let factor = Cholesky::of(&matrix, 1e-9);
        let surprise: Vec<f64> = observations.iter().map(|seen| surprise(seen, self.unit)).collect();
        let whitened = factor.forward(&surprise);
        let away = |factor: f64, spread: f64| (factor.ln() / spread).powi(2);
        let prior: f64 = self.variance.iter().map(|variance| away(variance.sqrt(), SPREAD)).sum::<f64>()
            + away(self.unit / first_unit, UNIT_SPREAD);
        // A density in payout, not in units: each observation brings the unit's logarithm.
        let scale = observations.len() as f64 * self.unit.ln();
        -0.5 * dot(&whitened, &whitened) - factor.log_root_determinant() - scale - 0.5 * prior
    }
}

#[cfg(test)]
mod tests {
    use super::super::belief::Change;
    use super::super::profile::Shift;
    use super::*;

    fn seen(trial: u32, dimension: &str, delta: f64) -> Observation {
        let shift = Shift { dimension: dimension.into(), from: Some(0.0), to: Some(2.0) };
        Observation { trial, change: Change::new(vec![shift]), delta, standard_error: 0.0005, effect: None }
    }

    #[test]
    fn nothing_seen_leaves_what_was_believed() {
        assert_eq!(Scales::learned(&[], 0.002, 0.001), Scales { variance: [1.0; KINDS], unit: 0.002 });
    }

    #[test]
    fn knobs_that_move_nothing_are_believed_to_matter_less_and_those_that_do_more() {
        let knobs = ["lr", "eps", "beta1", "beta2", "clip_norm", "clip_value", "momentum", "warmup"];
        let quiet = (0..).zip(knobs).map(|(trial, knob)| seen(trial, &format!("optimizer.adamw.{knob}"), 0.0001));
        let loud = (8..).zip([0.004, -0.005, 0.006, -0.004]).map(|(trial, delta)| {
            let sets = ["a", "b", "c", "d"];
            seen(trial, &format!("features.sets={}", sets[trial as usize - 8]), delta)
        });
        let found = Scales::learned(&quiet.chain(loud).collect::<Vec<_>>(), 0.002, 0.001);
        let of = |category| found.variance[kind(category)];
        assert!(of("optimizer") < 0.5 && of("features") >= 1.0, "{found:?}");
        assert_eq!(of("schedule"), 1.0, "nothing was seen of it");
    }

    #[test]
    fn the_likelihood_is_a_gaussians() {
        // Two observations by hand: log N(y; 0, K), where y is measured in payout.
        let both = [seen(0, "x.y", 0.001), seen(1, "z.w", -0.002)];
        let parts: Vec<Vec<Parts>> =
            (0..2).map(|i| (0..=i).map(|j: usize| Parts::of(&both[i].change, &both[j].change)).collect()).collect();
        let log = |unit: f64| {
            let k = |i: usize, j: usize| parts[i.max(j)][i.min(j)].covariance(&[1.0; KINDS]);
            let (a, b, c) = (k(0, 0) + noise(&both[0], unit), k(0, 1), k(1, 1) + noise(&both[1], unit));
            let (x, y) = (surprise(&both[0], unit), surprise(&both[1], unit));
            let determinant = a * c - b * b;
            let square = (c * x * x - 2.0 * b * x * y + a * y * y) / determinant;
            -0.5 * square - 0.5 * (determinant * unit.powi(4)).ln() - 0.5 * ((unit / 0.002).ln() / UNIT_SPREAD).powi(2)
        };
        for unit in [0.001, 0.002, 0.005] {
            let scales = Scales { variance: [1.0; KINDS], unit };
            assert!((scales.log_posterior(&both, &parts, 0.002) - log(unit)).abs() < 1e-9);
        }
    }
}
