//! `y = w * x` and `dx += w^T * dy`, both as products of filters with the windows of framed images.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Residues;
use super::frame::Layout;
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::as_uninit;
use crate::backend::cpu::tile::Kernel;

mod plan;
use plan::Plan;

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
        let (rows, columns) = (g.out_size, g.out_size);
        let taps = taps(g.in_channels, g.kernel, g.kernel, |c, ky, kx| [c, ky, kx]);
        let product = Product { weight: Cow::Borrowed(weight), taps, rows, columns, first: 0, step: 1 };
        Self {
            source: [g.in_channels, g.in_size, g.in_size],
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
        let (size, stride, pad) = (g.in_size, g.stride, g.pad);
        let residues = Residues::of(g);
        let reach = residues.reach();
        let product = |a: usize, b: usize| {
            let (top, left) = (residues.windows(a), residues.windows(b));
            let [rows, columns] = [a, b].map(|residue| residues.taps(residue));
            let at = |window: usize, residue: usize| stride * window + residue - pad;
            Product {
                weight: Cow::Owned(transposed(g, weight, (a, rows), (b, columns))),
                taps: taps(g.out_channels, rows, columns, |c, j, i| {
                    [c, top.start + reach - j, left.start + reach - i]
                }),
                rows: top.len(),
                columns: left.len(),
                first: at(top.start, a) * size + at(left.start, b),
                step: stride,
            }
        };
        let products: Vec<Product<'_>> = residues.pairs().map(|[a, b]| product(a, b)).collect();
        let shifts = || products.iter().flat_map(|product| product.taps.iter().map(|[_, _, shift]| *shift));
        let (first, last) = (shifts().min().unwrap_or(0), shifts().max().unwrap_or(0));
        Self {
            source: [g.out_channels, g.out_size, g.out_size],
            target: [g.in_channels, size, size],
            before: reach,
            stride: 1,
            rows: residues.used().map(|residue| residues.windows(residue).end).max().unwrap_or(0) + reach,
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
        // SAFETY: the slice's values are initialised, and sums are written to them.
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
            Layout::Padded => 1,
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
        if self.stride == 1 && whole_vectors && same_columns {
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
