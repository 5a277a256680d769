//! Convolution as products of matrices whose right factor is the image itself.
//!
//! Images are copied into a padded frame, laid out so that the pixels under one filter tap of neighbouring windows are
//! contiguous. No im2col matrix is built: a vector of the right factor is a run of the frame, at a start that depends
//! on the windows plus an offset that depends on the tap.

use std::mem::MaybeUninit;

use dfdx::prelude::*;

use super::bf16::{Engine, conv2d as tiled};
use super::by_parts;
use super::planes::Planes;
use super::profile::{Work, record};
use super::tensor_view::{values, written};
use super::tile::with_kernel;
use crate::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};

mod frame;

mod residues;
pub(super) use residues::Residues;

mod correlation;
use correlation::Correlation;

mod pointwise;
use pointwise::Pointwise;

mod winograd;
use winograd::{Winograd, WinogradWeightGradient};

mod weight_gradient;
use weight_gradient::weight_gradient;

impl Conv2dKernel for Cpu {
    fn conv2d<X: Shape, W: Shape, Y: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let (planes, out) =
            (Planes::of(x.shape(), geometry.in_channels), Planes::of(&output, geometry.out_channels));
        let (x, weight) = (values(x), values(weight));
        let (shape, work) = described(geometry, x.len() / planes.image_words());
        if let Some(engine) = Engine::detect().filter(|_| planes.are_bf16()) {
            // SAFETY: as below.
            return record("conv2d", shape, work, || unsafe {
                written(self, output, |y| tiled::convolve(engine, geometry, x, weight, y))
            });
        }
        let (x, weight) = (planes.read(x), planes.weight(weight));
        // SAFETY: the windows' results are all of the output's elements.
        record("conv2d", shape, work, || unsafe {
            out.written(self, output, |y| convolve(geometry, &x, &weight, y))
        })
    }

    fn conv2d_backward<X: Shape, W: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        grad_output: &Self::Vec,
        gradients: Conv2dGradients<'_, Self>,
    ) -> Result<(), Self::Err> {
        let planes = Planes::of(x.shape(), geometry.in_channels);
        let (x, weight, len) = (values(x), values(weight), geometry.weight_len());
        let (shape, work) = described(geometry, x.len() / planes.image_words());
        let engine = Engine::detect().filter(|_| planes.are_bf16());
        let add_weight_gradient = |inputs: [&[f32]; 2], gradient| {
            record("conv2d weight gradient", &shape, work, || {
                by_parts(gradients.parts, inputs, gradient, len, |[x, grad_output], grad| {
                    grad.resize(len, 0.0);
                    match engine {
                        Some(engine) => tiled::add_weight_gradient(engine, geometry, x, grad_output, grad),
                        None => add_weight_gradient(geometry, x, grad_output, grad),
                    }
                });
            });
        };
        if let Some(engine) = engine {
            add_weight_gradient([x, grad_output], gradients.weight);
            if let Some(grad_x) = gradients.input {
                record("conv2d input gradient", shape, work, || {
                    tiled::add_input_gradient(engine, geometry, weight, grad_output, grad_x);
                });
            }
            return Ok(());
        }
        let grad_output = planes.resized(geometry.out_channels, geometry.out_size).read(grad_output);
        let (x, weight) = (planes.read(x), planes.weight(weight));
        add_weight_gradient([&x, &grad_output], gradients.weight);
        if let Some(grad_x) = gradients.input {
            record("conv2d input gradient", shape, work, || {
                planes.change(grad_x, |grad_x| add_input_gradient(geometry, &weight, &grad_output, grad_x));
            });
        }
        Ok(())
    }
}

// The kernels are behind functions without type parameters, so that they are compiled once, in this crate.

fn convolve(geometry: &Conv2dGeometry, x: &[f32], weight: &[f32], y: &mut [MaybeUninit<f32>]) {
    with_kernel!(kernel => if let Some(pointwise) = Pointwise::of(geometry) {
        pointwise.forward(kernel, x, weight, y);
    } else if let Some(winograd) = Winograd::forward(geometry, weight) {
        winograd.overwrite(kernel, x, y);
    } else {
        Correlation::forward(geometry, weight).overwrite(kernel, x, y);
    });
}

fn add_weight_gradient(geometry: &Conv2dGeometry, x: &[f32], grad_output: &[f32], grad_weight: &mut [f32]) {
    with_kernel!(kernel => if let Some(pointwise) = Pointwise::of(geometry) {
        pointwise.weight_gradient(kernel, x, grad_output, grad_weight);
    } else if let Some(winograd) = WinogradWeightGradient::new(geometry, x, grad_output) {
        winograd.add(kernel, grad_weight);
    } else {
        weight_gradient(kernel, geometry, x, grad_output, grad_weight);
    });
}

fn add_input_gradient(geometry: &Conv2dGeometry, weight: &[f32], grad_output: &[f32], grad_x: &mut [f32]) {
    with_kernel!(kernel => if let Some(pointwise) = Pointwise::of(geometry) {
        pointwise.input_gradient(kernel, weight, grad_output, grad_x);
    } else if let Some(winograd) = Winograd::backward(geometry, weight) {
        winograd.add(kernel, grad_output, grad_x);
    } else {
        Correlation::backward(geometry, weight).add(kernel, grad_output, grad_x);
    });
}

/// What a profile says of one product over these images.
fn described(g: &Conv2dGeometry, images: usize) -> (impl Fn() -> String, Work) {
    let g = *g;
    let shape = move || {
        let Conv2dGeometry { in_channels, out_channels, in_size, kernel, stride, .. } = g;
        format!("{images}x{in_channels}x{in_size}x{in_size} -> {out_channels}, {kernel}x{kernel} / {stride}")
    };
    let sums = images * g.out_size * g.out_size * g.weight_len();
    let values = images * (g.in_len() + g.out_len()) + g.weight_len();
    (shape, Work { flops: 2.0 * sums as f64, values })
}
