//! Bounds against published tables, scipy's quadrature and multivariate normal probabilities; what must hold for any.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    spending: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    alpha: f64,
    fractions: Vec<f64>,
    bounds: Vec<f64>,
}

/// Bounds by Simpson's rule on another grid, each set checked there against scipy's multivariate normal probability of any
/// crossing (2e-6). Both integrate to about nine digits; a bound moves by less than its probability's relative error.
#[test]
fn agrees_with_scipy() {
    let fixtures: Fixtures =
        serde_json::from_str(include_str!("../../../tests/fixtures/statistics.json")).expect("of this shape");
    assert!(fixtures.spending.len() >= 8);
    for case in &fixtures.spending {
        let found = bounds(case.alpha, &case.fractions).expect("valid");
        for (found, wanted) in found.iter().zip(&case.bounds) {
            assert!((found - wanted).abs() < 2e-7, "{} {:?}: {found} for {wanted}", case.alpha, case.fractions);
        }
    }
}

/// Lan and DeMets' bounds of O'Brien and Fleming's type for five equal looks at the two-sided level 0.05, as every
/// textbook and program prints them: 0.025 on this side. (Jennison and Turnbull 2000; R's gsDesign and ldbounds.)
#[test]
fn agrees_with_the_published_table() {
    let found = bounds(0.025, &[0.2, 0.4, 0.6, 0.8, 1.0]).expect("valid");
    for (found, wanted) in found.iter().zip([4.8769, 3.3569, 2.6803, 2.2898, 2.0310]) {
        assert!((found - wanted).abs() < 1.5e-4, "{found} for {wanted}");
    }
}

#[test]
fn one_look_is_the_plain_test() {
    for alpha in [0.2, 0.05, 1e-3, 1e-6] {
        let found = bounds(alpha, &[1.0]).expect("valid");
        assert!((normal::above(found[0]) / alpha - 1.0).abs() < 1e-9);
        let spent_in_all = spent(alpha, 1.0).expect("valid");
        assert!((spent_in_all / alpha - 1.0).abs() < 1e-9, "{spent_in_all} of {alpha}");
        assert_eq!(spent(alpha, 0.0), Ok(0.0));
    }
}

#[test]
fn a_look_with_nothing_to_spend_has_no_bound() {
    let found = bounds(0.0005, &[0.05, 0.5, 1.0]).expect("valid");
    assert_eq!(found[0], f64::INFINITY);
    let without = bounds(0.0005, &[0.5, 1.0]).expect("valid");
    assert!((found[1] - without[0]).abs() < 1e-6 && (found[2] - without[1]).abs() < 1e-6, "{found:?} {without:?}");
}

/// Two looks at almost the same data: the second is bounded by its own tail, which is strict, and nothing breaks.
#[test]
fn looks_that_are_hardly_apart_are_strict() {
    let near = bounds(0.05, &[0.5, 0.500_01, 0.8, 1.0]).expect("valid");
    let without = bounds(0.05, &[0.5, 0.8, 1.0]).expect("valid");
    assert!(near[1] > near[0]);
    assert!((near[0] - without[0]).abs() < 1e-12);
    // What was spent in between is no longer there.
    assert!(near[2] >= without[1] - 1e-9 && near[2] < without[1] + 0.01, "{near:?} {without:?}");
}

/// The last step is so short that the bound of its tail alone lies far outside of where anybody can come from: found by a
/// random test. scipy's number, by the same recursion as the fixture.
#[test]
fn a_short_last_step_is_found() {
    let fractions = [0.209_252_205_353_773_98, 0.571_366_290_730_969_7, 0.989_852_132_447_227_1, 1.0];
    let found = bounds(0.030_302_680_542_041_16, &fractions).expect("valid");
    for (found, wanted) in found.iter().zip([4.592_721_052, 2.638_743_335, 1.908_673_455, 1.979_650_541]) {
        assert!((found - wanted).abs() < 2e-7, "{found} for {wanted}");
    }
}

