//! Bias, activation and dropout as one step; and what predicting needs of it.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};

use super::{Plain, Tail, Tracked, contiguous, host, owned, plain, primitive, tensor, tracked, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::tail::{Units, forward, learn, sums};
use crate::train::kernels::{Affine, Dropout, buffers};

/// [`crate::train::kernels::Kernels::biased`].
pub(super) fn biased(x: Tracked, bias: Tracked, curve: Pointwise, dropout: Option<&Dropout>) -> Tracked {
    let [replicas, rows, units] = x.dims();
    let (x, bias) = (primitive(x), primitive(bias));
    let tail = Tail { replicas, rows, units, curve, dropout: dropout.cloned() };
    let linear = curve == Pointwise::Identity && dropout.is_none();
    let mut y = buffers::take(replicas * rows * units);
    let mut slopes = if linear { Vec::new() } else { buffers::take(y.len()) };
    let numbers = contiguous(&x.primitive);
    let offsets = host(&bias.primitive);
    let (zeros, ones) = (vec![0.0; units], vec![1.0; units]);
    for replica in 0..replicas {
        let (all, own) = (tail.rows_of(replica), tail.units_of(replica));
        let does = Units { centre: &zeros, factor: &ones, offset: &offsets[own] };
        let x = &values(&numbers)[all.clone()];
        if linear {
            forward(x, &mut y[all], does, curve);
        } else {
            learn(x, (&mut y[all.clone()], &mut slopes[all]), does, curve, tail.mask(replica));
        }
    }
    let y = tensor(y, [replicas, rows, units]);
    let prepared = AddBias.prepare::<NoCheckpointing>([x.node.clone(), bias.node.clone()]);
    // Neither x nor what held it is needed again.
    std::mem::drop(x);
    buffers::give_tensor(numbers);
    let y = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(BiasState { slopes, tail }, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    };
    tracked(y)
}

/// [`crate::train::kernels::Kernels::affine`].
pub(super) fn affine(x: Plain, moves: Affine<Flex>, curve: Pointwise) -> Plain {
    let [replicas, rows, units] = x.dims();
    let x = contiguous(&x.into_primitive().tensor());
    let numbers = |tensor: Plain| host(&tensor.into_primitive().tensor());
    let offset = numbers(moves.offset);
    let (centre, factor) = match moves.scaled {
        Some((centre, factor)) => (numbers(centre), numbers(factor)),
        None => (vec![0.0; offset.len()], vec![1.0; offset.len()]),
    };
    let tail = Tail { replicas, rows, units, curve, dropout: None };
    let mut y = buffers::take(replicas * rows * units);
    for replica in 0..replicas {
        let (all, own) = (tail.rows_of(replica), tail.units_of(replica));
        let does = Units { centre: &centre[own.clone()], factor: &factor[own.clone()], offset: &offset[own] };
        forward(&values(&x)[all.clone()], &mut y[all], does, curve);
    }
    buffers::give_tensor(x);
    plain(y, [replicas, rows, units])
}

#[derive(Clone, Debug)]
struct BiasState {
    /// ∂y/∂x, as `learn` leaves it; empty where it is 1.
    slopes: Vec<f32>,
    tail: Tail,
}

/// Bias, activation, dropout.
#[derive(Debug)]
struct AddBias;

impl Backward<Flex, 2> for AddBias {
    type State = BiasState;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let BiasState { slopes, tail } = ops.state;
        let Tail { replicas, rows, units, .. } = tail;
        let mut gradient = owned(gradients.consume::<Flex>(&ops.node));
        for (gradient, slope) in gradient.iter_mut().zip(&slopes) {
            *gradient *= slope;
        }
        buffers::give(slopes);
        let [x, bias] = ops.parents;
        if let Some(node) = bias {
            let by_unit = |replica| sums(&gradient[tail.rows_of(replica)], units);
            let d_bias: Vec<f32> = (0..replicas).flat_map(by_unit).map(|sum| sum as f32).collect();
            gradients.register::<Flex>(node.id, tensor(d_bias, [replicas, 1, units]));
        }
        if let Some(node) = x {
            gradients.register::<Flex>(node.id, tensor(gradient, [replicas, rows, units]));
        }
    }
}
