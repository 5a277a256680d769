//! Linear layers: three products of matrices of single precision, whose factors are rounded to bf16 as they are packed.

use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Engine, Left, SIDE, STEP, TILE, multiply};
use super::{narrowed, pair};
use crate::backend::cpu::matrix::{Matrix, MatrixMut, Order};
use crate::backend::cpu::tensor_view::{put, written_or_added};
use crate::backend::cpu::transpose::transpose;
use crate::backend::cpu::{Precision, precision, vectorized};

/// Columns of a part of the work.
const PART_COLUMNS: usize = 8 * SIDE;
/// Rows of a part of the work.
const PART_ROWS: usize = 4 * SIDE;

/// What multiplies, if this thread's precision is bf16 and the machine has it.
pub(in super::super) fn engine() -> Option<Engine> {
    Engine::detect().filter(|_| precision() == Precision::Bf16)
}

/// `y = x W^T + b`, row after row.
pub(in super::super) fn forward(
    engine: Engine,
    inputs: usize,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let (x, weight) = (Matrix::of_rows(x, inputs), Matrix::of_rows(weight, inputs).t());
    let parts = MatrixMut::new(y, x.rows, weight.cols, weight.cols).split_columns(PART_COLUMNS);
    multiply_columns(engine, &Rows::new(x), weight, parts, |part, y, row, column, sums| {
        let y = y.row_mut(row, column..column + sums.len());
        y.copy_from_slice(sums);
        if let Some(bias) = bias {
            let bias = &bias[part * PART_COLUMNS + column..];
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
    });
}

/// `dW += dy^T x`, or makes it.
pub(in super::super) fn add_weight_gradient(
    engine: Engine,
    [batch, inputs, outputs]: [usize; 3],
    x: &[f32],
    grad_y: &[f32],
    grad: &mut Vec<f32>,
) {
    let grad_y = Rows::new(Matrix::new(grad_y, batch, outputs, outputs).t());
    let x = Matrix::new(x, batch, inputs, inputs);
    let panel = grad_y.offsets.len() * TILE;
    let mut panels = vec![0u32; inputs.div_ceil(SIDE) * panel];
    panels.par_chunks_mut(PART_COLUMNS / SIDE * panel).enumerate().for_each(|(part, panels)| {
        vectorized(
            #[inline(always)]
            || pack(x, part * PART_COLUMNS..inputs.min((part + 1) * PART_COLUMNS), panels, panel),
        );
    });
    // SAFETY: the product's results are all of the weight's elements.
    unsafe {
        written_or_added(grad, outputs * inputs, |grad, store| {
            let parts =
                grad.par_chunks_mut(PART_ROWS * inputs).zip(grad_y.starts.par_chunks(PART_ROWS / SIDE));
            parts.for_each(|(grad, starts)| {
                let left = Left { starts, ..grad_y.left() };
                multiply(engine, &left, &panels, |tile, column, sums| {
                    let (width, rows) = (sums.len() / SIDE, grad.len() / inputs - tile * SIDE);
                    for (r, sums) in sums.chunks_exact(width).take(rows).enumerate() {
                        let sums = &sums[..width.min(inputs - column)];
                        put(&mut grad[(tile * SIDE + r) * inputs + column..], 1, sums, store);
                    }
                });
            });
        });
    }
}

/// `dx += dy W`.
pub(in super::super) fn add_input_gradient(
    engine: Engine,
    [batch, inputs, outputs]: [usize; 3],
    weight: &[f32],
    grad_y: &[f32],
    grad_x: &mut [f32],
) {
    let grad_y = Rows::new(Matrix::new(grad_y, batch, outputs, outputs));
    let weight = Matrix::new(weight, outputs, inputs, inputs);
    let parts = MatrixMut::new(grad_x, batch, inputs, inputs).split_columns(PART_COLUMNS);
    multiply_columns(engine, &grad_y, weight, parts, |_, grad, row, column, sums| {
        let to = grad.row_mut(row, column..column + sums.len()).iter_mut();
        to.zip(sums).for_each(|(to, sum)| *to += sum);
    });
}

/// A left factor as rows of halves.
struct Rows {
    halves: Vec<u16>,
    starts: Vec<usize>,
    row: usize,
    offsets: Vec<u32>,
    rows: usize,
}

impl Rows {
    /// Rounds a matrix.
    fn new(a: Matrix<'_>) -> Self {
        // Rows are an odd number of cache lines apart, lest they share cache sets.
        let row = (a.cols.div_ceil(STEP) | 1) * STEP;
        let tiles = a.rows.div_ceil(SIDE);
        let mut halves = vec![0; tiles * SIDE * row];
        halves.par_chunks_mut(SIDE * row).enumerate().for_each(|(tile, to)| {
            let rows = tile * SIDE..a.rows.min((tile + 1) * SIDE);
            vectorized(
                #[inline(always)]
                || match a.order() {
                    Order::Rows => {
                        for (row, to) in rows.zip(to.chunks_exact_mut(row)) {
                            round(a.line(row, 0..a.cols), to);
                        }
                    }
                    Order::Columns => {
                        let mut lines = [0.0; TILE];
                        let words: &mut [f32] = bytemuck::cast_slice_mut(to);
                        for from in (0..a.cols).step_by(STEP) {
                            pack_lines(a.t(), from..a.cols.min(from + STEP), rows.clone(), &mut lines);
                            transpose(&lines, SIDE, SIDE, SIDE, &mut words[from / 2..], row / 2);
                        }
                    }
                },
            );
        });
        let offsets = (0..a.cols.div_ceil(STEP)).map(|step| (step * STEP) as u32).collect();
        let starts = (0..tiles).map(|tile| tile * SIDE * row).collect();
        Self { halves, starts, row, offsets, rows: a.rows }
    }

    fn left(&self) -> Left<'_> {
        Left { halves: &self.halves, starts: &self.starts, row: self.row, offsets: &self.offsets }
    }
}

