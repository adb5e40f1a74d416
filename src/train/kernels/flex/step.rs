//! A fused operation as a step of the graph: what it keeps of the forward pass, and the gradients that it gives back.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use super::{Tracked, ordered, primitive, tracked};

/// What an operation of `N` tensors keeps.
pub(super) trait Step<const N: usize>: Clone + Debug + Send + 'static {
    /// From ∂L/∂y to the gradients of the tensors. `wanted` says which are asked for; others may be left out.
    fn pull(self, gradient: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N];

    /// Gives back what it keeps.
    fn release(self);
}

/// Runs an operation and, where a gradient will be asked for, records it. `forward` is given contiguous tensors, and whether
/// what it keeps will be pulled.
pub(super) fn recorded<S: Step<N>, const N: usize>(
    tensors: [Tracked; N],
    forward: impl FnOnce([FlexTensor; N], bool) -> (FlexTensor, S),
) -> Tracked {
    let tensors = tensors.map(primitive);
    let nodes = tensors.each_ref().map(|tensor| tensor.node.clone());
    // A node lives as long as what counts its holders, so that is kept to the end; the numbers are let go as soon as nobody
    // needs them, because a buffer is used again once nobody holds it.
    let mut holders = Vec::with_capacity(N);
    let numbers = tensors.map(|tensor| {
        holders.push(tensor.rc);
        ordered(tensor.primitive)
    });
    match Recorded::<S>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (y, state) = forward(numbers, true);
            tracked(prepared.finish(state, y))
        }
        // Nothing is recorded: the graph would hold such a step until the next backward pass, and predicting has none.
        OpsKind::UnTracked(_) => {
            let (y, state) = forward(numbers, false);
            state.release();
            Tensor::from_inner(Tensor::from_primitive(TensorPrimitive::Float(y)))
        }
    }
}

struct Recorded<S>(PhantomData<fn() -> S>);

impl<S> Debug for Recorded<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(std::any::type_name::<S>())
    }
}

impl<S: Step<N>, const N: usize> Backward<Flex, N> for Recorded<S> {
    type State = S;

    fn backward(self, ops: Ops<S, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = ops.state.pull(gradient, wanted);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}
