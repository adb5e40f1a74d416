//! The gate: whether a candidate is better than the incumbent, or only luckier.
//!
//! The unit is the paired difference of payouts, candidate minus incumbent, of the same seed in the same era. `delta`
//! is its mean over the common seeds and all eras. Two noises make it uncertain, and both are estimated
//! ([`noise`]): between eras, which are autocorrelated because targets overlap, and between seeds, because one lucky
//! initialization shifts every era of a run. A keep needs every required seed on both sides, `delta` of at least
//! `min_effect`, and a one-sided p-value below `alpha`.
//!
//! Deliberately absent: anything that this trial cannot know, such as how many trials the night has had.

use super::settings::GateSettings;
use super::trial::{Judgement, Scores, SeedPayouts};

pub mod noise;

use noise::Noise;

/// The fewest eras that an autocorrelated standard error is estimated from.
pub const FEWEST_ERAS: usize = 8;

/// Which of the two specs something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The spec that was proposed.
    Candidate,
    /// The spec that is best so far.
    Incumbent,
}

impl std::fmt::Display for Side {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Candidate => "candidate",
            Self::Incumbent => "incumbent",
        })
    }
}

/// Why two sets of scores cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GateError {
    /// The two were scored on different eras.
    #[error(
        "the candidate was scored on {candidate} eras and the incumbent on {incumbent}, and they part at era {first}: scores can be compared only over the same eras. Was the protocol or the data changed? Then measure the incumbent again"
    )]
    DifferentEras {
        /// How many eras the candidate has.
        candidate: usize,
        /// How many eras the incumbent has.
        incumbent: usize,
        /// The smallest era number that only one of them has.
        first: u32,
    },
    /// Era numbers do not ascend.
    #[error("the {side}'s era {era} does not come after the era before it: eras must ascend, each once")]
    UnorderedEras {
        /// Whose.
        side: Side,
        /// The offending era.
        era: u32,
    },
    /// Too few eras for a standard error.
    #[error(
        "{found} eras are too few to estimate noise from: at least {FEWEST_ERAS} are needed. Use more data, or a smaller era stride"
    )]
    TooFewEras {
        /// How many there are.
        found: usize,
    },
    /// Required seeds are missing.
    #[error("the {side} was not trained with the required seeds {seeds:?}: train them before it is judged")]
    MissingSeeds {
        /// Whose.
        side: Side,
        /// The seeds that are missing.
        seeds: Vec<u64>,
    },
    /// No seed, or just one where noise between seeds must be estimated.
    #[error("candidate and incumbent have {found} seeds in common: at least {needed} are needed here")]
    TooFewSeeds {
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A seed comes twice.
    #[error("the {side}'s scores hold seed {seed} twice")]
    RepeatedSeed {
        /// Whose.
        side: Side,
        /// The seed.
        seed: u64,
    },
    /// Payouts do not align with the eras.
    #[error("the {side}'s seed {seed} has {found} payouts for {wanted} eras")]
    Misaligned {
        /// Whose.
        side: Side,
        /// The seed.
        seed: u64,
        /// How many payouts.
        found: usize,
        /// How many eras.
        wanted: usize,
    },
    /// A payout is not a finite number.
    #[error(
        "the {side}'s payout of seed {seed} in era {era} is {value}: a score that is no number is not averaged away. Look at that spec's predictions"
    )]
    NotFinite {
        /// Whose.
        side: Side,
        /// The seed.
        seed: u64,
        /// The era.
        era: u32,
        /// What stands there.
        value: f64,
    },
    /// Payouts so large that their differences or squares overflow.
    #[error("payouts are too large to be compared: their differences overflow")]
    Overflow,
}

/// What the first seed alone says. It can end a trial, and can never keep one.
#[derive(Clone, Debug, PartialEq)]
pub struct Screening {
    /// Whether the other seeds are worth training.
    pub go_on: bool,
    /// The judgement to record if the trial ends here; its `keep` is always false.
    pub judgement: Judgement,
}

/// How far apart two specs are, and how sure that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Mean paired difference, candidate minus incumbent.
    pub delta: f64,
    /// The noise of `delta`.
    pub noise: Noise,
    /// One-sided p-value of `delta` > 0.
    pub p_value: f64,
    /// How many seeds were paired.
    pub seeds: usize,
    /// How many eras.
    pub eras: usize,
}

/// Judges a candidate after its first seed: it goes on unless the difference over the common seeds is not positive, or
/// its p-value is above `screen_alpha`. With one seed the p-value leaves noise between seeds out and so flatters;
/// that is why passing means no more than "train the other seeds".
///
/// # Errors
/// When the two cannot be compared: see [`GateError`].
pub fn screen(candidate: &Scores, incumbent: &Scores, settings: &GateSettings) -> Result<Screening, GateError> {
    let found = compare(candidate, incumbent)?;
    let against = format!("{:+.4} ± {:.4} after {}", found.delta, found.noise.standard_error, seeds(found.seeds));
    let (go_on, reason) = if found.delta <= 0.0 {
        (false, format!("no better than the incumbent: {against}"))
    } else if found.p_value <= settings.screen_alpha {
        (true, format!("worth the other seeds: {against}, p {:.3}", found.p_value))
    } else {
        (
            false,
            format!(
                "too little to train the other seeds: {against}, p {:.3} above {}",
                found.p_value, settings.screen_alpha
            ),
        )
    };
    Ok(Screening { go_on, judgement: found.judgement(false, reason) })
}

