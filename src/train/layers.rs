//! The net that a spec describes, laid out as a list of layers over numbered parameters; and how parameters start.

use rand::{Rng, RngExt};

use super::streams::{Purpose, Replica};
use crate::spec::{Activation, Block, Init, Norm, Spec, Weighting};

/// One parameter of one net: a matrix.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParamShape {
    /// Rows: inputs of a weight matrix, 1 for a vector.
    pub(super) rows: usize,
    /// Columns: units.
    pub(super) cols: usize,
    /// How it starts.
    pub(super) start: Start,
    /// Whether it is a dense layer's weight matrix, which `weight_l2` looks at.
    pub(super) is_weight: bool,
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// All the same.
    Constant(f32),
    /// Uniform in ±bound.
    Uniform(f64),
    /// Normal with this standard deviation.
    Normal(f64),
}

/// A step of the forward pass.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layer {
    /// Matrix product, norm, activation, dropout.
    Dense(DenseLayer),
    /// x + f(x), x through a projection where the width changes.
    Residual {
        /// f.
        inner: Vec<Layer>,
        /// The projection's parameter.
        projection: Option<usize>,
    },
}

/// The parameters of a dense layer, by number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DenseLayer {
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
    pub(super) norm: Option<NormLayer>,
    pub(super) activation: Activation,
    pub(super) dropout: f64,
}

/// The parameters of a norm, by number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NormLayer {
    pub(super) scale: usize,
    pub(super) shift: usize,
    /// Batch norm's running statistics, by number; None for layer norm.
    pub(super) running: Option<usize>,
}

/// A net, laid out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Net {
    /// From the features to the last hidden layer, then the linear output.
    pub(super) layers: Vec<Layer>,
    /// Every parameter.
    pub(super) params: Vec<ParamShape>,
    /// Widths of the batch norms' running statistics.
    pub(super) running: Vec<usize>,
    /// The logits of learned target weights.
    pub(super) target_logits: Option<usize>,
}

impl Net {
    /// Lays out the spec's net for `inputs` features and `targets` training targets.
    pub(super) fn of(spec: &Spec, inputs: usize, targets: usize) -> Self {
        let outputs = targets * spec.bins().unwrap_or(1);
        let mut net = Self { layers: Vec::new(), params: Vec::new(), running: Vec::new(), target_logits: None };
        let (layers, width) = net.blocks(&spec.network, inputs);
        net.layers = layers;
        let weight = net.weight(width, outputs, Init::XavierUniform);
        let bias = net.param(1, outputs, Start::Constant(0.0));
        net.layers.push(Layer::Dense(DenseLayer {
            weight,
            bias: Some(bias),
            norm: None,
            activation: Activation::Identity,
            dropout: 0.0,
        }));
        if matches!(spec.targets.weighting, Weighting::Learned(_)) {
            net.target_logits = Some(net.param(1, targets, Start::Constant(0.0)));
        }
        net
    }

    /// Trainable numbers of one net.
    pub(super) fn size(&self) -> u64 {
        self.params.iter().map(|param| (param.rows * param.cols) as u64).sum()
    }

    /// Starting values of every parameter for one replica, row-major.
    pub(super) fn start(&self, replica: &Replica) -> Vec<Vec<f32>> {
        let mut stream = replica.stream(Purpose::Weights);
        self.params.iter().map(|param| draw(param, &mut stream)).collect()
    }

    fn param(&mut self, rows: usize, cols: usize, start: Start) -> usize {
        self.params.push(ParamShape { rows, cols, start, is_weight: false });
        self.params.len() - 1
    }

    fn weight(&mut self, inputs: usize, outputs: usize, init: Init) -> usize {
        let (fan_in, fan_out) = (inputs as f64, outputs as f64);
        let start = match init {
            Init::HeUniform => Start::Uniform((6.0 / fan_in).sqrt()),
            Init::HeNormal => Start::Normal((2.0 / fan_in).sqrt()),
            Init::XavierUniform => Start::Uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Init::XavierNormal => Start::Normal((2.0 / (fan_in + fan_out)).sqrt()),
            Init::LecunNormal => Start::Normal((1.0 / fan_in).sqrt()),
        };
        let number = self.param(inputs, outputs, start);
        self.params[number].is_weight = true;
        number
    }

    fn blocks(&mut self, blocks: &[Block], inputs: usize) -> (Vec<Layer>, usize) {
        let mut width = inputs;
        let mut layers = Vec::new();
        for block in blocks {
            match block {
                Block::Dense(dense) => {
                    let units = dense.width as usize;
                    let weight = self.weight(width, units, dense.init);
                    let bias = dense.bias.then(|| self.param(1, units, Start::Constant(0.0)));
                    let norm = (dense.norm != Norm::None).then(|| NormLayer {
                        scale: self.param(1, units, Start::Constant(1.0)),
                        shift: self.param(1, units, Start::Constant(0.0)),
                        running: (dense.norm == Norm::Batch).then(|| {
                            self.running.push(units);
                            self.running.len() - 1
                        }),
                    });
                    let (activation, dropout) = (dense.activation, dense.dropout);
                    layers.push(Layer::Dense(DenseLayer { weight, bias, norm, activation, dropout }));
                    width = units;
                }
                Block::Residual(inner) => {
                    let before = width;
                    let (inner, after) = self.blocks(inner, before);
                    let projection = (after != before).then(|| self.weight(before, after, Init::XavierUniform));
                    layers.push(Layer::Residual { inner, projection });
                    width = after;
                }
            }
        }
        (layers, width)
    }
}

fn draw(param: &ParamShape, stream: &mut impl Rng) -> Vec<f32> {
    let count = param.rows * param.cols;
    match param.start {
        Start::Constant(value) => vec![value; count],
        Start::Uniform(bound) => (0..count).map(|_| ((stream.random::<f64>() * 2.0 - 1.0) * bound) as f32).collect(),
        Start::Normal(deviation) => (0..count).map(|_| (normal(stream) * deviation) as f32).collect(),
    }
}

/// A standard normal number, by Box and Muller (1958).
fn normal(stream: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * stream.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::{Layer, Net};
    use crate::spec::Spec;
    use crate::train::streams::Replica;

    fn net(network: &str) -> Net {
        let text = format!("network: {network}\n");
        Net::of(&Spec::parse(&text, "test").expect("valid"), 10, 3)
    }

    #[test]
    fn parameters_are_counted_by_hand() {
        let net = net("[{ dense: { width: 8, norm: batch, bias: false } }, { residual: [{ dense: { width: 4 } }] }]");
        // 10·8 weights + 2·8 of the norm, 8·4 + 4 of the inner layer, 8·4 of the projection, 4·3 + 3 of the output.
        assert_eq!(net.size(), 80 + 16 + 36 + 32 + 15);
        assert!(matches!(net.layers[1], Layer::Residual { projection: Some(_), .. }), "the width changes from 8 to 4");
    }

    #[test]
    fn he_uniform_has_its_variance_and_each_replica_its_own_draw() {
        let net = net("[{ dense: { width: 4096 } }]");
        let one = net.start(&Replica { fold: 0, seed: 42, member: 0 });
        let other = net.start(&Replica { fold: 0, seed: 42, member: 1 });
        let variance = one[0].iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / one[0].len() as f64;
        // Uniform in ±√(6/in) has variance 2/in; 40,960 draws know it to a percent or so.
        assert!((variance * 10.0 / 2.0 - 1.0).abs() < 0.03, "{variance}");
        assert_ne!(one[0], other[0]);
        assert_eq!(one, net.start(&Replica { fold: 0, seed: 42, member: 0 }), "the same replica starts the same");
    }
}
