//! The CPU backend's fused operations, as steps of Burn's autodiff graph.

mod attention;
mod batch_norm;
mod dense;
mod elementwise;
mod embedding;
mod gate;
mod grouped;
mod loss;
mod product;
mod row_norm;
mod scaled;
mod sparsemax;
mod step;
mod steps;
mod tail;

use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};

use super::buffers;
use super::loops::tail::Mask;
use super::{AdamStep, Affine, Dropout, ErrorSize, Kernels, Moments, Norm, Operation, SgdStep, Truth};
use crate::spec::net::Pointwise;
use crate::train::backend::Precision;

type Plain = Tensor<Flex, 3>;
type Tracked = Tensor<Autodiff<Flex>, 3>;

impl Kernels for Flex {
    const RESIDENT: bool = false;
    const PREDICT_ROWS: usize = 4096;

    // The CPU is never asked for anything but fp32: `Device::find` refuses it.
    fn product(x: Tracked, weight: Tracked, _: Precision) -> Tracked {
        product::product(x, weight)
    }

    fn dense(
        x: Tracked,
        weight: Tracked,
        norm: Norm<Tracked>,
        tail: (Pointwise, Option<&Dropout>),
        _: Precision,
    ) -> (Tracked, Moments<Self>) {
        dense::dense(x, weight, norm, tail.0, tail.1)
    }

    fn normalized(
        x: Tracked,
        norm: Norm<Tracked>,
        curve: Pointwise,
        dropout: Option<&Dropout>,
    ) -> (Tracked, Moments<Self>) {
        batch_norm::normalized(x, norm, curve, dropout)
    }

    fn operation(operation: Operation<Tracked>) -> Tracked {
        match operation {
            Operation::Gated { x, bias, kind, dropout } => gate::gated(x, bias, kind, dropout),
            Operation::Scaled { x, scale, shift, curve, dropout } => scaled::scaled(x, scale, shift, (curve, dropout)),
            Operation::Sparsemax { x, prior } => sparsemax::sparsemax(x, prior),
            Operation::Entropy { x } => elementwise::uncertain(x),
            Operation::MeanSquare { x, target } => elementwise::mean_square(x, target),
            Operation::Attention { x, heads, count, dropout } => attention::attention(x, heads, count, dropout),
            Operation::Intervals { x } => embedding::intervals(x),
            Operation::Waves { x, frequencies } => embedding::waves(x, frequencies),
            Operation::Crossed { start, product, bias, x } => elementwise::crossed(start, product, bias, x),
            Operation::Excited { x, logits } => elementwise::excited(x, logits),
            Operation::Prelu { x, slope } => elementwise::bent(x, slope),
            Operation::Weighted { x, weights, place } => elementwise::weighted(x, weights, place),
            Operation::MeanOfParts { x, count } => elementwise::averaged(x, count),
        }
    }

    fn grouped_product(x: Tracked, weight: Tracked, groups: usize, _: Precision) -> Tracked {
        grouped::grouped_product(x, weight, groups)
    }

    fn plain_grouped_product(x: Plain, weight: Plain, groups: usize, _: Precision) -> Plain {
        grouped::grouped_product(Tensor::from_inner(x), Tensor::from_inner(weight), groups).inner()
    }

    fn plain_operation(operation: Operation<Plain>) -> Plain {
        // Of tensors without gradients nothing is recorded.
        Self::operation(operation.map(Tensor::from_inner)).inner()
    }

    fn row_normalized(x: Tracked, norm: Norm<Tracked>, curve: Pointwise, dropout: Option<&Dropout>) -> Tracked {
        row_norm::row_normalized(x, norm, curve, dropout)
    }

    fn biased(x: Tracked, bias: Tracked, curve: Pointwise, dropout: Option<&Dropout>) -> Tracked {
        tail::biased(x, bias, curve, dropout)
    }

    fn affine(x: Plain, moves: Affine<Self>, curve: Pointwise) -> Plain {
        tail::affine(x, moves, curve)
    }

    fn plain_product(x: Plain, weight: Plain, _: Precision) -> Plain {
        product::plain_product(x, weight)
    }

    fn plain_row_normalized(x: Plain, norm: Norm<Plain>, curve: Pointwise) -> Plain {
        row_norm::plain_row_normalized(x, norm, curve)
    }

    fn correlations(outputs: &Tracked, truth: &Truth<Autodiff<Self>>, parts: usize) -> Tracked {
        loss::correlations(outputs, truth, parts)
    }

    fn errors(outputs: &Tracked, truth: &Truth<Autodiff<Self>>, size: ErrorSize) -> Tracked {
        loss::errors(outputs, truth, size)
    }

    fn release(tensor: Plain) {
        buffers::give_tensor(tensor.into_primitive().tensor());
    }

    fn adam(
        weight: Plain,
        gradient: Plain,
        moments: Option<(Plain, Plain)>,
        step: &AdamStep,
    ) -> (Plain, (Plain, Plain)) {
        steps::adam(weight, gradient, moments, step)
    }

    fn sgd(weight: Plain, gradient: Plain, velocity: Option<Plain>, step: &SgdStep) -> (Plain, Plain) {
        steps::sgd(weight, gradient, velocity, step)
    }
}

/// Shape, activation and dropout.
#[derive(Clone, Debug)]
struct Tail {
    replicas: usize,
    rows: usize,
    units: usize,
    curve: Pointwise,
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

fn primitive(tensor: Tracked) -> FloatTensor<Autodiff<Flex>> {
    tensor.into_primitive().tensor()
}

/// The same tensor with its numbers in order.
fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

/// The same, for a tensor that is at hand: of one whose numbers are in order, [`contiguous`] is a second holder of its buffer.
fn ordered(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 { tensor } else { contiguous(&tensor) }
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
    if tensor.is_unique() {
        return tensor.into_data().into_vec::<f32>().expect("every tensor here is f32");
    }
    let tensor = contiguous(&tensor);
    let mut copy = buffers::take(values(&tensor).len());
    copy.copy_from_slice(values(&tensor));
    copy
}

fn tensor(values: Vec<f32>, shape: [usize; 3]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn plain(values: Vec<f32>, shape: [usize; 3]) -> Plain {
    Tensor::from_primitive(TensorPrimitive::Float(tensor(values, shape)))
}

/// A tensor of the autodiff backend from its primitive.
fn tracked(primitive: FloatTensor<Autodiff<Flex>>) -> Tracked {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}
