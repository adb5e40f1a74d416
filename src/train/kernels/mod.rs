//! The operations that training spends its time in, each as one that a backend may fuse.
//!
//! The defaults compose them of Burn's own operations, on any backend. The CPU backend fuses them: as composed broadcasts,
//! these passes over memory cost several times the matrix products themselves.

pub(super) mod buffers;
pub(super) mod composed;
pub(super) mod dropout;
mod flex;
pub(super) mod loops;
mod operation;
pub(super) mod product;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::Backend};

pub(super) use dropout::Dropout;
pub(super) use operation::Operation;

use super::backend::Precision;
use crate::spec::net::Pointwise;

/// Added to variances before the root, as in PyTorch.
pub(super) const EPSILON: f64 = 1e-5;

/// Keeps the logarithm of a share of 0 finite, as in TabNet's code.
const SURE: f64 = 1e-15;

/// Keeps a correlation of constant outputs finite: added to the product of the sums of squares.
const CORRELATION_EPSILON: f64 = 1e-12;

/// The mean and the (biased) variance of a batch, each `[replica, 1, unit]`.
pub(super) struct Moments<B: Backend> {
    pub(super) mean: Tensor<B, 3>,
    pub(super) variance: Tensor<B, 3>,
}

/// What a norm learns of each unit, `[replica, 1, unit]`.
#[derive(Clone, Debug)]
pub(super) struct Norm<T> {
    pub(super) scale: T,
    pub(super) shift: T,
}

/// A batch's targets, prepared: missing ones are 0 with mask 0.
pub(super) struct Truth<B: Backend> {
    /// `[replica, row, target]`, target - 0.5.
    pub(super) targets: Tensor<B, 3>,
    /// The same shape, 1 where a target exists; None where all do.
    pub(super) mask: Option<Tensor<B, 3>>,
    /// How many eras the rows are divided into equally, one after another; 1 for a batch of mixed rows.
    pub(super) parts: usize,
    /// The rows' benchmark, where a term looks at it.
    pub(super) benchmark: Option<Benchmark<B>>,
}

/// The benchmark of a batch's rows.
pub(super) struct Benchmark<B: Backend> {
    /// `[replica, row, 1]`: gaussianized ranks within the rows' eras; 0 where there is no benchmark.
    pub(super) scores: Tensor<B, 3>,
    /// The same shape, 1 where there is a benchmark; None where all rows of the trial have one.
    pub(super) mask: Option<Tensor<B, 3>>,
}

/// How the size of an error is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorSize {
    /// e²
    Square,
    /// |e|
    Absolute,
}

/// One step of AdamW: first ← β₁·first + (1 - β₁)·g, second ← β₂·second + (1 - β₂)·g²,
/// w ← shrink·w - size · first / (√second / root + ε).
#[derive(Clone, Copy, Debug)]
pub(super) struct AdamStep {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    /// Rate / (1 - β₁ᵗ).
    pub(super) size: f64,
    /// √(1 - β₂ᵗ).
    pub(super) root: f64,
    /// 1 - rate · weight decay.
    pub(super) shrink: f64,
    pub(super) epsilon: f64,
}

/// One step of SGD: velocity ← momentum·velocity + g + decay·w, w ← w - rate·velocity.
#[derive(Clone, Copy, Debug)]
pub(super) struct SgdStep {
    pub(super) rate: f64,
    pub(super) momentum: f64,
    pub(super) decay: f64,
}

/// What happens to a unit's numbers before the activation when predicting; every tensor is `[replica, 1, unit]`.
pub(super) struct Affine<B: Backend> {
    /// Centre and factor; None: 0 and 1.
    pub(super) scaled: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
    /// What is added.
    pub(super) offset: Tensor<B, 3>,
}

/// A backend that can train. All tensors are `[replica, row, unit]`, or `[replica, 1, unit]` for what is learned of a unit.
pub(super) trait Kernels: Backend {
    /// Whether a trial's data lies on the device, where batches are gathered then; else they are gathered on the host.
    const RESIDENT: bool = true;

    /// Rows that are predicted at once.
    const PREDICT_ROWS: usize = 65_536;

    /// x · weight, `[replica, row, in]` by `[replica, in, out]`.
    fn product(
        x: Tensor<Autodiff<Self>, 3>,
        weight: Tensor<Autodiff<Self>, 3>,
        precision: Precision,
    ) -> Tensor<Autodiff<Self>, 3> {
        product::product(x, weight, precision)
    }

    /// dropout(activation(scale · (z - mean) / √(variance + ε) + shift)) of z = x · weight, mean and variance being the
    /// batch's own.
    fn dense(
        x: Tensor<Autodiff<Self>, 3>,
        weight: Tensor<Autodiff<Self>, 3>,
        norm: Norm<Tensor<Autodiff<Self>, 3>>,
        tail: (Pointwise, Option<&Dropout>),
        precision: Precision,
    ) -> (Tensor<Autodiff<Self>, 3>, Moments<Self>) {
        composed::normalized(Self::product(x, weight, precision), norm, tail.0, tail.1)
    }

