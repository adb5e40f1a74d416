//! How weights follow gradients, each replica on its own: parameters `[replica, in, out]`.

use burn::tensor::{Tensor, backend::Backend};

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

impl<B: Backend> Stepper<B> {
    /// For `count` parameters.
    pub(super) fn new(kind: &Optimizer, count: usize) -> Self {
        Self { kind: kind.clone(), first: vec![None; count], second: vec![None; count], steps: 0 }
    }

    /// One step. `factor` is the schedule's. A parameter without a gradient stays as it is.
    pub(super) fn step(&mut self, params: &mut [Tensor<B, 3>], gradients: Vec<Option<Tensor<B, 3>>>, factor: f64) {
        self.steps += 1;
        let clip = match &self.kind {
            Optimizer::Adamw(adam) => adam.clip_norm,
            Optimizer::Sgd(sgd) => sgd.clip_norm,
        };
        let scale = clip.and_then(|most| clip_scale(&gradients, most));
        for (index, gradient) in gradients.into_iter().enumerate() {
            let Some(mut gradient) = gradient else { continue };
            if let Some(scale) = &scale {
                gradient = gradient * scale.clone();
            }
            params[index] = self.update(index, params[index].clone(), gradient, factor);
        }
    }

    fn update(&mut self, index: usize, weight: Tensor<B, 3>, gradient: Tensor<B, 3>, factor: f64) -> Tensor<B, 3> {
        match &self.kind {
            Optimizer::Adamw(adam) => {
                let first = blend(self.first[index].take(), gradient.clone(), adam.beta1);
                let second = blend(self.second[index].take(), gradient.square(), adam.beta2);
                let lr = adam.lr * factor;
                let step = lr / (1.0 - adam.beta1.powi(self.steps));
                let root = (1.0 - adam.beta2.powi(self.steps)).sqrt();
                let change = first.clone() / (second.clone().sqrt() / root + EPSILON) * step;
                self.first[index] = Some(first);
                self.second[index] = Some(second);
                weight * (1.0 - lr * adam.weight_decay) - change
            }
            Optimizer::Sgd(sgd) => {
                let gradient = gradient + weight.clone() * sgd.weight_decay;
                let velocity = match self.first[index].take() {
                    Some(velocity) => velocity * sgd.momentum + gradient,
                    None => gradient,
                };
                self.first[index] = Some(velocity.clone());
                weight - velocity * (sgd.lr * factor)
            }
        }
    }
}

/// decay · old + (1 - decay) · new.
fn blend<B: Backend>(old: Option<Tensor<B, 3>>, new: Tensor<B, 3>, decay: f64) -> Tensor<B, 3> {
    match old {
        Some(old) => old * decay + new * (1.0 - decay),
        None => new * (1.0 - decay),
    }
}

/// What scales each replica's gradients down to a global L2 norm of at most `most`, `[replica, 1, 1]`.
fn clip_scale<B: Backend>(gradients: &[Option<Tensor<B, 3>>], most: f64) -> Option<Tensor<B, 3>> {
    let squares = gradients.iter().flatten().map(|gradient| gradient.clone().square().sum_dim(1).sum_dim(2));
    let norm = squares.reduce(|a, b| a + b)?.sqrt();
    Some(((norm + 1e-6).recip() * most).clamp_max(1.0))
}
