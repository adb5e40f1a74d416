//! Products of matrices so small that what a general product spends on packing and dispatching is most of it. They are inlined
//! into loops that are compiled for several instruction sets; every sum is taken in the order of its terms.

use super::curves::Level;

/// The numbers of a row that are computed at once are a multiple of this, and so is every row of a right factor and a result.
pub(super) const PADDING: usize = 8;

/// Rows that are computed at once: with 16 columns, as many sums as AVX2's registers hold beside the factors.
const ROWS: usize = 6;

/// The next multiple of [`PADDING`].
pub(super) fn padded(width: usize) -> usize {
    width.next_multiple_of(PADDING)
}

/// A left factor: its numbers, how many from row to row, and whether it is read transposed.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) stride: usize,
    pub(super) transposed: bool,
}

/// out ← left · right, `[rows, inner]` by `[inner, width]`, `width` being a multiple of [`PADDING`].
#[inline(always)]
pub(super) fn product<L: Level>(left: Left<'_>, right: &[f32], out: &mut [f32], inner: usize, width: usize) {
    let mut row = 0;
    for rows in out.chunks_mut(ROWS * width) {
        let count = rows.len() / width;
        if count == ROWS {
            across::<L, ROWS>(left, row, right, rows, inner, width);
        } else {
            for (more, out) in rows.chunks_exact_mut(width).enumerate() {
                across::<L, 1>(left, row + more, right, out, inner, width);
            }
        }
        row += count;
    }
}

/// `R` rows of a product.
#[inline(always)]
fn across<L: Level, const R: usize>(
    left: Left<'_>,
    row: usize,
    right: &[f32],
    out: &mut [f32],
    inner: usize,
    width: usize,
) {
    let mut column = 0;
    while column + 16 <= width {
        tile::<L, R, 16>(left, row, &right[column..], &mut out[column..], inner, width);
        column += 16;
    }
    while column + PADDING <= width {
        tile::<L, R, PADDING>(left, row, &right[column..], &mut out[column..], inner, width);
        column += PADDING;
    }
}

/// `R` rows and `N` columns of a product.
#[inline(always)]
fn tile<L: Level, const R: usize, const N: usize>(
    left: Left<'_>,
    row: usize,
    right: &[f32],
    out: &mut [f32],
    inner: usize,
    width: usize,
) {
    let mut sums = [[0.0_f32; N]; R];
    let rights = right.chunks(width);
    if left.transposed {
        let lefts = left.numbers.chunks(left.stride);
        for (left, right) in lefts.zip(rights).take(inner) {
            add::<L, R, N>(std::array::from_fn(|at| left[row + at]), right, &mut sums);
        }
    } else {
        let lefts: [&[f32]; R] = std::array::from_fn(|at| &left.numbers[(row + at) * left.stride..][..inner]);
        for (place, right) in rights.enumerate().take(inner) {
            add::<L, R, N>(std::array::from_fn(|at| lefts[at][place]), right, &mut sums);
        }
    }
    for (sums, out) in sums.iter().zip(out.chunks_mut(width)) {
        out[..N].copy_from_slice(sums);
    }
}

#[inline(always)]
fn add<L: Level, const R: usize, const N: usize>(left: [f32; R], right: &[f32], sums: &mut [[f32; N]; R]) {
    let right = &right[..N];
    for (left, sums) in left.iter().zip(sums) {
        for (sum, right) in sums.iter_mut().zip(right) {
            *sum = L::fma(*left, *right, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::{Left, padded, product};
    use crate::train::kernels::loops::curves::{Fused, Plain};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn a_small_product_is_its_definition(m in 1_usize..30, k in 1_usize..30, n in 1_usize..40, transposed: bool) {
            let number = |place: usize| ((place * 37 % 19) as f32 - 9.0) / 8.0;
            let width = padded(n);
            let left: Vec<f32> = (0..m * k).map(number).collect();
            let right: Vec<f32> = (0..k * width).map(|place| number(place + 5)).collect();
            let given = Left { numbers: &left, stride: if transposed { m } else { k }, transposed };
            let (mut fused, mut plain) = (vec![f32::NAN; m * width], vec![f32::NAN; m * width]);
            product::<Fused>(given, &right, &mut fused, k, width);
            product::<Plain>(given, &right, &mut plain, k, width);
            for place in 0..m * width {
                let (row, column) = (place / width, place % width);
                let of_left = |inner: usize| f64::from(if transposed { left[inner * m + row] } else { left[row * k + inner] });
                let wanted: f64 = (0..k).map(|inner| of_left(inner) * f64::from(right[inner * width + column])).sum();
                for found in [fused[place], plain[place]] {
                    prop_assert!((f64::from(found) - wanted).abs() < 1e-5, "[{m}, {k}] · [{k}, {width}]");
                }
            }
        }
    }
}
