//! Products of matrices that lie in slices.

use std::ops::Range;

use gemm::Parallelism;

/// A matrix inside a slice: element (row, column) is `data[row * row_stride + column * column_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// The whole slice, row after row.
    ///
    /// # Panics
    /// If it is not a whole number of rows.
    pub(super) fn new(data: &'a [f32], columns: usize) -> Self {
        assert!(data.len().is_multiple_of(columns), "{} values in rows of {columns}", data.len());
        Self { data, rows: data.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        let Self { data, rows, columns, row_stride, column_stride } = self;
        Self { data, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// If there are not so many.
    pub(super) fn rows(self, range: Range<usize>) -> Self {
        assert!(range.start < range.end && range.end <= self.rows, "rows {range:?} of {}", self.rows);
        Self { data: &self.data[range.start * self.row_stride..], rows: range.len(), ..self }
    }
}

/// `out = a b`, row after row, on this thread: the same bits whatever the other threads do.
///
/// # Panics
/// If sizes disagree.
pub(super) fn multiply(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(a.columns, b.rows, "a product's inner sizes");
    assert_eq!(out.len(), a.rows * b.columns, "a product's outer size");
    // SAFETY: `out` is a whole row-major matrix of a.rows x b.columns (asserted), written and not read, and borrowed
    // mutably, so not aliased. Every element of a `Matrix` lies in its slice: `new` checks it, and `transposed` and `rows`
    // keep it.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            false,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let values = |n: usize| (0..n).map(|i| ((i * 37 + 11) % 23) as f32 - 11.0).collect::<Vec<_>>();
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (64, 10, 33), (17, 100, 2)] {
            let (a, b) = (values(m * k), values(k * n));
            let dot =
                |row: usize, column: usize| (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum::<f32>();
            let expected: Vec<f32> = (0..m * n).map(|at| dot(at / n, at % n)).collect();
            let mut out = vec![f32::NAN; m * n];
            multiply(&mut out, Matrix::new(&a, k), Matrix::new(&b, n));
            assert_eq!(out, expected, "{m} x {k} by {k} x {n}");

            // The transposed product, its last row alone.
            let last = n - 1..n;
            let mut out = vec![f32::NAN; m];
            multiply(&mut out, Matrix::new(&b, n).transposed().rows(last), Matrix::new(&a, k).transposed());
            assert_eq!(out, expected.chunks(n).map(|row| row[n - 1]).collect::<Vec<_>>());
        }
    }
}
