//! Optimizer steps in place.

use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorPrimitive};

use super::{Plain, ordered, values};
use crate::train::kernels::loops::steps;
use crate::train::kernels::{AdamStep, SgdStep, buffers};

/// [`crate::train::kernels::Kernels::adam`].
pub(super) fn adam(
    weight: Plain,
    gradient: Plain,
    moments: Option<(Plain, Plain)>,
    step: &AdamStep,
) -> (Plain, (Plain, Plain)) {
    let shape = weight.dims();
    let (first, second) = moments.unwrap_or_else(|| (zeros(shape), zeros(shape)));
    let (mut weight, gradient) = (own(weight), own(gradient));
    let (mut first, mut second) = (own(first), own(second));
    // Copies what somebody else still holds, the best weights so far for instance.
    steps::adam(weight.storage_mut(), values(&gradient), first.storage_mut(), second.storage_mut(), step);
    buffers::give_tensor(gradient);
    (lift(weight), (lift(first), lift(second)))
}

/// [`crate::train::kernels::Kernels::sgd`].
pub(super) fn sgd(weight: Plain, gradient: Plain, velocity: Option<Plain>, step: &SgdStep) -> (Plain, Plain) {
    let velocity = velocity.unwrap_or_else(|| zeros(weight.dims()));
    let (mut weight, gradient, mut velocity) = (own(weight), own(gradient), own(velocity));
    steps::sgd(weight.storage_mut(), values(&gradient), velocity.storage_mut(), step);
    buffers::give_tensor(gradient);
    (lift(weight), lift(velocity))
}

fn zeros(shape: [usize; 3]) -> Plain {
    Tensor::zeros(shape, &Default::default())
}

fn own(tensor: Plain) -> FlexTensor {
    ordered(tensor.into_primitive().tensor())
}

fn lift(tensor: FlexTensor) -> Plain {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}
