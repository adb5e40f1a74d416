//! Near misses: discards that were likely better than the incumbent, only not provably, and keeps that were taken back
//! because their gain, though there, did not prove itself again. They are what combined proposals are made of.
//!
//! They are ranked by the odds that the true gain is above 0 ([`Outlook`]). Another incumbent does not end them where what
//! they changed can be put onto it, but it takes from their odds; those that were put together with something else and fell
//! again lose half of their odds each time. They expire after [`TRIALS`] trained trials, after [`FAILURES`] such failures,
//! and below [`LEAST_ODDS`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::effect::Effect;
use super::history::History;
use super::odds::Outlook;
use super::trial::{JudgementKind, KnobChange, TrialRecord, Verdict};
use super::words::{count, over};
use crate::spec::merge::merged;
use crate::spec::{Spec, diff};

/// For so many trained trials after its measurement a near miss is offered.
pub const TRIALS: usize = 60;

/// After so many discards that named it among their parents it has had its chance.
pub const FAILURES: u32 = 3;

/// With lower odds than these, one to three, nothing is a near miss.
pub const LEAST_ODDS: f64 = 1.0 / 3.0;

/// A trial that was likely better than the incumbent, only not provably.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearMiss {
    /// The trial.
    pub trial: u32,
    /// What was tried.
    pub title: String,
    /// Its category.
    pub category: String,
    /// The odds that its change is a true gain over the present incumbent.
    pub odds: f64,
    /// The incumbent that the next three numbers are against.
    pub against: u32,
    /// Mean paired difference in payout against that incumbent; above zero.
    pub delta: f64,
    /// Standard error of that difference.
    pub standard_error: f64,
    /// One-sided p-value of that difference.
    pub p_value: f64,
    /// How many whole seeds it was judged over; 0 means that it fell in its first.
    pub seeds: usize,
    /// The same in words: `3 seeds`, `2 of 4 folds of seed 42`.
    pub over: String,
    /// Whether it was kept, and demoted when it was measured again: its numbers are of that re-measurement.
    pub demoted: bool,
    /// Whether it was still undecided at the most seeds.
    pub undecided: bool,
    /// What it changes in the present incumbent's spec.
    pub changes: Vec<KnobChange>,
    /// The present incumbent's spec with these changes: as it was proposed, or put onto the present incumbent where another
    /// stood then.
    pub spec: String,
}

/// The closest discards, best odds first; of equal odds those still undecided at the most seeds, then the larger difference,
/// then the older one. None were close whose difference was not above zero. The work is bounded however long the history is.
pub fn near_misses(history: &History, limit: usize) -> Vec<NearMiss> {
    let Some(incumbent) = history.incumbent().filter(|_| limit > 0) else { return Vec::new() };
    let Some(outlook) = Outlook::of(history) else { return Vec::new() };
    let lineage = Lineage::of(history, incumbent);
    let mut found: Vec<Close<'_>> = candidates(history)
        .filter(|(record, _)| {
            record.protocol_hash == incumbent.protocol_hash && record.data_hash == incumbent.data_hash
        })
        .filter_map(|(record, failures)| {
            let against = record.incumbent?;
            let effect = Effect::of(record, history).filter(|found| found.delta > 0.0)?;
            let keeps_between = lineage.distance(history, against);
            let odds = outlook.odds(&effect, keeps_between) * 0.5_f64.powi(i32::try_from(failures).unwrap_or(i32::MAX));
            (odds >= LEAST_ODDS).then_some(Close { record, against, effect, odds })
        })
        .collect();
    found.sort_by(|a, b| {
        let undecided = |close: &Close<'_>| is_undecided(close.record);
        let by_odds = b.odds.total_cmp(&a.odds).then(undecided(b).cmp(&undecided(a)));
        by_odds.then(b.effect.delta.total_cmp(&a.effect.delta)).then(a.record.trial.cmp(&b.record.trial))
    });
    let mut here = Here { history, incumbent, spec: None, seen: BTreeSet::new() };
    found.into_iter().filter_map(|close| near_miss(&close, &mut here)).take(limit).collect()
}

/// Whether a trial came close to the incumbent that it was compared with. `outlook` is the history's.
pub fn came_close(record: &TrialRecord, history: &History, outlook: &Outlook) -> bool {
    record.verdict == Verdict::Discard
        && Effect::of(record, history).is_some_and(|found| found.delta > 0.0 && outlook.odds(&found, 0) >= LEAST_ODDS)
}

/// A trial that came close, and how close.
struct Close<'a> {
    record: &'a TrialRecord,
    against: u32,
    effect: Effect,
    odds: f64,
}

