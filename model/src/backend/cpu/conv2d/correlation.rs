//! `y = w * x` and `dx += w^T * dy`, both as products of filters with the windows of framed images.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::frame::{Frame, Layout};
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::{as_uninit, put};
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply};
use crate::backend::cpu::vectorized;

/// Windows that share a frame, where one image has fewer.
const FRAME_WINDOWS: usize = 512;
/// The batch makes at least this many parts, if it has as many images.
const MIN_PARTS: usize = 4;

/// A convolution of images with filters.
pub(super) struct Correlation<'w> {
    /// Channels, height and width of what is read and of what is written.
    source: [usize; 3],
    target: [usize; 3],
    /// Rows and columns of zeros before the source, and the stride of windows there.
    before: usize,
    stride: usize,
    /// The padded source's height, and the shifts of all taps' columns.
    rows: usize,
    shifts: (usize, usize),
    /// Windows in a row: the most of any product.
    columns: usize,
    /// One product, or, where windows scatter, one for each residue of the target's rows and columns.
    products: Vec<Product<'w>>,
}

/// The results of some windows: `outputs x taps` times `taps x windows`.
struct Product<'w> {
    weight: Cow<'w, [f32]>,
    /// Channel, padded row and shift of each tap of the first window.
    taps: Vec<[usize; 3]>,
    /// Rows and columns of windows.
    rows: usize,
    columns: usize,
    /// Where the first window's result goes in a channel, and how far neighbours are apart.
    first: usize,
    step: usize,
}

impl<'w> Correlation<'w> {
    /// `x -> w * x`.
    pub(super) fn forward(g: &Conv2dGeometry, weight: &'w [f32]) -> Self {
        // The windows of a 1x1 filter with stride 1 are the pixels: the image is one long row.
        let is_pointwise = (g.kernel, g.stride, g.pad) == (1, 1, 0);
        let plane = g.in_size * g.in_size;
        let [height, width] = if is_pointwise { [1, plane] } else { [g.in_size; 2] };
        let [rows, columns] = if is_pointwise { [1, plane] } else { [g.out_size; 2] };
        let taps = taps(g.in_channels, g.kernel, g.kernel, |c, ky, kx| [c, ky, kx]);
        let product = Product { weight: Cow::Borrowed(weight), taps, rows, columns, first: 0, step: 1 };
        Self {
            source: [g.in_channels, height, width],
            target: [g.out_channels, rows, columns],
            before: g.pad,
            stride: g.stride,
            rows: (rows - 1) * g.stride + g.kernel,
            shifts: (0, g.kernel),
            columns,
            products: vec![product],
        }
    }

    /// `dy -> dx`: output row `m` met tap `k` of input row `stride m + k - pad`, so the input rows of each residue
    /// have taps, and a convolution, of their own.
    pub(super) fn backward(g: &Conv2dGeometry, weight: &[f32]) -> Self {
        if (g.kernel, g.stride, g.pad) == (1, 1, 0) {
            let turned = Conv2dGeometry { in_channels: g.out_channels, out_channels: g.in_channels, ..*g };
            let mut forward = Correlation::forward(&turned, &[]);
            forward.products[0].weight = Cow::Owned(transposed(g, weight, (0, 1), (0, 1)));
            return forward;
        }
        let (size, stride, pad) = (g.in_size, g.stride, g.pad);
        let reach = g.kernel.div_ceil(stride) - 1;
        let count = |residue: usize| g.kernel.saturating_sub(residue).div_ceil(stride);
        // Rows `m` of windows give input rows `stride m + residue - pad`.
        let windows = |residue: usize| -> Range<usize> {
            let end = (size + pad).saturating_sub(residue).div_ceil(stride);
            pad.saturating_sub(residue).div_ceil(stride).min(end)..end
        };
        let product = |a: usize, b: usize| {
            let (top, left) = (windows(a), windows(b));
            let at = |window: usize, residue: usize| stride * window + residue - pad;
            Product {
                weight: Cow::Owned(transposed(g, weight, (a, count(a)), (b, count(b)))),
                taps: taps(g.out_channels, count(a), count(b), |c, j, i| {
                    [c, top.start + reach - j, left.start + reach - i]
                }),
                rows: top.len(),
                columns: left.len(),
                first: at(top.start, a) * size + at(left.start, b),
                step: stride,
            }
        };
        let residues: Vec<usize> =
            (0..stride).filter(|residue| count(*residue) > 0 && !windows(*residue).is_empty()).collect();
        let products: Vec<Product<'_>> =
            residues.iter().flat_map(|a| residues.iter().map(|b| product(*a, *b))).collect();
        let shifts = || products.iter().flat_map(|product| product.taps.iter().map(|[_, _, shift]| *shift));
        let (first, last) = (shifts().min().unwrap_or(0), shifts().max().unwrap_or(0));
        Self {
            source: [g.out_channels, g.out_size, g.out_size],
            target: [g.in_channels, size, size],
            before: reach,
            stride: 1,
            rows: residues.iter().map(|residue| windows(*residue).end).max().unwrap_or(0) + reach,
            shifts: (first, last - first + 1),
            columns: products.iter().map(|product| product.columns).max().unwrap_or(0),
            products,
        }
    }

