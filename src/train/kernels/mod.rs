//! What follows a dense layer's matrix product (norm or bias, activation, dropout), as one operation a backend may fuse.
//!
//! The default composes it of Burn's own operations, on any backend. The CPU backend fuses it: as composed broadcasts,
//! these passes over memory cost several times the matrix products themselves.

mod curves;
mod flex;
mod slices;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData, activation, backend::Backend};

use crate::spec::Activation;

/// Added to variances before the root, as in PyTorch.
pub(super) const EPSILON: f64 = 1e-5;

/// Dropout of one layer in one step: which units stay is a hash of their place and of each replica's key, so that nothing
/// has to be stored for the backward pass and every backend drops the same ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dropout {
    /// A place is dropped where its hash is below this share of 2³².
    pub(super) threshold: u32,
    /// What the others are multiplied by: 1 / (1 - rate).
    pub(super) scale: f32,
    /// One key a replica.
    pub(super) keys: Vec<[u32; 2]>,
}

impl Dropout {
    /// Dropout with this rate, in (0, 1).
    pub(super) fn new(rate: f64, keys: Vec<[u32; 2]>) -> Self {
        Self { threshold: (rate * 4_294_967_296.0) as u32, scale: (1.0 / (1.0 - rate)) as f32, keys }
    }

    /// Whether the unit at `place` (row · units + unit) stays: a murmur3 finalizer over place and key.
    #[inline(always)]
    pub(super) fn keeps(key: [u32; 2], threshold: u32, place: u32) -> bool {
        let mut hash = place.wrapping_mul(0x9E37_79B1) ^ key[0];
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85EB_CA6B).wrapping_add(key[1]);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xC2B2_AE35);
        hash ^= hash >> 16;
        hash >= threshold
    }

    /// The mask as a tensor, for backends that do not fuse.
    fn mask<B: Backend>(&self, shape: [usize; 3], device: &B::Device) -> Tensor<B, 3> {
        let each = (shape[1] * shape[2]) as u32;
        let mask: Vec<f32> = self
            .keys
            .iter()
            .flat_map(|key| {
                (0..each).map(|place| if Self::keeps(*key, self.threshold, place) { self.scale } else { 0.0 })
            })
            .collect();
        Tensor::from_data(TensorData::new(mask, shape), device)
    }
}

/// The mean and the (biased) variance of a batch, each `[replica, 1, unit]`.
pub(super) struct Moments<B: Backend> {
    pub(super) mean: Tensor<B, 3>,
    pub(super) variance: Tensor<B, 3>,
}

/// A backend that can train. All tensors are `[replica, row, unit]`, or `[replica, 1, unit]` for what is learned of a unit.
pub(super) trait Kernels: Backend {
    /// dropout(activation(scale · (x - mean) / √(variance + ε) + shift)), mean and variance being the batch's own.
    fn normalized(
        x: Tensor<Autodiff<Self>, 3>,
        scale: Tensor<Autodiff<Self>, 3>,
        shift: Tensor<Autodiff<Self>, 3>,
        curve: Activation,
        dropout: Option<&Dropout>,
    ) -> (Tensor<Autodiff<Self>, 3>, Moments<Self>) {
        composed_normalized(x, scale, shift, curve, dropout)
    }

    /// dropout(activation(x + bias)).
    fn biased(
        x: Tensor<Autodiff<Self>, 3>,
        bias: Tensor<Autodiff<Self>, 3>,
        curve: Activation,
        dropout: Option<&Dropout>,
    ) -> Tensor<Autodiff<Self>, 3> {
        composed_biased(x, bias, curve, dropout)
    }

    /// activation(factor · (x - centre) + offset), without gradients: what predicting needs of both of the above.
    fn affine(x: Tensor<Self, 3>, moves: Affine<Self>, curve: Activation) -> Tensor<Self, 3> {
        composed_affine(x, moves, curve)
    }
}

/// What happens to a unit's numbers before the activation when predicting; every tensor is `[replica, 1, unit]`.
pub(super) struct Affine<B: Backend> {
    /// Centre and factor; None: 0 and 1.
    pub(super) scaled: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
    /// What is added.
    pub(super) offset: Tensor<B, 3>,
}

/// [`Kernels::affine`] of Burn's own operations.
fn composed_affine<B: Backend>(x: Tensor<B, 3>, moves: Affine<B>, curve: Activation) -> Tensor<B, 3> {
    let x = match moves.scaled {
        Some((centre, factor)) => (x - centre) * factor,
        None => x,
    };
    activate(curve, x + moves.offset)
}

#[cfg(feature = "cuda")]
impl Kernels for burn::backend::Cuda<f32, i32> {}

/// [`Kernels::normalized`] of Burn's own operations.
pub(super) fn composed_normalized<B: Backend>(
    x: Tensor<Autodiff<B>, 3>,
    scale: Tensor<Autodiff<B>, 3>,
    shift: Tensor<Autodiff<B>, 3>,
    curve: Activation,
    dropout: Option<&Dropout>,
) -> (Tensor<Autodiff<B>, 3>, Moments<B>) {
    let mean = x.clone().mean_dim(1);
    let centred = x - mean.clone();
    let variance = centred.clone().square().mean_dim(1);
    let y = centred * (variance.clone() + EPSILON).sqrt().recip() * scale + shift;
    (drop(activate(curve, y), dropout), Moments { mean: mean.inner(), variance: variance.inner() })
}

/// [`Kernels::biased`] of Burn's own operations.
pub(super) fn composed_biased<B: Backend>(
    x: Tensor<Autodiff<B>, 3>,
    bias: Tensor<Autodiff<B>, 3>,
    curve: Activation,
    dropout: Option<&Dropout>,
) -> Tensor<Autodiff<B>, 3> {
    drop(activate(curve, x + bias), dropout)
}

/// Dropout of Burn's own operations.
pub(super) fn drop<B: Backend>(x: Tensor<B, 3>, dropout: Option<&Dropout>) -> Tensor<B, 3> {
    match dropout {
        Some(dropout) => {
            let mask = dropout.mask(x.dims(), &x.device());
            x * mask
        }
        None => x,
    }
}

/// An activation of Burn's own operations.
pub(super) fn activate<B: Backend>(kind: Activation, x: Tensor<B, 3>) -> Tensor<B, 3> {
    match kind {
        Activation::Relu => activation::relu(x),
        Activation::Gelu => activation::gelu(x),
        Activation::Silu => activation::silu(x),
        Activation::Mish => x.clone() * softplus(x).tanh(),
        Activation::Selu => activation::selu(x),
        Activation::Elu => activation::elu(x, 1.0),
        Activation::LeakyRelu => activation::leaky_relu(x, 0.01),
        Activation::Tanh => x.tanh(),
        Activation::Softplus => softplus(x),
        Activation::Identity => x,
    }
}

/// ln(1 + eˣ) as max(x, 0) + ln(1 + e^-|x|), which overflows for no x.
fn softplus<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

#[cfg(test)]
mod tests;
