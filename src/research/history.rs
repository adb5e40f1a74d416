//! Everything that the loop knows about its past, derived from the ledger's events. It can be rebuilt at any time, and
//! from the trials' records alone where nothing else was left.

mod costs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::audit::AuditReport;
use super::calibration::NoiseFloor;
use super::event::{Event, SeedPurpose};
use super::gate::mean;
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
    /// Rounds of which the ledger has the cost; where only records were left, it has none.
    paid: BTreeSet<u32>,
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

/// So many trials after it was taken in, a hint is not passed on any more.
const HINT_TRIALS: u32 = 30;
/// The latest hints that are passed on.
const MOST_HINTS: usize = 10;

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
                self.paid.insert(round.round);
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
            Event::TokensSpent { researcher, usage, .. } => {
                self.usage.add(usage);
                if let Some(name) = researcher {
                    self.spent.entry(name.clone()).or_default().add(usage);
                }
            }
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
        self.comparable().find(|record| is_baseline(record))
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

    /// A trial's payout over every seed that it was measured under, and how many they are: less a matter of luck than the one
    /// it was kept by. None where no seed is whole.
    pub fn payout(&self, trial: u32) -> Option<(f64, usize)> {
        let scores = self.scores(trial)?;
        let means: Vec<f64> = scores.seeds.iter().map(|seed| mean(&seed.payout)).collect();
        Some((mean(&means), means.len()))
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

    /// The last re-measurement of a trial.
    pub fn remeasurement(&self, trial: u32) -> Option<&Remeasurement> {
        self.remeasured.iter().rev().find(|found| found.trial == trial)
    }

    /// Whether a trial was kept, over an incumbent, and still stands: it has not failed a re-measurement.
    pub fn stands(&self, record: &TrialRecord) -> bool {
        record.verdict == Verdict::Keep && record.incumbent.is_some() && !self.is_demoted(record.trial)
    }

    /// The trials under the protocol and on the data of the present incumbent: those whose payouts can be compared.
    pub fn comparable(&self) -> impl DoubleEndedIterator<Item = &TrialRecord> {
        let now = self.incumbent();
        self.records().filter(move |record| now.is_some_and(|now| same_ground(record, now)))
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

    /// The last audit with proposals that changed nothing.
    pub fn last_null_audit(&self) -> Option<&AuditReport> {
        self.audits.iter().rev().find(|report| report.null().is_some())
    }

    /// The last audit with planted gains.
    pub fn last_planted_audit(&self) -> Option<&AuditReport> {
        self.audits.iter().rev().find(|report| report.planted().next().is_some())
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

    /// Those that researchers are told: the latest ten that fewer than 30 trials have ended since, oldest first.
    pub fn hints_in_force(&self) -> impl Iterator<Item = &Hint> {
        let next = self.next_trial();
        let young =
            move |hint: &&Hint| next.saturating_sub(hint.after_trial.map_or(0, |trial| trial + 1)) < HINT_TRIALS;
        let first = self.hints.len().saturating_sub(MOST_HINTS);
        self.hints[first..].iter().filter(young)
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
            self.rounds = self.rounds.max(origin.round);
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

/// Whether two trials were measured under one protocol and on the same data.
fn same_ground(one: &TrialRecord, other: &TrialRecord) -> bool {
    one.protocol_hash == other.protocol_hash && one.data_hash == other.data_hash
}

fn is_baseline(record: &TrialRecord) -> bool {
    record.verdict == Verdict::Keep && record.incumbent.is_none()
}

#[cfg(test)]
mod tests;
