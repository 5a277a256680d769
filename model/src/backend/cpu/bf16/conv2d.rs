//! Convolution as products of tiles. Images are copied into a padded frame, where what lies under one row of a filter is one
//! run of halves, whatever the window; a tile's rows are neighbouring windows, or the same window of neighbouring images.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Left, SIDE, STEP, TILE, Tiles, multiply, with_tiles};
use super::{halves, narrowed, sized, widened};
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::as_uninit;
use crate::backend::cpu::vectorized;

mod weight_gradient;
use weight_gradient::weight_gradient;

/// Halves of a frame, at most, unless one row of windows needs more.
const BAND: usize = 1 << 17;
/// Parts of the work, at least, where images share frames.
const MIN_GROUPS: usize = 4;
/// Up to so many pixels, the windows of a 1x1 convolution are those of one long row.
const ROW_PIXELS: usize = 256;

/// Whether there is an engine of tiles.
pub(in super::super) fn is_possible() -> bool {
    with_tiles!(_kernel => ()).is_some()
}

// Functions without type parameters, so that the kernels are compiled once, in this crate.

/// `y = w * x`.
///
/// # Panics
/// If there is no engine of tiles.
pub(in super::super) fn convolve(g: &Conv2dGeometry, x: &[f32], weight: &[f32], y: &mut [MaybeUninit<f32>]) {
    // SAFETY: a word is two halves, with any bits.
    let y = unsafe { std::slice::from_raw_parts_mut(y.as_mut_ptr().cast(), 2 * y.len()) };
    with_tiles!(kernel => forward(kernel, g, halves(x), weight, y)).expect("an engine of tiles")
}

/// `dx += w^T * dy`.
///
/// # Panics
/// As [`convolve`].
pub(in super::super) fn add_input_gradient(
    g: &Conv2dGeometry,
    weight: &[f32],
    grad_y: &[f32],
    grad_x: &mut [f32],
) {
    let grad_x = bytemuck::cast_slice_mut(grad_x);
    with_tiles!(kernel => input_gradient(kernel, g, weight, halves(grad_y), grad_x))
        .expect("an engine of tiles");
}

/// `dw += dy x`.
///
/// # Panics
/// As [`convolve`].
pub(in super::super) fn add_weight_gradient(
    g: &Conv2dGeometry,
    x: &[f32],
    grad_y: &[f32],
    grad_weight: &mut [f32],
) {
    with_tiles!(kernel => weight_gradient(kernel, g, halves(x), halves(grad_y), grad_weight))
        .expect("an engine of tiles");
}

fn forward<K: Tiles>(kernel: K, g: &Conv2dGeometry, x: &[u16], weight: &[f32], y: &mut [MaybeUninit<u16>]) {
    // SAFETY: `Overwrite` asks nothing of `y`.
    unsafe { Correlation::forward(g, weight).apply(kernel, x, Store::Overwrite, y) }
}

fn input_gradient<K: Tiles>(
    kernel: K,
    g: &Conv2dGeometry,
    weight: &[f32],
    grad_y: &[u16],
    grad_x: &mut [u16],
) {
    let whole = Correlation::backward(g, weight);
    // SAFETY: the slice's values are initialised, and sums are written to them.
    unsafe { whole.apply(kernel, grad_y, Store::Add, as_uninit(grad_x)) }
}

/// Halves of a pixel.
fn pixel(channels: usize) -> usize {
    channels.next_multiple_of(2)
}

/// A convolution of images with filters, or its transpose.
struct Correlation {
    /// Halves of a pixel, height and width of what is read and of what is written.
    source: [usize; 3],
    target: [usize; 3],
    /// Rows and columns of zeros before the source, and the stride of windows there.
    before: usize,
    stride: usize,
    /// One product, or, where windows scatter, one for each residue of the target's rows and columns.
    products: Vec<Product>,
}

/// The results of some windows.
struct Product {
    /// The filters, packed.
    panels: Vec<u32>,
    /// Height and width of a filter.
    taps: [usize; 2],
    /// The padded row and column of the first window.
    origin: [usize; 2],
    /// Rows and columns of windows.
    windows: [usize; 2],
    /// The target's row and column of the first window's result, and how far neighbours are apart.
    first: [usize; 2],
    step: usize,
}

