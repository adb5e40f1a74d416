//! The little linear algebra that the belief needs: Cholesky and triangular solves of small dense matrices.

/// A lower triangular matrix L with L·Lᵀ = A, row by row.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Decomposes a symmetric, positive definite matrix, of which only the lower triangle is read. What rounding has
    /// pushed below zero on the diagonal is lifted to `floor`.
    pub(super) fn of(matrix: &[Vec<f64>], floor: f64) -> Self {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
        for (i, row) in matrix.iter().enumerate() {
            let mut made: Vec<f64> = Vec::with_capacity(i + 1);
            for (j, value) in row.iter().enumerate().take(i) {
                let sum = value - dot(&made[..j], &rows[j][..j]);
                made.push(sum / rows[j][j]);
            }
            let diagonal = row[i] - dot(&made, &made);
            made.push(diagonal.max(floor).sqrt());
            rows.push(made);
        }
        Self { rows }
    }

    /// x with L·x = b.
    pub(super) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(b.len());
        for (row, value) in self.rows.iter().zip(b) {
            let known = x.len();
            x.push((value - dot(&row[..known], &x)) / row[known]);
        }
        x
    }

    /// Half of ln det A.
    pub(super) fn log_root_determinant(&self) -> f64 {
        self.rows.iter().filter_map(|row| row.last()).map(|last| last.ln()).sum()
    }

    /// L·z.
    pub(super) fn times(&self, z: &[f64]) -> Vec<f64> {
        self.rows.iter().map(|row| dot(row, &z[..row.len()])).collect()
    }
}

/// The scalar product.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decomposition_and_solve_by_hand() {
        // The textbook's matrix: L = [[2,0,0],[6,1,0],[-8,5,3]].
        let matrix = vec![vec![4.0, 12.0, -16.0], vec![12.0, 37.0, -43.0], vec![-16.0, -43.0, 98.0]];
        let factor = Cholesky::of(&matrix, 1e-12);
        assert_eq!(factor.rows, [vec![2.0], vec![6.0, 1.0], vec![-8.0, 5.0, 3.0]]);
        assert_eq!(factor.forward(&[2.0, 7.0, 0.0]), [1.0, 1.0, 1.0]);
        assert_eq!(factor.times(&[1.0, 1.0, 1.0]), [2.0, 7.0, 0.0]);
        assert!((factor.log_root_determinant() - 6.0_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn a_singular_matrix_is_no_trouble() {
        let factor = Cholesky::of(&[vec![1.0, 1.0], vec![1.0, 1.0]], 1e-9);
        assert!(factor.forward(&[1.0, 2.0]).iter().all(|value| value.is_finite()));
    }
}
