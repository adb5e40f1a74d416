//! Crossings, excitations, learned slopes, weights of rows, means of parts, entropies and mean squares, each as one step.

use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tracked, ordered, owned, tensor, values};
use crate::train::kernels::buffers;
use crate::train::kernels::loops::elementwise::{
    Shares, cross, cross_backward, differences, entropy, entropy_backward, excite, excite_backward, mean_of_parts,
    mean_of_parts_backward, prelu, prelu_backward, weigh, weigh_backward,
};
use crate::train::kernels::loops::tail::sums;

/// A replica's share of numbers.
fn of(numbers: &[f32], replica: usize, replicas: usize) -> &[f32] {
    let each = numbers.len() / replicas;
    &numbers[replica * each..][..each]
}

fn of_mut(numbers: &mut [f32], replica: usize, replicas: usize) -> &mut [f32] {
    let each = numbers.len() / replicas;
    &mut numbers[replica * each..][..each]
}

/// [`crate::train::kernels::Operation::Crossed`].
pub(super) fn crossed(start: Tracked, product: Tracked, bias: Tracked, x: Tracked) -> Tracked {
    let shape = x.dims();
    recorded([start, product, bias, x], |[start, product, bias, x], _| {
        let mut y = buffers::take(values(&x).len());
        for replica in 0..shape[0] {
            let own = |tensor| of(values(tensor), replica, shape[0]);
            cross(own(&start), own(&product), own(&bias), own(&x), of_mut(&mut y, replica, shape[0]));
        }
        (tensor(y, shape), Crossed { start, product, bias, shape })
    })
}

#[derive(Clone, Debug)]
struct Crossed {
    start: FlexTensor,
    product: FlexTensor,
    bias: FlexTensor,
    shape: [usize; 3],
}

impl Step<4> for Crossed {
    fn pull(self, gradient: FlexTensor, _: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let Self { start, product, bias, shape: shape @ [replicas, _, units] } = self;
        let pull = ordered(gradient);
        let mut by_start = buffers::take(values(&pull).len());
        let mut by_product = owned(product);
        let mut by_bias = Vec::new();
        for replica in 0..replicas {
            let own = |tensor| of(values(tensor), replica, replicas);
            let (to_start, to_product) =
                (of_mut(&mut by_start, replica, replicas), of_mut(&mut by_product, replica, replicas));
            cross_backward(own(&pull), own(&start), to_product, own(&bias), to_start);
            by_bias.extend(sums(to_product, units).into_iter().map(|sum| sum as f32));
        }
        buffers::give_tensor(start);
        let by_bias = tensor(by_bias, [replicas, 1, units]);
        [Some(tensor(by_start, shape)), Some(tensor(by_product, shape)), Some(by_bias), Some(pull)]
    }

    fn release(self) {
        buffers::give_tensor(self.start);
        buffers::give_tensor(self.product);
    }
}

/// [`crate::train::kernels::Operation::Excited`].
pub(super) fn excited(x: Tracked, logits: Tracked) -> Tracked {
    let (shape, count) = (x.dims(), logits.dims()[2]);
    recorded([x, logits], |[x, logits], _| {
        let mut scales = owned(logits);
        let mut y = buffers::take(values(&x).len());
        excite(values(&x), &mut scales, &mut y, shape[2] / count);
        (tensor(y, shape), Excited { x, scales, shape, count })
    })
}

#[derive(Clone, Debug)]
struct Excited {
    x: FlexTensor,
    scales: Vec<f32>,
    shape: [usize; 3],
    count: usize,
}

