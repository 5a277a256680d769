//! `dW += dy windows(x)^T`: a product whose summed index is the pixel.

use std::cell::RefCell;

use rayon::prelude::*;

use super::frame::PixelFrame;
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::tile::{Depth, Kernel, Rows, Sums, multiply};
use crate::backend::cpu::vectorized;

/// Pixels that are gathered from small images, to be summed in one go.
const GATHERED_PIXELS: usize = 256;
/// Partial sums over images: at most this many, and at most this many values together unless there is only one.
const MAX_PARTS: usize = 16;
const MAX_PART_VALUES: usize = 1 << 21;
/// Sums of one pixel's channel in one part of the work, where the weight is too large for many partial sums: enough to
/// make up for the transposition of the pixels.
const PART_SUMS: usize = 512;

/// Adds `dL/dw`, in a number of parts that the shapes give.
pub(super) fn weight_gradient<K: Kernel>(
    kernel: K,
    g: &Conv2dGeometry,
    x: &[f32],
    grad_y: &[f32],
    grad_weight: &mut [f32],
) {
    let images = x.len() / g.in_len();
    let parts = images.min(MAX_PARTS).min((MAX_PART_VALUES / g.weight_len()).max(1)).max(1);
    let part = images.div_ceil(parts).max(1);
    let outputs = if parts < MAX_PARTS {
        (PART_SUMS / (g.kernel * g.kernel)).clamp(1, g.out_channels)
    } else {
        g.out_channels
    };

    let mut partial = vec![0.0; parts * g.weight_len()];
    let blocks = g.out_channels.div_ceil(outputs);
    let part_values: Vec<&mut [f32]> = partial
        .chunks_mut(g.weight_len())
        .flat_map(|sums| sums.chunks_mut(outputs * g.window_len()))
        .collect();
    part_values.into_par_iter().enumerate().for_each(|(i, sums)| {
        let (part_index, block) = (i / blocks, i % blocks);
        let from = (part_index * part).min(images);
        let to = (from + part).min(images);
        let (x, grad_y) =
            (&x[from * g.in_len()..to * g.in_len()], &grad_y[from * g.out_len()..to * g.out_len()]);
        SCRATCH.with_borrow_mut(|scratch| add_part(kernel, g, x, grad_y, block * outputs, sums, scratch));
    });

    // From `out x ky x kx x in`, part after part, to `out x in x ky x kx`.
    let taps = g.kernel * g.kernel;
    grad_weight.par_chunks_mut(g.window_len()).enumerate().for_each(|(output, grad)| {
        for sums in partial.chunks(g.weight_len()) {
            for (tap, sums) in sums[output * g.window_len()..].chunks(g.in_channels).take(taps).enumerate() {
                grad[tap..].iter_mut().step_by(taps).zip(sums).for_each(|(to, sum)| *to += sum);
            }
        }
    });
}

/// Adds the sums over some images to `sums`, `outputs x ky x kx x in`, for the output channels from `first` on.
fn add_part<K: Kernel>(
    kernel: K,
    g: &Conv2dGeometry,
    x: &[f32],
    grad_y: &[f32],
    first: usize,
    part: &mut [f32],
    scratch: &mut Scratch,
) {
    let plane = g.out_size * g.out_size;
    let outputs = part.len() / g.window_len();
    let group = (GATHERED_PIXELS / plane).max(1);
    let frame = PixelFrame {
        channels: g.in_channels,
        size: g.in_size,
        before: g.pad,
        padded: (g.out_size - 1) * g.stride + g.kernel,
    };
    let pixels: Vec<u32> = (0..group * plane)
        .map(|p| {
            let (image, y, x) = (p / plane, p / g.out_size % g.out_size, p % g.out_size);
            (image * frame.len() + frame.at(y * g.stride, x * g.stride)) as u32
        })
        .collect();
    // Of one filter row, all columns' channels are neighbours in the frame. A vector may reach beyond the last.
    let row = g.kernel * g.in_channels;
    let Scratch { frames, gathered } = scratch;
    frames.resize(frames.len().max(group * frame.len() + K::COLUMNS), 0.0);
    gathered.resize(gathered.len().max(outputs * group * plane), 0.0);

    let mut sums = Sums::new();
    for (x, grad_y) in x.chunks(group * g.in_len()).zip(grad_y.chunks(group * g.out_len())) {
        let images = x.len() / g.in_len();
        let summed = images * plane;
        vectorized(
            #[inline(always)]
            || {
                // A loop, for an iterator's closures are not compiled for the vectors of their caller.
                for (image, values) in x.chunks_exact(g.in_len()).zip(frames.chunks_exact_mut(frame.len())) {
                    frame.fill(image, values);
                }
            },
        );
        let grad_y = if group == 1 {
            &grad_y[first * plane..]
        } else {
            for (i, image) in grad_y.chunks_exact(g.out_len()).enumerate() {
                for c in 0..outputs {
                    gathered[c * summed + i * plane..][..plane]
                        .copy_from_slice(&image[(first + c) * plane..][..plane]);
                }
            }
            &gathered[..outputs * summed]
        };
        let mut from = 0;
        for depth in Depth::blocks(&pixels[..summed]) {
            for ky in 0..g.kernel {
                for column in (0..row).step_by(K::COLUMNS) {
                    let width = K::COLUMNS.min(row - column);
                    let start = frame.at(ky, 0) + column;
                    let starts: [usize; 3] = std::array::from_fn(|v| start + v * K::LANES);
                    for output in (0..outputs).step_by(K::ROWS) {
                        let rows = Rows {
                            values: &grad_y[output * summed + from..],
                            count: (outputs - output).min(K::ROWS),
                            stride: summed,
                            step: 1,
                        };
                        let starts = &starts[..width.div_ceil(K::LANES)];
                        multiply(kernel, rows, frames, starts, depth, &mut sums);
                        vectorized(
                            #[inline(always)]
                            || {
                                for (r, sums) in sums.0.chunks_exact(K::COLUMNS).take(rows.count).enumerate()
                                {
                                    let at = ((output + r) * g.kernel + ky) * row + column;
                                    let to = part[at..][..width].iter_mut();
                                    to.zip(sums).for_each(|(to, sum)| *to += sum);
                                }
                            },
                        );
                    }
                }
            }
            from += depth.len();
        }
    }
}

/// A thread's buffers, kept from call to call.
#[derive(Default)]
struct Scratch {
    frames: Vec<f32>,
    gathered: Vec<f32>,
}

thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
