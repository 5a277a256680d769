//! `y = w * x` and `dx += w^T * dy`.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::super::narrowed;
use super::super::tiles::{Engine, SIDE, STEP, TILE};
use super::pixel;
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::conv2d::Residues;
use crate::backend::cpu::matrix::Store;

mod plan;
use plan::Plan;

/// Up to so many pixels, the windows of a 1x1 convolution are those of one long row.
const ROW_PIXELS: usize = 256;

/// A convolution of images with filters, or its transpose.
pub(super) struct Correlation {
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
    pub(super) fn forward(g: &Conv2dGeometry, weight: &[f32]) -> Self {
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
    pub(super) fn backward(g: &Conv2dGeometry, weight: &[f32]) -> Self {
        let (size, stride, pad) = (g.in_size, g.stride, g.pad);
        let residues = Residues::of(g);
        let reach = residues.reach();
        let product = |a: usize, b: usize| {
            let (of, taps) = ([a, b], [a, b].map(|residue| residues.taps(residue)));
            // The last tap comes first in the frame.
            let at = |output: usize, input: usize, y: usize, x: usize| {
                let [ky, kx] = [0, 1].map(|axis| of[axis] + stride * (taps[axis] - 1 - [y, x][axis]));
                weight[((input * g.in_channels + output) * g.kernel + ky) * g.kernel + kx]
            };
            let along = of.map(|residue| residues.windows(residue));
            Product {
                panels: packed(g.in_channels, g.out_channels, taps, Order::InputsFirst, at),
                taps,
                origin: [0, 1].map(|axis| along[axis].start + reach + 1 - taps[axis]),
                windows: [along[0].len(), along[1].len()],
                first: [0, 1].map(|axis| stride * along[axis].start + of[axis] - pad),
                step: stride,
            }
        };
        let whole = Self {
            source: [pixel(g.out_channels), g.out_size, g.out_size],
            target: [pixel(g.in_channels), size, size],
            before: reach,
            stride: 1,
            products: residues.pairs().map(|[a, b]| product(a, b)).collect(),
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

    /// Reads images of the source's size from `x`, and writes or adds the results.
    ///
    /// # Safety
    /// If `store` is `Add`, `y`'s values are initialised.
    pub(super) unsafe fn apply(&self, engine: Engine, x: &[u16], store: Store, y: &mut [MaybeUninit<u16>]) {
        let (image, result) = (self.source.iter().product::<usize>(), self.target.iter().product::<usize>());
        let plan = Plan::new(self, x.len() / image);
        let parts = y.par_chunks_mut(plan.images() * result).zip(x.par_chunks(plan.images() * image));
        // SAFETY: as the caller promises.
        parts.for_each(|(y, x)| unsafe { plan.apply(engine, x, store, y) });
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