#[test]
fn wrong_input_has_a_name() {
    assert!(matches!(spent(0.0, 0.5), Err(StatsError::OutOfRange { what: "alpha", .. })));
    assert!(matches!(spent(f64::NAN, 0.5), Err(StatsError::OutOfRange { what: "alpha", .. })));
    assert!(matches!(spent(0.1, 1.1), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(bounds(0.05, &[]), Err(StatsError::TooFew { .. })));
    assert!(matches!(bounds(0.05, &[0.5, f64::NAN]), Err(StatsError::NotFinite { index: 1, .. })));
    assert!(matches!(bounds(0.05, &[0.0, 1.0]), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(bounds(0.05, &[0.5, 0.5]), Err(StatsError::NotAscending { index: 1, .. })));
    assert!(matches!(predictive_power(0.1, 1.0, 2.0, 2.0), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(predictive_power(0.1, 1.0, -1.0, 2.0), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(predictive_power(f64::NAN, 1.0, 0.5, 2.0), Err(StatsError::NotFinite { index: 0, .. })));
    assert!(matches!(predictive_power(0.1, 1.0, 0.5, f64::NAN), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(predictive_power(0.1, 1.0, 0.5, f64::NEG_INFINITY), Err(StatsError::OutOfRange { .. })));
}

/// Half of the information, an estimate just at what the end will ask for: a toss-up. The other number is scipy's
/// `norm.cdf((0.3 - 1.96 * 0.1) / sqrt(0.03))`.
#[test]
fn predictive_power_in_closed_form() {
    let power = |estimate, now, end, z| predictive_power(estimate, now, end, z).expect("valid");
    assert_eq!(power(0.2, 0.02, 0.01, 2.0), 0.5);
    assert!((power(0.3, 0.04, 0.01, 1.96) - 0.725_894_907_527_095_1).abs() < 1e-9);
    assert_eq!(power(0.2, 0.01, 0.01, 2.0), 1.0);
    assert_eq!(power(0.199, 0.01, 0.01, 2.0), 0.0);
    assert_eq!(power(9.0, 0.02, 0.01, f64::INFINITY), 0.0);
    assert_eq!(power(0.0, 0.0, 0.0, 2.0), 1.0);
    assert_eq!(power(1e308, 1e-300, 0.0, 2.0), 1.0);
}

fn looks() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.02..1.0_f64, 1..5).prop_map(|steps| {
        let total: f64 = steps.iter().sum();
        let mut sum = 0.0;
        let mut out: Vec<f64> = steps
            .iter()
            .map(|step| {
                sum += step / total;
                sum.min(1.0)
            })
            .collect();
        if let Some(last) = out.last_mut() {
            *last = 1.0;
        }
        out.dedup();
        out
    })
}

proptest! {
    /// The bounds lie between the plain test's and the Bonferroni bound of each look's increment, and a smaller level
    /// asks for more at every look.
    #[test]
    fn bounds_are_sound(fractions in looks(), exponent in 0.7..6.0_f64) {
        let alpha = 10.0_f64.powf(-exponent);
        let found = bounds(alpha, &fractions).expect("valid");
        let stricter = bounds(alpha / 2.0, &fractions).expect("valid");
        prop_assert_eq!(found.len(), fractions.len());
        let plain = normal::upper_quantile(alpha);
        for (look, bound) in found.iter().enumerate() {
            prop_assert!(!bound.is_nan());
            prop_assert!(*bound >= plain - 1e-9, "{} {:?} {:?}", alpha, fractions, found);
            prop_assert!(stricter[look] >= bound - 1e-9, "{} {:?} {:?} {:?}", alpha, fractions, found, stricter);
        }
    }

    #[test]
    fn more_is_spent_later(exponent in 0.1..6.0_f64, early in 0.0..1.0_f64, later in 0.0..1.0_f64) {
        let alpha = 10.0_f64.powf(-exponent);
        let (early, later) = (early.min(later), early.max(later));
        let (first, second) = (spent(alpha, early).expect("valid"), spent(alpha, later).expect("valid"));
        prop_assert!((0.0..=alpha).contains(&first) && first <= second && second <= alpha);
    }

    #[test]
    fn predictive_power_grows_with_the_estimate(
        estimate in -1.0..1.0_f64, more in 0.0..1.0_f64, now in 0.0..1.0_f64, share in 0.0..=1.0_f64, z in -4.0..8.0_f64,
    ) {
        let power = |estimate| predictive_power(estimate, now, now * share, z).expect("valid");
        let (low, high) = (power(estimate), power(estimate + more));
        prop_assert!((0.0..=1.0).contains(&low) && low <= high);
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(
        alpha in any::<f64>(), fractions in prop::collection::vec(any::<f64>(), 0..5), numbers in any::<[f64; 4]>(),
    ) {
        let _ = spent(alpha, fractions.first().copied().unwrap_or(0.5));
        let _ = bounds(alpha, &fractions);
        if let Ok(power) = predictive_power(numbers[0], numbers[1], numbers[2], numbers[3]) {
            prop_assert!((0.0..=1.0).contains(&power));
        }
    }
}
