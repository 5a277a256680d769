//! Strided matrices over slices, and their product by the `gemm` crate.

use std::marker::PhantomData;

use gemm::Parallelism;

/// A matrix to read.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix whose rows begin `stride` apart.
    pub(super) fn new(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            cols <= stride && extent(rows, cols, stride) <= data.len(),
            "the matrix reaches beyond its slice"
        );
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// The transpose.
    pub(super) fn t(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }

    /// The columns `from..to` of a row-major matrix.
    pub(super) fn columns(self, from: usize, to: usize) -> Self {
        assert!(self.col_stride == 1 && from <= to && to <= self.cols);
        Self::new(&self.data[from.min(self.data.len())..], self.rows, to - from, self.row_stride)
    }
}

/// A row-major matrix to write. Its columns can be split among threads, so it holds a pointer instead of a slice.
pub(super) struct MatrixMut<'a> {
    data: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `MatrixMut` is the only way to the elements that it spans (`new` borrows them mutably, `split_columns`
// makes disjoint parts), so to send it to another thread is to send a `&mut [f32]`.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// A row-major matrix whose rows begin `stride` apart.
    pub(super) fn new(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            cols <= stride && extent(rows, cols, stride) <= data.len(),
            "the matrix reaches beyond its slice"
        );
        Self { data: data.as_mut_ptr(), rows, cols, row_stride: stride, borrow: PhantomData }
    }

    /// Cuts the matrix into blocks of `width` columns; the last may be narrower.
    pub(super) fn split_columns(self, width: usize) -> Vec<Self> {
        let block = |from: usize| Self {
            // The offset is below `cols`, so within the first row.
            data: self.data.wrapping_add(from),
            rows: self.rows,
            cols: width.min(self.cols - from),
            row_stride: self.row_stride,
            borrow: PhantomData,
        };
        (0..self.cols).step_by(width).map(block).collect()
    }
}

/// What a product does with the values that its destination holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// Forgets them.
    Overwrite,
    /// Adds to them.
    Add,
}

/// `c = a b` or `c += a b`, on the calling thread.
pub(super) fn multiply(c: &mut MatrixMut<'_>, store: Store, a: Matrix<'_>, b: Matrix<'_>) {
    assert!(a.rows == c.rows && b.cols == c.cols && a.cols == b.rows, "the matrices don't fit");
    // SAFETY: each matrix was checked against its slice when it was made, the sizes agree, and `c` is borrowed
    // mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            c.rows,
            c.cols,
            a.cols,
            c.data,
            1,
            c.row_stride as isize,
            store == Store::Add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// How many elements a row-major matrix spans.
fn extent(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * stride + cols }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_views() {
        // [1 2; 3 4] and its transpose, within wider rows.
        let a = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let a = Matrix::new(&a, 2, 2, 3);
        let mut c = [0.5; 4];
        multiply(&mut MatrixMut::new(&mut c, 2, 2, 2), Store::Overwrite, a, a.t());
        assert_eq!(c, [5.0, 11.0, 11.0, 25.0]);
        multiply(&mut MatrixMut::new(&mut c, 2, 2, 2), Store::Add, a.columns(1, 2), a.columns(1, 2).t());
        assert_eq!(c, [9.0, 19.0, 19.0, 41.0]);
    }

    #[test]
    fn column_blocks_make_up_the_whole() {
        let mut c = [0.0; 10];
        for (i, mut block) in MatrixMut::new(&mut c, 2, 5, 5).split_columns(2).into_iter().enumerate() {
            let value = [i as f32 + 1.0];
            let ones = [1.0; 2];
            let cols = block.cols;
            multiply(
                &mut block,
                Store::Add,
                Matrix::new(&ones, 2, 1, 1),
                Matrix::new(&[value[0]; 2], 1, cols, 2),
            );
        }
        assert_eq!(c, [1.0, 1.0, 2.0, 2.0, 3.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
    }
}
