//! Variances of many groups, each from few values, moderated by what they have in common.
//!
//! A variance from three values is almost unknown. Where many groups have such variances, and their true variances are
//! scattered around a common one, each is estimated far better together with the others: Smyth (2004, *Linear models and
//! empirical Bayes methods for assessing differential expression in microarray experiments*). What they have in common is
//! estimated by its likelihood, as Wright and Simon (2003, *A random variance model for detection of differential gene
//! expression in small microarray experiments*) do, and not by Smyth's moments of logarithms: groups here differ in their
//! degrees of freedom a hundredfold, and the logarithm of a variance from two values is almost all noise.

use statrs::function::gamma::ln_gamma;

use super::error::{Result, StatsError, finite, representable, within};

/// A variance is taken for no less than this share of the median one, so that a zero has a logarithm.
const LEAST_SHARE: f64 = 1e-5;
/// How unlikely it is beforehand that groups differ much: `1/d₀` is exponential with this rate. With two or three groups
/// the likelihood says nothing of d₀, and with dozens this says nothing beside it.
const ALIKE: f64 = 4.0;
/// The range in which d₀ is looked for, beside infinity.
const FREEDOMS: (f64, f64) = (0.5, 4096.0);

/// What is known of a variance before its own values are seen: `variance · freedom / σ²` is chi-squared with `freedom`
/// degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// The common variance s₀².
    pub variance: f64,
    /// Its degrees of freedom d₀ > 0: how alike the groups' true variances are. Infinite where they do not differ more
    /// than their own sampling explains.
    pub freedom: f64,
    /// The sum of all groups' degrees of freedom: no moderated variance has more, for it is all that was ever seen.
    pub pooled: f64,
}

/// The prior that groups with sample variances `(s²_g, d_g)` have in common: s₀² and d₀ that make `Σ ln f(s²_g) − 4/d₀`
/// largest, where `s²_g/s₀²` has Fisher's F distribution with d_g and d₀ degrees of freedom (Wright and Simon 2003,
/// equation 3), or, for an infinite d₀, `d_g s²_g/s₀²` the chi-squared with d_g. The second term is the density, but for a
/// constant, of what d₀ is beforehand.
///
/// Groups without degrees of freedom tell nothing and are left out. A variance below 1e-5 of the median one counts as that,
/// as limma has it. None where fewer than two groups have a positive variance.
///
/// # Errors
/// Variances or degrees of freedom that are negative or no finite numbers; overflow.
pub fn prior(samples: &[(f64, f64)]) -> Result<Option<Prior>> {
    for (variance, freedom) in samples {
        finite("variances and their degrees of freedom", &[*variance, *freedom])?;
        within("a variance", *variance, "at least 0", *variance >= 0.0)?;
        within("the degrees of freedom of a variance", *freedom, "at least 0", *freedom >= 0.0)?;
    }
    let used: Vec<(f64, f64)> = samples.iter().copied().filter(|(_, freedom)| *freedom > 1e-15).collect();
    if used.iter().filter(|(variance, _)| *variance > 0.0).count() < 2 {
        return Ok(None);
    }
    let pooled: f64 = used.iter().map(|(_, freedom)| freedom).sum();
    let middle = median(used.iter().map(|(variance, _)| *variance).collect());
    // Most are zero: the positive ones say what size a variance has here.
    let middle = if middle > 0.0 {
        middle
    } else {
        median(used.iter().map(|(variance, _)| *variance).filter(|variance| *variance > 0.0).collect())
    };
    let floored: Vec<(f64, f64)> =
        used.iter().map(|(variance, freedom)| (variance.max(LEAST_SHARE * middle), *freedom)).collect();
    let (variance, freedom) = most_likely(&floored, middle);
    if !(variance > 0.0 && freedom > 0.0) {
        return Err(StatsError::Overflow { what: "variances" });
    }
    Ok(Some(Prior {
        variance: representable("variances", variance)?,
        freedom,
        pooled: representable("degrees of freedom", pooled)?,
    }))
}

impl Prior {
    /// What a single group says of the others: its own variance, with its own degrees of freedom.
    pub fn of(variance: f64, freedom: f64) -> Self {
        Self { variance, freedom, pooled: freedom }
    }

