//! The loss over outputs and targets `[replica, row, target]`: one number a replica, `[replica, 1, 1]`.

use burn::tensor::{Tensor, activation::softmax, backend::Backend};

use super::layers::Net;
use crate::spec::{LossTerm, Spec, Weighting, Within};

/// Keeps a correlation of constant outputs finite: added to the product of the sums of squares.
const EPSILON: f64 = 1e-12;

/// A batch's targets, prepared: missing ones are 0 with mask 0.
pub(super) struct Truth<B: Backend> {
    /// `[replica, row, target]`, target - 0.5.
    pub(super) targets: Tensor<B, 3>,
    /// The same shape, 1 where a target exists; None where all do.
    pub(super) mask: Option<Tensor<B, 3>>,
    /// How many eras the rows are divided into equally, one after another; 1 for a batch of mixed rows.
    pub(super) parts: usize,
}

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
pub(super) fn loss<B: Backend>(
    spec: &Spec,
    net: &Net,
    params: &[Tensor<B, 3>],
    outputs: &Tensor<B, 3>,
    truth: &Truth<B>,
    weights: &Tensor<B, 3>,
) -> Tensor<B, 3> {
    let terms = spec.loss.iter().map(|term| match term {
        LossTerm::Pearson(pearson) => {
            let parts = if pearson.within == Within::Era { truth.parts } else { 1 };
            let correlations = correlations(outputs, truth, parts);
            ((correlations * weights.clone()).sum_dim(2).neg() + 1.0) * pearson.weight
        }
        LossTerm::Mse(term) => mean_error(outputs, truth, weights, |error| error.square()) * term.weight,
        LossTerm::Mae(term) => mean_error(outputs, truth, weights, |error| error.abs()) * term.weight,
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

/// Pearson correlation of each target's output with the target, `[replica, 1, target]`: over the whole batch, or within
/// each of `parts` equal runs of rows and then averaged.
fn correlations<B: Backend>(outputs: &Tensor<B, 3>, truth: &Truth<B>, parts: usize) -> Tensor<B, 3> {
    let [replicas, rows, targets] = outputs.dims();
    let split = |x: &Tensor<B, 3>| x.clone().reshape([replicas * parts, rows / parts, targets]);
    let (p, y) = (split(outputs), split(&truth.targets));
    let (p, y) = match &truth.mask {
        Some(mask) => {
            let mask = split(mask);
            let count = mask.clone().sum_dim(1).clamp_min(1.0);
            let centre = |x: Tensor<B, 3>| {
                let mean = (x.clone() * mask.clone()).sum_dim(1) / count.clone();
                (x - mean) * mask.clone()
            };
            (centre(p), centre(y))
        }
        None => (p.clone() - p.mean_dim(1), y.clone() - y.mean_dim(1)),
    };
    let covariance = (p.clone() * y.clone()).sum_dim(1);
    let scale = (p.square().sum_dim(1) * y.square().sum_dim(1) + EPSILON).sqrt();
    (covariance / scale).reshape([replicas, parts, targets]).mean_dim(1)
}

/// The mean over rows and targets of an error's size, `[replica, 1, 1]`.
fn mean_error<B: Backend>(
    outputs: &Tensor<B, 3>,
    truth: &Truth<B>,
    weights: &Tensor<B, 3>,
    size: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>,
) -> Tensor<B, 3> {
    let errors = size(outputs.clone() - truth.targets.clone());
    let means = match &truth.mask {
        Some(mask) => (errors * mask.clone()).sum_dim(1) / mask.clone().sum_dim(1).clamp_min(1.0),
        None => errors.mean_dim(1),
    };
    (means * weights.clone()).sum_dim(2)
}
