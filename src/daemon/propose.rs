//! The next candidate: one that waits, one from a researcher that thought beside the last training, or one from whoever can
//! propose at once, so that the device never stands idle for long.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::check::{Checked, Refusal};
use super::company::most_together;
use super::round::{Answer, Packet, round};
use super::session::{Flow, Session};
use super::update::Update;
use crate::error::{Error, Result};
use crate::lab::{Lab, LabError};
use crate::research::event::Event;
use crate::research::history::Waiting;
use crate::research::round::{Candidate as Written, Refused, Round};
use crate::research::rules::Rules;
use crate::research::settings::PhaseSettings;
use crate::research::trial::{Origin, Proposal, RECORD_VERSION, TrialRecord, Usage};
use crate::researcher::briefing::Pending;
use crate::researcher::settings::Kind;

/// What came of asking.
pub(super) enum Candidate {
    /// A proposal to train, and the round that it came from.
    Ready(Box<Checked>, Option<Origin>),
    /// A proposal that stayed unusable: its record.
    Refused(Box<TrialRecord>),
    /// Nobody has anything new to propose.
    Nothing(String),
}

/// What becomes of a candidate of one that answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    /// It is tried now.
    Try,
    /// It waits for its turn, as those of a round do.
    Wait,
}

/// How often systemd hears that a slow researcher is still being waited for. Every call has a time limit of its own.
const STILL_WAITING: Duration = Duration::from_secs(10);

