//! The bootstrap against its closed form, arch's block length and Newey and West.

use proptest::prelude::*;
use serde::Deserialize;

use super::super::error::StatsError;
use super::super::long_run;
use super::*;

#[derive(Deserialize)]
struct Fixtures {
    bootstrap: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    series: Vec<f64>,
    optimal: f64,
    length: f64,
    standard_error: f64,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/fixtures/statistics.json");
    let fixtures: Fixtures = serde_json::from_str(text).expect("of this shape");
    assert!(fixtures.bootstrap.len() >= 4);
    fixtures.bootstrap
}

/// arch 8.0 decides which autocorrelations are small with a slightly different denominator; on these series that decides
/// nothing.
#[test]
fn block_lengths_agree_with_arch() {
    for case in cases() {
        let found = block_length(&case.series).expect("valid");
        assert!((found / case.optimal - 1.0).abs() < 1e-9, "{found} for {}", case.optimal);
    }
}

/// The fixture sums over all pairs of places in a resample, with circular autocovariances: Politis and Romano's formula before
/// it is simplified.
#[test]
fn the_closed_form_agrees_with_all_pairs() {
    for case in cases() {
        let found = standard_error(&case.series, case.length).expect("valid");
        assert!((found / case.standard_error - 1.0).abs() < 1e-9, "{found} for {}", case.standard_error);
    }
}

/// 4000 draws know a standard deviation to 1.1 %, and the median of their means to 2 % of it.
#[test]
fn draws_tend_to_the_closed_form() {
    for case in cases() {
        let found = resampled(&case.series, case.length, 4000, 0.95, 7).expect("valid");
        assert!(
            (found.standard_error / case.standard_error - 1.0).abs() < 0.04,
            "{found:?} for {}",
            case.standard_error
        );
        let half = (found.interval.high - found.interval.low) / 2.0;
        assert!((half / (1.96 * case.standard_error) - 1.0).abs() < 0.1, "{found:?}");
        assert_eq!(found, resampled(&case.series, case.length, 4000, 0.95, 7).expect("valid"));
        assert_ne!(found, resampled(&case.series, case.length, 4000, 0.95, 8).expect("valid"));
    }
}

/// With blocks of one value it is the classical error with n in place of n − 1.
#[test]
fn single_values_are_the_classical_bootstrap() {
    let series = [0.3, -1.0, 2.0, 0.7, 0.0, 5.0, 1.0, 2.5, 0.1];
    let classical = (long_run::variance(&series).expect("valid") * 8.0 / 9.0 / 9.0).sqrt();
    assert!((standard_error(&series, 1.0).expect("valid") - classical).abs() < 1e-12);
}

/// Targets that span twelve eras, read each fourth, over 3000 eras: blocks, the Bartlett kernel at a long lag, the corrected
/// kernel and the truth, 3/T of a variance of 1, tell the same within a tenth. Blocks and the kernel know no bias
/// correction and stay a little below.
#[test]
fn agrees_with_newey_and_west_on_long_series() {
    let mut generator = ChaCha8Rng::seed_from_u64(4);
    let count = 3000;
    let shocks: Vec<f64> =
        (0..4 * count + 12).map(|_| (0..12).map(|_| generator.random::<f64>()).sum::<f64>() - 6.0).collect();
    let series: Vec<f64> =
        (0..count).map(|era| shocks[4 * era..4 * era + 12].iter().sum::<f64>() / 12.0_f64.sqrt()).collect();
    let truth = (3.0 / count as f64).sqrt();
    let length = block_length(&series).expect("valid");
    let by_blocks = standard_error(&series, length).expect("valid");
    let by_kernel = (long_run::long_run_variance(&series, 20).expect("valid") / count as f64).sqrt();
    let positions: Vec<u32> = (0..200).map(|era| 1 + 4 * era).collect();
    let corrected: f64 = series
        .chunks_exact(200)
        .map(|part| long_run::of_mean(part, &positions, 12).expect("valid").standard_error.powi(2) / 15.0)
        .sum::<f64>();
    let corrected = (corrected / 15.0).sqrt();
    for found in [by_blocks, by_kernel, corrected] {
        assert!(
            (found / truth - 1.0).abs() < 0.1,
            "{by_blocks} {by_kernel} {corrected} for {truth}, blocks of {length}"
        );
    }
    assert!((by_blocks / by_kernel - 1.0).abs() < 0.1);
}

#[test]
fn a_series_that_does_not_move() {
    assert_eq!(block_length(&[0.5; 20]), Ok(1.0));
    assert_eq!(standard_error(&[0.5; 20], 3.0), Ok(0.0));
}

#[test]
fn wrong_input_has_a_name() {
    let good = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0];
    assert!(matches!(block_length(&good[..7]), Err(StatsError::TooFew { .. })));
    assert!(matches!(resampled(&good, 0.5, 10, 0.9, 1), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(resampled(&good, 9.0, 10, 0.9, 1), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(resampled(&good, f64::NAN, 10, 0.9, 1), Err(StatsError::OutOfRange { .. })));
    assert!(matches!(resampled(&good, 2.0, 1, 0.9, 1), Err(StatsError::TooFew { what: "draws", .. })));
    assert!(matches!(resampled(&good, 2.0, 10, 1.0, 1), Err(StatsError::OutOfRange { .. })));
    let mut broken = good;
    broken[4] = f64::NAN;
    assert!(matches!(standard_error(&broken, 2.0), Err(StatsError::NotFinite { index: 4, .. })));
    assert!(matches!(standard_error(&[1e308; 9], 2.0), Err(StatsError::Overflow { .. })));
}

proptest! {
    #[test]
    fn lengths_and_errors_are_numbers(series in prop::collection::vec(-1.0..1.0_f64, 8..80), share in 0.0..=1.0_f64) {
        let length = block_length(&series).expect("valid");
        let count = series.len() as f64;
        prop_assert!((1.0..=(3.0 * count.sqrt()).min(count / 3.0).ceil()).contains(&length));
        let length = 1.0 + share * (count - 1.0);
        let exact = standard_error(&series, length).expect("valid");
        let drawn = resampled(&series, length, 20, 0.9, 3).expect("valid");
        prop_assert!(exact.is_finite() && drawn.standard_error.is_finite() && drawn.interval.low <= drawn.interval.high);
    }

    #[test]
    fn whatever_is_thrown_at_it_never_panics(series in prop::collection::vec(any::<f64>(), 0..12), length in any::<f64>()) {
        let _ = block_length(&series);
        let _ = standard_error(&series, length);
        let _ = resampled(&series, length, 3, 0.9, 1);
    }
}
