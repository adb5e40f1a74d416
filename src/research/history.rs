//! Everything that the loop knows about its past, derived from the ledger's events. It can be rebuilt at any time, and
//! from the trials' records alone where nothing else was left.

mod costs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::audit::AuditReport;
use super::calibration::NoiseFloor;
use super::event::{Event, SeedPurpose};
use super::remeasure::Remeasurement;
use super::round::Candidate;
use super::trial::{Scores, TrialRecord, Usage, Verdict};

/// A trial that went into training and has no verdict yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Its number.
    pub trial: u32,
    /// What is tried.
    pub title: String,
    /// Canonical hash of the spec.
    pub spec_hash: String,
}

/// The past, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Shared, so that whoever thinks about the past beside the loop has it without a copy.
    trials: Vec<Arc<TrialRecord>>,
    tried: HashMap<String, u32>,
    phase: Option<String>,
    phase_why: Option<String>,
    trained_in_phase: u32,
    discards_in_a_row: u32,
    since_keep: u32,
    usage: Usage,
    spent: BTreeMap<String, Usage>,
    in_flight: Option<InFlight>,
    further: Vec<Further>,
    floor: Option<NoiseFloor>,
    remeasured: Vec<Remeasurement>,
    demoted: BTreeSet<u32>,
    audits: Vec<AuditReport>,
    rounds: u32,
    waiting: Vec<Waiting>,
    hints: Vec<Hint>,
}

/// A candidate of a round that has neither been tried nor dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The round that it came from.
    pub round: u32,
    /// The incumbent that it is an edit of.
    pub against: u32,
    /// What is proposed.
    pub candidate: Candidate,
}

/// A person's hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The last trial that had ended by then.
    pub after_trial: Option<u32>,
    /// What they said.
    pub text: String,
}

/// Further seeds of a kept spec.
#[derive(Clone, Debug, PartialEq)]
struct Further {
    trial: u32,
    purpose: SeedPurpose,
    scores: Scores,
}

