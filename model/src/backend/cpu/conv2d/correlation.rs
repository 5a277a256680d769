//! `y (+)= w * x` and `dx += w^T * dy`, both as products of filters with the windows of framed images.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::frame::Frame;
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::product::put;
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, VECTORS, multiply};
use crate::backend::cpu::vectorized;

/// Windows of one part of the work; small images share one.
const PART_WINDOWS: usize = 512;
/// The batch makes at least this many parts, if it has as many images.
const MIN_PARTS: usize = 4;
/// Values that are copied at a time.
const COPY: usize = 16;

/// A convolution of images with filters.
pub(super) struct Correlation<'w> {
    source: Frame,
    /// Channels, height and width of what is written.
    outputs: usize,
    height: usize,
    width: usize,
    /// One product, or, where windows scatter `stride` apart, one for each residue of rows and columns.
    products: Vec<Product<'w>>,
}

/// The results of some windows: `outputs x taps` times `taps x windows`.
struct Product<'w> {
    weight: Cow<'w, [f32]>,
    /// Offset of each tap from its window's start.
    taps: Vec<u32>,
    /// The windows' rows and columns.
    rows: Range<usize>,
    columns: Range<usize>,
    /// How far neighbouring rows of windows are apart in the source.
    row_step: usize,
    /// Where the result of the window at row and column 0 would go, and how far neighbours are apart.
    first: isize,
    step: usize,
}

impl<'w> Correlation<'w> {
    /// `x -> w * x`.
    pub(super) fn forward(g: &Conv2dGeometry, weight: &'w [f32]) -> Self {
        // The windows of a 1x1 filter with stride 1 are the pixels: the image is one long row.
        let is_pointwise = (g.kernel, g.stride, g.pad) == (1, 1, 0);
        let (height, width) = if is_pointwise { (1, g.in_size * g.in_size) } else { (g.in_size, g.in_size) };
        let (rows, columns) = if is_pointwise { (1, width) } else { (g.out_size, g.out_size) };
        let padded = |windows: usize| (windows - 1) * g.stride + g.kernel;
        let source = Frame {
            channels: g.in_channels,
            height,
            width,
            before: g.pad,
            rows: padded(rows),
            columns: padded(columns),
            phases: g.stride,
        };
        let taps = taps(g.in_channels, g.kernel, g.kernel, |c, ky, kx| source.at(c, ky, kx));
        let product = Product {
            weight: Cow::Borrowed(weight),
            taps,
            rows: 0..rows,
            columns: 0..columns,
            row_step: g.stride * source.row_len(),
            first: 0,
            step: 1,
        };
        Self { source, outputs: g.out_channels, height: rows, width: columns, products: vec![product] }
    }

    /// `dy -> dx`: output row `y` met tap `k` of input row `stride y + k - pad`, so input rows of each residue have
    /// taps, and a convolution, of their own.
    pub(super) fn backward(g: &Conv2dGeometry, weight: &[f32]) -> Self {
        if (g.kernel, g.stride, g.pad) == (1, 1, 0) {
            return Self::backward_pointwise(g, weight);
        }
        let (stride, pad) = (g.stride, g.pad);
        let reach = g.kernel.div_ceil(stride) - 1;
        // Rows `m` of windows give input rows `stride m + residue - pad`.
        let windows = |residue: usize| {
            let end = (g.in_size + pad).saturating_sub(residue).div_ceil(stride);
            pad.saturating_sub(residue).div_ceil(stride).min(end)..end
        };
        let padded = windows(0).end + reach;
        let source = Frame {
            channels: g.out_channels,
            height: g.out_size,
            width: g.out_size,
            before: reach,
            rows: padded,
            columns: padded,
            phases: 1,
        };
        let count = |residue: usize| g.kernel.saturating_sub(residue).div_ceil(stride);
        let product = |a: usize, b: usize| Product {
            weight: Cow::Owned(transposed(g, weight, (a, count(a)), (b, count(b)))),
            taps: taps(g.out_channels, count(a), count(b), |c, j, i| source.at(c, reach - j, reach - i)),
            rows: windows(a),
            columns: windows(b),
            row_step: source.row_len(),
            first: (a as isize - pad as isize) * g.in_size as isize + b as isize - pad as isize,
            step: stride,
        };
        let residues = (0..stride * stride).map(|i| (i / stride, i % stride));
        let products = residues.map(|(a, b)| product(a, b)).filter(|p| !p.taps.is_empty()).collect();
        Self { source, outputs: g.in_channels, height: g.in_size, width: g.in_size, products }
    }

