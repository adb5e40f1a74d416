//! How far a candidate is from the incumbent, and how sure that is: a model of payouts by seed and era.
//!
//! With `c[s][t]` the candidate's payout under seed s in era t and `i[s][t]` the incumbent's, both are taken for
//!
//! `payout[s][t] = model + era[t] + run[s] + rest[s][t]`
//!
//! where `run[s]` is the luck of an initialization and of an order of batches, which shifts all eras of a net together,
//! and `rest[s][t]` is what a run does in one era beyond that. The difference is taken era by era, of the means over
//! the seeds that each side has: `a[t] = mean_s c[s][t] − mean_s i[s][t]`, and `delta` is the mean of `a`. Its variance is
//!
//! `V = max(0, Σ_f (T_f/T)² · (Λ_f(a) − Λ_f(rest)·(1/Sc + 1/Si)) / T_f)  +  σ²c/Sc + σ²i/Si`
//!
//! - `Λ_f(a)/T_f` is the long-run variance of the era differences of fold f, about their own mean
//!   ([`crate::stats::long_run`]: Newey and West 1987): what eras do to the difference of the two models, and `rest`. Each
//!   fold has nets of its own, whose luck shifts its eras together; about a common mean that luck would be taken for eras
//!   that resemble each other. What lasts longer than a fold is therefore not seen as noise. (Where folds are too short
//!   for an estimate of their own, all eras are one series.)
//! - `σ²c`, `σ²i` are the variances of a seed's mean payout, moderated by those of the other trials ([`super::pool`]),
//!   because three seeds alone say almost nothing; they hold `run`, and `rest` a second time;
//! - so `rest`, counted twice, is taken off once, as in the two-way clustered variance of Cameron, Gelbach and Miller
//!   (2011, *Robust Inference With Multiway Clustering*); `Λ_f(rest)` is estimated from the incumbent's seeds.
//!
//! The seeds of the two sides are taken for independent, although the same numbers may be among them: a candidate that
//! shares its luck with the incumbent is only more certain than is said.
//!
//! **Degrees of freedom** are Satterthwaite's (1946) for the three parts.
//!
//! **A part of the cells.** A cell is one run of its own, so a seed's mean over f of F equal folds has the variance
//! `σ²·F/f`; in general the seeds' part is `σ² · Σ_f (T_f/T)²/S_f / Σ_f (T_f/T_all)²`, over the folds with `S_f` > 0.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::cells::Cells;
use super::eras::KnownEras;
use super::error::{GateError, Side};
use super::settings::Claim;
use super::{FEWEST_ERAS, mean};
use crate::research::trial::Scores;
use crate::stats::moderated::Prior;

/// A difference of payouts below this share of the largest payout is what rounding leaves of payouts that are alike.
const ROUNDING: f64 = 64.0 * f64::EPSILON;

/// What both sides are compared under.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Test eras of each fold, ascending in each; every era in one fold.
    pub folds: &'a [Vec<u32>],
    /// What is known of means over eras, from the eras alone.
    pub eras: &'a KnownEras,
    /// What is known of the noise between seeds from the other trials.
    pub prior: Option<Prior>,
    /// Which claim is tested.
    pub claim: Claim,
}

/// The difference of two specs and its variance, in parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// Mean difference in payout, candidate minus incumbent, over the candidate's cells.
    pub delta: f64,
    /// Variance of `delta` that eras contribute, over all eras of the protocol; 0 where the claim is about these eras.
    pub era_variance: f64,
    /// The same over the eras of the cells that are there.
    pub era_variance_now: f64,
    /// Variance of one whole seed's mean payout, of the candidate.
    pub candidate_variance: f64,
    /// The same of the incumbent.
    pub incumbent_variance: f64,
    /// Whole seeds' worth of the candidate's cells: the seeds' part of the variance is `candidate_variance` by this.
    pub candidate_seeds: f64,
    /// The same of the incumbent, over the same folds.
    pub incumbent_seeds: f64,
    /// Degrees of freedom of the parts: eras, candidate, incumbent.
    freedoms: [f64; 3],
    /// The lag of the long-run variance, in retained eras.
    pub lag: usize,
    /// Eras that were compared.
    pub eras: usize,
}

