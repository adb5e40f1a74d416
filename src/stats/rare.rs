//! The mean of what is mostly nothing and seldom something: trials that are rarely kept, and gain something when they are.
//!
//! A mean of forty zeros and two gains has no normal error, and resampling it says that a series without a gain is certain
//! to have none. Here the rate and the size are told apart, and each keeps its uncertainty.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::{Result, StatsError, enough, finite, within};

/// Something that was gained, and how exactly that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gained {
    /// The gain.
    pub gain: f64,
    /// Its standard error; 0 where it is known.
    pub standard_error: f64,
}

/// Draws of the mean gain of one out of `trials`, of which `own` gained something and the others nothing: the product of
///
/// - the rate, from its posterior under Jeffreys' (1946) prior: Beta(k + ½, n − k + ½), k being the number of `own`;
/// - the mean size, sizes being gamma distributed with one shape for all: the sum of m of them over c²·Gamma(m/c²), which is
///   the posterior under Jeffreys' prior of the mean, given the coefficient of variation c. That comes from `all`
///   (anybody's gains) and one more as far from their mean as exponential ones are on average: c² = (Σ (x − x̄)² + x̄²)/(k x̄²).
///   Beside `own` there is one of `all`, drawn anew each time, and more where `own` are fewer than two, so that there are
///   three: they stand for sizes that were not seen. Each size is drawn from N(gain, standard error²), and what falls under
///   0 counts as 0.
///
/// `count` draws from a ChaCha8 stream seeded with `seed`.
///
/// # Errors
/// No trials, more gains than trials, no gain at all, fewer than two draws, numbers that are not finite, negative errors.
pub fn draws(own: &[Gained], trials: usize, all: &[Gained], count: usize, seed: u64) -> Result<Vec<f64>> {
    enough("trials", trials, 1)?;
    enough("gains", all.len(), 1)?;
    enough("draws", count, 2)?;
    within("the number of gains", own.len() as f64, "at most the number of trials", own.len() <= trials)?;
    for gained in own.iter().chain(all) {
        finite("a gain and its standard error", &[gained.gain, gained.standard_error])?;
        within("a standard error", gained.standard_error, "at least 0", gained.standard_error >= 0.0)?;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kept = own.len() as f64;
    let variation = variation(all);
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        let (hits, misses) = (gamma(kept + 0.5, &mut rng), gamma(trials as f64 - kept + 0.5, &mut rng));
        let unseen: Vec<Gained> =
            (0..3_usize.saturating_sub(own.len()).max(1)).map(|_| all[rng.random_range(0..all.len())]).collect();
        let size = |gained: &Gained, rng: &mut ChaCha8Rng| (gained.gain + gained.standard_error * normal(rng)).max(0.0);
        let sum: f64 = own.iter().chain(&unseen).map(|gained| size(gained, &mut rng)).sum();
        let shape = (own.len() + unseen.len()) as f64 / variation;
        let mean = hits / (hits + misses) * sum / (variation * gamma(shape, &mut rng));
        if !mean.is_finite() {
            return Err(StatsError::OutOfRange { what: "gains", found: mean, allowed: "small enough to be added up" });
        }
        found.push(mean);
    }
    Ok(found)
}

/// The squared coefficient of variation of gains, with one more than there are that is exponential.
fn variation(all: &[Gained]) -> f64 {
    let count = all.len() as f64;
    let mean = all.iter().map(|gained| gained.gain).sum::<f64>() / count;
    let squares: f64 = all.iter().map(|gained| (gained.gain - mean).powi(2)).sum();
    let found = (squares + mean * mean) / (count * mean * mean);
    // Gains of nothing at all, or of nearly nothing beside large ones of both signs.
    if found.is_finite() { found.clamp(0.05, 2.0) } else { 1.0 }
}

/// The share of values at or below which lies `probability` of them; NaN of none.
pub fn quantile(values: &[f64], probability: f64) -> f64 {
    let mut ascending = values.to_vec();
    ascending.sort_by(f64::total_cmp);
    let place = probability.clamp(0.0, 1.0) * ascending.len().saturating_sub(1) as f64;
    ascending.get(place.round() as usize).copied().unwrap_or(f64::NAN)
}

