//! Batch ensembles: members that share weight matrices.

use burn::tensor::{Tensor, backend::Backend};

use super::Walk;
use crate::spec::net::{DenseLayer, Layer, MemberScales, Pointwise};
use crate::train::forward::{Pass, Tail};
use crate::train::kernels::{EPSILON, Operation};

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// Each member's way through the layers; their mean, of so many units, or all of them one after another.
    pub(super) fn members(
        &mut self,
        members: usize,
        inner: &[Layer],
        mean: Option<usize>,
        x: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let [replicas, rows, units] = x.dims();
        // Not `repeat_dim`: its gradient (Burn 0.21) adds up neighbours instead of the copies.
        let x = x.reshape([replicas, rows, 1, units]).expand([replicas, rows, members, units]);
        let x = self.layers(inner, x.reshape([replicas, rows, members * units]));
        match mean {
            None => x,
            Some(_) => self.pass.operate(Operation::MeanOfParts { x, count: members }),
        }
    }

    /// ((x ⊙ input)·W) ⊙ output + bias, then norm, nonlinearity, dropout.
    pub(super) fn scaled_dense(&mut self, dense: &DenseLayer, scales: &MemberScales, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, _] = x.dims();
        let MemberScales { members, input, output, bias } = *scales;
        let own = |param: usize| self.params[param].clone();
        let linear = Pointwise::Identity;
        let x =
            self.pass.operate(Operation::Scaled { x, scale: own(input), shift: None, curve: linear, dropout: None });
        let y = self.pass.product(x.reshape([replicas, rows * members, dense.inputs]), own(dense.weight));
        let x = y.reshape([replicas, rows, members * dense.width]);
        let (scale, curve) = (own(output), dense.activation);
        let Some(norm) = &dense.norm else {
            let dropout = self.pass.made(dense.dropout);
            return self.pass.operate(Operation::Scaled { x, scale, shift: bias.map(own), curve, dropout });
        };
        let y = self.pass.operate(Operation::Scaled { x, scale, shift: None, curve: linear, dropout: None });
        let tail = Tail { norm: Some(norm), bias, activation: curve, dropout: dense.dropout };
        match norm.running {
            None => self.member_tail(&tail, dense.width, y),
            // Members' units are units of their own to a batch norm.
            Some(_) => self.pass.tail(&tail, self.params, y),
        }
    }

    /// What follows the product where each member's `width` units are normalized together, with scale and shift of its own.
    pub(super) fn member_tail(&mut self, tail: &Tail<'_>, width: usize, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let Tail { norm: Some(norm), bias, activation, dropout } = *tail else {
            return self.pass.tail(tail, self.params, x);
        };
        let [replicas, rows, units] = x.dims();
        let x = match bias {
            Some(bias) => x + self.params[bias].clone(),
            None => x,
        };
        let x = x.reshape([replicas, rows * units / width, width]);
        let centred = x.clone() - x.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let x = (centred * (variance + EPSILON).sqrt().recip()).reshape([replicas, rows, units]);
        let x = x * self.params[norm.scale].clone();
        self.pass.tail(&Tail { norm: None, bias: Some(norm.shift), activation, dropout }, self.params, x)
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
