//! Fused against composed: values, moments and every gradient, on random shapes, activations and dropout.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{AdamStep, Affine, Dropout, ErrorSize, Kernels, Norm, SgdStep, Truth, composed, product};
use crate::spec::net::Pointwise;
use crate::train::backend::Precision;

mod blocks;

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

/// Each activation, with and without dropout, on random shapes `[replica, row, unit]`.
fn each_tail(mut check: impl FnMut([usize; 3], Pointwise, Option<&Dropout>, &str, &mut ChaCha8Rng)) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (case, curve) in Pointwise::ALL.iter().cycle().take(40).enumerate() {
        let shape = [1 + case % 3, 2 + rng.random_range(0..150), 1 + rng.random_range(0..40)];
        let keys = (0..shape[0]).map(|_| [rng.random(), rng.random()]).collect();
        let dropout = (case % 2 == 0).then(|| Dropout::new(0.3, keys));
        check(shape, *curve, dropout.as_ref(), &format!("case {case}, {curve:?}, {shape:?}"), &mut rng);
    }
}

/// Scale and shift of random numbers.
fn norm(shape: [usize; 3], rng: &mut ChaCha8Rng) -> Norm<Tracked> {
    let learned = [shape[0], 1, shape[2]];
    Norm { scale: random(learned, rng), shift: random(learned, rng) }
}

#[test]
fn fused_dense_layers_agree_with_composed_ones() {
    each_tail(|shape, curve, dropout, what, rng| {
        let [replicas, rows, units] = shape;
        let inputs = rng.random_range(1..30);
        let (x, weight) = (random([replicas, rows, inputs], rng), random([replicas, inputs, units], rng));
        let (norm, pull) = (norm(shape, rng), random(shape, rng));
        let (y, moments) = Flex::dense(x.clone(), weight.clone(), norm.clone(), (curve, dropout), Precision::Fp32);
        let (wanted, wanted_moments) =
            composed::normalized(x.clone().matmul(weight.clone()), norm.clone(), curve, dropout);
        near(&numbers(moments.mean), &numbers(wanted_moments.mean), what);
        near(&numbers(moments.variance), &numbers(wanted_moments.variance), what);
        same(&y, &wanted, &pull, &[&x, &weight, &norm.scale, &norm.shift], what);
    });
}

#[test]
fn dense_layers_of_many_blocks_of_rows_agree_too() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    // 2,500 inputs make blocks of 64 rows: two whole ones and a part of one.
    let shape = [2, 150, 3];
    let (x, weight) = (random([2, 150, 2_500], &mut rng), random([2, 2_500, 3], &mut rng));
    let (norm, pull) = (norm(shape, &mut rng), random(shape, &mut rng));
    let tail = (Pointwise::Gelu, None);
    let (y, moments) = Flex::dense(x.clone(), weight.clone(), norm.clone(), tail, Precision::Fp32);
    let z = x.clone().matmul(weight.clone());
    let (wanted, wanted_moments) = composed::normalized(z, norm.clone(), Pointwise::Gelu, None);
    near(&numbers(moments.mean), &numbers(wanted_moments.mean), "mean");
    near(&numbers(moments.variance), &numbers(wanted_moments.variance), "variance");
    same(&y, &wanted, &pull, &[&x, &weight, &norm.scale, &norm.shift], "blocks");
}

#[test]
fn fused_biases_agree_with_composed_ones() {
    each_tail(|shape, curve, dropout, what, rng| {
        let (x, pull) = (random(shape, rng), random(shape, rng));
        let Norm { scale, shift: bias } = norm(shape, rng);
        let y = Flex::biased(x.clone(), bias.clone(), curve, dropout);
        let wanted = composed::biased(x.clone(), bias.clone(), curve, dropout);
        same(&y, &wanted, &pull, &[&x, &bias], what);
        let (scale, bias) = (scale.inner(), bias.inner());
        let moves = || Affine { scaled: Some((bias.clone(), scale.clone())), offset: bias.clone() };
        let wanted = composed::affine(x.clone().inner(), moves(), curve);
        near(&numbers(Flex::affine(x.inner(), moves(), curve)), &numbers(wanted), what);
    });
}

#[test]
fn fused_layer_norms_agree_with_composed_ones() {
    each_tail(|mut shape, curve, dropout, what, rng| {
        // A row of a few units that are nearly alike has next to no variance: its gradient is all rounding.
        shape[2] += 4;
        let (x, pull, norm) = (random(shape, rng), random(shape, rng), norm(shape, rng));
        let y = Flex::row_normalized(x.clone(), norm.clone(), curve, dropout);
        let wanted = composed::row_normalized(x.clone(), norm.clone(), curve, dropout);
        same(&y, &wanted, &pull, &[&x, &norm.scale, &norm.shift], what);
        let norm = Norm { scale: norm.scale.inner(), shift: norm.shift.inner() };
        let wanted = composed::row_normalized(x.clone().inner(), norm.clone(), curve, None);
        near(&numbers(Flex::plain_row_normalized(x.inner(), norm, curve)), &numbers(wanted), what);
    });
}

