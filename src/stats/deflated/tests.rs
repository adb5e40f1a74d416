//! The best of many against exact expectations, and what must hold for any.

use proptest::prelude::*;
use serde::Deserialize;

use super::super::error::StatsError;
use super::*;

#[derive(Deserialize)]
struct Fixtures {
    expected_max: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    trials: u32,
    exact: f64,
}

/// The exact expectations are integrals by scipy. The formula is an approximation, as good as its documentation says.
#[test]
fn comes_near_the_exact_expectation() {
    let fixtures: Fixtures =
        serde_json::from_str(include_str!("../../../tests/fixtures/statistics.json")).expect("of this shape");
    assert!(fixtures.expected_max.len() >= 8);
    for case in fixtures.expected_max {
        let off = expected_max(1.0, case.trials).expect("valid") / case.exact - 1.0;
        let allowed = match case.trials {
            2 => -0.08..-0.07,
            100.. => 0.0..0.0093,
            _ => 0.0..0.026,
        };
        assert!(allowed.contains(&off), "{} trials: {off}", case.trials);
    }
    assert_eq!(expected_max(1.0, 1), Ok(0.0));
}

/// Bailey and López de Prado 2014 print for a hundred trials of variance ½ an expected maximum of 0.1132 in daily units of
/// a year of 250 days, which is √½ · 2.53 / √250.
#[test]
fn agrees_with_the_papers_example() {
    let found = expected_max((0.5_f64 / 250.0).sqrt(), 100).expect("valid");
    assert!((found - 0.1132).abs() < 5e-5, "{found}");
}

/// By hand for one trial: no deflation, z = 2, and the p-value of the plain test. For many: 1 − Φ(2)¹⁰ with Φ(2) = 0.977250.
#[test]
fn by_hand() {
    let one = deflated(0.02, 0.01, 1).expect("valid");
    assert_eq!((one.expected_max, one.z), (0.0, 2.0));
    assert!((one.probability - 0.977_249_868).abs() < 1e-8 && (one.by_chance - 0.022_750_132).abs() < 1e-8);
    let ten = deflated(0.02, 0.01, 10).expect("valid");
    assert!((ten.by_chance - (1.0 - 0.977_249_868_f64.powi(10))).abs() < 1e-7, "{ten:?}");
    assert_eq!(deflated(-1e9, 1.0, 10).expect("valid").by_chance, 1.0);
}

#[test]
fn wrong_input_has_a_name() {
    assert!(matches!(expected_max(1.0, 0), Err(StatsError::TooFew { .. })));
    assert!(matches!(expected_max(-1.0, 3), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(expected_max(f64::NAN, 3), Err(StatsError::NotFinite { .. })));
    assert!(matches!(deflated(1.0, 0.0, 3), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(deflated(f64::INFINITY, 1.0, 3), Err(StatsError::NotFinite { .. })));
    assert!(matches!(deflated(1e300, 1e-300, 3), Err(StatsError::Overflow { .. })));
}

proptest! {
    #[test]
    fn more_trials_ask_for_more(observed in -5.0..5.0_f64, more in 0.0..3.0_f64, trials in 1u32..100_000) {
        let found = deflated(observed, 1.0, trials).expect("valid");
        let others = deflated(observed, 1.0, trials + 1).expect("valid");
        prop_assert!(others.expected_max > found.expected_max && others.probability <= found.probability);
        prop_assert!(others.by_chance >= found.by_chance - 1e-15);
        let better = deflated(observed + more, 1.0, trials).expect("valid");
        prop_assert!(better.probability >= found.probability && better.by_chance <= found.by_chance);
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(observed in any::<f64>(), spread in any::<f64>(), trials in any::<u32>()) {
        if let Ok(found) = deflated(observed, spread, trials) {
            prop_assert!(found.expected_max.is_finite() && found.z.is_finite());
            prop_assert!((0.0..=1.0).contains(&found.probability) && (0.0..=1.0).contains(&found.by_chance));
        }
    }
}
