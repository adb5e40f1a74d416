//! The packed features of all rows that a harness serves, as a view.

use rayon::prelude::*;

/// Rows of features, one byte a cell: values 0..=4; missing is 2. Those of cross-validation come first; where the holdout
/// was opened, its rows follow, from a file of their own.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    width: usize,
    first: &'a [u8],
    then: &'a [u8],
}

impl<'a> Features<'a> {
    /// Rows of `width` bytes each, in two pieces.
    pub(crate) fn new(width: usize, first: &'a [u8], then: &'a [u8]) -> Self {
        Self { width, first, then }
    }

    /// How many features a row has.
    pub fn width(self) -> usize {
        self.width
    }

    /// One row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(self, row: usize) -> &'a [u8] {
        let start = row * self.width;
        match start.checked_sub(self.first.len()) {
            None => &self.first[start..start + self.width],
            Some(start) => &self.then[start..start + self.width],
        }
    }

    /// All rows in one piece, `[row, feature]`.
    pub fn to_vec(self) -> Vec<u8> {
        [self.first, self.then].concat()
    }

    /// All rows, in their order.
    pub fn par_rows(self) -> impl IndexedParallelIterator<Item = &'a [u8]> {
        let width = self.width.max(1);
        self.first.par_chunks_exact(width).chain(self.then.par_chunks_exact(width))
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::Features;

    #[test]
    fn rows_go_on_in_the_second_piece() {
        let features = Features::new(2, &[0, 1, 2, 3], &[4, 0]);
        let rows: Vec<&[u8]> = (0..3).map(|row| features.row(row)).collect();
        assert_eq!(rows, [&[0, 1], &[2, 3], &[4, 0]]);
        assert_eq!(features.par_rows().collect::<Vec<_>>(), rows);
        assert_eq!((features.to_vec(), features.width()), (vec![0, 1, 2, 3, 4, 0], 2));
    }
}
