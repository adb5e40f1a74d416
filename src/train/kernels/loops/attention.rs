//! Attention, and its gradient, one head at a time over the tokens of several rows at once: each number of a row has the same
//! number of the other rows beside it, so that every loop runs over full vectors, however few numbers a head has. Queries come
//! in blocks, so that what is loaded of a key or a value is used several times, and their scores stay in the fastest cache.
#![expect(unsafe_code, reason = "functions compiled for an instruction set may be called only where it is there")]

use std::array::from_fn;

use super::tail::Mask;
use super::vectors::{Vectors, vectorized};

/// Queries that are computed at once.
const QUERIES: usize = 4;

/// Tokens, or numbers of a token, that are computed at once.
const BESIDE: usize = 2;

/// Attention of one replica.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::kernels) struct Shape {
    pub(in crate::train::kernels) heads: usize,
    pub(in crate::train::kernels) tokens: usize,
    /// Of one head's part of a token.
    pub(in crate::train::kernels) width: usize,
}

impl Shape {
    /// Numbers of a row of y.
    fn units(self) -> usize {
        self.tokens * self.heads * self.width
    }
}

vectorized! {
    /// From x, `[row, token, 3 · heads · width]`, y, `[row, token, heads · width]`.
    pub(in crate::train::kernels) forward = forward_body(x: &[f32], y: &mut [f32], shape: Shape, mask: Option<Mask>)
}

#[inline(always)]
fn forward_body<V: Vectors>(v: V, x: &[f32], y: &mut [f32], shape: Shape, mask: Option<Mask>) {
    let (block, rest) = (V::LANES * shape.units(), shape.tokens % QUERIES);
    let mut room = Room::new(v, shape, 0);
    for (index, (x, y)) in x.chunks(3 * block).zip(y.chunks_mut(block)).enumerate() {
        for head in 0..shape.heads {
            let place = Place { head, row: index * V::LANES };
            get_parts(v, &mut room.parts, x, place, shape);
            for first in (0..shape.tokens - rest).step_by(QUERIES) {
                forward_block::<V, QUERIES>(v, &mut room, first, place, shape, mask);
            }
            for first in shape.tokens - rest..shape.tokens {
                forward_block::<V, 1>(v, &mut room, first, place, shape, mask);
            }
            put(v, &room.mixed, y, (shape.heads, head), shape);
        }
    }
}

#[inline(always)]
fn forward_block<V: Vectors, const Q: usize>(
    v: V,
    room: &mut Room<V>,
    first: usize,
    place: Place,
    shape: Shape,
    mask: Option<Mask>,
) {
    let Room { parts: [queries, keys, values], mixed, shares, .. } = room;
    let block = first * shape.width..(first + Q) * shape.width;
    let shares = &mut shares[..Q * shape.tokens];
    products::<V, Q>(v, &queries[block.clone()], keys, shares, shape);
    softmax(v, shares, shape);
    if let Some(mask) = mask {
        drop_shares(v, shares, first, place, shape, mask);
    }
    mix::<V, Q>(v, shares, values, &mut mixed[block], shape);
}

vectorized! {
    /// From ∂L/∂y to ∂L/∂x.
    pub(in crate::train::kernels) backward = backward_body(x: &[f32], gradient: &[f32], by_x: &mut [f32], shape: Shape, mask: Option<Mask>)
}

#[inline(always)]
fn backward_body<V: Vectors>(v: V, x: &[f32], gradient: &[f32], by_x: &mut [f32], shape: Shape, mask: Option<Mask>) {
    let (block, rest) = (V::LANES * shape.units(), shape.tokens % QUERIES);
    let mut room = Room::new(v, shape, shape.tokens);
    let blocks = x.chunks(3 * block).zip(gradient.chunks(block)).zip(by_x.chunks_mut(3 * block));
    for (index, ((x, gradient), by_x)) in blocks.enumerate() {
        for head in 0..shape.heads {
            let place = Place { head, row: index * V::LANES };
            get_parts(v, &mut room.parts, x, place, shape);
            get(v, gradient, &mut room.mixed, (shape.heads, head), shape);
            room.pulls.iter_mut().for_each(|pull| pull.fill(v.all(0.0)));
            for first in (0..shape.tokens - rest).step_by(QUERIES) {
                backward_block::<V, QUERIES>(v, &mut room, first, place, shape, mask);
            }
            for first in shape.tokens - rest..shape.tokens {
                backward_block::<V, 1>(v, &mut room, first, place, shape, mask);
            }
            for (kind, pull) in room.pulls.iter().enumerate() {
                put(v, pull, by_x, (3 * shape.heads, kind * shape.heads + head), shape);
            }
        }
    }
}

