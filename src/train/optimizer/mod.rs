//! How weights follow gradients, each replica on its own: parameters `[replica, in, out]`.
//!
//! A step: gradients are clipped by value, then by norm, then noise is added; the optimizer moves the weights; lookahead
//! follows. What needs the loss again (SAM) or never touches the weights (averages) is called by the training loop.

mod adam;
mod averaging;
mod clipping;
mod groups;
mod momentum;
mod muon;
mod noise;
mod wrappers;

use burn::tensor::{Tensor, backend::Backend};

pub(super) use averaging::Average;
pub(super) use groups::{Part, parts};
pub(super) use wrappers::perturbed;

use super::kernels::{AdamStep, Kernels};
use super::streams::Replica;
use crate::spec::{MuonAdamW, Optimization, Optimizer};
use noise::Noise;
use wrappers::Slow;

/// An optimizer with its state.
pub(super) struct Stepper<B: Backend> {
    kind: Optimizer,
    parts: Vec<Part>,
    memories: Vec<Memory<B>>,
    noise: Option<Noise>,
    slow: Option<Slow<B>>,
    steps: i32,
}

/// What is kept of one parameter from step to step; each optimizer keeps what it needs. None stands for 0.
#[derive(Clone)]
struct Memory<B: Backend> {
    /// The mean gradient.
    mean: Option<Tensor<B, 3>>,
    /// The mean squared gradient.
    square: Option<Tensor<B, 3>>,
    /// What momentum moves by.
    velocity: Option<Tensor<B, 3>>,
    /// The mean change of the gradient.
    change: Option<Tensor<B, 3>>,
    /// The last gradient.
    last: Option<Tensor<B, 3>>,
}

/// What a step knows of one parameter besides its numbers.
struct Step<'a> {
    /// Counted from 1.
    number: i32,
    /// The schedule's factor times the parameter's own.
    factor: f64,
    part: &'a Part,
}

impl Step<'_> {
    /// The weight decay, unless it leaves this parameter out.
    fn decay(&self, decay: f64) -> f64 {
        if self.part.decays { decay } else { 0.0 }
    }
}

impl<B: Kernels> Stepper<B> {
    /// For the parameters that `parts` tells of.
    pub(super) fn new(optimizer: &Optimization, mut parts: Vec<Part>, replicas: &[Replica]) -> Self {
        let extras = &optimizer.beside;
        if let Some(rates) = &extras.rates {
            parts.iter_mut().for_each(|part| part.take(rates));
        }
        let memory = Memory { mean: None, square: None, velocity: None, change: None, last: None };
        Self {
            kind: optimizer.kind.clone(),
            memories: vec![memory; parts.len()],
            parts,
            noise: extras.gradient_noise.as_ref().map(|noise| Noise::new(noise, replicas)),
            slow: extras.lookahead.as_ref().map(Slow::new),
            steps: 0,
        }
    }

    /// One step. `factor` is the schedule's. A parameter without a gradient stays as it is.
    pub(super) fn step(&mut self, params: &mut Vec<Tensor<B, 3>>, gradients: Vec<Option<Tensor<B, 3>>>, factor: f64) {
        if let Some(slow) = &mut self.slow {
            slow.begin(params);
        }
        self.steps += 1;
        let mut gradients = clipping::clipped(gradients, self.kind.clips());
        if let Some(noise) = &mut self.noise {
            gradients = noise.added(gradients, self.steps - 1);
        }
        // Moved out, so that the step can happen in place.
        let weights = std::mem::take(params).into_iter().zip(gradients).enumerate();
        params.extend(weights.map(|(index, (weight, gradient))| match gradient {
            None => weight,
            Some(gradient) => {
                let part = &self.parts[index];
                let step = Step { number: self.steps, factor: factor * part.rate, part };
                update(&self.kind, weight, gradient, &mut self.memories[index], &step)
            }
        }));
        if let Some(slow) = &mut self.slow {
            slow.follow(params, self.steps);
        }
    }

    /// The end of an epoch, after which the weights may be looked at.
    pub(super) fn end_epoch(&mut self, params: &mut Vec<Tensor<B, 3>>) {
        if let Some(slow) = &mut self.slow {
            slow.meet(params);
        }
    }
}

fn update<B: Kernels>(
    kind: &Optimizer,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    match kind {
        Optimizer::Adamw(fields) => {
            let (rate, betas) = (fields.lr * step.factor, (fields.beta1, fields.beta2));
            let shrink = 1.0 - rate * step.decay(fields.weight_decay);
            adam::adam(weight, gradient, memory, &adam_step(step, rate, betas, fields.epsilon, shrink))
        }
        Optimizer::Adam(fields) => {
            let (rate, betas) = (fields.lr * step.factor, (fields.beta1, fields.beta2));
            let gradient = with_decay(gradient, &weight, step.decay(fields.weight_decay));
            adam::adam(weight, gradient, memory, &adam_step(step, rate, betas, fields.epsilon, 1.0))
        }
        Optimizer::Sgd(fields) => momentum::sgd(fields, weight, gradient, memory, step),
        Optimizer::Rmsprop(fields) => momentum::rmsprop(fields, weight, gradient, memory, step),
        Optimizer::Lion(fields) => momentum::lion(fields, weight, gradient, memory, step),
        Optimizer::Muon(fields) if step.part.hidden_matrix => muon::muon(fields, weight, gradient, memory, step),
        Optimizer::Muon(fields) => {
            let MuonAdamW { lr, weight_decay, beta1, beta2, epsilon } = fields.adamw;
            let rate = lr * step.factor;
            let shrink = 1.0 - rate * step.decay(weight_decay);
            adam::adam(weight, gradient, memory, &adam_step(step, rate, (beta1, beta2), epsilon, shrink))
        }
        Optimizer::Adan(fields) => adam::adan(fields, weight, gradient, memory, step),
        Optimizer::Lamb(fields) => adam::lamb(fields, weight, gradient, memory, step),
    }
}

fn adam_step(step: &Step<'_>, rate: f64, (beta1, beta2): (f64, f64), epsilon: f64, shrink: f64) -> AdamStep {
    let (size, root) = (rate / unstarted(beta1, step), unstarted(beta2, step).sqrt());
    AdamStep { beta1, beta2, size, root, shrink, epsilon }
}

/// 1 - βᵗ: how much of a mean that started at 0 is there by now.
fn unstarted(beta: f64, step: &Step<'_>) -> f64 {
    1.0 - beta.powi(step.number)
}

/// The gradient with the weight's decay in it.
fn with_decay<B: Backend>(gradient: Tensor<B, 3>, weight: &Tensor<B, 3>, decay: f64) -> Tensor<B, 3> {
    if decay == 0.0 { gradient } else { gradient + weight.clone() * decay }
}

/// decay · old + (1 - decay) · new.
fn blended<B: Backend>(old: Option<Tensor<B, 3>>, new: Tensor<B, 3>, decay: f64) -> Tensor<B, 3> {
    match old {
        Some(old) => old * decay + new * (1.0 - decay),
        None => new * (1.0 - decay),
    }
}
