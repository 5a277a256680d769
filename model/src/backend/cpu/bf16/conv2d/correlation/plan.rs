//! The work on some images: their frames, and the tiles of windows of each product.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::super::tiles::{Engine, Left, SIDE, STEP, multiply};
use super::super::super::{narrowed, widened};
use super::{Correlation, Product};
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::{sized, vectorized};

/// Halves of a frame, at most, unless one row of windows needs more.
const BAND: usize = 1 << 17;
/// Parts of the work, at least, where images share frames.
const MIN_GROUPS: usize = 4;

/// How images are divided, and how a frame's pixels lie.
pub(super) struct Plan<'w> {
    whole: &'w Correlation,
    products: Vec<PlannedProduct<'w>>,
    /// Images that share a frame: a tile's rows are theirs, if there is more than one.
    images: usize,
    /// Rows of windows, and those that share a frame.
    rows: usize,
    band: usize,
    /// Padded rows that are under a row of windows; halves of a row, and of an image.
    reach: usize,
    row: usize,
    image: usize,
}

struct PlannedProduct<'w> {
    product: &'w Product,
    /// Where the first window of each tile begins, those of a full band row after row, and how far the tile's are apart.
    starts: Vec<usize>,
    apart: usize,
    /// Tiles of a row of windows, and windows of a row from tile to tile.
    tiles: usize,
    across: usize,
    /// The offset of each step of depth.
    offsets: Vec<u32>,
}

impl<'w> Plan<'w> {
    pub(super) fn new(whole: &'w Correlation, images: usize) -> Self {
        let Correlation { source: [pixel, ..], stride, products, .. } = whole;
        let most = |of: fn(&Product) -> usize| products.iter().map(of).max().unwrap_or(0);
        let (rows, columns) = (most(|p| p.windows[0]), most(|p| p.windows[1]));
        let (reach, right) = (most(|p| p.origin[0] + p.taps[0]), most(|p| p.origin[1] + p.taps[1]));
        let row = (columns.saturating_sub(1) * stride + right) * pixel;
        // Which fills tiles better: windows of a row, or images, if there are enough for some parts of the work.
        let share = |count: usize| count as f64 / count.next_multiple_of(SIDE).max(1) as f64;
        let is_shared = images >= MIN_GROUPS * SIDE && share(images) > share(columns);
        let band = if is_shared { rows } else { (BAND / (row * stride).max(1)).clamp(1, rows.max(1)) };
        let height = band.saturating_sub(1) * stride + reach;
        // With room for a step beyond the last pixel; an odd number of cache lines apart, lest images share cache sets.
        let image = (((height * row).div_ceil(STEP) + 1) | 1) * STEP;
        let (across, apart) = if is_shared { (1, image) } else { (SIDE, stride * pixel) };
        let planned = |product: &'w Product| {
            let Product { taps, origin, windows, .. } = product;
            let start =
                |y: usize, x: usize| (y * stride + origin[0]) * row + (x * stride + origin[1]) * pixel;
            let run = (taps[1] * pixel).div_ceil(STEP);
            PlannedProduct {
                product,
                starts: (0..band.min(windows[0]))
                    .flat_map(|y| (0..windows[1]).step_by(across).map(move |x| start(y, x)))
                    .collect(),
                apart,
                tiles: windows[1].div_ceil(across),
                across,
                offsets: (0..taps[0])
                    .flat_map(|y| (0..run).map(move |step| (y * row + step * STEP) as u32))
                    .collect(),
            }
        };
        let products = products.iter().map(planned).collect();
        Self { whole, products, images: if is_shared { SIDE } else { 1 }, rows, band, reach, row, image }
    }

    /// Images that share a frame.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    /// Computes the results of so many images, or of fewer.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    pub(super) unsafe fn apply(&self, engine: Engine, x: &[u16], store: Store, y: &mut [MaybeUninit<u16>]) {
        FRAME.with_borrow_mut(|frame| {
            for from in (0..self.rows).step_by(self.band.max(1)) {
                let rows = from..self.rows.min(from + self.band);
                let frame = self.fill(&rows, x, frame);
                for product in &self.products {
                    // SAFETY: as the caller promises.
                    unsafe { product.compute(engine, self.whole.target, &rows, frame, (y, store)) }
                }
            }
        });
    }

    /// The frame of some rows of windows.
    fn fill<'a>(&self, rows: &Range<usize>, x: &[u16], frame: &'a mut Vec<u16>) -> &'a [u16] {
        let Correlation { source: [pixel, height, width], before, stride, .. } = *self.whole;
        let (row, zeros) = (self.row, before * pixel);
        let copied = (width * pixel).min(row.saturating_sub(zeros));
        // A tile may reach beyond the last window of its row, and a step beyond the last pixel. What the former reads has no
        // part in any result, but the latter meets zeros, and must be a number.
        let len = self.images * self.image + SIDE * stride * pixel + STEP;
        let frame = sized(frame, len);
        let padded = rows.start * stride..(rows.end - 1) * stride + self.reach;
        let images = x.chunks_exact(height * width * pixel).zip(frame.chunks_mut(self.image));
        for (x, frame) in images {
            for (at, to) in padded.clone().zip(frame.chunks_exact_mut(row)) {
                match at.checked_sub(before).filter(|at| *at < height) {
                    Some(at) => {
                        to[..zeros.min(row)].fill(0);
                        to[zeros.min(row)..][..copied].copy_from_slice(&x[at * width * pixel..][..copied]);
                        to[zeros.min(row) + copied..].fill(0);
                    }
                    None => to.fill(0),
                }
            }
        }
        let used = padded.len() * row;
        for image in 0..self.images {
            frame[image * self.image + used..][..STEP].fill(0);
        }
        frame
    }
}