#[inline(always)]
fn backward_block<V: Vectors, const Q: usize>(
    v: V,
    room: &mut Room<V>,
    first: usize,
    place: Place,
    shape: Shape,
    mask: Option<Mask>,
) {
    let Room { parts: [queries, keys, values], mixed, pulls: [by_queries, by_keys, by_values], .. } = room;
    let block = first * shape.width..(first + Q) * shape.width;
    let (queries, pull) = (&queries[block.clone()], &mixed[block.clone()]);
    let (shares, slopes) = (&mut room.shares[..Q * shape.tokens], &mut room.slopes[..Q * shape.tokens]);
    products::<V, Q>(v, queries, keys, shares, shape);
    softmax(v, shares, shape);
    products::<V, Q>(v, pull, values, slopes, shape);
    let given = match mask {
        Some(mask) => {
            let dropped = &mut room.dropped[..Q * shape.tokens];
            dropped.copy_from_slice(shares);
            drop_shares(v, dropped, first, place, shape, mask);
            drop_shares(v, slopes, first, place, shape, mask);
            &*dropped
        }
        None => &*shares,
    };
    accumulate::<V, Q>(v, given, pull, by_values, shape);
    softmax_backward(v, shares, slopes, shape);
    mix::<V, Q>(v, slopes, keys, &mut by_queries[block], shape);
    accumulate::<V, Q>(v, slopes, queries, by_keys, shape);
}

/// Which head, and the first of the rows.
#[derive(Clone, Copy)]
struct Place {
    head: usize,
    row: usize,
}

/// What one head of some rows needs.
struct Room<V: Vectors> {
    /// Queries, keys and values, `[token, width]`.
    parts: [Vec<V::Numbers>; 3],
    /// What they are mixed to, or its gradient, `[token, width]`.
    mixed: Vec<V::Numbers>,
    /// The gradients of the parts.
    pulls: [Vec<V::Numbers>; 3],
    /// Of a block of queries, `[query, token]`: the shares, what is left of them after dropout, and their gradient.
    shares: Vec<V::Numbers>,
    dropped: Vec<V::Numbers>,
    slopes: Vec<V::Numbers>,
}

impl<V: Vectors> Room<V> {
    /// With gradients of so many tokens.
    #[inline(always)]
    fn new(v: V, shape: Shape, learned: usize) -> Self {
        let of = |tokens: usize, each: usize| vec![v.all(0.0); tokens * each];
        Self {
            parts: from_fn(|_| of(shape.tokens, shape.width)),
            mixed: of(shape.tokens, shape.width),
            pulls: from_fn(|_| of(learned, shape.width)),
            shares: of(shape.tokens, QUERIES),
            dropped: of(learned, QUERIES),
            slopes: of(learned, QUERIES),
        }
    }
}

/// Queries, keys and values.
#[inline(always)]
fn get_parts<V: Vectors>(v: V, parts: &mut [Vec<V::Numbers>; 3], x: &[f32], place: Place, shape: Shape) {
    for (kind, part) in parts.iter_mut().enumerate() {
        get(v, x, part, (3 * shape.heads, kind * shape.heads + place.head), shape);
    }
}

/// One of so many parts of every token of rows `[token, part, width]`: `[token, width, row]`. Rows that are not there keep
/// what was there before, which nobody reads.
#[inline(always)]
fn get<V: Vectors>(v: V, x: &[f32], part: &mut [V::Numbers], (parts, which): (usize, usize), shape: Shape) {
    let width = shape.width;
    let numbers = v.singly_mut(part);
    for (lane, row) in x.chunks_exact(shape.tokens * parts * width).enumerate() {
        let tokens = numbers.chunks_exact_mut(width * V::LANES).zip(row.chunks_exact(parts * width));
        for (numbers, token) in tokens {
            let token = &token[which * width..][..width];
            for (numbers, x) in numbers.chunks_exact_mut(V::LANES).zip(token) {
                numbers[lane] = *x;
            }
        }
    }
}

/// What [`get`] takes, put back.
#[inline(always)]
fn put<V: Vectors>(v: V, part: &[V::Numbers], x: &mut [f32], (parts, which): (usize, usize), shape: Shape) {
    let width = shape.width;
    let numbers = v.singly(part);
    for (lane, row) in x.chunks_exact_mut(shape.tokens * parts * width).enumerate() {
        let tokens = numbers.chunks_exact(width * V::LANES).zip(row.chunks_exact_mut(parts * width));
        for (numbers, token) in tokens {
            let token = &mut token[which * width..][..width];
            for (numbers, x) in numbers.chunks_exact(V::LANES).zip(token) {
                *x = numbers[lane];
            }
        }
    }
}

