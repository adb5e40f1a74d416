//! Optimizers around a momentum: SGD, RMSprop, Lion.

use burn::tensor::{Tensor, backend::Backend};

use super::{Memory, Step, blended, with_decay};
use crate::spec::{Lion, RmsProp, Sgd};
use crate::train::kernels::{Kernels, SgdStep};

/// SGD, with Nesterov's momentum if asked for (Sutskever 2013's form, as in PyTorch).
pub(super) fn sgd<B: Kernels>(
    fields: &Sgd,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    let (rate, momentum) = (fields.lr * step.factor, fields.momentum);
    let decay = step.decay(fields.weight_decay);
    if !fields.nesterov {
        let step = SgdStep { rate, momentum, decay };
        let (weight, velocity) = B::sgd(weight, gradient, memory.velocity.take(), &step);
        memory.velocity = Some(velocity);
        return weight;
    }
    let gradient = with_decay(gradient, &weight, decay);
    let velocity = moved(memory.velocity.take(), gradient.clone(), momentum);
    memory.velocity = Some(velocity.clone());
    weight - (gradient + velocity * momentum) * rate
}

/// RMSprop (Tieleman & Hinton 2012), as in PyTorch.
pub(super) fn rmsprop<B: Backend>(
    fields: &RmsProp,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    let gradient = with_decay(gradient, &weight, step.decay(fields.weight_decay));
    let square = blended(memory.square.take(), gradient.clone().square(), fields.beta2);
    memory.square = Some(square.clone());
    let spread = if fields.centered {
        let mean = blended(memory.mean.take(), gradient.clone(), fields.beta2);
        memory.mean = Some(mean.clone());
        // Roundings may bring it below 0 where the gradient hardly changes.
        (square - mean.square()).clamp_min(0.0)
    } else {
        square
    };
    let along = gradient / (spread.sqrt() + fields.epsilon);
    let rate = fields.lr * step.factor;
    if fields.momentum == 0.0 {
        return weight - along * rate;
    }
    let velocity = moved(memory.velocity.take(), along, fields.momentum);
    memory.velocity = Some(velocity.clone());
    weight - velocity * rate
}

/// Lion (Chen 2023).
pub(super) fn lion<B: Backend>(
    fields: &Lion,
    weight: Tensor<B, 3>,
    gradient: Tensor<B, 3>,
    memory: &mut Memory<B>,
    step: &Step<'_>,
) -> Tensor<B, 3> {
    let along = blended(memory.mean.clone(), gradient.clone(), fields.beta1).sign();
    memory.mean = Some(blended(memory.mean.take(), gradient, fields.beta2));
    let rate = fields.lr * step.factor;
    weight * (1.0 - rate * step.decay(fields.weight_decay)) - along * rate
}

/// momentum · velocity + push.
fn moved<B: Backend>(velocity: Option<Tensor<B, 3>>, push: Tensor<B, 3>, momentum: f64) -> Tensor<B, 3> {
    match velocity {
        Some(velocity) => velocity * momentum + push,
        None => push,
    }
}