impl Contrast {
    /// Compares a candidate's cells with the incumbent.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn of(cells: &Cells, incumbent: &Scores, ground: &Ground<'_>) -> Result<Self, GateError> {
        check(incumbent, Side::Incumbent)?;
        if incumbent.seeds.len() < 2 {
            return Err(GateError::TooFewSeeds { found: incumbent.seeds.len(), needed: 2 });
        }
        if cells.folds.len() != ground.folds.len() {
            let (found, wanted) = (cells.folds.len(), ground.folds.len());
            return Err(GateError::Plan(format!(
                "the candidate has cells of {found} folds, and the protocol {wanted}"
            )));
        }
        let place = places(incumbent, ground)?;
        let incumbent_means = era_means(incumbent);
        let mut differences: Vec<Vec<f64>> = Vec::new();
        for (fold, (own, eras)) in cells.folds.iter().zip(ground.folds).enumerate() {
            check_cells(fold, own, eras)?;
            let mean_of = |at: usize| own.iter().map(|(_, payout)| payout[at]).sum::<f64>() / own.len() as f64;
            let of_fold = (0..if own.is_empty() { 0 } else { eras.len() })
                .map(|at| mean_of(at) - incumbent_means[place[fold][at]]);
            differences.push(of_fold.collect());
        }
        let count = differences.iter().map(Vec::len).sum::<usize>();
        if count < FEWEST_ERAS {
            return Err(GateError::TooFewEras { found: count });
        }
        let delta = differences.iter().flatten().sum::<f64>() / count as f64;
        // Without any noise a difference that rounding made would be as sure as any.
        let delta = if delta.abs() <= ROUNDING * largest(cells, incumbent) { 0.0 } else { delta };
        let shares = Shares::of(cells, ground);
        let incumbent_seeds = incumbent.seeds.len() as f64 / shares.whole;
        let candidate_seeds = 1.0 / shares.cells;

        let own: Vec<f64> = cells.whole_seeds().into_iter().map(|seed| seed_mean(cells, seed)).collect();
        let theirs: Vec<f64> = incumbent.seeds.iter().map(|seed| mean(&seed.payout)).collect();
        let prior = match ground.prior {
            Some(prior) => prior,
            None => Prior::of(variance(&theirs), theirs.len() as f64 - 1.0),
        };
        let moderated = |values: &[f64]| match values.len() {
            0 | 1 => Ok((prior.variance, prior.freedom)),
            count => prior.moderate(variance(values), count as f64 - 1.0),
        };
        let (candidate_variance, candidate_freedom) = moderated(&own)?;
        // Where there is no other trial, what is known beforehand is made of the incumbent's own seeds.
        let (incumbent_variance, incumbent_freedom) =
            if ground.prior.is_none() { (prior.variance, prior.freedom) } else { moderated(&theirs)? };

