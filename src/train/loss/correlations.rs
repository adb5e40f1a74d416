//! Correlations that are composed of Burn's own operations, `[replica, 1, target]`: of soft ranks, and beyond the benchmark.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, activation::sigmoid};

use super::Tracked;
use super::rows::{centred, mean, standardized};
use crate::spec::Rank;
use crate::train::kernels::{Benchmark, Kernels, Truth};

/// Added to a target's variance before it divides.
const EPSILON: f64 = 1e-12;

/// The correlation of each target's soft ranks with the target's ranks, both among the first rows of each run.
pub(super) fn ranks<B: Kernels>(
    outputs: &Tracked<B>,
    truth: &Truth<Autodiff<B>>,
    parts: usize,
    how: &Rank,
) -> Tracked<B> {
    let shape @ [replicas, rows, targets] = outputs.dims();
    let run = [replicas * parts, rows / parts, targets];
    let count = run[1].min(how.anchors as usize);
    let mask = truth.mask.as_ref().map(|mask| mask.clone().reshape(run));
    let counted = mask.as_ref().map(|mask| mask.clone().narrow(1, 0, count));
    let z = standardized(outputs.clone().reshape(run), mask.as_ref());
    let anchors = z.clone().narrow(1, 0, count);
    let soft = shares(z, anchors, counted.as_ref(), |above| sigmoid(above / how.temperature));
    let y = truth.targets.clone().reshape(run);
    let anchors = y.clone().narrow(1, 0, count);
    let hard = shares(y, anchors, counted.as_ref(), |above| above.sign() * 0.5 + 0.5);
    let truth = Truth { targets: hard.reshape(shape), mask: truth.mask.clone(), parts, benchmark: None };
    B::correlations(&soft.reshape(shape), &truth, parts)
}

/// The mean over anchors of `below` of the difference between each row and each anchor, `[run, row, target]`; `mask` says
/// which anchors count.
fn shares<B: Kernels>(
    x: Tracked<B>,
    anchors: Tracked<B>,
    mask: Option<&Tracked<B>>,
    below: impl Fn(Tensor<Autodiff<B>, 4>) -> Tensor<Autodiff<B>, 4>,
) -> Tracked<B> {
    let shape @ [runs, rows, targets] = x.dims();
    let count = anchors.dims()[1];
    let across = [runs, 1, count, targets];
    let below = below(x.reshape([runs, rows, 1, targets]) - anchors.reshape(across));
    match mask {
        Some(mask) => {
            let there = mask.clone().sum_dim(1).clamp_min(1.0);
            (below * mask.clone().reshape(across)).sum_dim(2).reshape(shape) / there
        }
        None => below.mean_dim(2).reshape(shape),
    }
}

/// The correlation with each target of what the benchmark leaves of its output.
pub(super) fn beyond<B: Kernels>(outputs: &Tracked<B>, truth: &Truth<Autodiff<B>>, parts: usize) -> Tracked<B> {
    let [replicas, rows, targets] = outputs.dims();
    let Benchmark { scores, mask: covered } = truth.benchmark.as_ref().expect("a batch carries the benchmark for bmc");
    let runs = [replicas * parts, rows / parts];
    let by_run = |x: &Tracked<B>| {
        let units = x.dims()[2];
        x.clone().reshape([runs[0], runs[1], units])
    };
    let mask = match (truth.mask.as_ref().map(by_run), covered.as_ref().map(by_run)) {
        (Some(labelled), Some(covered)) => Some(labelled * covered),
        (Some(labelled), None) => Some(labelled),
        (None, Some(covered)) => Some(covered.repeat_dim(2, targets)),
        (None, None) => None,
    };
    let mask = mask.as_ref();
    let p = standardized(by_run(outputs), mask);
    let y = centred(by_run(&truth.targets), mask);
    let m = match mask {
        Some(mask) => by_run(scores) * mask.clone(),
        None => by_run(scores),
    };
    let share = (p.clone() * m.clone()).sum_dim(1) / (m.clone().square().sum_dim(1) + EPSILON);
    let left = p - m * share;
    let covariance = mean(left * y.clone(), mask);
    let deviation = (mean(y.square(), mask) + EPSILON).sqrt();
    (covariance / deviation).reshape([replicas, parts, targets]).mean_dim(1)
}