    fn backward_pointwise(g: &Conv2dGeometry, weight: &[f32]) -> Self {
        let weight = transposed(g, weight, (0, 1), (0, 1));
        let turned = Conv2dGeometry { in_channels: g.out_channels, out_channels: g.in_channels, ..*g };
        let Self { source, outputs, height, width, mut products } = Correlation::forward(&turned, &[]);
        products[0].weight = Cow::Owned(weight);
        let products = products.into_iter().map(Product::into_owned).collect();
        Self { source, outputs, height, width, products }
    }

    /// Reads images of the source's size from `x` and writes, or adds to, the results in `y`.
    pub(super) fn apply<K: Kernel>(&self, kernel: K, x: &[f32], store: Store, y: &mut [f32]) {
        let (image, result) = (self.source.image_len(), self.outputs * self.height * self.width);
        let images = y.len() / result.max(1);
        let group = (PART_WINDOWS / (self.height * self.width)).min(images / MIN_PARTS).max(1);
        let parts = y.par_chunks_mut(group * result).zip(x.par_chunks(group * image));
        parts.for_each(|(y, x)| {
            SCRATCH.with_borrow_mut(|Scratch { frames, panel }| {
                let frames = self.framed(x, frames);
                self.products.iter().for_each(|product| product.apply(kernel, self, frames, panel, store, y));
            });
        });
    }

    fn framed<'a>(&self, x: &'a [f32], frames: &'a mut Vec<f32>) -> &'a [f32] {
        if self.source.is_image() {
            return x;
        }
        let (image, frame) = (self.source.image_len(), self.source.len());
        let len = x.len() / image * frame;
        frames.resize(frames.len().max(len + COPY), 0.0);
        vectorized(
            #[inline(always)]
            || {
                let images = x.chunks_exact(image).zip(frames.chunks_exact_mut(frame));
                images.for_each(|(image, frame)| self.source.fill(image, frame));
            },
        );
        &frames[..len + COPY]
    }
}

