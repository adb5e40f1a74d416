//! Asking for a proposal, checking it, and sending back what cannot be used, a bounded number of times.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use super::brief::{Brief, Sources};
use super::check::{Against, Checked, Refusal, check};
use super::session::{Flow, Session};
use super::update::Update;
use crate::error::{Error, Result};
use crate::lab::{Lab, LabError};
use crate::research::event::Event;
use crate::research::rules::Rules;
use crate::research::settings::PhaseSettings;
use crate::research::trial::{Proposal, RECORD_VERSION, TrialRecord, Usage};
use crate::researcher::briefing::Rejection;
use crate::researcher::error::ResearcherError;

/// What came of asking.
pub(super) enum Candidate {
    /// A proposal to train.
    Ready(Box<Checked>),
    /// A proposal that stayed unusable: its record.
    Refused(Box<TrialRecord>),
    /// Nobody has anything new to propose.
    Nothing(String),
}

/// How often systemd hears that a slow researcher is still being waited for. Every call has a time limit of its own.
const STILL_WAITING: Duration = Duration::from_secs(10);

/// What belongs to the lab's files and goes into a briefing.
pub(super) struct Papers {
    pub(super) program: String,
    pub(super) learnings: String,
    pub(super) rules_text: String,
    pub(super) rules: Rules,
    /// Whether they are what the file says now.
    pub(super) rules_are_fresh: bool,
    pub(super) summary: String,
}

impl Session<'_> {
    /// Asks the researcher, and the optimizer in its place when it fails.
    pub(super) async fn propose(&mut self, phase: &PhaseSettings) -> Result<Flow<Candidate>> {
        let trial = self.history.next_trial();
        (self.say)(Update::Proposing { trial });
        self.live.live.doing = format!("asking the {} researcher", self.researcher.name());
        self.live.live.trial = Some(trial);
        self.live.live.title = None;
        self.live.write();
        let papers = self.papers()?;
        let mut fallen_back = false;
        let mut rejected: Vec<Rejection> = Vec::new();
        let mut spent = Usage::default();
        let mut last: Option<(Proposal, Refusal)> = None;
        // A researcher that fails is replaced, not counted: only proposals that were sent back use up the repairs.
        while rejected.len() <= self.config.researcher.repairs as usize {
            let asked = match self.ask(phase, &papers, &rejected, fallen_back).await? {
                Flow::End(reason) => return Ok(Flow::End(reason)),
                Flow::On(asked) => asked,
            };
            let proposal = match asked {
                Ok(proposal) => proposal,
                Err(error) => {
                    let who = if fallen_back { self.fallback.name() } else { self.researcher.name() }.to_owned();
                    self.record(Event::ResearcherFailed {
                        researcher: who.clone(),
                        error: error.to_string(),
                        usage: error.usage,
                    })?;
                    if fallen_back || who == self.fallback.name() {
                        if last.is_none() {
                            return Ok(Flow::On(Candidate::Nothing(error.to_string())));
                        }
                        break;
                    }
                    self.warn(format!("{who}: {error}; the optimizer proposes in its place"));
                    fallen_back = true;
                    rejected.clear();
                    continue;
                }
            };
            spent.add(&proposal.usage);
            let (_, incumbent) = self.incumbent()?;
            let (protocol_hash, data_hash) = (self.protocol.hash(), self.data_hash.clone());
            let against = Against {
                incumbent: &incumbent,
                history: &self.history,
                rules: &papers.rules,
                facts: &self.facts,
                budget: &self.budget,
                protocol_hash: &protocol_hash,
                data_hash: &data_hash,
            };
            match check(proposal, &against) {
                Ok(mut checked) => {
                    checked.proposal.usage = spent;
                    return Ok(Flow::On(Candidate::Ready(Box::new(checked))));
                }
                Err(refused) => {
                    let (proposal, refusal) = *refused;
                    tracing::info!(title = proposal.title, verdict = %refusal.verdict, reason = refusal.reason, "sent back");
                    rejected.push(Rejection { proposal: proposal.clone(), error: refusal.reason.clone() });
                    last = Some((proposal, refusal));
                }
            }
        }
        let Some((mut proposal, refusal)) = last else {
            return Ok(Flow::On(Candidate::Nothing("no researcher gave a proposal".into())));
        };
        proposal.usage = spent;
        Ok(Flow::On(Candidate::Refused(Box::new(self.refused(trial, phase, proposal, refusal)?))))
    }

    /// One call. The outer error ends the session, the inner one is the researcher's.
    async fn ask(
        &mut self,
        phase: &PhaseSettings,
        papers: &Papers,
        rejected: &[Rejection],
        fallen_back: bool,
    ) -> Result<Flow<Result<Proposal, ResearcherError>>> {
        let seconds_left = self.limits.until.map(|until| until.duration_since(Timestamp::now()).as_secs_f64().max(0.0));
        let brief = Brief::new(Sources {
            history: &self.history,
            config: &self.config,
            facts: &self.facts,
            budget: &self.budget,
            papers,
            trials_left: self.limits.trials.map(|limit| limit.saturating_sub(self.trained)),
            seconds_left,
        })?;
        let briefing = brief.briefing(phase);
        let researcher = if fallen_back { &mut self.fallback } else { &mut self.researcher };
        let asked = researcher.propose(&briefing, rejected);
        let notify = &mut self.notify;
        let answer = tokio::select! {
            answer = patiently(asked, &mut self.stop, || notify.progress()) => answer.ok_or("asked to stop"),
            why = passed(self.limits.until) => Err(why),
        };
        Ok(answer.map_or_else(|why| Flow::End(why.into()), Flow::On))
    }

    /// Reads the lab's papers anew. While do_not_retry.toml cannot be read (an edit half saved), the rules as they were stay
    /// in force: what a person forbade must not be tried because of a typing mistake, and the night must not end of one.
    pub(super) fn papers(&mut self) -> Result<Papers> {
        let fresh = rules(&self.lab);
        let rules_are_fresh = fresh.is_ok();
        match fresh {
            Ok(fresh) => self.rules = fresh,
            Err(error) => self.warn(format!("{error}; going on with the rules as they were")),
        }
        let (rules_text, rules) = self.rules.clone();
        Ok(Papers {
            program: read(&self.lab.program())?,
            learnings: read(&self.lab.learnings())?,
            rules_text,
            rules,
            rules_are_fresh,
            summary: super::learn::protocol_summary(&self.protocol, &self.facts),
        })
    }

    fn refused(&self, trial: u32, phase: &PhaseSettings, proposal: Proposal, refusal: Refusal) -> Result<TrialRecord> {
        let now = Timestamp::now().to_string();
        Ok(TrialRecord {
            version: RECORD_VERSION,
            trial,
            verdict: refusal.verdict,
            reason: refusal.reason,
            proposal,
            phase: phase.name.clone(),
            spec_hash: refusal.hash,
            protocol_hash: self.protocol.hash(),
            data_hash: self.data_hash.clone(),
            incumbent: Some(self.incumbent()?.0.trial),
            changes: refusal.changes,
            measurement: None,
            judgement: None,
            wall_seconds: 0.0,
            started: now.clone(),
            ended: now,
        })
    }
}

