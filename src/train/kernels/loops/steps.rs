//! An optimizer's step, in place.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::Level;
use super::dispatched;
use crate::train::kernels::{AdamStep, SgdStep};

dispatched! {
    /// AdamW on weights, their gradient and both moments, all of one length.
    pub(in crate::train::kernels) adam = adam_body(weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: &AdamStep)
}

#[inline(always)]
fn adam_body<L: Level>(weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: &AdamStep) {
    let (beta1, beta2) = (step.beta1 as f32, step.beta2 as f32);
    let (fresh1, fresh2) = ((1.0 - step.beta1) as f32, (1.0 - step.beta2) as f32);
    let (size, root, shrink) = (step.size as f32, step.root.recip() as f32, step.shrink as f32);
    let epsilon = step.epsilon as f32;
    for (((weight, gradient), first), second) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
        *first = L::fma(*first, beta1, gradient * fresh1);
        *second = L::fma(*second, beta2, gradient * gradient * fresh2);
        *weight = *weight * shrink - size * *first / (second.sqrt() * root + epsilon);
    }
}

dispatched! {
    /// SGD with momentum on weights, their gradient and the velocity, all of one length.
    pub(in crate::train::kernels) sgd = sgd_body(weights: &mut [f32], gradient: &[f32], velocity: &mut [f32], step: &SgdStep)
}

#[inline(always)]
fn sgd_body<L: Level>(weights: &mut [f32], gradient: &[f32], velocity: &mut [f32], step: &SgdStep) {
    let (rate, momentum, decay) = (step.rate as f32, step.momentum as f32, step.decay as f32);
    for ((weight, gradient), velocity) in weights.iter_mut().zip(gradient).zip(velocity) {
        *velocity = *velocity * momentum + (gradient + *weight * decay);
        *weight -= *velocity * rate;
    }
}
