//! What a researcher is told before it proposes: borrowed facts, put together by the loop.

use super::optimizer::view::View;
use crate::research::evidence::Evidence;
use crate::research::history::History;
use crate::research::near_miss::NearMiss;
use crate::research::rules::Rules;
use crate::research::settings::{Breadth, PhaseSettings};
use crate::research::trial::{KnobChange, Proposal, TrialRecord, Usage};
use crate::spec::cost::Budget;
use crate::spec::{DataFacts, Spec, diff};

/// Everything that a proposal may depend on. A researcher's answer is a function of this, of its settings, and (for an
/// LLM) of the server's whim.
#[derive(Clone, Copy)]
pub struct Briefing<'a> {
    /// program.md: the brief that a person wrote.
    pub program: &'a str,
    /// learnings.md as it stands.
    pub learnings: &'a str,
    /// The best spec so far.
    pub incumbent: &'a Spec,
    /// Its trial; None before the baseline has been measured.
    pub incumbent_record: Option<&'a TrialRecord>,
    /// Every trial so far.
    pub history: &'a History,
    /// The phase of the search.
    pub phase: &'a PhaseSettings,
    /// How far proposals may go now: the phase's own breadth, or wider after a row of failures.
    pub breadth: Breadth,
    /// Why it is wider than the phase's; None while it is not.
    pub widened: Option<&'a str>,
    /// What a person would say about a lack of progress; None while there is progress.
    pub plateau: Option<&'a str>,
    /// The closest discards against this incumbent.
    pub near_misses: &'a [NearMiss],
    /// What is in training or waits for its turn: not to be proposed again.
    pub pending: &'a [Pending],
    /// What the optimizer makes of the ledger; None where nobody asked it.
    pub view: Option<&'a View>,
    /// What is ruled out.
    pub rules: &'a Rules,
    /// do_not_retry.toml as written.
    pub rules_text: &'a str,
    /// What the trials say about categories and knobs.
    pub evidence: &'a Evidence,
    /// Feature sets, targets and sizes of the data.
    pub facts: &'a DataFacts,
    /// The protocol and its objective in a few sentences.
    pub protocol_summary: &'a str,
    /// The smallest gain in payout that the gate keeps.
    pub min_effect: f64,
    /// The chance at which the gate keeps a candidate that is no better.
    pub level: f64,
    /// Hints that a person sent to the running loop.
    pub hints: &'a [String],
    /// Trained trials left in this session; None: no limit.
    pub trials_left: Option<u32>,
    /// Seconds left in this session; None: no limit.
    pub seconds_left: Option<f64>,
    /// Tokens of researchers left in this session; None: no limit.
    pub tokens_left: Option<u64>,
    /// US dollars of researchers left in this session; None: no limit.
    pub usd_left: Option<f64>,
    /// What one trial may cost.
    pub budget: &'a Budget,
}

/// A candidate that has no verdict yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// What is tried.
    pub title: String,
    /// Its category.
    pub category: String,
    /// Its spec.
    pub spec: Spec,
    /// Canonical hash of its spec.
    pub spec_hash: String,
    /// What it changes in the incumbent's spec.
    pub changes: Vec<KnobChange>,
}

impl Pending {
    /// A proposal against an incumbent; None where its spec cannot be read.
    pub fn of(proposal: &Proposal, incumbent: &Spec) -> Option<Self> {
        let spec = Spec::parse(&proposal.spec, "candidate").ok()?;
        let changes = diff::changes(incumbent, &spec).into_iter();
        Some(Self {
            title: proposal.title.clone(),
            category: proposal.category.clone(),
            spec_hash: spec.hash(),
            changes: changes.map(|change| KnobChange { path: change.path, from: change.from, to: change.to }).collect(),
            spec,
        })
    }
}

/// A proposal that could not be taken, and why: it goes back to its researcher.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// As it came.
    pub proposal: Proposal,
    /// What is wrong with it.
    pub error: String,
}

/// A new text of learnings.md.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthesis {
    /// The whole document. The caller checks it with `research::learnings::accept`.
    pub text: String,
    /// What it cost.
    pub usage: Usage,
}