        let all = ground.folds.iter().map(Vec::len).sum::<usize>() as f64;
        let of_eras = match ground.claim {
            Claim::NewEras => EraNoise::of(&differences, cells, incumbent, ground)?,
            Claim::TheseEras => EraNoise::default(),
        };
        let found = Self {
            delta,
            era_variance: of_eras.variance * count as f64 / all,
            era_variance_now: of_eras.variance,
            candidate_variance,
            incumbent_variance,
            candidate_seeds,
            incumbent_seeds,
            freedoms: [of_eras.freedom, candidate_freedom, incumbent_freedom],
            lag: of_eras.lag,
            eras: count,
        };
        if !(delta.is_finite() && found.variance().is_finite()) {
            return Err(GateError::Plan("payouts are too large to be compared: their squares overflow".into()));
        }
        Ok(found)
    }

    /// Variance of `delta` as things are.
    pub fn variance(&self) -> f64 {
        self.era_variance_now + self.seed_variance(self.candidate_seeds, self.incumbent_seeds)
    }

    /// Variance of `delta` once the candidate has `candidate` whole seeds and the incumbent `incumbent`.
    pub fn variance_at(&self, candidate: usize, incumbent: usize) -> f64 {
        self.era_variance + self.seed_variance(candidate as f64, incumbent as f64)
    }

    /// The part of [`Contrast::variance`] that comes from seeds.
    pub fn seed_variance(&self, candidate: f64, incumbent: f64) -> f64 {
        self.candidate_variance / candidate + self.incumbent_variance / incumbent
    }

    /// Satterthwaite's degrees of freedom of [`Contrast::variance`]; at least 1.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.freedom(
            self.era_variance_now,
            self.candidate_variance / self.candidate_seeds,
            self.incumbent_variance / self.incumbent_seeds,
        )
    }

    fn freedom(&self, eras: f64, candidate: f64, incumbent: f64) -> f64 {
        let total = eras + candidate + incumbent;
        if total <= 0.0 {
            return f64::INFINITY;
        }
        // In shares of the total, so that tiny variances do not underflow when they are squared.
        let parts = [eras / total, candidate / total, incumbent / total];
        let sum: f64 = parts.iter().zip(self.freedoms).map(|(share, freedom)| share * share / freedom).sum();
        (1.0 / sum).max(1.0)
    }

    /// Student's t of `delta` above `threshold`, as the standard normal deviate with the same one-sided p-value. Without
    /// any noise it is ±∞ or 0 by the sign alone.
    ///
    /// # Errors
    /// Degrees of freedom that are none.
    pub fn deviate(&self, threshold: f64) -> Result<f64, GateError> {
        let error = self.variance().sqrt();
        let above = self.delta - threshold;
        if error <= 0.0 {
            return Ok(if above == 0.0 { 0.0 } else { above.signum() * f64::INFINITY });
        }
        deviate(above / error, self.degrees_of_freedom())
    }

    /// One-sided p-value of `delta` > `threshold`.
    ///
    /// # Errors
    /// As [`Contrast::deviate`].
    pub fn p_value(&self, threshold: f64) -> Result<f64, GateError> {
        Ok(normal().sf(self.deviate(threshold)?))
    }

    /// The chance that a difference whose truth is `truth` is not found above `threshold` at a level: that its p-value comes
    /// out above it. By the normal approximation about the truth, as in sample size formulas.
    ///
    /// # Errors
    /// Degrees of freedom that are none.
    pub fn chance_below(&self, truth: f64, threshold: f64, level: f64) -> Result<f64, GateError> {
        let error = self.variance().sqrt();
        if error <= 0.0 {
            return Ok(if truth > threshold { 0.0 } else { 1.0 });
        }
        let freedom = self.degrees_of_freedom();
        let needed = if freedom.is_finite() { student(freedom)?.inverse_cdf(1.0 - level) } else { beyond(level) };
        Ok(tail((truth - threshold) / error - needed))
    }

    /// The value of Student's t, with the degrees of freedom that are expected at so many seeds, that stands for a
    /// standard normal deviate `z`: what `delta` must reach there, in standard errors.
    ///
    /// # Errors
    /// Degrees of freedom that are none.
    pub fn t_at(&self, z: f64, candidate: usize, incumbent: usize) -> Result<f64, GateError> {
        let freedom = self.freedom(
            self.era_variance,
            self.candidate_variance / candidate as f64,
            self.incumbent_variance / incumbent as f64,
        );
        if !freedom.is_finite() || !z.is_finite() {
            return Ok(z);
        }
        let student = student(freedom)?;
        // By symmetry in the lower tail, where a small probability is exact.
        let t = -student.inverse_cdf(normal().sf(z));
        Ok(if t.is_finite() { t } else { f64::INFINITY })
    }
}

/// The standard normal deviate with the p-value of a Student's t.
fn deviate(t: f64, freedom: f64) -> Result<f64, GateError> {
    if !freedom.is_finite() || !t.is_finite() {
        return Ok(t);
    }
    let p = student(freedom)?.sf(t.abs());
    let z = -normal().inverse_cdf(p.max(f64::MIN_POSITIVE));
    Ok(z.copysign(t))
}

fn student(freedom: f64) -> Result<StudentsT, GateError> {
    StudentsT::new(0.0, 1.0, freedom).map_err(|error| GateError::Plan(format!("{freedom} degrees of freedom: {error}")))
}

