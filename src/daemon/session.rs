//! A session: the loop's body, one named step after another.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::Timestamp;
use prepare::Protocol;
use tokio::sync::watch;

use super::desk::{Desk, GivenUp};
use super::notify::Notify;
use super::open::Options;
use super::propose::{Candidate, TIME_IS_OVER, passed, patiently};
use super::stock::Stock;
use super::update::Update;
use crate::error::{Error, Result};
use crate::lab::config::Config;
use crate::lab::live::Writer;
use crate::lab::{Lab, LabLock, Ledger, Notebook};
use crate::research::event::Event;
use crate::research::gate::KnownEras;
use crate::research::gate::pool::Prior;
use crate::research::history::History;
use crate::research::near_duplicate::Measured;
use crate::research::phases::{PhaseMove, next_phase};
use crate::research::rules::Rules;
use crate::research::settings::{PhaseSettings, WhenConverged};
use crate::research::trial::{TrialRecord, Usage, Verdict};
use crate::research::words::count;
use crate::spec::cost::Budget;
use crate::spec::{DataFacts, Spec, text_of};
use crate::worker::supervisor::{Worker, WorkerSettings};

/// When a session ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Trained trials.
    pub(super) trials: Option<u32>,
    /// A moment, inside of a trial too.
    pub(super) until: Option<Timestamp>,
    /// Tokens of researchers, sent and received.
    pub(super) tokens: Option<u64>,
    /// US dollars of researchers.
    pub(super) usd: Option<f64>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// In words.
    pub reason: String,
    /// Trials trained in this session, the baseline not counted.
    pub trained: u32,
    /// Seconds from start to end.
    pub seconds: f64,
}

/// Crashes in a row after which a session gives up: something other than the specs is wrong then.
const MOST_CRASHES: u32 = 6;
/// Trials in a row that came to a verdict without training, after which the search goes to its next phase.
const MOST_UNTRAINED: u32 = 8;

/// A running session.
pub struct Session<'s> {
    pub(super) lab: Lab,
    pub(super) config: Config,
    /// What the person asked for at the start.
    pub(super) options: Options,
    pub(super) protocol: Protocol,
    /// prepare/protocol.lock, for the baseline's commit.
    pub(super) protocol_lock: Option<Vec<u8>>,
    pub(super) data_hash: String,
    /// do_not_retry.toml as it could last be read.
    pub(super) rules: (String, Rules),
    pub(super) notebook: Notebook,
    pub(super) ledger: Ledger,
    pub(super) history: History,
    /// The specs that were measured under this protocol.
    pub(super) measured: Measured,
    /// The researchers, and what they are at.
    pub(super) desk: Desk,
    /// What researchers had cost when the session began.
    pub(super) spent_before: Usage,
    pub(super) worker: Option<Worker>,
    pub(super) worker_settings: WorkerSettings,
    /// What cells of candidates that wait have come to, by the hash of their spec.
    pub(super) stocks: BTreeMap<String, Stock>,
    /// The noise between seeds by the ledger as it is; None until it is asked for.
    pub(super) prior: Cell<Option<Option<Prior>>>,
    /// Hashes of the specs that train with nobody beside: a request that they took part in failed as a whole.
    pub(super) apart: BTreeSet<String>,
    pub(super) facts: DataFacts,
    pub(super) device: String,
    /// Threads that train nets side by side; None on a GPU.
    pub(super) cpu_threads: Option<usize>,
    /// Test eras of each fold.
    pub(super) folds: Vec<Vec<u32>>,
    /// What is known of means over eras.
    pub(super) known_eras: KnownEras,
    pub(super) budget: Budget,
    pub(super) limits: Limits,
    pub(super) trained: u32,
    pub(super) trial_seconds: Vec<f64>,
    pub(super) untrained_in_a_row: u32,
    /// Phases in a row in which nobody had anything to propose.
    pub(super) empty_phases: usize,
    pub(super) crashes_in_a_row: u32,
    pub(super) live: Writer,
    pub(super) notify: Notify,
    pub(super) say: &'s mut (dyn FnMut(Update) + 's),
    pub(super) stop: watch::Receiver<bool>,
    pub(super) started: Timestamp,
    pub(super) _lock: LabLock,
}

/// Whether the loop goes on.
pub(super) enum Flow<T> {
    /// It does.
    On(T),
    /// The session ends, for this reason.
    End(String),
}

