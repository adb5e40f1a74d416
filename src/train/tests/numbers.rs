//! Matrices of numbers as tensors and back, comparison with a tolerance, and a forward pass without fused operations.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::spec::Spec;
use crate::spec::net::{DenseLayer, Inputs, Net, NormLayer};
use crate::train::forward::{Learning, Pass, Tail};
use crate::train::kernels::{Norm, composed, product};

pub(super) type Matrix = Vec<Vec<f64>>;
pub(super) type Tracked = Tensor<Autodiff<Flex>, 3>;

/// Matrices of one shape as `[replica, row, column]`.
pub(super) fn stack<B: Backend>(matrices: &[&Matrix]) -> Tensor<B, 3> {
    let shape = [matrices.len(), matrices[0].len(), matrices[0][0].len()];
    let values: Vec<f32> =
        matrices.iter().flat_map(|matrix| matrix.iter().flatten()).map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &B::Device::default())
}

/// The same matrix for two replicas.
pub(super) fn twice<B: Backend>(matrix: &Matrix) -> Tensor<B, 3> {
    stack(&[matrix, matrix])
}

pub(super) fn host<B: Backend>(tensor: Tensor<B, 3>) -> Vec<f64> {
    tensor.into_data().iter::<f32>().map(f64::from).collect()
}

/// Each half or the whole of `found` against `wanted`. Ours is single precision, PyTorch's double: the tolerance is in
/// units of the array's largest number, some hundred roundings of 6e-8.
pub(super) fn near(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert!(!wanted.is_empty() && found.len().is_multiple_of(wanted.len()), "{what}: {} numbers", found.len());
    let size = wanted.iter().fold(1e-2_f64, |most, value| most.max(value.abs()));
    for (index, found) in found.iter().enumerate() {
        let wanted = wanted[index % wanted.len()];
        assert!((found - wanted).abs() <= tolerance * size, "{what}, number {index}: {found}, PyTorch has {wanted}");
    }
}

pub(super) fn flat(matrix: &Matrix) -> Vec<f64> {
    matrix.iter().flatten().copied().collect()
}

/// Of Burn's own operations wherever the CPU fuses them.
pub(super) struct Composed<'a>(pub(super) Learning<'a, Flex>);

impl Pass<Autodiff<Flex>> for Composed<'_> {
    fn product(&mut self, x: Tracked, weight: Tracked) -> Tracked {
        product::product(x, weight, self.0.precision)
    }

    fn dense(&mut self, dense: &DenseLayer, params: &[Tracked], x: Tracked) -> Tracked {
        let x = x.matmul(params[dense.weight].clone());
        let (bias, activation) = (dense.bias, dense.activation);
        self.tail(&Tail { norm: dense.norm.as_ref(), bias, activation, dropout: 0.0 }, params, x)
    }

    fn tail(&mut self, tail: &Tail<'_>, params: &[Tracked], x: Tracked) -> Tracked {
        let x = match tail.bias {
            Some(bias) => x + params[bias].clone(),
            None => x,
        };
        let Some(NormLayer { scale, shift, running }) = tail.norm else {
            return composed::activate(tail.activation, x);
        };
        let norm = Norm { scale: params[*scale].clone(), shift: params[*shift].clone() };
        match running {
            Some(_) => composed::normalized(x, norm, tail.activation, None).0,
            None => composed::row_normalized(x, norm, tail.activation, None),
        }
    }

    fn dropout(&mut self, _: f64, x: Tracked) -> Tracked {
        x
    }

    fn noise(&mut self, _: f64, x: Tracked) -> Tracked {
        x
    }

    fn learns(&self) -> bool {
        true
    }

    fn auxiliary(&mut self, term: Tracked) {
        self.0.auxiliary.push(term);
    }
}

/// A layout for data of one set.
pub(super) fn laid_out(spec: &Spec, features: usize, targets: usize) -> Net {
    Net::of(spec, &Inputs { features, sets: Vec::new(), targets }).expect("it can be laid out")
}
