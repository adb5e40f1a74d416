//! Matrix products of one replica on one thread, into buffers that are there already.
#![expect(unsafe_code, reason = "the gemm crate takes pointers and strides")]

/// A matrix for reading: its numbers, row-major, and whether it is read transposed.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    cols: usize,
    /// Numbers from row to row.
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `[rows, cols]`, row-major.
    ///
    /// # Panics
    /// When there are not as many numbers as the shape says: what follows reads them unchecked.
    pub(in crate::train) fn new(numbers: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(numbers.len(), rows * cols, "a matrix [{rows}, {cols}]");
        Self { numbers, rows, cols, stride: cols, transposed: false }
    }

    /// `[rows, cols]`, the first columns of rows that are `stride` numbers long; the last row may end with its last column.
    ///
    /// # Panics
    /// When the rows do not lie in the numbers.
    pub(in crate::train::kernels) fn strided(numbers: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(lies_inside(numbers.len(), rows, cols, stride), "[{rows}, {cols}], {stride} numbers from row to row");
        Self { numbers, rows, cols, stride, transposed: false }
    }

    /// The same numbers read as `[cols, rows]`.
    pub(in crate::train) fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// Rows, columns, and the strides from column to column and from row to row.
    fn layout(&self) -> (usize, usize, isize, isize) {
        if self.transposed {
            (self.cols, self.rows, self.stride as isize, 1)
        } else {
            (self.rows, self.cols, 1, self.stride as isize)
        }
    }
}

/// out ← a · b, row-major. `out` may hold anything.
pub(in crate::train) fn product(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    let stride = b.layout().1;
    multiply(a, b, (out, stride), false);
}

/// out ← a · b, into the first columns of rows that are `stride` numbers long.
pub(in crate::train::kernels) fn product_strided(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], stride: usize) {
    multiply(a, b, (out, stride), false);
}

/// out ← out + a · b, row-major.
pub(in crate::train::kernels) fn accumulate(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    let stride = b.layout().1;
    multiply(a, b, (out, stride), true);
}

/// Whether a matrix whose rows begin `stride` numbers apart lies in so many numbers.
fn lies_inside(numbers: usize, rows: usize, cols: usize, stride: usize) -> bool {
    cols <= stride && rows.checked_sub(1).is_none_or(|before| before * stride + cols <= numbers)
}

fn multiply(a: Matrix<'_>, b: Matrix<'_>, (out, stride): (&mut [f32], usize), adds: bool) {
    let (m, k, a_col, a_row) = a.layout();
    let (inner, n, b_col, b_row) = b.layout();
    let fits = inner == k && lies_inside(out.len(), m, n, stride);
    assert!(fits, "[{m}, {k}] · [{inner}, {n}] into {} numbers, {stride} from row to row", out.len());
    // SAFETY: both operands lie in their numbers (`Matrix::new`, `Matrix::strided`) and the result in `out`, checked above; the
    // strides are those of row-major matrices that lie there, so every address lies inside. `out` is borrowed mutably, so it
    // overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            adds,
            a.numbers.as_ptr(),
            a_col,
            a_row,
            b.numbers.as_ptr(),
            b_col,
            b_row,
            // The factor of what `out` holds, read only where it adds.
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::{Matrix, accumulate, product};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn a_product_is_its_definition(m in 1_usize..40, k in 1_usize..40, n in 1_usize..40, flip in 0_u8..4) {
            let number = |place: usize| ((place * 37 % 19) as f32 - 9.0) / 8.0;
            let a: Vec<f32> = (0..m * k).map(number).collect();
            let b: Vec<f32> = (0..k * n).map(|place| number(place + 5)).collect();
            let (flip_a, flip_b) = (flip & 1 == 1, flip & 2 == 2);
            let left = if flip_a { Matrix::new(&a, k, m).transposed() } else { Matrix::new(&a, m, k) };
            let right = if flip_b { Matrix::new(&b, n, k).transposed() } else { Matrix::new(&b, k, n) };
            let mut out = vec![f32::NAN; m * n];
            product(left, right, &mut out);
            for (row, col) in (0..m).flat_map(|row| (0..n).map(move |col| (row, col))) {
                let of_a = |inner: usize| f64::from(if flip_a { a[inner * m + row] } else { a[row * k + inner] });
                let of_b = |inner: usize| f64::from(if flip_b { b[col * k + inner] } else { b[inner * n + col] });
                let wanted: f64 = (0..k).map(|inner| of_a(inner) * of_b(inner)).sum();
                prop_assert!((f64::from(out[row * n + col]) - wanted).abs() < 1e-5, "[{m}, {k}] · [{k}, {n}]");
            }
            let once = out.clone();
            accumulate(left, right, &mut out);
            prop_assert!(out.iter().zip(&once).all(|(twice, once)| (twice - 2.0 * once).abs() < 1e-5));
        }
    }
}
