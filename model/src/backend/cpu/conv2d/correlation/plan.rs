//! The work on some images: their frame, and the tiles of windows of each product.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use super::super::frame::{Frame, Layout};
use super::{Correlation, Product};
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::put;
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply};
use crate::backend::cpu::vectorized;

/// How a number of images that share a frame are computed.
pub(super) struct Plan<'w> {
    frame: Frame,
    products: Vec<PlannedProduct<'w>>,
}

struct PlannedProduct<'w> {
    product: &'w Product<'w>,
    /// The offset of each tap from its window's start.
    offsets: Vec<u32>,
    tiles: Vec<Tile>,
}

/// Windows that are computed together.
struct Tile {
    /// Where each vector of windows begins in the frame.
    starts: [usize; VECTORS],
    vectors: usize,
    /// Neighbours among the windows whose results are neighbours: their first, their number, where the results go.
    runs: Vec<(usize, usize, usize)>,
}

impl<'w> Plan<'w> {
    pub(super) fn new<K: Kernel>(whole: &'w Correlation<'w>, layout: Layout, images: usize) -> Self {
        let [channels, height, width] = whole.source;
        let frame = Frame {
            images,
            channels,
            height,
            width,
            before: whole.before,
            rows: whole.rows,
            columns: whole.columns,
            stride: whole.stride,
            shifts: whole.shifts,
            layout,
        };
        let planned = |product: &'w Product<'w>| {
            let offset = |[channel, row, shift]: &[usize; 3]| frame.at(0, *shift, *channel, *row) as u32;
            let windows = images * product.rows * frame.columns;
            let tile = |from: usize| Tile::new::<K>(&frame, product, whole.target, from, windows);
            PlannedProduct {
                product,
                offsets: product.taps.iter().map(offset).collect(),
                tiles: (0..windows).step_by(K::COLUMNS).map(tile).collect(),
            }
        };
        Self { frame, products: whole.products.iter().map(planned).collect() }
    }

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    pub(super) unsafe fn apply<K: Kernel>(
        &self,
        kernel: K,
        whole: &Correlation<'_>,
        x: &[f32],
        store: Store,
        y: &mut [MaybeUninit<f32>],
    ) {
        SCRATCH.with_borrow_mut(|Scratch { frame, row }| {
            // A vector may reach beyond the last window.
            let len = self.frame.len() + K::LANES;
            frame.resize(frame.len().max(len), 0.0);
            vectorized(
                #[inline(always)]
                || self.frame.fill(x, row, frame),
            );
            let frame = &frame[..len];
            // SAFETY: as the caller promises.
            self.products.iter().for_each(|product| unsafe { product.apply(kernel, whole, frame, store, y) });
        });
    }
}

impl PlannedProduct<'_> {
    /// Computes all results, a range of taps after the other, a block of outputs after the other.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn apply<K: Kernel>(
        &self,
        kernel: K,
        whole: &Correlation<'_>,
        frame: &[f32],
        store: Store,
        y: &mut [MaybeUninit<f32>],
    ) {
        let [outputs, height, width] = whole.target;
        let Product { weight, taps, step, .. } = self.product;
        let mut sums = Sums::new();
        let mut from = 0;
        for depth in Depth::blocks(&self.offsets) {
            let store = if from == 0 { store } else { Store::Add };
            for output in (0..outputs).step_by(K::ROWS) {
                let rows = Rows {
                    values: &weight[output * taps.len() + from..],
                    count: (outputs - output).min(K::ROWS),
                    stride: taps.len(),
                    step: 1,
                };
                for tile in &self.tiles {
                    multiply(kernel, rows, frame, &tile.starts[..tile.vectors], depth, &mut sums);
                    vectorized(
                        #[inline(always)]
                        || {
                            for (r, sums) in sums.0.chunks_exact(K::COLUMNS).take(rows.count).enumerate() {
                                for &(at, len, target) in &tile.runs {
                                    let to = &mut y[target + (output + r) * height * width..];
                                    // SAFETY: the values are initialised, or the first range of taps put them.
                                    unsafe { put(to, *step, &sums[at..][..len], store) }
                                }
                            }
                        },
                    );
                }
            }
            from += depth.len();
        }
    }
}

impl Tile {
    /// The tile of the windows that begin with number `from`.
    fn new<K: Kernel>(
        frame: &Frame,
        product: &Product<'_>,
        [outputs, height, width]: [usize; 3],
        from: usize,
        windows: usize,
    ) -> Self {
        let place = |window: usize| {
            let (line, column) = (window / frame.columns, window % frame.columns);
            match frame.layout {
                Layout::Interleaved => (line % frame.images, line / frame.images, column),
                _ => (line / product.rows, line % product.rows, column),
            }
        };
        let shift = frame.shifts.0;
        let start = |window: usize| {
            let (image, row, column) = place(window);
            frame.at(image, shift, 0, 0) + row * frame.row_step() + column
        };
        let end = windows.min(from + K::COLUMNS);
        let mut starts = [0; VECTORS];
        let vectors = (end - from).div_ceil(K::LANES);
        for (v, vector) in starts.iter_mut().enumerate().take(vectors) {
            *vector = start(from + v * K::LANES);
        }

        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        let mut window = from;
        while window < end {
            let (image, row, column) = place(window);
            let line_end = end.min(window + frame.columns - column);
            let len = product.columns.saturating_sub(column).min(line_end - window);
            let target =
                image * outputs * height * width + product.first + product.step * (row * width + column);
            match runs.last_mut() {
                Some((at, count, first))
                    if *at + *count == window - from && *first + *count * product.step == target =>
                {
                    *count += len;
                }
                _ if len > 0 => runs.push((window - from, len, target)),
                _ => {}
            }
            window = line_end;
        }
        Self { starts, vectors, runs }
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    frame: Vec<f32>,
    row: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
