use std::cell::RefCell;
use std::ops::Range;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::direct::Direct;
use super::im2col::{col2im, im2col};
use super::matrix::{Matrix, MatrixMut, Store};
use super::product::multiply;
use super::tensor_view::{values, values_mut};
use super::vectorized;
use crate::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};

/// Columns of one product: the matrix of windows stays near the core, and small images share a product.
const TILE_COLUMNS: usize = 256;

/// Partial weight gradients: at most this many, and at most this many values together unless there are only two.
const MAX_PARTS: usize = 16;
const MAX_PART_VALUES: usize = 4 << 20;

impl Conv2dKernel for Cpu {
    fn conv2d<X: Shape, W: Shape, Y: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        correlate(geometry, values(x), values(weight), Store::Overwrite, values_mut(&mut y));
        Ok(y)
    }

    fn conv2d_backward<X: Shape, W: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        grad_output: &Self::Vec,
        gradients: Conv2dGradients<'_, Self>,
    ) -> Result<(), Self::Err> {
        let (x, weight) = (values(x), values(weight));
        let grad_x = gradients.input.map(|grad| &mut grad[..]);
        let Some(grad_x) = grad_x else {
            weight_gradient(geometry, x, weight, grad_output, None, gradients.weight);
            return Ok(());
        };
        match Flipped::of(geometry, weight) {
            Some(flipped) => {
                weight_gradient(geometry, x, weight, grad_output, None, gradients.weight);
                correlate(&flipped.geometry, grad_output, &flipped.weight, Store::Add, grad_x);
            }
            None => weight_gradient(geometry, x, weight, grad_output, Some(grad_x), gradients.weight),
        }
        Ok(())
    }
}

/// `y = w * x` or `y += w * x`: directly where that suits, else as `W columns(x)`, tile by tile.
fn correlate(g: &Conv2dGeometry, x: &[f32], weight: &[f32], store: Store, y: &mut [f32]) {
    if let Some(direct) = Direct::new(g) {
        return x.par_chunks(g.in_len()).zip(y.par_chunks_mut(g.out_len())).for_each(|(x, y)| {
            with_scratch(|scratch| direct.convolve(x, weight, scratch.take(direct.padded_len()), store, y));
        });
    }
    let group = images_per_tile(g);
    let weight = Matrix::new(weight, g.out_channels, g.window_len(), g.window_len());
    x.par_chunks(group * g.in_len()).zip(y.par_chunks_mut(group * g.out_len())).for_each(|(x, y)| {
        with_scratch(|scratch| {
            for_each_tile(g, x.len() / g.in_len(), |tile| {
                let n = tile.columns(g);
                let [columns, product, _] = scratch.parts(g, n);
                let columns = tile.windows(g, x, columns);
                match tile.matrix_mut(g, y) {
                    Some(mut y) => multiply(&mut y, store, weight, columns),
                    None => {
                        let mut outputs = MatrixMut::new(product, g.out_channels, n, n);
                        multiply(&mut outputs, Store::Overwrite, weight, columns);
                        tile.scatter(g, product, store, y);
                    }
                }
            });
        });
    });
}

/// The convolution that takes `dL/dy` to `dL/dx`, where the stride is 1: filters turned by 180 degrees, and input
/// and output channels exchanged.
struct Flipped {
    geometry: Conv2dGeometry,
    weight: Vec<f32>,
}

impl Flipped {
    fn of(g: &Conv2dGeometry, weight: &[f32]) -> Option<Self> {
        if g.stride != 1 || g.pad >= g.kernel {
            return None;
        }
        let taps = g.kernel * g.kernel;
        let mut flipped = Vec::with_capacity(weight.len());
        for input in 0..g.in_channels {
            for filter in weight.chunks(g.window_len()) {
                flipped.extend(filter[input * taps..][..taps].iter().rev());
            }
        }
        let geometry = Conv2dGeometry {
            in_channels: g.out_channels,
            out_channels: g.in_channels,
            in_size: g.out_size,
            out_size: g.in_size,
            pad: g.kernel - 1 - g.pad,
            ..*g
        };
        Some(Self { geometry, weight: flipped })
    }
}

