//! Attention of one head over one row's tokens, and its gradient: scores and shares of it alone, which stay in cache.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use super::curves::{Level, exp};
use super::products::{Matrix, product};
use super::tail::Mask;
use super::{LANES, dispatched};

/// Room for what one head needs.
pub(in crate::train::kernels) struct Head {
    tokens: usize,
    width: usize,
    /// Queries, keys, values, and what they are mixed to; `[token, width]` each.
    parts: [Vec<f32>; 4],
    /// `[token, token]`: the scores, then the shares; what is left of them after dropout; and their gradient.
    shares: Vec<f32>,
    dropped: Vec<f32>,
    slopes: Vec<f32>,
    /// The gradient of one part.
    part: Vec<f32>,
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
        let square = || vec![0.0; tokens * tokens];
        let part = || vec![0.0; tokens * width];
        Self {
            tokens,
            width,
            parts: [part(), part(), part(), part()],
            shares: square(),
            dropped: square(),
            slopes: square(),
            part: part(),
        }
    }

    /// y, `[token, heads · width]`, of the head's part of it.
    pub(in crate::train::kernels) fn forward(&mut self, x: &[f32], y: &mut [f32], place: Place, mask: Option<Mask>) {
        self.attend(x, place);
        if let Some(mask) = mask {
            mask.apply(&mut self.shares, place.start);
        }
        let Self { tokens, width, parts: [_, _, values, mixed], shares, .. } = self;
        product(Matrix::new(shares, *tokens, *tokens), Matrix::new(values, *tokens, *width), mixed);
        put(mixed, y, place.heads * *width, place.head * *width, *width);
    }

    /// From ∂L/∂y to ∂L/∂x, of the head's part of it.
    pub(in crate::train::kernels) fn backward(
        &mut self,
        x: &[f32],
        gradient: &[f32],
        by_x: &mut [f32],
        place: Place,
        mask: Option<Mask>,
    ) {
        self.attend(x, place);
        let Self { tokens, width, parts: [queries, keys, values, pull], shares, dropped, slopes, part } = self;
        let (tokens, width) = (*tokens, *width);
        get(gradient, pull, place.heads * width, place.head * width, width);
        let square = |numbers| Matrix::new(numbers, tokens, tokens);
        let flat = |numbers| Matrix::new(numbers, tokens, width);
        product(flat(pull), flat(values).transposed(), slopes);
        let given = match mask {
            Some(mask) => {
                dropped.copy_from_slice(shares);
                mask.apply(dropped, place.start);
                mask.apply(slopes, place.start);
                &*dropped
            }
            None => &*shares,
        };
        let stride = 3 * place.heads * width;
        let start = |kind: usize| (kind * place.heads + place.head) * width;
        product(square(given).transposed(), flat(pull), part);
        put(part, by_x, stride, start(2), width);
        softmax_backward(shares, slopes, tokens, scale(width));
        product(square(slopes), flat(keys), part);
        put(part, by_x, stride, start(0), width);
        product(square(slopes).transposed(), flat(queries), part);
        put(part, by_x, stride, start(1), width);
    }

    /// Queries, keys, values and shares.
    fn attend(&mut self, x: &[f32], place: Place) {
        let Self { tokens, width, parts: [queries, keys, values, _], shares, .. } = self;
        let (tokens, width) = (*tokens, *width);
        for (kind, part) in [queries, keys, values].into_iter().enumerate() {
            get(x, part, 3 * place.heads * width, (kind * place.heads + place.head) * width, width);
        }
        let [queries, keys, ..] = &self.parts;
        let flat = |numbers| Matrix::new(numbers, tokens, width);
        product(flat(queries), flat(keys).transposed(), shares);
        softmax(shares, tokens, scale(width));
    }
}

/// 1 / √d
fn scale(width: usize) -> f32 {
    (width as f32).sqrt().recip()
}

/// A part of every token.
fn get(x: &[f32], part: &mut [f32], stride: usize, start: usize, width: usize) {
    for (part, token) in part.chunks_exact_mut(width).zip(x.chunks_exact(stride)) {
        part.copy_from_slice(&token[start..][..width]);
    }
}

fn put(part: &[f32], x: &mut [f32], stride: usize, start: usize, width: usize) {
    for (part, token) in part.chunks_exact(width).zip(x.chunks_exact_mut(stride)) {
        token[start..][..width].copy_from_slice(part);
    }
}

dispatched! {
    /// softmax(scale · row), row by row, in place.
    softmax = softmax_body(x: &mut [f32], width: usize, scale: f32)
}

#[inline(always)]
fn softmax_body<L: Level>(x: &mut [f32], width: usize, scale: f32) {
    for row in x.chunks_exact_mut(width) {
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

dispatched! {
    /// The gradient by x of softmax(scale · x), in place of the gradient by the shares p: scale · p · (g - Σ p·g).
    softmax_backward = softmax_backward_body(shares: &[f32], gradient: &mut [f32], width: usize, scale: f32)
}

#[inline(always)]
fn softmax_backward_body<L: Level>(shares: &[f32], gradient: &mut [f32], width: usize, scale: f32) {
    for (shares, gradient) in shares.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
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
