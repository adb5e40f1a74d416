//! Layer norm, activation and dropout as one step.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use super::{Plain, Tail, Tracked, contiguous, host, owned, primitive, tensor, tracked, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::row_norm::{Learned, backward, forward};
use crate::train::kernels::{Dropout, Norm, buffers};

/// [`crate::train::kernels::Kernels::row_normalized`].
pub(super) fn row_normalized(x: Tracked, norm: Norm<Tracked>, curve: Pointwise, dropout: Option<&Dropout>) -> Tracked {
    let [replicas, rows, units] = x.dims();
    let (x, scale, shift) = (primitive(x), primitive(norm.scale), primitive(norm.shift));
    let state = State {
        x: contiguous(&x.primitive),
        scale: host(&scale.primitive),
        shift: host(&shift.primitive),
        tail: Tail { replicas, rows, units, curve, dropout: dropout.cloned() },
    };
    let y = state.forward();
    let prepared = RowNormalize.prepare::<NoCheckpointing>([x.node.clone(), scale.node.clone(), shift.node.clone()]);
    tracked(match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    })
}

/// [`crate::train::kernels::Kernels::plain_row_normalized`].
pub(super) fn plain_row_normalized(x: Plain, norm: Norm<Plain>, curve: Pointwise) -> Plain {
    let [replicas, rows, units] = x.dims();
    let numbers = |tensor: Plain| host(&tensor.into_primitive().tensor());
    let state = State {
        x: contiguous(&x.into_primitive().tensor()),
        scale: numbers(norm.scale),
        shift: numbers(norm.shift),
        tail: Tail { replicas, rows, units, curve, dropout: None },
    };
    let y = state.forward();
    buffers::give_tensor(state.x);
    Tensor::from_primitive(TensorPrimitive::Float(y))
}

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    scale: Vec<f32>,
    shift: Vec<f32>,
    tail: Tail,
}

impl State {
    fn forward(&self) -> FlexTensor {
        let Tail { replicas, rows, units, curve, .. } = self.tail;
        let mut y = buffers::take(replicas * rows * units);
        for replica in 0..replicas {
            let all = self.tail.rows_of(replica);
            forward(&values(&self.x)[all.clone()], &mut y[all], self.learned(replica), curve, self.tail.mask(replica));
        }
        tensor(y, [replicas, rows, units])
    }

    fn learned(&self, replica: usize) -> Learned<'_> {
        let own = self.tail.units_of(replica);
        Learned { scale: &self.scale[own.clone()], shift: &self.shift[own] }
    }
}

/// Layer norm, activation, dropout.
#[derive(Debug)]
struct RowNormalize;

impl Backward<Flex, 3> for RowNormalize {
    type State = State;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let Tail { replicas, rows, units, curve, .. } = state.tail;
        let mut gradient = owned(gradients.consume::<Flex>(&ops.node));
        let (mut d_scale, mut d_shift) = (Vec::new(), Vec::new());
        for replica in 0..replicas {
            let all = state.tail.rows_of(replica);
            let x = &values(&state.x)[all.clone()];
            let (scale, shift) =
                backward(x, &mut gradient[all], state.learned(replica), curve, state.tail.mask(replica));
            d_scale.extend(scale.iter().map(|sum| *sum as f32));
            d_shift.extend(shift.iter().map(|sum| *sum as f32));
        }
        buffers::give_tensor(state.x);
        let [x, scale, shift] = ops.parents;
        if let Some(node) = x {
            gradients.register::<Flex>(node.id, tensor(gradient, [replicas, rows, units]));
        }
        if let Some(node) = scale {
            gradients.register::<Flex>(node.id, tensor(d_scale, [replicas, 1, units]));
        }
        if let Some(node) = shift {
            gradients.register::<Flex>(node.id, tensor(d_shift, [replicas, 1, units]));
        }
    }
}
