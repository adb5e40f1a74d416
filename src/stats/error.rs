//! What can be wrong with the input of a statistic, and the checks that say so.

/// The result of a statistic.
pub type Result<T> = std::result::Result<T, StatsError>;

/// Why a statistic was not computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatsError {
    /// Too few values.
    #[error("{what}: {found} are too few, at least {needed} are needed. Collect more before asking")]
    TooFew {
        /// What there are too few of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "{what}: number {index} (from 0) is {value}. Only finite numbers can be used: find out where it comes from"
    )]
    NotFinite {
        /// What it stands among.
        what: &'static str,
        /// Its place, from 0.
        index: usize,
        /// What stands there.
        value: f64,
    },
    /// A value is outside of what is allowed.
    #[error("{what} is {found}, and must be {allowed}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// What was found.
        found: f64,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// Two arrays that belong together have different lengths.
    #[error("{found} {what} for {wanted} {other}: there must be one for each")]
    LengthsDiffer {
        /// What there are too many or too few of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// What they belong to.
        other: &'static str,
        /// How many of these there are.
        wanted: usize,
    },
    /// Values that must ascend do not.
    #[error("{what} must ascend, each once, and number {index} (from 0) is not above the one before it. Sort them")]
    NotAscending {
        /// What must ascend.
        what: &'static str,
        /// The place of the first that does not.
        index: usize,
    },
    /// A lag that is not shorter than the series.
    #[error("a lag of {lag} needs more than {lag} eras, and there are {found}. Use more eras, or fewer of each period")]
    LagTooLong {
        /// The lag.
        lag: usize,
        /// How many eras there are.
        found: usize,
    },
    /// Every two values overlap, so that nothing is known of how independent ones differ.
    #[error(
        "eras reach over {reach} era numbers and every target spans {overlap}: no two are independent of each other, so that the error of their mean cannot be known. Use eras that reach further"
    )]
    AllOverlap {
        /// Last era number less the first.
        reach: u32,
        /// Era numbers that a target spans.
        overlap: u32,
    },
    /// Values so large that their squares or sums overflow.
    #[error("{what}: the values are so large that their sums or squares overflow. Rescale them")]
    Overflow {
        /// What overflows.
        what: &'static str,
    },
}

/// Refuses fewer than `needed`.
pub(super) fn enough(what: &'static str, found: usize, needed: usize) -> Result<()> {
    if found < needed { Err(StatsError::TooFew { what, found, needed }) } else { Ok(()) }
}

/// Refuses NaN and infinities.
pub(super) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

/// Refuses a number for which `holds` does not hold; NaN holds nowhere if `holds` compares.
pub(super) fn within(what: &'static str, found: f64, allowed: &'static str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(StatsError::OutOfRange { what, found, allowed }) }
}

/// Refuses a level that is not between 0 and 1, both excluded.
pub(super) fn level(what: &'static str, found: f64) -> Result<()> {
    within(what, found, "above 0 and below 1", found > 0.0 && found < 1.0)
}

/// Refuses a result that overflowed.
pub(super) fn representable(what: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(StatsError::Overflow { what }) }
}
