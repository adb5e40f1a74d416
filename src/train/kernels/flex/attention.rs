//! Attention as one step, some rows and a head at a time. The shares are computed again for the gradient: kept, they would be
//! tokens times as much as what comes in.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tail, Tracked, ordered, tensor, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::attention::{Shape, backward, forward};
use crate::train::kernels::{Dropout, buffers};

/// [`crate::train::kernels::Operation::Attention`].
pub(super) fn attention(x: Tracked, heads: usize, count: usize, dropout: Option<Dropout>) -> Tracked {
    let [replicas, rows, units] = x.dims();
    let tail = Tail { replicas, rows, units: units / 3, curve: Pointwise::Identity, dropout };
    recorded([x], |[x], _| {
        let state = Attention { x, heads, count, tail };
        (state.forward(), state)
    })
}

#[derive(Clone, Debug)]
struct Attention {
    x: FlexTensor,
    heads: usize,
    count: usize,
    /// Of what comes out.
    tail: Tail,
}

impl Attention {
    fn shape(&self) -> Shape {
        let Self { heads, count, tail, .. } = self;
        Shape { heads: *heads, tokens: *count, width: tail.units / count / heads }
    }

    fn forward(&self) -> FlexTensor {
        let Tail { replicas, rows, units, .. } = self.tail;
        let each = (rows * units).max(1);
        let mut y = buffers::take(replicas * rows * units);
        let of_each = values(&self.x).chunks_exact(3 * each).zip(y.chunks_exact_mut(each));
        for (replica, (x, y)) in of_each.enumerate() {
            forward(x, y, self.shape(), self.tail.mask(replica));
        }
        tensor(y, [replicas, rows, units])
    }
}

impl Step<1> for Attention {
    fn pull(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let Tail { replicas, rows, units, .. } = self.tail;
        let each = (rows * units).max(1);
        let gradient = ordered(gradient);
        let mut by_x = buffers::take(3 * replicas * rows * units);
        let xs = values(&self.x).chunks_exact(3 * each).zip(values(&gradient).chunks_exact(each));
        for (replica, ((x, pull), by_x)) in xs.zip(by_x.chunks_exact_mut(3 * each)).enumerate() {
            backward(x, pull, by_x, self.shape(), self.tail.mask(replica));
        }
        self.release();
        buffers::give_tensor(gradient);
        [Some(tensor(by_x, [replicas, rows, 3 * units]))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
    }
}
