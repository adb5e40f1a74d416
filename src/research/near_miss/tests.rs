//! Who is close, how close, and for how long.

use proptest::prelude::*;

use super::*;
use crate::research::event::Event;
use crate::research::sample::{baseline, change, ended, fallen, judged, remeasured, trial};

const BASE: &str = "network: [{ dense: { width: 64, activation: relu } }]\noptimizer: { adamw: { lr: 1e-3 } }\n";

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

/// A trial with a real spec: BASE with some words replaced.
fn with(number: u32, (keep, delta): (bool, f64), against: u32, edits: &[(&str, &str)]) -> TrialRecord {
    let mut record = judged(number, "loss", &[], (keep, delta, 0.1));
    record.proposal.spec = edits.iter().fold(BASE.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
    record.spec_hash = Some(Spec::parse(&record.proposal.spec, "test").expect("valid").hash());
    record.incumbent = Some(against);
    record
}

fn base() -> TrialRecord {
    let mut record = baseline(0.01);
    record.proposal.spec = BASE.to_owned();
    record.spec_hash = Some(Spec::parse(BASE, "test").expect("valid").hash());
    record
}

fn found(records: &[TrialRecord]) -> Vec<NearMiss> {
    near_misses(&History::from_events(&records.iter().cloned().map(ended).collect::<Vec<_>>()), 20)
}

fn trials(misses: &[NearMiss]) -> Vec<u32> {
    misses.iter().map(|miss| miss.trial).collect()
}

const WIDER: (&str, &str) = ("width: 64", "width: 128");
const GELU: (&str, &str) = ("relu", "gelu");
const FASTER: (&str, &str) = ("lr: 1e-3", "lr: 2e-3");

#[test]
fn the_closest_come_first_and_losers_not_at_all() {
    let history = History::from_events(&past());
    let found = near_misses(&history, 10);
    assert_eq!(trials(&found), [2, 5, 1]);
    assert!(found.windows(2).all(|pair| pair[0].odds >= pair[1].odds) && found[2].odds > 1.0, "{found:?}");
    assert_eq!((found[0].changes.clone(), found[0].against), (gelu(), 0));
    assert_eq!(found[0].spec, "# spec of trial 2\n");
    assert_eq!(near_misses(&history, 1).len(), 1);
    assert!(near_misses(&history, 0).is_empty());
}

#[test]
fn it_is_the_odds_that_rank_and_not_the_p_value_alone() {
    let mut noisy = judged(1, "loss", &[], (false, 0.004, 0.05));
    let mut precise = judged(2, "loss", &[], (false, 0.0006, 0.06));
    for (record, error) in [(&mut noisy, 0.0024), (&mut precise, 0.0004)] {
        if let Some(judged) = &mut record.judgement {
            judged.standard_error = error;
        }
    }
    let losers = (3..20).map(|number| judged(number, "loss", &[], (false, -0.0005, 0.9)));
    let records: Vec<TrialRecord> = [baseline(0.01), noisy, precise].into_iter().chain(losers).collect();
    assert_eq!(trials(&found(&records)), [2], "a large gain of one seed is drawn to where the others are");
}

#[test]
fn another_incumbent_takes_some_of_the_odds_and_gets_what_they_changed() {
    let before = [base(), with(1, (false, 0.0010), 0, &[GELU]), with(2, (false, 0.0012), 0, &[WIDER])];
    let keep = with(3, (true, 0.003), 0, &[FASTER]);
    let there = found(&before);
    let after = found(&[&before[..], &[keep]].concat());
    assert_eq!((trials(&there), trials(&after)), (vec![2, 1], vec![2, 1]));
    for (there, after) in there.iter().zip(&after) {
        assert!(after.odds < there.odds && after.odds > 1.0, "{} then {}", there.odds, after.odds);
        assert_eq!((after.against, after.delta), (0, there.delta), "measured against the old one");
    }
    assert_eq!(after[1].changes, gelu());
    let spec = Spec::parse(&after[1].spec, "test").expect("valid");
    let wanted = Spec::parse(&with(9, (false, 0.0), 3, &[GELU, FASTER]).proposal.spec, "test").expect("valid");
    assert_eq!(spec, wanted, "both edits");
}

#[test]
fn what_the_incumbent_has_contradicts_or_refuted_is_no_near_miss_of_it() {
    let before = [base(), with(1, (false, 0.0010), 0, &[GELU]), with(2, (false, 0.0012), 0, &[WIDER])];
    let after = |keep: TrialRecord, more: &[TrialRecord]| trials(&found(&[&before[..], &[keep], more].concat()));
    assert_eq!(after(with(3, (true, 0.003), 0, &[GELU, FASTER]), &[]), [2], "it has the one");
    assert_eq!(after(with(3, (true, 0.003), 0, &[("relu", "silu")]), &[]), [2], "it has another activation");
    let again = with(4, (false, -0.001), 3, &[FASTER, GELU]);
    assert_eq!(after(with(3, (true, 0.003), 0, &[FASTER]), &[again]), [2], "it was tried there");
    let close = with(4, (false, 0.001), 3, &[FASTER, GELU]);
    assert_eq!(after(with(3, (true, 0.003), 0, &[FASTER]), &[close]), [4, 2], "what is newer takes its place");
    let twice = with(4, (false, 0.001), 3, &[FASTER, GELU]);
    let keep = with(5, (true, 0.003), 3, &[FASTER, ("width: 64", "width: 32")]);
    assert_eq!(after(with(3, (true, 0.003), 0, &[FASTER]), &[twice, keep]), [4], "one edit is offered once");
}

#[test]
fn they_expire() {
    let close = with(1, (false, 0.0012), 0, &[GELU]);
    let mut records = vec![base(), close];
    records.extend((2..=60).map(|number| judged(number, "loss", &[], (false, -0.0001, 0.6))));
    assert_eq!(trials(&found(&records)), [1], "59 trials later");
    records.push(trial(61, Verdict::Blocked));
    assert_eq!(trials(&found(&records)), [1], "what was not trained does not count");
    records.push(trial(62, Verdict::Crash));
    assert!(found(&records).is_empty(), "60 trials later");
}

#[test]
fn each_failure_of_what_was_built_on_it_halves_its_odds() {
    let combined = |number: u32, verdict: Verdict| {
        let mut record = trial(number, verdict);
        record.proposal.parents = vec![1, 1];
        record
    };
    let mut records = vec![base(), with(1, (false, 0.0020), 0, &[GELU])];
    records.extend((2..9).map(|number| judged(number, "loss", &[], (false, -0.0004, 0.6))));
    let fresh = found(&records)[0].odds;
    records.push(combined(9, Verdict::Crash));
    assert_eq!(found(&records)[0].odds, fresh, "a crash says nothing of it");
    records.push(combined(10, Verdict::Discard));
    let once = found(&records)[0].odds;
    assert!((once / fresh - 0.5).abs() < 0.15, "{fresh} then {once}: half, but for what the prior has learned");
    records.push(combined(11, Verdict::Discard));
    assert_eq!(trials(&found(&records)), [1]);
    records.push(combined(12, Verdict::Discard));
    assert!(found(&records).is_empty(), "it has had its chance");
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
    assert_eq!(trials(&ahead), [2, 5, 1, 6]);
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

#[test]
fn another_protocol_is_another_question() {
    let mut anew = baseline(0.01);
    (anew.trial, anew.protocol_hash) = (6, "another".into());
    let history = History::from_events(past().iter().chain([&ended(anew)]));
    assert!(near_misses(&history, 10).is_empty());
}

#[test]
fn ten_thousand_trials_are_as_little_work_as_a_hundred() {
    let edit = |number: u32| [("lr: 1e-3", format!("lr: {:.6}", 0.002 + 1e-6 * f64::from(number)))];
    let mut history = History::from_events(&[ended(base())]);
    let mut against = 0;
    for number in 1..=10_000 {
        let keep = number % 40 == 0;
        let edits = edit(number);
        let edits: Vec<(&str, &str)> = edits.iter().map(|(from, to)| (*from, to.as_str())).collect();
        history.apply(&ended(with(number, (keep, 0.0008), against, &edits)));
        if keep {
            against = number;
        }
    }
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        near_misses(&history, 8);
    }
    // Measured: a few milliseconds, without optimization. Whatever the machine, it is not a matter of seconds.
    assert!(begun.elapsed().as_secs_f64() < 5.0, "{:?}", begun.elapsed());
}

proptest! {
    /// Whatever the past, what is offered is ranked, bounded, distinct and recent.
    #[test]
    fn what_is_offered_is_ranked_and_recent(deltas in prop::collection::vec((-0.01..0.01_f64, 0..8_u8, 0..4_usize), 0..90), limit in 0..9_usize) {
        let mut history = History::from_events(&[ended(base())]);
        let mut against = 0;
        for (number, (delta, kind, edit)) in (1..).zip(&deltas) {
            let edits = [WIDER, GELU, FASTER, ("width: 64", "width: 96")];
            let mut record = with(number, (*kind == 0, *delta), against, &edits[*edit..=*edit]);
            record.proposal.parents = vec![number.saturating_sub(3)];
            history.apply(&ended(record));
            if *kind == 0 {
                against = number;
            }
        }
        let found = near_misses(&history, limit);
        prop_assert!(found.len() <= limit);
        prop_assert!(found.windows(2).all(|pair| pair[0].odds >= pair[1].odds));
        for miss in &found {
            prop_assert!(miss.odds >= LEAST_ODDS && miss.delta > 0.0);
            prop_assert!(deltas.len() < TRIALS + miss.trial as usize);
            prop_assert_eq!(Spec::parse(&miss.spec, "test").is_ok(), true);
        }
        let specs: BTreeSet<&str> = found.iter().map(|miss| miss.spec.as_str()).collect();
        prop_assert_eq!(specs.len(), found.len());
    }
}
