//! One round with a researcher: asked, checked, sent back, a bounded number of times. It owns all that it needs, so that it
//! goes on beside a training.

use std::sync::Arc;

use super::brief::{Brief, Sources};
use super::check::{Against, Checked, Refusal, Unjudged, check};
use super::propose::Papers;
use crate::error::Result;
use crate::lab::config::Config;
use crate::research::history::History;
use crate::research::near_duplicate::Measured;
use crate::research::near_miss::NearMiss;
use crate::research::settings::PhaseSettings;
use crate::research::trial::{KnobChange, Proposal, TrialRecord, Usage};
use crate::researcher::briefing::{Pending, Rejection};
use crate::researcher::error::{ErrorKind, ResearcherError};
use crate::researcher::settings::Kind;
use crate::researcher::{Ask, Optimizer, Researcher, Synthesis};
use crate::spec::cost::Budget;
use crate::spec::{DataFacts, Spec};

/// The state of the search at one moment, to be thought about beside the loop.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) history: Arc<History>,
    pub(super) config: Arc<Config>,
    pub(super) facts: DataFacts,
    pub(super) budget: Budget,
    pub(super) papers: Papers,
    pub(super) phase: PhaseSettings,
    /// Candidates without a verdict.
    pub(super) pending: Vec<Pending>,
    pub(super) trials_left: Option<u32>,
    pub(super) seconds_left: Option<f64>,
    /// Tokens and US dollars that researchers may still cost; None: no limit.
    pub(super) unspent: (Option<u64>, Option<f64>),
    pub(super) protocol_hash: String,
    pub(super) data_hash: String,
    /// The measured specs, up to date.
    pub(super) measured: Measured,
    /// For its view of the ledger; None where whoever is asked has no use for it.
    pub(super) optimizer: Option<Optimizer>,
}

/// What a round came to.
pub(super) struct Answer {
    /// Who was asked.
    pub(super) kind: Kind,
    /// As it is after the call.
    pub(super) researcher: Researcher,
    /// The incumbent that the proposals are edits of.
    pub(super) against: u32,
    pub(super) phase: String,
    /// What may be trained; each carries its share of what the round cost.
    pub(super) ready: Vec<Checked>,
    /// What stayed unusable.
    pub(super) refused: Vec<(Proposal, Refusal)>,
    /// Why the researcher stopped, where it failed.
    pub(super) failure: Option<ErrorKind>,
    /// What it cost, all in all.
    pub(super) usage: Usage,
}

/// Asks for `count` candidates, and sends back what cannot be used. It is content once half of what was asked for may be
/// trained.
///
/// # Errors
/// What makes any briefing impossible; the session ends of it.
pub(super) async fn round(kind: Kind, mut researcher: Researcher, packet: Packet, count: usize) -> Result<Answer> {
    let sources = Sources {
        history: &packet.history,
        config: &packet.config,
        facts: &packet.facts,
        budget: &packet.budget,
        papers: &packet.papers,
        pending: &packet.pending,
        trials_left: packet.trials_left,
        seconds_left: packet.seconds_left,
        unspent: packet.unspent,
    };
    let brief = Brief::new(sources, &packet.phase, packet.optimizer.clone())?;
    let briefing = brief.briefing(&packet.phase);
    let incumbent = briefing.incumbent_record.map(|record| record.trial).unwrap_or_default();
    let mut known = Unjudged::default();
    packet.pending.iter().for_each(|pending| known.add(&pending.spec));
    let (mut ready, mut refused, mut rejected) = (Vec::new(), Vec::new(), Vec::<Rejection>::new());
    let (mut usage, mut failure) = (Usage::default(), None);
    for _ in 0..=packet.config.researcher.repairs {
        let is_repair = !rejected.is_empty();
        let ask = Ask { count: count - ready.len(), rejected: &rejected };
        let found = match researcher.propose(&briefing, &ask).await {
            Ok(found) => found,
            Err(ResearcherError { kind, usage: spent }) => {
                usage.add(&spent);
                failure = Some(kind);
                break;
            }
        };
        let mut is_new = false;
        for proposal in found {
            usage.add(&proposal.usage);
            // Models like to say again what was taken; that is no mistake to be sent back, and no answer either.
            if is_repair && is_among(&proposal, &ready) {
                continue;
            }
            is_new = true;
            let against = Against {
                incumbent: briefing.incumbent,
                history: &packet.history,
                rules: briefing.rules,
                facts: &packet.facts,
                budget: &packet.budget,
                protocol_hash: &packet.protocol_hash,
                data_hash: &packet.data_hash,
                waiting: &known,
                measured: &packet.measured,
            };
            match check(proposal, &against) {
                Ok(mut checked) => {
                    builds_on(&mut checked, briefing.near_misses);
                    known.add(&checked.spec);
                    ready.push(checked);
                }
                Err(found) => {
                    let (proposal, refusal) = *found;
                    tracing::info!(title = proposal.title, verdict = %refusal.verdict, reason = refusal.reason, "sent back");
                    rejected.push(Rejection { proposal: proposal.clone(), error: refusal.reason.clone() });
                    refused.push((proposal, refusal));
                }
            }
        }
        if !is_new || rejected.is_empty() || 2 * ready.len() >= count {
            break;
        }
    }
    share(&usage, &mut ready);
    Ok(Answer {
        kind,
        researcher,
        against: incumbent,
        phase: packet.phase.name.clone(),
        ready,
        refused,
        failure,
        usage,
    })
}