    /// dropout(activation(scale · (x - mean) / √(variance + ε) + shift)), mean and variance being the batch's own.
    fn normalized(
        x: Tensor<Autodiff<Self>, 3>,
        norm: Norm<Tensor<Autodiff<Self>, 3>>,
        curve: Pointwise,
        dropout: Option<&Dropout>,
    ) -> (Tensor<Autodiff<Self>, 3>, Moments<Self>) {
        composed::normalized(x, norm, curve, dropout)
    }

    /// What a block does beside products and norms.
    fn operation(operation: Operation<Tensor<Autodiff<Self>, 3>>) -> Tensor<Autodiff<Self>, 3> {
        composed::operation(operation)
    }

    /// [`Kernels::operation`] without gradients.
    fn plain_operation(operation: Operation<Tensor<Self, 3>>) -> Tensor<Self, 3> {
        composed::operation(operation)
    }

    /// dropout(activation(scale · (x - mean) / √(variance + ε) + shift)), mean and variance being each row's own.
    fn row_normalized(
        x: Tensor<Autodiff<Self>, 3>,
        norm: Norm<Tensor<Autodiff<Self>, 3>>,
        curve: Pointwise,
        dropout: Option<&Dropout>,
    ) -> Tensor<Autodiff<Self>, 3> {
        composed::row_normalized(x, norm, curve, dropout)
    }

    /// dropout(activation(x + bias)).
    fn biased(
        x: Tensor<Autodiff<Self>, 3>,
        bias: Tensor<Autodiff<Self>, 3>,
        curve: Pointwise,
        dropout: Option<&Dropout>,
    ) -> Tensor<Autodiff<Self>, 3> {
        composed::biased(x, bias, curve, dropout)
    }

    /// activation(factor · (x - centre) + offset), without gradients: what predicting needs of both of the above.
    fn affine(x: Tensor<Self, 3>, moves: Affine<Self>, curve: Pointwise) -> Tensor<Self, 3> {
        composed::affine(x, moves, curve)
    }

    /// [`Kernels::product`] without gradients.
    fn plain_product(x: Tensor<Self, 3>, weight: Tensor<Self, 3>, precision: Precision) -> Tensor<Self, 3> {
        product::plain_product(x, weight, precision)
    }

    /// Each group of x's units by the group's own matrix, `[replica, row, group · in]` by `[replica, group · in, out]`, to
    /// `[replica, row, group · out]`.
    fn grouped_product(
        x: Tensor<Autodiff<Self>, 3>,
        weight: Tensor<Autodiff<Self>, 3>,
        groups: usize,
        precision: Precision,
    ) -> Tensor<Autodiff<Self>, 3> {
        composed::grouped(x, weight, groups, |x, weight| Self::product(x, weight, precision))
    }

    /// [`Kernels::grouped_product`] without gradients.
    fn plain_grouped_product(
        x: Tensor<Self, 3>,
        weight: Tensor<Self, 3>,
        groups: usize,
        precision: Precision,
    ) -> Tensor<Self, 3> {
        composed::grouped(x, weight, groups, |x, weight| Self::plain_product(x, weight, precision))
    }

    /// [`Kernels::row_normalized`] without gradients and dropout.
    fn plain_row_normalized(x: Tensor<Self, 3>, norm: Norm<Tensor<Self, 3>>, curve: Pointwise) -> Tensor<Self, 3> {
        composed::row_normalized(x, norm, curve, None)
    }

    /// Pearson correlation of each target's output with the target, `[replica, 1, target]`: over the whole batch, or within
    /// each of `parts` equal runs of rows and then averaged.
    fn correlations(
        outputs: &Tensor<Autodiff<Self>, 3>,
        truth: &Truth<Autodiff<Self>>,
        parts: usize,
    ) -> Tensor<Autodiff<Self>, 3> {
        composed::correlations(outputs, truth, parts)
    }

    /// The mean over rows of the size of each target's error, `[replica, 1, target]`.
    fn errors(
        outputs: &Tensor<Autodiff<Self>, 3>,
        truth: &Truth<Autodiff<Self>>,
        size: ErrorSize,
    ) -> Tensor<Autodiff<Self>, 3> {
        composed::errors(outputs, truth, size)
    }

    /// Ends the use of a tensor whose memory the next step will need again.
    fn release(tensor: Tensor<Self, 3>) {
        std::mem::drop(tensor);
    }

    /// A step of AdamW: the weight and both moments afterwards. No moments are moments of 0.
    fn adam(
        weight: Tensor<Self, 3>,
        gradient: Tensor<Self, 3>,
        moments: Option<(Tensor<Self, 3>, Tensor<Self, 3>)>,
        step: &AdamStep,
    ) -> (Tensor<Self, 3>, (Tensor<Self, 3>, Tensor<Self, 3>)) {
        composed::adam(weight, gradient, moments, step)
    }

    /// A step of SGD: the weight and the velocity afterwards. No velocity is a velocity of 0.
    fn sgd(
        weight: Tensor<Self, 3>,
        gradient: Tensor<Self, 3>,
        velocity: Option<Tensor<Self, 3>>,
        step: &SgdStep,
    ) -> (Tensor<Self, 3>, Tensor<Self, 3>) {
        composed::sgd(weight, gradient, velocity, step)
    }
}

#[cfg(feature = "cuda")]
impl Kernels for burn::backend::Cuda<f32, i32> {}

#[cfg(test)]
mod tests;
