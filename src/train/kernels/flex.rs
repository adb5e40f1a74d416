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
use super::slices::{Mask, Units, backward, forward, mend, moments};
use super::{Affine, Dropout, EPSILON, Kernels, Moments, composed_affine, composed_biased, composed_normalized};
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
        let (zeros, ones) = (vec![0.0; units], vec![1.0; units]);
        for replica in 0..replicas {
            let (all, own) = (state.tail.rows_of(replica), state.tail.units_of(replica));
            let does = Units { centre: &zeros, factor: &ones, offset: &state.bias[own] };
            forward(&values(&state.x)[all.clone()], &mut y[all], does, curve, state.tail.mask(replica));
        }
        let y = tensor(y, [replicas, rows, units]);
        let prepared = AddBias.prepare::<NoCheckpointing>([x.node.clone(), bias.node.clone()]);
        let y = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        Tensor::from_primitive(TensorPrimitive::Float(y))
    }

    fn affine(x: Plain, moves: Affine<Self>, curve: Activation) -> Plain {
        if !is_known(curve) {
            return composed_affine(x, moves, curve);
        }
        let [replicas, rows, units] = x.dims();
        let x = contiguous(&x.into_primitive().tensor());
        let numbers = |tensor: Plain| host(&tensor.into_primitive().tensor());
        let offset = numbers(moves.offset);
        let (centre, factor) = match moves.scaled {
            Some((centre, factor)) => (numbers(centre), numbers(factor)),
            None => (vec![0.0; offset.len()], vec![1.0; offset.len()]),
        };
        let tail = Tail { replicas, rows, units, curve, dropout: None };
        let mut y = vec![0.0; replicas * rows * units];
        for replica in 0..replicas {
            let (all, own) = (tail.rows_of(replica), tail.units_of(replica));
            let does = Units { centre: &centre[own.clone()], factor: &factor[own.clone()], offset: &offset[own] };
            forward(&values(&x)[all.clone()], &mut y[all], does, curve, None);
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
    /// factor of z = factor · (x - mean) + shift, and 1 / √(variance + ε), for a replica's units.
    fn factors(&self, replica: usize) -> (Vec<f32>, Vec<f32>) {
        let own = self.tail.units_of(replica);
        let spread: Vec<f32> = self.variance[own.clone()]
            .iter()
            .map(|variance| ((f64::from(*variance) + EPSILON).sqrt().recip()) as f32)
            .collect();
        let factor = self.scale[own].iter().zip(&spread).map(|(scale, spread)| scale * spread).collect();
        (factor, spread)
    }

    fn units<'a>(&'a self, replica: usize, factor: &'a [f32]) -> Units<'a> {
        let own = self.tail.units_of(replica);
        Units { centre: &self.mean[own.clone()], factor, offset: &self.shift[own] }
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
        let (factor, _) = state.factors(replica);
        let does = state.units(replica, &factor);
        forward(&values(&state.x)[all.clone()], &mut y[all], does, curve, state.tail.mask(replica));
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
            let (factor, spread) = state.factors(replica);
            let does = state.units(replica, &factor);
            let x = &values(&state.x)[all.clone()];
            let (sum, sum_x) = backward(x, &mut gradient[all.clone()], does, curve, state.tail.mask(replica));
            let (mut slope, mut constant) = (Vec::with_capacity(units), Vec::with_capacity(units));
            for unit in 0..units {
                // With x̂ = (x - mean) · spread: Σ g·x̂, and dx = factor · (g - Σg/n - x̂ · Σ(g·x̂)/n).
                let (spread, count) = (f64::from(spread[unit]), rows as f64);
                let sum_hat = sum_x[unit] * spread;
                d_scale.push(sum_hat as f32);
                d_shift.push(sum[unit] as f32);
                let factor = f64::from(factor[unit]);
                slope.push((-factor * sum_hat / count * spread) as f32);
                constant.push((-factor * sum[unit] / count) as f32);
            }
            mend(&mut gradient[all], x, Units { offset: &constant, ..does }, &slope);
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
        let (zeros, ones) = (vec![0.0; units], vec![1.0; units]);
        let mut d_bias = Vec::new();
        for replica in 0..replicas {
            let all = state.tail.rows_of(replica);
            let does = Units { centre: &zeros, factor: &ones, offset: &state.bias[state.tail.units_of(replica)] };
            let x = &values(&state.x)[all.clone()];
            let (sum, _) = backward(x, &mut gradient[all], does, curve, state.tail.mask(replica));
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
