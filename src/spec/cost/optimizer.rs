//! What a step of the optimizer costs. It goes over the weights, however few rows the batch has, so that it is most of what a
//! step of a small batch costs.
//!
//! Adam's and SGD's own steps are one pass over the weights. The others are chains of operations, whose lengths are measured
//! against it (benchmarks/cost.sh).

use crate::spec::language::{Muon, Optimizer, Spec};
use crate::spec::net::Net;

/// What moves the weights of one net once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stepping {
    /// Floating point operations of matrix products.
    pub(super) flops: f64,
    /// Numbers that element-wise operations go over.
    pub(super) numbers: f64,
    /// Operations that are begun.
    pub(super) operations: f64,
}

/// What the norm of a tensor costs a number of it: it is a sum over rows and one over columns.
const NORM: u64 = 50;

/// One step.
pub(super) fn stepping(spec: &Spec, net: &Net) -> Stepping {
    let extras = &spec.optimizer.beside;
    let of_kind = match &spec.optimizer.kind {
        Optimizer::Adamw(_) | Optimizer::Adam(_) | Optimizer::Muon(_) => 0,
        Optimizer::Sgd(fields) => 8 * u64::from(fields.nesterov),
        Optimizer::Rmsprop(_) | Optimizer::Lion(_) => 8,
        Optimizer::Adan(_) => 30,
        // Norms of the weights and of their steps.
        Optimizer::Lamb(_) => 40 + 2 * NORM,
    };
    let (clip_norm, clip_value) = spec.optimizer.kind.clips();
    let beside = [
        (extras.gradient_noise.is_some(), 500),
        (extras.sam.is_some(), 10 + NORM),
        (clip_norm.is_some(), 10 + NORM),
        (clip_value.is_some(), 5),
    ];
    let beside: u64 = beside.into_iter().filter(|(on, _)| *on).map(|(_, numbers)| numbers).sum();
    let params = net.params.len() as u64;
    let mut stepping = Stepping {
        flops: 0.0,
        numbers: (net.size() * (copies(spec) + of_kind + beside)) as f64,
        operations: (params * (copies(spec) + 5 * u64::from(extras.gradient_noise.is_some()))) as f64,
    };
    if let Optimizer::Muon(muon) = &spec.optimizer.kind {
        net.hidden_matrices().for_each(|(rows, cols)| stepping.orthogonalize(muon, rows, cols));
    }
    stepping
}

impl Stepping {
    /// Newton and Schulz's iterations of a matrix, its shorter side s and its longer one l: X·Xᵀ, its square, and a polynomial of
    /// both by X are 2·s²·l + s³ multiplications.
    fn orthogonalize(&mut self, muon: &Muon, rows: usize, cols: usize) {
        let (short, long) = (rows.min(cols) as f64, rows.max(cols) as f64);
        let iterations = f64::from(muon.iterations);
        self.flops += iterations * 2.0 * (2.0 * short * short * long + short.powi(3));
        self.numbers += (115 + NORM) as f64 * short * long + iterations * 4.0 * short * (short + long);
        self.operations += 3.0 * iterations;
    }
}

/// How many arrays of the weights' size one net keeps: weights, gradients, a copy of the best, the optimizer's state, and
/// what its wrappers keep.
pub(super) fn copies(spec: &Spec) -> u64 {
    let extras = &spec.optimizer.beside;
    let state = match &spec.optimizer.kind {
        Optimizer::Adamw(_) | Optimizer::Adam(_) | Optimizer::Lamb(_) | Optimizer::Muon(_) => 2,
        Optimizer::Sgd(_) | Optimizer::Lion(_) => 1,
        Optimizer::Rmsprop(fields) => 1 + u64::from(fields.centered) + u64::from(fields.momentum > 0.0),
        Optimizer::Adan(_) => 4,
    };
    let wrappers = [extras.lookahead.is_some(), extras.sam.is_some(), extras.ema.is_some() || extras.swa.is_some()];
    3 + state + wrappers.iter().map(|on| u64::from(*on)).sum::<u64>()
}
