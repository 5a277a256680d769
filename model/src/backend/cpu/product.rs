//! The product of two matrices, on the calling thread.
//!
//! The right factor is packed into panels of a register tile's width, the left one into panels of its height. A left
//! factor with contiguous rows is read in place.

use std::cell::RefCell;
use std::ops::Range;

use super::matrix::{Matrix, Order, Store};
use super::tensor_view::put_values;
use super::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply as multiply_tile, with_kernel};
use super::transpose::transpose;
use super::vectorized;

/// `out = a b`, row after row, on this thread: each sum in one order, whatever the other threads do.
///
/// # Panics
/// If sizes disagree.
pub fn matrix_product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(a.cols, b.rows, "a product's inner sizes");
    assert_eq!(out.len(), a.rows * b.cols, "a product's outer size");
    with_kernel!(kernel => {
        multiply_packing(
            kernel,
            &Left::new(kernel, a),
            b.cols,
            |k, columns, panel| pack_panel(kernel, b, k, columns, panel),
            #[inline(always)]
            |row, columns, results, store| {
                put_values(&mut out[row * b.cols..][columns], results, store);
            },
        );
    });
}

/// A left factor, `rows x depth`, cut into blocks of a tile's height.
pub(super) enum Left<'a> {
    /// A matrix of contiguous rows.
    InPlace(Matrix<'a>),
    /// Block after block; in a block, `k` after `k`. The last block is filled up with zeros.
    Packed { values: Vec<f32>, rows: usize, depth: usize },
}

impl<'a> Left<'a> {
    /// Packs `a` where that is needed.
    pub(super) fn new<K: Kernel>(kernel: K, a: Matrix<'a>) -> Self {
        if a.order() == Order::Rows {
            return Self::InPlace(a);
        }
        Self::packed(kernel, a)
    }

    /// Packs `a`. Rows that are a large power of two apart, and are read more than a few times, are better packed:
    /// they take the same few places of the first cache.
    pub(super) fn packed<K: Kernel>(_: K, a: Matrix<'a>) -> Self {
        let mut values = vec![0.0; a.rows.next_multiple_of(K::ROWS) * a.cols];
        for (block, from) in values.chunks_mut((K::ROWS * a.cols).max(1)).zip((0..a.rows).step_by(K::ROWS)) {
            let rows = from..(from + K::ROWS).min(a.rows);
            match a.order() {
                Order::Rows => {
                    let (lines, stride) = a.lines_from(from);
                    vectorized(
                        #[inline(always)]
                        || transpose(lines, stride, rows.len(), a.cols, block, K::ROWS),
                    );
                }
                Order::Columns => {
                    for (k, to) in block.chunks_exact_mut(K::ROWS).enumerate() {
                        to[..rows.len()].copy_from_slice(a.line(k, rows.clone()));
                    }
                }
            }
        }
        Self::Packed { values, rows: a.rows, depth: a.cols }
    }

    fn rows(&self) -> usize {
        match self {
            Self::InPlace(a) => a.rows,
            Self::Packed { rows, .. } => *rows,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::InPlace(a) => a.cols,
            Self::Packed { depth, .. } => *depth,
        }
    }

    /// The block of rows that begins at `row`, from `k` on.
    fn block<K: Kernel>(&self, _: K, row: usize, k: usize) -> Rows<'_> {
        match self {
            Self::InPlace(a) => {
                let (values, stride) = a.lines_from(row);
                Rows { values: &values[k..], count: (a.rows - row).min(K::ROWS), stride, step: 1 }
            }
            Self::Packed { values, rows, depth } => Rows {
                values: &values[row * depth + k * K::ROWS..],
                count: (rows - row).min(K::ROWS),
                stride: 1,
                step: K::ROWS,
            },
        }
    }
}

/// A right factor, `depth x cols`: panel after panel of a tile's width; in a panel, `k` after `k`. The last panel is
/// filled up with zeros.
pub(super) struct Right {
    panels: Vec<f32>,
    offsets: Vec<u32>,
    cols: usize,
}

impl Right {
    /// Packs `b`.
    pub(super) fn new<K: Kernel>(kernel: K, b: Matrix<'_>) -> Self {
        let depth = b.rows;
        let mut panels = vec![0.0; b.cols.next_multiple_of(K::COLUMNS) * depth];
        let columns = (0..b.cols).step_by(K::COLUMNS);
        for (panel, from) in panels.chunks_mut((K::COLUMNS * depth).max(1)).zip(columns) {
            pack_panel(kernel, b, 0..depth, from..(from + K::COLUMNS).min(b.cols), panel);
        }
        Self { panels, offsets: (0..depth).map(|k| (k * K::COLUMNS) as u32).collect(), cols: b.cols }
    }
}

