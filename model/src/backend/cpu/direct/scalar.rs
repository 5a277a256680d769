//! The kernels as plain loops: what the others are held against, and never used where there is no other.

use super::{LANES, Lanes};

/// Products of matrices are faster.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn is_fast() -> bool {
    false
}

/// `y (+)= w * x` with `x` padded: `y` has one plane for each row of `weight`, `out x in x 3 x 3`.
pub(super) fn convolve(
    size: usize,
    in_channels: usize,
    padded: &[f32],
    weight: &[f32],
    y: &mut [f32],
    add: bool,
) {
    let stride = size + 2;
    for (weight, plane) in weight.chunks(9 * in_channels).zip(y.chunks_mut(size * size)) {
        for (pixel, y) in plane.iter_mut().enumerate() {
            let corner = pixel / size * stride + pixel % size;
            let mut sum = 0.0;
            for (taps, plane) in weight.chunks(9).zip(padded.chunks(stride * stride)) {
                sum += (0..9).map(|t| taps[t] * plane[corner + t / 3 * stride + t % 3]).sum::<f32>();
            }
            *y = if add { *y + sum } else { sum };
        }
    }
}

/// `sums += dw` with `x` padded; the products of a run's pixels go to its lanes.
pub(super) fn correlate(size: usize, in_channels: usize, padded: &[f32], grad_y: &[f32], sums: &mut [Lanes]) {
    let stride = size + 2;
    for (grad_y, sums) in grad_y.chunks(size * size).zip(sums.chunks_mut(9 * in_channels)) {
        for (sums, plane) in sums.chunks_mut(9).zip(padded.chunks(stride * stride)) {
            for (t, sums) in sums.iter_mut().enumerate() {
                for (pixel, grad) in grad_y.iter().enumerate() {
                    let x = plane[(pixel / size + t / 3) * stride + pixel % size + t % 3];
                    sums[pixel % LANES] += grad * x;
                }
            }
        }
    }
}