/// out[query, token] = left[query] · right[token]
#[inline(always)]
fn products<V: Vectors, const Q: usize>(
    v: V,
    left: &[V::Numbers],
    right: &[V::Numbers],
    out: &mut [V::Numbers],
    shape: Shape,
) {
    let Shape { tokens, width, .. } = shape;
    let rest = tokens % BESIDE;
    for token in (0..tokens - rest).step_by(BESIDE) {
        products_of::<V, Q, BESIDE>(v, left, &right[token * width..], &mut out[token..], shape);
    }
    for token in tokens - rest..tokens {
        products_of::<V, Q, 1>(v, left, &right[token * width..], &mut out[token..], shape);
    }
}

/// Those of `T` tokens.
#[inline(always)]
fn products_of<V: Vectors, const Q: usize, const T: usize>(
    v: V,
    left: &[V::Numbers],
    right: &[V::Numbers],
    out: &mut [V::Numbers],
    shape: Shape,
) {
    let Shape { tokens, width, .. } = shape;
    let left: [&[V::Numbers]; Q] = from_fn(|query| &left[query * width..][..width]);
    let right: [&[V::Numbers]; T] = from_fn(|token| &right[token * width..][..width]);
    let mut sums = [[v.all(0.0); T]; Q];
    for place in 0..width {
        let right: [V::Numbers; T] = from_fn(|token| right[token][place]);
        for (sums, left) in sums.iter_mut().zip(left) {
            let left = left[place];
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = v.fma(left, right, *sum);
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        out[query * tokens..][..T].copy_from_slice(sums);
    }
}

/// out[query] = Σ shares[query, token] · parts[token]
#[inline(always)]
fn mix<V: Vectors, const Q: usize>(
    v: V,
    shares: &[V::Numbers],
    parts: &[V::Numbers],
    out: &mut [V::Numbers],
    shape: Shape,
) {
    let rest = shape.width % BESIDE;
    for place in (0..shape.width - rest).step_by(BESIDE) {
        mix_of::<V, Q, BESIDE>(v, shares, &parts[place..], &mut out[place..], shape);
    }
    for place in shape.width - rest..shape.width {
        mix_of::<V, Q, 1>(v, shares, &parts[place..], &mut out[place..], shape);
    }
}

/// `P` numbers of each.
#[inline(always)]
fn mix_of<V: Vectors, const Q: usize, const P: usize>(
    v: V,
    shares: &[V::Numbers],
    parts: &[V::Numbers],
    out: &mut [V::Numbers],
    shape: Shape,
) {
    let Shape { tokens, width, .. } = shape;
    let shares: [&[V::Numbers]; Q] = from_fn(|query| &shares[query * tokens..][..tokens]);
    let mut sums = [[v.all(0.0); P]; Q];
    for (token, part) in parts.chunks(width).enumerate().take(tokens) {
        let part: [V::Numbers; P] = from_fn(|place| part[place]);
        for (sums, shares) in sums.iter_mut().zip(shares) {
            let share = shares[token];
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum = v.fma(share, part, *sum);
            }
        }
    }
    for (query, sums) in sums.iter().enumerate() {
        out[query * width..][..P].copy_from_slice(sums);
    }
}

/// out[token] += Σ shares[query, token] · parts[query]
#[inline(always)]
fn accumulate<V: Vectors, const Q: usize>(
    v: V,
    shares: &[V::Numbers],
    parts: &[V::Numbers],
    out: &mut [V::Numbers],
    shape: Shape,
) {
    let Shape { tokens, width, .. } = shape;
    let rest = tokens % BESIDE;
    for token in (0..tokens - rest).step_by(BESIDE) {
        accumulate_of::<V, Q, BESIDE>(v, &shares[token..], parts, &mut out[token * width..], shape);
    }
    for token in tokens - rest..tokens {
        accumulate_of::<V, Q, 1>(v, &shares[token..], parts, &mut out[token * width..], shape);
    }
}

/// Of `T` tokens.
#[inline(always)]
fn accumulate_of<V: Vectors, const Q: usize, const T: usize>(
    v: V,
    shares: &[V::Numbers],
    parts: &[V::Numbers],
    out: &mut [V::Numbers],
    shape: Shape,
) {
    let Shape { tokens, width, .. } = shape;
    let parts: [&[V::Numbers]; Q] = from_fn(|query| &parts[query * width..][..width]);
    let shares: [[V::Numbers; T]; Q] = from_fn(|query| from_fn(|token| shares[query * tokens + token]));
    let out = &mut out[..T * width];
    for place in 0..width {
        let mut sums: [V::Numbers; T] = from_fn(|token| out[token * width + place]);
        for (shares, part) in shares.iter().zip(parts) {
            let part = part[place];
            for (sum, share) in sums.iter_mut().zip(shares) {
                *sum = v.fma(*share, part, *sum);
            }
        }
        for (token, sum) in sums.into_iter().enumerate() {
            out[token * width + place] = sum;
        }
    }
}

