//! Gated units: the first half of a row's units, by unit times a curve of the second.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::{self, Curve, Level};
use super::dispatched;
use super::tail::Mask;
use crate::spec::language::GateKind;

/// Runs a function for the curve of a gate.
macro_rules! for_gate {
    ($kind:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $kind {
            GateKind::Glu => $function::<curves::Sigmoid>($($argument),*),
            GateKind::Reglu => $function::<curves::Relu>($($argument),*),
            GateKind::Geglu => $function::<curves::Gelu>($($argument),*),
            GateKind::Swiglu => $function::<curves::Silu>($($argument),*),
        }
    };
}

/// y = v · σ(g), of x + bias, `[row, 2 · unit]`.
pub(in crate::train::kernels) fn forward(x: &[f32], bias: &[f32], y: &mut [f32], kind: GateKind) {
    for_gate!(kind, forward_at(x, bias, y));
}

dispatched! {
    /// See [`forward`].
    forward_at = forward_body<C: Curve>(x: &[f32], bias: &[f32], y: &mut [f32])
}

#[inline(always)]
fn forward_body<L: Level, C: Curve>(x: &[f32], bias: &[f32], y: &mut [f32]) {
    let width = bias.len() / 2;
    let (value_bias, gate_bias) = bias.split_at(width);
    for (x, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)) {
        let (values, gates) = x.split_at(width);
        for ((((value, gate), y), value_bias), gate_bias) in
            values.iter().zip(gates).zip(y).zip(value_bias).zip(gate_bias)
        {
            *y = (value + value_bias) * C::value::<L>(gate + gate_bias);
        }
    }
}

/// The same times dropout's mask, and ∂y/∂v, ∂y/∂g, in x's layout.
pub(in crate::train::kernels) fn learn(
    x: &[f32],
    bias: &[f32],
    (y, slopes): (&mut [f32], &mut [f32]),
    kind: GateKind,
    mask: Option<Mask>,
) {
    for_gate!(kind, learn_at(x, bias, y, slopes, mask));
}

dispatched! {
    /// See [`learn`].
    learn_at = learn_body<C: Curve>(x: &[f32], bias: &[f32], y: &mut [f32], slopes: &mut [f32], mask: Option<Mask>)
}

#[inline(always)]
fn learn_body<L: Level, C: Curve>(x: &[f32], bias: &[f32], y: &mut [f32], slopes: &mut [f32], mask: Option<Mask>) {
    let width = bias.len() / 2;
    let (value_bias, gate_bias) = bias.split_at(width);
    let rows = x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)).zip(slopes.chunks_exact_mut(2 * width));
    for (row, ((x, y), slopes)) in rows.enumerate() {
        let (values, gates) = x.split_at(width);
        let (by_value, by_gate) = slopes.split_at_mut(width);
        let given = values.iter().zip(gates).zip(value_bias).zip(gate_bias);
        let found = y.iter_mut().zip(by_value.iter_mut()).zip(by_gate.iter_mut());
        for ((((value, gate), value_bias), gate_bias), ((y, by_value), by_gate)) in given.zip(found) {
            let (value, gate) = (value + value_bias, gate + gate_bias);
            *by_value = C::value::<L>(gate);
            *by_gate = value * C::slope::<L>(gate);
            *y = value * *by_value;
        }
        if let Some(mask) = mask {
            let start = row * width;
            for part in [y, by_value, by_gate] {
                mask.apply(part, start);
            }
        }
    }
}

dispatched! {
    /// The gradient by x in place of the slopes that [`learn`] left.
    pub(in crate::train::kernels) backward = backward_body(gradient: &[f32], slopes: &mut [f32], width: usize)
}

#[inline(always)]
fn backward_body<L: Level>(gradient: &[f32], slopes: &mut [f32], width: usize) {
    for (gradient, slopes) in gradient.chunks_exact(width).zip(slopes.chunks_exact_mut(2 * width)) {
        let (by_value, by_gate) = slopes.split_at_mut(width);
        for ((gradient, by_value), by_gate) in gradient.iter().zip(by_value).zip(by_gate) {
            *by_value *= gradient;
            *by_gate *= gradient;
        }
    }
}
