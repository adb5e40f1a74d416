//! What the trials so far say, counted by the loop itself and not by anyone who might wish: by category of change, and
//! by knob. Deltas are each trial's own difference to its own incumbent, as the gate judged it.
//!
//! A trial that changed several knobs counts for each of them: the knob table is a hint, not a proof of cause.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::foreign::one_line;
use super::history::History;
use super::knob_path::{Aim, wildcarded};
use super::rules::category_key;
use super::trial::{TrialRecord, Verdict};

/// From this many measured trials on, a category or knob can be called bad.
pub const ENOUGH: usize = 3;

/// What is to be thought of a kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The 95 % interval of its mean difference lies below zero, over at least [`ENOUGH`] trials, and none was kept.
    ConfidentlyBad,
    /// Neither of the others.
    Ambiguous,
    /// Some were kept, or the interval lies above zero; and the interval does not lie below zero.
    Promising,
}

/// The trials of one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryEvidence {
    /// The category, in lower case.
    pub category: String,
    /// Trials trained.
    pub tries: u32,
    /// Of them, kept.
    pub kept: u32,
    /// Of them, without a measurement: crashes and time-outs.
    pub failed: u32,
    /// Largest difference in payout; None where nothing was measured.
    pub best_delta: Option<f64>,
    /// Mean difference.
    pub mean_delta: Option<f64>,
    /// 95 % interval of the mean difference, by Student's t over the trials; None for fewer than two.
    pub interval: Option<(f64, f64)>,
    /// The trials, ascending.
    pub trials: Vec<u32>,
    /// What is to be thought of it.
    pub standing: Standing,
}

/// The trials that turned one knob one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KnobEvidence {
    /// The knob, with indices as `[*]`.
    pub path: String,
    /// Which way: `raised`, `lowered`, `set to gelu`, `added`, `removed`, `replaced`.
    pub aim: String,
    /// Trials trained.
    pub tries: u32,
    /// Of them, kept.
    pub kept: u32,
    /// Of them, without a measurement: crashes and time-outs.
    pub failed: u32,
    /// Largest difference in payout; None where nothing was measured.
    pub best_delta: Option<f64>,
    /// Mean difference.
    pub mean_delta: Option<f64>,
    /// 95 % interval of the mean difference, by Student's t over the trials; None for fewer than two.
    pub interval: Option<(f64, f64)>,
    /// The trials, ascending.
    pub trials: Vec<u32>,
    /// What is to be thought of it.
    pub standing: Standing,
}

/// The whole table: what was tried most comes first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// By category.
    pub categories: Vec<CategoryEvidence>,
    /// By knob and direction.
    pub knobs: Vec<KnobEvidence>,
}

/// Counts the evidence. The baseline changed nothing and is left out, and so is what was never trained.
pub fn evidence(history: &History) -> Evidence {
    let mut categories: BTreeMap<String, Vec<&TrialRecord>> = BTreeMap::new();
    let mut knobs: BTreeMap<(String, Aim), Vec<&TrialRecord>> = BTreeMap::new();
    let trained = history.trials().iter().filter(|record| record.verdict.was_trained() && record.incumbent.is_some());
    for record in trained {
        categories.entry(category_of(record)).or_default().push(record);
        let mut touched: Vec<(String, Aim)> =
            record.changes.iter().map(|change| (wildcarded(&change.path), Aim::of(change))).collect();
        touched.sort();
        touched.dedup();
        for knob in touched {
            knobs.entry(knob).or_default().push(record);
        }
    }
    let mut categories: Vec<CategoryEvidence> = categories
        .into_iter()
        .map(|(category, records)| {
            let Tally { tries, kept, failed, best_delta, mean_delta, interval, trials, standing } = tally(&records);
            CategoryEvidence { category, tries, kept, failed, best_delta, mean_delta, interval, trials, standing }
        })
        .collect();
    let mut knobs: Vec<KnobEvidence> = knobs
        .into_iter()
        .map(|((path, aim), records)| {
            let Tally { tries, kept, failed, best_delta, mean_delta, interval, trials, standing } = tally(&records);
            let aim = aim.to_string();
            KnobEvidence { path, aim, tries, kept, failed, best_delta, mean_delta, interval, trials, standing }
        })
        .collect();
    // Stable: what was tried equally often stays in alphabetical order.
    categories.sort_by_key(|category| std::cmp::Reverse(category.tries));
    knobs.sort_by_key(|knob| std::cmp::Reverse(knob.tries));
    Evidence { categories, knobs }
}

/// A record's category as the table calls it.
fn category_of(record: &TrialRecord) -> String {
    let category = one_line(&category_key(&record.proposal.category), 40);
    if category.is_empty() { "uncategorized".into() } else { category }
}

struct Tally {
    tries: u32,
    kept: u32,
    failed: u32,
    best_delta: Option<f64>,
    mean_delta: Option<f64>,
    interval: Option<(f64, f64)>,
    trials: Vec<u32>,
    standing: Standing,
}

fn tally(records: &[&TrialRecord]) -> Tally {
    let count = |condition: &dyn Fn(&TrialRecord) -> bool| {
        u32::try_from(records.iter().filter(|record| condition(record)).count()).unwrap_or(u32::MAX)
    };
    let deltas: Vec<f64> = records
        .iter()
        .filter_map(|record| record.judgement.as_ref())
        .map(|judgement| judgement.delta)
        .filter(|delta| delta.is_finite())
        .collect();
    let kept = count(&|record| record.verdict == Verdict::Keep);
    let interval = interval(&deltas);
    Tally {
        tries: count(&|_| true),
        kept,
        failed: count(&|record| record.judgement.is_none()),
        best_delta: deltas.iter().copied().max_by(f64::total_cmp),
        mean_delta: mean(&deltas),
        interval,
        trials: records.iter().map(|record| record.trial).collect(),
        standing: standing(deltas.len(), kept, interval),
    }
}

