//! How uncertain the mean of a series over eras is, whose neighbours resemble each other because their targets overlap.
//!
//! [`long_run_variance`] is Newey and West's estimate. Alone it is far too small here: where each target spans twelve eras,
//! the Bartlett weights up to lag 11 leave a third of the variance out, and a nominal 95 % interval over 100 eras covers
//! 86 %. [`of_mean`] therefore divides out what the estimate is known to miss. See [`Overlap`].

use super::error::{Result, StatsError, enough, finite, representable};

mod overlap;

pub use overlap::{FEWEST_ERAS, Overlap};

/// The uncertainty of a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanError {
    /// The standard error, in the series' own unit; 0 for a series that does not move.
    pub standard_error: f64,
    /// Degrees of freedom of Student's t for the mean divided by its standard error; at least 1.
    pub degrees_of_freedom: f64,
    /// The lag up to which autocovariances count, in eras of the series.
    pub lag: usize,
}

/// The error of the mean of `series`, whose values belong to the era numbers `positions`, ascending, where each target
/// spans `overlap` era numbers (12 for sixty trading days). [`Overlap`] says how; use it where many series have the same
/// eras.
///
/// # Errors
/// Those of [`Overlap::new`] and [`Overlap::error_of_mean`].
pub fn of_mean(series: &[f64], positions: &[u32], overlap: u32) -> Result<MeanError> {
    Overlap::new(positions, overlap)?.error_of_mean(series)
}

/// The arithmetic mean.
///
/// # Errors
/// No values, one that is no finite number, or overflow.
pub fn mean(values: &[f64]) -> Result<f64> {
    enough("values of a mean", values.len(), 1)?;
    finite("values of a mean", values)?;
    representable("values of a mean", values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample variance, `Σ(x − x̄)²/(n − 1)`.
///
/// # Errors
/// Fewer than two values, one that is no finite number, or overflow.
pub fn variance(values: &[f64]) -> Result<f64> {
    enough("values of a variance", values.len(), 2)?;
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    representable("values of a variance", squares / (values.len() as f64 - 1.0))
}

/// The long-run variance of a series, Bartlett-weighted up to `lag` (Newey and West 1987):
/// `T/(T−1) · (γ₀ + 2 Σ_{j=1..L} (1 − j/(L+1)) γ_j)`, with `γ_j = (1/T) Σ_t (x_t − x̄)(x_{t−j} − x̄)`. The factor T/(T−1)
/// makes L = 0 the sample variance. Divided by T it estimates the variance of the mean. Never negative.
///
/// # Errors
/// Fewer than two values, no more values than the lag, one that is no finite number, or overflow.
pub fn long_run_variance(series: &[f64], lag: usize) -> Result<f64> {
    enough("eras of a long-run variance", series.len(), 2)?;
    if lag >= series.len() {
        return Err(StatsError::LagTooLong { lag, found: series.len() });
    }
    let centre = mean(series)?;
    let centred: Vec<f64> = series.iter().map(|value| value - centre).collect();
    let count = series.len() as f64;
    representable("a series", bartlett_sum(&centred, lag) * count / (count - 1.0))
}

/// The degrees of freedom of [`long_run_variance`] for independent values: `T / Σ_{j=−L..L} w_j² − 1` over the kernel's
/// weights, the equivalent degrees of freedom of a lag window at frequency zero (Priestley 1981, section 6.2); for L = 0
/// the classical T − 1.
pub fn equivalent_freedom(count: usize, lag: usize) -> f64 {
    let squares: f64 = 1.0 + (1..=lag).map(|shift| 2.0 * bartlett(shift, lag).powi(2)).sum::<f64>();
    count as f64 / squares - 1.0
}

/// The lag for eras at `positions` (era numbers, ascending) whose targets span `overlap` era numbers: the largest number
/// of following eras that overlap with an era's own target, or Newey and West's `⌊4 (T/100)^(2/9)⌋` (1994) if that is
/// larger; at most a quarter of the eras.
pub fn lag(positions: &[u32], overlap: u32) -> usize {
    let count = positions.len();
    let automatic = (4.0 * (count as f64 / 100.0).powf(2.0 / 9.0)).floor() as usize;
    let overlapping = (0..count)
        .map(|start| {
            positions[start + 1..].iter().take_while(|later| later.abs_diff(positions[start]) < overlap).count()
        })
        .max()
        .unwrap_or(0);
    automatic.max(overlapping).min(count / 4)
}

/// `γ₀ + 2 Σ w_j γ_j` of a series that is centred on its mean.
fn bartlett_sum(centred: &[f64], lag: usize) -> f64 {
    let count = centred.len() as f64;
    let covariance = |shift: usize| -> f64 {
        centred.iter().skip(shift).zip(centred).map(|(later, earlier)| later * earlier).sum::<f64>() / count
    };
    let weighted: f64 = (1..=lag).map(|shift| 2.0 * bartlett(shift, lag) * covariance(shift)).sum();
    // The Bartlett kernel gives no negative variance; rounding might.
    (covariance(0) + weighted).max(0.0)
}

/// The weight of the autocovariance at `shift` ≤ lag.
fn bartlett(shift: usize, lag: usize) -> f64 {
    1.0 - shift as f64 / (lag as f64 + 1.0)
}

#[cfg(test)]
mod tests;
