//! Matrix product, batch norm, activation and dropout as one step, in blocks of rows that stay in cache.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;

use super::{Tail, Tracked, contiguous, host, owned, plain, primitive, tensor, tracked, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::products::{Matrix, accumulate, product};
use crate::train::kernels::loops::tail::{Gathered, Units, backward, learn, mend};
use crate::train::kernels::{Dropout, EPSILON, Moments, Norm, buffers};

/// Numbers in a block of rows: what one pass leaves in a core's second-level cache for the next.
const BLOCK: usize = 1 << 17;

/// [`crate::train::kernels::Kernels::dense`].
pub(super) fn dense(
    x: Tracked,
    weight: Tracked,
    norm: Norm<Tracked>,
    curve: Pointwise,
    dropout: Option<&Dropout>,
) -> (Tracked, Moments<Flex>) {
    let [replicas, rows, inputs] = x.dims();
    let [_, _, units] = weight.dims();
    let (x, weight) = (primitive(x), primitive(weight));
    let (scale, shift) = (primitive(norm.scale), primitive(norm.shift));
    let mut state = State {
        x: contiguous(&x.primitive),
        weight: contiguous(&weight.primitive),
        inputs,
        z: buffers::take(replicas * rows * units),
        slopes: buffers::take(replicas * rows * units),
        scale: host(&scale.primitive),
        shift: host(&shift.primitive),
        mean: Vec::new(),
        variance: Vec::new(),
        tail: Tail { replicas, rows, units, curve, dropout: dropout.cloned() },
    };
    let y = state.forward();
    let by_unit = |values: &[f32]| plain(values.to_vec(), [replicas, 1, units]);
    let moments = Moments { mean: by_unit(&state.mean), variance: by_unit(&state.variance) };
    let parents = [x.node.clone(), weight.node.clone(), scale.node.clone(), shift.node.clone()];
    // The tracked x goes with this scope: once its step is done nobody but the state holds its buffer.
    let y = match Dense.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    };
    (tracked(y), moments)
}

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    weight: FlexTensor,
    inputs: usize,
    /// x · weight.
    z: Vec<f32>,
    /// ∂y/∂n of the normalized n, as `learn` leaves it.
    slopes: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    tail: Tail,
}

impl State {
    fn x(&self, replica: usize) -> &[f32] {
        let each = self.tail.rows * self.inputs;
        &values(&self.x)[replica * each..][..each]
    }

