//! The stationary bootstrap: the error of a mean over an autocorrelated series by drawing the series anew in blocks of random
//! length. It stands beside [`long_run`](super::long_run) as a second opinion that shares no formula with it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::{Result, enough, finite, level, representable, within};
use super::interval::Interval;
use super::long_run::mean;

/// The fewest values whose dependence can be looked at.
const FEWEST: usize = 8;

/// What drawing anew says about a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampled {
    /// The standard deviation of the resampled means.
    pub standard_error: f64,
    /// Their percentile interval.
    pub interval: Interval,
}

/// The stationary bootstrap of Politis and Romano (1994, *The stationary bootstrap*): each resample is made of blocks that
/// begin anywhere, run on around the end of the series, and have geometric lengths with the mean `block_length`. `draws`
/// resamples from a ChaCha8 stream seeded with `seed`: the same arguments give the same numbers. The interval holds
/// `confidence` of the resampled means, quantiles interpolated linearly.
///
/// # Errors
/// Fewer than eight values, one that is no finite number, a mean length below 1 or above the series', fewer than two draws,
/// a confidence not in (0, 1), overflow.
pub fn resampled(series: &[f64], block_length: f64, draws: usize, confidence: f64, seed: u64) -> Result<Resampled> {
    check(series, block_length)?;
    enough("draws", draws, 2)?;
    level("a confidence", confidence)?;
    let centre = mean(series)?;
    let centred: Vec<f64> = series.iter().map(|value| value - centre).collect();
    let count = series.len();
    let renewal = 1.0 / block_length;
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..draws)
        .map(|_| {
            let mut at = generator.random_range(0..count);
            let mut sum = centred[at];
            for _ in 1..count {
                at = if generator.random::<f64>() < renewal {
                    generator.random_range(0..count)
                } else {
                    (at + 1) % count
                };
                sum += centred[at];
            }
            sum / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let middle = means.iter().sum::<f64>() / draws as f64;
    let squares: f64 = means.iter().map(|mean| (mean - middle).powi(2)).sum();
    let what = "a series";
    let outside = (1.0 - confidence) / 2.0;
    Ok(Resampled {
        standard_error: representable(what, (squares / (draws - 1) as f64).sqrt())?,
        interval: Interval {
            low: representable(what, centre + quantile(&means, outside))?,
            high: representable(what, centre + quantile(&means, 1.0 - outside))?,
        },
    })
}

/// What [`resampled`]'s standard error tends to with ever more draws, in closed form (Politis and Romano 1994, lemma 1), with
/// `p = 1/block_length`: `√((γ₀ + 2 Σ_{j=1..n−1} ((1 − j/n)(1 − p)^j + (j/n)(1 − p)^{n−j}) γ_j) / n)`, where
/// `γ_j = (1/n) Σ_t (x_t − x̄)(x_{t+j} − x̄)`.
///
/// # Errors
/// As [`resampled`].
pub fn standard_error(series: &[f64], block_length: f64) -> Result<f64> {
    check(series, block_length)?;
    let covariances = autocovariances(series, series.len() - 1)?;
    let count = series.len() as f64;
    let stay = 1.0 - 1.0 / block_length;
    let weighted: f64 = covariances
        .iter()
        .enumerate()
        .skip(1)
        .map(|(lag, covariance)| {
            let share = lag as f64 / count;
            2.0 * ((1.0 - share) * stay.powf(lag as f64) + share * stay.powf(count - lag as f64)) * covariance
        })
        .sum();
    // A variance; only rounding could make it negative.
    representable("a series", ((covariances[0] + weighted).max(0.0) / count).sqrt())
}

/// The mean block length that makes the stationary bootstrap's variance of a mean most exact (Politis and White 2004,
/// *Automatic block-length selection for the dependent bootstrap*, with the correction of Patton, Politis and White 2009):
///
/// `(2 Ĝ²/D̂)^{1/3} n^{1/3}`, `Ĝ = Σ_k λ(k/M) |k| γ_k`, `D̂ = 2 (Σ_k λ(k/M) γ_k)²`, with the flat-top window
/// `λ(t) = min(1, 2(1 − |t|))` and `M = 2m`, m being the first lag from which on `max(5, ⌈√log₁₀ n⌉)` autocorrelations in a
/// row are below `2 √(log₁₀ n / n)`. M is at most `⌈√n⌉ + max(5, ⌈√log₁₀ n⌉)`, and that where there is no such lag; the result
/// lies between 1 and `⌈min(3√n, n/3)⌉`. These details are those of the authors' own program.
///
/// # Errors
/// Fewer than eight values, one that is no finite number, overflow.
pub fn block_length(series: &[f64]) -> Result<f64> {
    enough("values of a series", series.len(), FEWEST)?;
    let count = series.len() as f64;
    let run = (count.log10().sqrt().ceil() as usize).max(5);
    let most = (count.sqrt().ceil() as usize + run).min(series.len() - 1);
    let covariances = autocovariances(series, most)?;
    if covariances[0] <= 0.0 {
        return Ok(1.0);
    }
    let negligible = 2.0 * (count.log10() / count).sqrt();
    let small = |lag: usize| covariances[lag].abs() / covariances[0] < negligible;
    let first = (1..=most.saturating_sub(run)).find(|lag| (*lag..lag + run).all(small));
    let bandwidth = first.map_or(most, |lag| (2 * lag).min(most));
    let (mut tilt, mut level) = (0.0, covariances[0]);
    for (lag, covariance) in covariances.iter().enumerate().take(bandwidth + 1).skip(1) {
        let window = (2.0 * (1.0 - lag as f64 / bandwidth as f64)).min(1.0);
        tilt += 2.0 * window * lag as f64 * covariance;
        level += 2.0 * window * covariance;
    }
    let longest = (3.0 * count.sqrt()).min(count / 3.0).ceil();
    let ratio = (tilt / level).powi(2);
    // A window may leave nothing of the level: then no block is long enough.
    Ok(if ratio.is_finite() { (ratio * count).cbrt().clamp(1.0, longest) } else { longest })
}

fn check(series: &[f64], block_length: f64) -> Result<()> {
    enough("values of a series", series.len(), FEWEST)?;
    finite("a series", series)?;
    let allowed = "from 1 to the number of values";
    within("a mean block length", block_length, allowed, (1.0..=series.len() as f64).contains(&block_length))
}

/// γ₀ to γ_most, in the square of the series' own unit.
fn autocovariances(series: &[f64], most: usize) -> Result<Vec<f64>> {
    let centre = mean(series)?;
    let centred: Vec<f64> = series.iter().map(|value| value - centre).collect();
    let count = series.len() as f64;
    let covariances: Vec<f64> = (0..=most)
        .map(|lag| centred.iter().skip(lag).zip(&centred).map(|(later, earlier)| later * earlier).sum::<f64>() / count)
        .collect();
    representable("a series", covariances.iter().map(|covariance| covariance.abs()).sum())?;
    Ok(covariances)
}

/// The quantile of ascending values, interpolated linearly between them.
fn quantile(ascending: &[f64], probability: f64) -> f64 {
    let place = probability * (ascending.len() - 1) as f64;
    let below = (place.floor() as usize).min(ascending.len() - 1);
    let above = (below + 1).min(ascending.len() - 1);
    ascending[below] + (place - below as f64) * (ascending[above] - ascending[below])
}

#[cfg(test)]
mod tests;
