//! Rounds: a researcher is asked for several candidates at once, which wait for their turn; each comes to a verdict of its
//! own, or is dropped with a reason.

use serde::{Deserialize, Serialize};

use super::trial::{Proposal, Usage, Verdict};

/// What one call of a researcher (its repairs included) brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Counted from 1 over the whole ledger.
    pub round: u32,
    /// Who was asked.
    pub researcher: String,
    /// The incumbent that the candidates are edits of.
    pub against: u32,
    /// The phase that they were asked for in.
    pub phase: String,
    /// What may be trained, in the order of the reply. Each carries its share of what the round cost.
    pub candidates: Vec<Candidate>,
    /// What stayed unusable after the repairs.
    pub refused: Vec<Refused>,
    /// What the round cost, all in all.
    pub usage: Usage,
}

/// A candidate that has passed every check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// As proposed.
    pub proposal: Proposal,
    /// Canonical hash of its spec.
    pub spec_hash: String,
}

/// A proposal that did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// What would have been tried.
    pub title: String,
    /// `invalid`, `duplicate` or `blocked`.
    pub verdict: Verdict,
    /// What is wrong with it.
    pub why: String,
}
