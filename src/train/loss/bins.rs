//! Outputs as logits over equally spaced values from 0 to 1.

use burn::backend::Autodiff;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::Tracked;
use super::rows::mean;
use crate::train::kernels::{Kernels, Truth};

/// 0, 1, …, bins - 1 as `[1, 1, bin]`.
fn places<B: Backend>(bins: usize, device: &B::Device) -> Tensor<B, 3> {
    let places: Vec<f32> = (0..bins).map(|bin| bin as f32).collect();
    Tensor::from_data(TensorData::new(places, [1, 1, bins]), device)
}

/// The expected value minus 0.5 of each run of `bins` logits: `[replica, row, unit · bin]` to `[replica, row, unit]`.
pub(super) fn expected<B: Backend>(logits: Tensor<B, 3>, bins: usize) -> Tensor<B, 3> {
    let [replicas, rows, units] = logits.dims();
    let places = places(bins, &logits.device()) / (bins - 1) as f64 - 0.5;
    let shares = softmax(logits.reshape([replicas, rows * (units / bins), bins]), 2);
    (shares * places).sum_dim(2).reshape([replicas, rows, units / bins])
}

/// The mean over rows of the cross-entropy of each target's logits, `[replica, row, target · bin]`, against the label on
/// its two nearest bins: `[replica, 1, target]`.
pub(super) fn cross_entropy<B: Kernels>(logits: Tracked<B>, truth: &Truth<Autodiff<B>>, bins: usize) -> Tracked<B> {
    let shape @ [replicas, rows, targets] = truth.targets.dims();
    let places = places(bins, &logits.device());
    let labels = (truth.targets.clone() + 0.5).clamp(0.0, 1.0).reshape([replicas, rows * targets, 1]);
    // max(0, 1 - |place - bin|) is the share of each of the two bins around a place, and 0 of all others.
    let shares = ((labels * (bins - 1) as f64 - places).abs().neg() + 1.0).clamp_min(0.0);
    let logits = log_softmax(logits.reshape([replicas, rows * targets, bins]), 2);
    let each = (logits * shares).sum_dim(2).neg().reshape(shape);
    mean(each, truth.mask.as_ref())
}
