//! Shrunk estimates against scipy, closed forms and simulations whose truth is known.

use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    truncated: Vec<Selected>,
    normal_means: Vec<Many>,
}

#[derive(Deserialize)]
struct Selected {
    estimate: f64,
    error: f64,
    threshold: f64,
    confidence: f64,
    /// The median-unbiased estimate and the interval.
    expected: [f64; 3],
}

#[derive(Deserialize)]
struct Many {
    estimates: Vec<f64>,
    standard_errors: Vec<f64>,
    centre: f64,
    spread: f64,
    means: Vec<f64>,
    errors: Vec<f64>,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../../../tests/fixtures/statistics.json")).expect("of this shape")
}

fn normal_number(generator: &mut ChaCha8Rng) -> f64 {
    normal::upper_quantile(1.0 - generator.random::<f64>())
}

/// Far out, where the tail is an expansion, the difference of two large logarithms keeps about eight digits.
#[test]
fn selection_agrees_with_scipy() {
    for case in fixtures().truncated {
        let found = truncated(case.estimate, case.error, case.threshold, case.confidence).expect("valid");
        let [middle, low, high] = case.expected;
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-6 * (wanted.abs() + case.error);
        assert!(near(found.estimate, middle.max(0.0)), "{found:?} for {:?}", case.expected);
        assert!(near(found.interval.low, low) && near(found.interval.high, high), "{found:?} for {:?}", case.expected);
    }
}

#[test]
fn without_selection_it_is_the_plain_interval() {
    let found = truncated(-0.3, 2.0, -1e300, 0.95).expect("valid");
    assert!((found.estimate + 0.3).abs() < 1e-9);
    assert!((found.interval.low + 0.3 + 2.0 * 1.959_963_984_540_054).abs() < 1e-8, "{found:?}");
    assert!((found.interval.high + 0.3 - 2.0 * 1.959_963_984_540_054).abs() < 1e-8, "{found:?}");
}

/// A truth of one standard error, seen only above 1.64 of them: the plain estimate is too high nine times in ten and more;
/// the corrected one as often too high as too low, and its interval holds the truth as often as it says. 4000 selected
/// draws: standard errors of 0.008 and 0.003.
#[test]
fn selection_is_undone_on_average() {
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    let (mut seen, mut too_high, mut plain_too_high, mut covered) = (0, 0, 0, 0);
    while seen < 4000 {
        let estimate = 1.0 + normal_number(&mut generator);
        if estimate > 1.64 {
            let found = truncated(estimate, 1.0, 1.64, 0.95).expect("valid");
            seen += 1;
            too_high += i32::from(found.estimate > 1.0);
            plain_too_high += i32::from(estimate > 1.0);
            covered += i32::from((found.interval.low..=found.interval.high).contains(&1.0));
        }
    }
    assert_eq!(plain_too_high, seen);
    assert!((1880..2120).contains(&too_high), "{too_high}");
    assert!((3750..3850).contains(&covered), "{covered}");
}

/// Sums of at most thirty terms, and a root to 1e-13.
#[test]
fn many_means_agree_with_the_formulas_in_numpy() {
    for case in fixtures().normal_means {
        let found = normal_means(&case.estimates, &case.standard_errors).expect("valid");
        assert!((found.centre / case.centre - 1.0).abs() < 1e-7 && (found.spread / case.spread - 1.0).abs() < 1e-6);
        for (index, mean) in found.means.iter().enumerate() {
            assert!((mean - case.means[index]).abs() < 1e-7 * case.spread, "{found:?}");
            assert!((found.standard_errors[index] / case.errors[index] - 1.0).abs() < 1e-6);
        }
    }
}

/// Equal errors have a closed form: τ² = s² of the estimates − σ², so that B = σ²/s². Here s² = 10, σ = 2.
#[test]
fn many_means_by_hand() {
    let found = normal_means(&[-3.0, 1.0, 3.0, 1.0, 5.0, -1.0], &[2.0; 6]).expect("valid");
    let (centre, shrink) = (1.0, 4.0 / 8.0);
    assert!((found.centre - centre).abs() < 1e-12 && (found.spread - 2.0).abs() < 1e-9, "{found:?}");
    assert!((found.means[4] - (centre + (1.0 - shrink) * 4.0)).abs() < 1e-9);
    let alike = normal_means(&[1.0, 1.5, 0.5], &[1.0; 3]).expect("valid");
    assert_eq!(alike.spread, 0.0);
    assert!(alike.means.iter().all(|mean| (mean - 1.0).abs() < 1e-12));
    assert!((alike.standard_errors[0] - (1.0_f64 / 3.0).sqrt()).abs() < 1e-12);
}

