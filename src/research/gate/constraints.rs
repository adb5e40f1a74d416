//! What a candidate must hold to be kept, whatever its payout.

use prepare::{Evaluation, Summary};

use super::settings::ConstraintSettings;

/// The constraints that an evaluation breaks, each in words; none where nothing is bounded. `exposure` is the mean over
/// eras of the largest absolute correlation with a feature, where it was measured.
pub fn broken(evaluation: &Evaluation, exposure: Option<f64>, settings: &ConstraintSettings) -> Vec<String> {
    let payout = Summary::of(&evaluation.eras.iter().map(|era| era.payout).collect::<Vec<_>>());
    let mut found = Vec::new();
    let mut most = |what: &str, value: f64, bound: Option<f64>, setting: &str| {
        // What is no number holds no bound.
        if let Some(bound) = bound.filter(|bound| value.is_nan() || value > *bound) {
            found.push(format!("{what} is {value:.4}, and gate.constraints.{setting} allows {bound}"));
        }
    };
    most(
        "the correlation with the benchmark",
        evaluation.corr_with_benchmark,
        settings.correlation_with_benchmark,
        "correlation_with_benchmark",
    );
    most("the payout's drawdown", payout.max_drawdown, settings.drawdown, "drawdown");
    most("the feature exposure", exposure.unwrap_or(f64::NAN), settings.feature_exposure, "feature_exposure");
    if let Some(bound) = settings.positive_eras.filter(|bound| payout.positive_share < *bound) {
        found.push(format!(
            "{:.1} % of the eras are positive, and gate.constraints.positive_eras asks for {:.1} %",
            payout.positive_share * 100.0,
            bound * 100.0
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::sample::measurement;

    fn evaluation() -> Evaluation {
        let mut found = measurement(0.01).evaluation;
        for (era, payout) in found.eras.iter_mut().zip([0.1, -0.2, -0.1, 0.3, 0.1, 0.2, -0.05, 0.1]) {
            era.payout = payout;
        }
        found
    }

    #[test]
    fn without_bounds_anything_goes() {
        assert!(broken(&evaluation(), None, &ConstraintSettings::default()).is_empty());
    }

    #[test]
    fn each_bound_is_held_by_itself_and_named() {
        // Drawdown of the cumulative sum: from 0.1 down by 0.2 and 0.1. Five of eight eras are positive.
        let loose = ConstraintSettings {
            correlation_with_benchmark: Some(0.4),
            drawdown: Some(0.3 + 1e-9),
            feature_exposure: Some(0.2),
            positive_eras: Some(0.625),
        };
        assert_eq!(broken(&evaluation(), Some(0.2), &loose), Vec::<String>::new());
        let cases: [(&str, ConstraintSettings); 4] = [
            (
                "correlation_with_benchmark",
                ConstraintSettings { correlation_with_benchmark: Some(0.39), ..loose.clone() },
            ),
            ("drawdown", ConstraintSettings { drawdown: Some(0.29), ..loose.clone() }),
            ("feature_exposure", ConstraintSettings { feature_exposure: Some(0.19), ..loose.clone() }),
            ("positive_eras", ConstraintSettings { positive_eras: Some(0.63), ..loose.clone() }),
        ];
        for (name, settings) in cases {
            let found = broken(&evaluation(), Some(0.2), &settings);
            assert!(found.len() == 1 && found[0].contains(name), "{name}: {found:?}");
        }
    }

    #[test]
    fn what_was_not_measured_holds_no_bound() {
        let bound = ConstraintSettings { feature_exposure: Some(0.9), ..ConstraintSettings::default() };
        assert_eq!(broken(&evaluation(), None, &bound).len(), 1);
        let mut none = evaluation();
        none.corr_with_benchmark = f64::NAN;
        let bound = ConstraintSettings { correlation_with_benchmark: Some(0.9), ..ConstraintSettings::default() };
        assert_eq!(broken(&none, None, &bound).len(), 1);
    }
}
