//! What a proposal must pass before it costs anything: parse → validate → duplicate → do-not-retry → cost. Pure.

use std::collections::BTreeSet;

use crate::research::history::History;
use crate::research::near_duplicate::{Measured, Neighbours};
use crate::research::rules::Rules;
use crate::research::trial::{KnobChange, Proposal, Verdict};
use crate::spec::cost::Budget;
use crate::spec::{DataFacts, Spec, diff};

/// A proposal that may be trained.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    /// As proposed, its spec in the language's own layout.
    pub(super) proposal: Proposal,
    /// The spec.
    pub(super) spec: Spec,
    /// Its canonical hash.
    pub(super) hash: String,
    /// What differs from the incumbent.
    pub(super) changes: Vec<KnobChange>,
}

/// Why a proposal may not be trained.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// `invalid`, `duplicate` or `blocked`.
    pub(super) verdict: Verdict,
    /// For the researcher and the notebook: what is wrong and where.
    pub(super) reason: String,
    /// Canonical hash, where the spec is valid.
    pub(super) hash: Option<String>,
    /// What differs from the incumbent, where the spec is valid.
    pub(super) changes: Vec<KnobChange>,
}

/// What a proposal is checked against.
pub(super) struct Against<'a> {
    pub(super) incumbent: &'a Spec,
    pub(super) history: &'a History,
    pub(super) rules: &'a Rules,
    pub(super) facts: &'a DataFacts,
    pub(super) budget: &'a Budget,
    /// Trials under another protocol or other data do not make a duplicate.
    pub(super) protocol_hash: &'a str,
    pub(super) data_hash: &'a str,
    /// The candidates that are in training or wait, to be none of them.
    pub(super) waiting: &'a Unjudged,
    /// The measured specs, to be near to none of them.
    pub(super) measured: &'a Measured,
}

/// Candidates without a verdict.
#[derive(Default)]
pub(super) struct Unjudged {
    hashes: BTreeSet<String>,
    neighbours: Neighbours,
}

impl Unjudged {
    pub(super) fn add(&mut self, spec: &Spec) {
        self.hashes.insert(spec.hash());
        self.neighbours.wait(spec);
    }
}

/// Checks a proposal.
///
/// # Errors
/// The first check that it does not pass; of a spec that is invalid everything at once, its cost included.
pub(super) fn check(mut proposal: Proposal, against: &Against<'_>) -> Result<Checked, Box<(Proposal, Refusal)>> {
    let refuse = |proposal: Proposal, verdict, reason, hash, changes| {
        Err(Box::new((proposal, Refusal { verdict, reason, hash, changes })))
    };
    let findings = Spec::check(&proposal.spec, "spec", against.facts, against.budget);
    let Some(spec) = findings.spec.clone() else {
        return refuse(proposal, Verdict::Invalid, findings.errors().to_string(), None, Vec::new());
    };
    let hash = spec.hash();
    let changes = knob_changes(against.incumbent, &spec);
    if !findings.wrong.is_empty() {
        return refuse(proposal, Verdict::Invalid, findings.errors().to_string(), Some(hash), changes);
    }
    if let Some(earlier) = earlier_trial(against, &hash) {
        let reason = format!("the same model as trial {earlier:06} (canonical hash {hash})");
        return refuse(proposal, Verdict::Duplicate, reason, Some(hash), changes);
    }
    if against.waiting.hashes.contains(&hash) {
        let reason = format!("the same model as a candidate that has no verdict yet (canonical hash {hash})");
        return refuse(proposal, Verdict::Duplicate, reason, Some(hash), changes);
    }
    let near = || against.waiting.neighbours.near(&spec, against.measured.reach());
    if let Some(near) = against.measured.near(&spec).or_else(near) {
        return refuse(proposal, Verdict::Duplicate, near.why, Some(hash), changes);
    }
    if let Some(rule) = against.rules.blocks(&changes, &proposal.category) {
        let reason = format!("do_not_retry.toml forbids it: {} ({})", rule.name, rule.reason);
        return refuse(proposal, Verdict::Blocked, reason, Some(hash), changes);
    }
    if !findings.over.is_empty() {
        return refuse(proposal, Verdict::Invalid, findings.errors().to_string(), Some(hash), changes);
    }
    proposal.spec = spec.to_yaml();
    Ok(Checked { proposal, spec, hash, changes })
}

/// The trial that has measured (or tried to measure) this very model on this very data.
fn earlier_trial(against: &Against<'_>, hash: &str) -> Option<u32> {
    let same = |record: &&crate::research::trial::TrialRecord| {
        record.spec_hash.as_deref() == Some(hash)
            && record.verdict.was_trained()
            && record.protocol_hash == against.protocol_hash
            && record.data_hash == against.data_hash
    };
    against.history.records().find(same).map(|record| record.trial)
}

/// What differs between two specs, for records.
pub(super) fn knob_changes(from: &Spec, to: &Spec) -> Vec<KnobChange> {
    let changes = diff::changes(from, to).into_iter();
    changes.map(|change| KnobChange { path: change.path, from: change.from, to: change.to }).collect()
}
