//! Levels against onlineFDR's formula, and the promise that they keep.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    online: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    alpha: f64,
    rejections: Vec<usize>,
    levels: Vec<f64>,
}

/// Both sides add a handful of numbers: a relative 1e-12 leaves room for the order only.
#[test]
fn agrees_with_the_formula_of_online_fdr() {
    let fixtures: Fixtures =
        serde_json::from_str(include_str!("../../../tests/fixtures/statistics.json")).expect("of this shape");
    assert!(fixtures.online.len() >= 4);
    for case in &fixtures.online {
        for (before, wanted) in case.levels.iter().enumerate() {
            let found = lord_plus_plus(case.alpha, &case.rejections, before + 1).expect("valid");
            assert!(
                (found / wanted - 1.0).abs() < 1e-12,
                "{:?}, test {}: {found} for {wanted}",
                case.rejections,
                before + 1
            );
        }
    }
}

#[test]
fn bonferroni() {
    assert_eq!(familywise(0.05, 100), Ok(0.0005));
    assert_eq!(familywise(0.05, 1), Ok(0.05));
}

/// The weights sum to at most one over all tests: 0.976. Beyond n, ∫ ln x / (x e^{√ln x}) dx = 2e^{−u}(u³ + 3u² + 6u + 6)
/// at u = √ln n, which bounds the rest from above: the terms fall from j = 3 on.
#[test]
fn the_weights_sum_to_less_than_one() {
    let count = 200_000;
    let sum: f64 = (1..=count).map(gamma).sum();
    let u = (count as f64).ln().sqrt();
    let rest = NORMALIZER * 2.0 * (-u).exp() * (u.powi(3) + 3.0 * u * u + 6.0 * u + 6.0);
    assert!((0.97..=1.0).contains(&(sum + rest)), "{sum} {rest}");
}

#[test]
fn wrong_input_has_a_name() {
    assert!(matches!(familywise(0.05, 0), Err(StatsError::TooFew { .. })));
    assert!(matches!(familywise(1.0, 3), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(lord_plus_plus(f64::NAN, &[], 1), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(lord_plus_plus(0.05, &[], 0), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(lord_plus_plus(0.05, &[0, 2], 3), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(lord_plus_plus(0.05, &[2, 2], 3), Err(StatsError::NotAscending { index: 1, .. })));
}

proptest! {
    /// Wealth is never negative: at every time the levels so far sum to at most α times the rejections before, or α.
    #[test]
    fn no_more_is_spent_than_was_earned(
        alpha in 0.001..0.5_f64, rejected in prop::collection::vec(any::<bool>(), 1..120),
    ) {
        let (mut rejections, mut sum) = (Vec::new(), 0.0);
        for (before, rejected) in rejected.iter().enumerate() {
            let level = lord_plus_plus(alpha, &rejections, before + 1).expect("valid");
            prop_assert!(level > 0.0 && level < alpha);
            sum += level;
            prop_assert!(sum <= alpha * rejections.len().max(1) as f64);
            if *rejected {
                rejections.push(before + 1);
            }
        }
    }

    #[test]
    fn a_rejection_never_costs(alpha in 0.001..0.5_f64, at in 1usize..50, test in 1usize..100) {
        let without = lord_plus_plus(alpha, &[], test).expect("valid");
        prop_assert!(lord_plus_plus(alpha, &[at], test).expect("valid") >= without);
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(
        alpha in any::<f64>(), rejections in prop::collection::vec(any::<usize>(), 0..6), test in any::<usize>(),
    ) {
        let _ = lord_plus_plus(alpha, &rejections, test);
    }
}
