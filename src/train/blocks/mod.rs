//! The forward pass of a laid-out net, block by block, over tensors `[replica, row, unit]`. The same for training and
//! predicting (what differs is a [`Pass`]), on any backend.
//!
//! Tokens and members lie one after another among a row's units. A layer that is the same for each of them sees them as rows.

mod attention;
mod experts;
mod members;
mod mixed;
mod tabnet;
mod tokenize;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use super::forward::{Pass, Tail};
use super::kernels::Operation;
use crate::spec::language::{Combine, Pool};
use crate::spec::net::{DenseLayer, Layer, Net, NormLayer, Pointwise, Stream};

/// Outputs `[replica, row, members · target]` for inputs `[replica, row, column]`.
pub(super) fn forward<B: Backend, P: Pass<B>>(
    net: &Net,
    params: &[Tensor<B, 3>],
    inputs: Tensor<B, 3>,
    pass: &mut P,
) -> Tensor<B, 3> {
    let x =
        if net.first_columns == net.columns { inputs.clone() } else { inputs.clone().narrow(2, 0, net.first_columns) };
    let mut walk = Walk { params, inputs, pass };
    walk.layers(&net.layers, x)
}

/// A forward pass on its way.
struct Walk<'a, B: Backend, P> {
    params: &'a [Tensor<B, 3>],
    /// `[replica, row, column]`, as they came in.
    inputs: Tensor<B, 3>,
    pass: &'a mut P,
}

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    fn layers(&mut self, layers: &[Layer], x: Tensor<B, 3>) -> Tensor<B, 3> {
        layers.iter().fold(x, |x, layer| self.layer(layer, x))
    }

    fn layer(&mut self, layer: &Layer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        match layer {
            Layer::Dense(dense) => self.dense(dense, x),
            Layer::Residual { inner, projection, stream } => self.residual(inner, *projection, stream, x),
            Layer::Parallel { branches, combine, streams } => {
                let outputs = branches.iter().map(|branch| self.layers(branch, x.clone())).collect();
                combined(outputs, *combine, streams)
            }
            Layer::Sequence(layers) => self.layers(layers, x),
            Layer::Gate(gate) => self.gate(gate, x),
            Layer::Excite(excite) => self.excite(excite, x),
            Layer::Cross(layers) => self.cross(layers, x),
            Layer::Experts(experts) => self.experts(experts, &x),
            Layer::Tokenize(tokenize) => self.tokenize(tokenize, x),
            Layer::Attention(attention) => self.attention(attention, x),
            Layer::Pool { kind, count, width } => match kind {
                Pool::Flatten => x,
                Pool::First => x.narrow(2, 0, *width),
                Pool::Mean => self.pass.operate(Operation::MeanOfParts { x, count: *count }),
            },
            Layer::TabNet(tabnet) => self.tabnet(tabnet, x),
            Layer::Members { members, inner, mean } => self.members(*members, inner, *mean, x),
            Layer::MemberOutput { weight, bias, members } => self.member_output((*weight, *bias), *members, x),
            Layer::Autoencoder(autoencoder) => self.autoencoder(autoencoder, x),
            Layer::Inputs { columns, features } => self.own_inputs(columns.as_deref(), *features),
            Layer::Benchmark => {
                let columns = self.inputs.dims()[2];
                self.inputs.clone().narrow(2, columns - 1, 1)
            }
            Layer::StopGradient => x.detach(),
            Layer::Norm { norm, width } => self.norm(norm, *width, x),
            Layer::Activation(pointwise) => self.activated(*pointwise, x),
            Layer::Prelu { slope, width } => {
                let slope = self.params[*slope].clone();
                by_rows(x, *width, |x| self.pass.operate(Operation::Prelu { x, slope }))
            }
            Layer::Dropout(rate) => self.pass.dropout(*rate, x),
            Layer::Noise(deviation) => self.pass.noise(*deviation, x),
        }
    }

    fn dense(&mut self, dense: &DenseLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        match &dense.members {
            Some(scales) => self.scaled_dense(dense, scales, x),
            None => by_rows(x, dense.inputs, |x| self.pass.dense(dense, self.params, x)),
        }
    }

    /// x·W + b and nothing else.
    fn linear(&mut self, weight: usize, bias: usize, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.pass.product(x, self.params[weight].clone());
        let tail = Tail { norm: None, bias: Some(bias), activation: Pointwise::Identity, dropout: 0.0 };
        self.pass.tail(&tail, self.params, x)
    }

    fn activated(&mut self, activation: Pointwise, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let tail = Tail { norm: None, bias: None, activation, dropout: 0.0 };
        self.pass.tail(&tail, self.params, x)
    }

    /// A norm of units, or of each token's.
    fn norm(&mut self, norm: &NormLayer, width: usize, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let tail = Tail { norm: Some(norm), bias: None, activation: Pointwise::Identity, dropout: 0.0 };
        by_rows(x, width, |x| self.pass.tail(&tail, self.params, x))
    }

    fn residual(
        &mut self,
        inner: &[Layer],
        projection: Option<usize>,
        stream: &Stream,
        x: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let inside = self.layers(inner, x.clone());
        match projection {
            Some(weight) => {
                let weight = self.params[weight].clone();
                by_rows(x, stream.width(), |x| self.pass.product(x, weight)) + inside
            }
            // What lies inside is held by nobody else, so the sum can be taken in its place.
            None => inside + x,
        }
    }

    fn own_inputs(&self, columns: Option<&[usize]>, features: usize) -> Tensor<B, 3> {
        match columns {
            None => self.inputs.clone().narrow(2, 0, features),
            Some(columns) => chosen(self.inputs.clone(), columns),
        }
    }
}

