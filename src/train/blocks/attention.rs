//! Self-attention over tokens.

use burn::tensor::{Tensor, activation::softmax, backend::Backend};

use super::{Walk, by_rows};
use crate::spec::net::AttentionLayer;
use crate::train::forward::Pass;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// softmax(Q·Kᵀ/√d)·V for each head, then a linear layer.
    pub(super) fn attention(&mut self, attention: &AttentionLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, _] = x.dims();
        let AttentionLayer { heads, count, width, .. } = *attention;
        let each = width / heads;
        let all = by_rows(x, width, |x| self.linear(attention.project, attention.project_bias, x));
        let all = all.reshape([replicas * rows, count, 3 * width]);
        // `[replica · row, head, token, number]`
        let part = |place: usize| {
            let part = all.clone().narrow(2, place * width, width);
            part.reshape([replicas * rows, count, heads, each]).swap_dims(1, 2)
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        let scores = queries.matmul(keys.swap_dims(2, 3)) / (each as f64).sqrt();
        let shares = softmax(scores, 3);
        let shares = if attention.dropout > 0.0 {
            let flat = shares.reshape([replicas, rows, heads * count * count]);
            self.pass.dropout(attention.dropout, flat).reshape([replicas * rows, heads, count, count])
        } else {
            shares
        };
        let mixed = shares.matmul(values).swap_dims(1, 2).reshape([replicas, rows, count * width]);
        by_rows(mixed, width, |x| self.linear(attention.output, attention.output_bias, x))
    }
}
