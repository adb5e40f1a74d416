//! Attention as one step, a row and a head at a time. The shares are computed again for the gradient: kept, they would be
//! tokens times as much as what comes in.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tail, Tracked, ordered, tensor, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::attention::{Head, Place, backward, forward};
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
    fn head(&self) -> Head {
        Head::new(self.count, self.tail.units / self.count / self.heads)
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize, Place)> {
        let Tail { replicas, rows, .. } = self.tail;
        let (heads, square) = (self.heads, self.count * self.count);
        (0..replicas).flat_map(move |replica| {
            (0..rows).flat_map(move |row| {
                (0..heads).map(move |head| {
                    let start = (row * heads + head) * square;
                    (replica, replica * rows + row, Place { heads, head, start })
                })
            })
        })
    }

    fn forward(&self) -> FlexTensor {
        let Tail { replicas, rows, units, .. } = self.tail;
        let mut y = buffers::take(replicas * rows * units);
        let (x, mut head) = (values(&self.x), self.head());
        for (replica, row, place) in self.places() {
            let y = &mut y[row * units..][..units];
            forward(&mut head, &x[3 * row * units..][..3 * units], y, place, self.tail.mask(replica));
        }
        tensor(y, [replicas, rows, units])
    }
}

impl Step<1> for Attention {
    fn pull(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let Tail { replicas, rows, units, .. } = self.tail;
        let gradient = ordered(gradient);
        let mut by_x = buffers::take(3 * replicas * rows * units);
        let (x, pull, mut head) = (values(&self.x), values(&gradient), self.head());
        for (replica, row, place) in self.places() {
            let (one, three) = (row * units, 3 * row * units);
            let (x, pull, by_x) = (&x[three..][..3 * units], &pull[one..][..units], &mut by_x[three..][..3 * units]);
            backward(&mut head, x, pull, by_x, place, self.tail.mask(replica));
        }
        self.release();
        buffers::give_tensor(gradient);
        [Some(tensor(by_x, [replicas, rows, 3 * units]))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
    }
}
