//! 1x1 convolution without padding. The channels of an image are already the rows of a matrix, so all three products
//! are plain matrix products. Images of few pixels are placed side by side.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::{Matrix, Store};
use crate::backend::cpu::product::{Left, multiply_packing, pack_panel};
use crate::backend::cpu::tensor_view::{as_uninit, put, take_every};
use crate::backend::cpu::tile::Kernel;
use crate::backend::cpu::transpose::transpose;
use crate::backend::cpu::vectorized;

/// Parts of the work, where the sizes allow it.
const PARTS: usize = 8;
/// Pixels of a part, where one image has fewer: whole vectors for planes of 7x7 and 14x14.
const PART_PIXELS: usize = 784;
/// The fewest output channels of a part: enough to make up for packing the pixels.
const PART_OUTPUTS: usize = 128;

/// A 1x1 convolution, whose windows are pixels.
#[derive(Clone, Copy)]
pub(super) struct Pointwise<'a>(&'a Conv2dGeometry);

impl<'a> Pointwise<'a> {
    /// If the geometry is one.
    pub(super) fn of(g: &'a Conv2dGeometry) -> Option<Self> {
        ((g.kernel, g.pad) == (1, 0)).then_some(Self(g))
    }

    /// `y[n] = W x[n]`.
    pub(super) fn forward<K: Kernel>(self, kernel: K, x: &[f32], weight: &[f32], y: &mut [MaybeUninit<f32>]) {
        let g = self.0;
        let weight = Matrix::new(weight, g.out_channels, g.in_channels, g.in_channels);
        // SAFETY: `Overwrite` asks nothing of `y`.
        unsafe { apply(kernel, weight, self.plane(), &self.read_pixels(x), Store::Overwrite, y) };
    }

    /// `dx[n] += W^T dy[n]`.
    pub(super) fn input_gradient<K: Kernel>(
        self,
        kernel: K,
        weight: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
    ) {
        let g = self.0;
        let weight = Matrix::new(weight, g.out_channels, g.in_channels, g.in_channels).t();
        if g.stride == 1 {
            // SAFETY: the slice's values are initialised, and sums are written to them.
            return unsafe { apply(kernel, weight, self.plane(), grad_y, Store::Add, as_uninit(grad_x)) };
        }
        let mut read = vec![0.0; grad_x.len() / (g.in_size * g.in_size) * self.plane()];
        // SAFETY: `Overwrite` asks nothing of the values, and products are written to them.
        unsafe { apply(kernel, weight, self.plane(), grad_y, Store::Overwrite, as_uninit(&mut read)) };
        let planes =
            grad_x.par_chunks_exact_mut(g.in_size * g.in_size).zip(read.par_chunks_exact(self.plane()));
        planes.for_each(|(grad_x, read)| {
            let rows = grad_x.chunks_mut(g.stride * g.in_size).zip(read.chunks_exact(g.out_size));
            for (grad_x, read) in rows {
                grad_x.iter_mut().step_by(g.stride).zip(read).for_each(|(to, grad)| *to += grad);
            }
        });
    }

    /// `dW += sum over n of dy[n] x[n]^T`.
    pub(super) fn weight_gradient<K: Kernel>(
        self,
        kernel: K,
        x: &[f32],
        grad_y: &[f32],
        grad_weight: &mut [f32],
    ) {
        let g = self.0;
        let x = self.read_pixels(x);
        let (mut merged_x, mut merged_grad) = (Vec::new(), Vec::new());
        let inputs =
            PixelRows { values: &x, channels: g.in_channels, plane: self.plane() }.merged(&mut merged_x);
        let outputs = PixelRows { values: grad_y, channels: g.out_channels, plane: self.plane() }
            .merged(&mut merged_grad);
        // The right factor is transposed, so it is the one of fewer channels.
        let is_turned = g.in_channels > g.out_channels;
        let (left, right) = if is_turned { (inputs, outputs) } else { (outputs, inputs) };
        let blocks: Vec<[Range<usize>; 2]> = ranges(left.channels, SUM_ROWS)
            .flat_map(|rows| ranges(right.channels, SUM_COLUMNS).map(move |columns| [rows.clone(), columns]))
            .collect();
        let images = outputs.images();
        let parts: Vec<Range<usize>> =
            ranges(images, images.div_ceil(PARTS.div_ceil(blocks.len())).max(1)).collect();
        let sums: Vec<Vec<f32>> = (0..parts.len() * blocks.len())
            .into_par_iter()
            .map(|i| {
                let (images, [rows, columns]) = (&parts[i / blocks.len()], &blocks[i % blocks.len()]);
                let sums = sum_of_products(kernel, left, rows, right, columns, images.clone());
                if is_turned { transposed(&sums, columns.len()) } else { sums }
            })
            .collect();
        grad_weight.par_chunks_exact_mut(g.in_channels).enumerate().for_each(|(output, grad)| {
            for (sums, [rows, columns]) in sums.iter().zip(blocks.iter().cycle()) {
                let (outputs, inputs) = if is_turned { (columns, rows) } else { (rows, columns) };
                if outputs.contains(&output) {
                    let sums = &sums[(output - outputs.start) * inputs.len()..];
                    grad[inputs.clone()].iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                }
            }
        });
    }

