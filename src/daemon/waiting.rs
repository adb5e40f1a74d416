//! The candidates that wait for their turn: put onto the present incumbent, checked again, or dropped.

use super::check::{Against, Checked, Unjudged, check};
use super::session::Session;
use crate::error::Result;
use crate::research::event::Event;
use crate::research::history::Waiting;
use crate::research::trial::{Origin, Proposal};
use crate::spec::Spec;
use crate::spec::merge::merged;

impl Session<'_> {
    /// The first of the candidates that wait, put onto the present incumbent where another stood when it was proposed.
    /// What cannot be is dropped, and the ledger says why.
    pub(super) fn next_waiting(&mut self) -> Result<Option<(Checked, Origin)>> {
        while let Some(waiting) = self.history.waiting().first().cloned() {
            let settled = self.settled(&waiting)?;
            let Waiting { round, against, candidate } = waiting;
            match settled {
                Ok(checked) => {
                    return Ok(Some((checked, Origin { round, spec_hash: candidate.spec_hash, against })));
                }
                Err(why) => {
                    let title = candidate.proposal.title;
                    self.note(format!("dropped a candidate of round {round}, `{title}`: {why}"));
                    self.record(Event::CandidateDropped { round, spec_hash: candidate.spec_hash, title, why })?;
                }
            }
        }
        Ok(None)
    }

    /// A candidate that waited, as it can be trained now; or why it cannot.
    pub(super) fn settled(&mut self, waiting: &Waiting) -> Result<std::result::Result<Checked, String>> {
        let papers = self.papers()?;
        let incumbent = self.incumbent()?.1;
        let proposal = match self.as_it_would_be(waiting, &incumbent) {
            Ok(proposal) => proposal,
            Err(why) => return Ok(Err(why)),
        };
        let (protocol_hash, data_hash) = (self.protocol.hash(), self.data_hash.clone());
        let against = Against {
            incumbent: &incumbent,
            history: &self.history,
            rules: &papers.rules,
            facts: &self.facts,
            budget: &self.budget,
            protocol_hash: &protocol_hash,
            data_hash: &data_hash,
            waiting: &Unjudged::default(),
            measured: &self.measured,
        };
        Ok(check(proposal, &against).map_err(|refused| refused.1.reason))
    }

    /// A candidate that waits, put onto the present incumbent where another stood when it was proposed; or why it cannot be.
    pub(super) fn as_it_would_be(&self, waiting: &Waiting, incumbent: &Spec) -> std::result::Result<Proposal, String> {
        let Waiting { against, candidate, .. } = waiting;
        let now = self.history.incumbent().map_or(*against, |record| record.trial);
        if now == *against {
            return Ok(candidate.proposal.clone());
        }
        match self.rebased(*against, &candidate.proposal, incumbent) {
            Ok(spec) if spec.hash() == incumbent.hash() => Err(format!("trial {now:06} has what it proposes already")),
            Ok(spec) => Ok(Proposal { spec: spec.to_yaml(), ..candidate.proposal.clone() }),
            Err(why) => {
                Err(format!("it was proposed against trial {against:06}, and cannot be put onto trial {now:06}: {why}"))
            }
        }
    }

    /// What a proposal changed in the incumbent that it was made for, put onto the present one.
    fn rebased(&self, against: u32, proposal: &Proposal, incumbent: &Spec) -> std::result::Result<Spec, String> {
        let base = self.history.trial(against).ok_or_else(|| format!("trial {against:06} is not known"))?;
        let base = Spec::parse(&base.proposal.spec, "incumbent").map_err(|errors| errors.to_string())?;
        let theirs = Spec::parse(&proposal.spec, "candidate").map_err(|errors| errors.to_string())?;
        merged(&base, &theirs, incumbent).map_err(|conflict| conflict.to_string())
    }
}
