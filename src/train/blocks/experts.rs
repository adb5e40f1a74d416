//! Mixtures of experts.

use burn::tensor::{Tensor, activation::softmax, backend::Backend};

use super::Walk;
use crate::spec::net::ExpertsLayer;
use crate::train::forward::Pass;
use crate::train::kernels::Operation;

/// What a logit becomes that must not count.
const NEVER: f32 = -1e30;

impl<B: Backend, P: Pass<B>> Walk<'_, B, P> {
    /// Σ gₑ·expertₑ(x).
    pub(super) fn experts(&mut self, mixture: &ExpertsLayer, x: &Tensor<B, 3>) -> Tensor<B, 3> {
        let logits = self.linear(mixture.gate, mixture.gate_bias, x.clone());
        let count = mixture.experts.len();
        if mixture.balance > 0.0 && self.pass.learns() {
            let gates = softmax(logits.clone(), 2);
            let largest = gates.clone().detach();
            let chosen = largest.clone().greater_equal(largest.max_dim(2)).float();
            let balance = (chosen.mean_dim(1) * gates.mean_dim(1)).sum_dim(2);
            self.pass.auxiliary(balance * (count as f64 * mixture.balance));
        }
        let logits = match mixture.top_k {
            Some(most) => best(logits, most),
            None => logits,
        };
        let gates = softmax(logits, 2);
        let outputs = mixture.experts.iter().enumerate().map(|(index, expert)| {
            let y = self.layers(expert, x.clone());
            self.pass.operate(Operation::Weighted { x: y, weights: gates.clone(), place: index })
        });
        outputs.reduce(|a, b| a + b).expect("two experts or more")
    }
}

/// The logits, all but the `most` largest of each row made never to count.
fn best<B: Backend>(logits: Tensor<B, 3>, most: usize) -> Tensor<B, 3> {
    // Which ones they are is found by taking the largest away, one by one; it has no gradient.
    let mut left = logits.clone().detach();
    for _ in 0..most {
        let largest = left.clone().greater_equal(left.clone().max_dim(2));
        left = left.mask_fill(largest, f32::NEG_INFINITY);
    }
    let others = left.greater_elem(f32::NEG_INFINITY);
    logits.mask_fill(others, NEVER)
}