/// Dropout of the shares of the queries from `first` on.
#[inline(always)]
fn drop_shares<V: Vectors>(v: V, shares: &mut [V::Numbers], first: usize, place: Place, shape: Shape, mask: Mask) {
    let Shape { heads, tokens, .. } = shape;
    let square = tokens * tokens;
    let places = v.places(((place.row * heads + place.head) * square + first * tokens) as u32, (heads * square) as u32);
    for (ahead, share) in shares.iter_mut().enumerate() {
        *share = v.drop(*share, mask, places, ahead as u32);
    }
}

/// 1 / √d
fn scale(width: usize) -> f32 {
    (width as f32).sqrt().recip()
}

/// softmax(scores / √d) of each query, in place.
#[inline(always)]
fn softmax<V: Vectors>(v: V, scores: &mut [V::Numbers], shape: Shape) {
    let scale = v.all(scale(shape.width));
    for scores in scores.chunks_exact_mut(shape.tokens) {
        let most = scores.iter().fold(v.all(f32::NEG_INFINITY), |most, x| v.larger(*x, most));
        let mut sum = v.all(0.0);
        for x in &mut *scores {
            // x·0 keeps NaN, which the exponential's range does not.
            *x = v.fma(*x, v.all(0.0), v.exp(v.mul(v.sub(*x, most), scale)));
            sum = v.add(sum, *x);
        }
        v.singly_mut(std::slice::from_mut(&mut sum)).iter_mut().for_each(|sum| *sum = sum.recip());
        scores.iter_mut().for_each(|x| *x = v.mul(*x, sum));
    }
}

/// The gradient by x of softmax(x / √d), in place of the gradient by the shares p: p · (g - Σ p·g) / √d.
#[inline(always)]
fn softmax_backward<V: Vectors>(v: V, shares: &[V::Numbers], gradient: &mut [V::Numbers], shape: Shape) {
    let scale = v.all(scale(shape.width));
    for (shares, gradient) in shares.chunks_exact(shape.tokens).zip(gradient.chunks_exact_mut(shape.tokens)) {
        let pairs = shares.iter().zip(&*gradient);
        let mean = pairs.fold(v.all(0.0), |mean, (share, gradient)| v.fma(*share, *gradient, mean));
        for (share, gradient) in shares.iter().zip(gradient) {
            *gradient = v.mul(v.mul(scale, *share), v.sub(*gradient, mean));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::{Any, Vectors};
    use super::{Mask, Shape, backward_body, forward_body};

    /// y and ∂L/∂x of rows that fill no whole number of vectors.
    fn of<V: Vectors>(v: V, shape: Shape, rows: usize, mask: Option<Mask>) -> (Vec<f32>, Vec<f32>) {
        let number = |place: usize| ((place * 37 % 101) as f32 - 50.0) / 40.0;
        let x: Vec<f32> = (0..3 * rows * shape.units()).map(number).collect();
        let gradient: Vec<f32> = (0..rows * shape.units()).map(|place| number(place + 11)).collect();
        let (mut y, mut by_x) = (vec![f32::NAN; gradient.len()], vec![f32::NAN; x.len()]);
        forward_body(v, &x, &mut y, shape, mask);
        backward_body(v, &x, &gradient, &mut by_x, shape, mask);
        (y, by_x)
    }

    fn agree(name: &str, found: &[f32], wanted: &[f32]) {
        for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!((found - wanted).abs() < 2e-5, "{name}, number {place}: {found}, not {wanted}");
        }
    }

    // The composed attention holds the kind that this processor chooses; the others are held against any processor's.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn every_kind_of_processor_attends_alike() {
        use super::super::vectors::{Avx2, Avx512};
        let drops = Mask { key: [0x1234_5678, 0x9ABC_DEF0], threshold: 1 << 30, scale: 4.0 / 3.0 };
        let shapes = [(2, 9, 3, 21), (1, 1, 1, 1), (3, 6, 8, 16), (1, 5, 2, 40)];
        for ((heads, tokens, width, rows), mask) in shapes.into_iter().flat_map(|s| [(s, None), (s, Some(drops))]) {
            let shape = Shape { heads, tokens, width };
            let (y, by_x) = of(Any, shape, rows, mask);
            let check = |name: &str, (found, found_by_x): (Vec<f32>, Vec<f32>)| {
                agree(&format!("{name}, y of {shape:?}, {rows} rows"), &found, &y);
                agree(&format!("{name}, gradient of {shape:?}, {rows} rows"), &found_by_x, &by_x);
            };
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has just been asked.
                check("avx512", of(unsafe { Avx512::new() }, shape, rows, mask));
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: as above.
                check("avx2", of(unsafe { Avx2::new() }, shape, rows, mask));
            }
        }
    }
}
