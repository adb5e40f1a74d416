//! Intervals of a proportion and of a mean.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;

use super::error::{Result, StatsError, enough, finite, level, representable, within};
use super::{long_run, normal};

/// Two ends, the lower first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Clopper and Pearson's (1934) interval of a proportion, which covers at least `confidence` (as 0.95) whatever the truth:
/// the quantiles `α/2` of Beta(x, n − x + 1) and `1 − α/2` of Beta(x + 1, n − x), with 0 below none and 1 above all.
///
/// # Errors
/// No trials, more successes than trials, a confidence not in (0, 1).
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> Result<Interval> {
    proportion(successes, trials, confidence)?;
    let outside = (1.0 - confidence) / 2.0;
    let (hits, misses) = (successes as f64, (trials - successes) as f64);
    // The distribution function of Beta(a, b) at p is the probability of at least a successes in a + b − 1 trials.
    let low = if successes == 0 { 0.0 } else { crossing(0.0, 1.0, |p| beta_reg(hits, misses + 1.0, p) >= outside) };
    let high = if successes == trials {
        1.0
    } else {
        // By its mirror image, so that the tail is the small number.
        1.0 - crossing(0.0, 1.0, |p| beta_reg(misses, hits + 1.0, p) >= outside)
    };
    Ok(Interval { low, high })
}

/// Wilson's (1927) score interval of a proportion, which covers about `confidence` on average, and is much shorter than
/// Clopper and Pearson's for few trials: `(p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n)`.
///
/// # Errors
/// As [`clopper_pearson`].
pub fn wilson(successes: u64, trials: u64, confidence: f64) -> Result<Interval> {
    proportion(successes, trials, confidence)?;
    let z = normal::upper_quantile((1.0 - confidence) / 2.0);
    let count = trials as f64;
    let share = successes as f64 / count;
    let excess = z * z / count;
    let centre = (share + excess / 2.0) / (1.0 + excess);
    let half = z * (share * (1.0 - share) / count + excess / count / 4.0).sqrt() / (1.0 + excess);
    Ok(Interval {
        // Exactly so, which rounding does not see.
        low: if successes == 0 { 0.0 } else { (centre - half).max(0.0) },
        high: if successes == trials { 1.0 } else { (centre + half).min(1.0) },
    })
}

/// Student's (1908) interval of a mean of independent values: `x̄ ± t_{n−1} s/√n`.
///
/// # Errors
/// Fewer than two values, one that is no finite number, overflow, a confidence not in (0, 1).
pub fn mean_interval(values: &[f64], confidence: f64) -> Result<Interval> {
    let variance = long_run::variance(values)?;
    let count = values.len() as f64;
    student(long_run::mean(values)?, (variance / count).sqrt(), count - 1.0, confidence)
}

/// The interval `estimate ± t · standard_error` by Student's t, whose `degrees_of_freedom` may be infinite (normal).
///
/// # Errors
/// Numbers that are not finite, a negative standard error, degrees of freedom that are not positive, overflow, a confidence
/// not in (0, 1).
pub fn student(estimate: f64, standard_error: f64, degrees_of_freedom: f64, confidence: f64) -> Result<Interval> {
    finite("an estimate and its standard error", &[estimate, standard_error])?;
    within("a standard error", standard_error, "at least 0", standard_error >= 0.0)?;
    let half = if standard_error == 0.0 {
        student_quantile(confidence, degrees_of_freedom)?;
        0.0
    } else {
        student_quantile(confidence, degrees_of_freedom)? * standard_error
    };
    let what = "the ends of an interval";
    Ok(Interval { low: representable(what, estimate - half)?, high: representable(what, estimate + half)? })
}

/// The t that Student's distribution stays within, on either side, with the probability `confidence`.
///
/// # Errors
/// A confidence not in (0, 1), degrees of freedom that are not positive.
pub fn student_quantile(confidence: f64, degrees_of_freedom: f64) -> Result<f64> {
    level("a confidence", confidence)?;
    within("degrees of freedom", degrees_of_freedom, "above 0", degrees_of_freedom > 0.0)?;
    let outside = (1.0 - confidence) / 2.0;
    let normal = normal::upper_quantile(outside);
    // The incomplete beta function loses digits there, and the expansion in 1/ν has them all (Abramowitz and Stegun 1964,
    // 26.7.5).
    if degrees_of_freedom > 1e6 {
        return Ok(normal + (normal.powi(3) + normal) / (4.0 * degrees_of_freedom));
    }
    let Ok(distribution) = StudentsT::new(0.0, 1.0, degrees_of_freedom) else {
        return Err(StatsError::OutOfRange {
            what: "degrees of freedom",
            found: degrees_of_freedom,
            allowed: "above 0",
        });
    };
    let reached = |t: f64| distribution.sf(t) <= outside;
    let mut high = normal.max(1e-3);
    while !reached(high) {
        high *= 2.0;
        representable("Student's t", high)?;
    }
    Ok(crossing(0.0, high, reached))
}

/// Where in `[low, high]` a condition begins to hold, to the last digits.
pub(super) fn crossing(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = low / 2.0 + high / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

fn proportion(successes: u64, trials: u64, confidence: f64) -> Result<()> {
    level("a confidence", confidence)?;
    enough("trials", usize::try_from(trials).unwrap_or(usize::MAX), 1)?;
    within("the number of successes", successes as f64, "at most the number of trials", successes <= trials)
}

#[cfg(test)]
mod tests;