/// Columns of x.
fn chosen<B: Backend>(x: Tensor<B, 3>, columns: &[usize]) -> Tensor<B, 3> {
    let (first, last) = (columns[0], columns[columns.len() - 1]);
    if last - first + 1 == columns.len() {
        return x.narrow(2, first, columns.len());
    }
    let numbers: Vec<i32> = columns.iter().map(|column| *column as i32).collect();
    let places = Tensor::<B, 1, Int>::from_data(TensorData::new(numbers, [columns.len()]), &x.device());
    x.select(2, places)
}

/// Lets `f` see tokens or members, `width` units each, as rows.
fn by_rows<B: Backend>(x: Tensor<B, 3>, width: usize, f: impl FnOnce(Tensor<B, 3>) -> Tensor<B, 3>) -> Tensor<B, 3> {
    let [replicas, rows, units] = x.dims();
    if units == width {
        return f(x);
    }
    let count = units / width;
    let y = f(x.reshape([replicas, rows * count, width]));
    let width = y.dims()[2];
    y.reshape([replicas, rows, count * width])
}

fn combined<B: Backend>(outputs: Vec<Tensor<B, 3>>, how: Combine, streams: &[Stream]) -> Tensor<B, 3> {
    let count = outputs.len();
    let sum = |outputs: Vec<Tensor<B, 3>>| outputs.into_iter().reduce(|a, b| a + b).expect("two branches or more");
    match (how, &streams[0]) {
        (Combine::Sum, _) => sum(outputs),
        (Combine::Mean, _) => sum(outputs) / count as f64,
        (Combine::Concat, Stream::Members { count, .. }) => {
            let [replicas, rows, _] = outputs[0].dims();
            let each = outputs.into_iter().zip(streams);
            let parts = each.map(|(x, stream)| x.reshape([replicas, rows * count, stream.width()])).collect();
            let joined = Tensor::cat(parts, 2);
            let width = joined.dims()[2];
            joined.reshape([replicas, rows, count * width])
        }
        (Combine::Concat, _) => Tensor::cat(outputs, 2),
    }
}
