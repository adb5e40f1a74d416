//! The error that a trial may make: its share of the night's budget.
//!
//! - `familywise`: every trial is tested at `alpha / trials`. By Boole's inequality, in any `trials` trials, whatever they
//!   have in common (and they have the incumbent's own luck in common), the chance of one false keep or more is at most
//!   `alpha`. A late trial is tested at the level of an early one.
//! - `discovery_rate`: LORD++ (Ramdas, Yang, Wainwright and Jordan 2017). A stream of tests begins with a little wealth,
//!   spends some on each, and earns some with every keep. The expected share of false keeps among the keeps is at most
//!   `alpha`, if the p-values of the candidates that are no better are independent of one another; that they share an
//!   incumbent is a dependence that the theorem does not cover, and the simulations in benchmarks/ measure.
//! - `none`: every trial at `alpha`. Nothing is controlled.
//!
//! The stream is that of the lab's ledger under one protocol and on one data: it does not begin anew with a session.

use super::settings::{Control, GateSettings};
use crate::research::history::History;
use crate::research::trial::{JudgementKind, TrialRecord, Verdict};
use crate::research::words::count;
use crate::stats::StatsError;
use crate::stats::online::{familywise, lord_plus_plus};

/// The level of the next trial.
///
/// # Errors
/// Settings out of their ranges.
pub fn next_level(history: &History, settings: &GateSettings) -> Result<f64, StatsError> {
    let rejections = rejections(history);
    level(settings, rejections.1, &rejections.0)
}

/// The level of the test after `tests` tests, of which those at `rejections` (counted from 1) were kept.
///
/// # Errors
/// As [`next_level`].
pub fn level(settings: &GateSettings, tests: usize, rejections: &[usize]) -> Result<f64, StatsError> {
    match settings.control {
        Control::Familywise => familywise(settings.alpha, settings.trials),
        Control::DiscoveryRate => lord_plus_plus(settings.alpha, rejections, tests + 1),
        Control::None => Ok(settings.alpha),
    }
}

/// Which tests of the stream were kept as better, and how many tests there were.
fn rejections(history: &History) -> (Vec<usize>, usize) {
    let Some(now) = history.incumbent() else { return (Vec::new(), 0) };
    let of_stream = |record: &&TrialRecord| {
        record.protocol_hash == now.protocol_hash && record.data_hash == now.data_hash && record.judgement.is_some()
    };
    let (mut found, mut tests) = (Vec::new(), 0);
    for record in history.records().filter(of_stream) {
        tests += 1;
        let better = record.judgement.as_ref().is_some_and(|judged| judged.kind == JudgementKind::Better);
        if record.verdict == Verdict::Keep && better {
            found.push(tests);
        }
    }
    (found, tests)
}

/// What is controlled, in a sentence for people.
pub fn promise(settings: &GateSettings) -> String {
    let better = of_better(settings);
    match &settings.simplify {
        // Its own risk is not of the budget, and adds up over keeps.
        Some(rules) => format!(
            "{better}; a simplify keep may be false with a chance of {} % in each trial, and be worse by {} each time",
            (rules.alpha * 1e5).round() / 1e3,
            rules.margin
        ),
        None => better,
    }
}

/// The part of the promise that is about keeps for being better.
fn of_better(settings: &GateSettings) -> String {
    // To a thousandth, without what rounding to binary adds.
    let percent = (settings.alpha * 1e5).round() / 1e3;
    match settings.control {
        Control::Familywise => format!(
            "in any {}, the chance that even one keep is false is at most {percent} % (each is tested at {:.1e})",
            count(settings.trials as usize, "trial"),
            settings.alpha / f64::from(settings.trials.max(1))
        ),
        Control::DiscoveryRate => {
            format!(
                "of the keeps, {percent} % are expected to be false at most (LORD++, over the whole ledger; proven for proposals that do not share an incumbent, and measured for those that do)"
            )
        }
        Control::None => format!(
            "NOTHING IS CONTROLLED (gate.control: none): each trial that is no better is kept with a chance of {percent} %, \
             about {:.0} false keeps in 100 trials",
            settings.alpha * 100.0
        ),
    }
}
