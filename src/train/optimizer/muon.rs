//! Muon (Jordan 2024): momentum with its singular values brought near 1, for weight matrices.

use burn::tensor::{Tensor, backend::Backend};

use super::{Memory, Step, blended};
use crate::spec::{Muon, MuonScale};
use crate::train::backend::Precision;
use crate::train::kernels::Kernels;

/// Coefficients of the quintic iteration, and the least norm that is divided by, as in PyTorch.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
const EPSILON: f64 = 1e-7;

/// A step of a weight matrix, as in PyTorch's `torch.optim.Muon`.
pub(super) fn muon<B: Kernels>(
    fields: &Muon,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    let mean = blended(memory.mean.take(), gradient.clone(), fields.momentum);
    memory.mean = Some(mean.clone());
    let along = if fields.nesterov { blended(Some(mean), gradient, fields.momentum) } else { mean };
    let [_, rows, cols] = along.dims();
    let scale = match fields.scale {
        MuonScale::Original => (cols as f64 / rows as f64).max(1.0).sqrt(),
        MuonScale::MatchRmsAdamw => 0.2 * (rows.max(cols) as f64).sqrt(),
    };
    let rate = fields.lr * step.factor;
    weight * (1.0 - rate * step.decay(fields.weight_decay)) - orthogonal(along, fields.iterations) * (rate * scale)
}

/// Each replica's matrix with its singular values brought near 1: X ← X / ‖X‖, then X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ.
/// The wider side is laid across, so that A is as small as can be.
fn orthogonal<B: Kernels>(matrix: Tensor<B, 3>, iterations: u32) -> Tensor<B, 3> {
    let [_, rows, cols] = matrix.dims();
    let flip = |x: Tensor<B, 3>| if rows > cols { x.swap_dims(1, 2) } else { x };
    let [a, b, c] = QUINTIC;
    let norm = norm(&matrix).clamp_min(EPSILON);
    let mut x = flip(matrix / norm);
    for _ in 0..iterations {
        let gram = product(x.clone(), x.clone().swap_dims(1, 2));
        let polynomial = gram.clone() * b + product(gram.clone(), gram) * c;
        x = x.clone() * a + product(polynomial, x);
    }
    flip(x)
}

fn norm<B: Backend>(matrix: &Tensor<B, 3>) -> Tensor<B, 3> {
    matrix.clone().square().sum_dim(1).sum_dim(2).sqrt()
}

/// A GPU may round to tf32 here: the reference is content with bfloat16.
fn product<B: Kernels>(x: Tensor<B, 3>, y: Tensor<B, 3>) -> Tensor<B, 3> {
    B::plain_product(x, y, Precision::Tf32)
}