/// Whether a proposal is one of those that were taken.
fn is_among(proposal: &Proposal, taken: &[Checked]) -> bool {
    Spec::parse(&proposal.spec, "spec").is_ok_and(|spec| taken.iter().any(|one| one.hash == spec.hash()))
}

/// A candidate that makes all changes of a near miss again builds on it, whether its researcher says so or not.
fn builds_on(checked: &mut Checked, near_misses: &[NearMiss]) {
    let made = |wanted: &KnobChange| checked.changes.iter().any(|own| own.path == wanted.path && own.to == wanted.to);
    let again = |miss: &&NearMiss| !miss.changes.is_empty() && miss.changes.iter().all(made);
    let parents: Vec<u32> = near_misses.iter().filter(again).map(|miss| miss.trial).collect();
    for trial in parents {
        if !checked.proposal.parents.contains(&trial) {
            checked.proposal.parents.push(trial);
        }
    }
}

/// Divides what a round cost among its candidates, to the last token.
fn share(usage: &Usage, ready: &mut [Checked]) {
    let count = ready.len() as u64;
    for (index, checked) in (0..).zip(ready.iter_mut()) {
        let part = |total: u64| total / count + u64::from(index < total % count);
        checked.proposal.usage = Usage {
            input_tokens: part(usage.input_tokens),
            output_tokens: part(usage.output_tokens),
            cost_usd: usage.cost_usd / count as f64,
            seconds: usage.seconds / count as f64,
        };
    }
}

/// A new learnings.md after a trial.
pub(super) async fn synthesis(
    kind: Kind,
    mut researcher: Researcher,
    packet: Packet,
    last: TrialRecord,
) -> Result<(Kind, Researcher, std::result::Result<Option<Synthesis>, ResearcherError>)> {
    let sources = Sources {
        history: &packet.history,
        config: &packet.config,
        facts: &packet.facts,
        budget: &packet.budget,
        papers: &packet.papers,
        pending: &packet.pending,
        trials_left: packet.trials_left,
        seconds_left: packet.seconds_left,
        unspent: packet.unspent,
    };
    let brief = Brief::new(sources, &packet.phase, None)?;
    let found = researcher.synthesize(&brief.briefing(&packet.phase), &last).await;
    Ok((kind, researcher, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounds_cost_is_shared_to_the_last_token() {
        let spec = Spec::parse("network: [ { dense: { width: 8 } } ]\n", "test").expect("valid");
        let proposal = crate::research::sample::trial(1, crate::research::trial::Verdict::Keep).proposal;
        let one = Checked { proposal, hash: spec.hash(), spec, changes: Vec::new() };
        let mut ready = vec![one.clone(), one.clone(), one];
        let usage = Usage { input_tokens: 1_000, output_tokens: 2, cost_usd: 0.3, seconds: 6.0 };
        share(&usage, &mut ready);
        let mut sum = Usage::default();
        ready.iter().for_each(|checked| sum.add(&checked.proposal.usage));
        assert_eq!((sum.input_tokens, sum.output_tokens), (1_000, 2));
        assert!((sum.cost_usd - 0.3).abs() < 1e-12 && (sum.seconds - 6.0).abs() < 1e-12);
        assert_eq!(ready.iter().map(|checked| checked.proposal.usage.output_tokens).collect::<Vec<_>>(), [1, 1, 0]);
        share(&usage, &mut []);
    }
}
