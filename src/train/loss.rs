//! The loss over outputs and targets `[replica, row, target]`: one number a replica, `[replica, 1, 1]`.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, activation::softmax, backend::Backend};

use super::kernels::{ErrorSize, Kernels, Truth};
use crate::spec::net::Net;
use crate::spec::{LossTerm, Spec, Weighting, Within};

/// What each target counts, `[replica, 1, target]` or `[1, 1, target]`; sums to 1.
pub(super) fn target_weights<B: Backend>(
    spec: &Spec,
    net: &Net,
    params: &[Tensor<B, 3>],
    fixed: &Tensor<B, 3>,
) -> Tensor<B, 3> {
    match (&spec.targets.weighting, net.target_logits) {
        (Weighting::Learned(learned), Some(logits)) => softmax(params[logits].clone() / learned.temperature, 2),
        _ => fixed.clone(),
    }
}

/// The whole loss, `[replica, 1, 1]`.
pub(super) fn loss<B: Kernels>(
    spec: &Spec,
    net: &Net,
    params: &[Tensor<Autodiff<B>, 3>],
    outputs: &Tensor<Autodiff<B>, 3>,
    truth: &Truth<Autodiff<B>>,
    weights: &Tensor<Autodiff<B>, 3>,
) -> Tensor<Autodiff<B>, 3> {
    let terms = spec.loss.iter().map(|term| match term {
        LossTerm::Pearson(pearson) => {
            let parts = if pearson.within == Within::Era { truth.parts } else { 1 };
            let correlations = B::correlations(outputs, truth, parts);
            ((correlations * weights.clone()).sum_dim(2).neg() + 1.0) * pearson.weight
        }
        LossTerm::Mse(term) => mean_error(outputs, truth, weights, ErrorSize::Square) * term.weight,
        LossTerm::Mae(term) => mean_error(outputs, truth, weights, ErrorSize::Absolute) * term.weight,
        LossTerm::OutputL2(term) => outputs.clone().square().mean_dim(1).mean_dim(2) * term.weight,
        LossTerm::WeightL2(term) => {
            let squares = net
                .params
                .iter()
                .zip(params)
                .filter(|(shape, _)| shape.is_weight)
                .map(|(_, param)| param.clone().square().sum_dim(1).sum_dim(2));
            squares
                .reduce(|a, b| a + b)
                .map_or_else(|| outputs.clone().mean_dim(1).mean_dim(2) * 0.0, |sum| sum * term.weight)
        }
    });
    terms.reduce(|a, b| a + b).expect("a checked spec has at least one loss term")
}

/// The mean over rows and targets of an error's size, `[replica, 1, 1]`.
fn mean_error<B: Kernels>(
    outputs: &Tensor<Autodiff<B>, 3>,
    truth: &Truth<Autodiff<B>>,
    weights: &Tensor<Autodiff<B>, 3>,
    size: ErrorSize,
) -> Tensor<Autodiff<B>, 3> {
    (B::errors(outputs, truth, size) * weights.clone()).sum_dim(2)
}