/// `a b`, some columns to each part. `put` gets a part's number and itself, and a row, the first of some columns in the part,
/// and their values.
fn multiply_columns<T: Send>(
    engine: Engine,
    a: &Rows,
    b: Matrix<'_>,
    parts: Vec<T>,
    put: impl Fn(usize, &mut T, usize, usize, &[f32]) + Sync,
) {
    let panel = a.offsets.len() * TILE;
    let left = a.left();
    parts.into_par_iter().enumerate().for_each(|(part, mut to)| {
        let columns = part * PART_COLUMNS..b.cols.min((part + 1) * PART_COLUMNS);
        let mut panels = vec![0u32; columns.len().div_ceil(SIDE) * panel];
        vectorized(
            #[inline(always)]
            || pack(b, columns.clone(), &mut panels, panel),
        );
        multiply(engine, &left, &panels, |tile, column, sums| {
            let width = sums.len() / SIDE;
            for (r, sums) in sums.chunks_exact(width).take(a.rows - tile * SIDE).enumerate() {
                put(part, &mut to, tile * SIDE + r, column, &sums[..width.min(columns.len() - column)]);
            }
        });
    });
}

/// Writes panels of some columns of `b`, in the order in which `b` is read in long runs.
#[inline(always)]
fn pack(b: Matrix<'_>, columns: Range<usize>, panels: &mut [u32], panel: usize) {
    let depth = |from: usize| from..b.rows.min(from + STEP);
    let panels = panels.chunks_exact_mut(panel).zip(columns.clone().step_by(SIDE));
    let mut panels: Vec<_> =
        panels.map(|(panel, first)| (panel, first..columns.end.min(first + SIDE))).collect();
    match b.order() {
        Order::Rows => {
            for (step, from) in (0..b.rows).step_by(STEP).enumerate() {
                for (panel, columns) in &mut panels {
                    let tile: &mut [f32] = bytemuck::cast_slice_mut(&mut panel[step * TILE..][..TILE]);
                    pack_lines(b, depth(from), columns.clone(), tile.try_into().expect("a tile"));
                }
            }
        }
        Order::Columns => {
            let mut rounded = [0u16; SIDE * STEP];
            for (panel, columns) in panels {
                for (tile, from) in panel.chunks_exact_mut(TILE).zip((0..b.rows).step_by(STEP)) {
                    if depth(from).len() < STEP {
                        rounded.fill(0);
                    }
                    for (column, to) in columns.clone().zip(rounded.chunks_exact_mut(STEP)) {
                        round(b.line(column, depth(from)), to);
                    }
                    let tile = bytemuck::cast_slice_mut(tile);
                    transpose(bytemuck::cast_slice(&rounded), SIDE, SIDE, SIDE, tile, SIDE);
                }
            }
        }
    }
}

