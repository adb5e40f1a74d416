//! Fused operations of blocks against composed ones, and both against closed forms.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Tracked, each_tail, near, norm, numbers, random, same};
use crate::spec::language::GateKind;
use crate::spec::net::Pointwise;
use crate::train::backend::Precision;
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

#[test]
fn fused_entropies_agree_with_composed_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(41);
    for case in 0..9 {
        let shape = [1 + case % 3, 1 + rng.random_range(0..90), 1 + rng.random_range(0..40)];
        // Shares of 0 to 1, some of them exactly 0.
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| (rng.random::<f32>() * 2.0 - 1.0).max(0.0)).collect();
        let x = Tensor::from_data(TensorData::new(values, shape), &Default::default()).require_grad();
        agree(&Operation::Entropy { x: x.clone() }, &[&x], &format!("case {case}, {shape:?}"), &mut rng);
    }
}

#[test]
fn fused_attention_agrees_with_the_composed_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(43);
    for case in 0..16 {
        let [replicas, rows] = [1 + case % 2, 1 + rng.random_range(0..6) * 7];
        let [count, heads, each] = [40, 4, 9].map(|most| rng.random_range(1..most));
        let x = random([replicas, rows, count * 3 * heads * each], &mut rng);
        let keys = (0..replicas).map(|_| [rng.random(), rng.random()]).collect();
        let dropout = (case % 2 == 0).then(|| Dropout::new(0.3, keys));
        let what = format!("case {case}, [{replicas}, {rows}], {count} tokens, {heads} heads of {each}");
        agree(&Operation::Attention { x: x.clone(), heads, count, dropout }, &[&x], &what, &mut rng);
    }
}

#[test]
fn fused_crossings_excitations_and_slopes_agree_with_composed_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(47);
    for case in 0..18 {
        let count = 1 + rng.random_range(0..20);
        let shape = [1 + case % 3, 1 + rng.random_range(0..90), count * [1, 3, 20][case / 3 % 3]];
        let what = format!("case {case}, {shape:?}, {count}");
        // Leaves of their own for each: one that is in no graph when another's backward pass runs is forgotten.
        let by_unit = [shape[0], 1, shape[2]];
        let by_count = [shape[0], shape[1], count];
        let ([start, product, x], bias) = ([0; 3].map(|_| random(shape, &mut rng)), random(by_unit, &mut rng));
        let crossed =
            Operation::Crossed { start: start.clone(), product: product.clone(), bias: bias.clone(), x: x.clone() };
        agree(&crossed, &[&start, &product, &bias, &x], &what, &mut rng);
        let (x, logits) = (random(shape, &mut rng), random(by_count, &mut rng));
        agree(&Operation::Excited { x: x.clone(), logits: logits.clone() }, &[&x, &logits], &what, &mut rng);
        let (x, slope) = (random(shape, &mut rng), random(by_unit, &mut rng));
        agree(&Operation::Prelu { x: x.clone(), slope: slope.clone() }, &[&x, &slope], &what, &mut rng);
        let (x, weights) = (random(shape, &mut rng), random(by_count, &mut rng));
        let weighted = Operation::Weighted { x: x.clone(), weights: weights.clone(), place: case % count };
        agree(&weighted, &[&x, &weights], &what, &mut rng);
        let x = random(shape, &mut rng);
        agree(&Operation::MeanOfParts { x: x.clone(), count }, &[&x], &what, &mut rng);
        let (x, target) = (random(shape, &mut rng), random(shape, &mut rng));
        agree(&Operation::MeanSquare { x: x.clone(), target }, &[&x], &what, &mut rng);
    }
}

#[test]
fn fused_products_of_groups_agree_with_composed_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(53);
    for case in 0..18 {
        let [rows, groups, inputs, outputs] =
            [300, 20, [2, 12][case % 2], [2, 60][case / 2 % 2]].map(|most| rng.random_range(1..most));
        let replicas = 1 + case % 3;
        let x = random([replicas, rows, groups * inputs], &mut rng);
        let weight = random([replicas, groups * inputs, outputs], &mut rng);
        let pull = random([replicas, rows, groups * outputs], &mut rng);
        let what = format!("case {case}, [{replicas}, {rows}], {groups} groups, {inputs} to {outputs}");
        let composed = || composed::grouped(x.clone(), weight.clone(), groups, |x, weight| x.matmul(weight));
        let found = Flex::grouped_product(x.clone(), weight.clone(), groups, Precision::Fp32);
        same(&found, &composed(), &pull, &[&x, &weight], &what);
        let plain = Flex::plain_grouped_product(x.clone().inner(), weight.clone().inner(), groups, Precision::Fp32);
        near(&numbers(plain), &numbers(composed().inner()), &what);
    }
}

