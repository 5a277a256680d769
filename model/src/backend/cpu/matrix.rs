//! Strided matrices over slices.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix to read, contiguous along its rows or along its columns.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    stride: usize,
    order: Order,
}

/// Which neighbours are contiguous.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Those of a row.
    Rows,
    /// Those of a column: a transpose.
    Columns,
}

impl<'a> Matrix<'a> {
    /// A matrix of contiguous rows that begin `stride` apart.
    ///
    /// # Panics
    /// If it reaches beyond the slice.
    pub(super) fn new(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            cols <= stride && extent(rows, cols, stride) <= data.len(),
            "the matrix reaches beyond its slice"
        );
        Self { data, rows, cols, stride, order: Order::Rows }
    }

    /// The whole slice, in rows of `cols` values.
    ///
    /// # Panics
    /// If it is no whole number of rows.
    pub fn of_rows(data: &'a [f32], cols: usize) -> Self {
        assert!(data.len().is_multiple_of(cols), "{} values in rows of {cols}", data.len());
        Self::new(data, data.len() / cols, cols, cols)
    }

    /// The transpose.
    pub fn t(self) -> Self {
        let order = match self.order {
            Order::Rows => Order::Columns,
            Order::Columns => Order::Rows,
        };
        Self { rows: self.cols, cols: self.rows, order, ..self }
    }

    /// The columns `from..to` of a matrix of contiguous rows.
    pub(super) fn columns(self, from: usize, to: usize) -> Self {
        assert!(self.order == Order::Rows && from <= to && to <= self.cols);
        Self::new(&self.data[from.min(self.data.len())..], self.rows, to - from, self.stride)
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn rows(self, range: Range<usize>) -> Self {
        match self.order {
            Order::Rows => {
                Self::new(&self.data[range.start * self.stride..], range.len(), self.cols, self.stride)
            }
            Order::Columns => self.t().columns(range.start, range.end).t(),
        }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// The values from line `i` on, and how far lines are apart.
    pub(super) fn lines_from(&self, i: usize) -> (&'a [f32], usize) {
        (&self.data[i * self.stride..], self.stride)
    }

    /// Contiguous values: those of row `i` in `range`, or, of a transpose, those of column `i`.
    #[inline(always)]
    pub(super) fn line(&self, i: usize, range: Range<usize>) -> &'a [f32] {
        &self.data[i * self.stride..][range]
    }
}

/// A matrix of contiguous rows to write. Its columns can be split among threads, so it holds a pointer and no slice.
pub(super) struct MatrixMut<'a> {
    data: *mut f32,
    pub(super) rows: usize,
    pub(super) cols: usize,
    stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `MatrixMut` is the only way to the elements that it spans (`new` borrows them mutably, `split_columns`
// makes disjoint parts), so to send it to another thread is to send a `&mut [f32]`.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// A matrix of contiguous rows that begin `stride` apart.
    pub(super) fn new(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            cols <= stride && extent(rows, cols, stride) <= data.len(),
            "the matrix reaches beyond its slice"
        );
        Self { data: data.as_mut_ptr(), rows, cols, stride, borrow: PhantomData }
    }

    /// Cuts the matrix into blocks of `width` columns; the last may be narrower.
    pub(super) fn split_columns(self, width: usize) -> Vec<Self> {
        let block = |from: usize| Self {
            // The offset is below `cols`, so within the first row.
            data: self.data.wrapping_add(from),
            rows: self.rows,
            cols: width.min(self.cols - from),
            stride: self.stride,
            borrow: PhantomData,
        };
        (0..self.cols).step_by(width).map(block).collect()
    }

    /// A part of row `i`.
    #[inline(always)]
    pub(super) fn row_mut(&mut self, i: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(i < self.rows && columns.start <= columns.end && columns.end <= self.cols);
        // SAFETY: row `i` and these columns are inside the matrix, whose extent was checked against its slice, and the
        // elements belong to this matrix alone, which stays mutably borrowed.
        unsafe {
            std::slice::from_raw_parts_mut(self.data.add(i * self.stride + columns.start), columns.len())
        }
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

/// How many elements a matrix of contiguous rows spans.
fn extent(rows: usize, cols: usize, stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * stride + cols }
}
