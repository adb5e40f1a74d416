//! Members that train inside one net: each becomes a replica of its own, and the loss is their mean.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, backend::Backend};

use crate::train::kernels::{Benchmark, Truth};

/// `[replica, row, member · unit]` as `[replica · member, row, unit]`.
pub(super) fn apart<B: Backend>(x: Tensor<B, 3>, members: usize) -> Tensor<B, 3> {
    if members == 1 {
        return x;
    }
    let [replicas, rows, units] = x.dims();
    let each = units / members;
    x.reshape([replicas, rows, members, each]).swap_dims(1, 2).reshape([replicas * members, rows, each])
}

/// Each replica's, once for each of its members; `[1, …]` stays, as it stands for all.
pub(super) fn repeated<B: Backend>(x: &Tensor<B, 3>, members: usize) -> Tensor<B, 3> {
    let [replicas, rows, units] = x.dims();
    if members == 1 || (replicas == 1 && rows == 1) {
        return x.clone();
    }
    let each = x.clone().reshape([replicas, 1, rows, units]).repeat_dim(1, members);
    each.reshape([replicas * members, rows, units])
}

/// Each replica's truth, once for each of its members.
pub(super) fn repeated_truth<B: Backend>(truth: &Truth<Autodiff<B>>, members: usize) -> Truth<Autodiff<B>> {
    let all = |x: &Tensor<Autodiff<B>, 3>| repeated(x, members);
    Truth {
        targets: all(&truth.targets),
        mask: truth.mask.as_ref().map(all),
        parts: truth.parts,
        benchmark: truth
            .benchmark
            .as_ref()
            .map(|benchmark| Benchmark { scores: all(&benchmark.scores), mask: benchmark.mask.as_ref().map(all) }),
    }
}

/// `[replica · member, 1, 1]` to the mean over members, `[replica, 1, 1]`.
pub(super) fn mean<B: Backend>(x: Tensor<B, 3>, members: usize) -> Tensor<B, 3> {
    if members == 1 {
        return x;
    }
    let replicas = x.dims()[0] / members;
    x.reshape([replicas, members, 1]).mean_dim(1)
}
