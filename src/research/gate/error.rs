//! What can be wrong with scores that shall be compared. Each says whose, where, and what to do.

use super::FEWEST_ERAS;
use crate::stats::StatsError;

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
    /// A cell of a fold that the protocol does not have, or with other eras than the fold's.
    #[error("the candidate's cell of fold {fold} and seed {seed} {what}: is it of another protocol?")]
    StrayCell {
        /// The fold.
        fold: usize,
        /// The seed.
        seed: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The incumbent has fewer seeds than a comparison needs.
    #[error(
        "the incumbent has {found} seeds: at least {needed} are needed before a candidate is judged. Measure it again"
    )]
    TooFewSeeds {
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A setting of the gate or a plan that makes no sense.
    #[error("the gate cannot judge: {0}")]
    Plan(String),
    /// Arithmetic that went wrong: payouts too large to be squared, or a distribution outside its range.
    #[error("the gate cannot judge: {0}")]
    Statistics(#[from] StatsError),
}
