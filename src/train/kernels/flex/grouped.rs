//! Products of groups of units by matrices of their own as one step, where the units lie.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tracked, ordered, tensor, values};
use crate::train::kernels::buffers;
use crate::train::kernels::loops::products::{Matrix, accumulate, product_strided};

/// Numbers in a block of rows, which stays in a core's second-level cache for all groups.
const BLOCK: usize = 1 << 16;

/// [`crate::train::kernels::Kernels::grouped_product`].
pub(super) fn grouped_product(x: Tracked, weight: Tracked, groups: usize) -> Tracked {
    let [replicas, rows, units] = x.dims();
    let [_, _, outputs] = weight.dims();
    let shape = Shape { replicas, rows, groups, inputs: units / groups, outputs };
    recorded([x, weight], |[x, weight], _| {
        let state = Grouped { x, weight, shape };
        (state.forward(), state)
    })
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    replicas: usize,
    rows: usize,
    groups: usize,
    /// Of a group.
    inputs: usize,
    /// Of a group.
    outputs: usize,
}

impl Shape {
    /// Each replica's blocks of rows: the replica, the first row of all, and how many.
    fn blocks(self) -> impl Iterator<Item = (usize, usize, usize)> {
        let Self { replicas, rows, groups, inputs, outputs } = self;
        let most = (BLOCK / (groups * (inputs + outputs)).max(1)).max(16);
        (0..replicas).flat_map(move |replica| {
            (0..rows).step_by(most).map(move |row| (replica, replica * rows + row, most.min(rows - row)))
        })
    }

    /// A group's columns of a block of rows with `each` numbers a group.
    fn columns(self, numbers: &[f32], (row, count): (usize, usize), group: usize, each: usize) -> Matrix<'_> {
        let stride = self.groups * each;
        Matrix::strided(&numbers[row * stride + group * each..(row + count) * stride], count, each, stride)
    }

    fn columns_mut(self, numbers: &mut [f32], row: usize, group: usize, each: usize) -> (&mut [f32], usize) {
        let stride = self.groups * each;
        (&mut numbers[row * stride + group * each..], stride)
    }
}

#[derive(Clone, Debug)]
struct Grouped {
    x: FlexTensor,
    weight: FlexTensor,
    shape: Shape,
}

impl Grouped {
    fn weight(&self, replica: usize, group: usize) -> Matrix<'_> {
        let Shape { groups, inputs, outputs, .. } = self.shape;
        let each = inputs * outputs;
        Matrix::new(&values(&self.weight)[(replica * groups + group) * each..][..each], inputs, outputs)
    }

    fn forward(&self) -> FlexTensor {
        let Shape { replicas, rows, groups, inputs, outputs } = self.shape;
        let mut y = buffers::take(replicas * rows * groups * outputs);
        for (replica, row, count) in self.shape.blocks() {
            for group in 0..groups {
                let x = self.shape.columns(values(&self.x), (row, count), group, inputs);
                let (y, stride) = self.shape.columns_mut(&mut y, row, group, outputs);
                product_strided(x, self.weight(replica, group), y, stride);
            }
        }
        tensor(y, [replicas, rows, groups * outputs])
    }
}

impl Step<2> for Grouped {
    fn pull(self, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let Shape { replicas, rows, groups, inputs, outputs } = self.shape;
        let gradient = ordered(gradient);
        let mut by_x = wanted[0].then(|| buffers::take(replicas * rows * groups * inputs));
        let mut by_weight = wanted[1].then(|| buffers::take(replicas * groups * inputs * outputs));
        if let Some(by_weight) = &mut by_weight {
            by_weight.fill(0.0);
        }
        for (replica, row, count) in self.shape.blocks() {
            for group in 0..groups {
                let pull = self.shape.columns(values(&gradient), (row, count), group, outputs);
                if let Some(by_weight) = &mut by_weight {
                    let x = self.shape.columns(values(&self.x), (row, count), group, inputs);
                    let each = inputs * outputs;
                    accumulate(x.transposed(), pull, &mut by_weight[(replica * groups + group) * each..][..each]);
                }
                if let Some(by_x) = &mut by_x {
                    let (by_x, stride) = self.shape.columns_mut(by_x, row, group, inputs);
                    product_strided(pull, self.weight(replica, group).transposed(), by_x, stride);
                }
            }
        }
        buffers::give_tensor(gradient);
        self.release();
        [
            by_x.map(|numbers| tensor(numbers, [replicas, rows, groups * inputs])),
            by_weight.map(|numbers| tensor(numbers, [replicas, groups * inputs, outputs])),
        ]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
    }
}