impl History {
    /// The history that a series of events, in the ledger's order, amounts to.
    pub fn from_events<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut history = Self::default();
        for event in events {
            history.apply(event);
        }
        history
    }

    /// Takes one more event in.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::SessionStarted { .. }
            | Event::PersonEdited { .. }
            | Event::TrialCommitted { .. }
            | Event::RemeasurementCommitted { .. }
            | Event::HoldoutQueried { .. } => {}
            Event::SeedsMeasured { trial, purpose, scores, .. } => {
                self.further.push(Further { trial: *trial, purpose: *purpose, scores: scores.clone() });
            }
            Event::Calibrated { floor } => self.floor = Some(floor.clone()),
            Event::Remeasured { found } => self.remeasure(found),
            Event::Audited { report } => self.audits.push(report.clone()),
            // Recovery and a session's end are both past the point where a trial could still come to its verdict.
            Event::SessionEnded { .. } | Event::Recovered { .. } => self.in_flight = None,
            Event::PhaseEntered { phase, why } => {
                self.enter(phase);
                self.phase_why = Some(why.clone());
            }
            Event::RoundProposed { round } => {
                self.rounds = self.rounds.max(round.round);
                self.usage.add(&round.usage);
                self.spent.entry(round.researcher.clone()).or_default().add(&round.usage);
                self.waiting.extend(round.candidates.iter().map(|candidate| Waiting {
                    round: round.round,
                    against: round.against,
                    candidate: candidate.clone(),
                }));
            }
            Event::CandidateDropped { round, spec_hash, .. } => self.no_longer_waits(*round, spec_hash),
            Event::Hinted { text } => {
                let after_trial = self.trials.last().map(|record| record.trial);
                self.hints.push(Hint { after_trial, text: text.clone() });
            }
            Event::TrialStarted { trial, title, spec_hash } => {
                self.in_flight = Some(InFlight { trial: *trial, title: title.clone(), spec_hash: spec_hash.clone() });
            }
            Event::TrialEnded { record } => self.record(record),
            Event::ResearcherFailed { researcher, usage, .. } => {
                self.usage.add(usage);
                self.spent.entry(researcher.clone()).or_default().add(usage);
            }
            Event::TokensSpent { usage, .. } => self.usage.add(usage),
        }
    }

    /// Every trial that came to a verdict, ascending by number.
    pub fn trials(&self) -> &[Arc<TrialRecord>] {
        &self.trials
    }

    /// The same, one after another.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &TrialRecord> {
        self.trials.iter().map(Arc::as_ref)
    }

    /// One trial by its number.
    pub fn trial(&self, number: u32) -> Option<&TrialRecord> {
        self.trials.binary_search_by_key(&number, |record| record.trial).ok().map(|index| self.trials[index].as_ref())
    }

    /// The baseline: the first spec that was kept without an incumbent to beat, under the protocol and on the data of
    /// the present incumbent; trial 0 unless its first training failed, or either has changed.
    pub fn baseline(&self) -> Option<&TrialRecord> {
        let now = self.incumbent()?;
        let comparable =
            |record: &&TrialRecord| record.protocol_hash == now.protocol_hash && record.data_hash == now.data_hash;
        self.trials.iter().map(Arc::as_ref).filter(comparable).find(|record| is_baseline(record))
    }

    /// The best spec so far: the last one that was kept and not demoted, or the baseline.
    pub fn incumbent(&self) -> Option<&TrialRecord> {
        let stands = |record: &&TrialRecord| record.verdict == Verdict::Keep && !self.demoted.contains(&record.trial);
        self.trials.iter().rev().map(Arc::as_ref).find(stands)
    }

    /// The scores of a trial: those that it was judged by, and every further seed that it was measured under since. None
    /// where nothing was measured, or no seed of it is whole.
    pub fn scores(&self, trial: u32) -> Option<Scores> {
        let mut scores = self.trial(trial)?.measurement.as_ref()?.scores.clone();
        for further in
            self.further.iter().filter(|further| further.trial == trial && further.scores.eras == scores.eras)
        {
            for seed in &further.scores.seeds {
                if scores.seeds.iter().all(|known| known.seed != seed.seed) {
                    scores.seeds.push(seed.clone());
                }
            }
        }
        (!scores.seeds.is_empty()).then_some(scores)
    }

    /// The scores of a trial on the seeds that it was measured under after it was kept: nothing selected it by them. None
    /// where there are none.
    pub fn fresh_scores(&self, trial: u32) -> Option<Scores> {
        let all = self.scores(trial)?;
        let selected = &self.trial(trial)?.measurement.as_ref()?.scores;
        let is_fresh = |seed: u64| selected.seeds.iter().all(|own| own.seed != seed);
        let seeds: Vec<_> = all.seeds.into_iter().filter(|own| is_fresh(own.seed)).collect();
        (!seeds.is_empty()).then_some(Scores { eras: all.eras, seeds })
    }

    /// The scores of a trial on the seeds that it was measured under for one purpose. None where there are none.
    pub fn scores_for(&self, trial: u32, purpose: SeedPurpose) -> Option<Scores> {
        let eras = &self.trial(trial)?.measurement.as_ref()?.scores.eras;
        let of =
            |further: &&Further| further.trial == trial && further.purpose == purpose && further.scores.eras == *eras;
        let seeds: Vec<_> = self.further.iter().filter(of).flat_map(|further| further.scores.seeds.clone()).collect();
        (!seeds.is_empty()).then(|| Scores { eras: eras.clone(), seeds })
    }

    /// Further seeds that a trial was measured under, by purpose.
    pub fn further_seeds(&self, trial: u32, purpose: SeedPurpose) -> usize {
        let of = |further: &&Further| further.trial == trial && further.purpose == purpose;
        self.further.iter().filter(of).map(|further| further.scores.seeds.len()).sum()
    }

    /// The last calibration under the protocol and on the data of the present incumbent.
    pub fn noise_floor(&self) -> Option<&NoiseFloor> {
        let now = self.incumbent()?;
        self.floor.as_ref().filter(|floor| floor.protocol_hash == now.protocol_hash && floor.data_hash == now.data_hash)
    }

    /// The re-measurements, oldest first.
    pub fn remeasurements(&self) -> &[Remeasurement] {
        &self.remeasured
    }

    /// Whether a kept trial failed its re-measurement.
    pub fn is_demoted(&self, trial: u32) -> bool {
        self.demoted.contains(&trial)
    }

    /// Trials that were kept as better or simpler since the last re-measurement.
    pub fn keeps_since_remeasurement(&self) -> u32 {
        let last = self.remeasured.last().map_or(0, |found| found.after_trial);
        let keeps = self
            .trials
            .iter()
            .filter(|record| record.trial > last && record.verdict == Verdict::Keep && record.incumbent.is_some());
        u32::try_from(keeps.count()).unwrap_or(u32::MAX)
    }

    /// The audits of the gate, oldest first.
    pub fn audits(&self) -> &[AuditReport] {
        &self.audits
    }

    /// The number that the next trial gets. A trial in flight has not used its number up until it ends.
    pub fn next_trial(&self) -> u32 {
        self.trials.last().map_or(0, |record| record.trial + 1)
    }

    /// The trial that last trained the model with this canonical hash. What was never trained (blocked, for one) has
    /// not been tried.
    pub fn find_spec(&self, hash: &str) -> Option<u32> {
        self.tried.get(hash).copied()
    }

    /// The phase that the search is in.
    pub fn phase(&self) -> Option<&str> {
        self.phase.as_deref()
    }

    /// Why the search came to that phase; None where only the trials' records were left.
    pub fn phase_why(&self) -> Option<&str> {
        self.phase_why.as_deref()
    }

    /// How many rounds there were.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The candidates that wait for their turn, in the order of the rounds.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// People's hints, oldest first.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// Trials trained since the phase was entered, without the baseline.
    pub fn trained_in_phase(&self) -> u32 {
        self.trained_in_phase
    }

    /// Trials in a row that were trained and not kept; a keep starts the count again, and so does entering a phase.
    pub fn discards_in_a_row(&self) -> u32 {
        self.discards_in_a_row
    }

    /// Trials trained since the last keep, over all phases.
    pub fn trained_since_keep(&self) -> u32 {
        self.since_keep
    }

    /// How many trials came to each verdict, the baseline among them.
    pub fn verdict_counts(&self) -> BTreeMap<Verdict, u32> {
        let mut counts = BTreeMap::new();
        for record in &self.trials {
            *counts.entry(record.verdict).or_default() += 1;
        }
        counts
    }

    /// How many trials were trained, without the baseline.
    pub fn trained(&self) -> u32 {
        let trained = self.trials.iter().filter(|record| record.verdict.was_trained() && !is_baseline(record)).count();
        u32::try_from(trained).unwrap_or(u32::MAX)
    }

    /// The trial that is being trained, or that was when the process died.
    pub fn in_flight(&self) -> Option<&InFlight> {
        self.in_flight.as_ref()
    }

    fn remeasure(&mut self, found: &Remeasurement) {
        // Recovery may tell the same twice; it counts once.
        self.remeasured.retain(|known| known.trial != found.trial || known.ended != found.ended);
        self.remeasured.push(found.clone());
        if found.demoted_to.is_some() {
            self.demoted.insert(found.trial);
        }
    }

    fn no_longer_waits(&mut self, round: u32, spec_hash: &str) {
        let of = |waiting: &Waiting| waiting.round == round && waiting.candidate.spec_hash == spec_hash;
        if let Some(index) = self.waiting.iter().position(of) {
            self.waiting.remove(index);
        }
    }

    fn enter(&mut self, phase: &str) {
        self.phase = Some(phase.to_owned());
        self.phase_why = None;
        self.trained_in_phase = 0;
        self.discards_in_a_row = 0;
    }

    fn record(&mut self, record: &TrialRecord) {
        self.in_flight = None;
        let baseline = is_baseline(record);
        // A ledger that was rebuilt from the trials' own records knows phases only from them.
        if !baseline && !record.phase.is_empty() && self.phase.as_deref() != Some(&record.phase) {
            self.enter(&record.phase);
        }
        let known = self.trials.binary_search_by_key(&record.trial, |known| known.trial);
        match known {
            // Recovery may write the same end twice; it counts once.
            Ok(index) => {
                self.trials[index] = Arc::new(record.clone());
                return;
            }
            Err(index) => self.trials.insert(index, Arc::new(record.clone())),
        }
        if let Some(origin) = &record.origin {
            self.no_longer_waits(origin.round, &origin.spec_hash);
        }
        if !record.verdict.was_trained() {
            return;
        }
        if let Some(hash) = &record.spec_hash {
            self.tried.insert(hash.clone(), record.trial);
        }
        if !baseline {
            self.trained_in_phase += 1;
        }
        if record.verdict == Verdict::Keep {
            (self.discards_in_a_row, self.since_keep) = (0, 0);
        } else {
            self.discards_in_a_row += 1;
            self.since_keep += 1;
        }
    }
}