/// Among 400 trials of which few are worth anything, the best by its plain estimate is far too good; its shrunk estimate is
/// right on average. Over 200 nights the mean error has a standard error of about 0.03.
#[test]
fn the_best_of_many_is_right_on_average() {
    let mut generator = ChaCha8Rng::seed_from_u64(8);
    let (nights, errors) = (200, [1.0; 400]);
    let (mut plain, mut shrunk) = (0.0, 0.0);
    for _ in 0..nights {
        let truths: Vec<f64> = errors.iter().map(|_| -0.5 + 0.6 * normal_number(&mut generator)).collect();
        let estimates: Vec<f64> = truths.iter().map(|truth| truth + normal_number(&mut generator)).collect();
        let found = normal_means(&estimates, &errors).expect("valid");
        let best = (0..400).max_by(|a, b| estimates[*a].total_cmp(&estimates[*b])).expect("some");
        plain += (estimates[best] - truths[best]) / f64::from(nights);
        shrunk += (found.means[best] - truths[best]) / f64::from(nights);
    }
    assert!(plain > 2.0, "{plain}");
    assert!(shrunk.abs() < 0.15, "{shrunk}");
}

#[test]
fn wrong_input_has_a_name() {
    assert!(matches!(truncated(1.0, 1.0, 1.0, 0.9), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(truncated(1.0, 0.0, 0.0, 0.9), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(truncated(f64::NAN, 1.0, 0.0, 0.9), Err(StatsError::NotFinite { index: 0, .. })));
    assert!(matches!(truncated(1.0, 1.0, 0.0, 0.0), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(normal_means(&[1.0], &[1.0]), Err(StatsError::TooFew { .. })));
    assert!(matches!(normal_means(&[1.0, 2.0], &[1.0]), Err(StatsError::LengthsDiffer { .. })));
    assert!(matches!(normal_means(&[1.0, 2.0], &[1.0, 0.0]), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(normal_means(&[1.0, f64::NAN], &[1.0, 1.0]), Err(StatsError::NotFinite { .. })));
    assert!(matches!(normal_means(&[1e300, 0.0], &[1e-10, 1e-10]), Err(StatsError::Overflow { .. })));
}

proptest! {
    /// A selected estimate is never raised, a higher one never means less, and the interval is in order.
    #[test]
    fn selection_only_takes(excess in 1e-4..20.0_f64, more in 0.0..5.0_f64, threshold in -3.0..3.0_f64, scale in -9.0..3.0_f64) {
        let scale = 10.0_f64.powf(scale);
        let at = |excess: f64| truncated(scale * (threshold + excess), scale, scale * threshold, 0.9).expect("valid");
        let (found, higher) = (at(excess), at(excess + more));
        let plain = scale * (threshold + excess);
        prop_assert!(found.estimate <= plain.max(0.0) + 1e-9 * scale);
        prop_assert!(plain < 0.0 || found.estimate >= 0.0);
        prop_assert!(found.interval.low <= found.interval.high);
        prop_assert!(higher.estimate >= found.estimate - 1e-6 * scale);
        prop_assert!(higher.interval.low >= found.interval.low - 1e-4 * (scale + found.interval.low.abs()));
    }

    #[test]
    fn many_means_are_drawn_together(
        effects in prop::collection::vec((-1.0..1.0_f64, 0.01..2.0_f64), 2..30), shift in -10.0..10.0_f64,
    ) {
        let (estimates, errors): (Vec<f64>, Vec<f64>) = effects.into_iter().unzip();
        let found = normal_means(&estimates, &errors).expect("valid");
        let moved: Vec<f64> = estimates.iter().map(|estimate| estimate + shift).collect();
        let moved = normal_means(&moved, &errors).expect("valid");
        for (index, mean) in found.means.iter().enumerate() {
            let (low, high) = (estimates[index].min(found.centre), estimates[index].max(found.centre));
            prop_assert!(*mean >= low - 1e-9 && *mean <= high + 1e-9);
            prop_assert!(found.standard_errors[index] > 0.0);
            prop_assert!((moved.means[index] - mean - shift).abs() < 1e-5);
        }
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(
        numbers in any::<[f64; 4]>(), effects in prop::collection::vec(any::<(f64, f64)>(), 0..6),
    ) {
        if let Ok(found) = truncated(numbers[0], numbers[1], numbers[2], numbers[3]) {
            prop_assert!(found.estimate.is_finite() && found.interval.low.is_finite() && found.interval.high.is_finite());
        }
        let (estimates, errors): (Vec<f64>, Vec<f64>) = effects.into_iter().unzip();
        if let Ok(found) = normal_means(&estimates, &errors) {
            prop_assert!(found.means.iter().chain(&found.standard_errors).all(|number| number.is_finite()));
        }
    }
}
