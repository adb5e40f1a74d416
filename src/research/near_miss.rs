//! Near misses: discards that came close to the present incumbent, with what they changed, and keeps that were taken back
//! because their gain, though there, did not prove itself again. They are what combined proposals are made of, and they expire
//! with the incumbent that they nearly beat: against another one, nobody knows.

use serde::Serialize;

use super::effect::Effect;
use super::history::History;
use super::trial::{JudgementKind, KnobChange, TrialRecord, Verdict};
use super::words::{count, over};

/// A trial that was better than the incumbent, only not provably.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearMiss {
    /// The trial.
    pub trial: u32,
    /// What was tried.
    pub title: String,
    /// Its category.
    pub category: String,
    /// Mean paired difference in payout against the incumbent; above zero.
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
    /// Whether it was still undecided at the most seeds: the best kind.
    pub undecided: bool,
    /// What it changed in the incumbent's spec.
    pub changes: Vec<KnobChange>,
    /// The spec, as it was proposed.
    pub spec: String,
}

/// The closest discards against the present incumbent, best first: those still undecided at the most seeds, then by seeds, then by p-value, then by difference, then the older one.
/// None were close whose difference was not above zero.
pub fn near_misses(history: &History, limit: usize) -> Vec<NearMiss> {
    let Some(incumbent) = history.incumbent() else { return Vec::new() };
    let mut found: Vec<NearMiss> = history
        .trials()
        .iter()
        .filter(|record| record.verdict == Verdict::Discard || history.is_demoted(record.trial))
        .filter(|record| record.incumbent == Some(incumbent.trial))
        .filter_map(|record| near_miss(record, history))
        .collect();
    // A p-value of one seed knows nothing of the noise between seeds: those that fell at the screen come after.
    found.sort_by(|a, b| {
        let by_seeds = b.undecided.cmp(&a.undecided).then(b.seeds.cmp(&a.seeds));
        by_seeds.then(a.p_value.total_cmp(&b.p_value)).then(b.delta.total_cmp(&a.delta)).then(a.trial.cmp(&b.trial))
    });
    found.truncate(limit);
    found
}

fn near_miss(record: &TrialRecord, history: &History) -> Option<NearMiss> {
    let judgement = record.judgement.as_ref()?;
    let found = Effect::of(record, history).filter(|found| found.delta > 0.0)?;
    let fresh = history.remeasurement(record.trial).map(|again| again.seeds.len()).filter(|_| found.fresh);
    Some(NearMiss {
        trial: record.trial,
        title: record.proposal.title.clone(),
        category: record.proposal.category.clone(),
        delta: found.delta,
        standard_error: found.standard_error,
        p_value: found.p_value,
        seeds: fresh.unwrap_or(judgement.seeds),
        over: fresh.map(|seeds| count(seeds, "fresh seed")).or_else(|| over(record)).unwrap_or_default(),
        demoted: history.is_demoted(record.trial),
        undecided: judgement.kind == JudgementKind::Undecided,
        changes: record.changes.clone(),
        spec: record.proposal.spec.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::event::Event;
    use crate::research::sample::{baseline, change, ended, fallen, judged, remeasured, trial};

    fn gelu() -> Vec<KnobChange> {
        vec![change("network[0].dense.activation", Some("relu"), Some("gelu"))]
    }

    fn past() -> Vec<Event> {
        vec![
            ended(baseline(0.01)),
            ended(judged(1, "loss", &[], (false, 0.0006, 0.20))),
            ended(judged(2, "activation", &gelu(), (false, 0.0011, 0.08))),
            ended(judged(3, "loss", &[], (false, -0.0100, 0.99))),
            ended(trial(4, Verdict::Crash)),
            ended(judged(5, "loss", &[], (false, 0.0009, 0.20))),
        ]
    }

    #[test]
    fn the_closest_come_first_and_losers_not_at_all() {
        let history = History::from_events(&past());
        let found = near_misses(&history, 10);
        assert_eq!(found.iter().map(|miss| miss.trial).collect::<Vec<_>>(), [2, 5, 1]);
        assert_eq!(found[0].changes, gelu());
        assert_eq!(found[0].spec, "# spec of trial 2\n");
        assert_eq!(near_misses(&history, 1).len(), 1);
        assert!(near_misses(&history, 0).is_empty());
    }

    #[test]
    fn they_expire_with_the_incumbent_they_nearly_beat() {
        let mut events = past();
        events.push(ended(judged(6, "loss", &[], (true, 0.002, 0.01))));
        let mut history = History::from_events(&events);
        assert!(near_misses(&history, 10).is_empty(), "trial 6 is the incumbent now");
        let mut later = judged(7, "loss", &[], (false, 0.0004, 0.3));
        later.incumbent = Some(6);
        history.apply(&ended(later));
        assert_eq!(near_misses(&history, 10).iter().map(|miss| miss.trial).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn a_demoted_keep_is_one_itself_and_brings_its_predecessors_back() {
        let mut events = past();
        events.push(ended(judged(6, "loss", &[], (true, 0.002, 0.01))));
        let found = |gain| {
            let again = Event::Remeasured { found: Box::new(remeasured(6, gain, Some(0))) };
            let history = History::from_events(events.iter().chain([&again]));
            near_misses(&history, 10)
        };
        let ahead = found(0.0005);
        assert_eq!(ahead.iter().map(|miss| miss.trial).collect::<Vec<_>>(), [2, 5, 1, 6], "fewer seeds come later");
        let own = &ahead[3];
        assert_eq!((own.delta, own.p_value, own.over.as_str(), own.demoted), (0.0005, 0.3, "2 fresh seeds", true));
        assert_eq!(found(-0.0005).len(), 3, "one that lost is none");
    }

    #[test]
    fn one_that_fell_early_says_where() {
        let history = History::from_events(&[ended(baseline(0.01)), ended(fallen(1, 0.011, 0.001))]);
        assert_eq!(near_misses(&history, 1)[0].over, "1 of 2 folds of seed 42");
    }

    #[test]
    fn without_an_incumbent_there_is_nothing_to_miss() {
        assert!(near_misses(&History::default(), 10).is_empty());
    }
}
