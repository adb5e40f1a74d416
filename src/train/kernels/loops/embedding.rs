//! What embeddings of features compute before they multiply: shares of intervals and waves, and their gradients.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::Level;
use super::dispatched;
use crate::spec::net::INTERVALS;
use crate::train::kernels::operation::{EDGES, LENGTH};

/// The least and the most that an interval's share can be.
const BOUNDS: [(f32, f32); INTERVALS] = [(f32::NEG_INFINITY, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, f32::INFINITY)];

dispatched! {
    /// Shares of intervals, [`INTERVALS`] for each number.
    pub(in crate::train::kernels) intervals = intervals_body(x: &[f32], y: &mut [f32])
}

#[inline(always)]
fn intervals_body<L: Level>(x: &[f32], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y.chunks_exact_mut(INTERVALS)) {
        for ((y, edge), (least, most)) in y.iter_mut().zip(EDGES).zip(BOUNDS) {
            let share = (x - edge) / LENGTH;
            // What is no number stays none.
            let share = if share < least { least } else { share };
            *y = if share > most { most } else { share };
        }
    }
}

dispatched! {
    /// The gradient by x of [`intervals`].
    pub(in crate::train::kernels) intervals_backward = intervals_backward_body(x: &[f32], gradient: &[f32], by_x: &mut [f32])
}

#[inline(always)]
fn intervals_backward_body<L: Level>(x: &[f32], gradient: &[f32], by_x: &mut [f32]) {
    for ((x, gradient), by_x) in x.iter().zip(gradient.chunks_exact(INTERVALS)).zip(by_x) {
        *by_x = 0.0;
        for ((gradient, edge), (least, most)) in gradient.iter().zip(EDGES).zip(BOUNDS) {
            let share = (x - edge) / LENGTH;
            *by_x += if share >= least && share <= most { gradient / LENGTH } else { 0.0 };
        }
    }
}

/// cos 2πt and sin 2πt, to about 1e-7. Whole and half turns are taken away before anything is rounded, and within a quarter of a
/// turn the Taylor series end below 6e-8 after six and seven terms.
#[inline(always)]
fn wave<L: Level>(t: f32) -> (f32, f32) {
    const ROUND: f32 = 12_582_912.0;
    let shifted = L::fma(t, 2.0, ROUND);
    let angle = (t - (shifted - ROUND) * 0.5) * std::f32::consts::TAU;
    let sign = shifted.to_bits() << 31;
    let q = angle * angle;
    let c = 1.0 / 479_001_600.0;
    let c = L::fma(c, q, -1.0 / 3_628_800.0);
    let c = L::fma(c, q, 1.0 / 40_320.0);
    let c = L::fma(c, q, -1.0 / 720.0);
    let c = L::fma(c, q, 1.0 / 24.0);
    let c = L::fma(c, q, -0.5);
    let c = L::fma(c, q, 1.0);
    let s = -1.0 / 39_916_800.0;
    let s = L::fma(s, q, 1.0 / 362_880.0);
    let s = L::fma(s, q, -1.0 / 5_040.0);
    let s = L::fma(s, q, 1.0 / 120.0);
    let s = L::fma(s, q, -1.0 / 6.0);
    let s = L::fma(s * q, angle, angle);
    (f32::from_bits(c.to_bits() ^ sign), f32::from_bits(s.to_bits() ^ sign))
}

dispatched! {
    /// Waves of each number's frequencies, `[feature, count]`: `[row, feature, 2 · count]`.
    pub(in crate::train::kernels) waves = waves_body(x: &[f32], frequencies: &[f32], y: &mut [f32], count: usize)
}

#[inline(always)]
fn waves_body<L: Level>(x: &[f32], frequencies: &[f32], y: &mut [f32], count: usize) {
    let features = frequencies.len() / count;
    for (x, y) in x.chunks_exact(features).zip(y.chunks_exact_mut(2 * frequencies.len())) {
        for ((x, own), y) in x.iter().zip(frequencies.chunks_exact(count)).zip(y.chunks_exact_mut(2 * count)) {
            let (cosines, sines) = y.split_at_mut(count);
            for ((frequency, cosine), sine) in own.iter().zip(cosines).zip(sines) {
                (*cosine, *sine) = wave::<L>(x * frequency);
            }
        }
    }
}

dispatched! {
    /// The gradients of [`waves`] y: by x, and added to those by the frequencies.
    pub(in crate::train::kernels) waves_backward = waves_backward_body(x: &[f32], frequencies: &[f32], y: &[f32], gradient: &[f32], by_x: &mut [f32], by_frequencies: &mut [f32])
}

#[inline(always)]
fn waves_backward_body<L: Level>(
    x: &[f32],
    frequencies: &[f32],
    y: &[f32],
    gradient: &[f32],
    by_x: &mut [f32],
    by_frequencies: &mut [f32],
) {
    let count = y.len() / x.len().max(1) / 2;
    let features = frequencies.len() / count.max(1);
    for (row, (x, by_x)) in x.chunks_exact(features).zip(by_x.chunks_exact_mut(features)).enumerate() {
        let all = row * 2 * frequencies.len()..(row + 1) * 2 * frequencies.len();
        let each = y[all.clone()].chunks_exact(2 * count).zip(gradient[all].chunks_exact(2 * count));
        let each = each.zip(frequencies.chunks_exact(count)).zip(by_frequencies.chunks_exact_mut(count));
        for ((x, by_x), (((y, gradient), own), by_own)) in x.iter().zip(by_x).zip(each) {
            let ((cosines, sines), (by_cosine, by_sine)) = (y.split_at(count), gradient.split_at(count));
            let mut sum = 0.0;
            let waves = cosines.iter().zip(sines).zip(by_cosine).zip(by_sine);
            for ((((cosine, sine), by_cosine), by_sine), (frequency, by_frequency)) in waves.zip(own.iter().zip(by_own))
            {
                let turn = std::f32::consts::TAU * (by_sine * cosine - by_cosine * sine);
                sum = L::fma(turn, *frequency, sum);
                *by_frequency = L::fma(turn, *x, *by_frequency);
            }
            *by_x = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wave;
    use crate::train::kernels::loops::curves::{Fused, Plain};

    #[test]
    fn waves_follow_their_definition() {
        for step in -4_000..=4_000 {
            let t = step as f32 * 0.00377;
            let angle = f64::from(t) * std::f64::consts::TAU;
            for (cosine, sine) in [wave::<Fused>(t), wave::<Plain>(t)] {
                let error = (f64::from(cosine) - angle.cos()).abs().max((f64::from(sine) - angle.sin()).abs());
                assert!(error < 4e-7, "{t}: {cosine}, {sine}");
            }
        }
    }
}