/// Both in values, and in the gradients of their sum weighted by `pull`.
fn same(found: &Tracked, wanted: &Tracked, pull: &Tracked, of: &[&Tracked], what: &str) {
    near(&numbers(found.clone().inner()), &numbers(wanted.clone().inner()), what);
    let pulled = |y: &Tracked| gradients(&(y.clone() * pull.clone()).sum().reshape([1, 1, 1]), of);
    pulled(found).iter().zip(&pulled(wanted)).for_each(|(a, b)| near(a, b, what));
}

#[test]
fn fused_products_agree_with_burns_own() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for case in 0..20 {
        let replicas = 1 + case % 3;
        let [rows, inputs, units] = [70, 40, 30].map(|most| rng.random_range(1..most));
        let x = random([replicas, rows, inputs], &mut rng);
        let weight = random([replicas, inputs, units], &mut rng);
        let pull = random([replicas, rows, units], &mut rng);
        let what = format!("case {case}, [{replicas}, {rows}, {inputs}] · [{inputs}, {units}]");
        let (found, wanted) =
            (Flex::product(x.clone(), weight.clone(), Precision::Fp32), x.clone().matmul(weight.clone()));
        same(&found, &wanted, &pull, &[&x, &weight], &what);
        near(
            &numbers(Flex::plain_product(x.inner(), weight.inner(), Precision::Fp32)),
            &numbers(wanted.inner()),
            &what,
        );
    }
}

#[test]
fn products_of_every_precision_err_as_its_operands_do_forward_and_backward() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    // Half a unit in the last of the operand's bits, twice over for two operands; fp32 and, here, tf32 are f32 throughout.
    let bounds = [(Precision::Fp32, 1e-6), (Precision::Tf32, 1e-6), (Precision::Bf16, 2.0_f32.powi(-7))];
    for (case, (precision, bound)) in bounds.into_iter().cycle().take(12).enumerate() {
        let replicas = 1 + case % 2;
        let [rows, inputs, units] = [70, 40, 30].map(|most| rng.random_range(1..most));
        let x = random([replicas, rows, inputs], &mut rng);
        let weight = random([replicas, inputs, units], &mut rng);
        let pull = random([replicas, rows, units], &mut rng);
        let close = |found: &[f32], wanted: &[f32], terms: usize, what: &str| {
            assert_eq!(found.len(), wanted.len(), "{what}");
            for (a, b) in found.iter().zip(wanted) {
                // Every number is at most 2, so every term at most 4; the result itself is rounded, too.
                assert!((a - b).abs() <= 4.0 * bound * (1 + terms) as f32, "{what}, {precision:?}: {a} against {b}");
            }
        };
        let (found, wanted) =
            (product::product(x.clone(), weight.clone(), precision), x.clone().matmul(weight.clone()));
        close(&numbers(found.clone().inner()), &numbers(wanted.clone().inner()), inputs, "values");
        let rounded = numbers(found.clone().inner()) != numbers(wanted.clone().inner());
        assert!(rounded || precision != Precision::Bf16, "bf16 does round");
        let of = [&x, &weight];
        let pulled = |y: Tracked| gradients(&(y * pull.clone()).sum().reshape([1, 1, 1]), &of);
        let (found, wanted) = (pulled(found), pulled(wanted));
        close(&found[0], &wanted[0], units, "gradient of x");
        close(&found[1], &wanted[1], rows, "gradient of the weight");
        let plain = product::plain_product(x.inner(), weight.inner(), precision);
        assert_eq!(plain.dims(), [replicas, rows, units]);
    }
}