/// Discards of the last [`TRIALS`] trained trials, and keeps that were demoted since then, each with how often it was built
/// on in vain; without those that were so too often.
fn candidates(history: &History) -> impl Iterator<Item = (&TrialRecord, u32)> {
    let trained = |record: &&TrialRecord| record.verdict.was_trained() && record.incumbent.is_some();
    let since = history.records().rev().filter(trained).nth(TRIALS - 1).map_or(0, |record| record.trial);
    let recent = history.trials().partition_point(|record| record.trial < since);
    let recent: Vec<&TrialRecord> = history.trials()[recent..].iter().map(AsRef::as_ref).collect();
    let mut failures: BTreeMap<u32, u32> = BTreeMap::new();
    for record in recent.iter().filter(|record| record.verdict == Verdict::Discard) {
        for parent in record.proposal.parents.iter().copied().collect::<BTreeSet<u32>>() {
            *failures.entry(parent).or_default() += 1;
        }
    }
    let demoted: BTreeSet<u32> = history
        .remeasurements()
        .iter()
        .filter(|found| found.demoted_to.is_some() && found.after_trial >= since)
        .map(|found| found.trial)
        .collect();
    let demoted: Vec<&TrialRecord> = demoted.into_iter().filter_map(|trial| history.trial(trial)).collect();
    recent
        .into_iter()
        .filter(|record| record.verdict == Verdict::Discard)
        .chain(demoted)
        .map(move |record| (record, failures.get(&record.trial).copied().unwrap_or_default()))
        .filter(|(_, failures)| *failures < FAILURES)
}

/// The incumbents that led to the present one.
struct Lineage {
    /// How many keeps each is away.
    steps: BTreeMap<u32, u32>,
}

impl Lineage {
    fn of(history: &History, incumbent: &TrialRecord) -> Self {
        let mut steps = BTreeMap::new();
        let mut at = Some(incumbent);
        // Each was compared with one before it, so that this ends.
        while let Some(record) = at {
            steps.insert(record.trial, u32::try_from(steps.len()).unwrap_or(u32::MAX));
            at = before(record, history);
        }
        Self { steps }
    }

    /// How many keeps lie between an earlier incumbent and the present one: up from it to one that they have in common, and
    /// down from there. Where there is none (a person began anew), all of both.
    fn distance(&self, history: &History, earlier: u32) -> u32 {
        let mut up: u32 = 0;
        let mut at = history.trial(earlier);
        while let Some(record) = at {
            if let Some(down) = self.steps.get(&record.trial) {
                return up.saturating_add(*down);
            }
            up = up.saturating_add(1);
            at = before(record, history);
        }
        up.saturating_add(u32::try_from(self.steps.len()).unwrap_or(u32::MAX))
    }
}

/// The incumbent that a keep took its place from.
fn before<'a>(record: &TrialRecord, history: &'a History) -> Option<&'a TrialRecord> {
    record.incumbent.filter(|before| *before < record.trial).and_then(|before| history.trial(before))
}

/// Where near misses would be put.
struct Here<'a> {
    history: &'a History,
    incumbent: &'a TrialRecord,
    /// The incumbent's spec, once it is needed.
    spec: Option<Option<Spec>>,
    /// Specs that are offered already.
    seen: BTreeSet<String>,
}

impl Here<'_> {
    /// What a trial changes in the present incumbent, and the spec that this makes. None where it cannot be put there,
    /// where the incumbent has it, where it was trained there, and where it is offered already.
    fn changed_by(&mut self, record: &TrialRecord, against: u32) -> Option<(Vec<KnobChange>, String)> {
        if against == self.incumbent.trial {
            let new = record.spec_hash.as_ref().is_none_or(|hash| self.seen.insert(hash.clone()));
            return new.then(|| (record.changes.clone(), record.proposal.spec.clone()));
        }
        let read = |record: &TrialRecord| Spec::parse(&record.proposal.spec, "near miss").ok();
        let incumbent = self.incumbent;
        let ours = self.spec.get_or_insert_with(|| read(incumbent)).as_ref()?;
        let spec = merged(&read(self.history.trial(against)?)?, &read(record)?, ours).ok()?;
        let hash = spec.hash();
        if hash == ours.hash() || self.history.find_spec(&hash).is_some() || !self.seen.insert(hash) {
            return None;
        }
        Some((diff::changes(ours, &spec).into_iter().map(KnobChange::from).collect(), spec.to_yaml()))
    }
}

fn near_miss(close: &Close<'_>, here: &mut Here<'_>) -> Option<NearMiss> {
    let Close { record, against, effect, odds } = *close;
    let judgement = record.judgement.as_ref()?;
    let (changes, spec) = here.changed_by(record, against)?;
    let history = here.history;
    let fresh = history.remeasurement(record.trial).map(|again| again.seeds.len()).filter(|_| effect.fresh);
    Some(NearMiss {
        trial: record.trial,
        title: record.proposal.title.clone(),
        category: record.proposal.category.clone(),
        odds,
        against,
        delta: effect.delta,
        standard_error: effect.standard_error,
        p_value: effect.p_value,
        seeds: fresh.unwrap_or(judgement.seeds),
        over: fresh.map(|seeds| count(seeds, "fresh seed")).or_else(|| over(record)).unwrap_or_default(),
        demoted: history.is_demoted(record.trial),
        undecided: is_undecided(record),
        changes,
        spec,
    })
}

fn is_undecided(record: &TrialRecord) -> bool {
    record.judgement.as_ref().is_some_and(|judged| judged.kind == JudgementKind::Undecided)
}

#[cfg(test)]
mod tests;
