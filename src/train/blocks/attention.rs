//! Self-attention over tokens.

use burn::tensor::{Tensor, backend::Backend};

use super::{Walk, by_rows};
use crate::spec::net::AttentionLayer;
use crate::train::forward::Pass;
use crate::train::kernels::Operation;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// softmax(Q·Kᵀ/√d)·V for each head, then a linear layer.
    pub(super) fn attention(&mut self, attention: &AttentionLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let AttentionLayer { heads, count, width, .. } = *attention;
        let x = by_rows(x, width, |x| self.linear(attention.project, attention.project_bias, x));
        let dropout = self.pass.made(attention.dropout);
        let mixed = self.pass.operate(Operation::Attention { x, heads, count, dropout });
        by_rows(mixed, width, |x| self.linear(attention.output, attention.output_bias, x))
    }
}
