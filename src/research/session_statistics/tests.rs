//! Against closed forms, and against tables of what was published.

use super::*;
use crate::research::event::{Event, SeedPurpose};
use crate::research::gate::KnownEras;
use crate::research::sample::{baseline, ended, judged, judgement, measurement, trial};
use crate::research::trial::{Scores, SeedPayouts};

fn of(events: &[Event]) -> SessionStatistics {
    let settings = GateSettings::default();
    session_statistics(&History::from_events(events), Some(&settings), &KnownEras::new(4), 3)
}

fn close(found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() <= tolerance, "{found} for {wanted}");
}

/// A trial with a judgement of its own.
fn with(number: u32, keep: bool, (delta, error): (f64, f64), change: impl FnOnce(&mut TrialRecord)) -> Event {
    let mut record = judged(number, "loss", &[], (keep, delta, 0.5));
    if let Some(own) = &mut record.judgement {
        own.standard_error = error;
        own.degrees_of_freedom = None;
    }
    change(&mut record);
    ended(record)
}

#[test]
fn nothing_is_said_of_nothing() {
    let settings = GateSettings { control: Control::None, alpha: 0.05, ..GateSettings::default() };
    let found = session_statistics(&History::default(), Some(&settings), &KnownEras::new(4), 3);
    let control = found.error_control.clone().expect("settings were given");
    assert_eq!((control.control, control.next_level), (Control::None, Some(0.05)));
    assert!(control.promise.contains("NOTHING IS CONTROLLED"));
    assert_eq!(found, SessionStatistics { error_control: Some(control), ..SessionStatistics::default() });
    assert_eq!(session_statistics(&History::default(), None, &KnownEras::new(4), 3), SessionStatistics::default());
    let found = of(&[ended(baseline(0.01))]);
    assert_eq!((&found.best_of_null, &found.fresh), (&None, &None));
    assert_eq!(found.overfitting, Overfitting { probability: None, trials: 1, measured: 1, splits: 0 });
}

#[test]
fn the_best_of_many_is_held_against_luck() {
    let with_p = |number: u32, p: f64| {
        let mut record = trial(number, Verdict::Discard);
        record.judgement = Some(judgement(false, 0.001, p));
        ended(record)
    };
    let mut events = vec![ended(baseline(0.01))];
    // 100 trials; the best has the p-value of a deviate of 2.326348.
    events.extend((1..100).map(|number| with_p(number, 0.3 + f64::from(number) / 200.0)));
    events.push(with_p(100, 0.01));
    let found = of(&events).best_of_null.expect("there are trials");
    assert_eq!((found.trials, found.best), (100, 100));
    close(found.observed, 2.326_348, 1e-6);
    // (1 − γ) Φ⁻¹(0.99) + γ Φ⁻¹(1 − 1/(100 e)), with Φ⁻¹(1 − 1/271.828) = 2.680 588 by scipy.
    close(found.expected, 0.422_784_335 * 2.326_348 + 0.577_215_665 * 2.680_588, 1e-3);
    close(found.by_chance, 1.0 - 0.99_f64.powi(100), 1e-9);
    close(found.deflated, 0.42, 0.02);
    // Certainties are no infinities.
    let sure = of(&[ended(baseline(0.01)), with_p(1, 0.0), with_p(2, 1.0)]).best_of_null.expect("trials");
    assert!(sure.best == 1 && sure.observed.is_finite() && sure.by_chance < 1e-12);
}

#[test]
fn trials_of_another_protocol_do_not_count() {
    let other = with(1, false, (0.5, 0.1), |record| record.protocol_hash = "other".into());
    let found = of(&[other, ended(baseline(0.01)), with(3, false, (0.001, 0.001), |_| ())]);
    assert_eq!(found.best_of_null.map(|best| best.trials), Some(1));
    assert_eq!(found.effects.len(), 1);
    assert_eq!(found.effects[0].trials, 1);
}

/// Two trials as precise as each other: the mean is the plain one, τ² = (y₁ − y₂)²/2 − s², and the interval is that of
/// Student's t with one degree of freedom over two values, 12.706 · |y₁ − y₂|/2.
#[test]
fn a_category_has_a_random_effect() {
    let found = of(&[
        ended(baseline(0.01)),
        with(1, true, (0.004, 0.001), |_| ()),
        with(2, false, (-0.002, 0.001), |_| ()),
        with(3, false, (0.003, 0.002), |record| record.proposal.category = "optimizer".into()),
    ]);
    let [loss, optimizer] = found.effects.as_slice() else { panic!("{:?}", found.effects) };
    assert_eq!((loss.category.as_str(), loss.trials, loss.keeps), ("loss", 2, 1));
    close(loss.effect, 0.001, 1e-12);
    close(loss.spread.expect("of two"), (0.006_f64.powi(2) / 2.0 - 1e-6).sqrt(), 1e-9);
    close(loss.interval.1, 0.001 + 12.706_2 * 0.003, 1e-6);
    assert_eq!((optimizer.category.as_str(), optimizer.trials, optimizer.spread), ("optimizer", 1, None));
    close(optimizer.interval.0, 0.003 - 1.959_964 * 0.002, 1e-8);
}

