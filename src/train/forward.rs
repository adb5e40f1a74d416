//! What differs between training and predicting in a forward pass over tensors `[replica, row, unit]`; what is the same is in
//! `blocks`.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::Backend};

use super::backend::Precision;
use super::kernels::{Affine, Dropout, EPSILON, Kernels, Moments, Norm, Operation, composed};
use super::noise::{Keys, Noise};
use crate::spec::net::Pointwise;
use crate::spec::net::{DenseLayer, NormLayer};

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

    /// Each group of units by the group's own matrix; see [`Kernels::grouped_product`].
    fn grouped_product(&mut self, x: Tensor<B, 3>, weight: Tensor<B, 3>, groups: usize) -> Tensor<B, 3> {
        composed::grouped(x, weight, groups, |x, weight| self.product(x, weight))
    }

    /// A dense layer: product, norm or bias, nonlinearity, dropout.
    fn dense(&mut self, dense: &DenseLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3>;

    /// What follows the product in a dense layer.
    fn tail(&mut self, tail: &Tail<'_>, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3>;

    /// What a block does beside products and norms.
    fn operate(&mut self, operation: Operation<Tensor<B, 3>>) -> Tensor<B, 3> {
        composed::operation(operation)
    }

    /// Dropout of this share as a part of an operation, in training.
    fn made(&mut self, rate: f64) -> Option<Dropout> {
        let _ = rate;
        None
    }

    /// Dropout, in training.
    fn dropout(&mut self, rate: f64, x: Tensor<B, 3>) -> Tensor<B, 3>;

    /// Noise of this standard deviation, in training.
    fn noise(&mut self, deviation: f64, x: Tensor<B, 3>) -> Tensor<B, 3>;

    /// Whether it is training, and terms of the loss are asked for.
    fn learns(&self) -> bool;

    /// Adds a term to the loss, `[replica, 1, 1]`.
    fn auxiliary(&mut self, term: Tensor<B, 3>);
}

/// Norm or bias, nonlinearity, dropout.
pub(super) struct Tail<'a> {
    /// The norm.
    pub(super) norm: Option<&'a NormLayer>,
    /// The bias's number.
    pub(super) bias: Option<usize>,
    /// The nonlinearity.
    pub(super) activation: Pointwise,
    /// The share that is dropped.
    pub(super) dropout: f64,
}

impl<'a> Tail<'a> {
    /// A dense layer's.
    fn of(dense: &'a DenseLayer) -> Self {
        Self { norm: dense.norm.as_ref(), bias: dense.bias, activation: dense.activation, dropout: dense.dropout }
    }
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

    fn grouped_product(&mut self, x: Tensor<B, 3>, weight: Tensor<B, 3>, groups: usize) -> Tensor<B, 3> {
        B::plain_grouped_product(x, weight, groups, self.precision)
    }

    fn dense(&mut self, dense: &DenseLayer, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.product(x, params[dense.weight].clone());
        self.tail(&Tail::of(dense), params, x)
    }

    fn tail(&mut self, tail: &Tail<'_>, params: &[Tensor<B, 3>], x: Tensor<B, 3>) -> Tensor<B, 3> {
        let bias = tail.bias.map(|bias| params[bias].clone());
        match tail.norm {
            Some(NormLayer { scale, shift, running: Some(running) }) => {
                let Running { mean, variance } = &self.running[*running];
                let mean = match bias {
                    Some(bias) => mean.clone() - bias,
                    None => mean.clone(),
                };
                let factor = params[*scale].clone() * (variance.clone() + EPSILON).sqrt().recip();
                let moves = Affine { scaled: Some((mean, factor)), offset: params[*shift].clone() };
                B::affine(x, moves, tail.activation)
            }
            Some(norm) => {
                let norm = Norm { scale: params[norm.scale].clone(), shift: params[norm.shift].clone() };
                let x = match bias {
                    Some(offset) => B::affine(x, Affine { scaled: None, offset }, Pointwise::Identity),
                    None => x,
                };
                B::plain_row_normalized(x, norm, tail.activation)
            }
            None if bias.is_none() && tail.activation == Pointwise::Identity => x,
            None => {
                let offset = bias.unwrap_or_else(|| nothing(&x));
                B::affine(x, Affine { scaled: None, offset }, tail.activation)
            }
        }
    }

    fn operate(&mut self, operation: Operation<Tensor<B, 3>>) -> Tensor<B, 3> {
        B::plain_operation(operation)
    }

    fn dropout(&mut self, _: f64, x: Tensor<B, 3>) -> Tensor<B, 3> {
        x
    }

    fn noise(&mut self, _: f64, x: Tensor<B, 3>) -> Tensor<B, 3> {
        x
    }

    fn learns(&self) -> bool {
        false
    }

    fn auxiliary(&mut self, _: Tensor<B, 3>) {}
}

/// Makes the dropout of a layer with this rate, in (0, 1).
pub(super) type MakeDropout<'a> = dyn FnMut(f64) -> Dropout + 'a;

/// Draws each replica's keys of a block's noise.
pub(super) type MakeNoise<'a> = dyn FnMut() -> Vec<Keys> + 'a;

/// Training: statistics of the batch, which are handed out afterwards, and dropout.
pub(super) struct Learning<'a, B: Backend> {
    /// Makes dropout.
    pub(super) dropout: &'a mut MakeDropout<'a>,
    /// Makes noise.
    pub(super) noise: &'a mut MakeNoise<'a>,
    /// The batch's moments and the rows that they are of, by number of the running statistics.
    pub(super) seen: Vec<Option<(Moments<B>, usize)>>,
    /// Terms of the loss that layers add, each `[replica, 1, 1]`.
    pub(super) auxiliary: Vec<Tensor<Autodiff<B>, 3>>,
    /// Of matrix products.
    pub(super) precision: Precision,
}

