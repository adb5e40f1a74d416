//! Attention of one head over one row's tokens, and its gradient: scores and shares of it alone, which stay in cache.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::{Level, exp};
use super::small::{Left, padded, product};
use super::tail::Mask;
use super::{LANES, dispatched};

/// Room for what one head needs. Rows are padded with zeros to what [`product`] takes.
pub(in crate::train::kernels) struct Head {
    shape: Shape,
    /// Queries, keys, values and the gradient of what they are mixed to, `[token, width]`.
    parts: [Vec<f32>; 4],
    /// Keys and values, `[width, token]`.
    turned: [Vec<f32>; 2],
    /// Any of `[token, width]`.
    mixed: Vec<f32>,
    /// `[token, token]`: the scores, then the shares; what is left of them after dropout; and their gradient.
    shares: Vec<f32>,
    dropped: Vec<f32>,
    slopes: Vec<f32>,
}

#[derive(Clone, Copy)]
struct Shape {
    tokens: usize,
    width: usize,
    /// Numbers from row to row, of `[token, token]` and of `[token, width]`.
    square: usize,
    flat: usize,
}

/// Where a head's numbers are in a row `[token, 3 · heads · width]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Place {
    pub(in crate::train::kernels) heads: usize,
    pub(in crate::train::kernels) head: usize,
    /// The first share's number, for dropout.
    pub(in crate::train::kernels) start: usize,
}

impl Head {
    /// Of so many tokens and numbers in each.
    pub(in crate::train::kernels) fn new(tokens: usize, width: usize) -> Self {
        let shape = Shape { tokens, width, square: padded(tokens), flat: padded(width) };
        let part = || vec![0.0; tokens * shape.flat];
        let turned = || vec![0.0; width * shape.square];
        let square = || vec![0.0; tokens * shape.square];
        Self {
            shape,
            parts: [part(), part(), part(), part()],
            turned: [turned(), turned()],
            mixed: part(),
            shares: square(),
            dropped: square(),
            slopes: square(),
        }
    }
}

dispatched! {
    /// y, `[token, heads · width]`, of the head's part of it.
    pub(in crate::train::kernels) forward = forward_body(head: &mut Head, x: &[f32], y: &mut [f32], place: Place, mask: Option<Mask>)
}

#[inline(always)]
fn forward_body<L: Level>(head: &mut Head, x: &[f32], y: &mut [f32], place: Place, mask: Option<Mask>) {
    attend::<L>(head, x, place);
    let shape @ Shape { tokens, width, square, flat } = head.shape;
    let Head { parts: [_, _, values, _], mixed, shares, .. } = head;
    if let Some(mask) = mask {
        drop_shares(shares, shape, place.start, mask);
    }
    let left = Left { numbers: shares, stride: square, transposed: false };
    product::<L>(left, values, mixed, tokens, flat);
    put(mixed, y, place.heads * width, place.head * width, shape);
}

dispatched! {
    /// From ∂L/∂y to ∂L/∂x, of the head's part of it.
    pub(in crate::train::kernels) backward = backward_body(head: &mut Head, x: &[f32], gradient: &[f32], by_x: &mut [f32], place: Place, mask: Option<Mask>)
}

#[inline(always)]
fn backward_body<L: Level>(
    head: &mut Head,
    x: &[f32],
    gradient: &[f32],
    by_x: &mut [f32],
    place: Place,
    mask: Option<Mask>,
) {
    attend::<L>(head, x, place);
    let shape @ Shape { tokens, width, square, flat } = head.shape;
    let Head { parts: [queries, keys, values, pull], turned, mixed, shares, dropped, slopes, .. } = head;
    get(gradient, pull, place.heads * width, place.head * width, shape);
    turn(values, &mut turned[1], shape);
    product::<L>(Left { numbers: pull, stride: flat, transposed: false }, &turned[1], slopes, width, square);
    let given = match mask {
        Some(mask) => {
            dropped.copy_from_slice(shares);
            drop_shares(dropped, shape, place.start, mask);
            drop_shares(slopes, shape, place.start, mask);
            &*dropped
        }
        None => &*shares,
    };
    let stride = 3 * place.heads * width;
    let start = |kind: usize| (kind * place.heads + place.head) * width;
    product::<L>(Left { numbers: given, stride: square, transposed: true }, pull, mixed, tokens, flat);
    put(mixed, by_x, stride, start(2), shape);
    softmax_backward::<L>(shares, slopes, shape);
    product::<L>(Left { numbers: slopes, stride: square, transposed: false }, keys, mixed, tokens, flat);
    put(mixed, by_x, stride, start(0), shape);
    product::<L>(Left { numbers: slopes, stride: square, transposed: true }, queries, mixed, tokens, flat);
    put(mixed, by_x, stride, start(1), shape);
}