impl Step<2> for Excited {
    fn pull(self, gradient: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let Self { x, mut scales, shape: shape @ [replicas, rows, units], count } = self;
        let mut gradient = owned(gradient);
        excite_backward(values(&x), &mut scales, &mut gradient, units / count);
        buffers::give_tensor(x);
        [Some(tensor(gradient, shape)), Some(tensor(scales, [replicas, rows, count]))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
        buffers::give(self.scales);
    }
}

/// [`crate::train::kernels::Operation::Prelu`].
pub(super) fn bent(x: Tracked, slope: Tracked) -> Tracked {
    let shape = x.dims();
    recorded([x, slope], |[x, slope], _| {
        let mut y = buffers::take(values(&x).len());
        for replica in 0..shape[0] {
            let own = |tensor| of(values(tensor), replica, shape[0]);
            prelu(own(&x), own(&slope), of_mut(&mut y, replica, shape[0]));
        }
        (tensor(y, shape), Bent { x, slope, shape })
    })
}

#[derive(Clone, Debug)]
struct Bent {
    x: FlexTensor,
    slope: FlexTensor,
    shape: [usize; 3],
}

impl Step<2> for Bent {
    fn pull(self, gradient: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let Self { x, slope, shape: shape @ [replicas, _, units] } = self;
        let mut gradient = owned(gradient);
        let mut by_slope = Vec::new();
        for replica in 0..replicas {
            let own = |tensor| of(values(tensor), replica, replicas);
            let sums = prelu_backward(own(&x), own(&slope), of_mut(&mut gradient, replica, replicas));
            by_slope.extend(sums.into_iter().map(|sum| sum as f32));
        }
        buffers::give_tensor(x);
        [Some(tensor(gradient, shape)), Some(tensor(by_slope, [replicas, 1, units]))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
    }
}

/// [`crate::train::kernels::Operation::Weighted`].
pub(super) fn weighted(x: Tracked, weights: Tracked, place: usize) -> Tracked {
    let (shape, count) = (x.dims(), weights.dims()[2]);
    recorded([x, weights], |[x, weights], _| {
        let mut y = buffers::take(values(&x).len());
        weigh(values(&x), Shares { weights: values(&weights), count, place }, &mut y);
        (tensor(y, shape), Weighted { x, weights, shape, count, place })
    })
}

#[derive(Clone, Debug)]
struct Weighted {
    x: FlexTensor,
    weights: FlexTensor,
    shape: [usize; 3],
    count: usize,
    place: usize,
}

impl Step<2> for Weighted {
    fn pull(self, gradient: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let Self { x, weights, shape: shape @ [replicas, rows, _], count, place } = self;
        let mut gradient = owned(gradient);
        let mut by_weights = buffers::take(values(&weights).len());
        weigh_backward(values(&x), Shares { weights: values(&weights), count, place }, &mut gradient, &mut by_weights);
        buffers::give_tensor(x);
        buffers::give_tensor(weights);
        [Some(tensor(gradient, shape)), Some(tensor(by_weights, [replicas, rows, count]))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
        buffers::give_tensor(self.weights);
    }
}

/// [`crate::train::kernels::Operation::MeanOfParts`].
pub(super) fn averaged(x: Tracked, count: usize) -> Tracked {
    let [replicas, rows, units] = x.dims();
    let shape = [replicas, rows, units / count];
    recorded([x], |[x], _| {
        let mut y = buffers::take(shape.iter().product());
        mean_of_parts(values(&x), &mut y, [count, shape[2]]);
        buffers::give_tensor(x);
        (tensor(y, shape), Averaged { shape, count })
    })
}

#[derive(Clone, Debug)]
struct Averaged {
    shape: [usize; 3],
    count: usize,
}

impl Step<1> for Averaged {
    fn pull(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let Self { shape: [replicas, rows, width], count } = self;
        let gradient = ordered(gradient);
        let mut by_x = buffers::take(replicas * rows * count * width);
        mean_of_parts_backward(values(&gradient), &mut by_x, [count, width]);
        buffers::give_tensor(gradient);
        [Some(tensor(by_x, [replicas, rows, count * width]))]
    }

    fn release(self) {}
}

/// [`crate::train::kernels::Operation::Entropy`].
pub(super) fn uncertain(x: Tracked) -> Tracked {
    let shape @ [replicas, rows, units] = x.dims();
    recorded([x], |[x], _| {
        let mean = |replica| entropy(of(values(&x), replica, replicas), units) / rows as f64;
        let y = (0..replicas).map(|replica| mean(replica) as f32).collect();
        (tensor(y, [replicas, 1, 1]), Uncertain { x, shape })
    })
}

#[derive(Clone, Debug)]
struct Uncertain {
    x: FlexTensor,
    shape: [usize; 3],
}

impl Step<1> for Uncertain {
    fn pull(self, gradient: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let Self { x, shape: shape @ [replicas, rows, _] } = self;
        let gradient = ordered(gradient);
        let mut by_x = buffers::take(values(&x).len());
        for (replica, pull) in values(&gradient).iter().enumerate() {
            let own = of(values(&x), replica, replicas);
            entropy_backward(own, pull / rows as f32, of_mut(&mut by_x, replica, replicas));
        }
        buffers::give_tensor(x);
        [Some(tensor(by_x, shape))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
    }
}

/// [`crate::train::kernels::Operation::MeanSquare`].
pub(super) fn mean_square(x: Tracked, target: Tracked) -> Tracked {
    let shape @ [replicas, rows, units] = x.dims();
    recorded([x, target.detach()], |[x, target], _| {
        let mut errors = owned(x);
        let mean = |replica| {
            let errors = of_mut(&mut errors, replica, replicas);
            differences(errors, of(values(&target), replica, replicas), units) / (rows * units) as f64
        };
        let y = (0..replicas).map(mean).map(|mean| mean as f32).collect();
        buffers::give_tensor(target);
        (tensor(y, [replicas, 1, 1]), MeanSquare { errors, shape })
    })
}

#[derive(Clone, Debug)]
struct MeanSquare {
    errors: Vec<f32>,
    shape: [usize; 3],
}

impl Step<2> for MeanSquare {
    fn pull(self, gradient: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let Self { mut errors, shape: shape @ [replicas, rows, units] } = self;
        let gradient = ordered(gradient);
        for (replica, pull) in values(&gradient).iter().enumerate() {
            let factor = 2.0 * pull / (rows * units) as f32;
            of_mut(&mut errors, replica, replicas).iter_mut().for_each(|error| *error *= factor);
        }
        [Some(tensor(errors, shape)), None]
    }

    fn release(self) {
        buffers::give(self.errors);
    }
}