    /// Pixels of an output.
    fn plane(self) -> usize {
        self.0.out_size * self.0.out_size
    }

    /// The pixels that the convolution reads.
    fn read_pixels(self, x: &[f32]) -> Cow<'_, [f32]> {
        let g = self.0;
        if g.stride == 1 {
            return Cow::Borrowed(x);
        }
        let mut read = vec![0.0; x.len() / (g.in_size * g.in_size) * self.plane()];
        let planes = read.par_chunks_exact_mut(self.plane()).zip(x.par_chunks_exact(g.in_size * g.in_size));
        planes.for_each(|(read, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (read, x) in read.chunks_exact_mut(g.out_size).zip(x.chunks(g.stride * g.in_size)) {
                        take_every(g.stride, &x[..g.in_size], read);
                    }
                },
            );
        });
        Cow::Owned(read)
    }
}

/// Sums of a weight gradient that are kept near a core: so many rows and columns at a time.
const SUM_ROWS: usize = 256;
const SUM_COLUMNS: usize = 192;
/// Pixels that are summed in one go, where one image has fewer.
const SUM_PIXELS: usize = 256;

/// Images as rows of pixels, one for each channel.
#[derive(Clone, Copy)]
struct PixelRows<'a> {
    values: &'a [f32],
    channels: usize,
    plane: usize,
}

impl<'a> PixelRows<'a> {
    fn images(&self) -> usize {
        self.values.len() / (self.channels * self.plane)
    }

    /// The same pixels as fewer, larger images, if they are small: some side by side, the last filled up with zeros.
    fn merged(self, storage: &'a mut Vec<f32>) -> Self {
        let groups = self.images().div_ceil((SUM_PIXELS / self.plane).max(1)).max(1);
        let group = self.images().div_ceil(groups).max(1);
        if group == 1 {
            return self;
        }
        let merged = Self { plane: group * self.plane, ..self };
        storage.resize(groups * self.channels * merged.plane, 0.0);
        let planes = storage.par_chunks_exact_mut(merged.plane).enumerate();
        planes.for_each(|(i, to)| {
            let (first, channel) = (i / self.channels * group, i % self.channels);
            for (to, image) in to.chunks_exact_mut(self.plane).zip(first..self.images()) {
                to.copy_from_slice(
                    &self.values[(image * self.channels + channel) * self.plane..][..self.plane],
                );
            }
        });
        Self { values: storage, ..merged }
    }

    /// Some channels of an image, a channel a row.
    fn rows(&self, image: usize, channels: &Range<usize>) -> Matrix<'a> {
        let values = &self.values[(image * self.channels + channels.start) * self.plane..];
        Matrix::new(values, channels.len(), self.plane, self.plane)
    }
}

/// The sum over some images of the products of some channels of `left` and `right`, `rows x columns`.
fn sum_of_products<K: Kernel>(
    kernel: K,
    left: PixelRows<'_>,
    rows: &Range<usize>,
    right: PixelRows<'_>,
    columns: &Range<usize>,
    images: Range<usize>,
) -> Vec<f32> {
    let width = columns.len();
    let mut sums = vec![0.0; rows.len() * width];
    for image in images {
        let right = right.rows(image, columns).t();
        multiply_packing(
            kernel,
            &Left::InPlace(left.rows(image, rows)),
            width,
            |k, columns, panel| pack_panel(kernel, right, k, columns, panel),
            #[inline(always)]
            |row, columns, results, _| {
                let to = sums[row * width..][columns].iter_mut();
                to.zip(results).for_each(|(to, sum)| *to += sum);
            },
        );
    }
    sums
}