/// Writes the rows `k` of some columns of `b`, at most a panel's.
pub(super) fn pack_panel<K: Kernel>(
    _: K,
    b: Matrix<'_>,
    k: Range<usize>,
    columns: Range<usize>,
    panel: &mut [f32],
) {
    vectorized(
        #[inline(always)]
        || match b.order() {
            Order::Rows if columns.len() == K::COLUMNS => {
                for (k, to) in k.zip(panel.chunks_exact_mut(K::COLUMNS)) {
                    to.copy_from_slice(&b.line(k, columns.clone())[..K::COLUMNS]);
                }
            }
            Order::Rows => {
                for (k, to) in k.zip(panel.chunks_exact_mut(K::COLUMNS)) {
                    to[..columns.len()].copy_from_slice(b.line(k, columns.clone()));
                }
            }
            Order::Columns => {
                let (lines, stride) = b.lines_from(columns.start);
                transpose(&lines[k.start..], stride, columns.len(), k.len(), panel, K::COLUMNS);
            }
        },
    );
}

/// `left right`. The results of each range of `k` go to `put`: a row, some columns, their values, and whether they are
/// the first or to be added.
pub(super) fn multiply<K: Kernel>(
    kernel: K,
    left: &Left<'_>,
    right: &Right,
    mut put: impl FnMut(usize, Range<usize>, &[f32], Store),
) {
    let depth = right.offsets.len();
    assert!(left.depth() == depth, "the matrices don't fit");
    let len = depth * K::COLUMNS;
    for first in (0..right.cols).step_by(NEAR_PANELS * K::COLUMNS) {
        let panels = Panels {
            values: &right.panels[first * depth..],
            len,
            columns: first..right.cols.min(first + NEAR_PANELS * K::COLUMNS),
        };
        let mut from = 0;
        for block in Depth::blocks(&right.offsets) {
            let store = if from == 0 { Store::Overwrite } else { Store::Add };
            multiply_block(
                kernel,
                left,
                (from, block),
                &panels,
                #[inline(always)]
                |row, columns, results| put(row, columns, results, store),
            );
            from += block.len();
        }
    }
}

/// [`multiply`] for a right factor of which a part that fits into the second cache is packed at a time: `pack` writes the rows `k` of some columns, at most a panel's, [`Kernel::COLUMNS`] apart.
pub(super) fn multiply_packing<K: Kernel>(
    kernel: K,
    left: &Left<'_>,
    columns: usize,
    pack: impl Fn(Range<usize>, Range<usize>, &mut [f32]),
    mut put: impl FnMut(usize, Range<usize>, &[f32], Store),
) {
    PANELS.with_borrow_mut(|values| {
        let offsets: Vec<u32> = (0..left.depth()).map(|k| (k * K::COLUMNS) as u32).collect();
        for first in (0..columns).step_by(NEAR_PANELS * K::COLUMNS) {
            let columns = first..columns.min(first + NEAR_PANELS * K::COLUMNS);
            let mut from = 0;
            for block in Depth::blocks(&offsets) {
                let len = block.len() * K::COLUMNS;
                values.resize(values.len().max(NEAR_PANELS * len), 0.0);
                // Some rows of all panels at a time, so that rows are read in long runs.
                for k in (0..block.len()).step_by(PACKED_ROWS) {
                    let rows = from + k..from + block.len().min(k + PACKED_ROWS);
                    let panels = values.chunks_exact_mut(len).zip(columns.clone().step_by(K::COLUMNS));
                    for (panel, column) in panels {
                        let columns = column..columns.end.min(column + K::COLUMNS);
                        pack(rows.clone(), columns, &mut panel[k * K::COLUMNS..]);
                    }
                }
                let panels = Panels { values, len, columns: columns.clone() };
                let store = if from == 0 { Store::Overwrite } else { Store::Add };
                multiply_block(
                    kernel,
                    left,
                    (from, Depth::new(&offsets[..block.len()])),
                    &panels,
                    #[inline(always)]
                    |row, columns, results| put(row, columns, results, store),
                );
                from += block.len();
            }
        }
    });
}

/// Panels of a tile's width that stay in the second cache while all rows pass.
const NEAR_PANELS: usize = 8;

/// Rows that are packed at a time.
const PACKED_ROWS: usize = 16;

thread_local!(static PANELS: RefCell<Vec<f32>> = RefCell::default());

/// Packed columns: each panel is `len` values.
struct Panels<'a> {
    values: &'a [f32],
    len: usize,
    columns: Range<usize>,
}

