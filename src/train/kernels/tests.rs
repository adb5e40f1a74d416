//! Fused against composed: values, moments and every gradient, on random shapes, activations and dropout.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Dropout, Kernels, composed_biased, composed_normalized};
use crate::spec::Activation;

type Tracked = Tensor<Autodiff<Flex>, 3>;

fn random(shape: [usize; 3], rng: &mut ChaCha8Rng) -> Tracked {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random::<f32>() * 4.0 - 2.0).collect();
    Tensor::<Autodiff<Flex>, 3>::from_data(TensorData::new(values, shape), &Default::default()).require_grad()
}

fn numbers(tensor: Tensor<Flex, 3>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn near(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let size = b.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (a, b) in a.iter().zip(b) {
        // f32 sums of a few hundred terms in different orders.
        assert!((a - b).abs() <= 2e-5 * (1.0 + size), "{what}: {a} against {b}");
    }
}

fn gradients(loss: &Tracked, of: &[&Tracked]) -> Vec<Vec<f32>> {
    let grads = loss.backward();
    of.iter().map(|tensor| numbers(tensor.grad(&grads).expect("it takes part in the loss"))).collect()
}

#[test]
fn fused_and_composed_agree_in_values_and_gradients() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (case, curve) in Activation::ALL.iter().cycle().take(40).enumerate() {
        let shape = [1 + case % 3, 2 + rng.random_range(0..150), 1 + rng.random_range(0..40)];
        let learned = [shape[0], 1, shape[2]];
        let keys = (0..shape[0]).map(|_| [rng.random(), rng.random()]).collect();
        let dropout = (case % 2 == 0).then(|| Dropout::new(0.3, keys));
        let (x, scale, shift) = (random(shape, &mut rng), random(learned, &mut rng), random(learned, &mut rng));
        let pull = random(shape, &mut rng);
        let what = format!("case {case}, {curve:?}, {shape:?}");

        let (y, moments) = Flex::normalized(x.clone(), scale.clone(), shift.clone(), *curve, dropout.as_ref());
        let (wanted, wanted_moments) =
            composed_normalized(x.clone(), scale.clone(), shift.clone(), *curve, dropout.as_ref());
        near(&numbers(y.clone().inner()), &numbers(wanted.clone().inner()), &what);
        near(&numbers(moments.mean), &numbers(wanted_moments.mean), &what);
        near(&numbers(moments.variance), &numbers(wanted_moments.variance), &what);
        let of = [&x, &scale, &shift];
        let found = gradients(&(y * pull.clone()).sum().reshape([1, 1, 1]), &of);
        let expected = gradients(&(wanted * pull.clone()).sum().reshape([1, 1, 1]), &of);
        found.iter().zip(&expected).for_each(|(a, b)| near(a, b, &what));

        let y = Flex::biased(x.clone(), shift.clone(), *curve, dropout.as_ref());
        let wanted = composed_biased(x.clone(), shift.clone(), *curve, dropout.as_ref());
        near(&numbers(y.clone().inner()), &numbers(wanted.clone().inner()), &what);
        let of = [&x, &shift];
        let found = gradients(&(y * pull.clone()).sum().reshape([1, 1, 1]), &of);
        let expected = gradients(&(wanted * pull).sum().reshape([1, 1, 1]), &of);
        found.iter().zip(&expected).for_each(|(a, b)| near(a, b, &what));
    }
}

#[test]
fn dropout_drops_its_share_and_keeps_the_mean() {
    let dropout = Dropout::new(0.2, vec![[12_345, 678]]);
    let kept = (0..1_000_000).filter(|place| Dropout::keeps([12_345, 678], dropout.threshold, *place)).count();
    // Four standard deviations of a binomial share.
    assert!((kept as f64 / 1e6 - 0.8).abs() < 0.0016, "{kept}");
    assert!((f64::from(dropout.scale) * 0.8 - 1.0).abs() < 1e-6);
}
