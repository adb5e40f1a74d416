//! How weights follow gradients.

use crate::spec::declare::{record, union};
use crate::spec::piece::float;

union! {
    /// How weights follow gradients.
    Optimizer {
        /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
        Adamw(AdamW) = "adamw", ();
        /// Stochastic gradient descent with momentum.
        Sgd(Sgd) = "sgd", ();
    }
}

record! {
    /// Adam with decoupled weight decay; ε = 1e-8.
    AdamW {
        /// Learning rate.
        lr: f64 = 1e-3, float(1e-7, 1.0).log();
        /// Weight decay, times the learning rate at each step.
        weight_decay: f64 = 1e-4, float(0.0, 1.0);
        /// Decay of the mean gradient.
        beta1: f64 = 0.9, float(0.0, 0.999);
        /// Decay of the mean squared gradient.
        beta2: f64 = 0.999, float(0.5, 0.99999);
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
    }
}

record! {
    /// v ← momentum·v + g + weight_decay·w; w ← w - lr·v.
    Sgd {
        /// Learning rate.
        lr: f64 = 1e-2, float(1e-7, 10.0).log();
        /// Momentum.
        momentum: f64 = 0.9, float(0.0, 0.999);
        /// Weight decay, added to the gradient.
        weight_decay: f64 = 0.0, float(0.0, 1.0);
        /// Gradients are scaled down to this global L2 norm; `null`: never.
        clip_norm: Option<f64> = None, float(1e-4, 1000.0).log();
    }
}
