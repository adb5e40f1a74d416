//! Shares of intervals and waves of features, each as one step.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tracked, ordered, tensor, values};
use crate::spec::net::INTERVALS;
use crate::train::kernels::buffers;
use crate::train::kernels::loops::embedding;

/// Rows whose gradients by frequency are added up in f32 before they are in f64.
const ROWS: usize = 64;

/// [`crate::train::kernels::Operation::Intervals`].
pub(super) fn intervals(x: Tracked) -> Tracked {
    let shape @ [replicas, rows, features] = x.dims();
    recorded([x], |[x], _| {
        let mut y = buffers::take(values(&x).len() * INTERVALS);
        embedding::intervals(values(&x), &mut y);
        (tensor(y, [replicas, rows, features * INTERVALS]), Intervals { x, shape })
    })
}

#[derive(Clone, Debug)]
struct Intervals {
    x: FlexTensor,
    shape: [usize; 3],
}

impl Step<1> for Intervals {
    fn pull(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let gradient = ordered(gradient);
        let mut by_x = buffers::take(values(&self.x).len());
        embedding::intervals_backward(values(&self.x), values(&gradient), &mut by_x);
        buffers::give_tensor(gradient);
        let by_x = tensor(by_x, self.shape);
        self.release();
        [Some(by_x)]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
    }
}

/// [`crate::train::kernels::Operation::Waves`].
pub(super) fn waves(x: Tracked, frequencies: Tracked) -> Tracked {
    let [replicas, rows, features] = x.dims();
    let count = frequencies.dims()[2];
    recorded([x, frequencies], |[x, frequencies], _| {
        let mut y = buffers::take(values(&x).len() * 2 * count);
        for (replica, y) in y.chunks_exact_mut((rows * features * 2 * count).max(1)).enumerate() {
            let (x, own) =
                (&values(&x)[replica * rows * features..], &values(&frequencies)[replica * features * count..]);
            embedding::waves(&x[..rows * features], &own[..features * count], y, count);
        }
        let y = tensor(y, [replicas, rows, features * 2 * count]);
        (y.clone(), Waves { x, frequencies, y, shape: [replicas, rows, features, count] })
    })
}

#[derive(Clone, Debug)]
struct Waves {
    x: FlexTensor,
    frequencies: FlexTensor,
    y: FlexTensor,
    /// Replicas, rows, features, frequencies of each.
    shape: [usize; 4],
}

impl Step<2> for Waves {
    fn pull(self, gradient: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [replicas, rows, features, count] = self.shape;
        let gradient = ordered(gradient);
        let mut by_x = buffers::take(replicas * rows * features);
        let mut by_frequencies = Vec::with_capacity(replicas * features * count);
        let mut part = vec![0.0; features * count];
        for replica in 0..replicas {
            let own = &values(&self.frequencies)[replica * features * count..][..features * count];
            let mut total = vec![0.0_f64; features * count];
            for row in (0..rows).step_by(ROWS) {
                let (first, most) = (replica * rows + row, ROWS.min(rows - row));
                let one = first * features..(first + most) * features;
                let all = one.start * 2 * count..one.end * 2 * count;
                part.fill(0.0);
                let given = (&values(&self.y)[all.clone()], &values(&gradient)[all]);
                embedding::waves_backward(
                    &values(&self.x)[one.clone()],
                    own,
                    given.0,
                    given.1,
                    &mut by_x[one],
                    &mut part,
                );
                for (total, part) in total.iter_mut().zip(&part) {
                    *total += f64::from(*part);
                }
            }
            by_frequencies.extend(total.iter().map(|sum| *sum as f32));
        }
        buffers::give_tensor(gradient);
        self.release();
        [Some(tensor(by_x, [replicas, rows, features])), Some(tensor(by_frequencies, [replicas, features, count]))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
        buffers::give_tensor(self.y);
    }
}
