//! Against statsmodels, closed forms, and simulations whose truth is known.

use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;

use super::super::normal;
use super::*;

#[derive(Deserialize)]
struct Case {
    values: Vec<f64>,
    errors: Vec<f64>,
    freedoms: Vec<Option<f64>>,
    mean: f64,
    spread: f64,
    low: f64,
    high: f64,
}

fn known(value: f64, standard_error: f64) -> Estimate {
    Estimate { value, standard_error, degrees_of_freedom: f64::INFINITY }
}

/// Both look for the same root; the tolerance is a millionth of the interval.
#[test]
fn it_agrees_with_statsmodels() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/fixtures/random_effects.json")).expect("of this shape");
    assert!(
        cases.len() > 10 && cases.iter().any(|case| case.spread == 0.0) && cases.iter().any(|case| case.spread > 0.0)
    );
    for case in cases {
        let estimates: Vec<Estimate> = (0..case.values.len())
            .map(|at| Estimate {
                value: case.values[at],
                standard_error: case.errors[at],
                degrees_of_freedom: case.freedoms[at].unwrap_or(f64::INFINITY),
            })
            .collect();
        let found = together(&estimates, 0.95).expect("valid");
        let tolerance = 1e-6 * (case.high - case.low);
        for (found, wanted) in [
            (found.mean, case.mean),
            (found.interval.low, case.low),
            (found.interval.high, case.high),
            (found.spread.expect("of several"), case.spread),
        ] {
            assert!((found - wanted).abs() < tolerance, "{found} for {wanted}");
        }
    }
}

/// Of one estimate all is its own. t with 5 degrees of freedom has its 97.5 % quantile at 2.570582 (any printed table).
#[test]
fn a_single_estimate_stands_for_itself() {
    let found =
        together(&[Estimate { value: 3.0, standard_error: 2.0, degrees_of_freedom: 5.0 }], 0.95).expect("valid");
    assert_eq!((found.mean, found.spread, found.shrunk), (3.0, None, vec![3.0]));
    assert!((found.interval.high - (3.0 + 2.0 * 2.570_582)).abs() < 1e-5, "{:?}", found.interval);
}

/// Equal errors have a closed form: the plain mean, τ² = s² − σ², and the t interval of the values themselves. t with 2 degrees
/// of freedom has its 97.5 % quantile at 4.302653, and the variance of 1, 2, 6 is 7.
#[test]
fn equal_errors_by_hand() {
    let found = together(&[known(1.0, 1.0), known(2.0, 1.0), known(6.0, 1.0)], 0.95).expect("valid");
    assert!((found.mean - 3.0).abs() < 1e-12);
    assert!((found.spread.expect("of three") - 6.0_f64.sqrt()).abs() < 1e-9);
    assert!((found.interval.high - (3.0 + 4.302_653 * (7.0_f64 / 3.0).sqrt())).abs() < 1e-5);
    assert!((found.shrunk[2] - (3.0 + 3.0 * 6.0 / 7.0)).abs() < 1e-9);
}

#[test]
fn wrong_input_has_a_name() {
    assert!(matches!(together(&[], 0.95), Err(StatsError::TooFew { .. })));
    assert!(matches!(together(&[known(f64::NAN, 1.0)], 0.95), Err(StatsError::NotFinite { .. })));
    assert!(matches!(together(&[known(1.0, 0.0), known(1.0, 1.0)], 0.95), Err(StatsError::OutOfRange { .. })));
    let none = Estimate { degrees_of_freedom: 0.0, ..known(1.0, 1.0) };
    assert!(matches!(together(&[none, known(1.0, 1.0)], 0.95), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(together(&[known(1.0, 1.0)], 1.0), Err(StatsError::OutOfRange { .. })));
}

/// Kinds of changes whose trials differ sixteenfold in their errors, with and without a spread of true effects: the 95 %
/// interval holds the true mean about as often as it says. A share of 4000 has a standard error of 0.0035; with few trials
/// and no spread Student's t is a little wide, on purpose.
#[test]
fn the_interval_holds_the_truth() {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    for (trials, spread, fewest, most) in
        [(3, 0.0, 0.95, 1.0), (8, 0.0, 0.945, 0.99), (8, 0.003, 0.92, 0.97), (20, 0.002, 0.92, 0.97)]
    {
        let mut held = 0;
        for _ in 0..4000 {
            let mut normal_number = || normal::upper_quantile(1.0 - generator.random::<f64>());
            let estimates: Vec<Estimate> = (0..trials)
                .map(|index| {
                    let error = 0.0005 * f64::from(1 << (index % 5));
                    known(-0.001 + spread * normal_number() + error * normal_number(), error)
                })
                .collect();
            let found = together(&estimates, 0.95).expect("valid").interval;
            held += i32::from((found.low..=found.high).contains(&-0.001));
        }
        let share = f64::from(held) / 4000.0;
        assert!((fewest..=most).contains(&share), "{share} of {trials} trials with a spread of {spread}");
    }
}

proptest! {
    /// What knows next to nothing does not draw the mean out of the others' range, whatever it says (its weight is below a
    /// millionth); the order changes nothing; and the mean lies among the estimates, within its interval.
    #[test]
    fn little_knowledge_weighs_little(
        values in prop::collection::vec((-0.01..0.01_f64, 0.0005..0.002_f64), 2..12),
        loud in -0.05..0.05_f64,
    ) {
        let estimates: Vec<Estimate> = values.iter().map(|(value, error)| known(*value, *error)).collect();
        let found = together(&estimates, 0.95).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let with: Vec<Estimate> = std::iter::once(known(loud, 1e3)).chain(estimates.iter().copied()).collect();
        let after = together(&with, 0.95).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let reversed: Vec<Estimate> = estimates.iter().rev().copied().collect();
        let back = together(&reversed, 0.95).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!((back.mean - found.mean).abs() < 1e-9);
        let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (value, _)| (low.min(*value), high.max(*value)));
        prop_assert!(found.mean >= low - 1e-12 && found.mean <= high + 1e-12);
        prop_assert!(after.mean >= low - 1e-6 && after.mean <= high + 1e-6, "{after:?}");
        prop_assert!(found.interval.low <= found.mean && found.mean <= found.interval.high);
    }
}
