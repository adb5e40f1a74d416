//! What a researcher is told before it proposes: borrowed facts, put together by the loop.

use crate::research::evidence::Evidence;
use crate::research::history::History;
use crate::research::near_miss::NearMiss;
use crate::research::rules::Rules;
use crate::research::settings::PhaseSettings;
use crate::research::trial::{Proposal, TrialRecord, Usage};
use crate::spec::cost::Budget;
use crate::spec::{DataFacts, Spec};

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
    /// What a person would say about a lack of progress; None while there is progress.
    pub plateau: Option<&'a str>,
    /// The closest discards against this incumbent.
    pub near_misses: &'a [NearMiss],
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
    /// What one trial may cost.
    pub budget: &'a Budget,
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