/// The upper tail beyond a standard normal deviate.
pub(super) fn tail(z: f64) -> f64 {
    normal().sf(z)
}

/// The standard normal deviate with this upper tail.
pub(crate) fn beyond(tail: f64) -> f64 {
    -normal().inverse_cdf(tail)
}

fn normal() -> statrs::distribution::Normal {
    statrs::distribution::Normal::standard()
}

/// How much of a whole seed the cells are worth.
struct Shares {
    /// `Σ_f (T_f/T)²/S_f / Σ_f (T_f/T_all)²`
    cells: f64,
    /// The same with one seed in each fold that has cells.
    whole: f64,
}

impl Shares {
    fn of(cells: &Cells, ground: &Ground<'_>) -> Self {
        let all: f64 = ground.folds.iter().map(Vec::len).sum::<usize>() as f64;
        let used = || cells.folds.iter().zip(ground.folds).filter(|(own, _)| !own.is_empty());
        let total: f64 = used().map(|(_, eras)| eras.len()).sum::<usize>() as f64;
        let square = |eras: &[u32], total: f64| (eras.len() as f64 / total).powi(2);
        let norm: f64 = ground.folds.iter().map(|eras| square(eras, all)).sum();
        Self {
            cells: used().map(|(own, eras)| square(eras, total) / own.len() as f64).sum::<f64>() / norm,
            whole: used().map(|(_, eras)| square(eras, total)).sum::<f64>() / norm,
        }
    }
}

/// A seed's mean over all eras.
fn seed_mean(cells: &Cells, seed: u64) -> f64 {
    let of_seed: Vec<&[f64]> = (0..cells.folds.len()).filter_map(|fold| cells.of(fold, seed)).collect();
    of_seed.iter().flat_map(|payout| payout.iter()).sum::<f64>()
        / of_seed.iter().map(|payout| payout.len()).sum::<usize>() as f64
}

/// Where each fold's eras stand in the incumbent's scores.
fn places(incumbent: &Scores, ground: &Ground<'_>) -> Result<Vec<Vec<usize>>, GateError> {
    let count: usize = ground.folds.iter().map(Vec::len).sum();
    let different = |first| GateError::DifferentEras { candidate: count, incumbent: incumbent.eras.len(), first };
    let mut found = Vec::new();
    for eras in ground.folds {
        if let Some(pair) = eras.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(GateError::UnorderedEras { side: Side::Candidate, era: pair[1] });
        }
        let of_fold: Result<Vec<usize>, u32> =
            eras.iter().map(|era| incumbent.eras.binary_search(era).map_err(|_| *era)).collect();
        found.push(of_fold.map_err(different)?);
    }
    if count != incumbent.eras.len() {
        let tested = |era: &&u32| ground.folds.iter().all(|eras| eras.binary_search(era).is_err());
        return Err(different(incumbent.eras.iter().find(tested).copied().unwrap_or_default()));
    }
    Ok(found)
}

/// Refuses cells that do not fit their fold.
fn check_cells(fold: usize, cells: &[(u64, Vec<f64>)], eras: &[u32]) -> Result<(), GateError> {
    for (seed, payout) in cells {
        if payout.len() != eras.len() {
            return Err(GateError::StrayCell { fold, seed: *seed, what: "has not the fold's eras" });
        }
        if let Some((era, value)) = eras.iter().zip(payout).find(|(_, value)| !value.is_finite()) {
            return Err(GateError::NotFinite { side: Side::Candidate, seed: *seed, era: *era, value: *value });
        }
    }
    Ok(())
}

/// What eras add to the variance of a mean difference.
struct EraNoise {
    variance: f64,
    freedom: f64,
    lag: usize,
}

impl Default for EraNoise {
    /// None.
    fn default() -> Self {
        Self { variance: 0.0, freedom: f64::INFINITY, lag: 0 }
    }
}

