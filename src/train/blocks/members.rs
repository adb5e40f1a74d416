//! Batch ensembles: members that share weight matrices.

use burn::tensor::{Tensor, backend::Backend};

use super::Walk;
use crate::spec::net::{DenseLayer, Layer, MemberScales, Pointwise};
use crate::train::forward::{Pass, Tail};
use crate::train::kernels::Operation;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// Each member's way through the layers; their mean, of so many units, or all of them one after another.
    pub(super) fn members(
        &mut self,
        members: usize,
        inner: &[Layer],
        mean: Option<usize>,
        x: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let x = x.repeat_dim(2, members);
        let x = self.layers(inner, x);
        match mean {
            None => x,
            Some(_) => self.pass.operate(Operation::MeanOfParts { x, count: members }),
        }
    }

    /// ((x ⊙ input)·W) ⊙ output + bias, then norm, nonlinearity, dropout.
    pub(super) fn scaled_dense(&mut self, dense: &DenseLayer, scales: &MemberScales, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, _] = x.dims();
        let (members, inputs, width) = (scales.members, dense.inputs, dense.width);
        let own = |param: usize, units: usize| self.params[param].clone().reshape([replicas, 1, members * units]);
        let (input, output) = (own(scales.input, inputs), own(scales.output, width));
        let shift = scales.bias.map(|bias| own(bias, width));
        let linear = Pointwise::Identity;
        let x = self.pass.operate(Operation::Scaled { x, scale: input, shift: None, curve: linear, dropout: None });
        let y = self.pass.product(x.reshape([replicas, rows * members, inputs]), self.params[dense.weight].clone());
        let y = y.reshape([replicas, rows, members * width]);
        match &dense.norm {
            None => {
                let dropout = self.pass.made(dense.dropout);
                self.pass.operate(Operation::Scaled { x: y, scale: output, shift, curve: dense.activation, dropout })
            }
            norm => {
                let y =
                    self.pass.operate(Operation::Scaled { x: y, scale: output, shift, curve: linear, dropout: None });
                let (norm, bias) = (norm.as_ref(), None);
                let tail = Tail { norm, bias, activation: dense.activation, dropout: dense.dropout };
                let y = self.pass.tail(&tail, self.params, y.reshape([replicas, rows * members, width]));
                y.reshape([replicas, rows, members * width])
            }
        }
    }

    /// A linear layer for each member; outputs one member after another.
    pub(super) fn member_output(
        &mut self,
        (weight, bias): (usize, usize),
        members: usize,
        x: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let replicas = x.dims()[0];
        let x = self.pass.grouped_product(x, self.params[weight].clone(), members);
        let bias = self.params[bias].clone().reshape([replicas, 1, x.dims()[2]]);
        let tail = Tail { norm: None, bias: Some(0), activation: Pointwise::Identity, dropout: 0.0 };
        self.pass.tail(&tail, &[bias], x)
    }
}
