//! The forward pass over tensors `[replica, row, unit]`, the same for training and predicting, on any backend.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::Backend};

use super::kernels::{Affine, Dropout, EPSILON, Kernels, Moments, activate, drop};
use super::layers::{DenseLayer, Layer, Net, NormLayer};

/// The share of the newest batch in batch norm's running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// Running mean and variance of one batch norm, each `[replica, 1, unit]`.
#[derive(Clone, Debug)]
pub(super) struct Running<B: Backend> {
    pub(super) mean: Tensor<B, 3>,
    pub(super) variance: Tensor<B, 3>,
}

impl<B: Backend> Running<B> {
    /// Mean 0, variance 1.
    pub(super) fn new(replicas: usize, width: usize, device: &B::Device) -> Self {
        Self { mean: Tensor::zeros([replicas, 1, width], device), variance: Tensor::ones([replicas, 1, width], device) }
    }

    /// Moves towards a batch of `rows` rows. The variance is the batch's unbiased one, as in PyTorch.
    pub(super) fn follow(&mut self, batch: Moments<B>, rows: usize) {
        let unbias = rows as f64 / (rows.max(2) - 1) as f64;
        self.mean = self.mean.clone() * (1.0 - MOMENTUM) + batch.mean * MOMENTUM;
        self.variance = self.variance.clone() * (1.0 - MOMENTUM) + batch.variance * (MOMENTUM * unbias);
    }
}

/// What differs between training and predicting: everything behind a dense layer's matrix product.
pub(super) trait Pass<B: Backend> {
    /// Norm or bias, activation, dropout.
    fn tail(&mut self, dense: &DenseLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3>;
}

/// Predicting: running statistics, no dropout.
pub(super) struct Predicting<'a, B: Backend>(pub(super) &'a [Running<B>]);

impl<B: Kernels> Pass<B> for Predicting<'_, B> {
    fn tail(&mut self, dense: &DenseLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let bias = dense.bias.map(|bias| params[bias].clone());
        match &dense.norm {
            Some(NormLayer { scale, shift, running: Some(running) }) => {
                let Running { mean, variance } = &self.0[*running];
                let mean = match bias {
                    Some(bias) => mean.clone() - bias,
                    None => mean.clone(),
                };
                let factor = params[*scale].clone() * (variance.clone() + EPSILON).sqrt().recip();
                let moves = Affine { scaled: Some((mean, factor)), offset: params[*shift].clone() };
                B::affine(x, moves, dense.activation)
            }
            Some(norm) => activate(dense.activation, layer_norm(norm, params, add(x, bias))),
            None => {
                let offset = bias.unwrap_or_else(|| nothing(&x));
                B::affine(x, Affine { scaled: None, offset }, dense.activation)
            }
        }
    }
}

/// Makes the dropout of a layer with this rate, in (0, 1).
pub(super) type MakeDropout<'a> = dyn FnMut(f64) -> Dropout + 'a;

/// Training: statistics of the batch, which are handed out afterwards, and dropout.
pub(super) struct Learning<'a, B: Backend> {
    /// Makes dropout.
    pub(super) dropout: &'a mut MakeDropout<'a>,
    /// The batch's moments, by number of the running statistics.
    pub(super) seen: Vec<Option<Moments<B>>>,
}

impl<B: Kernels> Pass<Autodiff<B>> for Learning<'_, B> {
    fn tail(
        &mut self,
        dense: &DenseLayer,
        params: &[Tensor<Autodiff<B>, 3>],
        x: Tensor<Autodiff<B>, 3>,
    ) -> Tensor<Autodiff<B>, 3> {
        let dropout = (dense.dropout > 0.0).then(|| (self.dropout)(dense.dropout));
        let bias = dense.bias.map(|bias| params[bias].clone());
        match &dense.norm {
            Some(NormLayer { scale, shift, running: Some(running) }) => {
                let (scale, shift) = (params[*scale].clone(), params[*shift].clone());
                let (y, moments) = B::normalized(add(x, bias), scale, shift, dense.activation, dropout.as_ref());
                self.seen[*running] = Some(moments);
                y
            }
            Some(norm) => drop(activate(dense.activation, layer_norm(norm, params, add(x, bias))), dropout.as_ref()),
            None => {
                // Without a bias it is the same operation with one that is 0 and is not learned.
                let bias = bias.unwrap_or_else(|| nothing(&x));
                B::biased(x, bias, dense.activation, dropout.as_ref())
            }
        }
    }
}

/// Outputs `[replica, row, target]` for inputs `[replica, row, feature]`.
pub(super) fn forward<B: Backend, P: Pass<B>>(
    net: &Net,
    params: &[Tensor<B, 3>],
    x: Tensor<B, 3>,
    pass: &mut P,
) -> Tensor<B, 3> {
    net.layers.iter().fold(x, |x, layer| apply(layer, params, x, pass))
}

fn apply<B: Backend, P: Pass<B>>(
    layer: &Layer,
    params: &[Tensor<B, 3>],
    x: Tensor<B, 3>,
    pass: &mut P,
) -> Tensor<B, 3> {
    match layer {
        Layer::Dense(dense) => {
            let product = x.matmul(params[dense.weight].clone());
            pass.tail(dense, params, product)
        }
        Layer::Residual { inner, projection } => {
            let inside = inner.iter().fold(x.clone(), |x, layer| apply(layer, params, x, pass));
            match projection {
                Some(weight) => x.matmul(params[*weight].clone()) + inside,
                None => x + inside,
            }
        }
    }
}

/// A bias of 0 for a layer without one.
fn nothing<B: Backend>(x: &Tensor<B, 3>) -> Tensor<B, 3> {
    let [replicas, _, units] = x.dims();
    Tensor::zeros([replicas, 1, units], &x.device())
}

fn add<B: Backend>(x: Tensor<B, 3>, bias: Option<Tensor<B, 3>>) -> Tensor<B, 3> {
    match bias {
        Some(bias) => x + bias,
        None => x,
    }
}

/// Per row over the units: scale · (x - mean) / √(variance + ε) + shift.
fn layer_norm<B: Backend>(norm: &NormLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    centred * (variance + EPSILON).sqrt().recip() * params[norm.scale].clone() + params[norm.shift].clone()
}