fn standing(measured: usize, kept: u32, interval: Option<(f64, f64)>) -> Standing {
    let below_zero = interval.is_some_and(|(_, high)| high < 0.0);
    let above_zero = interval.is_some_and(|(low, _)| low > 0.0);
    if below_zero && kept == 0 && measured >= ENOUGH {
        Standing::ConfidentlyBad
    } else if above_zero || (kept > 0 && !below_zero) {
        Standing::Promising
    } else {
        Standing::Ambiguous
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// 95 % interval of the mean, by Student's t with n − 1 degrees of freedom.
fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let centre = mean(values)?;
    let freedom = values.len() as f64 - 1.0;
    if freedom < 1.0 {
        return None;
    }
    let variance = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / freedom;
    let quantile = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(0.975);
    let half = quantile * (variance / values.len() as f64).sqrt();
    half.is_finite().then_some((centre - half, centre + half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample::{baseline, change, ended, judged, trial};

    fn table(records: Vec<TrialRecord>) -> Evidence {
        let events: Vec<_> = records.into_iter().map(ended).collect();
        evidence(&History::from_events(&events))
    }

    /// t with 2 degrees of freedom has its 97.5 % quantile at 4.302652730 (any printed table), so the mean of 1, 2, 3
    /// has the interval 2 ± 4.302652730/√3.
    #[test]
    fn the_interval_is_students() {
        let (low, high) = interval(&[1.0, 2.0, 3.0]).expect("three values");
        let half = 4.302_652_730 / 3.0_f64.sqrt();
        assert!((low - (2.0 - half)).abs() < 1e-8 && (high - (2.0 + half)).abs() < 1e-8, "{low} {high}");
        assert_eq!(interval(&[1.0]), None);
        assert_eq!(interval(&[]), None);
        assert_eq!(interval(&[0.5, 0.5]), Some((0.5, 0.5)));
    }

    #[test]
    fn standings() {
        let table = [
            (3, 0, Some((-0.002, -0.001)), Standing::ConfidentlyBad, "surely below zero"),
            (2, 0, Some((-0.002, -0.001)), Standing::Ambiguous, "too few to be sure"),
            (9, 1, Some((-0.002, -0.001)), Standing::Ambiguous, "bad on average, but one was kept"),
            (5, 0, Some((-0.002, 0.001)), Standing::Ambiguous, "mixed"),
            (5, 1, Some((-0.002, 0.001)), Standing::Promising, "mixed, and one was kept"),
            (5, 0, Some((0.001, 0.002)), Standing::Promising, "above zero"),
            (1, 1, None, Standing::Promising, "kept at the first try"),
            (0, 0, None, Standing::Ambiguous, "never measured"),
        ];
        for (measured, kept, interval, wanted, why) in table {
            assert_eq!(standing(measured, kept, interval), wanted, "{why}");
        }
    }

    #[test]
    fn trials_are_counted_by_category_and_knob() {
        let wider = |index: usize| change(&format!("network[{index}].dense.width"), Some("64"), Some("128"));
        let silu = change("network[0].dense.activation", Some("relu"), Some("silu"));
        let mut crash = trial(5, Verdict::Crash);
        crash.proposal.category = "activation".into();
        crash.changes = vec![silu.clone()];
        let found = table(vec![
            baseline(0.01),
            judged(1, "Architecture ", &[wider(0), wider(1)], (false, 0.0010, 0.1)),
            judged(2, "architecture", &[wider(1), silu.clone()], (true, 0.0030, 0.01)),
            judged(3, "activation", std::slice::from_ref(&silu), (false, -0.0040, 0.99)),
            trial(4, Verdict::Blocked),
            crash,
        ]);
        let names: Vec<_> = found.categories.iter().map(|found| (found.category.as_str(), found.tries)).collect();
        assert_eq!(
            names,
            [("activation", 2), ("architecture", 2)],
            "the baseline and what was blocked are not counted"
        );
        let activation = &found.categories[0];
        assert_eq!((activation.kept, activation.failed, activation.best_delta), (0, 1, Some(-0.0040)));
        assert_eq!(activation.trials, [3, 5]);
        let architecture = &found.categories[1];
        assert_eq!(architecture.standing, Standing::Promising);
        assert!((architecture.mean_delta.expect("measured") - 0.0020).abs() < 1e-15);
        let knobs: Vec<_> =
            found.knobs.iter().map(|knob| (knob.path.as_str(), knob.aim.as_str(), knob.tries)).collect();
        assert_eq!(
            knobs,
            [("network[*].dense.activation", "set to silu", 3), ("network[*].dense.width", "raised", 2)],
            "two widths of one trial are one try"
        );
    }

    #[test]
    fn nothing_tried_is_an_empty_table() {
        assert_eq!(table(vec![baseline(0.01)]), Evidence::default());
        assert_eq!(evidence(&History::default()), Evidence::default());
    }

    #[test]
    fn a_category_without_a_name_has_one() {
        let found = table(vec![judged(1, " \n", &[], (false, 0.0, 0.5))]);
        assert_eq!(found.categories[0].category, "uncategorized");
    }
}
