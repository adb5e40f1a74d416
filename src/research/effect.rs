//! What a trial's change brought, as it is best known, and what trials of one kind brought together. Everything that is said
//! of effects (evidence, learnings, prompts, the optimizer's belief, `status`) is taken from here, so that all of it agrees.
//!
//! A keep that was measured again is worth what was found then: the gain that it was kept by was selected for being large,
//! and on average is too large (the winner's curse); on fresh seeds luck is drawn anew.

use super::history::History;
use super::trial::TrialRecord;
use crate::stats::random_effects::{Estimate, Together, together};

/// The confidence of every interval of effects.
pub const CONFIDENCE: f64 = 0.95;

/// The gain of one trial over the incumbent that it was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Mean difference in payout, over the same eras.
    pub delta: f64,
    /// Its standard error, of seeds and eras.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error; infinite where they were not recorded.
    pub degrees_of_freedom: f64,
    /// One-sided p-value of a gain above 0.
    pub p_value: f64,
    /// Whether it is of seeds that nothing was selected by.
    pub fresh: bool,
}

impl Effect {
    /// A trial's effect: of its last re-measurement against its predecessor, or of its judgement. None where nothing was
    /// measured, or no finite number came out.
    pub fn of(record: &TrialRecord, history: &History) -> Option<Self> {
        let again = history.remeasurement(record.trial).and_then(|found| {
            Some(Self {
                delta: found.gain?,
                standard_error: found.gain_error?,
                degrees_of_freedom: f64::INFINITY,
                p_value: found.p_value?,
                fresh: true,
            })
        });
        let judged = record.judgement.as_ref().map(|judged| Self {
            delta: judged.delta,
            standard_error: judged.standard_error,
            degrees_of_freedom: judged.degrees_of_freedom.unwrap_or(f64::INFINITY),
            p_value: judged.p_value,
            fresh: false,
        });
        let is_finite = |found: &Self| found.delta.is_finite() && found.standard_error.is_finite();
        again.filter(is_finite).or_else(|| judged.filter(is_finite))
    }

    /// As statistics take it; None without any noise, of which nothing can be said among others.
    fn estimate(self) -> Option<Estimate> {
        let Self { delta: value, standard_error, degrees_of_freedom, .. } = self;
        (standard_error > 0.0).then_some(Estimate { value, standard_error, degrees_of_freedom })
    }
}

/// What some trials' effects are together, each weighed by what it knows, and how many they are. None where none of them
/// has an effect with an error.
pub fn of_all(effects: impl IntoIterator<Item = Effect>) -> Option<(usize, Together)> {
    let estimates: Vec<Estimate> = effects.into_iter().filter_map(Effect::estimate).collect();
    Some((estimates.len(), together(&estimates, CONFIDENCE).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::event::Event;
    use crate::research::sample::{baseline, ended, judged, remeasured};

    #[test]
    fn a_remeasured_keep_is_worth_what_was_found_then() {
        let keep = judged(1, "loss", &[], (true, 0.004, 0.001));
        let of = |events: &[Event]| Effect::of(&keep, &History::from_events(events)).expect("measured");
        let first = [ended(baseline(0.01)), ended(keep.clone())];
        let judged = of(&first);
        assert_eq!((judged.delta, judged.standard_error, judged.p_value, judged.fresh), (0.004, 0.0006, 0.001, false));
        let again = |gain, back| Event::Remeasured { found: Box::new(remeasured(1, gain, back)) };
        let [one, two] = first.clone();
        let found = of(&[one, two, again(0.002, None), again(-0.001, Some(0))]);
        assert_eq!((found.delta, found.fresh), (-0.001, true), "the last one counts");
        let mut baseline_again = remeasured(1, 0.0, None);
        (baseline_again.gain, baseline_again.gain_error, baseline_again.p_value) = (None, None, None);
        let [one, two] = first;
        let found = of(&[one, two, Event::Remeasured { found: Box::new(baseline_again) }]);
        assert_eq!(found.delta, 0.004, "a re-measurement without a predecessor tells of no gain");
    }

    #[test]
    fn an_effect_without_noise_or_number_is_none_of_several() {
        let sure = Effect { delta: 0.5, standard_error: 0.0, degrees_of_freedom: 3.0, p_value: 0.0, fresh: false };
        let real =
            Effect { delta: 0.001, standard_error: 0.001, degrees_of_freedom: f64::INFINITY, p_value: 0.2, ..sure };
        assert_eq!(of_all([sure]), None);
        let (count, found) = of_all([sure, real]).expect("one");
        assert_eq!((count, found.mean), (1, 0.001));
        let mut nothing = judged(1, "loss", &[], (false, f64::NAN, 0.5));
        assert_eq!(Effect::of(&nothing, &History::default()), None);
        nothing.judgement = None;
        assert_eq!(Effect::of(&nothing, &History::default()), None);
    }
}