#[test]
fn fused_embeddings_agree_with_composed_ones() {
    let mut rng = ChaCha8Rng::seed_from_u64(59);
    for case in 0..12 {
        let [rows, features, count] = [200, 20, 12].map(|most| rng.random_range(1..most));
        let replicas = 1 + case % 3;
        let what = format!("case {case}, [{replicas}, {rows}, {features}], {count} frequencies");
        let x = random([replicas, rows, features], &mut rng);
        agree(&Operation::Intervals { x: x.clone() }, &[&x], &what, &mut rng);
        let (x, frequencies) =
            (random([replicas, rows, features], &mut rng), random([replicas, features, count], &mut rng));
        let waves = Operation::Waves { x: x.clone(), frequencies: frequencies.clone() };
        agree(&waves, &[&x, &frequencies], &what, &mut rng);
    }
}

#[test]
fn a_replica_computes_the_same_alone_and_in_a_group() {
    let mut rng = ChaCha8Rng::seed_from_u64(61);
    let [replicas, rows, count, heads, each] = [3, 70, 6, 2, 5];
    let units = count * 3 * heads * each;
    let mut of = |rows, units| random([replicas, rows, units], &mut rng).inner();
    let [x, y, z] = [0; 3].map(|_| of(rows, units));
    let (few, by_unit, by_half) = (of(rows, count), of(1, units), of(count, 7));
    let dropout = Dropout::new(0.3, (0..3).map(|replica| [replica, 17 * replica + 5]).collect());
    let dropout = || Some(dropout.clone());
    let operations = [
        Operation::Gated { x: x.clone(), bias: Some(by_unit.clone()), kind: GateKind::Swiglu, dropout: dropout() },
        Operation::Scaled {
            x: x.clone(),
            scale: by_unit.clone(),
            shift: Some(by_unit.clone()),
            curve: Pointwise::Gelu,
            dropout: dropout(),
        },
        Operation::Sparsemax { x: x.clone(), prior: Some(y.clone()) },
        Operation::Entropy { x: few.clone().abs() },
        Operation::MeanSquare { x: x.clone(), target: y.clone() },
        Operation::Attention { x: x.clone(), heads, count, dropout: dropout() },
        Operation::Intervals { x: few.clone() },
        Operation::Waves { x: few.clone(), frequencies: by_half },
        Operation::Crossed { start: z, product: y, bias: by_unit.clone(), x: x.clone() },
        Operation::Excited { x: x.clone(), logits: few.clone() },
        Operation::Prelu { x: x.clone(), slope: by_unit },
        Operation::Weighted { x: x.clone(), weights: few, place: 2 },
        Operation::MeanOfParts { x, count },
    ];
    for operation in operations {
        let all = pulled(&operation, None);
        for replica in 0..replicas {
            let share =
                |numbers: &Vec<f32>| numbers[replica * numbers.len() / replicas..][..numbers.len() / replicas].to_vec();
            let wanted: Vec<Vec<f32>> = all.iter().map(share).collect();
            assert!(pulled(&operation, Some(replica)) == wanted, "{operation:?}, replica {replica}");
        }
    }
}

/// Values and gradients of an operation on all replicas, or on one of them alone.
fn pulled(operation: &Operation<Tensor<Flex, 3>>, alone: Option<usize>) -> Vec<Vec<f32>> {
    let leaves = std::cell::RefCell::new(Vec::new());
    let lifted = operation.clone().map(|tensor| {
        let own = match alone {
            Some(replica) => tensor.narrow(0, replica, 1),
            None => tensor,
        };
        let leaf = Tensor::<Autodiff<Flex>, 3>::from_inner(own).require_grad();
        leaves.borrow_mut().push(leaf.clone());
        leaf
    });
    let lifted = match (lifted, alone) {
        (Operation::Gated { x, bias, kind, dropout }, Some(replica)) => {
            Operation::Gated { x, bias, kind, dropout: dropout.map(|dropout| only(&dropout, replica)) }
        }
        (Operation::Scaled { x, scale, shift, curve, dropout }, Some(replica)) => {
            Operation::Scaled { x, scale, shift, curve, dropout: dropout.map(|dropout| only(&dropout, replica)) }
        }
        (Operation::Attention { x, heads, count, dropout }, Some(replica)) => {
            Operation::Attention { x, heads, count, dropout: dropout.map(|dropout| only(&dropout, replica)) }
        }
        (other, _) => other,
    };
    let y = Flex::operation(lifted);
    let gradients = (y.clone() * y.clone()).sum().backward();
    let by_leaf = leaves.into_inner();
    let by_leaf = by_leaf.iter().filter_map(|leaf| leaf.grad(&gradients)).map(numbers);
    [numbers(y.inner())].into_iter().chain(by_leaf).collect()
}

fn only(dropout: &Dropout, replica: usize) -> Dropout {
    Dropout { keys: vec![dropout.keys[replica]], ..dropout.clone() }
}
