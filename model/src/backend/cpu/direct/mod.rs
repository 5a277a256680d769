//! Direct convolution with a 3 x 3 filter, stride 1 and one pixel of padding: no matrix of windows is made.
//!
//! With few channels a product of matrices spends more time on laying out its operands than on multiplying. Here a
//! register tile of outputs takes its inputs from a zero-padded copy of the image, as overlapping runs of ten pixels.

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(any(test, not(target_arch = "x86_64")))]
mod scalar;

#[cfg(target_arch = "x86_64")]
use avx2 as kernel;
#[cfg(not(target_arch = "x86_64"))]
use scalar as kernel;

use super::matrix::Store;
use crate::backend::Conv2dGeometry;

/// Neighbouring pixels that are computed together.
const LANES: usize = 8;
/// Runs of pixels in the register tile of `convolve`; with two channels, that makes eight independent sums.
const RUNS: usize = 4;
/// Output channels in the register tile of `convolve`.
const CHANNELS: usize = 2;
/// Output channels in the register tile of `correlate`; with three taps, twelve independent sums.
const GRADIENT_CHANNELS: usize = 4;
/// Above this many channels a product of matrices is faster.
const MAX_CHANNELS: usize = 64;

/// A convolution that this file can do.
#[derive(Clone, Copy)]
pub(super) struct Direct {
    in_channels: usize,
    out_channels: usize,
    size: usize,
}

impl Direct {
    /// `None` if the sizes don't suit.
    pub(super) fn new(g: &Conv2dGeometry) -> Option<Self> {
        let same_size = (g.kernel, g.stride, g.pad) == (3, 1, 1);
        let few_channels = g.in_channels.max(g.out_channels) <= MAX_CHANNELS;
        let fits_tiles = g.out_size.is_multiple_of(LANES)
            && (g.out_size * g.out_size).is_multiple_of(RUNS * LANES)
            && g.out_channels.is_multiple_of(GRADIENT_CHANNELS);
        let Conv2dGeometry { in_channels, out_channels, out_size: size, .. } = *g;
        (same_size && few_channels && fits_tiles && kernel::is_fast()).then_some(Self {
            in_channels,
            out_channels,
            size,
        })
    }

    /// Values of a padded image.
    pub(super) fn padded_len(&self) -> usize {
        self.in_channels * (self.size + 2).pow(2)
    }

    /// `y = w * x` or `y += w * x` for one image; `padded` is scratch.
    pub(super) fn convolve(
        &self,
        x: &[f32],
        weight: &[f32],
        padded: &mut [f32],
        store: Store,
        y: &mut [f32],
    ) {
        pad(x, self.size, padded);
        kernel::convolve(self.size, self.in_channels, padded, weight, y, store == Store::Add);
    }

    /// `dw` of some images; `padded` is scratch.
    pub(super) fn weight_gradient(
        &self,
        x: &[f32],
        grad_y: &[f32],
        padded: &mut [f32],
        weight_len: usize,
    ) -> Vec<f32> {
        let mut sums = vec![Lanes::default(); weight_len];
        let plane = self.size * self.size;
        let images = x.chunks(self.in_channels * plane).zip(grad_y.chunks(self.out_channels * plane));
        for (x, grad_y) in images {
            pad(x, self.size, padded);
            kernel::correlate(self.size, self.in_channels, padded, grad_y, &mut sums);
        }
        sums.iter().map(|lanes| lanes.iter().sum()).collect()
    }
}

/// Partial sums that are added up at the end.
type Lanes = [f32; LANES];

/// Copies planes of `size x size` into the middle of planes with a border of zeros.
fn pad(x: &[f32], size: usize, padded: &mut [f32]) {
    let stride = size + 2;
    for (plane, padded) in x.chunks(size * size).zip(padded.chunks_mut(stride * stride)) {
        padded[..stride].fill(0.0);
        padded[stride * (size + 1)..].fill(0.0);
        for (row, padded) in plane.chunks(size).zip(padded[stride..].chunks_mut(stride)) {
            padded[0] = 0.0;
            padded[1..=size].copy_from_slice(row);
            padded[size + 1] = 0.0;
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn noise(seed: usize, len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
    }

    #[test]
    fn the_vector_kernels_agree_with_plain_loops() {
        if !kernel::is_fast() {
            return println!("skipped: this machine has no AVX2");
        }
        for (size, inputs, outputs) in [(8, 1, 4), (8, 6, 8), (16, 3, 4), (24, 2, 12), (32, 5, 4)] {
            let mut padded = vec![f32::NAN; inputs * (size + 2) * (size + 2)];
            pad(&noise(1, inputs * size * size), size, &mut padded);
            let (weight, start) = (noise(2, outputs * inputs * 9), noise(3, outputs * size * size));
            for add in [false, true] {
                let (mut fast, mut plain) = (start.clone(), start.clone());
                kernel::convolve(size, inputs, &padded, &weight, &mut fast, add);
                scalar::convolve(size, inputs, &padded, &weight, &mut plain, add);
                assert_close(&fast, &plain);
            }
            let (mut fast, mut plain) = (vec![[0.5; LANES]; weight.len()], vec![[0.5; LANES]; weight.len()]);
            kernel::correlate(size, inputs, &padded, &start, &mut fast);
            scalar::correlate(size, inputs, &padded, &start, &mut plain);
            assert_close(fast.as_flattened(), plain.as_flattened());
        }
    }

    fn assert_close(fast: &[f32], plain: &[f32]) {
        for (fast, plain) in fast.iter().zip(plain) {
            assert!((fast - plain).abs() <= 1e-5 * plain.abs().max(1.0), "{fast} and {plain}");
        }
    }
}
