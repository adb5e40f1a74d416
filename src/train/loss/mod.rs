//! The loss over outputs and targets `[replica, row, target]`: one number a replica, `[replica, 1, 1]`.

mod bins;
mod correlations;
mod errors;
mod members;
mod penalties;
mod rows;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, activation::softmax, backend::Backend};

use super::kernels::{ErrorSize, Kernels, Truth};
use crate::spec::net::Net;
use crate::spec::{LossTerm, Spec, Weighting, Within};

type Tracked<B> = Tensor<Autodiff<B>, 3>;

/// What a term of the loss may look at.
pub(super) struct LossInputs<'a, B: Kernels> {
    pub(super) spec: &'a Spec,
    pub(super) net: &'a Net,
    pub(super) params: &'a [Tracked<B>],
    /// What the net gives, `[replica, row, unit]`; unit = (member · targets + target) · bins + bin.
    pub(super) outputs: &'a Tracked<B>,
    /// What the net has read, `[replica, row, feature]`; needed where [`needs_features`].
    pub(super) features: Option<&'a Tracked<B>>,
    pub(super) truth: &'a Truth<Autodiff<B>>,
    /// What each target counts, as [`target_weights`] has it.
    pub(super) weights: &'a Tracked<B>,
    /// Losses that the forward pass has collected, each `[replica, 1, 1]`; they are added as they are.
    pub(super) auxiliary: &'a [Tracked<B>],
    /// Members inside each net, each with outputs of its own for every target.
    pub(super) members: usize,
}

/// Whether a term looks at what the net has read.
pub(super) fn needs_features(spec: &Spec) -> bool {
    spec.loss.iter().any(|term| matches!(term, LossTerm::Exposure(_)))
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

/// What a net's outputs predict, `[replica, row, target]`: the expected bins where there are bins, and the mean over the
/// members inside it.
pub(super) fn predictions<B: Backend>(spec: &Spec, outputs: Tensor<B, 3>, members: usize) -> Tensor<B, 3> {
    let [replicas, rows, _] = outputs.dims();
    let outputs = values(spec, outputs);
    if members == 1 {
        return outputs;
    }
    let targets = outputs.dims()[2] / members;
    outputs.reshape([replicas, rows, members, targets]).mean_dim(2).reshape([replicas, rows, targets])
}

/// One value a member and target.
fn values<B: Backend>(spec: &Spec, outputs: Tensor<B, 3>) -> Tensor<B, 3> {
    match spec.bins() {
        Some(bins) => bins::expected(outputs, bins),
        None => outputs,
    }
}

/// The whole loss, `[replica, 1, 1]`: of each member inside the nets, and the mean over members.
pub(super) fn loss<B: Kernels>(inputs: &LossInputs<'_, B>) -> Tracked<B> {
    let LossInputs { spec, members, .. } = *inputs;
    let together = values(spec, inputs.outputs.clone());
    let outputs = members::apart(together.clone(), members);
    let repeated;
    let truth = if members == 1 {
        inputs.truth
    } else {
        repeated = members::repeated_truth(inputs.truth, members);
        &repeated
    };
    let weights = members::repeated(inputs.weights, members);
    let weighted = |by_target: Tracked<B>| members::mean((by_target * weights.clone()).sum_dim(2), members);
    let missing = |correlations: Tracked<B>| weighted(correlations).neg() + 1.0;
    let parts = |within: Within| if within == Within::Era { truth.parts } else { 1 };
    let terms = spec.loss.iter().map(|term| match term {
        LossTerm::Pearson(term) => missing(B::correlations(&outputs, truth, parts(term.within))) * term.weight,
        LossTerm::Rank(term) => missing(correlations::ranks(&outputs, truth, parts(term.within), term)) * term.weight,
        LossTerm::Bmc(term) => missing(correlations::beyond(&outputs, truth, parts(term.within))) * term.weight,
        LossTerm::Mse(term) => weighted(B::errors(&outputs, truth, ErrorSize::Square)) * term.weight,
        LossTerm::Mae(term) => weighted(B::errors(&outputs, truth, ErrorSize::Absolute)) * term.weight,
        LossTerm::Huber(term) => weighted(errors::huber(&outputs, truth, term.delta)) * term.weight,
        LossTerm::CrossEntropy(term) => {
            let logits = members::apart(inputs.outputs.clone(), members);
            weighted(bins::cross_entropy(logits, truth, term.bins as usize)) * term.weight
        }
        LossTerm::Exposure(term) => {
            let features = inputs.features.expect("features are kept where `needs_features` says so");
            penalties::exposure(&together, features) * term.weight
        }
        LossTerm::OutputL2(term) => together.clone().square().mean_dim(1).mean_dim(2) * term.weight,
        LossTerm::WeightL1(term) => penalties::weights(inputs, Tensor::abs) * term.weight,
        LossTerm::WeightL2(term) => penalties::weights(inputs, Tensor::square) * term.weight,
        LossTerm::NegativeCorrelation(term) => {
            let by_target = penalties::agreement(&outputs, members);
            (by_target * inputs.weights.clone()).sum_dim(2) * term.weight
        }
    });
    let terms = terms.chain(inputs.auxiliary.iter().cloned());
    terms.reduce(|a, b| a + b).expect("a checked spec has at least one loss term")
}
