//! Adam and its kin: steps divided by the root of the mean squared gradient.

use burn::tensor::{Tensor, backend::Backend};

use super::{Memory, Step, blended, unstarted};
use crate::spec::{Adan, Lamb};
use crate::train::kernels::{AdamStep, Kernels};

/// AdamW, or Adam where the step does not shrink.
pub(super) fn adam<B: Kernels>(
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &AdamStep,
) -> Tensor<B, 3> {
    let moments = memory.mean.take().zip(memory.square.take());
    let (weight, (mean, square)) = B::adam(weight, gradient, moments, step);
    memory.mean = Some(mean);
    memory.square = Some(square);
    weight
}

/// Adan (Xie 2022), as in timm.
pub(super) fn adan<B: Backend>(
    fields: &Adan,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    let change = match memory.last.replace(gradient.clone()) {
        Some(last) => gradient.clone() - last,
        None => gradient.zeros_like(),
    };
    let ahead = gradient.clone() + change.clone() * fields.beta2;
    let mean = blended(memory.mean.take(), gradient, fields.beta1);
    let change = blended(memory.change.take(), change, fields.beta2);
    let square = blended(memory.square.take(), ahead.square(), fields.beta3);
    let rate = fields.lr * step.factor;
    let root = square.clone().sqrt() / unstarted(fields.beta3, step).sqrt() + fields.epsilon;
    let along = mean.clone() * (rate / unstarted(fields.beta1, step))
        + change.clone() * (rate * fields.beta2 / unstarted(fields.beta2, step));
    memory.mean = Some(mean);
    memory.change = Some(change);
    memory.square = Some(square);
    (weight - along / root) / (1.0 + rate * step.decay(fields.weight_decay))
}

/// LAMB (You 2020), as in timm with every parameter adapted.
pub(super) fn lamb<B: Backend>(
    fields: &Lamb,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    let mean = blended(memory.mean.take(), gradient.clone(), fields.beta1);
    let square = blended(memory.square.take(), gradient.square(), fields.beta2);
    let root = square.clone().sqrt() / unstarted(fields.beta2, step).sqrt() + fields.epsilon;
    let along = mean.clone() / unstarted(fields.beta1, step) / root;
    let along = along + weight.clone() * step.decay(fields.weight_decay);
    memory.mean = Some(mean);
    memory.square = Some(square);
    let norm = |x: &Tensor<B, 3>| x.clone().square().sum_dim(1).sum_dim(2).sqrt();
    let (size, length) = (norm(&weight), norm(&along));
    let nothing = size.clone().equal_elem(0.0).bool_or(length.clone().equal_elem(0.0));
    let trust = (size / length).mask_fill(nothing, 1.0);
    weight - along * trust * (fields.lr * step.factor)
}