    /// Reads images of the source's size from `x` and writes all results.
    pub(super) fn overwrite<K: Kernel>(&self, kernel: K, x: &[f32], y: &mut [MaybeUninit<f32>]) {
        // SAFETY: `Overwrite` asks nothing of `y`.
        unsafe { self.apply(kernel, x, Store::Overwrite, y) }
    }

    /// Reads images of the source's size from `x` and adds the results.
    pub(super) fn add<K: Kernel>(&self, kernel: K, x: &[f32], y: &mut [f32]) {
        // SAFETY: the slice's values are initialised.
        unsafe { self.apply(kernel, x, Store::Add, as_uninit(y)) }
    }

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn apply<K: Kernel>(&self, kernel: K, x: &[f32], store: Store, y: &mut [MaybeUninit<f32>]) {
        let (image, result) = (self.source.iter().product::<usize>(), self.target.iter().product::<usize>());
        let images = y.len() / result;
        let layout = self.layout::<K>();
        let group = match layout {
            Layout::Interleaved | Layout::Shifted => {
                (FRAME_WINDOWS / (self.target[1] * self.target[2])).min(images / MIN_PARTS).max(1)
            }
            Layout::Image | Layout::Padded => 1,
        };
        let plan = Plan::new::<K>(self, layout, group);
        let rest = Plan::new::<K>(self, layout, (images % group).max(1));
        let parts = y.par_chunks_mut(group * result).zip(x.par_chunks(group * image));
        parts.for_each(|(y, x)| {
            let plan = if x.len() == group * image { &plan } else { &rest };
            // SAFETY: as the caller promises.
            unsafe { plan.apply(kernel, self, x, store, y) }
        });
    }

    /// The layout of frames that takes the least copying.
    fn layout<K: Kernel>(&self) -> Layout {
        let whole_vectors = self.columns.is_multiple_of(K::LANES);
        let same_columns = self.products.iter().all(|product| product.columns == self.columns);
        let planes = self.products.iter().all(|p| (p.rows * self.columns).is_multiple_of(K::LANES));
        let is_image =
            (self.stride, self.before, self.shifts) == (1, 0, (0, 1)) && self.rows == self.source[1];
        if is_image && whole_vectors {
            Layout::Image
        } else if self.stride == 1 && whole_vectors && same_columns {
            Layout::Padded
        } else if planes {
            Layout::Shifted
        } else {
            Layout::Interleaved
        }
    }
}

/// What each tap of the weight's order gives.
fn taps(
    channels: usize,
    rows: usize,
    columns: usize,
    at: impl Fn(usize, usize, usize) -> [usize; 3],
) -> Vec<[usize; 3]> {
    let tap = |i: usize| at(i / (rows * columns), i / columns % rows, i % columns);
    (0..channels * rows * columns).map(tap).collect()
}

/// Filters of `in_channels` outputs: the taps `from, from + stride, ..` of each row and column, `count` of them.
fn transposed(
    g: &Conv2dGeometry,
    weight: &[f32],
    (top, rows): (usize, usize),
    (left, columns): (usize, usize),
) -> Vec<f32> {
    let mut values = Vec::with_capacity(g.in_channels * g.out_channels * rows * columns);
    for input in 0..g.in_channels {
        for filter in weight.chunks_exact(g.window_len()) {
            let taps = &filter[input * g.kernel * g.kernel..];
            for j in 0..rows {
                let row = &taps[(top + j * g.stride) * g.kernel..];
                values.extend((0..columns).map(|i| row[left + i * g.stride]));
            }
        }
    }
    values
}

/// How a number of images that share a frame are computed.
struct Plan<'w> {
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
    fn new<K: Kernel>(whole: &'w Correlation<'w>, layout: Layout, images: usize) -> Self {
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
    unsafe fn apply<K: Kernel>(
        &self,
        kernel: K,
        whole: &Correlation<'_>,
        x: &[f32],
        store: Store,
        y: &mut [MaybeUninit<f32>],
    ) {
        let Frame { layout, .. } = self.frame;
        SCRATCH.with_borrow_mut(|Scratch { frame, row }| {
            let frame = if layout == Layout::Image {
                x
            } else {
                // A vector may reach beyond the last window.
                let len = self.frame.len() + K::LANES;
                frame.resize(frame.len().max(len), 0.0);
                vectorized(
                    #[inline(always)]
                    || self.frame.fill(x, row, frame),
                );
                &frame[..len]
            };
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