impl EraNoise {
    /// Of differences by fold (empty for a fold without cells).
    fn of(differences: &[Vec<f64>], cells: &Cells, incumbent: &Scores, ground: &Ground<'_>) -> Result<Self, GateError> {
        let means = era_means(incumbent);
        let total = differences.iter().map(Vec::len).sum::<usize>() as f64;
        let (mut variance, mut rest, mut squares, mut lag) = (0.0, 0.0, 0.0, 0);
        let seeds = incumbent.seeds.len() as f64;
        // The part of a single seed's `rest` that is in the differences: all cells have about as many seeds.
        let used = cells.folds.iter().filter(|own| !own.is_empty());
        let of_candidate = mean(&used.map(|own| 1.0 / own.len() as f64).collect::<Vec<_>>());
        for (eras, of_group) in groups(differences, ground) {
            let known = ground.eras.of(&eras)?;
            let share = (eras.len() as f64 / total).powi(2);
            let error = known.error_of_mean(&of_group)?;
            let own = share * error.standard_error.powi(2);
            variance += own;
            squares += own * own / error.degrees_of_freedom;
            lag = lag.max(error.lag);
            let places: Vec<usize> = eras.iter().filter_map(|era| incumbent.eras.binary_search(era).ok()).collect();
            for seed in &incumbent.seeds {
                let series: Vec<f64> = places.iter().map(|place| seed.payout[*place] - means[*place]).collect();
                rest += share * known.error_of_mean(&series)?.standard_error.powi(2);
            }
        }
        let freedom = if squares > 0.0 { variance * variance / squares } else { f64::INFINITY };
        let rest = rest / (seeds - 1.0) * (of_candidate + 1.0 / seeds);
        Ok(Self { variance: (variance - rest).max(0.0), freedom, lag })
    }
}

/// The series that noise of eras is estimated from: each fold's, or all as one where a fold is too short by itself.
fn groups(differences: &[Vec<f64>], ground: &Ground<'_>) -> Vec<(Vec<u32>, Vec<f64>)> {
    let used: Vec<(Vec<u32>, Vec<f64>)> = differences
        .iter()
        .zip(ground.folds)
        .filter(|(values, _)| !values.is_empty())
        .map(|(values, eras)| (eras.clone(), values.clone()))
        .collect();
    if used.iter().all(|(eras, _)| ground.eras.of(eras).is_ok()) {
        return used;
    }
    let mut together: Vec<(u32, f64)> =
        used.into_iter().flat_map(|(eras, values)| eras.into_iter().zip(values)).collect();
    together.sort_by_key(|(era, _)| *era);
    vec![together.into_iter().unzip()]
}

/// The largest payout of either side, without its sign.
fn largest(cells: &Cells, incumbent: &Scores) -> f64 {
    let own = cells.folds.iter().flatten().flat_map(|(_, payout)| payout);
    let theirs = incumbent.seeds.iter().flat_map(|seed| &seed.payout);
    own.chain(theirs).fold(0.0, |largest, payout| largest.max(payout.abs()))
}

/// Mean over seeds of each era.
pub(in crate::research) fn era_means(scores: &Scores) -> Vec<f64> {
    let count = scores.seeds.len() as f64;
    (0..scores.eras.len()).map(|era| scores.seeds.iter().map(|seed| seed.payout[era]).sum::<f64>() / count).collect()
}

/// Sample variance, ddof 1, of at least two values.
pub(in crate::research) fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// Refuses malformed scores by name.
pub(in crate::research) fn check(scores: &Scores, side: Side) -> Result<(), GateError> {
    if let Some(pair) = scores.eras.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(GateError::UnorderedEras { side, era: pair[1] });
    }
    for (index, own) in scores.seeds.iter().enumerate() {
        let seed = own.seed;
        if scores.seeds[..index].iter().any(|earlier| earlier.seed == seed) {
            return Err(GateError::RepeatedSeed { side, seed });
        }
        if own.payout.len() != scores.eras.len() {
            return Err(GateError::Misaligned { side, seed, found: own.payout.len(), wanted: scores.eras.len() });
        }
        if let Some((era, value)) = scores.eras.iter().zip(&own.payout).find(|(_, value)| !value.is_finite()) {
            return Err(GateError::NotFinite { side, seed, era: *era, value: *value });
        }
    }
    if scores.eras.len() < FEWEST_ERAS {
        return Err(GateError::TooFewEras { found: scores.eras.len() });
    }
    Ok(())
}