fn is_baseline(record: &TrialRecord) -> bool {
    record.verdict == Verdict::Keep && record.incumbent.is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::research::sample::{baseline, ended, entered, trial};

    fn started(number: u32) -> Event {
        Event::TrialStarted { trial: number, title: "t".into(), spec_hash: "h".into() }
    }

    #[test]
    fn an_empty_ledger_knows_nothing() {
        let history = History::from_events(&[]);
        assert_eq!(history.next_trial(), 0);
        assert!(history.baseline().is_none() && history.incumbent().is_none() && history.phase().is_none());
        assert_eq!((history.trained(), history.discards_in_a_row()), (0, 0));
        assert!(history.verdict_counts().is_empty());
    }

    #[test]
    fn a_session_adds_up() {
        let history = History::from_events(&[
            ended(baseline(0.010)),
            entered("explore"),
            ended(trial(1, Verdict::Discard)),
            ended(trial(2, Verdict::Blocked)),
            ended(trial(3, Verdict::Keep)),
            ended(trial(4, Verdict::Crash)),
            ended(trial(5, Verdict::Duplicate)),
            ended(trial(6, Verdict::Timeout)),
        ]);
        assert_eq!(history.baseline().map(|record| record.trial), Some(0));
        assert_eq!(history.incumbent().map(|record| record.trial), Some(3));
        assert_eq!(history.next_trial(), 7);
        assert_eq!(history.trained(), 4, "the baseline is not counted, nor what was never trained");
        assert_eq!(history.trained_in_phase(), 4);
        assert_eq!(history.discards_in_a_row(), 2, "a crash and a time-out after the keep");
        assert_eq!(history.verdict_counts().get(&Verdict::Keep), Some(&2));
        assert_eq!(history.verdict_counts().values().sum::<u32>(), 7);
        assert_eq!(history.trial(4).map(|record| record.verdict), Some(Verdict::Crash));
        assert!(history.trial(9).is_none());
    }

    #[test]
    fn only_what_was_trained_has_been_tried() {
        let history = History::from_events(&[
            ended(trial(1, Verdict::Blocked)),
            ended(trial(2, Verdict::Discard)),
            ended({
                let mut again = trial(3, Verdict::Duplicate);
                again.spec_hash = trial(2, Verdict::Discard).spec_hash;
                again
            }),
        ]);
        let hash = |number| trial(number, Verdict::Discard).spec_hash.expect("samples have hashes");
        assert_eq!(history.find_spec(&hash(1)), None, "a rule may be lifted: blocked is not tried");
        assert_eq!(history.find_spec(&hash(2)), Some(2));
    }

    #[test]
    fn a_phase_starts_its_counts_anew() {
        let mut history = History::from_events(&[
            ended(baseline(0.010)),
            entered("explore"),
            ended(trial(1, Verdict::Discard)),
            ended(trial(2, Verdict::Discard)),
        ]);
        history.apply(&entered("combine"));
        assert_eq!((history.trained_in_phase(), history.discards_in_a_row()), (0, 0));
        assert_eq!(history.trained_since_keep(), 2, "this one goes on over phases");
        assert_eq!(history.phase(), Some("combine"));
    }

    #[test]
    fn phases_are_known_from_records_alone() {
        let mut late = trial(2, Verdict::Discard);
        late.phase = "combine".into();
        let history = History::from_events(&[ended(baseline(0.01)), ended(trial(1, Verdict::Discard)), ended(late)]);
        assert_eq!(history.phase(), Some("combine"));
        assert_eq!(history.trained_in_phase(), 1);
    }

    #[test]
    fn a_number_in_flight_is_free_again_after_recovery() {
        let mut history = History::from_events(&[ended(baseline(0.01)), started(1)]);
        assert_eq!(history.in_flight().map(|flight| flight.trial), Some(1));
        assert_eq!(history.next_trial(), 1);
        history.apply(&Event::Recovered { what: "trial 1 was cut off".into() });
        assert!(history.in_flight().is_none());
        history.apply(&started(1));
        history.apply(&ended(trial(1, Verdict::Keep)));
        assert!(history.in_flight().is_none());
        assert_eq!(history.next_trial(), 2);
    }

    #[test]
    fn every_call_is_paid_for() {
        let usage = Usage { input_tokens: 100, output_tokens: 10, cost_usd: 0.5, seconds: 2.0 };
        let mut proposed = trial(1, Verdict::Invalid);
        proposed.proposal.usage = usage;
        let history = History::from_events(&[
            ended(proposed),
            Event::TokensSpent { purpose: "synthesis".into(), usage },
            Event::ResearcherFailed { researcher: "openai".into(), error: "429".into(), usage },
        ]);
        let total = history.usage();
        assert_eq!((total.input_tokens, total.output_tokens), (300, 30));
        assert!((total.cost_usd - 1.5).abs() < 1e-12 && (total.seconds - 6.0).abs() < 1e-12);
    }

    #[test]
    fn the_same_end_twice_counts_once() {
        let events = [ended(baseline(0.01)), ended(trial(1, Verdict::Discard)), ended(trial(1, Verdict::Discard))];
        let history = History::from_events(&events);
        assert_eq!((history.trained(), history.discards_in_a_row(), history.trials().len()), (1, 1, 2));
    }

    proptest! {
        /// Counted here the slow way, from the list of verdicts.
        #[test]
        fn counts_agree_with_a_recount(verdicts in prop::collection::vec(prop::sample::select(Verdict::ALL.to_vec()), 0..40)) {
            let mut events = vec![ended(baseline(0.01))];
            events.extend((1u32..).zip(&verdicts).map(|(number, verdict)| ended(trial(number, *verdict))));
            let history = History::from_events(&events);
            let trained: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.was_trained()).collect();
            let row = trained.iter().rev().take_while(|verdict| ***verdict != Verdict::Keep).count();
            prop_assert_eq!(history.trained() as usize, trained.len());
            prop_assert_eq!(history.discards_in_a_row() as usize, row);
            prop_assert_eq!(history.next_trial() as usize, verdicts.len() + 1);
            let last_keep = verdicts.iter().rposition(|verdict| *verdict == Verdict::Keep).map_or(0, |index| index as u32 + 1);
            prop_assert_eq!(history.incumbent().map(|record| record.trial), Some(last_keep));
        }
    }
}