/// `dW += dy columns(x)^T` and, where it is asked for, `dx += images(W^T dy)`, in a number of parts that the shapes
/// give.
fn weight_gradient(
    g: &Conv2dGeometry,
    x: &[f32],
    weight: &[f32],
    grad_y: &[f32],
    grad_x: Option<&mut [f32]>,
    grad_weight: &mut [f32],
) {
    let images = x.len() / g.in_len();
    let groups = images.div_ceil(images_per_tile(g));
    let parts = groups.min(MAX_PARTS).min((MAX_PART_VALUES / g.weight_len()).max(2));
    let part = groups.div_ceil(parts.max(1)) * images_per_tile(g);

    let weight = Matrix::new(weight, g.out_channels, g.window_len(), g.window_len());
    let inputs = x.par_chunks(part * g.in_len()).zip(grad_y.par_chunks(part * g.out_len()));
    let partial: Vec<Vec<f32>> = match grad_x {
        Some(grad_x) => inputs
            .zip(grad_x.par_chunks_mut(part * g.in_len()))
            .map(|((x, grad_y), grad_x)| weight_gradient_part(g, x, weight, grad_y, Some(grad_x)))
            .collect(),
        None => inputs.map(|(x, grad_y)| weight_gradient_part(g, x, weight, grad_y, None)).collect(),
    };
    for part in partial {
        vectorized(
            #[inline(always)]
            || grad_weight.iter_mut().zip(&part).for_each(|(sum, value)| *sum += value),
        );
    }
}

/// The gradients of some images; returns that of the weight.
fn weight_gradient_part(
    g: &Conv2dGeometry,
    x: &[f32],
    weight: Matrix<'_>,
    grad_y: &[f32],
    mut grad_x: Option<&mut [f32]>,
) -> Vec<f32> {
    if let (Some(direct), None) = (Direct::new(g), &grad_x) {
        return with_scratch(|scratch| {
            direct.weight_gradient(x, grad_y, scratch.take(direct.padded_len()), g.weight_len())
        });
    }
    let mut grad_weight = vec![0.0; g.weight_len()];
    with_scratch(|scratch| {
        for_each_tile(g, x.len() / g.in_len(), |tile| {
            let n = tile.columns(g);
            let [columns, gathered, grad_columns] = scratch.parts(g, n);
            let grad_y = match tile.matrix(g, grad_y) {
                Some(grad_y) => grad_y,
                None => {
                    tile.gather(g, grad_y, gathered);
                    Matrix::new(gathered, g.out_channels, n, n)
                }
            };
            let columns = tile.windows(g, x, columns);
            let mut sum = MatrixMut::new(&mut grad_weight, g.out_channels, g.window_len(), g.window_len());
            multiply(&mut sum, Store::Add, grad_y, columns.t());

            let Some(grad_x) = grad_x.as_deref_mut() else { return };
            let mut product = MatrixMut::new(grad_columns, g.window_len(), n, n);
            multiply(&mut product, Store::Overwrite, weight.t(), grad_y);
            vectorized(
                #[inline(always)]
                || {
                    for (i, image) in tile.images.clone().enumerate() {
                        let image = &mut grad_x[image * g.in_len()..][..g.in_len()];
                        col2im(
                            g,
                            grad_columns,
                            n,
                            i * tile.rows.len() * g.out_size,
                            tile.rows.clone(),
                            image,
                        );
                    }
                },
            );
        });
    });
    grad_weight
}

/// One product's share of the work: all rows of several small images, or some rows of one image.
struct Tile {
    images: Range<usize>,
    rows: Range<usize>,
}

fn images_per_tile(g: &Conv2dGeometry) -> usize {
    (TILE_COLUMNS / (g.out_size * g.out_size)).max(1)
}

fn for_each_tile(g: &Conv2dGeometry, images: usize, mut f: impl FnMut(Tile)) {
    let group = images_per_tile(g);
    let rows = if group > 1 { g.out_size } else { (TILE_COLUMNS / g.out_size).max(1) };
    for first in (0..images).step_by(group) {
        for row in (0..g.out_size).step_by(rows) {
            f(Tile { images: first..(first + group).min(images), rows: row..(row + rows).min(g.out_size) });
        }
    }
}