/// Pairs of neighbouring rows of a matrix, one pair after the other: a right tile, or a left one's transpose.
#[inline(always)]
fn pack_lines(b: Matrix<'_>, depth: Range<usize>, columns: Range<usize>, to: &mut [f32; TILE]) {
    if depth.len() < STEP || columns.len() < SIDE {
        to.fill(0.0);
    }
    let len = columns.len();
    for (to, row) in to.chunks_exact_mut(SIDE).zip(depth.clone().step_by(2)) {
        let first = b.line(row, columns.clone());
        let zeros = [0.0; SIDE];
        let second = if row + 1 < depth.end { b.line(row + 1, columns.clone()) } else { &zeros[..len] };
        for ((to, first), second) in to.iter_mut().zip(first).zip(second) {
            *to = f32::from_bits(pair(narrowed(*first), narrowed(*second)));
        }
    }
}

#[inline(always)]
fn round(from: &[f32], to: &mut [u16]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = narrowed(*from));
}

#[cfg(test)]
mod tests {
    use super::super::tiles::Emulated;
    use super::super::widened;
    use super::*;

    fn noise(seed: usize, len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    /// `sum over k of a(i, k) b(k, j)`, of rounded factors.
    fn definition(
        [rows, columns, depth]: [usize; 3],
        a: impl Fn(usize, usize) -> f32,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let rounded = |value: f32| f64::from(widened(narrowed(value)));
        let sum = |i: usize, j: usize| (0..depth).map(|k| rounded(a(i, k)) * rounded(b(k, j))).sum();
        (0..rows * columns).map(|at| sum(at / columns, at % columns)).collect()
    }

    fn assert_close(found: &[f32], expected: impl IntoIterator<Item = f64>, what: &str) {
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{what}, {i}: {found}, not {expected}");
        }
    }

    #[test]
    fn all_three_products_agree_with_their_definition() {
        let sizes = [[1, 1, 1], [5, 33, 70], [16, 32, 64], [19, 40, 129], [40, 70, 17]];
        for (sizes, emulated) in
            sizes.into_iter().flat_map(|sizes| [(sizes, Emulated::Amx), (sizes, Emulated::DotProducts)])
        {
            let ([batch, inputs, outputs], engine) = (sizes, Engine::Loops(emulated));
            let (x, w, dy) =
                (noise(1, batch * inputs), noise(2, outputs * inputs), noise(3, batch * outputs));
            let (bias, before) = (noise(4, outputs), noise(5, outputs * inputs));
            let mut y = vec![f32::NAN; batch * outputs];
            forward(engine, inputs, &x, &w, Some(&bias), &mut y);
            let expected =
                definition([batch, outputs, inputs], |i, k| x[i * inputs + k], |k, j| w[j * inputs + k]);
            let biased = expected.iter().enumerate().map(|(i, sum)| sum + f64::from(bias[i % outputs]));
            assert_close(&y, biased, &format!("y of {sizes:?}"));

            let expected =
                definition([outputs, inputs, batch], |i, k| dy[k * outputs + i], |k, j| x[k * inputs + j]);
            for mut grad in [Vec::new(), before] {
                let old = grad.clone();
                add_weight_gradient(engine, sizes, &x, &dy, &mut grad);
                let sums = expected.iter().enumerate();
                let added = sums.map(|(i, sum)| sum + f64::from(old.get(i).copied().unwrap_or_default()));
                assert_close(&grad, added, &format!("dW of {sizes:?}"));
            }

            let mut grad_x = x.clone();
            add_input_gradient(engine, sizes, &w, &dy, &mut grad_x);
            let expected =
                definition([batch, inputs, outputs], |i, k| dy[i * outputs + k], |k, j| w[k * inputs + j]);
            let added = expected.iter().zip(&x).map(|(sum, x)| sum + f64::from(*x));
            assert_close(&grad_x, added, &format!("dx of {sizes:?}"));
        }
    }
}
