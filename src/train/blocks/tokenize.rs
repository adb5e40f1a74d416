//! Features to tokens.

use burn::tensor::{Tensor, backend::Backend};

use super::{Walk, chosen};
use crate::spec::net::{EmbeddingLayer, INTERVALS, Pointwise, TokenizeLayer};
use crate::train::forward::{Pass, Tail};
use crate::train::kernels::Operation;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// A vector for each token: the sum over its features of their embeddings, and a bias.
    pub(super) fn tokenize(&mut self, tokenize: &TokenizeLayer, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [replicas, rows, _] = x.dims();
        let width = tokenize.width;
        let (parts, weight) = match &tokenize.embedding {
            EmbeddingLayer::Linear { weight } => (1, *weight),
            EmbeddingLayer::PiecewiseLinear { weight } => (INTERVALS, *weight),
            EmbeddingLayer::Periodic { weight, count, .. } => (2 * count, *weight),
        };
        let weight = self.params[weight].clone();
        let tokens = if tokenize.plain {
            let expanded = self.expanded(&tokenize.embedding, 0, x);
            let features = tokenize.features;
            // A feature's numbers by a feature's matrix.
            self.pass.grouped_product(expanded, weight, features)
        } else {
            let mut start = 0;
            let mut tokens = Vec::new();
            for group in &tokenize.groups {
                let features = group.columns.len();
                let own = chosen(x.clone(), &group.columns);
                let expanded = self.expanded(&tokenize.embedding, start, own);
                let weight = weight.clone().narrow(1, start * parts, features * parts);
                tokens.push(self.pass.product(expanded, weight));
                start += features;
            }
            Tensor::cat(tokens, 2)
        };
        let activation = match tokenize.embedding {
            EmbeddingLayer::Periodic { .. } => Pointwise::Relu,
            EmbeddingLayer::Linear { .. } | EmbeddingLayer::PiecewiseLinear { .. } => Pointwise::Identity,
        };
        let tail = Tail { norm: None, bias: Some(tokenize.bias), activation, dropout: 0.0 };
        let tokens = self.pass.tail(&tail, self.params, tokens);
        match tokenize.class_token {
            Some(token) => {
                let token = self.params[token].clone().expand([replicas, rows, width]);
                Tensor::cat(vec![token, tokens], 2)
            }
            None => tokens,
        }
    }

    /// `[replica, row, feature · part]`: the numbers that an embedding multiplies its weights by. `start` is the first feature's
    /// place among those of all groups.
    fn expanded(&mut self, embedding: &EmbeddingLayer, start: usize, x: Tensor<B, 3>) -> Tensor<B, 3> {
        match embedding {
            EmbeddingLayer::Linear { .. } => x,
            EmbeddingLayer::PiecewiseLinear { .. } => self.pass.operate(Operation::Intervals { x }),
            EmbeddingLayer::Periodic { frequencies, .. } => {
                let frequencies = self.params[*frequencies].clone().narrow(1, start, x.dims()[2]);
                self.pass.operate(Operation::Waves { x, frequencies })
            }
        }
    }
}
