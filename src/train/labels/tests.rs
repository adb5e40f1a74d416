//! Transforms and residuals against SciPy and pandas (tests/fixtures/make_losses.py).

use serde::Deserialize;

use super::{gaussianized, residual, transformed};
use crate::spec::Transform;

#[derive(Deserialize)]
struct Fixture {
    transforms: Vec<Case>,
}

/// One era; null is missing.
#[derive(Deserialize)]
struct Case {
    labels: Vec<Option<f32>>,
    benchmark: Vec<Option<f32>>,
    transform: String,
    residual: f64,
    made: Vec<Option<f32>>,
}

fn numbers(values: &[Option<f32>]) -> Vec<f32> {
    values.iter().map(|value| value.unwrap_or(f32::NAN)).collect()
}

#[test]
fn labels_are_transformed_and_freed_of_the_benchmark_as_scipy_and_pandas_do_it() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../tests/fixtures/losses.json")).expect("a fixture that can be read");
    assert_eq!(fixture.transforms.len(), 18);
    for case in fixture.transforms {
        let how = Transform::ALL.iter().find(|how| how.word() == case.transform).expect("a transform");
        let labels = transformed(&numbers(&case.labels), *how);
        let made = residual(labels, &gaussianized(&numbers(&case.benchmark)), case.residual);
        assert_eq!(made.len(), case.made.len());
        for (row, (found, wanted)) in made.iter().zip(numbers(&case.made)).enumerate() {
            let same = found.is_nan() && wanted.is_nan() || (found - wanted).abs() < 1e-6;
            assert!(same, "{}, residual {}, row {row}: {found}, wanted {wanted}", case.transform, case.residual);
        }
    }
}

#[test]
fn an_era_without_labels_or_without_a_benchmark_stays_as_it_is() {
    let nothing = [f32::NAN; 3];
    for how in Transform::ALL {
        assert!(transformed(&nothing, *how).iter().all(|label| label.is_nan()), "{how:?}");
    }
    let labels = vec![0.0, 0.5, 1.0];
    assert_eq!(residual(labels.clone(), &nothing, 1.0), labels);
    assert_eq!(
        residual(labels.clone(), &gaussianized(&[2.0; 3]), 1.0),
        labels,
        "a constant benchmark explains nothing"
    );
    assert_eq!(transformed(&[0.25; 4], Transform::Rank), [0.5; 4], "equal labels share their rank");
    assert!(transformed(&[0.25; 4], Transform::Gaussian).iter().all(|label| (label - 0.5).abs() < 1e-7));
}
