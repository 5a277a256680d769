//! Direct convolution with a 3 x 3 filter, stride 1 and one pixel of padding: no matrix of windows is made.
//!
//! With few channels a product of matrices spends more time on laying out its operands than on multiplying. Here a
//! register tile of outputs takes its inputs from a zero-padded copy of the image, as overlapping runs of ten pixels.

use std::array::from_fn;

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

/// Calls a kernel compiled for fused multiply-add where the machine has it.
macro_rules! fused {
    ($kernel:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        match pulp::x86::V3::try_new() {
            Some(simd) => simd.vectorize(#[inline(always)] || $kernel::<true>($($argument),*)),
            None => $kernel::<false>($($argument),*),
        }
        #[cfg(not(target_arch = "x86_64"))]
        $kernel::<{ cfg!(target_arch = "aarch64") }>($($argument),*)
    }};
}
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
        (same_size && few_channels && fits_tiles).then_some(Self { in_channels, out_channels, size })
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
        fused!(convolve(self.size, self.in_channels, padded, weight, y, false));
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
        fused!(convolve(self.size, self.out_channels, padded, transposed, grad_x, true));
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
        fused!(correlate(self.size, self.in_channels, padded, grad_y, sums));
    }
}

/// Partial sums that are added up at the end.
pub(super) type Lanes = [f32; LANES];

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

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

#[inline(always)]
fn window(plane: &[f32], at: usize) -> &Window {
    plane[at..][..LANES + 2].try_into().expect("the slice has the array's length")
}

#[inline(always)]
fn convolve<const FUSED: bool>(
    size: usize,
    in_channels: usize,
    padded: &[f32],
    weight: &[f32],
    y: &mut [f32],
    add: bool,
) {
    let (stride, pixels) = (size + 2, size * size);
    for tile in (0..pixels).step_by(RUNS * LANES) {
        let at: [usize; RUNS] = from_fn(|run| {
            let pixel = tile + run * LANES;
            pixel / size * stride + pixel % size
        });
        let blocks = weight.chunks_exact(CHANNELS * 9 * in_channels).zip(y.chunks_exact_mut(CHANNELS * pixels));
        for (weight, y) in blocks {
            let mut sums = [[[0.0; LANES]; RUNS]; CHANNELS];
            for (i, plane) in padded.chunks_exact(stride * stride).take(in_channels).enumerate() {
                let taps: [&[f32; 9]; CHANNELS] = from_fn(|c| {
                    weight[9 * (c * in_channels + i)..][..9].try_into().expect("the slice has nine values")
                });
                for ky in 0..3 {
                    let windows: [&Window; RUNS] = from_fn(|run| window(plane, at[run] + ky * stride));
                    for kx in 0..3 {
                        for (sums, taps) in sums.iter_mut().zip(taps) {
                            for (sums, window) in sums.iter_mut().zip(windows) {
                                for lane in 0..LANES {
                                    let (tap, x) = (taps[3 * ky + kx], window[kx + lane]);
                                    sums[lane] = multiply_add::<FUSED>(tap, x, sums[lane]);
                                }
                            }
                        }
                    }
                }
            }
            for (sums, y) in sums.iter().zip(y.chunks_exact_mut(pixels)) {
                let y = y[tile..][..RUNS * LANES].iter_mut().zip(sums.as_flattened());
                if add { y.for_each(|(y, sum)| *y += sum) } else { y.for_each(|(y, sum)| *y = *sum) }
            }
        }
    }
}

#[inline(always)]
fn correlate<const FUSED: bool>(
    size: usize,
    in_channels: usize,
    padded: &[f32],
    grad_y: &[f32],
    sums: &mut [Lanes],
) {
    let (stride, pixels) = (size + 2, size * size);
    let blocks = grad_y.chunks_exact(GRADIENT_CHANNELS * pixels);
    for (grad_y, sums) in blocks.zip(sums.chunks_exact_mut(GRADIENT_CHANNELS * 9 * in_channels)) {
        for (i, plane) in padded.chunks_exact(stride * stride).take(in_channels).enumerate() {
            for ky in 0..3 {
                let mut block = [[[0.0; LANES]; 3]; GRADIENT_CHANNELS];
                for y in 0..size {
                    for x in (0..size).step_by(LANES) {
                        let window = window(plane, (y + ky) * stride + x);
                        let grads: [&Lanes; GRADIENT_CHANNELS] = from_fn(|c| {
                            let run = &grad_y[c * pixels + y * size + x..][..LANES];
                            run.try_into().expect("the slice has the array's length")
                        });
                        for (block, grad) in block.iter_mut().zip(grads) {
                            for (kx, block) in block.iter_mut().enumerate() {
                                for lane in 0..LANES {
                                    block[lane] =
                                        multiply_add::<FUSED>(grad[lane], window[kx + lane], block[lane]);
                                }
                            }
                        }
                    }
                }
                for (c, block) in block.iter().enumerate() {
                    let sums = &mut sums[9 * (c * in_channels + i) + 3 * ky..][..3];
                    for (sums, block) in sums.iter_mut().zip(block) {
                        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
                    }
                }
            }
        }
    }
}
