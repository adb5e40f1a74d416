//! Matrix products of a chosen precision, forward and backward, of Burn's own operations.
//!
//! Burn multiplies f32 matrices on tensor cores with operands rounded to tf32 wherever its tuning finds that faster, and
//! offers no way to forbid it. So fp32 is made of three such products: the upper 11 bits of each operand, which tf32 holds
//! exactly, by each other, and by what is left of the other. What is then missing of a term is 2⁻²² of it.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{FloatDType, Tensor, TensorPrimitive, backend::Backend};

use crate::train::backend::Precision;

/// [`super::Kernels::plain_product`].
pub(in crate::train) fn plain_product<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    precision: Precision,
) -> Tensor<B, 3> {
    match precision {
        Precision::Tf32 => x.matmul(weight),
        Precision::Bf16 => x.cast(FloatDType::BF16).matmul(weight.cast(FloatDType::BF16)).cast(FloatDType::F32),
        Precision::Fp32 => {
            let ((x, x_rest), (weight, weight_rest)) = (split(x), split(weight));
            let small = x_rest.matmul(weight.clone()) + x.clone().matmul(weight_rest);
            x.matmul(weight) + small
        }
    }
}

/// A number's upper 11 bits and what is left of it: Veltkamp's splitting. 8193·x is written as a sum, so that no compiler can
/// merge a multiplication into the subtractions after it, which would undo the rounding that all of this rests on.
fn split<B: Backend>(x: Tensor<B, 3>) -> (Tensor<B, 3>, Tensor<B, 3>) {
    let wide = x.clone() * 8192.0 + x.clone();
    let upper = wide.clone() - (wide - x.clone());
    (upper.clone(), x - upper)
}

/// [`super::Kernels::product`].
pub(in crate::train) fn product<B: Backend>(
    x: Tensor<Autodiff<B>, 3>,
    weight: Tensor<Autodiff<B>, 3>,
    precision: Precision,
) -> Tensor<Autodiff<B>, 3> {
    let z = primitive(plain_product(x.clone().inner(), weight.clone().inner(), precision));
    let (x, weight) = (x.into_primitive().tensor(), weight.into_primitive().tensor());
    let prepared = Product.prepare::<NoCheckpointing>([x.node, weight.node]);
    let z = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(State { x: x.primitive, weight: weight.primitive, precision }, z),
        OpsKind::UnTracked(prepared) => prepared.finish(z),
    };
    Tensor::from_primitive(TensorPrimitive::Float(z))
}

fn primitive<B: Backend>(tensor: Tensor<B, 3>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend>(primitive: FloatTensor<B>) -> Tensor<B, 3> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

#[derive(Clone, Debug)]
struct State<T> {
    x: T,
    weight: T,
    precision: Precision,
}

/// z = x · W: dW = xᵀ · dz, dx = dz · Wᵀ.
#[derive(Debug)]
struct Product;

impl<B: Backend> Backward<B, 2> for Product {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let State { x, weight, precision } = ops.state;
        let pull = tensor::<B>(gradients.consume::<B>(&ops.node));
        let [x_node, weight_node] = ops.parents;
        if let Some(node) = weight_node {
            let gradient = plain_product(tensor::<B>(x).transpose(), pull.clone(), precision);
            gradients.register::<B>(node.id, primitive(gradient));
        }
        if let Some(node) = x_node {
            let gradient = plain_product(pull, tensor::<B>(weight).transpose(), precision);
            gradients.register::<B>(node.id, primitive(gradient));
        }
    }
}