impl Correlation {
    /// `x -> w * x`.
    fn forward(g: &Conv2dGeometry, weight: &[f32]) -> Self {
        let at =
            |output, input, y, x| weight[((output * g.in_channels + input) * g.kernel + y) * g.kernel + x];
        let taps = [g.kernel; 2];
        let product = Product {
            panels: packed(g.out_channels, g.in_channels, taps, Order::OutputsFirst, at),
            taps,
            origin: [0; 2],
            windows: [g.out_size; 2],
            first: [0; 2],
            step: 1,
        };
        let whole = Self {
            source: [pixel(g.in_channels), g.in_size, g.in_size],
            target: [pixel(g.out_channels), g.out_size, g.out_size],
            before: g.pad,
            stride: g.stride,
            products: vec![product],
        };
        whole.flattened()
    }

    /// `dy -> dx`: output row `m` met tap `k` of input row `stride m + k - pad`, so the input rows of each residue have taps,
    /// and a convolution, of their own.
    fn backward(g: &Conv2dGeometry, weight: &[f32]) -> Self {
        let (size, stride, pad) = (g.in_size, g.stride, g.pad);
        let reach = g.kernel.div_ceil(stride) - 1;
        let count = |residue: usize| g.kernel.saturating_sub(residue).div_ceil(stride);
        // Rows `m` of windows give input rows `stride m + residue - pad`.
        let windows = |residue: usize| -> Range<usize> {
            let end = (size + pad).saturating_sub(residue).div_ceil(stride);
            pad.saturating_sub(residue).div_ceil(stride).min(end)..end
        };
        let residues: Vec<usize> =
            (0..stride).filter(|residue| count(*residue) > 0 && !windows(*residue).is_empty()).collect();
        let product = |a: usize, b: usize| {
            let (residues, taps) = ([a, b], [count(a), count(b)]);
            // The last tap comes first in the frame.
            let at = |output: usize, input: usize, y: usize, x: usize| {
                let [ky, kx] = [0, 1].map(|axis| residues[axis] + stride * (taps[axis] - 1 - [y, x][axis]));
                weight[((input * g.in_channels + output) * g.kernel + ky) * g.kernel + kx]
            };
            let along = residues.map(windows);
            Product {
                panels: packed(g.in_channels, g.out_channels, taps, Order::InputsFirst, at),
                taps,
                origin: [0, 1].map(|axis| along[axis].start + reach + 1 - taps[axis]),
                windows: [along[0].len(), along[1].len()],
                first: [0, 1].map(|axis| stride * along[axis].start + residues[axis] - pad),
                step: stride,
            }
        };
        let whole = Self {
            source: [pixel(g.out_channels), g.out_size, g.out_size],
            target: [pixel(g.in_channels), size, size],
            before: reach,
            stride: 1,
            products: residues.iter().flat_map(|a| residues.iter().map(|b| product(*a, *b))).collect(),
        };
        whole.flattened()
    }

    /// With the pixels of small images as one long row, where windows are pixels.
    fn flattened(mut self) -> Self {
        let [_, height, width] = self.source;
        if let [product] = &mut self.products[..]
            && (product.taps, product.step, self.stride, self.before) == ([1, 1], 1, 1, 0)
            && height * width <= ROW_PIXELS
        {
            for [_, rows, columns] in [&mut self.source, &mut self.target] {
                (*rows, *columns) = (1, height * width);
            }
            product.windows = [1, height * width];
        }
        self
    }

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    unsafe fn apply<K: Tiles>(&self, kernel: K, x: &[u16], store: Store, y: &mut [MaybeUninit<u16>]) {
        let (image, result) = (self.source.iter().product::<usize>(), self.target.iter().product::<usize>());
        let plan = Plan::new(self, x.len() / image);
        let parts = y.par_chunks_mut(plan.images * result).zip(x.par_chunks(plan.images * image));
        parts.for_each(|(y, x)| {
            FRAME.with_borrow_mut(|frame| {
                for rows in plan.bands() {
                    let frame = plan.fill(self, &rows, x, frame);
                    for product in &self.products {
                        // SAFETY: as the caller promises.
                        unsafe { plan.compute(kernel, self, product, &rows, frame, store, y) }
                    }
                }
            });
        });
    }
}

