//! What the trials so far say, counted by the loop itself and not by anyone who might wish: by category of change, and
//! by knob. Effects are each trial's own difference to its own incumbent ([`super::effect`]), each weighed by how much its
//! measurement knows: a race that fell after two cells says little, one over twelve seeds much. Means and intervals are of
//! the trials under the present protocol and on the present data, the same as in `status`; counts are of all.
//!
//! A trial that changed several knobs counts for each of them: the knob table is a hint, not a proof of cause.

use std::collections::BTreeMap;

use serde::Serialize;

use super::effect::{Effect, of_all};
use super::foreign::one_line;
use super::history::History;
use super::knob_path::{Aim, wildcarded};
use super::rules::category_key;
use super::trial::TrialRecord;

/// From this many measured trials on, a category or knob can be called bad.
pub const ENOUGH: usize = 3;

/// What is to be thought of a kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The 95 % interval of its mean difference lies below zero, over at least [`ENOUGH`] trials, and no keep of it stands.
    ConfidentlyBad,
    /// Neither of the others.
    Ambiguous,
    /// A keep of it stands, or the interval lies above zero; and the interval does not lie below zero.
    Promising,
}

/// The trials of one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryEvidence {
    /// The category, in lower case.
    pub category: String,
    /// Trials trained.
    pub tries: u32,
    /// Of them, kept and not demoted since.
    pub kept: u32,
    /// Of them, kept, and demoted when they were measured again.
    pub demoted: u32,
    /// Of them, without a measurement: crashes and time-outs.
    pub failed: u32,
    /// Of them, with an effect that the next three numbers are of.
    pub measured: u32,
    /// The largest likely effect of a single trial in payout, drawn towards the mean by as much as its error says; None
    /// where nothing was measured.
    pub best_delta: Option<f64>,
    /// Mean effect, each trial weighed by its precision.
    pub mean_delta: Option<f64>,
    /// 95 % interval of the mean effect.
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
    /// Of them, kept and not demoted since.
    pub kept: u32,
    /// Of them, kept, and demoted when they were measured again.
    pub demoted: u32,
    /// Of them, without a measurement: crashes and time-outs.
    pub failed: u32,
    /// Of them, with an effect that the next three numbers are of.
    pub measured: u32,
    /// The largest likely effect of a single trial in payout, drawn towards the mean by as much as its error says; None
    /// where nothing was measured.
    pub best_delta: Option<f64>,
    /// Mean effect, each trial weighed by its precision.
    pub mean_delta: Option<f64>,
    /// 95 % interval of the mean effect.
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
    let effects: BTreeMap<u32, Effect> =
        history.comparable().filter_map(|record| Some((record.trial, Effect::of(record, history)?))).collect();
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
            let Tally { tries, kept, demoted, failed, measured, best_delta, mean_delta, interval, trials, standing } =
                tally(&records, history, &effects);
            CategoryEvidence {
                category,
                tries,
                kept,
                demoted,
                failed,
                measured,
                best_delta,
                mean_delta,
                interval,
                trials,
                standing,
            }
        })
        .collect();
    let mut knobs: Vec<KnobEvidence> = knobs
        .into_iter()
        .map(|((path, aim), records)| {
            let Tally { tries, kept, demoted, failed, measured, best_delta, mean_delta, interval, trials, standing } =
                tally(&records, history, &effects);
            let aim = aim.to_string();
            KnobEvidence {
                path,
                aim,
                tries,
                kept,
                demoted,
                failed,
                measured,
                best_delta,
                mean_delta,
                interval,
                trials,
                standing,
            }
        })
        .collect();
    // Stable: what was tried equally often stays in alphabetical order.
    categories.sort_by_key(|category| std::cmp::Reverse(category.tries));
    knobs.sort_by_key(|knob| std::cmp::Reverse(knob.tries));
    Evidence { categories, knobs }
}

/// A record's category as the table calls it.
pub fn category_of(record: &TrialRecord) -> String {
    let category = one_line(&category_key(&record.proposal.category), 40);
    if category.is_empty() { "uncategorized".into() } else { category }
}

struct Tally {
    tries: u32,
    kept: u32,
    demoted: u32,
    failed: u32,
    measured: u32,
    best_delta: Option<f64>,
    mean_delta: Option<f64>,
    interval: Option<(f64, f64)>,
    trials: Vec<u32>,
    standing: Standing,
}

fn tally(records: &[&TrialRecord], history: &History, effects: &BTreeMap<u32, Effect>) -> Tally {
    let count = |condition: &dyn Fn(&TrialRecord) -> bool| {
        u32::try_from(records.iter().filter(|record| condition(record)).count()).unwrap_or(u32::MAX)
    };
    let found = of_all(records.iter().filter_map(|record| effects.get(&record.trial).copied()));
    let measured = found.as_ref().map_or(0, |(measured, _)| *measured);
    let together = found.as_ref().map(|(_, together)| together);
    let kept = count(&|record| history.stands(record));
    let interval = together.map(|together| (together.interval.low, together.interval.high));
    Tally {
        tries: count(&|_| true),
        kept,
        demoted: count(&|record| history.is_demoted(record.trial)),
        failed: count(&|record| record.judgement.is_none()),
        measured: u32::try_from(measured).unwrap_or(u32::MAX),
        best_delta: together.and_then(|together| together.shrunk.iter().copied().max_by(f64::total_cmp)),
        mean_delta: together.map(|together| together.mean),
        interval,
        trials: records.iter().map(|record| record.trial).collect(),
        standing: standing(measured, kept, interval),
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

#[cfg(test)]
mod tests;
