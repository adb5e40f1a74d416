//! Wrappers around any optimizer: lookahead, and the places at which SAM takes gradients.

use burn::tensor::{Tensor, backend::Backend};

use super::clipping::global_norm;
use crate::spec::{Lookahead, Sam};

/// Lookahead's slow weights (Zhang 2019).
pub(super) struct Slow<B: Backend> {
    every: i32,
    alpha: f64,
    params: Vec<Tensor<B, 3>>,
}

impl<B: Backend> Slow<B> {
    pub(super) fn new(lookahead: &Lookahead) -> Self {
        Self { every: i32::try_from(lookahead.k).unwrap_or(i32::MAX), alpha: lookahead.alpha, params: Vec::new() }
    }

    /// Before a step: they start as the net does.
    pub(super) fn begin(&mut self, params: &[Tensor<B, 3>]) {
        if self.params.is_empty() {
            self.params = params.to_vec();
        }
    }

    /// After step `number`, counted from 1.
    pub(super) fn follow(&mut self, params: &mut Vec<Tensor<B, 3>>, number: i32) {
        if number % self.every == 0 {
            self.meet(params);
        }
    }

    /// Slow weights go towards the fast ones, which then start again from there.
    pub(super) fn meet(&mut self, params: &mut Vec<Tensor<B, 3>>) {
        let pairs = std::mem::take(&mut self.params).into_iter().zip(std::mem::take(params));
        self.params = pairs.map(|(slow, fast)| slow.clone() + (fast - slow) * self.alpha).collect();
        params.clone_from(&self.params);
    }
}

/// Where SAM takes the gradient (Foret 2021; `adaptive`: Kwon 2021), of the weights and their gradients.
pub(in crate::train) fn perturbed<B: Backend>(
    params: &[Tensor<B, 3>],
    gradients: Vec<Option<Tensor<B, 3>>>,
    sam: &Sam,
) -> Vec<Tensor<B, 3>> {
    let sized = |weight: &Tensor<B, 3>, gradient: Tensor<B, 3>| {
        if sam.adaptive { weight.clone() * gradient } else { gradient }
    };
    // |w|·g has the length of w·g.
    let steps: Vec<Option<Tensor<B, 3>>> =
        params.iter().zip(gradients).map(|(weight, gradient)| gradient.map(|g| sized(weight, g))).collect();
    let Some(norm) = global_norm(steps.iter().flatten().cloned()) else {
        return params.to_vec();
    };
    let scale = (norm + 1e-12).recip() * sam.rho;
    let moved = params.iter().zip(steps).map(|(weight, step)| match step {
        Some(step) => weight.clone() + sized(weight, step * scale.clone()),
        None => weight.clone(),
    });
    moved.collect()
}