/// Gamma with this shape and scale 1 (Marsaglia and Tsang 2000), for shapes of at least a half.
fn gamma(shape: f64, rng: &mut impl Rng) -> f64 {
    if shape < 1.0 {
        // 1 - u is never 0.
        return gamma(shape + 1.0, rng) * (1.0 - rng.random::<f64>()).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - rng.random::<f64>()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// Standard normal (Box and Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gains(values: &[f64]) -> Vec<Gained> {
        values.iter().map(|gain| Gained { gain: *gain, standard_error: 0.0 }).collect()
    }

    /// First and second moment of draws, against the product of those of Beta(k + ½, n − k + ½) and of sum/Gamma(m).
    fn moments_agree(found: &[f64], (kept, trials): (f64, f64), (sum, shape): (f64, f64)) {
        let (a, b) = (kept + 0.5, trials - kept + 0.5);
        let first = a / (a + b) * sum / (shape - 1.0);
        let second = a * (a + 1.0) / ((a + b) * (a + b + 1.0)) * sum * sum / ((shape - 1.0) * (shape - 2.0));
        let count = found.len() as f64;
        let mean = found.iter().sum::<f64>() / count;
        // Four standard errors of the mean.
        assert!((mean - first).abs() < 4.0 * ((second - first * first) / count).sqrt(), "{mean} for {first}");
        let median = quantile(found, 0.5);
        assert!(0.0 < median && median < first, "skewed to the right");
    }

    #[test]
    fn rate_and_size_are_drawn_as_they_are_said_to_be() {
        let found = draws(&gains(&[1.0, 1.0, 1.0]), 40, &gains(&[1.0]), 40_000, 1).expect("draws");
        moments_agree(&found, (3.0, 40.0), (4.0, 4.0));
    }

    #[test]
    fn nothing_seen_is_not_nothing() {
        let found = draws(&[], 20, &gains(&[0.002]), 40_000, 1).expect("draws");
        moments_agree(&found, (0.0, 20.0), (0.006, 3.0));
        assert!(quantile(&found, 0.975) > 0.0002);
    }

    #[test]
    fn the_interval_holds_the_true_mean() {
        // A tenth of the trials gains something, exponential with mean 0.002.
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (nights, trials, mut held) = (400, 60, 0);
        for night in 0..nights {
            let hits = (0..trials).filter(|_| rng.random::<f64>() < 0.1).count();
            let size = |rng: &mut ChaCha8Rng| -0.002 * (1.0 - rng.random::<f64>()).ln();
            let own: Vec<f64> = (0..hits).map(|_| size(&mut rng)).collect();
            let others: Vec<f64> = (0..6).map(|_| size(&mut rng)).collect();
            let all = gains(&[own.clone(), others].concat());
            let found = draws(&gains(&own), trials, &all, 1000, night).expect("draws");
            held += usize::from(quantile(&found, 0.025) <= 0.0002 && 0.0002 <= quantile(&found, 0.975));
        }
        let share = held as f64 / nights as f64;
        // Three standard errors of a share of 0.95 over 400 nights are 0.033.
        assert!((0.917..=0.995).contains(&share), "{share}");
    }

    #[test]
    fn wrong_input_is_said_so() {
        let one = gains(&[0.1]);
        assert!(draws(&one, 0, &one, 10, 1).is_err());
        assert!(draws(&gains(&[0.1, 0.2]), 1, &one, 10, 1).is_err());
        assert!(draws(&[], 5, &[], 10, 1).is_err());
        assert!(draws(&one, 5, &one, 1, 1).is_err());
        assert!(draws(&gains(&[f64::NAN]), 5, &one, 10, 1).is_err());
        assert!(draws(&one, 5, &[Gained { gain: 0.1, standard_error: -1.0 }], 10, 1).is_err());
        assert!(quantile(&[], 0.5).is_nan());
    }
}