impl PlannedProduct<'_> {
    /// Computes the results of some rows of windows.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn compute(
        &self,
        engine: Engine,
        [outputs, height, width]: [usize; 3],
        rows: &Range<usize>,
        frame: &[u16],
        (y, store): (&mut [MaybeUninit<u16>], Store),
    ) {
        let &Self { product, tiles, across, .. } = self;
        let [all_rows, columns] = product.windows;
        // A product may have fewer rows than another.
        let rows = rows.start..rows.end.min(all_rows);
        let starts = &self.starts[..rows.len() * tiles];
        let left = Left { halves: frame, starts, row: self.apart, offsets: &self.offsets };
        let images = y.len() / (outputs * height * width);
        multiply(engine, &left, &product.panels, |tile, column, sums| {
            let window = [rows.start + tile / tiles, tile % tiles * across];
            let [row, at] = [0, 1].map(|axis| product.first[axis] + product.step * window[axis]);
            let (count, apart) = if across == 1 {
                (images, height * width)
            } else {
                (SIDE.min(columns - window[1]), product.step)
            };
            let sum_width = sums.len() / SIDE;
            let kept = sum_width.min(outputs - column);
            vectorized(
                #[inline(always)]
                || {
                    for (r, sums) in sums.chunks_exact(sum_width).take(count).enumerate() {
                        let to = &mut y[(row * width + at + r * apart) * outputs + column..][..kept];
                        // SAFETY: as the caller promises.
                        unsafe { put(to, &sums[..kept], store) }
                    }
                },
            );
        });
    }
}

/// Stores rounded results.
///
/// # Safety
/// If `store` is `Add`, the places are initialised.
#[inline(always)]
unsafe fn put(to: &mut [MaybeUninit<u16>], results: &[f32], store: Store) {
    match store {
        Store::Overwrite => {
            to.iter_mut().zip(results).for_each(|(to, result)| *to = MaybeUninit::new(narrowed(*result)));
        }
        Store::Add => {
            for (to, result) in to.iter_mut().zip(results) {
                // SAFETY: the caller promises that the value is initialised.
                *to = MaybeUninit::new(narrowed(widened(unsafe { to.assume_init() }) + result));
            }
        }
    }
}

thread_local!(static FRAME: RefCell<Vec<u16>> = RefCell::default());
