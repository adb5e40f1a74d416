//! Means over rows of which some are missing, by unit: `[replica, row, unit]` to `[replica, 1, unit]`.

use burn::tensor::{Tensor, backend::Backend};

/// Added to a variance before it divides: outputs that spread less than its root have collapsed.
const EPSILON: f64 = 1e-8;

/// The mean over rows; `mask` is 0 where a row is left out, and 1 elsewhere. 0 where every row is left out.
pub(super) fn mean<B: Backend>(x: Tensor<B, 3>, mask: Option<&Tensor<B, 3>>) -> Tensor<B, 3> {
    match mask {
        Some(mask) => (x * mask.clone()).sum_dim(1) / mask.clone().sum_dim(1).clamp_min(1.0),
        None => x.mean_dim(1),
    }
}

/// x less its mean; 0 where a row is left out.
pub(super) fn centred<B: Backend>(x: Tensor<B, 3>, mask: Option<&Tensor<B, 3>>) -> Tensor<B, 3> {
    let centred = x.clone() - mean(x, mask);
    match mask {
        Some(mask) => centred * mask.clone(),
        None => centred,
    }
}

/// (x - mean) / standard deviation; 0 where a row is left out.
pub(super) fn standardized<B: Backend>(x: Tensor<B, 3>, mask: Option<&Tensor<B, 3>>) -> Tensor<B, 3> {
    let centred = centred(x, mask);
    let variance = mean(centred.clone().square(), mask);
    centred * (variance + EPSILON).sqrt().recip()
}