/// The transpose of a matrix of rows of `width` values.
fn transposed(values: &[f32], width: usize) -> Vec<f32> {
    let height = values.len() / width;
    let mut turned = vec![0.0; values.len()];
    vectorized(
        #[inline(always)]
        || transpose(values, width, height, width, &mut turned, height),
    );
    turned
}

/// Ranges of nearly equal length, at most `most`, that make up `0..count`.
fn ranges(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let len = count.div_ceil(count.div_ceil(most).max(1)).max(1);
    (0..count).step_by(len).map(move |from| from..count.min(from + len))
}

/// `y[n] = weight x[n]`, or added, for images of `plane` pixels.
///
/// # Safety
/// If `store` is `Add`, `y`'s values are initialised.
unsafe fn apply<K: Kernel>(
    kernel: K,
    weight: Matrix<'_>,
    plane: usize,
    x: &[f32],
    store: Store,
    y: &mut [MaybeUninit<f32>],
) {
    let (outputs, inputs) = (weight.rows, weight.cols);
    let images = x.len() / (inputs * plane);
    let groups = images.div_ceil((PART_PIXELS / plane).max(1)).max(1);
    let group = images.div_ceil(groups).max(1);
    let blocks = PARTS.div_ceil(groups).min(outputs / PART_OUTPUTS).max(1);
    let block = outputs.div_ceil(blocks).next_multiple_of(K::ROWS);

    let groups = y.chunks_mut(group * outputs * plane).zip(x.chunks(group * inputs * plane));
    let parts: Vec<_> = groups
        .flat_map(|(y, x)| {
            let blocks = split_channels(y, outputs * plane, block * plane).into_iter().enumerate();
            blocks.map(move |(i, y)| (i * block..outputs.min((i + 1) * block), x, y))
        })
        .collect();
    parts.into_par_iter().for_each(|(rows, x, mut y)| {
        let left = Left::new(kernel, weight.rows(rows));
        multiply_packing(
            kernel,
            &left,
            y.len() * plane,
            |k, columns, panel| pack_pixels(kernel, x, [inputs, plane], k, columns, panel),
            #[inline(always)]
            |row, columns, mut results, later| {
                let store = if store == Store::Add { store } else { later };
                for (image, pixels) in runs(plane, columns) {
                    let (run, rest) = results.split_at(pixels.len());
                    // SAFETY: the values are initialised, or the first range of `k` put them.
                    unsafe { put(&mut y[image][row * plane + pixels.start..], 1, run, store) };
                    results = rest;
                }
            },
        );
    });
}

/// For each block of channels, its part of every image.
fn split_channels<T>(values: &mut [T], image: usize, block: usize) -> Vec<Vec<&mut [T]>> {
    let mut blocks: Vec<Vec<&mut [T]>> = (0..image.div_ceil(block)).map(|_| Vec::new()).collect();
    for image in values.chunks_exact_mut(image) {
        image.chunks_mut(block).zip(&mut blocks).for_each(|(part, block)| block.push(part));
    }
    blocks
}

/// The pixels of each image that are among some columns.
#[inline(always)]
fn runs(plane: usize, columns: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut column = columns.start;
    std::iter::from_fn(move || {
        let (image, pixel) = (column / plane, column % plane);
        let len = (plane - pixel).min(columns.end - column);
        column += len;
        (len > 0).then_some((image, pixel..pixel + len))
    })
}

/// Writes the channels `k` of some pixels.
fn pack_pixels<K: Kernel>(
    _: K,
    x: &[f32],
    [channels, plane]: [usize; 2],
    k: Range<usize>,
    columns: Range<usize>,
    panel: &mut [f32],
) {
    let mut at = 0;
    for (image, pixels) in runs(plane, columns) {
        let rows = x[(image * channels + k.start) * plane..].chunks(plane);
        let to = panel.chunks_exact_mut(K::COLUMNS).take(k.len());
        vectorized(
            #[inline(always)]
            || {
                if pixels.len() == K::COLUMNS {
                    for (to, row) in to.zip(rows) {
                        to.copy_from_slice(&row[pixels.clone()][..K::COLUMNS]);
                    }
                } else {
                    for (to, row) in to.zip(rows) {
                        to[at..][..pixels.len()].copy_from_slice(&row[pixels.clone()]);
                    }
                }
            },
        );
        at += pixels.len();
    }
}
