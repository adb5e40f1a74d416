//! The density of Z at a look, of those that were stopped at no look so far, on a grid that the next look's integral is
//! exact on.

use crate::stats::normal;

/// Below this z, nobody is followed: 4e-11 of all, who are less likely to cross a bound later than the others are.
const LOWEST: f64 = -6.5;
/// Above this z is nobody, where a look has no bound: 1e-21 of all.
const HIGHEST: f64 = 9.5;
/// The width of a panel in standard deviations of a step, or of everything if that is less.
const WIDEST: f64 = 2.5;
/// A step's normal density is neglected beyond this many of its standard deviations: 1e-26 of its height.
const REACH: f64 = 11.0;

/// Nodes and weights of Gauss and Legendre's rule of eight points on [−1, 1], the positive half.
const NODES: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// See the module's documentation.
pub(super) struct Density {
    fraction: f64,
    /// Ascending z.
    nodes: Vec<f64>,
    /// The density times the weight of its node.
    masses: Vec<f64>,
}

impl Density {
    /// Of the first look, below its bound; `step` is the next step of the fraction, relative to this one.
    pub(super) fn first(fraction: f64, bound: f64, step: f64) -> Self {
        let (nodes, weights) = grid(bound, step);
        let masses = nodes.iter().zip(&weights).map(|(z, weight)| weight * normal::density(*z)).collect();
        Self { fraction, nodes, masses }
    }

    /// The information fraction of its look.
    pub(super) fn fraction(&self) -> f64 {
        self.fraction
    }

    /// Of a later look, below its bound.
    pub(super) fn next(&self, fraction: f64, bound: f64, step: f64) -> Self {
        // The last step shaped the density, the next one reads it: the shorter of the two is the finest feature.
        let (nodes, weights) = grid(bound, step.min((fraction - self.fraction) / fraction));
        let masses = nodes.iter().zip(&weights).map(|(z, weight)| weight * self.at(fraction, *z)).collect();
        Self { fraction, nodes, masses }
    }

    /// The bound of a later look that its share `probability` of all reach there first: Newton's method on the logarithm
    /// of the tail, which is concave, between the lowest z and the bound of the whole tail; halving where the tail
    /// underflows or a step leaves what is known.
    pub(super) fn bound(&self, fraction: f64, probability: f64) -> f64 {
        let (mut low, mut high) = (LOWEST, normal::upper_quantile(probability));
        let mut bound = high;
        for _ in 0..200 {
            let tail = self.above(fraction, bound);
            if tail >= probability {
                low = low.max(bound);
            } else {
                high = high.min(bound);
            }
            let newton = bound + tail / self.at(fraction, bound) * (tail / probability).ln();
            let next = if newton > low && newton < high { newton } else { low / 2.0 + high / 2.0 };
            let step = (next - bound).abs();
            bound = next;
            if step < 1e-10 || high - low < 1e-10 {
                break;
            }
        }
        bound
    }

    /// The density of z at a later look.
    fn at(&self, fraction: f64, z: f64) -> f64 {
        let (shrink, deviation) = self.transition(fraction);
        // Who is at z came most likely from z·shrink; on this side the deviation is that of the bridge's own step.
        let reach = REACH * deviation / shrink;
        let (low, high) = (z / shrink - reach, z / shrink + reach);
        let start = self.nodes.partition_point(|node| *node < low);
        let end = self.nodes.partition_point(|node| *node <= high);
        let sum: f64 = self.nodes[start..end]
            .iter()
            .zip(&self.masses[start..end])
            .map(|(node, mass)| {
                let distance = (z - shrink * node) / deviation;
                mass * (-0.5 * distance * distance).exp()
            })
            .sum();
        sum / (deviation * (2.0 * std::f64::consts::PI).sqrt())
    }

    /// The probability of being above z at a later look.
    fn above(&self, fraction: f64, z: f64) -> f64 {
        let (shrink, deviation) = self.transition(fraction);
        self.nodes
            .iter()
            .zip(&self.masses)
            .map(|(node, mass)| mass * normal::above((z - shrink * node) / deviation))
            .sum()
    }

    /// Z at a later look, given Z now: it is normal around `shrink` times Z, with the second as its standard deviation.
    fn transition(&self, fraction: f64) -> (f64, f64) {
        ((self.fraction / fraction).sqrt(), ((fraction - self.fraction) / fraction).sqrt())
    }
}

/// Nodes and weights over the continuation region: panels as wide as the deviation of a relative `step` lets them be.
fn grid(bound: f64, step: f64) -> (Vec<f64>, Vec<f64>) {
    let high = bound.min(HIGHEST);
    // A bound below the region leaves nobody: one panel of no width.
    let low = LOWEST.min(high);
    let panels = ((high - low) / (WIDEST * step.sqrt().min(1.0))).ceil().max(1.0) as usize;
    let half = (high - low) / panels as f64 / 2.0;
    let mut nodes = Vec::with_capacity(8 * panels);
    let mut weights = Vec::with_capacity(8 * panels);
    for panel in 0..panels {
        let centre = low + half * (2 * panel + 1) as f64;
        for (node, weight) in NODES.iter().rev() {
            nodes.push(centre - half * node);
            weights.push(half * weight);
        }
        for (node, weight) in &NODES {
            nodes.push(centre + half * node);
            weights.push(half * weight);
        }
    }
    (nodes, weights)
}
