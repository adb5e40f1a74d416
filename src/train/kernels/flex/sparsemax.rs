//! Sparsemax of a product as one step.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tracked, owned, tensor, values};
use crate::train::kernels::buffers;
use crate::train::kernels::loops::sparsemax::{backward, forward};

/// [`crate::train::kernels::Operation::Sparsemax`].
pub(super) fn sparsemax(x: Tracked, prior: Option<Tracked>) -> Tracked {
    let shape = x.dims();
    match prior {
        None => recorded([x], |[x], _| {
            let mut y = owned(x);
            forward(&mut y, shape[2]);
            let y = tensor(y, shape);
            (y.clone(), Sparsemax { y, factors: None, shape })
        }),
        Some(prior) => recorded([x, prior], |[x, prior], _| {
            let mut y = buffers::take(values(&x).len());
            multiply(values(&x), values(&prior), &mut y);
            forward(&mut y, shape[2]);
            let y = tensor(y, shape);
            (y.clone(), Sparsemax { y, factors: Some([x, prior]), shape })
        }),
    }
}

fn multiply(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        *out = a * b;
    }
}

#[derive(Clone, Debug)]
struct Sparsemax {
    y: FlexTensor,
    factors: Option<[FlexTensor; 2]>,
    shape: [usize; 3],
}

impl Sparsemax {
    /// ∂L/∂(x ⊙ prior).
    fn by_product(&self, gradient: FlexTensor) -> Vec<f32> {
        let mut gradient = owned(gradient);
        backward(values(&self.y), &mut gradient, self.shape[2]);
        gradient
    }

    fn give_back(self) {
        for tensor in self.factors.into_iter().flatten().chain([self.y]) {
            buffers::give_tensor(tensor);
        }
    }
}

impl Step<1> for Sparsemax {
    fn pull(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let gradient = tensor(self.by_product(gradient), self.shape);
        self.give_back();
        [Some(gradient)]
    }

    fn release(self) {
        self.give_back();
    }
}

impl Step<2> for Sparsemax {
    fn pull(self, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let mut gradient = self.by_product(gradient);
        let found = self.factors.as_ref().map(|[x, prior]| {
            let by_prior = wanted[1].then(|| {
                let mut out = buffers::take(gradient.len());
                multiply(&gradient, values(x), &mut out);
                tensor(out, self.shape)
            });
            for (gradient, prior) in gradient.iter_mut().zip(values(prior)) {
                *gradient *= prior;
            }
            by_prior
        });
        let by_x = tensor(gradient, self.shape);
        self.give_back();
        [Some(by_x), found.flatten()]
    }

    fn release(self) {
        self.give_back();
    }
}
