//! The gate put to the test: what it does with proposals whose truth is known. Pure.

use serde::{Deserialize, Serialize};

use super::gate::GateError;
use super::gate::settings::Control;
use crate::stats::interval::clopper_pearson;

/// The confidence of every interval of an audit.
pub const CONFIDENCE: f64 = 0.95;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The incumbent that the proposals were compared with.
    pub trial: u32,
    /// The level of a single trial.
    pub level: f64,
    /// What is controlled over many trials; None in old ledgers.
    #[serde(default)]
    pub control: Option<Control>,
    /// What the gate promises, in a sentence.
    #[serde(default)]
    pub promise: String,
    /// Standard deviation of a seed's mean payout of the incumbent, which planted sizes may be multiples of.
    #[serde(default)]
    pub between_seeds: f64,
    /// Seeds of a candidate before it may be kept, and the most that it gets.
    #[serde(default)]
    pub candidate_seeds: (usize, usize),
    /// Seeds of the incumbent in the end. All proposals were compared with these, and share their luck.
    #[serde(default)]
    pub incumbent_seeds: usize,
    /// One row for each planted size; a size of 0 is the null.
    pub rows: Vec<AuditRow>,
    /// Why it ended before all proposals were through; None where they were.
    #[serde(default)]
    pub given_up: Option<String>,
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
    /// How many were proven better, and not kept, for they broke a constraint.
    #[serde(default)]
    pub constrained: u32,
}

/// One proposal of an audit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Audited {
    /// Whether the race would keep it.
    pub proven: bool,
    /// Whether it breaks a constraint: then it is not kept all the same.
    pub constrained: bool,
    /// Whether the plain rule would have kept it.
    pub plain: bool,
    /// Whole-seed equivalents of training.
    pub seeds: f64,
}

/// A planted gain, as a person asks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Planted {
    /// In payout; 0 is the null.
    Payout(f64),
    /// In standard deviations between seeds of the incumbent.
    Deviations(f64),
}

impl Planted {
    /// The gain in payout.
    pub fn payout(self, between_seeds: f64) -> f64 {
        match self {
            Self::Payout(payout) => payout,
            Self::Deviations(count) => count * between_seeds,
        }
    }
}

impl AuditReport {
    /// The proposals that changed nothing, where there were some.
    pub fn null(&self) -> Option<&AuditRow> {
        self.rows.iter().find(|row| row.planted == 0.0)
    }

    /// The proposals with planted gains, by size.
    pub fn planted(&self) -> impl Iterator<Item = &AuditRow> {
        self.rows.iter().filter(|row| row.planted != 0.0)
    }
}

impl AuditRow {
    /// Before the first proposal.
    pub fn new(planted: f64) -> Self {
        Self { planted, proposals: 0, keeps: 0, interval: (0.0, 1.0), seeds: 0.0, plain_keeps: 0, constrained: 0 }
    }

    /// One more proposal.
    ///
    /// # Errors
    /// None that counts can cause.
    pub fn add(&mut self, found: Audited) -> Result<(), GateError> {
        self.seeds = (self.seeds * f64::from(self.proposals) + found.seeds) / f64::from(self.proposals + 1);
        self.proposals += 1;
        self.keeps += u32::from(found.proven && !found.constrained);
        self.constrained += u32::from(found.proven && found.constrained);
        self.plain_keeps += u32::from(found.plain);
        let found = clopper_pearson(u64::from(self.keeps), u64::from(self.proposals), CONFIDENCE)?;
        self.interval = (found.low, found.high);
        Ok(())
    }

    /// The share that was kept.
    pub fn rate(&self) -> f64 {
        f64::from(self.keeps) / f64::from(self.proposals.max(1))
    }
}

/// How many null proposals, none of them kept, it takes before the interval's upper end is down at `level`:
/// `(α/2) = (1 − level)^n`.
pub fn proposals_to_confirm(level: f64) -> f64 {
    (((1.0 - CONFIDENCE) / 2.0).ln() / (-level).ln_1p()).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_adds_up() {
        let mut row = AuditRow::new(0.002);
        for (proven, plain, seeds) in [(false, true, 0.5), (true, true, 3.0), (false, false, 1.0)] {
            row.add(Audited { proven, plain, seeds, constrained: false }).expect("counts");
        }
        assert_eq!((row.proposals, row.keeps, row.plain_keeps), (3, 1, 2));
        assert!((row.seeds - 1.5).abs() < 1e-12 && (row.rate() - 1.0 / 3.0).abs() < 1e-12);
        // Clopper and Pearson 1934: 1 of 3, 95 %: 0.0084 to 0.9057.
        assert!((row.interval.0 - 0.0084).abs() < 5e-5 && (row.interval.1 - 0.9057).abs() < 5e-5, "{row:?}");
    }

    #[test]
    fn what_breaks_a_constraint_is_not_kept() {
        let mut row = AuditRow::new(0.0);
        for (proven, constrained) in [(true, true), (true, false), (false, true), (false, false)] {
            row.add(Audited { proven, constrained, plain: false, seeds: 1.0 }).expect("counts");
        }
        assert_eq!((row.keeps, row.constrained), (1, 1));
    }

    /// The rule of three, at 97.5 %: 3.69/n.
    #[test]
    fn a_small_rate_takes_many_proposals_to_confirm() {
        assert!((proposals_to_confirm(0.0005) - 7376.0).abs() <= 1.0, "{}", proposals_to_confirm(0.0005));
        let count = proposals_to_confirm(0.05);
        let upper = |count: f64| clopper_pearson(0, count as u64, CONFIDENCE).expect("counts").high;
        assert!(upper(count) <= 0.05 && upper(count - 1.0) > 0.05);
    }

    #[test]
    fn sizes_are_payouts_or_deviations() {
        assert_eq!((Planted::Payout(0.01).payout(0.3), Planted::Deviations(0.5).payout(0.3)), (0.01, 0.15));
    }
}
