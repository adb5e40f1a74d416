//! What counts as the same experiment, and what does not.

use proptest::prelude::*;

use super::*;
use crate::research::event::Event;
use crate::research::sample::{baseline, ended, trial};

const BASE: &str = "network: [ { dense: { width: 512, dropout: 0.2 } }, { dense: { width: 64 } } ]\n\
                    optimizer: { adamw: { lr: 1e-3, weight_decay: 1e-4 } }\ntraining: { epochs: 20 }\n";
const PROTOCOL: &str = "1111111111111111";
const DATA: &str = "2222222222222222";

fn spec(text: &str) -> Spec {
    Spec::parse(text, "test").expect("a valid spec")
}

fn measured(number: u32, text: &str, verdict: Verdict) -> Event {
    let mut record = if number == 0 { baseline(0.01) } else { trial(number, verdict) };
    record.proposal.spec = text.to_owned();
    record.spec_hash = Spec::parse(text, "test").ok().map(|spec| spec.hash());
    ended(record)
}

fn past() -> History {
    History::from_events(&[measured(0, BASE, Verdict::Keep)])
}

#[test]
fn what_no_gate_could_see_is_the_same_experiment() {
    // (found, replaced by, whether it is too close, why)
    let table = [
        ("weight_decay: 1e-4", "weight_decay: 1.02e-4", true, "two hundredths of a decay"),
        ("lr: 1e-3", "lr: 1.01e-3", true, "a hundredth of a rate"),
        ("lr: 1e-3", "lr: 1.2e-3", false, "a fifth of a rate"),
        ("width: 512", "width: 513", true, "one unit of many"),
        ("width: 64", "width: 80", false, "a quarter of a width"),
        ("dropout: 0.2", "dropout: 0.205", true, "half a hundredth of dropout"),
        ("dropout: 0.2", "dropout: 0.25", false, "half a tenth of dropout"),
        ("epochs: 20", "epochs: 21", true, "one epoch of twenty"),
        ("epochs: 20", "epochs: 25", false, "five epochs of twenty"),
        ("dropout: 0.2", "dropout: 0.2, activation: gelu", false, "another word is another experiment"),
        ("dropout: 0.2", "dropout: 0.2, bias: false", false, "so is a switch"),
        ("{ dense: { width: 64 } } ]", "{ dense: { width: 64 } }, { dense: { width: 64 } } ]", false, "and a block"),
        ("weight_decay: 1e-4", "weight_decay: 1e-4, clip_norm: 1.0", false, "and what was off"),
        ("dropout: 0.2", "dropout: 0.2, norm: batch", false, "a norm is another experiment"),
        ("epochs: 20 }", "epochs: 20 }\npost: { gaussianize: true }", true, "a score is of ranks"),
        ("epochs: 20", "epochs: 20", false, "the same is a duplicate, and no near one"),
    ];
    for (from, to, close, why) in table {
        let found = near_duplicate(&past(), &spec(&BASE.replace(from, to)), PROTOCOL, DATA);
        assert_eq!(found.is_some(), close, "{why}: {found:?}");
    }
    let found = near_duplicate(&past(), &spec(&BASE.replace("lr: 1e-3", "lr: 1.01e-3")), PROTOCOL, DATA);
    let found = found.expect("too close");
    assert_eq!(found.trial, Some(0));
    assert!(found.why.starts_with("it differs from trial 000000 only in optimizer.adamw.lr 0.001 → 0.00101: "));
}

#[test]
fn several_small_steps_are_still_none() {
    let all = BASE.replace("1e-4", "1.03e-4").replace("512", "520").replace("1e-3", "1.02e-3");
    let found = near_duplicate(&past(), &spec(&all), PROTOCOL, DATA).expect("each of them is small");
    assert!(found.why.contains("network[0].dense.width 512 → 520, optimizer.adamw.lr"), "{}", found.why);
    let one_is_not = all.replace("1.02e-3", "2e-3");
    assert_eq!(near_duplicate(&past(), &spec(&one_is_not), PROTOCOL, DATA), None);
}

#[test]
fn what_waits_is_a_neighbour_too() {
    let mut waiting = Neighbours::default();
    let normed = BASE.replace("width: 64", "width: 64, norm: batch");
    waiting.wait(&spec(&normed));
    let found = waiting.near(&spec(&normed.replace("norm: batch", "norm: batch, bias: false")), DEFAULT_REACH);
    let found = found.expect("the norm takes the bias away");
    assert_eq!(found.trial, None);
    assert!(
        found
            .why
            .starts_with("it differs from a candidate that waits for its verdict only in what moves no score: a bias")
    );
    assert_eq!(waiting.near(&spec(&normed), DEFAULT_REACH), None, "the very same is a duplicate");
    let further = spec(&normed.replace("lr: 1e-3", "lr: 1.1e-3"));
    assert_eq!(waiting.near(&further, DEFAULT_REACH), None);
    assert!(waiting.near(&further, 0.2).expect("0.14 steps away").why.contains("less than 0.20 of a usual step"));
}

