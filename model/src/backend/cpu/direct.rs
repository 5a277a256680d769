//! Direct convolution with a 3 x 3 filter, stride 1 and one pixel of padding: no matrix of windows is made.
//!
//! With few channels a product of matrices spends more time on laying out its operands than on multiplying. Here a
//! register tile of outputs takes its inputs from a zero-padded copy of the image, as overlapping runs of ten pixels.

use std::arch::x86_64::*;

use crate::backend::Conv2dGeometry;

/// Neighbouring pixels that are computed together.
const LANES: usize = 8;
/// Runs of pixels in the register tile of [`convolve`]; with two channels, that makes eight independent sums.
const RUNS: usize = 4;
/// Output channels in the register tile of [`convolve`].
const CHANNELS: usize = 2;
/// Output channels in the register tile of [`Direct::weight_gradient`]; with three taps, twelve independent sums.
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
        let has_vectors = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        (same_size && few_channels && fits_tiles && has_vectors).then_some(Self {
            in_channels,
            out_channels,
            size,
        })
    }

    /// Whether the input's gradient can be computed too.
    pub(super) fn has_input_gradient(&self) -> bool {
        self.in_channels.is_multiple_of(CHANNELS)
    }

    /// Values of a padded image with the larger number of channels.
    pub(super) fn padded_len(&self) -> usize {
        self.in_channels.max(self.out_channels) * (self.size + 2).pow(2)
    }

    /// `y = w * x` for one image; `padded` is scratch.
    pub(super) fn forward(&self, x: &[f32], weight: &[f32], padded: &mut [f32], y: &mut [f32]) {
        pad(x, self.size, padded);
        // SAFETY: `new` found AVX2 and FMA on this machine.
        unsafe { convolve(self.size, self.in_channels, padded, weight, y, false) };
    }

    /// `dx += w' * dy` for one image, with the weight of [`transposed`](Self::transposed).
    pub(super) fn input_gradient(
        &self,
        grad_y: &[f32],
        transposed: &[f32],
        padded: &mut [f32],
        grad_x: &mut [f32],
    ) {
        pad(grad_y, self.size, padded);
        // SAFETY: `new` found AVX2 and FMA on this machine.
        unsafe { convolve(self.size, self.out_channels, padded, transposed, grad_x, true) };
    }

    /// The weight with its channels swapped and its taps turned around: `in x out x 3 x 3`.
    pub(super) fn transposed(&self, weight: &[f32]) -> Vec<f32> {
        let mut transposed = vec![0.0; weight.len()];
        for (o, rows) in weight.chunks(9 * self.in_channels).enumerate() {
            for (i, taps) in rows.chunks(9).enumerate() {
                let to = &mut transposed[9 * (i * self.out_channels + o)..][..9];
                to.iter_mut().zip(taps.iter().rev()).for_each(|(to, tap)| *to = *tap);
            }
        }
        transposed
    }

    /// Adds `dw` of one image to `sums`, spread over lanes; `padded` is scratch.
    pub(super) fn weight_gradient(&self, x: &[f32], grad_y: &[f32], padded: &mut [f32], sums: &mut [Lanes]) {
        pad(x, self.size, padded);
        // SAFETY: `new` found AVX2 and FMA on this machine.
        unsafe { correlate(self.size, self.in_channels, padded, grad_y, sums) };
    }
}

/// Partial sums that are added up at the end.
pub(super) type Lanes = [f32; LANES];

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

/// A run of outputs needs these inputs of each row.
type Window = [f32; LANES + 2];

fn window(plane: &[f32], at: usize) -> &Window {
    plane[at..][..LANES + 2].try_into().expect("the slice has the array's length")
}