impl<'a, B: Kernels> Learning<'a, B> {
    /// Of a net with so many running statistics.
    pub(super) fn new(
        dropout: &'a mut MakeDropout<'a>,
        noise: &'a mut MakeNoise<'a>,
        running: usize,
        precision: Precision,
    ) -> Self {
        Self { dropout, noise, seen: (0..running).map(|_| None).collect(), auxiliary: Vec::new(), precision }
    }
}

impl<B: Kernels> Pass<Autodiff<B>> for Learning<'_, B> {
    fn product(&mut self, x: Tensor<Autodiff<B>, 3>, weight: Tensor<Autodiff<B>, 3>) -> Tensor<Autodiff<B>, 3> {
        B::product(x, weight, self.precision)
    }

    fn grouped_product(
        &mut self,
        x: Tensor<Autodiff<B>, 3>,
        weight: Tensor<Autodiff<B>, 3>,
        groups: usize,
    ) -> Tensor<Autodiff<B>, 3> {
        B::grouped_product(x, weight, groups, self.precision)
    }

    fn dense(
        &mut self,
        dense: &DenseLayer,
        params: &[Tensor<Autodiff<B>, 3>],
        x: Tensor<Autodiff<B>, 3>,
    ) -> Tensor<Autodiff<B>, 3> {
        let weight = params[dense.weight].clone();
        let Some(NormLayer { scale, shift, running: Some(running) }) = &dense.norm else {
            let x = self.product(x, weight);
            return self.tail(&Tail::of(dense), params, x);
        };
        let rows = x.dims()[1];
        let dropout = self.made(dense.dropout);
        let norm = Norm { scale: params[*scale].clone(), shift: params[*shift].clone() };
        let (y, moments) = B::dense(x, weight, norm, (dense.activation, dropout.as_ref()), self.precision);
        // The batch's mean takes a bias away again: it changes no output, no gradient reaches it, it stays 0.
        let mean = match dense.bias {
            Some(bias) => moments.mean + params[bias].clone().inner(),
            None => moments.mean,
        };
        self.seen[*running] = Some((Moments { mean, ..moments }, rows));
        y
    }

    fn tail(
        &mut self,
        tail: &Tail<'_>,
        params: &[Tensor<Autodiff<B>, 3>],
        x: Tensor<Autodiff<B>, 3>,
    ) -> Tensor<Autodiff<B>, 3> {
        let dropout = self.made(tail.dropout);
        let bias = tail.bias.map(|bias| params[bias].clone());
        let norm = |norm: &NormLayer| Norm { scale: params[norm.scale].clone(), shift: params[norm.shift].clone() };
        match tail.norm {
            Some(layer @ NormLayer { running: Some(running), .. }) => {
                let rows = x.dims()[1];
                let x = match bias {
                    Some(bias) => B::biased(x, bias, Pointwise::Identity, None),
                    None => x,
                };
                let (y, moments) = B::normalized(x, norm(layer), tail.activation, dropout.as_ref());
                self.seen[*running] = Some((moments, rows));
                y
            }
            Some(layer) => {
                let x = match bias {
                    Some(bias) => B::biased(x, bias, Pointwise::Identity, None),
                    None => x,
                };
                B::row_normalized(x, norm(layer), tail.activation, dropout.as_ref())
            }
            None if bias.is_none() && tail.activation == Pointwise::Identity && dropout.is_none() => x,
            None => {
                // Without a bias it is the same operation with one that is 0 and is not learned.
                let bias = bias.unwrap_or_else(|| nothing(&x));
                B::biased(x, bias, tail.activation, dropout.as_ref())
            }
        }
    }

    fn operate(&mut self, operation: Operation<Tensor<Autodiff<B>, 3>>) -> Tensor<Autodiff<B>, 3> {
        B::operation(operation)
    }

    fn made(&mut self, rate: f64) -> Option<Dropout> {
        (rate > 0.0).then(|| (self.dropout)(rate))
    }

    fn dropout(&mut self, rate: f64, x: Tensor<Autodiff<B>, 3>) -> Tensor<Autodiff<B>, 3> {
        let tail = Tail { norm: None, bias: None, activation: Pointwise::Identity, dropout: rate };
        self.tail(&tail, &[], x)
    }

    fn noise(&mut self, deviation: f64, x: Tensor<Autodiff<B>, 3>) -> Tensor<Autodiff<B>, 3> {
        let (shape, device) = (x.dims(), x.device());
        let added = Noise::new(deviation, 0.0).map(|noise| {
            let keys: Vec<Keys> = (self.noise)();
            noise.changed(&keys, Tensor::<B, 3>::zeros(shape, &device))
        });
        // Noise has no gradient of its own.
        added.map_or(x.clone(), |added| x + Tensor::from_inner(added))
    }

    fn learns(&self) -> bool {
        true
    }

    fn auxiliary(&mut self, term: Tensor<Autodiff<B>, 3>) {
        self.auxiliary.push(term);
    }
}

/// A bias of 0 for a layer without one.
fn nothing<B: Backend>(x: &Tensor<B, 3>) -> Tensor<B, 3> {
    let [replicas, _, units] = x.dims();
    Tensor::zeros([replicas, 1, units], &x.device())
}
