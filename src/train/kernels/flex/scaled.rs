//! Scale, shift, activation and dropout as one step.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tail, Tracked, owned, tensor, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::tail::{Units, backward, forward, learn, rescale, sums_with};
use crate::train::kernels::{Dropout, buffers};

/// [`crate::train::kernels::Operation::Scaled`].
pub(super) fn scaled(
    x: Tracked,
    scale: Tracked,
    shift: Option<Tracked>,
    (curve, dropout): (Pointwise, Option<Dropout>),
) -> Tracked {
    let [replicas, rows, units] = x.dims();
    let tail = Tail { replicas, rows, units, curve, dropout };
    match shift {
        None => recorded([x, scale], |[x, scale], learns| run(x, scale, None, tail, learns)),
        Some(shift) => {
            recorded([x, scale, shift], |[x, scale, shift], learns| run(x, scale, Some(&shift), tail, learns))
        }
    }
}

fn run(x: FlexTensor, scale: FlexTensor, shift: Option<&FlexTensor>, tail: Tail, learns: bool) -> (FlexTensor, Scaled) {
    let Tail { replicas, rows, units, curve, .. } = tail;
    let mut y = buffers::take(replicas * rows * units);
    let drops = tail.dropout.is_some();
    let mut slopes = if drops || learns && curve != Pointwise::Identity { buffers::take(y.len()) } else { Vec::new() };
    let zeros = vec![0.0; units];
    for replica in 0..replicas {
        let (all, own) = (tail.rows_of(replica), tail.units_of(replica));
        let offset = shift.map_or(&zeros[..], |shift| &values(shift)[own.clone()]);
        let does = Units { centre: &zeros, factor: &values(&scale)[own], offset };
        let x = &values(&x)[all.clone()];
        if slopes.is_empty() {
            forward(x, &mut y[all], does, curve);
        } else {
            learn(x, (&mut y[all.clone()], &mut slopes[all]), does, curve, tail.mask(replica));
        }
    }
    (tensor(y, [replicas, rows, units]), Scaled { x, scale, slopes, tail })
}

#[derive(Clone, Debug)]
struct Scaled {
    x: FlexTensor,
    scale: FlexTensor,
    /// ∂y/∂(scale ⊙ x + shift), as `learn` leaves it; empty where it is 1.
    slopes: Vec<f32>,
    tail: Tail,
}

impl Scaled {
    /// By x, scale and shift.
    fn gradients(self, gradient: FlexTensor) -> [FlexTensor; 3] {
        let Tail { replicas, rows, units, .. } = self.tail;
        let mut gradient = owned(gradient);
        let (mut by_scale, mut by_shift) = (Vec::new(), Vec::new());
        let zeros = vec![0.0; units];
        for replica in 0..replicas {
            let all = self.tail.rows_of(replica);
            let x = &values(&self.x)[all.clone()];
            let gradient = &mut gradient[all.clone()];
            let (sum, sum_x) = if self.slopes.is_empty() {
                sums_with(x, gradient, &zeros)
            } else {
                backward(x, gradient, &self.slopes[all], &zeros)
            };
            by_scale.extend(sum_x.iter().map(|sum| *sum as f32));
            by_shift.extend(sum.iter().map(|sum| *sum as f32));
            rescale(gradient, &values(&self.scale)[self.tail.units_of(replica)]);
        }
        self.give_back();
        let by_unit = |values| tensor(values, [replicas, 1, units]);
        [tensor(gradient, [replicas, rows, units]), by_unit(by_scale), by_unit(by_shift)]
    }

    fn give_back(self) {
        buffers::give_tensor(self.x);
        buffers::give(self.slopes);
    }
}

impl Step<2> for Scaled {
    fn pull(self, gradient: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [x, scale, _] = self.gradients(gradient);
        [Some(x), Some(scale)]
    }

    fn release(self) {
        self.give_back();
    }
}

impl Step<3> for Scaled {
    fn pull(self, gradient: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        self.gradients(gradient).map(Some)
    }

    fn release(self) {
        self.give_back();
    }
}