/// The threshold of a level of 0.05 is 1.644854 standard errors. At twice the standard error, the median-unbiased estimate
/// μ solves (1 − Φ(2 − μ))/(1 − Φ(1.644854 − μ)) = ½ (scipy.optimize.brentq: 0.9137 standard errors).
#[test]
fn kept_gains_are_shrunk_by_what_they_had_to_pass() {
    let at_level = |level: f64| {
        move |record: &mut TrialRecord| {
            if let Some(own) = &mut record.judgement {
                own.level = Some(level);
            }
        }
    };
    let simpler = |record: &mut TrialRecord| {
        if let Some(own) = &mut record.judgement {
            own.kind = JudgementKind::Simpler;
        }
    };
    let again = Remeasurement {
        trial: 2,
        after_trial: 2,
        seeds: vec![9],
        selected: 0.01,
        fresh: 0.009,
        standard_error: 0.001,
        predecessor: Some(1),
        gain: Some(-0.001),
        gain_error: Some(0.002),
        p_value: Some(0.7),
        demoted_to: Some(1),
        reason: "r".into(),
        ended: "2026-03-02T07:30:00Z".into(),
    };
    let found = of(&[
        ended(baseline(0.01)),
        with(1, true, (0.002, 0.001), at_level(0.05)),
        with(2, true, (0.1, 0.001), at_level(0.05)),
        with(3, true, (0.0001, 0.001), simpler),
        Event::Remeasured { found: Box::new(again.clone()) },
    ]);
    let [close_call, sure, simpler] = found.keeps.as_slice() else { panic!("{:?}", found.keeps) };
    let shrunk = close_call.shrunk.expect("it has a level") / 0.001;
    let upper = |z: f64| 1.0 - normal_cdf(z);
    close(upper(2.0 - shrunk) / upper(1.644_854 - shrunk), 0.5, 1e-4);
    assert!(shrunk < 2.0 && close_call.interval.is_some_and(|(low, high)| low < 0.0 && high > 0.002));
    close(sure.shrunk.expect("it has a level"), 0.1, 1e-9);
    assert_eq!((sure.fresh_gain, sure.demoted, close_call.fresh_gain), (Some(-0.001), true, None));
    assert_eq!((simpler.kind, simpler.shrunk), (JudgementKind::Simpler, None));
    assert_eq!((found.demotions, found.last_remeasurement), (1, Some(again)));
}

/// Abramowitz and Stegun 1964, 26.2.17; within 7.5e-8.
fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let b = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum: f64 = b.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum;
    if z >= 0.0 { 1.0 - tail } else { tail }
}

#[test]
fn fresh_seeds_are_those_after_the_keep() {
    let further = |seeds: &[(u64, f64)]| Event::SeedsMeasured {
        trial: 0,
        purpose: SeedPurpose::Comparison,
        scores: Scores {
            eras: (0..8).map(|index| 1 + 4 * index).collect(),
            seeds: seeds.iter().map(|(seed, payout)| SeedPayouts { seed: *seed, payout: vec![*payout; 8] }).collect(),
        },
        wall_seconds: 1.0,
    };
    let found = of(&[ended(baseline(0.010)), further(&[(1001, 0.007), (1002, 0.009)]), further(&[(1001, 0.5)])]);
    let fresh = found.fresh.expect("two fresh seeds");
    assert_eq!((fresh.selected, fresh.selected_seeds, fresh.seeds), (0.010, 3, 2));
    close(fresh.payout, 0.008, 1e-12);
    // No noise of eras: what is left is that of the seeds, |x₁ − x₂|/2.
    close(fresh.standard_error.expect("two seeds"), 0.001, 1e-9);
}

/// One trial that is best in every era is never below the median; where each era's best is random it often is.
#[test]
fn overfitting_takes_trials_with_all_seeds() {
    let measured = |number: u32, seeds: usize, payout: &dyn Fn(usize) -> f64| {
        with(number, false, (0.0, 0.001), |record| {
            let mut found = measurement(0.01);
            for seed in &mut found.scores.seeds {
                seed.payout = (0..8).map(payout).collect();
            }
            found.scores.seeds.truncate(seeds);
            record.measurement = Some(found);
        })
    };
    let mut events = vec![ended(baseline(0.0))];
    events.extend((1..7).map(|number| measured(number, 3, &|era| f64::from(number) * 0.01 + era as f64 * 0.001)));
    events.push(measured(7, 2, &|_| 9.0));
    assert_eq!(of(&events).overfitting, Overfitting { probability: None, trials: 7, measured: 8, splits: 0 });
    events.push(measured(8, 3, &|era| 1.0 + era as f64));
    // 8 eras are 8 blocks: 70 ways to take four.
    assert_eq!(of(&events).overfitting, Overfitting { probability: Some(0.0), trials: 8, measured: 9, splits: 70 });
}
