//! Against numerai-tools (tests/fixtures/make_post.py), and what holds for any columns.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use serde::Deserialize;

use super::{neutralize_to_benchmark, neutralize_to_features, normal_scores};

#[derive(Deserialize)]
struct Fixture {
    features: Vec<FeatureCase>,
    benchmarks: Vec<BenchmarkCase>,
    normal_scores: Scores,
}

#[derive(Deserialize)]
struct FeatureCase {
    name: String,
    features: Vec<Vec<f32>>,
    proportion: f64,
    predictions: Vec<f64>,
    neutral: Vec<f64>,
}

#[derive(Deserialize)]
struct BenchmarkCase {
    benchmark: Vec<Option<f32>>,
    proportion: f64,
    predictions: Vec<f64>,
    neutral: Vec<f64>,
}

#[derive(Deserialize)]
struct Scores {
    predictions: Vec<f32>,
    scores: Vec<f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/post.json")).expect("a fixture that can be read")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn centred(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value - mean(values)).collect()
}

/// Both in double precision; what they leave out as rounding they choose differently.
fn near(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-9, "{what}: {found}, numerai-tools has {wanted}");
    }
}

#[test]
fn neutral_to_features_is_numerai_tools() {
    for case in fixture().features {
        let x: Vec<f32> = case.features.iter().flatten().copied().collect();
        let mut predictions = case.predictions.clone();
        neutralize_to_features(&mut predictions, &x, case.proportion);
        near(&centred(&predictions), &centred(&case.neutral), &case.name);
        assert!((mean(&predictions) - mean(&case.predictions)).abs() < 1e-12, "{}: the mean stays", case.name);
    }
}

#[test]
fn neutral_to_the_benchmark_is_numerai_tools_and_rows_without_one_stay() {
    for case in fixture().benchmarks {
        let benchmark: Vec<f32> = case.benchmark.iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        let mut predictions = case.predictions.clone();
        neutralize_to_benchmark(&mut predictions, &benchmark, case.proportion);
        let there = |values: &[f64], here: bool| -> Vec<f64> {
            values.iter().zip(&benchmark).filter(|(_, b)| b.is_nan() != here).map(|(value, _)| *value).collect()
        };
        near(&there(&predictions, true), &there(&case.neutral, true), "rows with a benchmark");
        assert_eq!(there(&predictions, false), there(&case.predictions, false), "rows without one");
    }
}

#[test]
fn normal_scores_are_numerai_tools() {
    let Scores { predictions, scores } = fixture().normal_scores;
    // Two implementations of Φ⁻¹.
    let found = normal_scores(&predictions);
    assert!(found.iter().zip(&scores).all(|(found, wanted)| (found - wanted).abs() < 1e-9), "{found:?}");
}

#[test]
fn what_has_nothing_to_be_neutralized_to_stays() {
    let before = [0.3, -0.2, 0.9];
    for benchmark in [[f32::NAN; 3], [0.1; 3], [0.0; 3]] {
        let mut predictions = before;
        neutralize_to_benchmark(&mut predictions, &benchmark, 1.0);
        assert_eq!(predictions, before, "{benchmark:?}");
    }
    for x in [vec![], vec![1.0; 3], vec![0.0; 6]] {
        let mut predictions = before;
        neutralize_to_features(&mut predictions, &x, 1.0);
        assert_eq!(predictions, before, "{x:?}");
    }
    neutralize_to_features(&mut [], &[], 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn fully_neutral_is_uncorrelated_with_every_feature(
        width in 1_usize..12,
        cells in vec(-2_i8..=2, 40 * 12),
        predictions in vec(-3.0_f64..3.0, 40),
    ) {
        let mut x: Vec<f32> = cells[..40 * width].iter().map(|cell| f32::from(*cell)).collect();
        // The last column is a copy of the first, up to its sign.
        for row in x.chunks_exact_mut(width) {
            row[width - 1] = -row[0];
        }
        let mut neutral = predictions.clone();
        neutralize_to_features(&mut neutral, &x, 1.0);
        prop_assert!(neutral.iter().all(|value| value.is_finite()));
        let rest = centred(&neutral);
        for column in 0..width {
            let along: f64 = x.chunks_exact(width).zip(&rest).map(|(row, p)| f64::from(row[column]) * p).sum();
            prop_assert!(along.abs() < 1e-8, "column {column}: {along}");
        }
    }
}
