//! The counted table, and that it says what `status` says.

use proptest::prelude::*;

use super::*;
use crate::research::event::Event;
use crate::research::gate::KnownEras;
use crate::research::gate::settings::GateSettings;
use crate::research::sample::{baseline, change, ended, judged, remeasured, trial};
use crate::research::session_statistics::session_statistics;
use crate::research::trial::Verdict;

fn table(records: Vec<TrialRecord>) -> Evidence {
    let events: Vec<_> = records.into_iter().map(ended).collect();
    evidence(&History::from_events(&events))
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
    assert_eq!(names, [("activation", 2), ("architecture", 2)], "the baseline and what was blocked are not counted");
    let activation = &found.categories[0];
    assert_eq!((activation.kept, activation.failed, activation.best_delta), (0, 1, Some(-0.0040)));
    assert_eq!(activation.trials, [3, 5]);
    let architecture = &found.categories[1];
    assert_eq!(architecture.standing, Standing::Promising);
    assert!((architecture.mean_delta.expect("measured") - 0.0020).abs() < 1e-15);
    let knobs: Vec<_> = found.knobs.iter().map(|knob| (knob.path.as_str(), knob.aim.as_str(), knob.tries)).collect();
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
/// A trial of the category `loss` with a standard error of its own.
fn with_error(number: u32, (delta, error, freedom): (f64, f64, f64)) -> TrialRecord {
    let mut record = judged(number, "loss", &[], (false, delta, 0.5));
    if let Some(own) = &mut record.judgement {
        own.standard_error = error;
        own.degrees_of_freedom = Some(freedom);
    }
    record
}

/// Three races that fell after two cells: counted alike, the kind would be surely bad (the mean of -0.0100, -0.0104 and -0.0098
/// has a t interval of ±0.0008); by what each knows nothing is sure, and one race over twelve seeds says more than all three.
#[test]
fn what_knows_little_proves_little() {
    let short = |number, delta| with_error(number, (delta, 0.012, 12.0));
    let mut records = vec![baseline(0.01), short(1, -0.0100), short(2, -0.0104), short(3, -0.0098)];
    assert_eq!(table(records.clone()).categories[0].standing, Standing::Ambiguous);
    records.push(with_error(4, (0.0010, 0.0008, 60.0)));
    let found = table(records);
    let loss = &found.categories[0];
    assert_eq!((loss.standing, loss.measured), (Standing::Ambiguous, 4));
    // Weights by hand, widened by t₁₂/z = 2.178813/1.959964 and t₆₀/z = 2.000298/1.959964; the scatter is below 3, so τ is 0.
    let weights = [(2.178_813, 0.012), (2.178_813, 0.012), (2.178_813, 0.012), (2.000_298, 0.0008)]
        .map(|(t, error): (f64, f64)| (error * t / 1.959_964).powi(-2));
    let sum: f64 = weights.iter().sum();
    let mean = (weights[0] * -0.0100 + weights[1] * -0.0104 + weights[2] * -0.0098 + weights[3] * 0.0010) / sum;
    assert!(mean > 0.0 && (loss.mean_delta.expect("measured") - mean).abs() < 1e-8);
    let (low, high) = loss.interval.expect("measured");
    // t with 3 degrees of freedom: 3.182446.
    assert!((high - low - 2.0 * 3.182_446 * sum.powf(-0.5)).abs() < 1e-7);
    let best = loss.best_delta.expect("measured");
    assert!((best - mean).abs() < 1e-8, "they differ by no more than their errors explain: {best} {mean}");
}

#[test]
fn many_that_clearly_lost_are_surely_bad_all_the_same() {
    let lost = |number| with_error(number, (-0.004 - 0.0002 * f64::from(number), 0.0015, 20.0));
    let some: Vec<TrialRecord> = std::iter::once(baseline(0.01)).chain((1..=3).map(lost)).collect();
    assert_eq!(table(some.clone()).categories[0].standing, Standing::ConfidentlyBad);
    // Races that fell early are weak each, and strong together.
    let short: Vec<TrialRecord> = std::iter::once(baseline(0.01))
        .chain((1..=12).map(|number| with_error(number, (-0.008, 0.008, 10.0))))
        .collect();
    assert_eq!(table(short[..4].to_vec()).categories[0].standing, Standing::Ambiguous);
    assert_eq!(table(short).categories[0].standing, Standing::ConfidentlyBad);
}

#[test]
fn a_demoted_keep_is_no_keep_and_worth_what_was_found_then() {
    let wider = [change("network[0].dense.width", Some("64"), Some("128"))];
    let kept = judged(1, "architecture", &wider, (true, 0.004, 0.001));
    let events = |again: Option<Event>| {
        [ended(baseline(0.01)), ended(kept.clone())].into_iter().chain(again).collect::<Vec<_>>()
    };
    let before = evidence(&History::from_events(&events(None)));
    assert_eq!((before.categories[0].kept, before.categories[0].standing), (1, Standing::Promising));
    let demoted = Event::Remeasured { found: Box::new(remeasured(1, -0.0012, Some(0))) };
    let after = evidence(&History::from_events(&events(Some(demoted))));
    for (kept, demoted, mean, standing) in [
        (
            after.categories[0].kept,
            after.categories[0].demoted,
            after.categories[0].mean_delta,
            after.categories[0].standing,
        ),
        (after.knobs[0].kept, after.knobs[0].demoted, after.knobs[0].mean_delta, after.knobs[0].standing),
    ] {
        assert_eq!((kept, demoted, mean, standing), (0, 1, Some(-0.0012), Standing::Ambiguous));
    }
}

#[test]
fn other_protocols_are_counted_and_prove_nothing() {
    let mut other = judged(1, "loss", &[], (false, -0.5, 0.99));
    other.protocol_hash = "another".into();
    let found = table(vec![other, baseline(0.01), judged(3, "loss", &[], (false, 0.001, 0.1))]);
    let loss = &found.categories[0];
    assert_eq!((loss.tries, loss.measured, loss.mean_delta), (2, 1, Some(0.001)));
}

proptest! {
    /// The table that researchers read and the one that people read are one.
    #[test]
    fn status_says_the_same(
        trials in prop::collection::vec((0..3_usize, -0.01..0.01_f64, 1e-4..0.01_f64, 1.5..40.0_f64, any::<bool>(), any::<bool>()), 1..25),
    ) {
        let mut events = vec![ended(baseline(0.01))];
        for (number, (category, delta, error, freedom, keep, again)) in (1..).zip(trials) {
            let mut record = with_error(number, (delta, error, freedom));
            record.proposal.category = ["loss", "Optimizer ", "optimizer"][category].into();
            record.verdict = if keep { Verdict::Keep } else { Verdict::Discard };
            events.push(ended(record));
            if keep && again {
                events.push(Event::Remeasured { found: Box::new(remeasured(number, delta / 2.0, (delta < 0.0).then_some(0))) });
            }
        }
        let history = History::from_events(&events);
        let own = evidence(&history).categories;
        let settings = GateSettings::default();
        let theirs = session_statistics(&history, Some(&settings), &KnownEras::new(4), 3).effects;
        prop_assert_eq!(own.len(), theirs.len());
        for theirs in theirs {
            let own = own.iter().find(|own| own.category == theirs.category).expect("the same categories");
            prop_assert_eq!(own.measured as usize, theirs.trials);
            prop_assert_eq!(own.kept as usize, theirs.keeps);
            prop_assert_eq!((own.mean_delta, own.interval), (Some(theirs.effect), Some(theirs.interval)));
        }
    }
}
