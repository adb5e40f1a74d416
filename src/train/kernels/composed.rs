//! Every kernel of Burn's own operations: right on any backend, and what the fused ones are held against.

mod operation;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, activation, backend::Backend};

use super::{AdamStep, Affine, Dropout, EPSILON, ErrorSize, Moments, Norm, SgdStep, Truth};
use crate::spec::net::Pointwise;

pub(in crate::train) use operation::operation;

/// [`super::Kernels::affine`].
pub(in crate::train) fn affine<B: Backend>(x: Tensor<B, 3>, moves: Affine<B>, curve: Pointwise) -> Tensor<B, 3> {
    let x = match moves.scaled {
        Some((centre, factor)) => (x - centre) * factor,
        None => x,
    };
    activate(curve, x + moves.offset)
}

/// What follows the product in [`super::Kernels::dense`].
pub(in crate::train) fn normalized<B: Backend>(
    x: Tensor<Autodiff<B>, 3>,
    norm: Norm<Tensor<Autodiff<B>, 3>>,
    curve: Pointwise,
    dropout: Option<&Dropout>,
) -> (Tensor<Autodiff<B>, 3>, Moments<B>) {
    let mean = x.clone().mean_dim(1);
    let centred = x - mean.clone();
    let variance = centred.clone().square().mean_dim(1);
    let y = centred * (variance.clone() + EPSILON).sqrt().recip() * norm.scale + norm.shift;
    (drop(activate(curve, y), dropout), Moments { mean: mean.inner(), variance: variance.inner() })
}

/// [`super::Kernels::biased`].
pub(in crate::train) fn biased<B: Backend>(
    x: Tensor<Autodiff<B>, 3>,
    bias: Tensor<Autodiff<B>, 3>,
    curve: Pointwise,
    dropout: Option<&Dropout>,
) -> Tensor<Autodiff<B>, 3> {
    drop(activate(curve, x + bias), dropout)
}

/// [`super::Kernels::grouped_product`]: groups are more replicas of a product.
pub(in crate::train) fn grouped<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    groups: usize,
    product: impl FnOnce(Tensor<B, 3>, Tensor<B, 3>) -> Tensor<B, 3>,
) -> Tensor<B, 3> {
    let ([replicas, rows, units], outputs) = (x.dims(), weight.dims()[2]);
    let inputs = units / groups;
    let x = x.reshape([replicas, rows, groups, inputs]).swap_dims(1, 2).reshape([replicas * groups, rows, inputs]);
    let y = product(x, weight.reshape([replicas * groups, inputs, outputs]));
    y.reshape([replicas, groups, rows, outputs]).swap_dims(1, 2).reshape([replicas, rows, groups * outputs])
}

/// Dropout of Burn's own operations.
pub(in crate::train) fn drop<B: Backend>(x: Tensor<B, 3>, dropout: Option<&Dropout>) -> Tensor<B, 3> {
    match dropout {
        Some(dropout) => dropout.apply(x),
        None => x,
    }
}

/// An activation of Burn's own operations.
pub(in crate::train) fn activate<B: Backend>(kind: Pointwise, x: Tensor<B, 3>) -> Tensor<B, 3> {
    match kind {
        Pointwise::Relu => activation::relu(x),
        Pointwise::Gelu => activation::gelu(x),
        Pointwise::Silu => activation::silu(x),
        Pointwise::Mish => x.clone() * softplus(x).tanh(),
        Pointwise::Selu => activation::selu(x),
        Pointwise::Elu => activation::elu(x, 1.0),
        Pointwise::LeakyRelu => activation::leaky_relu(x, 0.01),
        Pointwise::Tanh => x.tanh(),
        Pointwise::Softplus => softplus(x),
        Pointwise::Hardswish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Pointwise::Identity => x,
    }
}

/// ln(1 + eˣ) as max(x, 0) + ln(1 + e^-|x|), which overflows for no x.
fn softplus<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

/// [`super::Kernels::row_normalized`].
pub(in crate::train) fn row_normalized<B: Backend>(
    x: Tensor<B, 3>,
    norm: Norm<Tensor<B, 3>>,
    curve: Pointwise,
    dropout: Option<&Dropout>,
) -> Tensor<B, 3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let y = centred * (variance + EPSILON).sqrt().recip() * norm.scale + norm.shift;
    drop(activate(curve, y), dropout)
}

/// [`super::Kernels::correlations`].
pub(in crate::train) fn correlations<B: Backend>(
    outputs: &Tensor<B, 3>,
    truth: &Truth<B>,
    parts: usize,
) -> Tensor<B, 3> {
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
    let scale = (p.square().sum_dim(1) * y.square().sum_dim(1) + super::CORRELATION_EPSILON).sqrt();
    (covariance / scale).reshape([replicas, parts, targets]).mean_dim(1)
}

/// [`super::Kernels::errors`].
pub(in crate::train) fn errors<B: Backend>(outputs: &Tensor<B, 3>, truth: &Truth<B>, size: ErrorSize) -> Tensor<B, 3> {
    let errors = outputs.clone() - truth.targets.clone();
    let errors = match size {
        ErrorSize::Square => errors.square(),
        ErrorSize::Absolute => errors.abs(),
    };
    match &truth.mask {
        Some(mask) => (errors * mask.clone()).sum_dim(1) / mask.clone().sum_dim(1).clamp_min(1.0),
        None => errors.mean_dim(1),
    }
}

/// [`super::Kernels::adam`].
pub(in crate::train) fn adam<B: Backend>(
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    moments: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
    step: &AdamStep,
) -> (Tensor<B, 3>, (Tensor<B, 3>, Tensor<B, 3>)) {
    let (first, second) = match moments {
        Some((first, second)) => (Some(first), Some(second)),
        None => (None, None),
    };
    let first = blend(first, gradient.clone(), step.beta1);
    let second = blend(second, gradient.square(), step.beta2);
    let change = first.clone() / (second.clone().sqrt() / step.root + step.epsilon) * step.size;
    (weight * step.shrink - change, (first, second))
}

/// decay · old + (1 - decay) · new.
fn blend<B: Backend>(old: Option<Tensor<B, 3>>, new: Tensor<B, 3>, decay: f64) -> Tensor<B, 3> {
    match old {
        Some(old) => old * decay + new * (1.0 - decay),
        None => new * (1.0 - decay),
    }
}

/// [`super::Kernels::sgd`].
pub(in crate::train) fn sgd<B: Backend>(
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    velocity: Option<Tensor<B, 3>>,
    step: &SgdStep,
) -> (Tensor<B, 3>, Tensor<B, 3>) {
    let gradient = gradient + weight.clone() * step.decay;
    let velocity = match velocity {
        Some(velocity) => velocity * step.momentum + gradient,
        None => gradient,
    };
    (weight - velocity.clone() * step.rate, velocity)
}
