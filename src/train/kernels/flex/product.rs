//! Matrix products as a step of the graph, into buffers that are used again.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use super::{Plain, Tracked, contiguous, primitive, tensor, tracked, values};
use crate::train::kernels::buffers;
use crate::train::kernels::loops::products::{Matrix, product as multiply};

/// [`crate::train::kernels::Kernels::product`].
pub(super) fn product(x: Tracked, weight: Tracked) -> Tracked {
    let [replicas, rows, inputs] = x.dims();
    let [_, _, units] = weight.dims();
    let (x, weight) = (primitive(x), primitive(weight));
    let shape = Shape { replicas, rows, inputs, units };
    let state = State { x: contiguous(&x.primitive), weight: contiguous(&weight.primitive), shape };
    let z = state.product();
    let prepared = Product.prepare::<NoCheckpointing>([x.node.clone(), weight.node.clone()]);
    // What is not kept for the backward pass must be let go before it: a buffer is used again once nobody holds it.
    tracked(match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, z),
        OpsKind::UnTracked(prepared) => prepared.finish(z),
    })
}

/// [`crate::train::kernels::Kernels::plain_product`].
pub(super) fn plain_product(x: Plain, weight: Plain) -> Plain {
    let [replicas, rows, inputs] = x.dims();
    let [_, _, units] = weight.dims();
    let state = State {
        x: contiguous(&x.into_primitive().tensor()),
        weight: contiguous(&weight.into_primitive().tensor()),
        shape: Shape { replicas, rows, inputs, units },
    };
    let z = state.product();
    buffers::give_tensor(state.x);
    Tensor::from_primitive(TensorPrimitive::Float(z))
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    replicas: usize,
    rows: usize,
    inputs: usize,
    units: usize,
}

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    weight: FlexTensor,
    shape: Shape,
}

impl State {
    fn x(&self, replica: usize) -> Matrix<'_> {
        let Shape { rows, inputs, .. } = self.shape;
        Matrix::new(&values(&self.x)[replica * rows * inputs..][..rows * inputs], rows, inputs)
    }

    fn weight(&self, replica: usize) -> Matrix<'_> {
        let Shape { inputs, units, .. } = self.shape;
        Matrix::new(&values(&self.weight)[replica * inputs * units..][..inputs * units], inputs, units)
    }

    fn product(&self) -> FlexTensor {
        let Shape { replicas, rows, units, .. } = self.shape;
        let mut z = buffers::take(replicas * rows * units);
        for (replica, z) in z.chunks_exact_mut((rows * units).max(1)).enumerate() {
            multiply(self.x(replica), self.weight(replica), z);
        }
        tensor(z, [replicas, rows, units])
    }
}

/// z = x · W: dW = xᵀ · dz, dx = dz · Wᵀ.
#[derive(Debug)]
struct Product;

impl Backward<Flex, 2> for Product {
    type State = State;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let Shape { replicas, rows, inputs, units } = state.shape;
        let gradient = contiguous(&gradients.consume::<Flex>(&ops.node));
        let of =
            |replica: usize| Matrix::new(&values(&gradient)[replica * rows * units..][..rows * units], rows, units);
        let [x, weight] = ops.parents;
        let d_weight = weight.map(|node| {
            let mut out = buffers::take(replicas * inputs * units);
            for (replica, out) in out.chunks_exact_mut((inputs * units).max(1)).enumerate() {
                multiply(state.x(replica).transposed(), of(replica), out);
            }
            (node, tensor(out, [replicas, inputs, units]))
        });
        let d_x = x.map(|node| {
            let mut out = buffers::take(replicas * rows * inputs);
            for (replica, out) in out.chunks_exact_mut((rows * inputs).max(1)).enumerate() {
                multiply(of(replica), state.weight(replica).transposed(), out);
            }
            (node, tensor(out, [replicas, rows, inputs]))
        });
        buffers::give_tensor(state.x);
        buffers::give_tensor(gradient);
        for (node, gradient) in d_weight.into_iter().chain(d_x) {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}
