//! Errors by target, `[replica, 1, target]`, beside those that a backend may fuse.

use burn::backend::Autodiff;

use super::Tracked;
use super::rows::mean;
use crate::train::kernels::{Kernels, Truth};

/// The mean over rows of e² / 2 up to |e| = delta, of delta · (|e| - delta / 2) beyond.
pub(super) fn huber<B: Kernels>(outputs: &Tracked<B>, truth: &Truth<Autodiff<B>>, delta: f64) -> Tracked<B> {
    let size = (outputs.clone() - truth.targets.clone()).abs();
    // c = min(|e|, delta), as a constant: c |e| - c² / 2 has both the value and the slope c · sign(e) of Huber's error.
    let slope = size.clone().clamp_max(delta).detach();
    mean(slope.clone() * size - slope.square() * 0.5, truth.mask.as_ref())
}