/// do_not_retry.toml: its text and its rules.
pub(super) fn rules(lab: &Lab) -> Result<(String, Rules)> {
    let text = read(&lab.do_not_retry())?;
    let rules = Rules::parse(&text, "do_not_retry.toml").map_err(|error| Error::Configuration(error.to_string()))?;
    Ok((text, rules))
}

/// A paper's text; empty where it is not there.
fn read(path: &std::path::Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(LabError::io("read it", path, error).into()),
    }
}

/// Waits for a call that has a time limit of its own, while `alive` is told regularly. None if a stop came first.
pub(super) async fn patiently<T>(
    call: impl Future<Output = T>,
    stop: &mut tokio::sync::watch::Receiver<bool>,
    mut alive: impl FnMut(),
) -> Option<T> {
    tokio::pin!(call);
    let mut tick = tokio::time::interval(STILL_WAITING);
    loop {
        tokio::select! {
            answer = &mut call => return Some(answer),
            _ = tick.tick() => alive(),
            () = stopped(stop) => return None,
        }
    }
}

/// How a session ends whose time is over.
pub(super) const TIME_IS_OVER: &str = "the session's time is over";
/// The clock is looked at this often: it may be set, and a machine that sleeps through the night has its timers wait.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(10);

/// Returns once the session shall end, and says why: a stop is asked for, or its time is over.
pub(super) async fn over(stop: &mut tokio::sync::watch::Receiver<bool>, until: Option<Timestamp>) -> &'static str {
    tokio::select! {
        biased;
        () = stopped(stop) => "asked to stop",
        why = passed(until) => why,
    }
}

/// Returns once the moment has passed; never where there is none.
async fn passed(until: Option<Timestamp>) -> &'static str {
    let Some(until) = until else { return std::future::pending().await };
    loop {
        let left = until.duration_since(Timestamp::now());
        if !left.is_positive() {
            return TIME_IS_OVER;
        }
        tokio::time::sleep(left.unsigned_abs().min(LOOK_AT_THE_CLOCK)).await;
    }
}

/// Returns once a stop is asked for; never if nobody can ask any more.
pub(super) async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use jiff::SignedDuration;
    use tokio::sync::watch;

    use super::*;

    /// What a session that may end says when it is looked at once.
    fn looked_at(stop: bool, seconds_left: Option<i64>) -> Option<&'static str> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _inside = runtime.enter();
        let (_asks, mut heard) = watch::channel(stop);
        let until = seconds_left.map(|seconds| Timestamp::now() + SignedDuration::from_secs(seconds));
        let mut waiting = std::pin::pin!(over(&mut heard, until));
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(why) => Some(why),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_session_is_over_when_asked_or_when_its_time_is() {
        assert_eq!(looked_at(false, None), None);
        assert_eq!(looked_at(false, Some(3_600)), None);
        assert_eq!(looked_at(false, Some(-1)), Some(TIME_IS_OVER));
        assert_eq!(looked_at(true, None), Some("asked to stop"));
        assert_eq!(looked_at(true, Some(-1)), Some("asked to stop"));
    }
}
