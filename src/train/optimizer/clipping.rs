//! Gradients cut and scaled down, each replica's by its own.

use burn::tensor::{Tensor, backend::Backend};

/// Gradients within ± `value`, then scaled down to a global L2 norm of at most `norm`, as in PyTorch.
pub(super) fn clipped<B: Backend>(
    gradients: Vec<Option<Tensor<B, 3>>>,
    (norm, value): (Option<f64>, Option<f64>),
) -> Vec<Option<Tensor<B, 3>>> {
    let gradients = match value {
        Some(most) => mapped(gradients, |gradient| gradient.clamp(-most, most)),
        None => gradients,
    };
    match norm.zip(global_norm(gradients.iter().flatten().cloned())) {
        Some((most, norm)) => {
            let scale = ((norm + 1e-6).recip() * most).clamp_max(1.0);
            mapped(gradients, |gradient| gradient * scale.clone())
        }
        None => gradients,
    }
}

/// The L2 norm of each replica's tensors taken together, `[replica, 1, 1]`; None where there are none.
pub(super) fn global_norm<B: Backend>(tensors: impl Iterator<Item = Tensor<B, 3>>) -> Option<Tensor<B, 3>> {
    let squares = tensors.map(|tensor| tensor.square().sum_dim(1).sum_dim(2));
    squares.reduce(|a, b| a + b).map(Tensor::sqrt)
}

fn mapped<B: Backend>(
    gradients: Vec<Option<Tensor<B, 3>>>,
    each: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>,
) -> Vec<Option<Tensor<B, 3>>> {
    gradients.into_iter().map(|gradient| gradient.map(&each)).collect()
}
