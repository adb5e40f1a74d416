//! Correlations and errors by target as steps of the graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::ops::FloatTensor;

use super::{Tracked, contiguous, host, primitive, tensor, tracked, values};
use crate::train::kernels::loops::correlation::{self, Kept, Pair};
use crate::train::kernels::loops::errors::{self, Absolute, Square};
use crate::train::kernels::{CORRELATION_EPSILON, ErrorSize, Truth, buffers};

/// [`crate::train::kernels::Kernels::correlations`].
pub(super) fn correlations(outputs: &Tracked, truth: &Truth<Autodiff<Flex>>, parts: usize) -> Tracked {
    let (leaf, data) = Data::of(outputs, truth, parts);
    let width = data.targets;
    let mut means = vec![0.0_f32; data.replicas * width];
    let mut moments = Vec::with_capacity(data.replicas * parts);
    for (replica, means) in means.chunks_exact_mut(width).enumerate() {
        for part in 0..parts {
            let (found, kept) = correlation::correlate(data.pair(replica, part), CORRELATION_EPSILON);
            means.iter_mut().zip(&found).for_each(|(mean, found)| *mean += found / parts as f32);
            moments.push(kept);
        }
    }
    let result = tensor(means, [data.replicas, 1, width]);
    tracked(match Correlations.prepare::<NoCheckpointing>([leaf.node.clone()]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((data, moments), result),
        OpsKind::UnTracked(prepared) => prepared.finish(result),
    })
}

/// [`crate::train::kernels::Kernels::errors`].
pub(super) fn errors(outputs: &Tracked, truth: &Truth<Autodiff<Flex>>, size: ErrorSize) -> Tracked {
    let (leaf, data) = Data::of(outputs, truth, 1);
    let (mut means, mut counts) = (Vec::new(), Vec::new());
    for replica in 0..data.replicas {
        let (found, there) = match size {
            ErrorSize::Square => errors::means::<Square>(data.pair(replica, 0)),
            ErrorSize::Absolute => errors::means::<Absolute>(data.pair(replica, 0)),
        };
        means.extend(found);
        counts.extend(there);
    }
    let result = tensor(means, [data.replicas, 1, data.targets]);
    tracked(match Errors.prepare::<NoCheckpointing>([leaf.node.clone()]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((data, counts, size), result),
        OpsKind::UnTracked(prepared) => prepared.finish(result),
    })
}

/// Outputs and truth of all replicas.
#[derive(Clone, Debug)]
struct Data {
    outputs: FlexTensor,
    truth: FlexTensor,
    mask: Option<FlexTensor>,
    replicas: usize,
    rows: usize,
    targets: usize,
    parts: usize,
}

impl Data {
    fn of(outputs: &Tracked, truth: &Truth<Autodiff<Flex>>, parts: usize) -> (FloatTensor<Autodiff<Flex>>, Self) {
        let [replicas, rows, targets] = outputs.dims();
        let outputs = primitive(outputs.clone());
        let numbers = |tensor: &Tracked| contiguous(&primitive(tensor.clone()).primitive);
        let data = Self {
            outputs: contiguous(&outputs.primitive),
            truth: numbers(&truth.targets),
            mask: truth.mask.as_ref().map(numbers),
            replicas,
            rows,
            targets,
            parts,
        };
        (outputs, data)
    }

    /// Where a part of a replica's rows lies.
    fn range(&self, replica: usize, part: usize) -> std::ops::Range<usize> {
        let each = self.rows / self.parts * self.targets;
        let start = (replica * self.parts + part) * each;
        start..start + each
    }

    fn pair(&self, replica: usize, part: usize) -> Pair<'_> {
        let range = self.range(replica, part);
        Pair {
            outputs: &values(&self.outputs)[range.clone()],
            targets: &values(&self.truth)[range.clone()],
            mask: self.mask.as_ref().map(|mask| &values(mask)[range]),
            width: self.targets,
        }
    }
}

#[derive(Debug)]
struct Correlations;

impl Backward<Flex, 1> for Correlations {
    type State = (Data, Vec<Kept>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (data, moments) = ops.state;
        let pull = host(&gradients.consume::<Flex>(&ops.node));
        let [Some(node)] = ops.parents else { return };
        let mut out = buffers::take(data.replicas * data.rows * data.targets);
        for replica in 0..data.replicas {
            let pull: Vec<f32> =
                pull[replica * data.targets..][..data.targets].iter().map(|pull| pull / data.parts as f32).collect();
            for part in 0..data.parts {
                let moments = &moments[replica * data.parts + part];
                let range = data.range(replica, part);
                correlation::gradient(data.pair(replica, part), moments, &pull, &mut out[range]);
            }
        }
        gradients.register::<Flex>(node.id, tensor(out, [data.replicas, data.rows, data.targets]));
    }
}

#[derive(Debug)]
struct Errors;

impl Backward<Flex, 1> for Errors {
    type State = (Data, Vec<f32>, ErrorSize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (data, counts, size) = ops.state;
        let pull: Vec<f32> =
            host(&gradients.consume::<Flex>(&ops.node)).iter().zip(&counts).map(|(pull, count)| pull / count).collect();
        let [Some(node)] = ops.parents else { return };
        let mut out = buffers::take(data.replicas * data.rows * data.targets);
        for replica in 0..data.replicas {
            let (pull, range) = (&pull[replica * data.targets..][..data.targets], data.range(replica, 0));
            let pair = data.pair(replica, 0);
            match size {
                ErrorSize::Square => errors::gradient::<Square>(pair, pull, &mut out[range]),
                ErrorSize::Absolute => errors::gradient::<Absolute>(pair, pull, &mut out[range]),
            }
        }
        gradients.register::<Flex>(node.id, tensor(out, [data.replicas, data.rows, data.targets]));
    }
}
