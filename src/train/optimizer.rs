//! How weights follow gradients, each replica on its own: parameters `[replica, in, out]`.

use burn::tensor::{Tensor, backend::Backend};

use super::kernels::{AdamStep, Kernels, SgdStep};
use crate::spec::Optimizer;

/// Added to Adam's denominator, as in PyTorch.
const EPSILON: f64 = 1e-8;

/// An optimizer with its state.
pub(super) struct Stepper<B: Backend> {
    kind: Optimizer,
    first: Vec<Option<Tensor<B, 3>>>,
    second: Vec<Option<Tensor<B, 3>>>,
    steps: i32,
}

impl<B: Kernels> Stepper<B> {
    /// For `count` parameters.
    pub(super) fn new(kind: &Optimizer, count: usize) -> Self {
        Self { kind: kind.clone(), first: vec![None; count], second: vec![None; count], steps: 0 }
    }

    /// One step. `factor` is the schedule's. A parameter without a gradient stays as it is.
    pub(super) fn step(&mut self, params: &mut Vec<Tensor<B, 3>>, gradients: Vec<Option<Tensor<B, 3>>>, factor: f64) {
        self.steps += 1;
        let clip = match &self.kind {
            Optimizer::Adamw(adam) => adam.clip_norm,
            Optimizer::Sgd(sgd) => sgd.clip_norm,
        };
        let scale = clip.and_then(|most| clip_scale(&gradients, most));
        // Moved out, so that the step can happen in place.
        let weights = std::mem::take(params).into_iter().zip(gradients).enumerate();
        params.extend(weights.map(|(index, (weight, gradient))| match (gradient, &scale) {
            (None, _) => weight,
            (Some(gradient), None) => self.update(index, weight, gradient, factor),
            (Some(gradient), Some(scale)) => self.update(index, weight, gradient * scale.clone(), factor),
        }));
    }

    fn update(&mut self, index: usize, weight: Tensor<B, 3>, gradient: Tensor<B, 3>, factor: f64) -> Tensor<B, 3> {
        match &self.kind {
            Optimizer::Adamw(adam) => {
                let rate = adam.lr * factor;
                let step = AdamStep {
                    beta1: adam.beta1,
                    beta2: adam.beta2,
                    size: rate / (1.0 - adam.beta1.powi(self.steps)),
                    root: (1.0 - adam.beta2.powi(self.steps)).sqrt(),
                    shrink: 1.0 - rate * adam.weight_decay,
                    epsilon: EPSILON,
                };
                let moments = self.first[index].take().zip(self.second[index].take());
                let (weight, (first, second)) = B::adam(weight, gradient, moments, &step);
                self.first[index] = Some(first);
                self.second[index] = Some(second);
                weight
            }
            Optimizer::Sgd(sgd) => {
                let step = SgdStep { rate: sgd.lr * factor, momentum: sgd.momentum, decay: sgd.weight_decay };
                let (weight, velocity) = B::sgd(weight, gradient, self.first[index].take(), &step);
                self.first[index] = Some(velocity);
                weight
            }
        }
    }
}

/// What scales each replica's gradients down to a global L2 norm of at most `most`, `[replica, 1, 1]`.
fn clip_scale<B: Backend>(gradients: &[Option<Tensor<B, 3>>], most: f64) -> Option<Tensor<B, 3>> {
    let squares = gradients.iter().flatten().map(|gradient| gradient.clone().square().sum_dim(1).sum_dim(2));
    let norm = squares.reduce(|a, b| a + b)?.sqrt();
    Some(((norm + 1e-6).recip() * most).clamp_max(1.0))
}