impl Tile {
    fn columns(&self, g: &Conv2dGeometry) -> usize {
        self.images.len() * self.rows.len() * g.out_size
    }

    /// Whether the tile's windows are its image's own pixels.
    fn is_pointwise(&self, g: &Conv2dGeometry) -> bool {
        (g.kernel, g.stride, g.pad) == (1, 1, 0) && self.images.len() == 1
    }

    /// The tile's windows as columns, `window_len x columns`.
    fn windows<'a>(&self, g: &Conv2dGeometry, x: &'a [f32], columns: &'a mut [f32]) -> Matrix<'a> {
        let n = self.columns(g);
        if self.is_pointwise(g) {
            let image = &x[self.images.start * g.in_len()..][..g.in_len()];
            return Matrix::new(
                &image[self.rows.start * g.out_size..],
                g.in_channels,
                n,
                g.in_size * g.in_size,
            );
        }
        vectorized(
            #[inline(always)]
            || {
                for (i, image) in self.images.clone().enumerate() {
                    let image = &x[image * g.in_len()..][..g.in_len()];
                    im2col(g, image, self.rows.clone(), columns, n, i * self.rows.len() * g.out_size);
                }
            },
        );
        Matrix::new(columns, g.window_len(), n, n)
    }

    /// The tile's outputs as a matrix in place, where they lie in one image.
    fn matrix<'a>(&self, g: &Conv2dGeometry, y: &'a [f32]) -> Option<Matrix<'a>> {
        let plane = g.out_size * g.out_size;
        let from = self.images.start * g.out_len() + self.rows.start * g.out_size;
        (self.images.len() == 1).then(|| Matrix::new(&y[from..], g.out_channels, self.columns(g), plane))
    }

    fn matrix_mut<'a>(&self, g: &Conv2dGeometry, y: &'a mut [f32]) -> Option<MatrixMut<'a>> {
        let plane = g.out_size * g.out_size;
        let from = self.images.start * g.out_len() + self.rows.start * g.out_size;
        (self.images.len() == 1)
            .then(|| MatrixMut::new(&mut y[from..], g.out_channels, self.columns(g), plane))
    }

    /// Copies outputs of several images, `images x channels x plane`, to `channels x (images x plane)`.
    fn gather(&self, g: &Conv2dGeometry, y: &[f32], gathered: &mut [f32]) {
        let (plane, n) = (g.out_size * g.out_size, self.columns(g));
        for (i, image) in self.images.clone().enumerate() {
            for channel in 0..g.out_channels {
                let from = &y[image * g.out_len() + channel * plane..][..plane];
                gathered[channel * n + i * plane..][..plane].copy_from_slice(from);
            }
        }
    }

    /// The inverse of [`gather`](Self::gather).
    fn scatter(&self, g: &Conv2dGeometry, product: &[f32], store: Store, y: &mut [f32]) {
        let (plane, n) = (g.out_size * g.out_size, self.columns(g));
        for (i, image) in self.images.clone().enumerate() {
            for channel in 0..g.out_channels {
                let to = &mut y[image * g.out_len() + channel * plane..][..plane];
                let from = &product[channel * n + i * plane..][..plane];
                match store {
                    Store::Overwrite => to.copy_from_slice(from),
                    Store::Add => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
                }
            }
        }
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch(Vec<f32>);

impl Scratch {
    /// Windows, outputs and gradients of windows, `n` columns each.
    fn parts(&mut self, g: &Conv2dGeometry, n: usize) -> [&mut [f32]; 3] {
        let (windows, outputs) = (g.window_len() * n, g.out_channels * n);
        let (a, rest) = self.take(2 * windows + outputs).split_at_mut(windows);
        let (b, rest) = rest.split_at_mut(outputs);
        [a, b, rest]
    }

    /// The first `len` values, whatever they are.
    fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len {
            self.0.resize(len, 0.0);
        }
        &mut self.0[..len]
    }
}

fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
    SCRATCH.with_borrow_mut(f)
}