/// Queries, keys, values and shares.
#[inline(always)]
fn attend<L: Level>(head: &mut Head, x: &[f32], place: Place) {
    let shape @ Shape { width, square, flat, .. } = head.shape;
    let Head { parts, turned, shares, .. } = head;
    for (kind, part) in parts.iter_mut().take(3).enumerate() {
        get(x, part, 3 * place.heads * width, (kind * place.heads + place.head) * width, shape);
    }
    let [queries, keys, ..] = parts;
    turn(keys, &mut turned[0], shape);
    product::<L>(Left { numbers: queries, stride: flat, transposed: false }, &turned[0], shares, width, square);
    softmax::<L>(shares, shape);
}

/// 1 / √d
fn scale(width: usize) -> f32 {
    (width as f32).sqrt().recip()
}

/// A part of every token. What pads it stays 0.
#[inline(always)]
fn get(x: &[f32], part: &mut [f32], stride: usize, start: usize, shape: Shape) {
    for (part, token) in part.chunks_exact_mut(shape.flat).zip(x.chunks_exact(stride)) {
        part[..shape.width].copy_from_slice(&token[start..][..shape.width]);
    }
}

#[inline(always)]
fn put(part: &[f32], x: &mut [f32], stride: usize, start: usize, shape: Shape) {
    for (part, token) in part.chunks_exact(shape.flat).zip(x.chunks_exact_mut(stride)) {
        token[start..][..shape.width].copy_from_slice(&part[..shape.width]);
    }
}

/// `[token, width]` as `[width, token]`.
#[inline(always)]
fn turn(part: &[f32], turned: &mut [f32], shape: Shape) {
    for (token, part) in part.chunks_exact(shape.flat).enumerate() {
        for (turned, part) in turned.chunks_exact_mut(shape.square).zip(part) {
            turned[token] = *part;
        }
    }
}

#[inline(always)]
fn drop_shares(shares: &mut [f32], shape: Shape, start: usize, mask: Mask) {
    for (token, shares) in shares.chunks_exact_mut(shape.square).enumerate() {
        mask.apply(&mut shares[..shape.tokens], start + token * shape.tokens);
    }
}

/// softmax(row / √d), row by row, in place.
#[inline(always)]
fn softmax<L: Level>(x: &mut [f32], shape: Shape) {
    let scale = scale(shape.width);
    for row in x.chunks_exact_mut(shape.square) {
        let row = &mut row[..shape.tokens];
        let mut most = [f32::NEG_INFINITY; LANES];
        let mut chunks = row.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (most, x) in most.iter_mut().zip(chunk) {
                *most = if *x > *most { *x } else { *most };
            }
        }
        let most = most.iter().chain(chunks.remainder()).fold(f32::NEG_INFINITY, |most, x| most.max(*x));
        let mut parts = [0.0_f32; LANES];
        for chunk in row.chunks_mut(LANES) {
            for (part, x) in parts.iter_mut().zip(chunk) {
                // x·0 keeps NaN, which the exponential's range does not.
                *x = exp::<L>((*x - most) * scale) + *x * 0.0;
                *part += *x;
            }
        }
        let size = parts.iter().sum::<f32>().recip();
        row.iter_mut().for_each(|x| *x *= size);
    }
}

/// The gradient by x of softmax(x / √d), in place of the gradient by the shares p: p · (g - Σ p·g) / √d.
#[inline(always)]
fn softmax_backward<L: Level>(shares: &[f32], gradient: &mut [f32], shape: Shape) {
    let scale = scale(shape.width);
    for (shares, gradient) in shares.chunks_exact(shape.square).zip(gradient.chunks_exact_mut(shape.square)) {
        let (shares, gradient) = (&shares[..shape.tokens], &mut gradient[..shape.tokens]);
        let mut parts = [0.0_f32; LANES];
        for (share, gradient) in shares.chunks(LANES).zip(gradient.chunks(LANES)) {
            for ((part, share), gradient) in parts.iter_mut().zip(share).zip(gradient) {
                *part = L::fma(*share, *gradient, *part);
            }
        }
        let mean = parts.iter().sum::<f32>();
        for (share, gradient) in shares.iter().zip(gradient) {
            *gradient = scale * share * (*gradient - mean);
        }
    }
}
