//! What blocks do beside matrix products and norms: each operation as data, so that a backend fuses those that it can and
//! leaves the others to [`composed`](super::composed::operation).

use super::Dropout;
use crate::spec::language::GateKind;
use crate::spec::net::{INTERVALS, Pointwise};

/// The lower ends of the intervals between a feature's values, and how long each is.
pub(super) const EDGES: [f32; INTERVALS] = [-1.0, -0.5, 0.0, 0.5];
pub(super) const LENGTH: f32 = 0.5;

/// An operation on tensors `[replica, row, unit]`; what is learned of a unit is `[replica, 1, unit]`.
#[derive(Clone, Debug)]
pub(in crate::train) enum Operation<T> {
    /// dropout(v ⊙ σ(g)), v being the first half of the units of x + bias and g the second.
    Gated {
        /// `[replica, row, 2 · unit]`
        x: T,
        /// `[replica, 1, 2 · unit]`
        bias: Option<T>,
        /// σ.
        kind: GateKind,
        /// Of what comes out.
        dropout: Option<Dropout>,
    },
    /// dropout(activation(scale ⊙ x + shift)).
    Scaled {
        /// What is scaled.
        x: T,
        /// By unit.
        scale: T,
        /// By unit.
        shift: Option<T>,
        /// The activation.
        curve: Pointwise,
        /// Of what comes out.
        dropout: Option<Dropout>,
    },
    /// The nearest point of the simplex to x ⊙ prior: max(z - τ, 0) with τ such that a row sums to 1 (Martins & Astudillo
    /// 2016).
    Sparsemax {
        /// What is wished for.
        x: T,
        /// What it is multiplied by, of the same shape.
        prior: Option<T>,
    },
    /// -Σ m·ln(m + ε) over units, in the mean over rows: `[replica, 1, 1]`.
    Entropy {
        /// Numbers from 0 on.
        x: T,
    },
    /// The mean of (x - target)² over rows and units, `[replica, 1, 1]`.
    MeanSquare {
        /// What errs.
        x: T,
        /// What it should be; no gradient goes there.
        target: T,
    },
    /// dropout(softmax(Q·Kᵀ/√d))·V of each head, d being a head's width (Vaswani et al. 2017).
    Attention {
        /// `[replica, row, token · 3 · width]`: each token's query, key and value.
        x: T,
        /// Heads; each has its share of a token's width.
        heads: usize,
        /// Tokens.
        count: usize,
        /// Of the shares of attention, numbered `[row, head, token, token]`.
        dropout: Option<Dropout>,
    },
    /// How much of each interval between a feature's values lies below it: (x - lower end) / length, of no more than 1 but in
    /// the last interval, of no less than 0 but in the first (Gorishniy et al. 2022).
    Intervals {
        /// `[replica, row, feature]`, to `[replica, row, feature · interval]`.
        x: T,
    },
    /// cos 2πcx of each of a feature's frequencies c, then sin 2πcx of each (Gorishniy et al. 2022).
    Waves {
        /// `[replica, row, feature]`, to `[replica, row, feature · 2 · frequency]`.
        x: T,
        /// `[replica, feature, frequency]`
        frequencies: T,
    },
    /// start ⊙ (x·W + bias) + x.
    Crossed {
        /// What everything is crossed with.
        start: T,
        /// x·W.
        product: T,
        /// By unit.
        bias: T,
        /// What is added.
        x: T,
    },
    /// x ⊙ sigmoid(logits); each logit counts for as many units of x, one after another, as there are to each.
    Excited {
        /// What is scaled.
        x: T,
        /// `[replica, row, unit / each]`
        logits: T,
    },
    /// max(x, 0) + slope ⊙ min(x, 0).
    Prelu {
        /// What bends.
        x: T,
        /// By unit.
        slope: T,
    },
    /// x times one number a row.
    Weighted {
        /// What is weighted.
        x: T,
        /// `[replica, row, place]`
        weights: T,
        /// Which of them.
        place: usize,
    },
    /// The mean of `count` parts of a row, one after another.
    MeanOfParts {
        /// `[replica, row, count · unit]`
        x: T,
        /// Parts.
        count: usize,
    },
}

impl<T> Operation<T> {
    /// The same of other tensors.
    pub(in crate::train) fn map<U>(self, f: impl Fn(T) -> U) -> Operation<U> {
        match self {
            Self::Gated { x, bias, kind, dropout } => Operation::Gated { x: f(x), bias: bias.map(f), kind, dropout },
            Self::Scaled { x, scale, shift, curve, dropout } => {
                Operation::Scaled { x: f(x), scale: f(scale), shift: shift.map(f), curve, dropout }
            }
            Self::Sparsemax { x, prior } => Operation::Sparsemax { x: f(x), prior: prior.map(f) },
            Self::Entropy { x } => Operation::Entropy { x: f(x) },
            Self::MeanSquare { x, target } => Operation::MeanSquare { x: f(x), target: f(target) },
            Self::Attention { x, heads, count, dropout } => Operation::Attention { x: f(x), heads, count, dropout },
            Self::Intervals { x } => Operation::Intervals { x: f(x) },
            Self::Waves { x, frequencies } => Operation::Waves { x: f(x), frequencies: f(frequencies) },
            Self::Crossed { start, product, bias, x } => {
                Operation::Crossed { start: f(start), product: f(product), bias: f(bias), x: f(x) }
            }
            Self::Excited { x, logits } => Operation::Excited { x: f(x), logits: f(logits) },
            Self::Prelu { x, slope } => Operation::Prelu { x: f(x), slope: f(slope) },
            Self::Weighted { x, weights, place } => Operation::Weighted { x: f(x), weights: f(weights), place },
            Self::MeanOfParts { x, count } => Operation::MeanOfParts { x: f(x), count },
        }
    }
}
