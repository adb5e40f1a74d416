//! The gate put to the test: what it does with proposals whose truth is known.

use serde::{Deserialize, Serialize};

use crate::stats::StatsError;
use crate::stats::interval::clopper_pearson;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The incumbent that the proposals were compared with.
    pub trial: u32,
    /// The level of a single trial.
    pub level: f64,
    /// One row for each planted size; a size of 0 is the null.
    pub rows: Vec<AuditRow>,
    /// Seconds that it took.
    pub wall_seconds: f64,
    /// When, RFC 3339, UTC.
    pub ended: String,
}

/// Proposals of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The gain that was planted, in payout.
    pub planted: f64,
    /// Proposals.
    pub proposals: u32,
    /// How many the gate kept.
    pub keeps: u32,
    /// Clopper and Pearson's interval of the share that is kept, 95 %.
    pub interval: (f64, f64),
    /// Mean whole-seed equivalents of training that a proposal took: cells over folds.
    pub seeds: f64,
    /// How many were ahead of the incumbent by the mean of the protocol's seeds: what a plain rule would have kept.
    pub plain_keeps: u32,
}

/// Clopper and Pearson's 95 % interval of the share of proposals that is kept.
///
/// # Errors
/// No proposals, or more keeps than those.
pub fn keep_interval(keeps: u32, proposals: u32) -> Result<(f64, f64), StatsError> {
    clopper_pearson(u64::from(keeps), u64::from(proposals), 0.95).map(|interval| (interval.low, interval.high))
}
