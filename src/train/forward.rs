//! The forward pass over tensors `[replica, row, unit]`, the same for training and predicting, on any backend.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::Backend};

use super::backend::Precision;
use super::kernels::{Affine, Dropout, EPSILON, Kernels, Moments, Norm};
use super::layers::{DenseLayer, Layer, Net, NormLayer};
use crate::spec::Activation;

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

/// What differs between training and predicting.
pub(super) trait Pass<B: Backend> {
    /// x · weight.
    fn product(&mut self, x: Tensor<B, 3>, weight: Tensor<B, 3>) -> Tensor<B, 3>;

    /// A dense layer: product, norm or bias, activation, dropout.
    fn dense(&mut self, dense: &DenseLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3>;
}

/// Predicting: running statistics, no dropout.
pub(super) struct Predicting<'a, B: Backend> {
    /// By number.
    pub(super) running: &'a [Running<B>],
    /// Of matrix products.
    pub(super) precision: Precision,
}

impl<B: Kernels> Pass<B> for Predicting<'_, B> {
    fn product(&mut self, x: Tensor<B, 3>, weight: Tensor<B, 3>) -> Tensor<B, 3> {
        B::plain_product(x, weight, self.precision)
    }

    fn dense(&mut self, dense: &DenseLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.product(x, params[dense.weight].clone());
        let bias = dense.bias.map(|bias| params[bias].clone());
        match &dense.norm {
            Some(NormLayer { scale, shift, running: Some(running) }) => {
                let Running { mean, variance } = &self.running[*running];
                let mean = match bias {
                    Some(bias) => mean.clone() - bias,
                    None => mean.clone(),
                };
                let factor = params[*scale].clone() * (variance.clone() + EPSILON).sqrt().recip();
                let moves = Affine { scaled: Some((mean, factor)), offset: params[*shift].clone() };
                B::affine(x, moves, dense.activation)
            }
            Some(norm) => {
                let norm = Norm { scale: params[norm.scale].clone(), shift: params[norm.shift].clone() };
                let x = match bias {
                    Some(offset) => B::affine(x, Affine { scaled: None, offset }, Activation::Identity),
                    None => x,
                };
                B::plain_row_normalized(x, norm, dense.activation)
            }
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
    /// Of matrix products.
    pub(super) precision: Precision,
}

impl<B: Kernels> Pass<Autodiff<B>> for Learning<'_, B> {
    fn product(&mut self, x: Tensor<Autodiff<B>, 3>, weight: Tensor<Autodiff<B>, 3>) -> Tensor<Autodiff<B>, 3> {
        B::product(x, weight, self.precision)
    }

    fn dense(
        &mut self,
        dense: &DenseLayer,
        params: &[Tensor<Autodiff<B>, 3>],
        x: Tensor<Autodiff<B>, 3>,
    ) -> Tensor<Autodiff<B>, 3> {
        let dropout = (dense.dropout > 0.0).then(|| (self.dropout)(dense.dropout));
        let bias = dense.bias.map(|bias| params[bias].clone());
        let weight = params[dense.weight].clone();
        let norm = |norm: &NormLayer| Norm { scale: params[norm.scale].clone(), shift: params[norm.shift].clone() };
        match &dense.norm {
            Some(layer @ NormLayer { running: Some(running), .. }) => {
                // The batch's mean takes a bias away again: it changes no output, no gradient reaches it, it stays 0.
                let tail = (dense.activation, dropout.as_ref());
                let (y, moments) = B::dense(x, weight, norm(layer), tail, self.precision);
                let mean = match bias {
                    Some(bias) => moments.mean + bias.inner(),
                    None => moments.mean,
                };
                self.seen[*running] = Some(Moments { mean, ..moments });
                y
            }
            Some(layer) => {
                let x = self.product(x, weight);
                let x = match bias {
                    Some(bias) => B::biased(x, bias, Activation::Identity, None),
                    None => x,
                };
                B::row_normalized(x, norm(layer), dense.activation, dropout.as_ref())
            }
            None => {
                let x = self.product(x, weight);
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
    forward_between(net, params, x, pass, &|_, x| x)
}

/// The same, with `between` done to what comes out of each block, and to the inputs as block 0.
pub(super) fn forward_between<B: Backend, P: Pass<B>>(
    net: &Net,
    params: &[Tensor<B, 3>],
    x: Tensor<B, 3>,
    pass: &mut P,
    between: &dyn Fn(usize, Tensor<B, 3>) -> Tensor<B, 3>,
) -> Tensor<B, 3> {
    let layers = net.layers.iter().enumerate();
    layers.fold(x, |x, (block, layer)| apply(layer, params, between(block, x), pass))
}

fn apply<B: Backend, P: Pass<B>>(
    layer: &Layer,
    params: &[Tensor<B, 3>],
    x: Tensor<B, 3>,
    pass: &mut P,
) -> Tensor<B, 3> {
    match layer {
        Layer::Dense(dense) => pass.dense(dense, params, x),
        Layer::Residual { inner, projection } => {
            let inside = inner.iter().fold(x.clone(), |x, layer| apply(layer, params, x, pass));
            match projection {
                Some(weight) => pass.product(x, params[*weight].clone()) + inside,
                // What lies inside is held by nobody else, so the sum can be taken in its place.
                None => inside + x,
            }
        }
    }
}

/// A bias of 0 for a layer without one.
fn nothing<B: Backend>(x: &Tensor<B, 3>) -> Tensor<B, 3> {
    let [replicas, _, units] = x.dims();
    Tensor::zeros([replicas, 1, units], &x.device())
}
