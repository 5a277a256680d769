//! Convolution as products of tiles. Images are copied into a padded frame, where what lies under one row of a filter is one
//! run of halves, whatever the window; a tile's rows are neighbouring windows, or the same window of neighbouring images.

use std::mem::MaybeUninit;

use super::halves;
use super::tiles::Engine;
use crate::backend::Conv2dGeometry;
use crate::backend::cpu::matrix::Store;
use crate::backend::cpu::tensor_view::as_uninit;

mod correlation;
use correlation::Correlation;

mod weight_gradient;
use weight_gradient::weight_gradient;

/// `y = w * x`.
pub(in super::super) fn convolve(
    engine: Engine,
    g: &Conv2dGeometry,
    x: &[f32],
    weight: &[f32],
    y: &mut [MaybeUninit<f32>],
) {
    // SAFETY: a word is two halves, with any bits.
    let y = unsafe { std::slice::from_raw_parts_mut(y.as_mut_ptr().cast(), 2 * y.len()) };
    forward(engine, g, halves(x), weight, y);
}

/// `dx += w^T * dy`.
pub(in super::super) fn add_input_gradient(
    engine: Engine,
    g: &Conv2dGeometry,
    weight: &[f32],
    grad_y: &[f32],
    grad_x: &mut [f32],
) {
    let grad_x = bytemuck::cast_slice_mut(grad_x);
    input_gradient(engine, g, weight, halves(grad_y), grad_x);
}

/// `dw += dy x`.
pub(in super::super) fn add_weight_gradient(
    engine: Engine,
    g: &Conv2dGeometry,
    x: &[f32],
    grad_y: &[f32],
    grad_weight: &mut [f32],
) {
    weight_gradient(engine, g, halves(x), halves(grad_y), grad_weight);
}

fn forward(engine: Engine, g: &Conv2dGeometry, x: &[u16], weight: &[f32], y: &mut [MaybeUninit<u16>]) {
    // SAFETY: `Overwrite` asks nothing of `y`.
    unsafe { Correlation::forward(g, weight).apply(engine, x, Store::Overwrite, y) }
}

fn input_gradient(engine: Engine, g: &Conv2dGeometry, weight: &[f32], grad_y: &[u16], grad_x: &mut [u16]) {
    let whole = Correlation::backward(g, weight);
    // SAFETY: the slice's values are initialised, and sums are written to them.
    unsafe { whole.apply(engine, grad_y, Store::Add, as_uninit(grad_x)) }
}

/// Halves of a pixel.
fn pixel(channels: usize) -> usize {
    channels.next_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::super::tiles::Emulated;
    use super::super::{narrowed, widened};
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
                    for emulated in [Emulated::Amx, Emulated::DotProducts] {
                        check(Engine::Loops(emulated), &g, batch);
                    }
                }
            }
        }
    }

    fn check(engine: Engine, g: &Conv2dGeometry, batch: usize) {
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
        forward(engine, g, &x_stored, &weight, &mut found);
        // SAFETY: all were initialised.
        let found: Vec<u16> = found.iter().map(|half| unsafe { half.assume_init() }).collect();
        assert_close(values(&found, g.out_channels), &y, 1.0 / 200.0, &format!("y of {g:?}"));

        let mut found = noise(4, g.weight_len());
        weight_gradient(engine, g, &x_stored, &dy_stored, &mut found);
        let before = noise(4, g.weight_len());
        let added = found.iter().zip(before).map(|(found, before)| found - before);
        assert_close(added, &dw, 1e-4, &format!("dW of {g:?}"));

        let mut found = x_stored.clone();
        input_gradient(engine, g, &weight, &dy_stored, &mut found);
        dx.iter_mut().zip(&x).for_each(|(dx, x)| *dx += x);
        assert_close(values(&found, g.in_channels), &dx, 1.0 / 100.0, &format!("dx of {g:?}"));
    }
}
