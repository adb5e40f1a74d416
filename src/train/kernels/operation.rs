//! What blocks do beside matrix products and norms: each operation as data, so that a backend fuses those that it can and
//! leaves the others to [`composed`](super::composed::operation).

use super::Dropout;
use crate::spec::language::GateKind;
use crate::spec::net::Pointwise;

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
        }
    }
}
