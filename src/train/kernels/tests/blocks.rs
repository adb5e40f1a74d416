//! Fused operations of blocks against composed ones, and both against closed forms.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Tracked, each_tail, near, norm, numbers, random, same};
use crate::spec::language::GateKind;
use crate::spec::net::Pointwise;
use crate::train::kernels::{Dropout, Kernels, Norm, Operation, composed};

/// Fused against composed: values, the gradients of `of`, and the values without a graph.
fn agree(operation: &Operation<Tracked>, of: &[&Tracked], what: &str, rng: &mut ChaCha8Rng) {
    let wanted = composed::operation(operation.clone());
    let pull = random(wanted.dims(), rng);
    same(&Flex::operation(operation.clone()), &wanted, &pull, of, what);
    let plain = || operation.clone().map(Tensor::inner);
    let (found, wanted) = (Flex::plain_operation(plain()), composed::operation(plain()));
    near(&numbers(found), &numbers(wanted), what);
}

#[test]
fn fused_batch_norms_agree_with_composed_ones() {
    each_tail(|shape, curve, dropout, what, rng| {
        let (x, pull, norm) = (random(shape, rng), random(shape, rng), norm(shape, rng));
        let (y, moments) = Flex::normalized(x.clone(), norm.clone(), curve, dropout);
        let (wanted, wanted_moments) = composed::normalized(x.clone(), norm.clone(), curve, dropout);
        near(&numbers(moments.mean), &numbers(wanted_moments.mean), what);
        near(&numbers(moments.variance), &numbers(wanted_moments.variance), what);
        same(&y, &wanted, &pull, &[&x, &norm.scale, &norm.shift], what);
    });
}

#[test]
fn fused_scales_agree_with_composed_ones() {
    each_tail(|shape, curve, dropout, what, rng| {
        let (x, Norm { scale, shift }) = (random(shape, rng), norm(shape, rng));
        let of =
            |shift| Operation::Scaled { x: x.clone(), scale: scale.clone(), shift, curve, dropout: dropout.cloned() };
        agree(&of(Some(shift.clone())), &[&x, &scale, &shift], what, rng);
        agree(&of(None), &[&x, &scale], what, rng);
    });
}

/// Every kind of gate, with and without bias and dropout.
#[test]
fn fused_gates_agree_with_composed_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    let kinds = [GateKind::Glu, GateKind::Reglu, GateKind::Geglu, GateKind::Swiglu];
    for (case, kind) in kinds.into_iter().cycle().take(24).enumerate() {
        let [replicas, rows, units] = [1 + case % 3, 2 + rng.random_range(0..150), 1 + rng.random_range(0..40)];
        let x = random([replicas, rows, 2 * units], &mut rng);
        let bias = random([replicas, 1, 2 * units], &mut rng);
        let keys = (0..replicas).map(|_| [rng.random(), rng.random()]).collect();
        let dropout = (case % 2 == 0).then(|| Dropout::new(0.3, keys));
        let what = format!("case {case}, {kind:?}, [{replicas}, {rows}, {units}]");
        let of = |bias| Operation::Gated { x: x.clone(), bias, kind, dropout: dropout.clone() };
        agree(&of(Some(bias.clone())), &[&x, &bias], &what, &mut rng);
        agree(&of(None), &[&x], &what, &mut rng);
    }
}

#[test]
fn fused_sparsemax_agrees_with_the_composed_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(37);
    for case in 0..24 {
        let shape = [1 + case % 3, 1 + rng.random_range(0..50), 1 + rng.random_range(0..90)];
        let (x, prior) = (random(shape, &mut rng), random(shape, &mut rng));
        let what = format!("case {case}, {shape:?}");
        agree(&Operation::Sparsemax { x: x.clone(), prior: Some(prior.clone()) }, &[&x, &prior], &what, &mut rng);
        agree(&Operation::Sparsemax { x: x.clone(), prior: None }, &[&x], &what, &mut rng);
    }
}

#[test]
fn sparsemax_is_the_nearest_point_of_the_simplex() {
    let cases: [(&[f32], &[f32]); 6] = [
        (&[0.0, 0.0], &[0.5, 0.5]),
        (&[0.3, 0.1], &[0.6, 0.4]),
        (&[5.0, 1.0, 0.0], &[1.0, 0.0, 0.0]),
        (&[1.0, 0.8, 0.1], &[0.6, 0.4, 0.0]),
        (&[-7.0, -7.0, -7.0, -9.0], &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0]),
        (&[3e6, -1e6, 2.999_999e6], &[1.0, 0.0, 0.0]),
    ];
    for (z, wanted) in cases {
        let row = Tensor::<Flex, 3>::from_data(TensorData::new(z.to_vec(), [1, 1, z.len()]), &Default::default());
        let operation = || Operation::Sparsemax { x: row.clone(), prior: None };
        for found in [numbers(Flex::plain_operation(operation())), numbers(composed::operation(operation()))] {
            let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near, "{z:?}: {found:?}, wanted {wanted:?}");
        }
    }
}

#[test]
fn what_has_no_gradient_is_not_recorded() {
    let x = Tensor::<Autodiff<Flex>, 3>::ones([1, 3, 4], &Default::default());
    let operation = || Operation::Scaled {
        x: x.clone(),
        scale: Tensor::ones([1, 1, 4], &Default::default()),
        shift: None,
        curve: Pointwise::Gelu,
        dropout: None,
    };
    assert!(!Flex::operation(operation()).is_require_grad());
    near(&numbers(Flex::operation(operation()).inner()), &numbers(composed::operation(operation()).inner()), "scaled");
}
