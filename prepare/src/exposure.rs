//! How much predictions lean on single features. Features are not labels: whoever trains could work this out as well.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::Harness;
use crate::error::{Error, Result};

/// Exposure to single features, as in Numerai's example scripts: the absolute Pearson correlation of the predictions with
/// each feature's values (0 to 4) within an era. A feature that does not vary in an era is left out there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Mean over eras of the mean over features.
    pub mean: f64,
    /// Mean over eras of the largest over features ("max feature exposure").
    pub max: f64,
}

impl Exposure {
    /// The mean of several; None of none.
    pub fn mean_of(all: &[Exposure]) -> Option<Exposure> {
        let of = |value: fn(&Exposure) -> f64| all.iter().map(value).sum::<f64>() / all.len() as f64;
        (!all.is_empty()).then(|| Exposure { mean: of(|one| one.mean), max: of(|one| one.max) })
    }
}

impl Harness {
    /// The exposure of the predictions for a fold's test rows to all packed features, one prediction for each row in the
    /// order of [`Harness::test_rows`].
    ///
    /// # Errors
    /// [`Error::Score`] when the count is wrong, a prediction is not finite, or an era's are constant.
    pub fn exposure(&self, fold: usize, predictions: &[f32]) -> Result<Exposure> {
        let what = format!("the feature exposure of fold {fold}");
        let width = self.feature_count();
        let eras: Vec<Exposure> = self
            .tested(&what, fold, predictions)?
            .into_par_iter()
            .map(|(span, predictions)| {
                let rows = span.rows.clone().map(|row| self.features().row(row));
                let found = era_exposure(rows, width, predictions);
                found.map_err(|message| Error::score(format!("{what}, era {:04}", span.era), message))
            })
            .collect::<Result<_>>()?;
        Exposure::mean_of(&eras).ok_or_else(|| Error::score(what, "there is no test era"))
    }
}

/// One era's exposure, in one pass over its rows.
fn era_exposure<'a>(
    rows: impl Iterator<Item = &'a [u8]>,
    width: usize,
    predictions: &[f32],
) -> Result<Exposure, String> {
    if let Some(row) = predictions.iter().position(|value| !value.is_finite()) {
        return Err(format!("prediction {row} is {}", predictions[row]));
    }
    let count = predictions.len() as f64;
    let mean = predictions.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    // By feature: sums of values and squares, exact as whole numbers, and of products with the centred predictions.
    let (mut sums, mut squares, mut products) = (vec![0_u32; width], vec![0_u32; width], vec![0.0_f64; width]);
    let mut spread = 0.0;
    for (row, prediction) in rows.zip(predictions) {
        let centred = f64::from(*prediction) - mean;
        spread += centred * centred;
        for (((value, sum), square), product) in row.iter().zip(&mut sums).zip(&mut squares).zip(&mut products) {
            let value = u32::from(*value);
            *sum += value;
            *square += value * value;
            *product += centred * f64::from(value);
        }
    }
    if spread <= 0.0 || predictions.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err("constant predictions have no correlation with a feature".into());
    }
    let (mut total, mut most, mut varying) = (0.0, 0.0_f64, 0.0);
    for ((sum, square), product) in sums.iter().zip(&squares).zip(&products) {
        let of_feature = f64::from(*square) - f64::from(*sum).powi(2) / count;
        if of_feature > 0.0 {
            let exposure = product.abs() / (of_feature * spread).sqrt();
            total += exposure;
            most = most.max(exposure);
            varying += 1.0;
        }
    }
    // An era in which no feature varies exposes to none.
    Ok(Exposure { mean: if varying > 0.0 { total / varying } else { 0.0 }, max: most })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::{Exposure, era_exposure};

    #[derive(Deserialize)]
    struct Golden {
        eras: Vec<Era>,
        mean: f64,
        max: f64,
    }

    #[derive(Deserialize)]
    struct Era {
        features: Vec<Vec<u8>>,
        prediction: Vec<f32>,
    }

    fn exposure(features: &[Vec<u8>], predictions: &[f32]) -> Result<Exposure, String> {
        era_exposure(features.iter().map(Vec::as_slice), features[0].len(), predictions)
    }

    #[test]
    fn it_is_that_of_the_reference() {
        let text = include_str!("../tests/golden/exposure.json");
        let golden: Golden = serde_json::from_str(text).expect("the golden format");
        let eras: Vec<Exposure> = golden
            .eras
            .iter()
            .map(|era| exposure(&era.features, &era.prediction).expect("it has an exposure"))
            .collect();
        let found = Exposure::mean_of(&eras).expect("there are eras");
        // Both work in double precision: what differs is the order of a few hundred additions.
        assert!((found.mean - golden.mean).abs() < 1e-12 && (found.max - golden.max).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn what_has_no_correlation_is_refused_or_left_out() {
        let features = [vec![0, 2], vec![4, 2], vec![2, 2]];
        let found = exposure(&features, &[0.1, 0.9, 0.5]).expect("one feature varies");
        assert!((found.mean - 1.0).abs() < 1e-12 && (found.max - 1.0).abs() < 1e-12, "{found:?}");
        assert!(exposure(&features, &[0.3; 3]).expect_err("constant").contains("constant"));
        assert!(exposure(&features, &[0.3, f32::NAN, 0.1]).expect_err("NaN").contains("prediction 1"));
        let still = exposure(&[vec![1], vec![1]], &[0.1, 0.2]).expect("no feature varies");
        assert_eq!((still.mean, still.max), (0.0, 0.0));
        assert_eq!(Exposure::mean_of(&[]), None);
    }

    proptest! {
        #[test]
        fn it_is_between_0_and_1_and_knows_no_order_of_rows(
            rows in prop::collection::vec((prop::collection::vec(0_u8..5, 6), -3.0_f32..3.0), 2..40),
            shift in 0_usize..40,
        ) {
            let of = |rows: &[(Vec<u8>, f32)]| {
                let (features, predictions): (Vec<_>, Vec<_>) = rows.iter().cloned().unzip();
                exposure(&features, &predictions)
            };
            let mut turned = rows.clone();
            turned.rotate_left(shift % rows.len());
            if let (Ok(found), Ok(again)) = (of(&rows), of(&turned)) {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&found.max) && found.mean <= found.max + 1e-12, "{found:?}");
                prop_assert!((found.max - again.max).abs() < 1e-6 && (found.mean - again.mean).abs() < 1e-6);
            }
        }
    }
}
