//! Batch norm, activation and dropout as one step, and what a dense layer shares with it.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

use super::step::{Step, recorded};
use super::{Tail, Tracked, owned, plain, tensor, values};
use crate::spec::net::Pointwise;
use crate::train::kernels::loops::tail::{Gathered, Units, backward, forward, learn, mend, sums_with};
use crate::train::kernels::{Dropout, EPSILON, Moments, Norm, buffers};

/// [`crate::train::kernels::Kernels::normalized`].
pub(super) fn normalized(
    x: Tracked,
    norm: Norm<Tracked>,
    curve: Pointwise,
    dropout: Option<&Dropout>,
) -> (Tracked, Moments<Flex>) {
    let [replicas, rows, units] = x.dims();
    let tail = Tail { replicas, rows, units, curve, dropout: dropout.cloned() };
    let mut moments = None;
    let y = recorded([x, norm.scale, norm.shift], |[x, scale, shift], learns| {
        let norm = BatchNorm::new(values(&scale).to_vec(), values(&shift).to_vec(), tail);
        let mut state = Normalized { x, slopes: Vec::new(), norm };
        let y = state.forward(learns);
        moments = Some(state.norm.moments());
        (y, state)
    });
    (y, moments.expect("the forward pass has been run"))
}

/// What a batch norm knows after the forward pass.
#[derive(Clone, Debug)]
pub(super) struct BatchNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    pub(super) tail: Tail,
}

impl BatchNorm {
    /// Before it has seen any row.
    pub(super) fn new(scale: Vec<f32>, shift: Vec<f32>, tail: Tail) -> Self {
        Self { scale, shift, mean: Vec::new(), variance: Vec::new(), tail }
    }

    /// Takes in the moments of the next replica.
    pub(super) fn saw(&mut self, gathered: &Gathered) {
        let (mean, variance) = gathered.moments();
        self.mean.extend(mean);
        self.variance.extend(variance);
    }

    pub(super) fn moments(&self) -> Moments<Flex> {
        let by_unit = |values: &[f32]| plain(values.to_vec(), [self.tail.replicas, 1, self.tail.units]);
        Moments { mean: by_unit(&self.mean), variance: by_unit(&self.variance) }
    }

    /// factor of n = factor · (x - mean) + shift, and 1 / √(variance + ε), for a replica's units.
    pub(super) fn factors(&self, replica: usize) -> (Vec<f32>, Vec<f32>) {
        let own = self.tail.units_of(replica);
        let spread: Vec<f32> = self.variance[own.clone()]
            .iter()
            .map(|variance| ((f64::from(*variance) + EPSILON).sqrt().recip()) as f32)
            .collect();
        let factor = self.scale[own].iter().zip(&spread).map(|(scale, spread)| scale * spread).collect();
        (factor, spread)
    }

    pub(super) fn units<'a>(&'a self, replica: usize, factor: &'a [f32]) -> Units<'a> {
        let own = self.tail.units_of(replica);
        Units { centre: &self.mean[own.clone()], factor, offset: &self.shift[own] }
    }

    /// What [`mend`] needs to turn ∂L/∂n into ∂L/∂x, and the gradients of scale and shift, from the sums of ∂L/∂n by unit:
    /// alone, and times (x - mean).
    pub(super) fn mending(&self, replica: usize, (sum, sum_x): (&[f64], &[f64]), to: &mut Learned) -> Mending {
        let (factor, spread) = self.factors(replica);
        let count = self.tail.rows as f64;
        let (mut slope, mut constant) = (Vec::with_capacity(sum.len()), Vec::with_capacity(sum.len()));
        for unit in 0..sum.len() {
            // With x̂ = (x - mean) · spread: Σ g·x̂, and dx = factor · (g - Σg/n - x̂ · Σ(g·x̂)/n).
            let spread = f64::from(spread[unit]);
            let sum_hat = sum_x[unit] * spread;
            to.scale.push(sum_hat as f32);
            to.shift.push(sum[unit] as f32);
            let factor = f64::from(factor[unit]);
            slope.push((-factor * sum_hat / count * spread) as f32);
            constant.push((-factor * sum[unit] / count) as f32);
        }
        Mending { factor, slope, constant }
    }
}

/// gradient ← factor · gradient + slope · (x - mean) + constant, by unit.
pub(super) struct Mending {
    factor: Vec<f32>,
    pub(super) slope: Vec<f32>,
    constant: Vec<f32>,
}

impl Mending {
    /// As [`mend`] takes it.
    pub(super) fn units<'a>(&'a self, does: Units<'a>) -> Units<'a> {
        Units { factor: &self.factor, offset: &self.constant, ..does }
    }
}

/// The gradients of scale and shift, one replica's after another's.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Normalized {
    x: FlexTensor,
    /// ∂y/∂n, as `learn` leaves it; empty where it is 1.
    slopes: Vec<f32>,
    norm: BatchNorm,
}

impl Normalized {
    fn forward(&mut self, learns: bool) -> FlexTensor {
        let Tail { replicas, rows, units, curve, .. } = self.norm.tail;
        let mut y = buffers::take(replicas * rows * units);
        let drops = self.norm.tail.dropout.is_some();
        let mut slopes =
            if drops || learns && curve != Pointwise::Identity { buffers::take(y.len()) } else { Vec::new() };
        for replica in 0..replicas {
            let all = self.norm.tail.rows_of(replica);
            let x = &values(&self.x)[all.clone()];
            let mut gathered = Gathered::new(units);
            gathered.add(x);
            self.norm.saw(&gathered);
            let (factor, _) = self.norm.factors(replica);
            let does = self.norm.units(replica, &factor);
            if slopes.is_empty() {
                forward(x, &mut y[all], does, curve);
            } else {
                learn(x, (&mut y[all.clone()], &mut slopes[all]), does, curve, self.norm.tail.mask(replica));
            }
        }
        self.slopes = slopes;
        tensor(y, [replicas, rows, units])
    }
}

impl Step<3> for Normalized {
    fn pull(self, gradient: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let Tail { replicas, rows, units, .. } = self.norm.tail;
        let mut gradient = owned(gradient);
        let mut learned = Learned::default();
        for replica in 0..replicas {
            let all = self.norm.tail.rows_of(replica);
            let x = &values(&self.x)[all.clone()];
            let gradient = &mut gradient[all.clone()];
            let does = self.norm.units(replica, &[]);
            let (sum, sum_x) = if self.slopes.is_empty() {
                sums_with(x, gradient, does.centre)
            } else {
                backward(x, gradient, &self.slopes[all], does.centre)
            };
            let mending = self.norm.mending(replica, (&sum, &sum_x), &mut learned);
            mend(gradient, x, mending.units(does), &mending.slope);
        }
        self.release();
        let by_unit = |values| tensor(values, [replicas, 1, units]);
        [Some(tensor(gradient, [replicas, rows, units])), Some(by_unit(learned.scale)), Some(by_unit(learned.shift))]
    }

    fn release(self) {
        buffers::give_tensor(self.x);
        buffers::give(self.slopes);
    }
}