    fn weight(&self, replica: usize) -> Matrix<'_> {
        let each = self.inputs * self.tail.units;
        Matrix::new(&values(&self.weight)[replica * each..][..each], self.inputs, self.tail.units)
    }

    /// Rows in a block.
    fn block(&self) -> usize {
        (BLOCK / self.tail.units.max(self.inputs).max(1)).max(64)
    }

    /// factor of n = factor · (z - mean) + shift, and 1 / √(variance + ε), for a replica's units.
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

    fn forward(&mut self) -> FlexTensor {
        let Tail { replicas, rows, units, curve, .. } = self.tail;
        let mut y = buffers::take(replicas * rows * units);
        let (mut z, mut slopes) = (std::mem::take(&mut self.z), std::mem::take(&mut self.slopes));
        let block = self.block();
        for replica in 0..replicas {
            let all = self.tail.rows_of(replica);
            let z = &mut z[all.clone()];
            let mut gathered = Gathered::new(units);
            for (x, z) in self.x(replica).chunks(block * self.inputs).zip(z.chunks_mut(block * units)) {
                product(Matrix::new(x, x.len() / self.inputs, self.inputs), self.weight(replica), z);
                gathered.add(z);
            }
            let (mean, variance) = gathered.moments();
            self.mean.extend(mean);
            self.variance.extend(variance);
            let (factor, _) = self.factors(replica);
            let out = (&mut y[all.clone()], &mut slopes[all]);
            learn(z, out, self.units(replica, &factor), curve, self.tail.mask(replica));
        }
        (self.z, self.slopes) = (z, slopes);
        tensor(y, [replicas, rows, units])
    }

    /// From ∂L/∂y, which it overwrites, to the gradients of weight, scale and shift, and of x where there is room for it.
    fn backward(&self, replica: usize, gradient: &mut [f32], d_x: Option<&mut [f32]>, to: &mut ByReplica<'_>) {
        let Tail { rows, units, .. } = self.tail;
        let all = self.tail.rows_of(replica);
        let (factor, spread) = self.factors(replica);
        let does = self.units(replica, &factor);
        let z = &self.z[all.clone()];
        let (sum, sum_z) = backward(z, gradient, &self.slopes[all], does.centre);
        let (mut slope, mut constant) = (Vec::with_capacity(units), Vec::with_capacity(units));
        for unit in 0..units {
            // With ẑ = (z - mean) · spread: Σ g·ẑ, and dz = factor · (g - Σg/n - ẑ · Σ(g·ẑ)/n).
            let (spread, count) = (f64::from(spread[unit]), rows as f64);
            let sum_hat = sum_z[unit] * spread;
            to.scale.push(sum_hat as f32);
            to.shift.push(sum[unit] as f32);
            let factor = f64::from(factor[unit]);
            slope.push((-factor * sum_hat / count * spread) as f32);
            constant.push((-factor * sum[unit] / count) as f32);
        }
        let does = Units { offset: &constant, ..does };
        let (block, mut d_x) = (self.block(), d_x);
        let blocks = gradient.chunks_mut(block * units).zip(z.chunks(block * units));
        for (index, (gradient, z)) in blocks.enumerate() {
            mend(gradient, z, does, &slope);
            let count = gradient.len() / units;
            let gradient = Matrix::new(gradient, count, units);
            let start = index * block * self.inputs;
            let x = Matrix::new(&self.x(replica)[start..][..count * self.inputs], count, self.inputs);
            accumulate(x.transposed(), gradient, to.weight);
            if let Some(d_x) = d_x.as_deref_mut() {
                product(gradient, self.weight(replica).transposed(), &mut d_x[start..][..count * self.inputs]);
            }
        }
    }
}

/// Where the gradients of what one replica learns go.
struct ByReplica<'a> {
    /// Zeros to begin with.
    weight: &'a mut [f32],
    scale: &'a mut Vec<f32>,
    shift: &'a mut Vec<f32>,
}

/// Product, batch norm, activation, dropout.
#[derive(Debug)]
struct Dense;

impl Backward<Flex, 4> for Dense {
    type State = State;

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let Tail { replicas, rows, units, .. } = state.tail;
        let mut gradient = owned(gradients.consume::<Flex>(&ops.node));
        let [x, weight, scale, shift] = ops.parents;
        let mut d_x = x.as_ref().map(|_| buffers::take(replicas * rows * state.inputs));
        let mut d_weight = buffers::take(replicas * state.inputs * units);
        d_weight.fill(0.0);
        let (mut d_scale, mut d_shift) = (Vec::new(), Vec::new());
        for replica in 0..replicas {
            let d_weight = &mut d_weight[replica * state.inputs * units..][..state.inputs * units];
            let to = &mut ByReplica { weight: d_weight, scale: &mut d_scale, shift: &mut d_shift };
            let each = rows * state.inputs;
            let d_x = d_x.as_deref_mut().map(|d_x| &mut d_x[replica * each..][..each]);
            state.backward(replica, &mut gradient[state.tail.rows_of(replica)], d_x, to);
        }
        let inputs = state.inputs;
        buffers::give_tensor(state.x);
        for buffer in [state.z, state.slopes, gradient] {
            buffers::give(buffer);
        }
        let found = [
            (x, d_x, [replicas, rows, inputs]),
            (weight, Some(d_weight), [replicas, inputs, units]),
            (scale, Some(d_scale), [replicas, 1, units]),
            (shift, Some(d_shift), [replicas, 1, units]),
        ];
        for (node, gradient, shape) in found {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<Flex>(node.id, tensor(gradient, shape));
            }
        }
    }
}
