//! Scores against numerai-tools' own, made by `tests/golden/make_scoring.py`.

use prepare::{
    EraMetrics, MetricError, correlation_contribution, correlation_of_ranks, era_metrics, numerai_corr,
    rank_gaussianize,
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    prediction: Vec<Option<f64>>,
    benchmark: Vec<Option<f64>>,
    target: Vec<Option<f64>>,
    corr: Expected,
    contribution: Expected,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Number(f64),
    Error(String),
    Nan(()),
}

/// numerai-tools works in double precision too, with another Φ⁻¹ and other orders of summation: what differs is
/// rounding, far below this.
const TOLERANCE: f64 = 1e-9;

#[test]
fn every_golden_case_is_met() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/scoring.json");
    let text = std::fs::read_to_string(path).expect("the golden file");
    let golden: Golden = serde_json::from_str(&text).expect("the golden format");
    assert_eq!(golden.cases.len(), 33);
    for case in &golden.cases {
        let wide = |values: &[Option<f64>]| values.iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<_>>();
        let (p, m, t) = (wide(&case.prediction), wide(&case.benchmark), wide(&case.target));
        meets(&case.name, "corr", numerai_corr(&p, &t), &case.corr);
        meets(&case.name, "contribution", correlation_contribution(&p, &m, &t), &case.contribution);
        let each = numerai_corr(&p, &t).and_then(|corr| {
            let contribution = correlation_contribution(&p, &m, &t)?;
            Ok(EraMetrics { corr, contribution, corr_with_meta: correlation_of_ranks(&p, &m)? })
        });
        // As text, because NaN does not equal itself.
        assert_eq!(format!("{:?}", era_metrics(&p, &m, &t)), format!("{each:?}"), "{}: all at once", case.name);
    }
}

fn meets(case: &str, metric: &str, found: Result<f64, MetricError>, expected: &Expected) {
    match (found, expected) {
        (Ok(found), Expected::Number(expected)) => {
            assert!((found - expected).abs() < TOLERANCE, "{case}: {metric} is {found}, must be {expected}");
        }
        (Ok(found), Expected::Nan(())) => assert!(found.is_nan(), "{case}: {metric} is {found}, must be NaN"),
        (Err(MetricError::TooManyMissing { .. }), Expected::Error(text)) if text == "error" => {}
        (found, Expected::Error(_) | Expected::Nan(()) | Expected::Number(_)) => {
            panic!("{case}: {metric} is {found:?}, which is not expected")
        }
    }
}

#[test]
fn quantiles_of_the_normal_distribution_are_those_of_the_tables() {
    // Φ⁻¹(0.1), (0.3), (0.5), … from tables; the ranks of five values are at (i − ½) / 5.
    let scores = rank_gaussianize(&[50.0, 10.0, 30.0, 20.0, 40.0]);
    let expected =
        [1.281_551_565_544_600_4, -1.281_551_565_544_600_4, 0.0, -0.524_400_512_708_040_9, 0.524_400_512_708_040_9];
    for (score, expected) in scores.iter().zip(expected) {
        assert!((score - expected).abs() < 1e-12, "{score} must be {expected}");
    }
}

#[test]
fn differing_lengths_and_no_rows_are_errors() {
    assert!(matches!(numerai_corr(&[1.0], &[1.0, 0.0]), Err(MetricError::Length { left: 1, right: 2 })));
    assert!(matches!(numerai_corr(&[], &[]), Err(MetricError::TooManyMissing { .. })));
}

proptest! {
    #[test]
    fn the_order_of_rows_and_any_monotone_rescaling_change_nothing(
        rows in prop::collection::vec((0_i32..40, -1.0_f64..1.0, 0_u8..5), 20..80),
        turn in 0_usize..80,
    ) {
        let unpack = |rows: &[(i32, f64, u8)], scale: f64| {
            let p: Vec<f64> = rows.iter().map(|row| f64::from(row.0) * scale + 3.0).collect();
            let m: Vec<f64> = rows.iter().map(|row| row.1).collect();
            let t: Vec<f64> = rows.iter().map(|row| f64::from(row.2) / 4.0).collect();
            (p, m, t)
        };
        let (p, m, t) = unpack(&rows, 1.0);
        let mut turned = rows.clone();
        turned.rotate_left(turn % rows.len());
        let (p2, m2, t2) = unpack(&turned, 7.5);
        let same = |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-9;
        prop_assert!(same(numerai_corr(&p, &t).expect("a score"), numerai_corr(&p2, &t2).expect("a score")));
        prop_assert!(same(
            correlation_contribution(&p, &m, &t).expect("a score"),
            correlation_contribution(&p2, &m2, &t2).expect("a score")
        ));
        let corr = numerai_corr(&p, &t).expect("a score");
        prop_assert!(corr.is_nan() || corr.abs() <= 1.0 + 1e-12);
        prop_assert!(correlation_contribution(&m, &m, &t).expect("a score").abs() < 1e-12);
    }
}
