//! From the ledger's trials to observations. Whoever proposed a trial, it is learned from: what is read is the spec.

use std::collections::{BTreeMap, BTreeSet};

use super::belief::{Change, MOST_OBSERVATIONS, Observation};
use super::profile::{Profile, Shift};
use crate::research::effect::{Effect, of_all};
use crate::research::history::History;
use crate::research::trial::{TrialRecord, Verdict};
use crate::researcher::briefing::Briefing;
use crate::spec::{DataFacts, Spec};

/// A trial that died counts as this many times the smallest gain lost, very roughly: its neighbourhood is to be left.
const DEATH: f64 = -6.0;

/// Profiles of trials' specs, kept because reading thousands of specs for each proposal would be slow. What is in it
/// follows from the ledger alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Profiles {
    by_trial: BTreeMap<u32, Option<Profile>>,
    facts: Option<DataFacts>,
}

impl Profiles {
    fn get(&mut self, record: &TrialRecord, facts: &DataFacts) -> Option<&Profile> {
        let read = || {
            let spec = Spec::parse(&record.proposal.spec, "ledger").ok()?;
            Some(Profile::of(&spec, facts))
        };
        self.by_trial.entry(record.trial).or_insert_with(read).as_ref()
    }

    /// What the latest trials measured, in their order: as many as the belief looks at. Profiles that none of them needs
    /// are forgotten, so that a long ledger takes no more memory than a short one.
    pub(super) fn observations(&mut self, history: &History, facts: &DataFacts, min_effect: f64) -> Vec<Observation> {
        if self.facts.as_ref() != Some(facts) {
            self.by_trial.clear();
            self.facts = Some(facts.clone());
        }
        let mut found: Vec<Observation> = history
            .comparable()
            .rev()
            .filter_map(|record| self.observation(record, history, facts, min_effect))
            .take(MOST_OBSERVATIONS)
            .collect();
        found.reverse();
        let needed: BTreeSet<u32> = found
            .iter()
            .flat_map(|seen| [Some(seen.trial), history.trial(seen.trial).and_then(|record| record.incumbent)])
            .flatten()
            .collect();
        self.by_trial.retain(|trial, _| needed.contains(trial));
        found
    }

    /// What waits for its verdict, as if it had been measured and had changed nothing (the constant liar of Ginsbourger,
    /// Le Riche & Carraro 2010): so nobody proposes the neighbour of what is being tried.
    pub(super) fn pending(briefing: &Briefing<'_>) -> Vec<Observation> {
        let incumbent = Profile::of(briefing.incumbent, briefing.facts);
        let trial = briefing.history.next_trial();
        let shifts =
            briefing.pending.iter().map(|pending| incumbent.shifts(&Profile::of(&pending.spec, briefing.facts)));
        shifts
            .filter(|shifts| !shifts.is_empty())
            .map(|shifts| Observation {
                trial,
                change: Change::new(shifts),
                delta: 0.0,
                standard_error: briefing.min_effect,
                effect: None,
            })
            .collect()
    }

    fn observation(
        &mut self,
        record: &TrialRecord,
        history: &History,
        facts: &DataFacts,
        min_effect: f64,
    ) -> Option<Observation> {
        let effect = Effect::of(record, history);
        let (delta, standard_error) = match (record.verdict, effect) {
            (Verdict::Keep | Verdict::Discard, Some(found)) => (found.delta, found.standard_error),
            (Verdict::Crash | Verdict::Timeout, _) => (DEATH * min_effect, -DEATH * min_effect),
            _ => return None,
        };
        let before = self.get(history.trial(record.incumbent?)?, facts)?.clone();
        let shifts = before.shifts(self.get(record, facts)?);
        (!shifts.is_empty()).then(|| Observation {
            trial: record.trial,
            change: Change::new(shifts),
            delta,
            standard_error,
            effect,
        })
    }
}

