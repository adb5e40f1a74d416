//! Intervals against scipy, and what must hold for any.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    proportions: Vec<Proportion>,
    student: Vec<Student>,
}

#[derive(Deserialize)]
struct Proportion {
    successes: u64,
    trials: u64,
    confidence: f64,
    exact: (f64, f64),
    wilson: (f64, f64),
}

#[derive(Deserialize)]
struct Student {
    confidence: f64,
    freedom: f64,
    t: f64,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../../../tests/fixtures/statistics.json")).expect("of this shape")
}

fn near(found: Interval, wanted: (f64, f64), tolerance: f64) -> bool {
    (found.low - wanted.0).abs() < tolerance && (found.high - wanted.1).abs() < tolerance
}

/// The incomplete beta function has about twelve digits on either side.
#[test]
fn proportions_agree_with_scipy() {
    for case in fixtures().proportions {
        let exact = clopper_pearson(case.successes, case.trials, case.confidence).expect("valid");
        let score = wilson(case.successes, case.trials, case.confidence).expect("valid");
        assert!(near(exact, case.exact, 1e-9), "{exact:?} for {:?}", case.exact);
        assert!(near(score, case.wilson, 1e-9), "{score:?} for {:?}", case.wilson);
    }
}

#[test]
fn students_t_agrees_with_scipy() {
    for case in fixtures().student {
        let found = student_quantile(case.confidence, case.freedom).expect("valid");
        assert!((found / case.t - 1.0).abs() < 1e-7, "{} {}: {found} for {}", case.confidence, case.freedom, case.t);
    }
    let normal = student_quantile(0.95, f64::INFINITY).expect("valid");
    assert!((normal - 1.959_963_984_540_054).abs() < 1e-9);
}

/// By hand: mean 2, s = 1, three values, so that the half width is t₂(0.975)/√3 with t₂ = 4.302653.
#[test]
fn a_mean_by_hand() {
    let found = mean_interval(&[1.0, 2.0, 3.0], 0.95).expect("valid");
    let half = 4.302_652_73 / 3.0_f64.sqrt();
    assert!(near(found, (2.0 - half, 2.0 + half), 1e-6), "{found:?}");
    assert_eq!(mean_interval(&[5.0, 5.0], 0.95), Ok(Interval { low: 5.0, high: 5.0 }));
}

/// Exactly: the probability, under each true share, of the outcomes whose interval holds it.
#[test]
fn clopper_and_pearson_cover() {
    let trials = 12_u64;
    let intervals: Vec<Interval> =
        (0..=trials).map(|hits| clopper_pearson(hits, trials, 0.9).expect("valid")).collect();
    for step in 1..100_u32 {
        let share = f64::from(step) / 100.0;
        let mut chance = (1.0 - share).powi(12);
        let mut covered = 0.0;
        for (hits, interval) in intervals.iter().enumerate() {
            covered += if (interval.low..=interval.high).contains(&share) { chance } else { 0.0 };
            chance *= (12.0 - hits as f64) / (hits as f64 + 1.0) * share / (1.0 - share);
        }
        assert!(covered >= 0.9 - 1e-9, "{share}: {covered}");
    }
}

#[test]
fn wrong_input_has_a_name() {
    assert!(matches!(clopper_pearson(0, 0, 0.95), Err(StatsError::TooFew { .. })));
    assert!(matches!(clopper_pearson(3, 2, 0.95), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(wilson(1, 2, 1.0), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(wilson(1, 2, f64::NAN), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(mean_interval(&[1.0], 0.95), Err(StatsError::TooFew { .. })));
    assert!(matches!(mean_interval(&[1.0, f64::INFINITY], 0.95), Err(StatsError::NotFinite { index: 1, .. })));
    assert!(matches!(student(0.0, -1.0, 3.0, 0.9), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(student(0.0, 1.0, 0.0, 0.9), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(student(1e308, 1e308, 1.0, 0.9), Err(StatsError::Overflow { .. })));
}

proptest! {
    #[test]
    fn proportions_are_sound(trials in 1u64..2000, share in 0.0..=1.0_f64, confidence in 0.01..0.9999_f64) {
        let successes = (trials as f64 * share).round() as u64;
        let middle = successes as f64 / trials as f64;
        for method in [clopper_pearson, wilson] {
            let found = method(successes, trials, confidence).expect("valid");
            prop_assert!(0.0 <= found.low && found.low <= middle + 1e-12, "{:?} {}", found, middle);
            prop_assert!(middle - 1e-12 <= found.high && found.high <= 1.0, "{:?} {}", found, middle);
            let mirrored = method(trials - successes, trials, confidence).expect("valid");
            prop_assert!((mirrored.low + found.high - 1.0).abs() < 1e-9);
            if successes < trials {
                let more = method(successes + 1, trials, confidence).expect("valid");
                prop_assert!(more.low >= found.low && more.high >= found.high);
            }
        }
    }

    #[test]
    fn means_know_no_order(values in prop::collection::vec(-1e3..1e3_f64, 2..30), confidence in 0.01..0.999_f64) {
        let mut turned = values.clone();
        turned.reverse();
        let found = mean_interval(&values, confidence).expect("valid");
        let other = mean_interval(&turned, confidence).expect("valid");
        prop_assert!(near(found, (other.low, other.high), 1e-6 * (1.0 + found.high.abs())));
        prop_assert!(found.low <= found.high);
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(
        counts in any::<(u64, u64)>(), numbers in any::<[f64; 4]>(), values in prop::collection::vec(any::<f64>(), 0..5),
    ) {
        for method in [clopper_pearson, wilson] {
            if let Ok(found) = method(counts.0.min(counts.1), counts.0.max(counts.1), numbers[3]) {
                prop_assert!((0.0..=1.0).contains(&found.low) && (0.0..=1.0).contains(&found.high));
            }
        }
        if let Ok(found) = student(numbers[0], numbers[1], numbers[2], numbers[3]) {
            prop_assert!(found.low.is_finite() && found.high.is_finite());
        }
        let _ = mean_interval(&values, numbers[3]);
    }
}