impl Session<'_> {
    /// Runs the loop until a limit, convergence, or a request to stop.
    ///
    /// # Errors
    /// What makes going on senseless; the ledger and the notebook are whole then, too.
    pub async fn run(mut self) -> Result<Ending> {
        self.note_waiting();
        let ended = self.body().await;
        let reason = match &ended {
            Ok(reason) => reason.clone(),
            Err(error) => format!("error: {error}"),
        };
        let (trained, started) = (self.trained, self.started);
        // The session's own error is the one to report, not that its end could not be written as well.
        let written = self.end(reason).await;
        let reason = ended?;
        written?;
        let seconds = Timestamp::now().duration_since(started).as_secs_f64();
        Ok(Ending { reason, trained, seconds })
    }

    /// Ends the session: the worker, the ledger, and whoever watches.
    pub(super) async fn end(&mut self, reason: String) -> Result<()> {
        self.notify.stopping();
        let closed = self.close_desk();
        if let Some(mut worker) = self.worker.take() {
            worker.kill().await;
        }
        self.live.live.doing = "ended".into();
        self.live.live.trial = None;
        self.live.write();
        tracing::info!(reason, trained = self.trained, "session ended");
        (self.say)(Update::Finished { reason: reason.clone() });
        closed?;
        self.record(Event::SessionEnded { reason })
    }

    /// Ends what researchers are at; what that has cost counts.
    pub(super) fn close_desk(&mut self) -> Result<()> {
        for GivenUp { kind, purpose, usage, estimated } in self.desk.close() {
            let words = if estimated { ", the prompt's tokens estimated" } else { "" };
            let purpose = format!("{purpose}, given up before it was taken in{words}");
            self.record(Event::TokensSpent { purpose, researcher: Some(kind.name().to_owned()), usage })?;
        }
        Ok(())
    }

    async fn body(&mut self) -> Result<String> {
        loop {
            if let Some(reason) = self.limit_reached() {
                return Ok(reason);
            }
            self.refresh_lab().await?;
            // The first time round it is clean: a session on a model.yaml with open changes is refused.
            if !self.model_is_dirty()?
                && let Flow::End(reason) = self.baseline().await?
            {
                return Ok(reason);
            }
            if let Flow::End(reason) = self.remeasure_when_due().await? {
                return Ok(reason);
            }
            if let Flow::End(reason) = self.settle_incumbent().await? {
                return Ok(reason);
            }
            let phase = match self.choose_phase()? {
                Flow::On(phase) => phase,
                Flow::End(reason) => return Ok(reason),
            };
            let record = match self.propose(&phase).await? {
                Flow::End(reason) => return Ok(reason),
                Flow::On(Candidate::Nothing(why)) => {
                    if let Flow::End(reason) = self.leave_phase(&phase, &why).await? {
                        return Ok(reason);
                    }
                    continue;
                }
                Flow::On(Candidate::Refused(record)) => *record,
                Flow::On(Candidate::Ready(checked, origin)) => match self.try_out(&phase, *checked, origin).await? {
                    Flow::End(reason) => return Ok(reason),
                    Flow::On(record) => record,
                },
            };
            let record = self.respect_the_persons_model(record)?;
            let kept = (record.verdict == Verdict::Keep).then_some(record.trial);
            self.conclude(record).await?;
            if let Some(trial) = kept.filter(|_| self.config.holdout.score_keeps) {
                self.ask_holdout(trial).await?;
            }
            if let Flow::End(reason) = self.housekeep()? {
                return Ok(reason);
            }
        }
    }

    /// Measures model.yaml as it stands if nothing comparable has been measured yet.
    pub(super) async fn baseline(&mut self) -> Result<Flow<()>> {
        let path = self.lab.model();
        let bytes = std::fs::read(&path).map_err(|error| crate::lab::LabError::io("read it", &path, error))?;
        let findings = Spec::check(&text_of(bytes, "model.yaml")?, "model.yaml", &self.facts, &self.budget);
        let Some(spec) = findings.spec.clone().filter(|_| findings.wrong.is_empty()) else {
            return Err(findings.errors().into());
        };
        let hash = spec.hash();
        let stands = self.history.incumbent().is_some_and(|incumbent| {
            incumbent.spec_hash.as_deref() == Some(&hash)
                && incumbent.protocol_hash == self.protocol.hash()
                && incumbent.data_hash == self.data_hash
        });
        if stands {
            return Ok(Flow::On(()));
        }
        // What has been measured was within the budget of its time, and stays comparable under any other.
        findings.accepted()?;
        let why = match self.history.incumbent() {
            None => "the first measurement",
            Some(incumbent) if incumbent.spec_hash.as_deref() != Some(&hash) => "model.yaml was changed by hand",
            Some(_) => "the protocol or the data has changed, so earlier scores cannot be compared",
        };
        match self.measure_baseline(spec, hash, why).await? {
            Flow::End(reason) => Ok(Flow::End(reason)),
            Flow::On(record) => {
                let (verdict, reason) = (record.verdict, record.reason.clone());
                self.conclude(record).await?;
                if verdict != Verdict::Keep {
                    return Err(Error::Training(format!("the baseline in model.yaml could not be trained: {reason}")));
                }
                Ok(Flow::On(()))
            }
        }
    }

    /// Why the session is to end now, whatever it is at.
    pub(super) fn is_over(&self) -> Option<&'static str> {
        if *self.stop.borrow() {
            return Some("asked to stop");
        }
        self.limits.until.filter(|until| Timestamp::now() >= *until).map(|_| TIME_IS_OVER)
    }

    /// Why the session is to end between two trials.
    pub(super) fn limit_reached(&self) -> Option<String> {
        if let Some(why) = self.is_over() {
            return Some(why.into());
        }
        if let Some(limit) = self.limits.trials.filter(|limit| self.trained >= *limit) {
            return Some(format!("{} done", count(limit as usize, "trial")));
        }
        self.spent_out()
    }

    /// Why nobody may be asked any more: the tokens or the dollars of the session are spent.
    pub(super) fn spent_out(&self) -> Option<String> {
        let (tokens, usd) = self.spent();
        if let Some(limit) = self.limits.tokens.filter(|limit| tokens >= *limit) {
            return Some(format!("the session's tokens are spent: {tokens} of {limit} (budget.session_tokens)"));
        }
        if let Some(limit) = self.limits.usd.filter(|limit| usd >= *limit) {
            return Some(format!(
                "the session's money is spent: {usd:.2} of {limit:.2} US dollars (budget.session_usd)"
            ));
        }
        None
    }

    /// What researchers have cost in this session: tokens, and US dollars.
    fn spent(&self) -> (u64, f64) {
        let (now, before) = (self.history.usage(), &self.spent_before);
        let tokens = (now.input_tokens + now.output_tokens) - (before.input_tokens + before.output_tokens);
        (tokens, now.cost_usd - before.cost_usd)
    }

    /// Tokens and US dollars that researchers may still cost in this session; None where there is no limit.
    pub(super) fn unspent(&self) -> (Option<u64>, Option<f64>) {
        let (tokens, usd) = self.spent();
        (
            self.limits.tokens.map(|limit| limit.saturating_sub(tokens)),
            self.limits.usd.map(|limit| (limit - usd).max(0.0)),
        )
    }

    fn choose_phase(&mut self) -> Result<Flow<PhaseSettings>> {
        let step = next_phase(&self.history, &self.config.phases, self.config.plateau, self.config.when_converged);
        match step {
            PhaseMove::Stay => {}
            PhaseMove::Enter { phase, why } => self.enter_phase(phase, why)?,
            PhaseMove::Converged { why } => return Ok(Flow::End(why)),
        }
        let current = self.history.phase().unwrap_or_default();
        let phase = self.config.phases.iter().find(|phase| phase.name == current);
        let phase = phase.or_else(|| self.config.phases.first()).cloned();
        phase.map(Flow::On).ok_or_else(|| Error::Configuration("autoresearch.yaml has no phases".into()))
    }

    fn enter_phase(&mut self, phase: String, why: String) -> Result<()> {
        tracing::info!(phase, why, "entering a phase");
        (self.say)(Update::Phase { name: phase.clone(), why: why.clone() });
        self.record(Event::PhaseEntered { phase, why })
    }

    /// The phase has nothing more to offer: on to the next. After the last one comes what the configuration says. Once no
    /// phase has anything to offer, a language model that is left alone for a while may have something afterwards; where there
    /// is none, the session ends.
    async fn leave_phase(&mut self, phase: &PhaseSettings, why: &str) -> Result<Flow<()>> {
        self.empty_phases += 1;
        let next = self.phase_after(&phase.name);
        let rest = self.desk.team.rest_of_writers(Instant::now());
        match (next, rest) {
            (Some(next), _) if self.empty_phases < self.config.phases.len() => {
                self.enter_phase(next, why.to_owned()).map(Flow::On)
            }
            (Some(_), Some((kind, rest))) => {
                let name = kind.name();
                self.warn(format!("{why}; waiting for {name}, which is left alone for {} s", rest.as_secs()));
                self.live.live.doing = format!("waiting for {name}");
                self.live.write();
                let Session { stop, notify, limits, .. } = self;
                let waited = tokio::select! {
                    waited = patiently(tokio::time::sleep(rest), stop, || notify.progress()) => waited.ok_or("asked to stop"),
                    why = passed(limits.until) => Err(why),
                };
                self.empty_phases = 0;
                Ok(waited.map_or_else(|why| Flow::End(why.into()), Flow::On))
            }
            _ => Ok(Flow::End(format!("nothing is left to try: {why}"))),
        }
    }

    /// The phase behind one, by the configuration's order and its `when_converged`.
    fn phase_after(&self, name: &str) -> Option<String> {
        let index = self.config.phases.iter().position(|phase| phase.name == name)?;
        let next = match self.config.when_converged {
            WhenConverged::Continue => (index + 1) % self.config.phases.len(),
            WhenConverged::Stop => index + 1,
        };
        self.config.phases.get(next).map(|next| next.name.clone())
    }

    /// What is due between trials: giving up on what cannot work, and moving on from what only repeats itself.
    fn housekeep(&mut self) -> Result<Flow<()>> {
        self.empty_phases = 0;
        if self.crashes_in_a_row >= MOST_CRASHES {
            let last = self.history.trials().last().map(|record| record.reason.clone()).unwrap_or_default();
            return Err(Error::Training(format!("{MOST_CRASHES} trials in a row crashed, the last one: {last}")));
        }
        if self.untrained_in_a_row == 0 || !self.untrained_in_a_row.is_multiple_of(MOST_UNTRAINED) {
            return Ok(Flow::On(()));
        }
        let why = format!("{} proposals in a row could not be trained", self.untrained_in_a_row);
        let rounds = self.untrained_in_a_row / MOST_UNTRAINED;
        let next = self.phase_after(self.history.phase().unwrap_or_default());
        match next.filter(|_| rounds as usize <= self.config.phases.len()) {
            Some(next) => self.enter_phase(next, why).map(Flow::On),
            None => Ok(Flow::End(why)),
        }
    }

    /// Appends to the ledger and keeps the derived facts in step.
    pub(super) fn record(&mut self, event: Event) -> Result<()> {
        let entry = self.ledger.append(Timestamp::now(), event)?;
        self.history.apply(&entry.event);
        self.prior.set(None);
        Ok(())
    }

    /// What an audit is at, for whoever watches.
    pub(super) fn auditing(&mut self, number: u32, of: u32, planted: f64) {
        self.live.live.doing = format!("auditing the gate: proposal {number} of {of}, planted {planted:+.4}");
        self.live.write_soon();
        self.notify.progress();
        (self.say)(Update::Auditing { number, of, planted });
    }

    pub(super) fn note(&mut self, sentence: String) {
        tracing::info!("{sentence}");
        (self.say)(Update::Note(sentence));
    }

    pub(super) fn warn(&mut self, sentence: String) {
        tracing::warn!("{sentence}");
        if !self.live.live.warnings.contains(&sentence) {
            self.live.live.warnings.push(sentence.clone());
            if self.live.live.warnings.len() > 10 {
                self.live.live.warnings.remove(0);
            }
            (self.say)(Update::Note(sentence));
        }
    }

    /// The incumbent's record and spec. A session has one from the baseline on.
    pub(super) fn incumbent(&self) -> Result<(&TrialRecord, Spec)> {
        let record = self.history.incumbent().ok_or_else(|| Error::Internal("a trial before the baseline".into()))?;
        Ok((record, Spec::parse(&record.proposal.spec, &format!("runs/{}/spec.yaml", record.folder()))?))
    }
}
