//! The product of two matrices, on the calling thread.
//!
//! Two kernels share the work. Where both factors are contiguous along the summed index, as in `a b^T` of row-major
//! matrices, each result is a dot product and nothing is copied. Otherwise the factors are packed into strips and a
//! result is a sum of outer products. Both keep twelve vectors of eight results in registers.

use std::cell::RefCell;
use std::ops::Range;

use super::matrix::{Matrix, MatrixMut, Order, Store};
use super::vectorized;

/// `c = a b` or `c += a b`.
pub(super) fn multiply(c: &mut MatrixMut<'_>, store: Store, a: Matrix<'_>, b: Matrix<'_>) {
    assert!(a.rows == c.rows && b.cols == c.cols && a.cols == b.rows, "the matrices don't fit");
    if store == Store::Overwrite && a.cols == 0 {
        (0..c.rows).for_each(|i| c.row_mut(i, 0..c.cols).fill(0.0));
    }
    match (a.order(), b.order()) {
        (Order::Rows, Order::Columns) => vectorized(
            #[inline(always)]
            || dot_products(c, store, a, b),
        ),
        _ => PANELS.with_borrow_mut(|panels| {
            vectorized(
                #[inline(always)]
                || outer_products(c, store, a, b, panels),
            )
        }),
    }
}

/// Cuts `0..len` into blocks.
fn blocks(len: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(block).map(move |from| from..(from + block).min(len))
}

/// What the first block of a sum does with the destination; the others add.
fn store_of(block: &Range<usize>, store: Store) -> Store {
    if block.start == 0 { store } else { Store::Add }
}

/// Rows and columns of one tile of dot products, and the length that stays in the first cache.
const DOT_ROWS: usize = 4;
const DOT_COLUMNS: usize = 3;
const DOT_DEPTH: usize = 512;

#[inline(always)]
fn dot_products(c: &mut MatrixMut<'_>, store: Store, a: Matrix<'_>, b: Matrix<'_>) {
    for depth in blocks(a.cols, DOT_DEPTH) {
        let store = store_of(&depth, store);
        for columns in blocks(c.cols, DOT_COLUMNS) {
            // A tile at the edge repeats its last line; the repeated results are not stored.
            let b: [&[f32]; DOT_COLUMNS] =
                std::array::from_fn(|j| b.line((columns.start + j).min(columns.end - 1), depth.clone()));
            for rows in blocks(c.rows, DOT_ROWS) {
                let a: [&[f32]; DOT_ROWS] =
                    std::array::from_fn(|i| a.line((rows.start + i).min(rows.end - 1), depth.clone()));
                let tile = dot_tile(a, b);
                for (i, results) in rows.zip(&tile) {
                    put(c.row_mut(i, columns.clone()), results, store);
                }
            }
        }
    }
}

#[inline(always)]
fn dot_tile(a: [&[f32]; DOT_ROWS], b: [&[f32]; DOT_COLUMNS]) -> [[f32; DOT_COLUMNS]; DOT_ROWS] {
    const LANES: usize = 8;
    let (a_chunks, a_rest) = (a.map(|a| a.as_chunks::<LANES>().0), a.map(|a| a.as_chunks::<LANES>().1));
    let (b_chunks, b_rest) = (b.map(|b| b.as_chunks::<LANES>().0), b.map(|b| b.as_chunks::<LANES>().1));
    let chunks = a_chunks[0].len();
    let a_chunks = a_chunks.map(|a| &a[..chunks]);
    let b_chunks = b_chunks.map(|b| &b[..chunks]);

    let mut sums = [[[0.0f32; LANES]; DOT_COLUMNS]; DOT_ROWS];
    for chunk in 0..chunks {
        let b = [b_chunks[0][chunk], b_chunks[1][chunk], b_chunks[2][chunk]];
        for (sums, a) in sums.iter_mut().zip(a_chunks) {
            let a = a[chunk];
            for (sums, b) in sums.iter_mut().zip(&b) {
                for lane in 0..LANES {
                    sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
                }
            }
        }
    }
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let [s0, s1, s2, s3, s4, s5, s6, s7] = sums[i][j];
            let rest: f32 = a_rest[i].iter().zip(b_rest[j]).map(|(a, b)| a * b).sum();
            ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)) + rest
        })
    })
}

