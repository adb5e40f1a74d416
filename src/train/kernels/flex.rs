//! The CPU backend's fused operations, as steps of Burn's autodiff graph.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};

use super::curves::is_known;
use super::slices::{Mask, backward, forward, mend, moments};
use super::{Dropout, EPSILON, Kernels, Moments, activate, composed_biased, composed_normalized};
use crate::spec::Activation;

type Plain = Tensor<Flex, 3>;
type Tracked = Tensor<Autodiff<Flex>, 3>;

impl Kernels for Flex {
    fn normalized(
        x: Tracked,
        scale: Tracked,
        shift: Tracked,
        curve: Activation,
        dropout: Option<&Dropout>,
    ) -> (Tracked, Moments<Self>) {
        if !is_known(curve) {
            return composed_normalized(x, scale, shift, curve, dropout);
        }
        let [replicas, rows, units] = x.dims();
        let (x, scale, shift) = (primitive(x), primitive(scale), primitive(shift));
        let state = NormState {
            x: contiguous(&x.primitive),
            scale: host(&scale.primitive),
            shift: host(&shift.primitive),
            mean: Vec::new(),
            variance: Vec::new(),
            tail: Tail { replicas, rows, units, curve, dropout: dropout.cloned() },
        };
        let (y, state) = normalize(state);
        let moments = Moments {
            mean: plain(state.mean.clone(), [replicas, 1, units]),
            variance: plain(state.variance.clone(), [replicas, 1, units]),
        };
        let prepared = Normalize.prepare::<NoCheckpointing>([x.node.clone(), scale.node.clone(), shift.node.clone()]);
        let y = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        (Tensor::from_primitive(TensorPrimitive::Float(y)), moments)
    }

    fn biased(x: Tracked, bias: Tracked, curve: Activation, dropout: Option<&Dropout>) -> Tracked {
        if !is_known(curve) {
            return composed_biased(x, bias, curve, dropout);
        }
        let [replicas, rows, units] = x.dims();
        let (x, bias) = (primitive(x), primitive(bias));
        let state = BiasState {
            x: contiguous(&x.primitive),
            bias: host(&bias.primitive),
            tail: Tail { replicas, rows, units, curve, dropout: dropout.cloned() },
        };
        let mut y = vec![0.0; replicas * rows * units];
        let ones = vec![1.0; units];
        for replica in 0..replicas {
            let (all, own) = (state.tail.rows_of(replica), state.tail.units_of(replica));
            let bias = &state.bias[own];
            forward(&values(&state.x)[all.clone()], &mut y[all], &ones, bias, curve, state.tail.mask(replica));
        }
        let y = tensor(y, [replicas, rows, units]);
        let prepared = AddBias.prepare::<NoCheckpointing>([x.node.clone(), bias.node.clone()]);
        let y = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        Tensor::from_primitive(TensorPrimitive::Float(y))
    }

    fn affine(x: Plain, factor: Option<Plain>, offset: Plain, curve: Activation) -> Plain {
        if !is_known(curve) {
            let x = match factor {
                Some(factor) => x * factor,
                None => x,
            };
            return activate(curve, x + offset);
        }
        let [replicas, rows, units] = x.dims();
        let x = contiguous(&x.into_primitive().tensor());
        let offset = host(&offset.into_primitive().tensor());
        let factor = factor.map_or_else(|| vec![1.0; offset.len()], |factor| host(&factor.into_primitive().tensor()));
        let tail = Tail { replicas, rows, units, curve, dropout: None };
        let mut y = vec![0.0; replicas * rows * units];
        for replica in 0..replicas {
            let (all, own) = (tail.rows_of(replica), tail.units_of(replica));
            forward(&values(&x)[all.clone()], &mut y[all], &factor[own.clone()], &offset[own], curve, None);
        }
        plain(y, [replicas, rows, units])
    }
}

/// Shape, activation and dropout.
#[derive(Clone, Debug)]
struct Tail {
    replicas: usize,
    rows: usize,
    units: usize,
    curve: Activation,
    dropout: Option<Dropout>,
}

impl Tail {
    fn rows_of(&self, replica: usize) -> std::ops::Range<usize> {
        let each = self.rows * self.units;
        replica * each..(replica + 1) * each
    }

    fn units_of(&self, replica: usize) -> std::ops::Range<usize> {
        replica * self.units..(replica + 1) * self.units
    }

    fn mask(&self, replica: usize) -> Option<Mask> {
        let dropout = self.dropout.as_ref()?;
        Some(Mask { key: dropout.keys[replica], threshold: dropout.threshold, scale: dropout.scale })
    }
}

#[derive(Clone, Debug)]
struct NormState {
    x: FlexTensor,
    scale: Vec<f32>,
    shift: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    tail: Tail,
}

impl NormState {
    /// factor and offset of z = factor · x + offset, and 1 / √(variance + ε), for a replica's units.
    fn affine(&self, replica: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let own = self.tail.units_of(replica);
        let spread: Vec<f32> = self.variance[own.clone()]
            .iter()
            .map(|variance| ((f64::from(*variance) + EPSILON).sqrt().recip()) as f32)
            .collect();
        let factor: Vec<f32> =
            self.scale[own.clone()].iter().zip(&spread).map(|(scale, spread)| scale * spread).collect();
        let offset = self.shift[own.clone()].iter().zip(&self.mean[own]).zip(&factor);
        let offset = offset.map(|((shift, mean), factor)| shift - mean * factor).collect();
        (factor, offset, spread)
    }
}