/// What belongs to the lab's files and goes into a briefing.
#[derive(Clone)]
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
    /// The next candidate for training.
    pub(super) async fn propose(&mut self, phase: &PhaseSettings) -> Result<Flow<Candidate>> {
        let trial = self.history.next_trial();
        self.live.live.trial = Some(trial);
        self.live.live.title = None;
        self.live.live.researcher = self.team_in_words();
        self.measured.learn(&self.history, &self.protocol.hash(), &self.data_hash);
        self.desk.team.learn(&self.history, &self.protocol.hash(), &self.data_hash);
        if let Some(candidate) = self.fill_up(phase).await? {
            return Ok(candidate);
        }
        let mut dry = false;
        loop {
            if let Some((checked, origin)) = self.next_waiting()? {
                return Ok(Flow::On(Candidate::Ready(Box::new(checked), Some(origin))));
            }
            let answer = if self.desk.has_an_answer() {
                self.desk.answer().await
            } else {
                if let Some(reason) = self.spent_out() {
                    return Ok(Flow::End(reason));
                }
                match self.ask(phase, dry).await? {
                    Flow::End(reason) => return Ok(Flow::End(reason)),
                    Flow::On(answer) => Some(answer),
                }
            };
            let Some(answer) = answer else { continue };
            match self.take(answer?, phase, Queue::Try)? {
                // The next word is somebody else's, however long it takes.
                Some(Candidate::Nothing(_)) if self.somebody_else().is_some() => dry = true,
                Some(candidate) => return Ok(Flow::On(candidate)),
                None => {}
            }
        }
    }

    /// A language model of the session's own that is being asked, or can be.
    fn somebody_else(&self) -> Option<Kind> {
        let asked = self.desk.asked().map(|(kind, _, _)| kind);
        asked.or_else(|| self.desk.team.writer(Instant::now()))
    }

    /// Who proposes, who is left alone until when, and shares that are not as configured.
    pub(super) fn team_in_words(&self) -> String {
        let (team, now) = (&self.desk.team, Instant::now());
        let mut words = team.name();
        for (kind, seconds) in team.resting(now) {
            let until = Timestamp::now() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap_or(3_600));
            let until = until.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
            words.push_str(&format!("; {} failed and is left alone until {until}", kind.name()));
        }
        if let Some(moved) = team.shares_in_words(&self.history) {
            words.push_str("; ");
            words.push_str(&moved);
        }
        words
    }

    /// Asks whose turn it is, and whoever can answer at once when that takes too long. Where those have run `dry`, somebody
    /// else is asked, and waited for.
    async fn ask(&mut self, phase: &PhaseSettings, dry: bool) -> Result<Flow<Result<Answer>>> {
        let turn = || self.desk.team.turn(&self.history, &self.under_way(None), Instant::now());
        let kind = self.somebody_else().filter(|_| dry).unwrap_or_else(turn);
        (self.say)(Update::Proposing { trial: self.history.next_trial() });
        self.live.live.doing = format!("asking the {} researcher", kind.name());
        self.live.write();
        if kind.is_instant() {
            return self.ask_at_once(kind, phase, 1).await;
        }
        let packet = self.packet(phase, None)?;
        // Where somebody is being asked already, it is that answer that is waited for.
        self.desk.ask(kind, packet, self.candidates(phase, 0));
        let patience = Duration::from_secs(self.config.researcher.patience_seconds);
        let left = self.desk.asked().map_or(patience, |(_, _, since)| patience.saturating_sub(since.elapsed()));
        let Session { desk, stop, notify, limits, .. } = self;
        let answer = tokio::select! {
            answer = patiently(desk.answer(), stop, || notify.progress()) => Ok(answer),
            why = passed(limits.until) => Err(Some(why)),
            () = tokio::time::sleep(left), if !dry => Err(None),
        };
        match answer {
            Ok(None) => Ok(Flow::End("asked to stop".into())),
            Err(Some(why)) => Ok(Flow::End(why.into())),
            Ok(Some(Some(answer))) => Ok(Flow::On(answer)),
            Ok(Some(None)) => Ok(Flow::On(Err(Error::Internal("nobody was asked".into())))),
            Err(None) => {
                let waiting = self.desk.asked().map_or(kind, |(kind, _, _)| kind);
                let stand_in = self.desk.team.instant_stand_in();
                self.warn(format!(
                    "{} has not answered within {} s (researcher.patience_seconds); the {} proposes meanwhile",
                    waiting.name(),
                    patience.as_secs(),
                    stand_in.name()
                ));
                self.ask_at_once(stand_in, phase, 1).await
            }
        }
    }

    /// Where it is the turn of one that answers at once, it is asked for as many candidates as are missing for the threads to
    /// be shared: those that wait and the one that is tried next train together. What is left to do at once, where anything is.
    async fn fill_up(&mut self, phase: &PhaseSettings) -> Result<Option<Flow<Candidate>>> {
        let (_, incumbent) = self.incumbent()?;
        let together = most_together(&self.machine(), incumbent.ensemble.members as usize);
        let together = together.min(self.candidates(phase, 0));
        while together > 1 && self.history.waiting().len() < together {
            let kind = self.desk.team.turn(&self.history, &self.under_way(None), Instant::now());
            let waiting = self.history.waiting().len();
            if !kind.is_instant() || self.desk.has_an_answer() || self.limit_reached().is_some() {
                break;
            }
            (self.say)(Update::Proposing { trial: self.history.next_trial() });
            let answer = match self.ask_at_once(kind, phase, together - waiting).await? {
                Flow::End(reason) => return Ok(Some(Flow::End(reason))),
                Flow::On(answer) => answer?,
            };
            let nothing = answer.ready.is_empty();
            match self.take(answer, phase, Queue::Wait)? {
                // Who has no more ideas beside those that wait may have some after their verdicts.
                Some(Candidate::Nothing(_)) if waiting > 0 || self.somebody_else().is_some() => break,
                Some(candidate) => return Ok(Some(Flow::On(candidate))),
                None if nothing => break,
                None => {}
            }
        }
        Ok(None)
    }

    /// Asks one that answers at once for `count` candidates, and waits for it.
    async fn ask_at_once(&mut self, kind: Kind, phase: &PhaseSettings, count: usize) -> Result<Flow<Result<Answer>>> {
        // It has its own view, and no use for another's.
        let packet = Packet { optimizer: None, ..self.packet(phase, None)? };
        let Some(researcher) = self.desk.team.researcher(kind) else {
            return Err(Error::Internal(format!("no researcher {}", kind.name())));
        };
        let notify = &mut self.notify;
        let asked = patiently(round(kind, researcher, packet, count), &mut self.stop, || notify.progress()).await;
        Ok(asked.map_or_else(|| Flow::End("asked to stop".into()), Flow::On))
    }

    /// Asks for the next round while the last candidates of the one before train, where its turn is one that takes its time.
    /// Those that wait train beside the one whose turn it is, as far as there are threads: once all of them do, nothing would
    /// be left to do while the answer comes.
    pub(super) fn ask_ahead(
        &mut self,
        phase: &PhaseSettings,
        training: &Checked,
        origin: Option<&Origin>,
    ) -> Result<()> {
        let own = origin.map(|origin| origin.spec_hash.as_str());
        let wait = |waiting: &&Waiting| Some(waiting.candidate.spec_hash.as_str()) != own;
        let others = self.history.waiting().iter().filter(wait).count();
        let together = most_together(&self.machine(), training.spec.ensemble.members as usize);
        // Those that train have no verdict yet, and count as trained.
        let last = self.limits.trials.is_some_and(|limit| self.trained as usize + 1 + others >= limit as usize);
        if others >= together
            || last
            || self.desk.asked().is_some()
            || self.is_over().is_some()
            || self.spent_out().is_some()
        {
            return Ok(());
        }
        let under_way = self.under_way(Some(&training.proposal.researcher).filter(|_| own.is_none()));
        let kind = self.desk.team.turn(&self.history, &under_way, Instant::now());
        if !kind.is_instant() {
            let packet = self.packet(phase, Some(training))?;
            self.desk.ask(kind, packet, self.candidates(phase, 1 + others as u32));
        }
        Ok(())
    }

    /// Candidates without a verdict, by who proposed them.
    fn under_way(&self, training: Option<&String>) -> BTreeMap<String, usize> {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for waiting in self.history.waiting() {
            *found.entry(waiting.candidate.proposal.researcher.clone()).or_default() += 1;
        }
        if let Some((kind, count, _)) = self.desk.asked() {
            *found.entry(kind.name().to_owned()).or_default() += count;
        }
        if let Some(name) = training {
            *found.entry(name.clone()).or_default() += 1;
        }
        found
    }

    /// How many candidates a round is asked for, while so many are in training.
    fn candidates(&self, phase: &PhaseSettings, training: u32) -> usize {
        let left = self.limits.trials.map_or(u32::MAX, |limit| limit.saturating_sub(self.trained + training));
        phase.candidates.min(left).max(1) as usize
    }

    /// The state of the search, for whoever thinks beside the loop. `training` has no verdict yet.
    pub(super) fn packet(&self, phase: &PhaseSettings, training: Option<&Checked>) -> Result<Packet> {
        let (_, incumbent) = self.incumbent()?;
        let now = self.history.waiting().iter().filter_map(|waiting| self.as_it_would_be(waiting, &incumbent).ok());
        let mut waiting: Vec<Pending> = now.filter_map(|proposal| Pending::of(&proposal, &incumbent)).collect();
        if let Some(checked) = training
            && waiting.iter().all(|pending| pending.spec_hash != checked.hash)
        {
            waiting.extend(Pending::of(&checked.proposal, &incumbent));
        }
        let done = self.trained + u32::from(training.is_some());
        Ok(Packet {
            history: Arc::new(self.history.clone()),
            config: Arc::new(self.config.clone()),
            facts: self.facts.clone(),
            budget: self.budget,
            papers: self.papers_as_they_are()?,
            phase: phase.clone(),
            pending: waiting,
            trials_left: self.limits.trials.map(|limit| limit.saturating_sub(done)),
            seconds_left: self.limits.until.map(|until| until.duration_since(Timestamp::now()).as_secs_f64().max(0.0)),
            unspent: self.unspent(),
            protocol_hash: self.protocol.hash(),
            data_hash: self.data_hash.clone(),
            measured: self.measured.clone(),
            optimizer: self.desk.team.optimizer(),
        })
    }

    /// Takes an answer in: what failed into the ledger, what can be trained to where it waits for its turn. None where
    /// the next is to be looked for.
    fn take(&mut self, answer: Answer, phase: &PhaseSettings, queue: Queue) -> Result<Option<Candidate>> {
        let Answer { kind, researcher, against, phase: asked_in, mut ready, mut refused, failure, usage } = answer;
        let name = kind.name().to_owned();
        let now = Instant::now();
        self.desk.team.put_back(kind, researcher, failure.as_ref(), now, rand::random());
        let mut unpaid = usage;
        if let Some(failure) = &failure {
            // What candidates cost is written with them.
            let usage = if ready.is_empty() { std::mem::take(&mut unpaid) } else { Usage::default() };
            let error = failure.to_string();
            self.record(Event::ResearcherFailed { researcher: name.clone(), error: error.clone(), usage })?;
            if kind.is_instant() && ready.is_empty() && refused.is_empty() {
                return Ok(Some(Candidate::Nothing(error)));
            }
            if !kind.is_instant() {
                let rest = self.desk.team.resting(now).into_iter().find(|(resting, _)| *resting == kind);
                let again = rest.map_or_else(String::new, |(_, seconds)| format!(" for {seconds} s"));
                let stand_in = self.desk.team.stand_in(now);
                self.warn(format!("{name}: {error}; the {} proposes in its place{again}", stand_in.name()));
            }
        }
        if failure.is_none() && !kind.is_instant() {
            self.desk.team.brought(kind, !ready.is_empty(), now, rand::random());
        }
        if ready.is_empty() {
            let Some((mut proposal, refusal)) = refused.pop() else { return Ok(None) };
            proposal.usage = unpaid;
            if !refused.is_empty() {
                self.record_round(kind, (against, asked_in), Vec::new(), refused, Usage::default())?;
            }
            let record = self.refused(self.history.next_trial(), phase, proposal, refusal)?;
            return Ok(Some(Candidate::Refused(Box::new(record))));
        }
        if kind.is_instant() && queue == Queue::Try {
            return Ok(Some(Candidate::Ready(Box::new(ready.remove(0)), None)));
        }
        let candidates =
            ready.into_iter().map(|checked| Written { proposal: checked.proposal, spec_hash: checked.hash }).collect();
        self.record_round(kind, (against, asked_in), candidates, refused, usage)?;
        Ok(None)
    }

    fn record_round(
        &mut self,
        kind: Kind,
        (against, phase): (u32, String),
        candidates: Vec<Written>,
        refused: Vec<(Proposal, Refusal)>,
        usage: Usage,
    ) -> Result<()> {
        let refused = refused
            .into_iter()
            .map(|(proposal, refusal)| Refused { title: proposal.title, verdict: refusal.verdict, why: refusal.reason })
            .collect();
        let (round, researcher) = (self.history.rounds() + 1, kind.name().to_owned());
        let round = Round { round, researcher, against, phase, candidates, refused, usage };
        self.record(Event::RoundProposed { round })
    }

    /// The lab's papers, with the rules that are in force.
    fn papers_as_they_are(&self) -> Result<Papers> {
        let (rules_text, rules) = self.rules.clone();
        Ok(Papers {
            program: read(&self.lab.program())?,
            learnings: read(&self.lab.learnings())?,
            rules_text,
            rules: rules.at(&self.history),
            rules_are_fresh: true,
            summary: super::learn::protocol_summary(&self.protocol, &self.facts),
        })
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
        Ok(Papers { rules_are_fresh, ..self.papers_as_they_are()? })
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
            phase_why: self.history.phase_why().map(str::to_owned),
            origin: None,
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
pub(super) async fn passed(until: Option<Timestamp>) -> &'static str {
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