/// The products of all rows with the columns of the panels, over one range of `k`.
fn multiply_block<K: Kernel>(
    kernel: K,
    left: &Left<'_>,
    (from, block): (usize, Depth<'_>),
    panels: &Panels<'_>,
    mut put: impl FnMut(usize, Range<usize>, &[f32]),
) {
    let mut sums = Sums::new();
    for row in (0..left.rows()).step_by(K::ROWS) {
        let rows = left.block(kernel, row, from);
        for (panel, column) in panels.columns.clone().step_by(K::COLUMNS).enumerate() {
            let columns = column..panels.columns.end.min(column + K::COLUMNS);
            let starts: [usize; VECTORS] = std::array::from_fn(|v| panel * panels.len + v * K::LANES);
            let starts = &starts[..columns.len().div_ceil(K::LANES)];
            multiply_tile(kernel, rows, panels.values, starts, block, &mut sums);
            vectorized(
                #[inline(always)]
                || {
                    for (i, sums) in sums.0.chunks_exact(K::COLUMNS).take(rows.count).enumerate() {
                        put(row + i, columns.clone(), &sums[..columns.len()]);
                    }
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::MatrixMut;
    use super::*;

    /// Every order of the factors at sizes around those of the tiles and of what is packed, against the definition.
    #[test]
    fn products_agree_with_their_definition() {
        for (m, n, k) in
            [(1, 1, 1), (6, 16, 8), (7, 17, 9), (13, 3, 300), (80, 40, 5), (5, 520, 33), (4, 3, 520)]
        {
            let values = |seed: usize, n: usize| -> Vec<f32> {
                (0..n).map(|i| ((i * 7919 + seed) % 1013) as f32 / 506.5 - 1.0).collect()
            };
            // Rows are three values apart.
            let (a, a_t) = (values(1, m * (k + 3)), values(2, k * (m + 3)));
            let (b, b_t) = (values(3, k * (n + 3)), values(4, n * (k + 3)));
            let a = [Matrix::new(&a, m, k, k + 3), Matrix::new(&a_t, k, m, m + 3).t()];
            let b = [Matrix::new(&b, k, n, n + 3), Matrix::new(&b_t, n, k, k + 3).t()];
            for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (*a, *b))) {
                for store in [Store::Overwrite, Store::Add] {
                    let mut c = values(5, m * (n + 2));
                    let before = c.clone();
                    product(&mut MatrixMut::new(&mut c, m, n, n + 2), store, a, b);
                    let mut packing = before.clone();
                    product_packing(&mut MatrixMut::new(&mut packing, m, n, n + 2), store, a, b);
                    assert_eq!(c, packing, "{m} {n} {k}");
                    for (at, (found, before)) in c.iter().zip(before).enumerate() {
                        let (i, j) = (at / (n + 2), at % (n + 2));
                        if j >= n {
                            assert_eq!(*found, before, "a value outside the matrix changed");
                            continue;
                        }
                        let sum: f64 =
                            (0..k).map(|k| f64::from(at_of(a, i, k)) * f64::from(at_of(b, k, j))).sum();
                        let expected = if store == Store::Add { sum + f64::from(before) } else { sum };
                        assert!(
                            (f64::from(*found) - expected).abs() < 1e-4,
                            "{m} {n} {k}: {found}, not {expected}"
                        );
                    }
                }
            }
        }
    }

    fn product(c: &mut MatrixMut<'_>, store: Store, a: Matrix<'_>, b: Matrix<'_>) {
        with_kernel!(kernel => {
            multiply(kernel, &Left::new(kernel, a), &Right::new(kernel, b), |row, columns, results, later| {
                put_values(c.row_mut(row, columns), results, if store == Store::Add { store } else { later });
            });
        });
    }

    fn product_packing(c: &mut MatrixMut<'_>, store: Store, a: Matrix<'_>, b: Matrix<'_>) {
        with_kernel!(kernel => {
            let pack = |k, columns, panel: &mut [f32]| pack_panel(kernel, b, k, columns, panel);
            multiply_packing(kernel, &Left::new(kernel, a), b.cols, pack, |row, columns, results, later| {
                put_values(c.row_mut(row, columns), results, if store == Store::Add { store } else { later });
            });
        });
    }

    fn at_of(m: Matrix<'_>, i: usize, j: usize) -> f32 {
        match m.order() {
            Order::Rows => m.line(i, j..j + 1)[0],
            Order::Columns => m.line(j, i..i + 1)[0],
        }
    }

    #[test]
    fn column_blocks_make_up_the_whole() {
        let mut c = [0.0; 10];
        for (i, mut block) in MatrixMut::new(&mut c, 2, 5, 5).split_columns(2).into_iter().enumerate() {
            let value = [i as f32 + 1.0; 2];
            let cols = block.cols;
            product(&mut block, Store::Add, Matrix::new(&[1.0; 2], 2, 1, 1), Matrix::new(&value, 1, cols, 2));
        }
        assert_eq!(c, [1.0, 1.0, 2.0, 2.0, 3.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
    }
}