fn normalize(mut state: NormState) -> (FlexTensor, NormState) {
    let Tail { replicas, rows, units, curve, .. } = state.tail;
    let mut y = vec![0.0; replicas * rows * units];
    for replica in 0..replicas {
        let all = state.tail.rows_of(replica);
        let (mean, variance) = moments(&values(&state.x)[all.clone()], units);
        state.mean.extend(mean);
        state.variance.extend(variance);
        let (factor, offset, _) = state.affine(replica);
        forward(&values(&state.x)[all.clone()], &mut y[all], &factor, &offset, curve, state.tail.mask(replica));
    }
    (tensor(y, [replicas, rows, units]), state)
}

/// Batch norm, activation, dropout.
#[derive(Debug)]
struct Normalize;

impl Backward<Flex, 3> for Normalize {
    type State = NormState;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let Tail { replicas, rows, units, curve, .. } = state.tail;
        let mut gradient = owned(gradients.consume::<Flex>(&ops.node));
        let (mut d_scale, mut d_shift) = (Vec::new(), Vec::new());
        for replica in 0..replicas {
            let all = state.tail.rows_of(replica);
            let (factor, offset, spread) = state.affine(replica);
            let x = &values(&state.x)[all.clone()];
            let (sum, sum_x) =
                backward(x, &mut gradient[all.clone()], &factor, &offset, curve, state.tail.mask(replica));
            let mean = &state.mean[state.tail.units_of(replica)];
            let (mut slope, mut constant) = (Vec::with_capacity(units), Vec::with_capacity(units));
            for unit in 0..units {
                // With x̂ = (x - mean) · spread: Σ g·x̂, and dx = factor · (g - Σg/n - x̂ · Σ(g·x̂)/n).
                let (mean, spread) = (f64::from(mean[unit]), f64::from(spread[unit]));
                let sum_hat = (sum_x[unit] - mean * sum[unit]) * spread;
                d_scale.push(sum_hat as f32);
                d_shift.push(sum[unit] as f32);
                let (factor, count) = (f64::from(factor[unit]), rows as f64);
                let tilt = -factor * sum_hat / count * spread;
                slope.push(tilt as f32);
                constant.push((-factor * sum[unit] / count - tilt * mean) as f32);
            }
            mend(&mut gradient[all], x, &factor, &slope, &constant);
        }
        let [x, scale, shift] = ops.parents;
        if let Some(node) = x {
            gradients.register::<Flex>(node.id, tensor(gradient, [replicas, rows, units]));
        }
        if let Some(node) = scale {
            gradients.register::<Flex>(node.id, tensor(d_scale, [replicas, 1, units]));
        }
        if let Some(node) = shift {
            gradients.register::<Flex>(node.id, tensor(d_shift, [replicas, 1, units]));
        }
    }
}

#[derive(Clone, Debug)]
struct BiasState {
    x: FlexTensor,
    bias: Vec<f32>,
    tail: Tail,
}

/// Bias, activation, dropout.
#[derive(Debug)]
struct AddBias;

impl Backward<Flex, 2> for AddBias {
    type State = BiasState;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let Tail { replicas, rows, units, curve, .. } = state.tail;
        let mut gradient = owned(gradients.consume::<Flex>(&ops.node));
        let ones = vec![1.0; units];
        let mut d_bias = Vec::new();
        for replica in 0..replicas {
            let all = state.tail.rows_of(replica);
            let bias = &state.bias[state.tail.units_of(replica)];
            let x = &values(&state.x)[all.clone()];
            let (sum, _) = backward(x, &mut gradient[all], &ones, bias, curve, state.tail.mask(replica));
            d_bias.extend(sum.iter().map(|sum| *sum as f32));
        }
        let [x, bias] = ops.parents;
        if let Some(node) = x {
            gradients.register::<Flex>(node.id, tensor(gradient, [replicas, rows, units]));
        }
        if let Some(node) = bias {
            gradients.register::<Flex>(node.id, tensor(d_bias, [replicas, 1, units]));
        }
    }
}

fn primitive(tensor: Tracked) -> FloatTensor<Autodiff<Flex>> {
    tensor.into_primitive().tensor()
}

/// The same tensor with its numbers in order.
fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The numbers of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("made contiguous, and every tensor here is f32")
}

fn host(tensor: &FlexTensor) -> Vec<f32> {
    values(&contiguous(tensor)).to_vec()
}

/// A tensor's numbers, without a copy where nobody else holds them.
fn owned(tensor: FlexTensor) -> Vec<f32> {
    let data = tensor.into_data();
    data.into_vec::<f32>().expect("every tensor here is f32")
}

fn tensor(values: Vec<f32>, shape: [usize; 3]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn plain(values: Vec<f32>, shape: [usize; 3]) -> Plain {
    Tensor::from_primitive(TensorPrimitive::Float(tensor(values, shape)))
}
