//! Earlier trials that are worth building on: near misses, and what was good beside another incumbent. What such a trial
//! changed against its own incumbent is put onto the present one (a three-way merge), so that a good idea outlives the
//! incumbent that it nearly beat.

use std::collections::BTreeSet;

use rand::{Rng, RngExt};
use statrs::function::erf::erfc;

use super::draw::Edit;
use super::weighted;
use crate::research::history::History;
use crate::research::trial::{TrialRecord, Verdict};
use crate::researcher::briefing::Briefing;
use crate::spec::merge::merged;
use crate::spec::{Spec, Value};

/// How many are held ready.
const MOST: usize = 12;
/// The latest trained trials that are looked at.
const LATEST: usize = 300;
/// What one more incumbent between then and now leaves of the odds: it was measured beside something else.
const AGEING: f64 = 0.7;
/// Odds are not better than this, however small a standard error is said to be.
const MOST_ODDS: f64 = 100.0;

/// A trial to build on.
pub(super) struct Good {
    pub(super) trial: u32,
    title: String,
    category: String,
    /// What it changed, put onto the present incumbent.
    spec: Spec,
    /// The same as a tree.
    pub(super) tree: Value,
    /// That it was better than its incumbent, to one.
    pub(super) odds: f64,
}

impl Good {
    /// Its piece of a proposal.
    pub(super) fn edit(&self) -> Edit {
        Edit {
            text: format!("{} (as in trial {})", self.title, self.trial),
            why: Some("It was nearly good enough, and may be so together with another change or beside this incumbent"),
            category: self.category.clone(),
        }
    }

    /// Both changes together; None where they are in each other's way.
    pub(super) fn with(&self, other: &Self, incumbent: &Spec) -> Option<Value> {
        merged(incumbent, &other.spec, &self.spec).ok().map(|both| both.canonical())
    }
}

/// The trials that are worth building on, the best odds first: measured ahead of their incumbent, not part of the present
/// one, not demoted, and not in conflict with what has been kept since.
pub(super) fn good(briefing: &Briefing<'_>) -> Vec<Good> {
    let history = briefing.history;
    let Some(incumbent) = history.incumbent() else { return Vec::new() };
    let here = briefing.incumbent.canonical();
    let lineage = lineage(history, incumbent);
    let age = |trial: u32| lineage.iter().filter(|kept| **kept > trial).count() as f64;
    let trained = history.records().rev().filter(|record| record.verdict.was_trained()).take(LATEST);
    let mut found: Vec<(f64, &TrialRecord)> = trained
        .filter(|record| match record.verdict {
            Verdict::Discard => true,
            Verdict::Keep => !lineage.contains(&record.trial) && !history.is_demoted(record.trial),
            _ => false,
        })
        .filter_map(|record| {
            let judged = record.judgement.as_ref().filter(|judged| judged.delta > 0.0)?;
            let base = record.incumbent?;
            // A later incumbent than its own counts against it; its own does not.
            let odds = odds(judged.delta, judged.standard_error, briefing.min_effect)? * AGEING.powf(age(base));
            Some((odds, record))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.trial.cmp(&a.1.trial)));
    let rebased = found.into_iter().filter_map(|(odds, record)| {
        let base = Spec::parse(&history.trial(record.incumbent?)?.proposal.spec, "ledger").ok()?;
        let theirs = Spec::parse(&record.proposal.spec, "ledger").ok()?;
        let spec = merged(&base, &theirs, briefing.incumbent).ok()?;
        let tree = spec.canonical();
        (tree != here).then(|| Good {
            trial: record.trial,
            // Without the trial that it was itself built on.
            title: record.proposal.title.split(" (as in").next().unwrap_or_default().to_owned(),
            category: record.proposal.category.clone(),
            spec,
            tree,
            odds,
        })
    });
    rebased.take(MOST).collect()
}

/// One of them, each as often as its odds say.
pub(super) fn drawn<'a>(all: &'a [Good], rng: &mut impl Rng) -> Option<&'a Good> {
    let odds: Vec<f64> = all.iter().map(|good| good.odds).collect();
    all.get(weighted(&odds, rng.random()))
}

/// The trials that the incumbent came to be by, itself among them.
fn lineage(history: &History, incumbent: &TrialRecord) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([incumbent.trial]);
    let mut here = incumbent;
    while let Some(before) = here.incumbent.and_then(|trial| history.trial(trial)) {
        // A ledger that says that a trial came before itself is no reason to go round in circles.
        if !found.insert(before.trial) {
            break;
        }
        here = before;
    }
    found
}

/// The posterior odds that the true gain is above 0, gains being N(0, (2·min_effect)²) beforehand.
fn odds(delta: f64, standard_error: f64, min_effect: f64) -> Option<f64> {
    let prior = (2.0 * min_effect).max(1e-6).powi(2);
    let noise = standard_error.powi(2);
    // Posterior mean over posterior deviation.
    let deviate = delta * (prior / (noise * (prior + noise))).sqrt();
    let chance = 0.5 * erfc(-deviate / std::f64::consts::SQRT_2);
    let odds = chance / (1.0 - chance).max(1e-9);
    odds.is_finite().then(|| odds.min(MOST_ODDS))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lab;
    use super::*;

    const BASE: &str = "network: [ { dense: { width: 32 } } ]\ntraining: { epochs: 20 }\n";

    fn trials(lab: &Lab) -> Vec<u32> {
        lab.brief(good).iter().map(|good| good.trial).collect()
    }

    #[test]
    fn better_odds_come_first_and_losers_not_at_all() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "64"), Verdict::Discard, 0.0004);
        lab.trial(&BASE.replace("32", "16"), Verdict::Discard, -0.0004);
        lab.trial(&BASE.replace("20", "30"), Verdict::Discard, 0.0011);
        assert_eq!(trials(&lab), [3, 1]);
        // By hand: prior 0.001², noise 0.0006²; m/s = 0.0004·√(1e-6 / (0.36e-6·1.36e-6)) = 0.5717; Φ = 0.7162.
        let found = lab.brief(good);
        assert!((found[1].odds - 0.7162 / (1.0 - 0.7162)).abs() < 0.01, "{}", found[1].odds);
    }

    #[test]
    fn a_good_trial_outlives_the_incumbent_that_it_nearly_beat() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "64"), Verdict::Discard, 0.0010);
        lab.trial(&BASE.replace("32", "32, activation: gelu"), Verdict::Discard, 0.0010);
        lab.trial(&BASE.replace("20", "40"), Verdict::Keep, 0.0020);
        lab.trial(&BASE.replace("20", "40").replace("32", "48"), Verdict::Discard, 0.0010);
        let found = lab.brief(good);
        assert_eq!(found.iter().map(|good| good.trial).collect::<Vec<_>>(), [4, 2, 1], "the freshest first");
        let both = found[1].with(&found[2], &lab.incumbent).expect("they go together");
        let spec = Spec::from_value(&both).expect("a spec");
        let wanted = "network: [ { dense: { width: 64, activation: gelu } } ]\ntraining: { epochs: 40 }\n";
        assert_eq!(spec.hash(), Spec::parse(wanted, "test").expect("a spec").hash());
        assert!(found[0].with(&found[2], &lab.incumbent).is_none(), "two widths do not");
    }

    #[test]
    fn what_the_incumbent_has_already_is_nothing_to_build_on() {
        let mut lab = Lab::new(BASE);
        lab.trial(&BASE.replace("32", "64"), Verdict::Discard, 0.0010);
        lab.trial(&BASE.replace("32", "64").replace("20", "40"), Verdict::Keep, 0.0020);
        assert!(trials(&lab).is_empty());
    }
}
