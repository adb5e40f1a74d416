//! What counts as the same experiment, what does not, and that ten thousand trials are no burden.

use std::time::{Duration, Instant};

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
        ("epochs: 20", "epochs: 20", false, "the same is a duplicate, and no near one"),
    ];
    for (from, to, close, why) in table {
        let found = near_duplicate(&past(), &spec(&BASE.replace(from, to)), PROTOCOL, DATA);
        assert_eq!(found.is_some(), close, "{why}: {found:?}");
    }
    let found = near_duplicate(&past(), &spec(&BASE.replace("lr: 1e-3", "lr: 1.01e-3")), PROTOCOL, DATA);
    let found = found.expect("too close");
    assert_eq!(found.trial, 0);
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
    assert_eq!(found.map(|found| found.trial), Some(1));
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
    assert_eq!(known.near(&close).map(|found| found.trial), Some(1));
    known.learn(&past(), PROTOCOL, DATA);
    assert_eq!(known.near(&close), None, "another history is read from its beginning");
    known.learn(&history, "other", DATA);
    assert_eq!(known.near(&spec(&BASE.replace("512", "513"))), None);
}

#[test]
fn ten_thousand_trials_are_no_burden() {
    let text = |number: u32| {
        let (width, rate) = (16 + number % 100, 1e-4 * 1.15_f64.powi((number / 100) as i32 % 100));
        BASE.replace("width: 64", &format!("width: {width}")).replace("lr: 1e-3", &format!("lr: {rate}"))
    };
    let mut history = past();
    let mut known = Measured::default();
    for number in 1..=10_000 {
        history.apply(&measured(number, &text(number), Verdict::Discard));
    }
    known.learn(&history, PROTOCOL, DATA);
    let far = spec(&BASE.replace("width: 64", "width: 4000"));
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(known.near(&far), None);
    }
    // A hundred questions took 50 ms, unoptimized; the bound is for a machine that does ten other things.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
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
        if (furthest - REACH).abs() > 1e-4 && furthest > 1e-4 {
            prop_assert_eq!(near(&one, &other), furthest < REACH);
        }
    }
}