    /// A group's variance and its degrees of freedom, moderated: `(d₀ s₀² + d s²)/(d₀ + d)` with
    /// `min(d₀ + d, Σ d_g)` degrees of freedom (Smyth 2004, section 3; the cap is limma's). A group without values of its
    /// own has d = 0 and gets the prior.
    ///
    /// # Errors
    /// A variance or degrees of freedom that are negative or no finite numbers.
    pub fn moderate(&self, variance: f64, freedom: f64) -> Result<(f64, f64)> {
        finite("a variance and its degrees of freedom", &[variance, freedom])?;
        within("a variance", variance, "at least 0", variance >= 0.0)?;
        within("the degrees of freedom of a variance", freedom, "at least 0", freedom >= 0.0)?;
        let own = if self.freedom.is_finite() { freedom / (self.freedom + freedom) } else { 0.0 };
        // Shares of each, so that large variances do not overflow on the way.
        Ok(((1.0 - own) * self.variance + own * variance, (self.freedom + freedom).min(self.pooled)))
    }
}

/// s₀² and d₀ of the largest posterior density: over a grid of d₀, then between the neighbours of the best.
fn most_likely(groups: &[(f64, f64)], middle: f64) -> (f64, f64) {
    // In units of the middle variance, so that nothing vanishes.
    let units: Vec<(f64, f64)> = groups.iter().map(|(variance, freedom)| (variance / middle, *freedom)).collect();
    let at = |freedom: f64| {
        let variance = common_variance(&units, freedom);
        (log_density(&units, variance, freedom) - ALIKE / freedom, variance, freedom)
    };
    let (least, most) = FREEDOMS;
    let doublings = (most / least).log2().round() as i32;
    let grid: Vec<(f64, f64, f64)> = (0..=doublings).map(|power| at(least * 2f64.powi(power))).collect();
    let infinite = at(f64::INFINITY);
    let best = (0..grid.len()).max_by(|a, b| grid[*a].0.total_cmp(&grid[*b].0)).unwrap_or(0);
    if infinite.0 >= grid[best].0 {
        return (infinite.1 * middle, f64::INFINITY);
    }
    // Golden sections of ln d₀ (Kiefer 1953).
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let mut low = grid[best.saturating_sub(1)].2.ln();
    let mut high = grid[(best + 1).min(grid.len() - 1)].2.ln();
    while high - low > 1e-7 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if at(left.exp()).0 < at(right.exp()).0 { low = left } else { high = right }
    }
    let (_, variance, freedom) = at(((low + high) / 2.0).exp());
    (variance * middle, freedom)
}

/// The most likely s₀² for a given d₀: the root of `Σ (d_g + d₀)·d_g x_g/(d₀ + d_g x_g) − d_g` with `x_g = s²_g/s₀²`, which
/// falls in s₀²; for an infinite d₀ the pooled variance.
fn common_variance(groups: &[(f64, f64)], freedom: f64) -> f64 {
    if freedom.is_infinite() {
        let total: f64 = groups.iter().map(|(_, own)| own).sum();
        return groups.iter().map(|(variance, own)| own / total * variance).sum();
    }
    let slope = |variance: f64| -> f64 {
        let of = |(own, degrees): &(f64, f64)| {
            let scaled = degrees * own / variance;
            (degrees + freedom) * scaled / (freedom + scaled) - degrees
        };
        groups.iter().map(of).sum()
    };
    let variances = || groups.iter().map(|(variance, _)| *variance);
    let (mut low, mut high) = (variances().fold(f64::MAX, f64::min).ln(), variances().fold(0.0, f64::max).ln());
    while high - low > 1e-13 * (1.0 + high.abs()) {
        let middle = (low + high) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if slope(middle.exp()) > 0.0 { low = middle } else { high = middle }
    }
    ((low + high) / 2.0).exp()
}

/// `Σ ln f(s²_g)` under s₀² and d₀.
fn log_density(groups: &[(f64, f64)], variance: f64, freedom: f64) -> f64 {
    let of = |(own, degrees): &(f64, f64)| {
        let (half, ratio) = (degrees / 2.0, own / variance);
        if freedom.is_infinite() {
            return half * half.ln() - ln_gamma(half) + (half - 1.0) * ratio.ln() - half * ratio - variance.ln();
        }
        let both = half + freedom / 2.0;
        ln_gamma(both) - ln_gamma(half) - ln_gamma(freedom / 2.0)
            + half * (degrees / freedom).ln()
            + (half - 1.0) * ratio.ln()
            - both * (degrees * ratio / freedom).ln_1p()
            - variance.ln()
    };
    groups.iter().map(of).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { values[middle - 1] / 2.0 + values[middle] / 2.0 }
}

#[cfg(test)]
mod tests;