thread_local!(static FRAME: RefCell<Vec<u16>> = RefCell::default());

/// How images are divided, and how a frame's pixels lie.
struct Plan {
    /// Images that share a frame: a tile's rows are theirs, if there is more than one.
    images: usize,
    /// Rows of windows, and those that share a frame.
    rows: usize,
    band: usize,
    /// Padded rows that are under a row of windows; pixels of a row; halves of an image.
    reach: usize,
    width: usize,
    image: usize,
}

impl Plan {
    fn new(whole: &Correlation, images: usize) -> Self {
        let products = &whole.products;
        let most = |of: fn(&Product) -> usize| products.iter().map(of).max().unwrap_or(0);
        let (rows, columns) = (most(|p| p.windows[0]), most(|p| p.windows[1]));
        let (reach, right) = (most(|p| p.origin[0] + p.taps[0]), most(|p| p.origin[1] + p.taps[1]));
        let width = columns.saturating_sub(1) * whole.stride + right;
        // Which fills tiles better: windows of a row, or images, if there are enough for some parts of the work.
        let share = |count: usize| count as f64 / count.next_multiple_of(SIDE).max(1) as f64;
        let shares = images >= MIN_GROUPS * SIDE && share(images) > share(columns);
        let row = width * whole.source[0];
        let band = if shares { rows } else { (BAND / (row * whole.stride).max(1)).clamp(1, rows.max(1)) };
        let height = band.saturating_sub(1) * whole.stride + reach;
        // With room for a step beyond the last pixel; an odd number of cache lines apart, lest images share cache sets.
        let image = (((height * row).div_ceil(STEP) + 1) | 1) * STEP;
        Self { images: if shares { SIDE } else { 1 }, rows, band, reach, width, image }
    }