/// Offsets of taps in the weight's order.
fn taps(channels: usize, rows: usize, columns: usize, at: impl Fn(usize, usize, usize) -> usize) -> Vec<u32> {
    let each = (0..channels * rows * columns)
        .map(|i| at(i / (rows * columns), i / columns % rows, i % columns) as u32);
    each.collect()
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

impl Product<'_> {
    fn into_owned<'a>(self) -> Product<'a> {
        Product { weight: Cow::Owned(self.weight.into_owned()), ..self }
    }

    /// Computes all results of the windows in `frames`, a range of taps after the other, a block of outputs after the
    /// other.
    fn apply<K: Kernel>(
        &self,
        kernel: K,
        whole: &Correlation<'_>,
        frames: &[f32],
        panel: &mut Vec<f32>,
        store: Store,
        y: &mut [f32],
    ) {
        let images = y.len() / (whole.outputs * whole.height * whole.width);
        let windows = images * self.rows.len() * self.columns.len();
        let tiles: Vec<TileOf> =
            (0..windows).step_by(K::COLUMNS).map(|from| self.tile(kernel, whole, from, windows)).collect();
        let is_direct = self.columns.len().is_multiple_of(K::LANES);
        let plane = whole.height * whole.width;
        let mut sums = Sums::new();
        let mut from = 0;
        for taps in Depth::blocks(&self.taps) {
            let packed: Vec<u32> = (0..taps.len()).map(|k| (k * K::COLUMNS) as u32).collect();
            let depth = if is_direct { taps } else { Depth::new(&packed) };
            let panel_len = taps.len() * K::COLUMNS;
            if !is_direct {
                panel.resize(panel.len().max(tiles.len() * panel_len + COPY), 0.0);
                vectorized(
                    #[inline(always)]
                    || {
                        for (i, tile) in tiles.iter().enumerate() {
                            tile.pack(
                                taps,
                                frames,
                                K::COLUMNS,
                                &mut panel[i * panel_len..][..panel_len + COPY],
                            );
                        }
                    },
                );
            }
            let store = if from == 0 { store } else { Store::Add };
            for output in (0..whole.outputs).step_by(K::ROWS) {
                let rows = Rows {
                    values: &self.weight[output * self.taps.len() + from..],
                    count: (whole.outputs - output).min(K::ROWS),
                    stride: self.taps.len(),
                    step: 1,
                };
                for (i, tile) in tiles.iter().enumerate() {
                    let vectors = tile.windows.div_ceil(K::LANES);
                    if is_direct {
                        multiply(kernel, rows, frames, &tile.starts[..vectors], depth, &mut sums);
                    } else {
                        let starts: [usize; VECTORS] = std::array::from_fn(|v| i * panel_len + v * K::LANES);
                        multiply(kernel, rows, panel, &starts[..vectors], depth, &mut sums);
                    }
                    vectorized(
                        #[inline(always)]
                        || {
                            tile.put(
                                &sums.0,
                                K::COLUMNS,
                                rows.count,
                                self.step,
                                output * plane,
                                plane,
                                store,
                                y,
                            )
                        },
                    );
                }
            }
            from += taps.len();
        }
    }

    /// The tile of the windows that begin with number `from`.
    fn tile<K: Kernel>(&self, _: K, whole: &Correlation<'_>, from: usize, windows: usize) -> TileOf {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let result = whole.outputs * whole.height * whole.width;
        let mut tile =
            TileOf { starts: [0; VECTORS], windows: K::COLUMNS.min(windows - from), runs: Vec::new() };
        let mut at = 0;
        while at < tile.windows {
            let window = from + at;
            let (image, row, column) = (window / (rows * columns), window / columns % rows, window % columns);
            let (y, x) = (self.rows.start + row, self.columns.start + column);
            let len = (columns - column).min(tile.windows - at);
            let source = image * whole.source.len() + y * self.row_step + x;
            let target =
                (self.first + (self.step * (y * whole.width + x)) as isize) as usize + image * result;
            tile.runs.push(Run { at, len, source, target });
            at += len;
        }
        if columns.is_multiple_of(K::LANES) {
            for (v, start) in tile.starts.iter_mut().enumerate().take(tile.windows.div_ceil(K::LANES)) {
                let run =
                    tile.runs.iter().rfind(|run| run.at <= v * K::LANES).expect("the first run begins at 0");
                *start = run.source + v * K::LANES - run.at;
            }
        }
        tile
    }
}

/// Windows that are computed together.
struct TileOf {
    /// Where each vector of windows begins, where vectors don't cross rows.
    starts: [usize; VECTORS],
    windows: usize,
    runs: Vec<Run>,
}

/// Neighbouring windows of a row.
struct Run {
    at: usize,
    len: usize,
    source: usize,
    target: usize,
}

impl TileOf {
    /// Copies the tile's pixels of each tap. Whole chunks are copied: what is too much is overwritten by what follows,
    /// or belongs to no window.
    #[inline(always)]
    fn pack(&self, taps: Depth<'_>, frames: &[f32], width: usize, panel: &mut [f32]) {
        for (k, tap) in taps.offsets().iter().enumerate() {
            for run in &self.runs {
                for piece in (0..run.len).step_by(COPY) {
                    let source = run.source + *tap as usize + piece;
                    let to = &mut panel[k * width + run.at + piece..][..COPY];
                    match frames.get(source..source + COPY) {
                        Some(from) => to.copy_from_slice(from),
                        None => to[..frames.len() - source].copy_from_slice(&frames[source..]),
                    }
                }
            }
        }
    }

    /// Stores the sums of `rows` output channels.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a tile's results meet the whole layout here")]
    fn put(
        &self,
        sums: &[f32],
        width: usize,
        rows: usize,
        step: usize,
        first: usize,
        plane: usize,
        store: Store,
        y: &mut [f32],
    ) {
        for (r, sums) in sums.chunks_exact(width).take(rows).enumerate() {
            for run in &self.runs {
                let to = &mut y[run.target + first + r * plane..];
                let sums = &sums[run.at..][..run.len];
                if step == 1 {
                    put(&mut to[..run.len], sums, store);
                } else {
                    let to = to.iter_mut().step_by(step);
                    match store {
                        Store::Overwrite => to.zip(sums).for_each(|(to, sum)| *to = *sum),
                        Store::Add => to.zip(sums).for_each(|(to, sum)| *to += sum),
                    }
                }
            }
        }
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    frames: Vec<f32>,
    panel: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