/// Rows and columns of one tile of outer products; rows, columns and depth of what is packed at a time.
const TILE_ROWS: usize = 6;
const TILE_COLUMNS: usize = 16;
const PACKED_ROWS: usize = 72;
const PACKED_COLUMNS: usize = 512;
const PACKED_DEPTH: usize = 256;

/// A thread's packed strips of both factors, kept from call to call.
#[derive(Default)]
struct Panels {
    a: Vec<[f32; TILE_ROWS]>,
    b: Vec<[f32; TILE_COLUMNS]>,
}

thread_local!(static PANELS: RefCell<Panels> = RefCell::default());

#[inline(always)]
fn outer_products(c: &mut MatrixMut<'_>, store: Store, a: Matrix<'_>, b: Matrix<'_>, panels: &mut Panels) {
    for columns in blocks(c.cols, PACKED_COLUMNS) {
        for depth in blocks(a.cols, PACKED_DEPTH) {
            let store = store_of(&depth, store);
            pack(&mut panels.b, b.t(), columns.clone(), depth.clone());
            for rows in blocks(c.rows, PACKED_ROWS) {
                pack(&mut panels.a, a, rows.clone(), depth.clone());
                for (b, columns) in panels.b.chunks(depth.len()).zip(strips::<TILE_COLUMNS>(&columns)) {
                    for (a, rows) in panels.a.chunks(depth.len()).zip(strips::<TILE_ROWS>(&rows)) {
                        let tile = outer_tile(a, b);
                        for (i, results) in rows.zip(&tile) {
                            put(c.row_mut(i, columns.clone()), results, store);
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn outer_tile(a: &[[f32; TILE_ROWS]], b: &[[f32; TILE_COLUMNS]]) -> [[f32; TILE_COLUMNS]; TILE_ROWS] {
    let mut sums = [[0.0f32; TILE_COLUMNS]; TILE_ROWS];
    for (a, b) in a.iter().zip(b) {
        for i in 0..TILE_ROWS {
            for j in 0..TILE_COLUMNS {
                sums[i][j] = a[i].mul_add(b[j], sums[i][j]);
            }
        }
    }
    sums
}

/// The parts of a range that a strip of `N` lines holds each.
fn strips<const N: usize>(range: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.clone().step_by(N).map(move |from| from..(from + N).min(end))
}

/// Packs the rows `rows` and columns `depth` of `m`, a strip of `N` rows after the other; within a strip, column after
/// column. A last strip that is not full is filled up with zeros.
#[inline(always)]
fn pack<const N: usize>(panel: &mut Vec<[f32; N]>, m: Matrix<'_>, rows: Range<usize>, depth: Range<usize>) {
    panel.clear();
    panel.resize(rows.len().div_ceil(N) * depth.len(), [0.0; N]);
    for (strip, rows) in panel.chunks_mut(depth.len()).zip(strips::<N>(&rows)) {
        match m.order() {
            Order::Rows => {
                for (i, row) in rows.enumerate() {
                    let values = m.line(row, depth.clone());
                    strip.iter_mut().zip(values).for_each(|(to, value)| to[i] = *value);
                }
            }
            Order::Columns if rows.len() == N => {
                for (to, column) in strip.iter_mut().zip(depth.clone()) {
                    to.copy_from_slice(m.line(column, rows.clone()));
                }
            }
            Order::Columns => {
                for (to, column) in strip.iter_mut().zip(depth.clone()) {
                    to[..rows.len()].copy_from_slice(m.line(column, rows.clone()));
                }
            }
        }
    }
}

/// Stores results; a tile at the edge has more of them than there are places.
#[inline(always)]
fn put(to: &mut [f32], results: &[f32], store: Store) {
    match store {
        Store::Overwrite => to.copy_from_slice(&results[..to.len()]),
        Store::Add => to.iter_mut().zip(results).for_each(|(to, result)| *to += result),
    }
}

#[cfg(test)]
mod tests {
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
                    multiply(&mut MatrixMut::new(&mut c, m, n, n + 2), store, a, b);
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
            multiply(
                &mut block,
                Store::Add,
                Matrix::new(&[1.0; 2], 2, 1, 1),
                Matrix::new(&value, 1, cols, 2),
            );
        }
        assert_eq!(c, [1.0, 1.0, 2.0, 2.0, 3.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
    }
}
