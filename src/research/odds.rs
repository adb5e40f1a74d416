//! The odds that a trial's change is a true gain: what was measured of it, seen among what was measured of the others. A
//! p-value alone cannot tell; where most changes lose, one that looks good by a little is more likely lucky than good.

use super::effect::{CONFIDENCE, Effect};
use super::history::History;
use crate::stats::interval::student_quantile;
use crate::stats::posterior::{Belief, NormalPrior};

/// The prior is taken from so many effects, the latest ones: what is tried changes through a night.
const LATEST: usize = 200;

/// The prior weighs as much as so many trials, so that the first few of a night do not decide what all others are like.
const PRIOR_TRIALS: f64 = 8.0;

/// How an edit's effect on one incumbent goes with its effect on the next: the correlation for each keep in between. A keep
/// that has nothing to do with the edit leaves its effect alone (1), one that does the same takes it away (0).
const CARRIES_OVER: f64 = 0.7;

/// What effects of changes are like in a lab, and what an effect is worth among them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    prior: NormalPrior,
}

impl Outlook {
    /// From the latest effects under the present protocol and on the present data, by [`NormalPrior::robust`]. None before
    /// there is one.
    pub fn of(history: &History) -> Option<Self> {
        let incumbent = history.incumbent()?;
        let comparable = |record: &&super::trial::TrialRecord| {
            record.protocol_hash == incumbent.protocol_hash && record.data_hash == incumbent.data_hash
        };
        let (values, errors): (Vec<f64>, Vec<f64>) = history
            .records()
            .rev()
            .filter(comparable)
            .filter_map(|record| Effect::of(record, history))
            .filter_map(|found| Some((found.delta, error(&found).filter(|error| *error > 0.0)?)))
            .take(LATEST)
            .unzip();
        NormalPrior::robust(&values, &errors, PRIOR_TRIALS).ok().map(|prior| Self { prior })
    }

    /// The odds that the true gain is above 0 against an incumbent so many keeps after (or before) the one that it was
    /// measured against: those of [`NormalPrior::given`], [`Belief::carried_over`] with 0.7 for each keep, and never more than
    /// they were before.
    pub fn odds(&self, found: &Effect, keeps_between: u32) -> f64 {
        let Some(error) = error(found).filter(|error| *error > 0.0) else { return 1.0 };
        let belief = self.prior.given(found.delta, error);
        let here = belief.odds_above_zero();
        if keeps_between == 0 {
            return here;
        }
        let correlation = CARRIES_OVER.powi(i32::try_from(keeps_between).unwrap_or(i32::MAX));
        here.min(Belief::carried_over(&belief, &self.prior, correlation).odds_above_zero())
    }
}

/// The standard error, widened by `t_ν/z` for the degrees of freedom that it was estimated with, as where effects are taken
/// together ([`crate::stats::random_effects::together`]).
fn error(found: &Effect) -> Option<f64> {
    let wider = student_quantile(CONFIDENCE, found.degrees_of_freedom).ok()?;
    let normal = student_quantile(CONFIDENCE, f64::INFINITY).ok()?;
    Some(found.standard_error * wider / normal).filter(|error| error.is_finite() && *error >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample::{baseline, ended, judged};

    fn effect(delta: f64, standard_error: f64) -> Effect {
        Effect { delta, standard_error, degrees_of_freedom: f64::INFINITY, p_value: 0.5, fresh: false }
    }

    fn after(deltas: &[f64]) -> Outlook {
        let trials = (1..).zip(deltas).map(|(number, delta)| ended(judged(number, "loss", &[], (false, *delta, 0.5))));
        let events: Vec<_> = std::iter::once(ended(baseline(0.01))).chain(trials).collect();
        Outlook::of(&History::from_events(&events)).expect("something was measured")
    }

    #[test]
    fn where_most_changes_lose_a_small_gain_is_luck() {
        let found = effect(0.0008, 0.0012);
        let losers: Vec<f64> = (0..60).map(|index| -0.001 - 0.0001 * f64::from(index)).collect();
        let (few, many) = (after(&[0.0004]), after(&losers));
        assert!(few.odds(&found, 0) > 1.0, "{few:?}");
        assert!(many.odds(&found, 0) < 1.0, "{many:?}");
        assert!(many.odds(&effect(0.004, 0.0006), 0) > 10.0, "what is large stays large: {many:?}");
    }

    #[test]
    fn the_precise_outranks_the_lucky() {
        let outlook = after(&[-0.002, -0.001, 0.0005, -0.004, -0.0015, 0.001, -0.003, -0.002]);
        // The same p-value.
        assert!(outlook.odds(&effect(0.0005, 0.0003), 0) > outlook.odds(&effect(0.002, 0.0012), 0));
    }

    #[test]
    fn every_keep_takes_something_away() {
        let outlook = after(&[-0.002, -0.001, 0.0005, -0.004, -0.0015]);
        let found = effect(0.0015, 0.0006);
        let odds: Vec<f64> = (0..6).map(|keeps| outlook.odds(&found, keeps)).collect();
        assert!(odds.windows(2).all(|pair| pair[1] < pair[0]), "{odds:?}");
        assert!(outlook.odds(&found, u32::MAX) < 1.0, "the prior is all that is left: {odds:?}");
        let worse = effect(-0.002, 0.0003);
        assert_eq!(outlook.odds(&worse, 9), outlook.odds(&worse, 0), "nothing becomes better by being forgotten");
    }

    #[test]
    fn without_a_measurement_there_is_no_outlook() {
        assert_eq!(Outlook::of(&History::default()), None);
        assert_eq!(Outlook::of(&History::from_events(&[ended(baseline(0.01))])), None);
    }
}
