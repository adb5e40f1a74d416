//! Blocks against closed forms.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};

use super::experts::best;
use super::tabnet::sparsemax;

fn row(values: &[f32]) -> Tensor<Flex, 3> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, values.len()]), &Default::default())
}

#[test]
fn sparsemax_is_the_nearest_point_of_the_simplex() {
    let cases: [(&[f32], &[f32]); 6] = [
        (&[0.0, 0.0], &[0.5, 0.5]),
        (&[0.3, 0.1], &[0.6, 0.4]),
        (&[5.0, 1.0, 0.0], &[1.0, 0.0, 0.0]),
        (&[1.0, 0.8, 0.1], &[0.6, 0.4, 0.0]),
        (&[-7.0, -7.0, -7.0, -9.0], &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]),
        // 1 less than their sum is their sum in single precision.
        (&[1e9, 1e9, 0.0], &[0.5, 0.5, 0.0]),
    ];
    for (z, wanted) in cases {
        let found: Vec<f32> = sparsemax(row(z)).into_data().iter::<f32>().collect();
        let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{z:?}: {found:?}, wanted {wanted:?}");
    }
}

#[test]
fn as_many_experts_as_asked_for_count_even_where_gates_are_equal() {
    let cases: [(&[f32], usize, &[usize]); 4] = [
        (&[0.1, 0.4, 0.3], 1, &[1]),
        (&[0.1, 0.4, 0.3], 2, &[1, 2]),
        (&[0.0, 0.0, 0.0, 0.0], 2, &[0, 1]),
        (&[0.5, 0.1, 0.5, 0.5], 2, &[0, 2]),
    ];
    for (logits, most, wanted) in cases {
        let found: Vec<f32> = best(row(logits), most).into_data().iter::<f32>().collect();
        let kept: Vec<usize> = (0..logits.len()).filter(|place| found[*place] == logits[*place]).collect();
        assert_eq!(kept, wanted, "{logits:?}, {most}");
        assert!(found.iter().enumerate().all(|(place, logit)| kept.contains(&place) || *logit < -1e29));
    }
}
