//! Matrix product, batch norm, activation and dropout as one step, in blocks of rows that stay in cache.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;

use super::batch_norm::{BatchNorm, Learned};
use super::{Tail, Tracked, contiguous, host, owned, primitive, tensor, tracked, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::products::{Matrix, accumulate, product};
use crate::train::kernels::loops::tail::{Gathered, backward, learn, mend};
use crate::train::kernels::{Dropout, Moments, Norm, buffers};

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
        norm: BatchNorm::new(
            host(&scale.primitive),
            host(&shift.primitive),
            Tail { replicas, rows, units, curve, dropout: dropout.cloned() },
        ),
    };
    let y = state.forward();
    let moments = state.norm.moments();
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
    norm: BatchNorm,
}

impl State {
    fn x(&self, replica: usize) -> &[f32] {
        let each = self.norm.tail.rows * self.inputs;
        &values(&self.x)[replica * each..][..each]
    }

    fn weight(&self, replica: usize) -> Matrix<'_> {
        let each = self.inputs * self.norm.tail.units;
        Matrix::new(&values(&self.weight)[replica * each..][..each], self.inputs, self.norm.tail.units)
    }

    /// Rows in a block.
    fn block(&self) -> usize {
        (BLOCK / self.norm.tail.units.max(self.inputs).max(1)).max(64)
    }

    fn forward(&mut self) -> FlexTensor {
        let Tail { replicas, rows, units, curve, .. } = self.norm.tail;
        let mut y = buffers::take(replicas * rows * units);
        let (mut z, mut slopes) = (std::mem::take(&mut self.z), std::mem::take(&mut self.slopes));
        let block = self.block();
        for replica in 0..replicas {
            let all = self.norm.tail.rows_of(replica);
            let z = &mut z[all.clone()];
            let mut gathered = Gathered::new(units);
            for (x, z) in self.x(replica).chunks(block * self.inputs).zip(z.chunks_mut(block * units)) {
                product(Matrix::new(x, x.len() / self.inputs, self.inputs), self.weight(replica), z);
                gathered.add(z);
            }
            self.norm.saw(&gathered);
            let (factor, _) = self.norm.factors(replica);
            let out = (&mut y[all.clone()], &mut slopes[all]);
            learn(z, out, self.norm.units(replica, &factor), curve, self.norm.tail.mask(replica));
        }
        (self.z, self.slopes) = (z, slopes);
        tensor(y, [replicas, rows, units])
    }

    /// From ∂L/∂y, which it overwrites, to the gradients of weight, scale and shift, and of x where there is room for it.
    fn backward(&self, replica: usize, gradient: &mut [f32], d_x: Option<&mut [f32]>, to: &mut ByReplica<'_>) {
        let units = self.norm.tail.units;
        let all = self.norm.tail.rows_of(replica);
        let does = self.norm.units(replica, &[]);
        let z = &self.z[all.clone()];
        let (sum, sum_z) = backward(z, gradient, &self.slopes[all], does.centre);
        let mending = self.norm.mending(replica, (&sum, &sum_z), to.norm);
        let does = mending.units(does);
        let (block, mut d_x) = (self.block(), d_x);
        let blocks = gradient.chunks_mut(block * units).zip(z.chunks(block * units));
        for (index, (gradient, z)) in blocks.enumerate() {
            mend(gradient, z, does, &mending.slope);
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
    norm: &'a mut Learned,
}

/// Product, batch norm, activation, dropout.
#[derive(Debug)]
struct Dense;

impl Backward<Flex, 4> for Dense {
    type State = State;

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let Tail { replicas, rows, units, .. } = state.norm.tail;
        let mut gradient = owned(gradients.consume::<Flex>(&ops.node));
        let [x, weight, scale, shift] = ops.parents;
        let mut d_x = x.as_ref().map(|_| buffers::take(replicas * rows * state.inputs));
        let mut d_weight = buffers::take(replicas * state.inputs * units);
        d_weight.fill(0.0);
        let mut learned = Learned::default();
        for replica in 0..replicas {
            let d_weight = &mut d_weight[replica * state.inputs * units..][..state.inputs * units];
            let to = &mut ByReplica { weight: d_weight, norm: &mut learned };
            let each = rows * state.inputs;
            let d_x = d_x.as_deref_mut().map(|d_x| &mut d_x[replica * each..][..each]);
            state.backward(replica, &mut gradient[state.norm.tail.rows_of(replica)], d_x, to);
        }
        let inputs = state.inputs;
        buffers::give_tensor(state.x);
        for buffer in [state.z, state.slopes, gradient] {
            buffers::give(buffer);
        }
        let found = [
            (x, d_x, [replicas, rows, inputs]),
            (weight, Some(d_weight), [replicas, inputs, units]),
            (scale, Some(learned.scale), [replicas, 1, units]),
            (shift, Some(learned.shift), [replicas, 1, units]),
        ];
        for (node, gradient, shape) in found {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<Flex>(node.id, tensor(gradient, shape));
            }
        }
    }
}