/// Judges a candidate over all its seeds.
///
/// # Errors
/// When the two cannot be compared, when one lacks a required seed, or when fewer than two seeds are in common: see
/// [`GateError`].
pub fn judge(
    candidate: &Scores,
    incumbent: &Scores,
    settings: &GateSettings,
    required_seeds: &[u64],
) -> Result<Judgement, GateError> {
    for (side, scores) in [(Side::Candidate, candidate), (Side::Incumbent, incumbent)] {
        let missing: Vec<u64> =
            required_seeds.iter().copied().filter(|seed| scores.seeds.iter().all(|own| own.seed != *seed)).collect();
        if !missing.is_empty() {
            return Err(GateError::MissingSeeds { side, seeds: missing });
        }
    }
    let found = compare(candidate, incumbent)?;
    if found.seeds < 2 {
        return Err(GateError::TooFewSeeds { found: found.seeds, needed: 2 });
    }
    let over = format!(
        "{:+.4} ± {:.4} over {} and {} eras",
        found.delta,
        found.noise.standard_error,
        seeds(found.seeds),
        found.eras
    );
    let (keep, reason) = if found.delta <= 0.0 {
        (false, format!("no better than the incumbent: {over}"))
    } else if found.delta < settings.min_effect {
        (false, format!("smaller than the minimum effect {}: {over}", settings.min_effect))
    } else if found.p_value < settings.alpha {
        // Four digits of a tiny p-value would read as an impossible 0.
        let p = if found.p_value < 1e-4 { "<0.0001".to_owned() } else { format!("{:.4}", found.p_value) };
        (true, format!("better than the incumbent: {over}, p {p} below {}", settings.alpha))
    } else {
        (false, format!("not proven better: {over}, p {:.3} not below {}", found.p_value, settings.alpha))
    };
    // A level or an effect that is no number makes both comparisons above false, and so proves nothing.
    let keep = keep && found.delta >= settings.min_effect;
    Ok(found.judgement(keep, reason))
}

/// The standard error of a spec's own mean payout over its seeds and eras, for showing it with its uncertainty.
///
/// # Errors
/// When the scores are malformed, or too few: see [`GateError`].
pub fn standard_error(scores: &Scores) -> Result<f64, GateError> {
    check(scores, Side::Incumbent)?;
    let rows: Vec<Vec<f64>> = scores.seeds.iter().map(|seed| seed.payout.clone()).collect();
    if rows.is_empty() {
        return Err(GateError::TooFewSeeds { found: 0, needed: 1 });
    }
    Noise::of(&rows, &scores.eras).map(|noise| noise.standard_error).ok_or(GateError::Overflow)
}

/// Compares two specs over their common seeds.
///
/// # Errors
/// When the two cannot be compared: see [`GateError`].
pub fn compare(candidate: &Scores, incumbent: &Scores) -> Result<Comparison, GateError> {
    check(candidate, Side::Candidate)?;
    check(incumbent, Side::Incumbent)?;
    if candidate.eras != incumbent.eras {
        let only_one = |era: &&u32| candidate.eras.contains(era) != incumbent.eras.contains(era);
        let first = candidate.eras.iter().chain(&incumbent.eras).filter(only_one).min().copied().unwrap_or_default();
        return Err(GateError::DifferentEras {
            candidate: candidate.eras.len(),
            incumbent: incumbent.eras.len(),
            first,
        });
    }
    let mut pairs: Vec<(&SeedPayouts, &SeedPayouts)> = candidate
        .seeds
        .iter()
        .filter_map(|ours| incumbent.seeds.iter().find(|theirs| theirs.seed == ours.seed).map(|theirs| (ours, theirs)))
        .collect();
    if pairs.is_empty() {
        return Err(GateError::TooFewSeeds { found: 0, needed: 1 });
    }
    // In one order whoever is the candidate, so that swapping the two flips the sign and changes nothing else.
    pairs.sort_by_key(|(ours, _)| ours.seed);
    let differences: Vec<Vec<f64>> = pairs
        .iter()
        .map(|(ours, theirs)| ours.payout.iter().zip(&theirs.payout).map(|(ours, theirs)| ours - theirs).collect())
        .collect();
    let delta = noise::mean(&noise::era_means(&differences)).ok_or(GateError::Overflow)?;
    let noise = Noise::of(&differences, &candidate.eras).ok_or(GateError::Overflow)?;
    let p_value = noise.p_value(delta).ok_or(GateError::Overflow)?;
    Ok(Comparison { delta, noise, p_value, seeds: differences.len(), eras: candidate.eras.len() })
}

impl Comparison {
    fn judgement(&self, keep: bool, reason: String) -> Judgement {
        Judgement {
            keep,
            delta: self.delta,
            standard_error: self.noise.standard_error,
            p_value: self.p_value,
            seeds: self.seeds,
            reason,
        }
    }
}

fn check(scores: &Scores, side: Side) -> Result<(), GateError> {
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

fn seeds(count: usize) -> String {
    if count == 1 { "1 seed".into() } else { format!("{count} seeds") }
}

#[cfg(test)]
mod tests;