    /// The rows of windows, those of a frame after the other.
    fn bands(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.rows).step_by(self.band.max(1)).map(|from| from..self.rows.min(from + self.band))
    }

    /// The frame of some rows of windows.
    fn fill<'a>(
        &self,
        whole: &Correlation,
        rows: &Range<usize>,
        x: &[u16],
        frame: &'a mut Vec<u16>,
    ) -> &'a [u16] {
        let [pixel, height, width] = whole.source;
        let (row, before) = (self.width * pixel, whole.before * pixel);
        let copied = (width * pixel).min(row.saturating_sub(before));
        // A tile may reach beyond the last window of its row, and a step beyond the last pixel. What the former reads has no
        // part in any result, but the latter meets zeros, and must be a number.
        let len = self.images * self.image + SIDE * whole.stride * pixel + STEP;
        let frame = sized(frame, len);
        let padded = rows.start * whole.stride..(rows.end - 1) * whole.stride + self.reach;
        let images = x.chunks_exact(height * width * pixel).zip(frame.chunks_mut(self.image));
        for (x, frame) in images {
            for (at, to) in padded.clone().zip(frame.chunks_exact_mut(row)) {
                match at.checked_sub(whole.before).filter(|at| *at < height) {
                    Some(at) => {
                        to[..before.min(row)].fill(0);
                        to[before.min(row)..][..copied].copy_from_slice(&x[at * width * pixel..][..copied]);
                        to[before.min(row) + copied..].fill(0);
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

    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    #[allow(clippy::too_many_arguments, reason = "what a part of the work is")]
    unsafe fn compute<K: Tiles>(
        &self,
        kernel: K,
        whole: &Correlation,
        product: &Product,
        rows: &Range<usize>,
        frame: &[u16],
        store: Store,
        y: &mut [MaybeUninit<u16>],
    ) {
        let (pixel, row) = (whole.source[0], self.width * whole.source[0]);
        let rows = rows.start..rows.end.min(product.windows[0]);
        let columns = product.windows[1];
        let across = if self.images > 1 { 1 } else { SIDE };
        // The windows that a tile begins with.
        let windows: Vec<[usize; 2]> = rows
            .clone()
            .flat_map(|row| (0..columns).step_by(across).map(move |column| [row, column]))
            .collect();
        let start = |[y, x]: &[usize; 2]| {
            ((y - rows.start) * whole.stride + product.origin[0]) * row
                + (x * whole.stride + product.origin[1]) * pixel
        };
        let starts: Vec<usize> = windows.iter().map(start).collect();
        let run = (product.taps[1] * pixel).div_ceil(STEP);
        let offsets: Vec<u32> = (0..product.taps[0])
            .flat_map(|y| (0..run).map(move |step| (y * row + step * STEP) as u32))
            .collect();
        let left = Left {
            halves: frame,
            starts: &starts,
            row: if self.images > 1 { self.image } else { whole.stride * pixel },
            offsets: &offsets,
        };
        let [outputs, height, width] = whole.target;
        let images = y.len() / (outputs * height * width);
        multiply(kernel, &left, &product.panels, |tile, column, sums| {
            let [y_window, x_window] = windows[tile];
            let first = (product.first[0] + product.step * y_window) * width
                + product.first[1]
                + product.step * x_window;
            let (count, apart) = if self.images > 1 {
                (images, height * width)
            } else {
                (SIDE.min(columns - x_window), product.step)
            };
            let sum_width = sums.len() / SIDE;
            let kept = sum_width.min(outputs - column);
            vectorized(
                #[inline(always)]
                || {
                    for (r, sums) in sums.chunks_exact(sum_width).take(count).enumerate() {
                        let to = &mut y[(first + r * apart) * outputs + column..][..kept];
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

/// Filters as right factors: panel after panel of 16 outputs, in the order of the frame's halves under a window. `order` is that
/// in which the weights lie, of an output, an input, and a tap's row and column.
fn packed(
    outputs: usize,
    inputs: usize,
    [height, width]: [usize; 2],
    order: Order,
    weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
) -> Vec<u32> {
    let pixel = pixel(inputs);
    let run = (width * pixel).div_ceil(STEP);
    let panel = height * run * TILE;
    let mut panels = vec![0u32; outputs.div_ceil(SIDE) * panel];
    panels.par_chunks_mut(panel.max(1)).enumerate().for_each(|(i, panel)| {
        let halves: &mut [u16] = bytemuck::cast_slice_mut(panel);
        let outputs = i * SIDE..outputs.min((i + 1) * SIDE);
        let mut put = |output: usize, input: usize| {
            for y in 0..height {
                for x in 0..width {
                    let depth = y * run * STEP + x * pixel + input;
                    let place = (depth / 2 * SIDE + output % SIDE) * 2 + depth % 2;
                    halves[place] = narrowed(weight(output, input, y, x));
                }
            }
        };
        match order {
            Order::OutputsFirst => {
                outputs.for_each(|output| (0..inputs).for_each(|input| put(output, input)))
            }
            Order::InputsFirst => {
                (0..inputs).for_each(|input| outputs.clone().for_each(|output| put(output, input)))
            }
        }
    });
    panels
}

/// Which loop over filters is the outer one.
#[derive(Clone, Copy)]
enum Order {
    OutputsFirst,
    InputsFirst,
}

#[cfg(test)]
mod tests {
    use super::super::tiles::Emulated;
    use super::*;

    fn noise(seed: usize, len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    /// Images `batch x size x size x channels`, and as they are stored, odd channels filled up with zeros.
    fn images(seed: usize, batch: usize, size: usize, channels: usize) -> (Vec<f64>, Vec<u16>) {
        let values = noise(seed, batch * size * size * channels);
        let stored = values.chunks(channels).flat_map(|pixel| {
            pixel.iter().copied().chain((channels % 2 == 1).then_some(0.0)).map(narrowed).collect::<Vec<_>>()
        });
        (values.iter().map(|value| f64::from(widened(narrowed(*value)))).collect(), stored.collect())
    }

    fn assert_close(found: impl IntoIterator<Item = f32>, expected: &[f64], tolerance: f64, what: &str) {
        let found: Vec<f32> = found.into_iter().collect();
        assert_eq!(found.len(), expected.len(), "{what}");
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= tolerance * expected.abs().max(1.0), "{what}, {i}: {found}, not {expected}");
        }
    }

    /// Stored images without what odd channels are filled up with.
    fn values(stored: &[u16], channels: usize) -> Vec<f32> {
        stored
            .chunks(pixel(channels))
            .flat_map(|pixel| pixel[..channels].iter().map(|half| widened(*half)))
            .collect()
    }

    /// Filters of all kinds, of channels around a tile's, on images of fewer and of more than a tile's pixels, and batches of
    /// fewer and of more images than a tile's rows.
    #[test]
    fn all_three_agree_with_their_definition() {
        for (kernel, stride, pad) in [(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (7, 2, 3), (5, 3, 2)] {
            for (in_channels, out_channels) in [(3, 16), (16, 16), (17, 40), (48, 33)] {
                for (batch, in_size) in [(1, 8), (2, 19), (69, 5), (2, 37)] {
                    if in_channels * in_size > 700 && kernel == 7 {
                        continue;
                    }
                    let out_size = (in_size + 2 * pad - kernel) / stride + 1;
                    let g =
                        Conv2dGeometry { in_channels, out_channels, in_size, out_size, kernel, stride, pad };
                    check(&g, batch);
                }
            }
        }
    }

    fn check(g: &Conv2dGeometry, batch: usize) {
        let (x, x_stored) = images(1, batch, g.in_size, g.in_channels);
        let (dy, dy_stored) = images(2, batch, g.out_size, g.out_channels);
        let weight = noise(3, g.weight_len());
        let (mut y, mut dw, mut dx) = (vec![0.0; dy.len()], vec![0.0; weight.len()], vec![0.0; x.len()]);
        for n in 0..batch {
            for (oy, ox) in (0..g.out_size).flat_map(|oy| (0..g.out_size).map(move |ox| (oy, ox))) {
                for (ky, kx) in (0..g.kernel).flat_map(|ky| (0..g.kernel).map(move |kx| (ky, kx))) {
                    let (iy, ix) =
                        ((oy * g.stride + ky).wrapping_sub(g.pad), (ox * g.stride + kx).wrapping_sub(g.pad));
                    if iy >= g.in_size || ix >= g.in_size {
                        continue;
                    }
                    let from = ((n * g.in_size + iy) * g.in_size + ix) * g.in_channels;
                    let to = ((n * g.out_size + oy) * g.out_size + ox) * g.out_channels;
                    for output in 0..g.out_channels {
                        for input in 0..g.in_channels {
                            let at = ((output * g.in_channels + input) * g.kernel + ky) * g.kernel + kx;
                            let w = f64::from(widened(narrowed(weight[at])));
                            y[to + output] += w * x[from + input];
                            dx[from + input] += w * dy[to + output];
                            dw[at] += dy[to + output] * x[from + input];
                        }
                    }
                }
            }
        }

        let mut found = vec![MaybeUninit::new(u16::MAX); dy_stored.len()];
        forward(Emulated, g, &x_stored, &weight, &mut found);
        // SAFETY: all were initialised.
        let found: Vec<u16> = found.iter().map(|half| unsafe { half.assume_init() }).collect();
        assert_close(values(&found, g.out_channels), &y, 1.0 / 200.0, &format!("y of {g:?}"));

        let mut found = noise(4, g.weight_len());
        weight_gradient(Emulated, g, &x_stored, &dy_stored, &mut found);
        let before = noise(4, g.weight_len());
        let added = found.iter().zip(before).map(|(found, before)| found - before);
        assert_close(added, &dw, 1e-4, &format!("dW of {g:?}"));

        let mut found = x_stored.clone();
        input_gradient(Emulated, g, &weight, &dy_stored, &mut found);
        dx.iter_mut().zip(&x).for_each(|(dx, x)| *dx += x);
        assert_close(values(&found, g.in_channels), &dx, 1.0 / 100.0, &format!("dx of {g:?}"));
    }
}