#[test]
fn fused_losses_agree_with_composed_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for case in 0..24 {
        let parts = [1, 2, 3][case % 3];
        let shape = [1 + case % 2, parts * rng.random_range(3..80), 1 + rng.random_range(0..24)];
        let outputs = random(shape, &mut rng);
        let targets = random(shape, &mut rng).inner();
        let mask: Vec<f32> = (0..shape.iter().product()).map(|_| f32::from(rng.random_bool(0.9))).collect();
        let mask = Tensor::<Flex, 3>::from_data(TensorData::new(mask, shape), &Default::default());
        let mask = (case % 4 < 2).then_some(mask);
        let targets = match &mask {
            Some(mask) => targets * mask.clone(),
            None => targets,
        };
        let truth =
            Truth { targets: Tensor::from_inner(targets), mask: mask.map(Tensor::from_inner), parts, benchmark: None };
        let pull = random([shape[0], 1, shape[2]], &mut rng);
        let what = format!("case {case}, {shape:?}, {parts} parts, mask {}", truth.mask.is_some());
        let (found, wanted) =
            (Flex::correlations(&outputs, &truth, parts), composed::correlations(&outputs, &truth, parts));
        same(&found, &wanted, &pull, &[&outputs], &what);
        for size in [ErrorSize::Square, ErrorSize::Absolute] {
            let (found, wanted) = (Flex::errors(&outputs, &truth, size), composed::errors(&outputs, &truth, size));
            same(&found, &wanted, &pull, &[&outputs], &what);
        }
    }
}

#[test]
fn fused_steps_agree_with_composed_ones_and_leave_shared_weights_alone() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let shape = [2, 13, 7];
    let adam = AdamStep { beta1: 0.9, beta2: 0.99, size: 0.3, root: 0.4, shrink: 0.98, epsilon: 1e-8 };
    let sgd = SgdStep { rate: 0.1, momentum: 0.8, decay: 0.05 };
    let [first, gradient, again] = [0; 3].map(|_| random(shape, &mut rng).inner());
    let shared = first.clone();
    let (mut one, mut other) = ((first.clone(), None), (first.clone(), None));
    let (mut slow, mut other_slow) = ((first.clone(), None), (first, None));
    for gradient in [gradient, again] {
        let (weight, moments) = Flex::adam(one.0, gradient.clone(), one.1, &adam);
        one = (weight, Some(moments));
        let (weight, moments) = composed::adam(other.0, gradient.clone(), other.1, &adam);
        other = (weight, Some(moments));
        near(&numbers(one.0.clone()), &numbers(other.0.clone()), "adam");
        let (weight, velocity) = Flex::sgd(slow.0, gradient.clone(), slow.1, &sgd);
        slow = (weight, Some(velocity));
        let (weight, velocity) = composed::sgd(other_slow.0, gradient, other_slow.1, &sgd);
        other_slow = (weight, Some(velocity));
        near(&numbers(slow.0.clone()), &numbers(other_slow.0.clone()), "sgd");
    }
    assert_ne!(numbers(shared.clone()), numbers(one.0), "the step did something");
    let untouched = random(shape, &mut ChaCha8Rng::seed_from_u64(17)).inner();
    assert_eq!(numbers(shared), numbers(untouched), "a clone of the weights keeps what it held");
}

#[test]
fn dropout_on_the_device_drops_the_very_same_units() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for rate in [0.01, 0.1, 0.3, 0.5, 0.7, 0.95] {
        let shape = [3, rng.random_range(1..400), rng.random_range(1..200)];
        let extremes = [[0, 0], [u32::MAX, u32::MAX]];
        let keys = extremes.into_iter().chain([[rng.random(), rng.random()]]).collect();
        let dropout = Dropout::new(rate, keys);
        let found = dropout.dropped::<Flex>(shape, &Default::default()).into_data();
        let each = (shape[1] * shape[2]) as u32;
        let wanted =
            dropout.keys.iter().flat_map(|key| (0..each).map(|place| !Dropout::keeps(*key, dropout.threshold, place)));
        assert!(found.iter::<bool>().eq(wanted), "rate {rate}, {shape:?}");
    }
}

#[test]
fn neighbours_and_replicas_are_dropped_independently() {
    let mut rng = ChaCha8Rng::seed_from_u64(29);
    let count = 1 << 18;
    for rate in [0.1, 0.5] {
        let threshold = Dropout::new(rate, Vec::new()).threshold;
        let mut drops = |_| -> Vec<f64> {
            let key = [rng.random(), rng.random()];
            let of = |place| f64::from(!Dropout::keeps(key, threshold, place)) - rate;
            (0..count).map(of).collect()
        };
        let [one, other] = [0, 1].map(&mut drops);
        let correlation = |a: &[f64], b: &[f64]| {
            let size = (a.len().min(b.len()) as f64).sqrt() * rate * (1.0 - rate);
            a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / size
        };
        // Each is about standard normal where draws are independent.
        assert!(correlation(&one, &other).abs() < 4.0, "replicas");
        for lag in [1, 2, 3, 16, 64, 100, 128, 256, 512, 1000, 4096] {
            let found = correlation(&one, &one[lag..]);
            assert!(found.abs() < 4.5, "units {lag} apart, rate {rate}: {found}");
        }
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
