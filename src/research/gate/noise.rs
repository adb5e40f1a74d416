//! How uncertain a mean over seeds and eras is.
//!
//! With `d[s][t]` the value of seed `s` (of S) in the t-th era (of T), `a[t]` its mean over seeds and `b[s]` its mean
//! over eras, the squared standard error of the grand mean is the sum of two parts:
//!
//! - **eras**: the long-run variance of `a`, Bartlett-weighted up to lag L (Newey and West 1987):
//!   `T/(T−1) · (γ₀ + 2 Σ_{j=1..L} (1 − j/(L+1)) γ_j) / T`, where `γ_j = (1/T) Σ_t (a_t − ā)(a_{t−j} − ā)`. The factor
//!   T/(T−1) makes L = 0 the classical `s²/T`.
//! - **seeds**: `var(b, ddof 1) / S`; absent for one seed.
//!
//! This is the two-way clustered variance of Cameron, Gelbach and Miller (2011, *Robust inference with multiway
//! clustering*) without its third term: what a seed does in a single era is counted in both parts and not taken off
//! again. That can only make the error larger, and keeps it from ever becoming negative.
//!
//! **Lag.** The larger of Newey and West's `⌊4 (T/100)^(2/9)⌋` (1994) and the number of following eras whose targets
//! overlap with an era's own: those less than [`LONGEST_TARGET`] era numbers away. At most a quarter of the eras.
//!
//! **Degrees of freedom.** Satterthwaite's (1946) for the sum: `(E + S)² / (E²/ν_E + S²/ν_S)`, with `ν_S` = seeds − 1
//! and `ν_E = T / Σ_j w_j² − 1` over the kernel's weights at lags −L..L, the equivalent degrees of freedom of a lag
//! window at frequency zero (Priestley 1981, section 6.2); for L = 0 that is the classical T − 1.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::stats::long_run;

/// Era numbers that the longest target spans: 60 trading days are 12 weeks, and an era is a week.
pub const LONGEST_TARGET: u32 = 12;

/// The uncertainty of a mean, taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard error of the mean: both parts together.
    pub standard_error: f64,
    /// The part that comes from eras, as a standard error.
    pub between_eras: f64,
    /// The part that comes from seeds, as a standard error; 0 for one seed, where it cannot be known.
    pub between_seeds: f64,
    /// Degrees of freedom of Student's t; at least 1.
    pub degrees_of_freedom: f64,
    /// The lag L, in retained eras.
    pub lag: usize,
}

impl Noise {
    /// The noise of the mean of `values` (`[seed][era]`, all finite, none empty) over ascending era numbers. None where
    /// the values are so large that their squares overflow.
    pub(super) fn of(values: &[Vec<f64>], eras: &[u32]) -> Option<Self> {
        let lag = lag(eras);
        let era_part = long_run::long_run_variance(&era_means(values), lag).ok()? / eras.len() as f64;
        let seed_means: Vec<f64> = values.iter().map(|row| mean(row)).collect::<Option<_>>()?;
        let seed_count = seed_means.len() as f64;
        let seed_part = if seed_means.len() > 1 { long_run::variance(&seed_means).ok()? / seed_count } else { 0.0 };
        let total = era_part + seed_part;
        let era_freedom = long_run::equivalent_freedom(eras.len(), lag);
        let degrees_of_freedom = if seed_part <= 0.0 {
            era_freedom
        } else {
            // In shares of the total, so that tiny variances do not underflow when they are squared.
            let (era_share, seed_share) = (era_part / total, seed_part / total);
            1.0 / (era_share * era_share / era_freedom + seed_share * seed_share / (seed_count - 1.0))
        };
        let noise = Self {
            standard_error: total.sqrt(),
            between_eras: era_part.sqrt(),
            between_seeds: seed_part.sqrt(),
            degrees_of_freedom: degrees_of_freedom.max(1.0),
            lag,
        };
        (total.is_finite() && degrees_of_freedom.is_finite()).then_some(noise)
    }

    /// One-sided p-value of a mean that is above zero by `delta`. Without any noise it is 0, ½ or 1 by the sign alone.
    /// None where it is not a number.
    pub(super) fn p_value(&self, delta: f64) -> Option<f64> {
        if !delta.is_finite() {
            return None;
        }
        if delta == 0.0 {
            return Some(0.5);
        }
        let t = delta / self.standard_error;
        if !t.is_finite() {
            return Some(if delta > 0.0 { 0.0 } else { 1.0 });
        }
        let student = StudentsT::new(0.0, 1.0, self.degrees_of_freedom).ok()?;
        let p = student.sf(t);
        p.is_finite().then(|| p.clamp(0.0, 1.0))
    }
}

/// The lag of the era part, in retained eras: see the module's documentation.
pub fn lag(eras: &[u32]) -> usize {
    long_run::lag(eras, LONGEST_TARGET)
}

/// Mean over seeds of each era.
pub(super) fn era_means(values: &[Vec<f64>]) -> Vec<f64> {
    let eras = values.first().map_or(0, Vec::len);
    (0..eras).map(|era| values.iter().map(|row| row[era]).sum::<f64>() / values.len() as f64).collect()
}

/// The mean; None of nothing, and where it overflows.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    long_run::mean(values).ok()
}
