//! Penalties: on what the outputs are made of, on weights, on members that agree.

use burn::tensor::{Tensor, backend::Backend};

use super::rows::standardized;
use super::{LossInputs, Tracked};
use crate::train::kernels::Kernels;

/// The mean over features and units of the squared correlation of output and feature, `[replica, 1, 1]`.
pub(super) fn exposure<B: Backend>(outputs: &Tensor<B, 3>, features: &Tensor<B, 3>) -> Tensor<B, 3> {
    let rows = outputs.dims()[1];
    let (z, x) = (standardized(outputs.clone(), None), standardized(features.clone(), None));
    let correlations = z.swap_dims(1, 2).matmul(x) / rows as f64;
    correlations.square().mean_dim(1).mean_dim(2)
}

/// The sum over the weight matrices of the size of every number, `[replica, 1, 1]`.
pub(super) fn weights<B: Kernels>(inputs: &LossInputs<'_, B>, size: impl Fn(Tracked<B>) -> Tracked<B>) -> Tracked<B> {
    let weights = inputs.net.params.iter().zip(inputs.params).filter(|(shape, _)| shape.is_weight);
    let sizes = weights.map(|(_, param)| size(param.clone()).sum_dim(1).sum_dim(2));
    let nothing = || Tensor::zeros([inputs.outputs.dims()[0], 1, 1], &inputs.outputs.device());
    sizes.reduce(|a, b| a + b).unwrap_or_else(nothing)
}

/// Minus the mean over members of the squared distance of their standardized outputs, `[replica · member, row, target]`,
/// from the members' mean: `[replica, 1, target]`.
pub(super) fn agreement<B: Backend>(outputs: &Tensor<B, 3>, members: usize) -> Tensor<B, 3> {
    let [all, rows, targets] = outputs.dims();
    let replicas = all / members;
    let z = standardized(outputs.clone(), None).reshape([replicas, members, rows * targets]);
    let apart = z.clone() - z.mean_dim(1);
    apart.square().mean_dim(1).neg().reshape([replicas, rows, targets]).mean_dim(1)
}
