//! A missing target counts as if its row were not there for that target.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::spec;
use crate::spec::net::{Inputs, Net};
use crate::train::kernels::Truth;
use crate::train::loss::{LossInputs, loss, target_weights};

type Tracked = Tensor<Autodiff<Flex>, 3>;

fn column(values: &[f32]) -> Tracked {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len(), 1]), &Default::default())
}

/// The loss of one target and its gradient in the outputs.
fn gradient(terms: &str, outputs: &[f32], targets: &[f32], mask: Option<&[f32]>) -> (f32, Vec<f32>) {
    let spec = spec(&format!("network: [{{ dense: {{ width: 4 }} }}]\nloss: {terms}\n"));
    let net = Net::of(&spec, &Inputs { features: 3, sets: Vec::new(), targets: 1 }).expect("valid");
    let outputs = column(outputs).require_grad();
    let truth = Truth { targets: column(targets), mask: mask.map(column), parts: 1, benchmark: None };
    let weights = target_weights(&spec, &net, &[], &column(&[1.0]));
    let total = loss(&LossInputs {
        spec: &spec,
        net: &net,
        params: &[],
        outputs: &outputs,
        features: None,
        truth: &truth,
        weights: &weights,
        auxiliary: &[],
        members: 1,
    });
    let gradient = outputs.grad(&total.clone().sum().backward()).expect("outputs take part in the loss");
    (total.into_scalar(), gradient.into_data().iter::<f32>().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_missing_target_counts_as_if_its_row_were_gone(seed in any::<u64>(), rows in 6_usize..40) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let outputs: Vec<f32> = (0..rows).map(|_| rng.random::<f32>() * 4.0 - 2.0).collect();
        let targets: Vec<f32> = (0..rows).map(|_| rng.random_range(0..5) as f32 * 0.25 - 0.5).collect();
        // At least three rows stay.
        let mask: Vec<f32> = (0..rows).map(|row| if row < 3 || rng.random::<f32>() < 0.7 { 1.0 } else { 0.0 }).collect();
        let zeroed: Vec<f32> = targets.iter().zip(&mask).map(|(target, here)| target * here).collect();
        let kept = |values: &[f32]| -> Vec<f32> {
            values.iter().zip(&mask).filter(|(_, here)| **here > 0.0).map(|(value, _)| *value).collect()
        };
        for terms in ["[pearson]", "[mse]", "[mae]", "[pearson, mse, mae]", "[rank]", "[huber]"] {
            let (masked, slopes) = gradient(terms, &outputs, &zeroed, Some(&mask));
            let (wanted, wanted_slopes) = gradient(terms, &kept(&outputs), &kept(&targets), None);
            prop_assert!((masked - wanted).abs() < 1e-5 * (1.0 + wanted.abs()), "{terms}: {masked}, wanted {wanted}");
            for (here, slope) in mask.iter().zip(&slopes) {
                prop_assert!(*here > 0.0 || slope.abs() < 1e-7, "{terms}: a missing target pulls by {slope}");
            }
            for (slope, wanted) in kept(&slopes).iter().zip(&wanted_slopes) {
                prop_assert!((slope - wanted).abs() < 1e-5 * (1.0 + wanted.abs()), "{terms}: {slope}, wanted {wanted}");
            }
        }
    }
}

#[test]
fn an_output_without_any_target_gives_no_gradient_and_no_nan() {
    for terms in ["[pearson]", "[mse]", "[mae]", "[rank]", "[huber]"] {
        let (total, slopes) = gradient(terms, &[0.3, -0.2, 0.9, 0.1], &[0.0; 4], Some(&[0.0; 4]));
        assert!(total.is_finite(), "{terms}: {total}");
        assert!(slopes.iter().all(|slope| *slope == 0.0), "{terms}: {slopes:?}");
    }
}
