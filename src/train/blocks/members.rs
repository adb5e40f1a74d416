//! Batch ensembles: members that share weight matrices.

use burn::tensor::{Tensor, backend::Backend};

use super::Walk;
use crate::spec::net::{DenseLayer, Layer, MemberScales, NormLayer};
use crate::train::forward::{Pass, Tail};
use crate::train::kernels::EPSILON;

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
            Some(width) => x.reshape([replicas, rows, members, width]).mean_dim(2).reshape([replicas, rows, width]),
        }
    }

    /// ((x ⊙ input)·W) ⊙ output + bias, then norm, nonlinearity, dropout.
    pub(super) fn scaled_dense(&mut self, dense: &DenseLayer, scales: &MemberScales, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, _] = x.dims();
        let MemberScales { members, input, output, bias } = *scales;
        let x = x * self.params[input].clone();
        let x = x.reshape([replicas, rows * members, dense.inputs]);
        let y = self.pass.product(x, self.params[dense.weight].clone());
        let y = y.reshape([replicas, rows, members * dense.width]) * self.params[output].clone();
        let tail = Tail { norm: dense.norm.as_ref(), bias, activation: dense.activation, dropout: dense.dropout };
        match &dense.norm {
            Some(NormLayer { running: None, .. }) => self.member_tail(&tail, dense.width, y),
            // Members' units are units of their own to a batch norm.
            Some(_) | None => self.pass.tail(&tail, self.params, y),
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
        let [replicas, rows, units] = x.dims();
        let width = units / members;
        let weight = self.params[weight].clone();
        let outputs = weight.dims()[2];
        // A member's rows by a member's matrix: members are more replicas here.
        let x = x.reshape([replicas, rows, members, width]).swap_dims(1, 2);
        let x = x.reshape([replicas * members, rows, width]);
        let y = self.pass.product(x, weight.reshape([replicas * members, width, outputs]));
        let y = y.reshape([replicas, members, rows, outputs]).swap_dims(1, 2);
        let bias = self.params[bias].clone().reshape([replicas, 1, members, outputs]);
        (y + bias).reshape([replicas, rows, members * outputs])
    }
}