#[test]
fn the_noise_floor_sets_the_reach() {
    let mut history = past();
    let mut known = Measured::default();
    let near = |known: &Measured, rate: &str| known.near(&spec(&BASE.replace("lr: 1e-3", rate))).is_some();
    // Twelve trials of one step each that moved nothing: differences as large as their errors.
    for number in 1..=12_u32 {
        let mut record = trial(number, Verdict::Discard);
        record.incumbent = Some(0);
        let (width, decay) = (if number % 2 == 0 { 1024 } else { 256 }, 1e-4 * 2.0_f64.powi(number as i32 - 6));
        record.proposal.spec = BASE.replace("512", &width.to_string()).replace("1e-4", &format!("{decay:e}"));
        let judged = record.judgement.as_mut().expect("it was judged");
        (judged.delta, judged.standard_error) = (0.001, 0.001);
        history.apply(&ended(record));
    }
    known.learn(&history, PROTOCOL, DATA);
    assert_eq!(known.reach(), DEFAULT_REACH, "no noise floor was measured");
    assert!(!near(&known, "lr: 1.1e-3"));
    let mut floor = crate::research::sample::noise_floor();
    (floor.protocol_hash, floor.data_hash, floor.comparison_error) = (PROTOCOL.into(), DATA.into(), 0.0005);
    history.apply(&Event::Calibrated { floor: floor.clone() });
    known.learn(&history, PROTOCOL, DATA);
    assert!(known.reach() > 2.0 * DEFAULT_REACH, "{}", known.reach());
    assert!(near(&known, "lr: 1.1e-3"));
    let mut anew = Measured::default();
    anew.learn(&history, PROTOCOL, DATA);
    assert_eq!(anew.reach(), known.reach(), "however often it was brought up to date");
    floor.protocol_hash = "other".into();
    history.apply(&Event::Calibrated { floor });
    known.learn(&history, PROTOCOL, DATA);
    assert_eq!(known.reach(), DEFAULT_REACH, "another protocol's floor says nothing");
}

#[test]
fn only_what_was_measured_here_counts() {
    let close = spec(&BASE.replace("512", "513"));
    assert_eq!(near_duplicate(&past(), &close, "other", DATA), None, "another protocol");
    assert_eq!(near_duplicate(&past(), &close, PROTOCOL, "other"), None, "other data");
    let other = BASE.replace("512", "2048");
    for verdict in [Verdict::Crash, Verdict::Timeout, Verdict::Blocked] {
        let history = History::from_events(&[measured(0, BASE, Verdict::Keep), measured(1, &other, verdict)]);
        let smaller = spec(&other.replace("2048", "2000"));
        assert_eq!(near_duplicate(&history, &smaller, PROTOCOL, DATA), None, "{verdict} measured nothing");
    }
    let history = History::from_events(&[measured(0, BASE, Verdict::Keep), measured(1, &other, Verdict::Discard)]);
    let found = near_duplicate(&history, &spec(&other.replace("2048", "2000")), PROTOCOL, DATA);
    assert_eq!(found.and_then(|found| found.trial), Some(1));
}

#[test]
fn it_follows_the_history() {
    let mut history = past();
    let mut known = Measured::default();
    known.learn(&history, PROTOCOL, DATA);
    let close = spec(&BASE.replace("width: 512", "width: 1030"));
    assert_eq!(known.near(&close), None);
    history.apply(&measured(1, &BASE.replace("width: 512", "width: 1024"), Verdict::Discard));
    known.learn(&history, PROTOCOL, DATA);
    assert_eq!(known.near(&close).and_then(|found| found.trial), Some(1));
    known.learn(&past(), PROTOCOL, DATA);
    assert_eq!(known.near(&close), None, "another history is read from its beginning");
    known.learn(&history, "other", DATA);
    assert_eq!(known.near(&spec(&BASE.replace("512", "513"))), None);
}

#[test]
fn ten_thousand_trials_are_told_apart() {
    let text = |number: u32| {
        let (width, rate) = (16 + number % 100, 1e-5 * 1.08_f64.powi((number / 100) as i32 % 100));
        BASE.replace("width: 64", &format!("width: {width}")).replace("lr: 1e-3", &format!("lr: {rate}"))
    };
    let mut history = past();
    let mut known = Measured::default();
    for number in 1..=10_000 {
        history.apply(&measured(number, &text(number), Verdict::Discard));
    }
    known.learn(&history, PROTOCOL, DATA);
    let far = spec(&BASE.replace("width: 64", "width: 4000"));
    assert_eq!(known.near(&far), None);
    let close = spec(&text(9_876).replace("weight_decay: 1e-4", "weight_decay: 1.01e-4"));
    // Widths of those around it are near, too; all other rates are a tenth of a step away or more.
    let found = known.near(&close).and_then(|found| found.trial).expect("one of its rate is near");
    assert_eq!(found / 100, 98, "{found}");
}

proptest! {
    /// Closeness looks the same from both sides, holds for steps below the reach alone, and never for a larger one.
    #[test]
    fn closeness_is_a_matter_of_steps(rate in 1e-5..0.1_f64, steps in -0.5..0.5_f64, width in 8_u32..4000, more in 0_u32..3) {
        let text = |rate: f64, width: u32| {
            BASE.replace("lr: 1e-3", &format!("lr: {rate:e}")).replace("width: 512", &format!("width: {width}"))
        };
        let (one, other) = (text(rate, width), text(rate * steps.exp2(), width + more));
        let near = |from: &str, to: &str| {
            near_duplicate(&History::from_events(&[measured(0, from, Verdict::Keep)]), &spec(to), PROTOCOL, DATA).is_some()
        };
        prop_assert_eq!(near(&one, &other), near(&other, &one));
        let widening = (f64::from(width + more) / f64::from(width)).log2();
        let furthest = steps.abs().max(widening);
        // Around the reach itself, and around no difference at all, rounding decides.
        if (furthest - DEFAULT_REACH).abs() > 1e-4 && furthest > 1e-4 {
            prop_assert_eq!(near(&one, &other), furthest < DEFAULT_REACH);
        }
    }
}
