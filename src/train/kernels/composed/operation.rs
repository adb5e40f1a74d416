//! [`Operation`]s of Burn's own operations.

use burn::tensor::{Tensor, TensorData, activation, backend::Backend};

use super::{activate, drop};
use crate::spec::language::GateKind;
use crate::spec::net::{INTERVALS, Pointwise};
use crate::train::kernels::operation::{EDGES, LENGTH};
use crate::train::kernels::{Dropout, Operation, SURE};

/// Steps of Newton's method towards a sparse row's threshold. Each leaves out units for good, and the steps end by themselves
/// when none is left to be left out; far fewer do for any but made-up numbers.
const NEWTON: usize = 20;

/// [`crate::train::kernels::Kernels::operation`].
pub(in crate::train) fn operation<B: Backend>(operation: Operation<Tensor<B, 3>>) -> Tensor<B, 3> {
    match operation {
        Operation::Gated { x, bias, kind, dropout } => {
            let x = match bias {
                Some(bias) => x + bias,
                None => x,
            };
            let units = x.dims()[2] / 2;
            let gate = x.clone().narrow(2, units, units);
            let gate = match kind {
                GateKind::Glu => activation::sigmoid(gate),
                GateKind::Reglu => activation::relu(gate),
                GateKind::Geglu => activate(Pointwise::Gelu, gate),
                GateKind::Swiglu => activate(Pointwise::Silu, gate),
            };
            drop(x.narrow(2, 0, units) * gate, dropout.as_ref())
        }
        Operation::Scaled { x, scale, shift, curve, dropout } => {
            let x = x * scale;
            let x = match shift {
                Some(shift) => x + shift,
                None => x,
            };
            drop(activate(curve, x), dropout.as_ref())
        }
        Operation::Sparsemax { x, prior: Some(prior) } => sparsemax(x * prior),
        Operation::Sparsemax { x, prior: None } => sparsemax(x),
        Operation::Entropy { x } => (x.clone() * (x + SURE).log()).sum_dim(2).mean_dim(1).neg(),
        Operation::MeanSquare { x, target } => (x - target.detach()).square().mean_dim(1).mean_dim(2),
        Operation::Attention { x, heads, count, dropout } => attention(x, heads, count, dropout.as_ref()),
        Operation::Intervals { x } => intervals(x),
        Operation::Waves { x, frequencies } => {
            let [replicas, rows, features] = x.dims();
            let count = frequencies.dims()[2];
            let own = frequencies.reshape([replicas, 1, features, count]);
            let angles = x.reshape([replicas, rows, features, 1]) * own * std::f64::consts::TAU;
            Tensor::cat(vec![angles.clone().cos(), angles.sin()], 3).reshape([replicas, rows, features * 2 * count])
        }
        Operation::Crossed { start, product, bias, x } => start * (product + bias) + x,
        Operation::Excited { x, logits } => {
            let [replicas, rows, units] = x.dims();
            let scales = activation::sigmoid(logits);
            let count = scales.dims()[2];
            let x = x.reshape([replicas, rows, count, units / count]);
            (x * scales.reshape([replicas, rows, count, 1])).reshape([replicas, rows, units])
        }
        Operation::Prelu { x, slope } => activation::relu(x.clone()) - activation::relu(x.neg()) * slope,
        Operation::Weighted { x, weights, place } => x * weights.narrow(2, place, 1),
        Operation::MeanOfParts { x, count } => {
            let [replicas, rows, units] = x.dims();
            let width = units / count;
            x.reshape([replicas, rows, count, width]).mean_dim(2).reshape([replicas, rows, width])
        }
    }
}

fn intervals<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    let [replicas, rows, features] = x.dims();
    let edges = TensorData::new(EDGES.to_vec(), [1, 1, 1, INTERVALS]);
    let edges = Tensor::<B, 4>::from_data(edges, &x.device());
    let shares = (x.reshape([replicas, rows, features, 1]) - edges) / LENGTH;
    let inside = shares.clone().narrow(3, 1, INTERVALS - 2).clamp(0.0, 1.0);
    let first = shares.clone().narrow(3, 0, 1).clamp_max(1.0);
    let last = shares.narrow(3, INTERVALS - 1, 1).clamp_min(0.0);
    Tensor::cat(vec![first, inside, last], 3).reshape([replicas, rows, features * INTERVALS])
}

fn attention<B: Backend>(x: Tensor<B, 3>, heads: usize, count: usize, dropout: Option<&Dropout>) -> Tensor<B, 3> {
    let [replicas, rows, units] = x.dims();
    let width = units / count / 3;
    let each = width / heads;
    let all = x.reshape([replicas * rows, count, 3 * width]);
    // `[replica · row, head, token, number]`
    let part = |place: usize| {
        let part = all.clone().narrow(2, place * width, width);
        part.reshape([replicas * rows, count, heads, each]).swap_dims(1, 2)
    };
    let (queries, keys, values) = (part(0), part(1), part(2));
    let scores = queries.matmul(keys.swap_dims(2, 3)) / (each as f64).sqrt();
    let shares = activation::softmax(scores, 3).reshape([replicas, rows, heads * count * count]);
    let shares = drop(shares, dropout).reshape([replicas * rows, heads, count, count]);
    shares.matmul(values).swap_dims(1, 2).reshape([replicas, rows, count * width])
}

fn sparsemax<B: Backend>(z: Tensor<B, 3>) -> Tensor<B, 3> {
    // Σ max(z - τ, 0) is convex in τ, so Newton's method from below rises to its root and stays there (Michelot 1986). With the
    // largest number at 0, τ is at most -1 / units, however large the numbers were.
    let z = z.clone() - z.detach().max_dim(2);
    let given = z.clone().detach();
    let mut support = given.ones_like();
    for _ in 0..NEWTON {
        let threshold = threshold(given.clone(), support.clone());
        support = given.clone().greater(threshold.expand(given.dims())).float();
    }
    // With the support given, τ is a mean, and its gradient is that of the whole.
    let tau = threshold(z.clone(), support.clone());
    activation::relu(z - tau) * support
}

fn threshold<B: Backend>(z: Tensor<B, 3>, support: Tensor<B, 3>) -> Tensor<B, 3> {
    let count = support.clone().sum_dim(2);
    ((z * support).sum_dim(2) - 1.0) / count
}