/// The window's values that one tap of a row meets.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn load(window: &Window, tap: usize) -> __m256 {
    load_run(&window[tap..])
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load_run(run: &[f32]) -> __m256 {
    let run = &run[..LANES];
    // SAFETY: the slice has eight values.
    unsafe { _mm256_loadu_ps(run.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn store_run(values: __m256, run: &mut [f32]) {
    let run = &mut run[..LANES];
    // SAFETY: the slice has eight values.
    unsafe { _mm256_storeu_ps(run.as_mut_ptr(), values) }
}

/// `y (+)= w * x` with `x` padded: `y` has one plane for each row of `weight`, `out x in x 3 x 3`.
#[target_feature(enable = "avx2,fma")]
fn convolve(size: usize, in_channels: usize, padded: &[f32], weight: &[f32], y: &mut [f32], add: bool) {
    let (stride, pixels) = (size + 2, size * size);
    for tile in (0..pixels).step_by(RUNS * LANES) {
        let mut at = [0; RUNS];
        for (run, at) in at.iter_mut().enumerate() {
            let pixel = tile + run * LANES;
            *at = pixel / size * stride + pixel % size;
        }
        let blocks =
            weight.chunks_exact(CHANNELS * 9 * in_channels).zip(y.chunks_exact_mut(CHANNELS * pixels));
        for (weight, y) in blocks {
            let (weight0, weight1) = weight.split_at(9 * in_channels);
            let mut sums = [[_mm256_setzero_ps(); RUNS]; CHANNELS];
            let taps = weight0.as_chunks::<9>().0.iter().zip(weight1.as_chunks::<9>().0);
            for (plane, (taps0, taps1)) in padded.chunks_exact(stride * stride).zip(taps) {
                for ky in 0..3 {
                    let windows = at.map(|at| window(plane, at + ky * stride));
                    for kx in 0..3 {
                        let tap0 = _mm256_set1_ps(taps0[3 * ky + kx]);
                        let tap1 = _mm256_set1_ps(taps1[3 * ky + kx]);
                        for run in 0..RUNS {
                            let x = load(windows[run], kx);
                            sums[0][run] = _mm256_fmadd_ps(tap0, x, sums[0][run]);
                            sums[1][run] = _mm256_fmadd_ps(tap1, x, sums[1][run]);
                        }
                    }
                }
            }
            for (sums, y) in sums.iter().zip(y.chunks_exact_mut(pixels)) {
                for (sum, y) in sums.iter().zip(y[tile..].chunks_exact_mut(LANES)) {
                    let before = if add { load_run(y) } else { _mm256_setzero_ps() };
                    store_run(_mm256_add_ps(before, *sum), y);
                }
            }
        }
    }
}

/// `sums += dw` with `x` padded, every product of a run in its own lane.
#[target_feature(enable = "avx2,fma")]
fn correlate(size: usize, in_channels: usize, padded: &[f32], grad_y: &[f32], sums: &mut [Lanes]) {
    let (stride, pixels) = (size + 2, size * size);
    let blocks = grad_y.chunks_exact(GRADIENT_CHANNELS * pixels);
    for (grad_y, sums) in blocks.zip(sums.chunks_exact_mut(GRADIENT_CHANNELS * 9 * in_channels)) {
        let (grads01, grads23) = grad_y.split_at(2 * pixels);
        let ((grad0, grad1), (grad2, grad3)) = (grads01.split_at(pixels), grads23.split_at(pixels));
        for (i, plane) in padded.chunks_exact(stride * stride).take(in_channels).enumerate() {
            for ky in 0..3 {
                let mut block = [[_mm256_setzero_ps(); 3]; GRADIENT_CHANNELS];
                for y in 0..size {
                    for x in (0..size).step_by(LANES) {
                        let (window, at) = (window(plane, (y + ky) * stride + x), y * size + x);
                        let inputs = [load(window, 0), load(window, 1), load(window, 2)];
                        for (block, grad) in block.iter_mut().zip([grad0, grad1, grad2, grad3]) {
                            let grad = load_run(&grad[at..]);
                            for (block, input) in block.iter_mut().zip(inputs) {
                                *block = _mm256_fmadd_ps(grad, input, *block);
                            }
                        }
                    }
                }
                for (c, block) in block.iter().enumerate() {
                    let sums = &mut sums[9 * (c * in_channels + i) + 3 * ky..][..3];
                    for (sums, block) in sums.iter_mut().zip(block) {
                        store_run(_mm256_add_ps(load_run(sums), *block), sums);
                    }
                }
            }
        }
    }
}