/// What the trials say about the part of a change that they know most about, as a sentence. None where none of them
/// changed any of it in the same direction.
pub(super) fn evidence(change: &Change, observations: &[Observation]) -> Option<String> {
    let like = |shift: &Shift| -> Vec<&Observation> {
        let same =
            |other: &Shift| other.dimension == shift.dimension && other.sign() == shift.sign() && shift.sign() != 0;
        observations.iter().filter(|seen| seen.change.shifts.iter().any(same)).collect()
    };
    // Of a switched word, what was brought in says more than what went.
    let tells = |shift: &Shift| shift.sign() > 0 || !shift.dimension.contains('=');
    let (shift, seen) = change
        .shifts
        .iter()
        .map(|shift| (shift, like(shift)))
        .filter(|(_, seen)| !seen.is_empty())
        .max_by_key(|(shift, seen)| (tells(shift), seen.len()))?;
    let ahead = seen.iter().filter(|seen| seen.delta > 0.0).count();
    let together = of_all(seen.iter().filter_map(|seen| seen.effect)).map_or_else(
        || "none was measured".into(),
        |(_, found)| format!("mean {:+.4}, {:+.4} to {:+.4}", found.mean, found.interval.low, found.interval.high),
    );
    let latest: Vec<String> = seen.iter().rev().take(5).rev().map(|seen| seen.trial.to_string()).collect();
    let trials = |count: usize| if count == 1 { "trial" } else { "trials" };
    Some(format!(
        "{ahead} of {} {} that {} came out ahead ({together}; {}{} {})",
        seen.len(),
        trials(seen.len()),
        super::words::evidence(&shift.dimension, shift.sign()),
        if seen.len() > latest.len() { "latest " } else { "" },
        trials(latest.len()),
        latest.join(", "),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Lab, facts};
    use super::*;
    use crate::research::event::Event;
    use crate::research::sample::remeasured;

    const BASE: &str = "network: [ { dense: { width: 32 } } ]\n";

    #[test]
    fn measured_and_dead_trials_are_seen_and_nothing_else() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "64"), Verdict::Discard, 0.0004);
        lab.trial(&BASE.replace("32", "2048"), Verdict::Timeout, 0.0);
        lab.trial(&BASE.replace("32", "8"), Verdict::Blocked, 0.0);
        lab.trial("not a spec", Verdict::Invalid, 0.0);
        let mut profiles = Profiles::default();
        let seen = profiles.observations(&lab.history, &facts(), 0.0005);
        assert_eq!(seen.iter().map(|seen| seen.trial).collect::<Vec<_>>(), [1, 2]);
        assert!(seen[0].delta > 0.0 && seen[1].delta < 0.0);
        assert_eq!(profiles.observations(&lab.history, &facts(), 0.0005).len(), 2, "the cache changes nothing");
    }

    #[test]
    fn a_keep_is_what_later_trials_are_compared_with() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "64"), Verdict::Keep, 0.002);
        lab.trial(&BASE.replace("32", "128"), Verdict::Discard, 0.0001);
        let seen = Profiles::default().observations(&lab.history, &facts(), 0.0005);
        assert_eq!(seen[1].change.shifts[0].from, Some(6.0), "from 64, which was kept");
    }

    #[test]
    fn a_demoted_keep_taught_what_was_left_of_it() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "64"), Verdict::Keep, 0.004);
        let again = Event::Remeasured { found: Box::new(remeasured(1, -0.0012, Some(0))) };
        lab.history.apply(&again);
        let seen = Profiles::default().observations(&lab.history, &facts(), 0.0005);
        assert_eq!((seen[0].delta, seen[0].standard_error), (-0.0012, 0.0008));
        let said = evidence(&seen[0].change.clone(), &seen).expect("there is some");
        assert!(said.starts_with("0 of 1 trial that raised the width came out ahead (mean -0.0012"), "{said}");
    }

    #[test]
    fn a_death_is_counted_and_its_loss_is_no_measurement() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "2048"), Verdict::Timeout, 0.0);
        let seen = Profiles::default().observations(&lab.history, &facts(), 0.0005);
        let said = evidence(&seen[0].change.clone(), &seen).expect("there is some");
        assert_eq!(said, "0 of 1 trial that raised the width came out ahead (none was measured; trial 1)");
    }

    #[test]
    fn evidence_is_counted_and_cited() {
        let mut lab = Lab::new(BASE);
        for (width, delta) in [(64, 0.001), (128, 0.002), (256, -0.0006), (16, 0.1)] {
            lab.trial(&BASE.replace("32", &width.to_string()), Verdict::Discard, delta);
        }
        let seen = Profiles::default().observations(&lab.history, &facts(), 0.0005);
        let wider = seen[1].change.clone();
        let said = evidence(&wider, &seen).expect("there is some");
        // Errors of 0.0006 each, with 30 degrees of freedom: the plain mean, and t with 2 of them over the values' own spread.
        assert_eq!(
            said,
            "2 of 3 trials that raised the width came out ahead (mean +0.0008, -0.0025 to +0.0041; trials 1, 2, 3)"
        );
        assert_eq!(evidence(&wider, &[]), None);
    }
}
