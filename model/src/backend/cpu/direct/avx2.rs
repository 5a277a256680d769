//! The kernels with AVX2 and fused multiply-add.

use std::arch::x86_64::*;

use super::{CHANNELS, GRADIENT_CHANNELS, LANES, Lanes, RUNS};

/// Whether this machine has the instructions.
pub(super) fn is_fast() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// `y (+)= w * x` with `x` padded: `y` has one plane for each row of `weight`, `out x in x 3 x 3`.
///
/// # Panics
/// If the machine has no AVX2 or FMA.
pub(super) fn convolve(
    size: usize,
    in_channels: usize,
    padded: &[f32],
    weight: &[f32],
    y: &mut [f32],
    add: bool,
) {
    assert!(is_fast());
    // SAFETY: the machine has both features.
    unsafe { convolve_avx2(size, in_channels, padded, weight, y, add) }
}

/// `sums += dw` with `x` padded; the products of a run's pixels go to its lanes.
///
/// # Panics
/// If the machine has no AVX2 or FMA.
pub(super) fn correlate(size: usize, in_channels: usize, padded: &[f32], grad_y: &[f32], sums: &mut [Lanes]) {
    assert!(is_fast());
    // SAFETY: the machine has both features.
    unsafe { correlate_avx2(size, in_channels, padded, grad_y, sums) }
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

/// As [`convolve`], on a machine with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
fn convolve_avx2(size: usize, in_channels: usize, padded: &[f32], weight: &[f32], y: &mut [f32], add: bool) {
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

/// As [`correlate`], on a machine with AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
fn correlate_avx2(size: usize, in_channels: usize, padded: &[f32], grad_y: &[f32], sums: &mut [Lanes]) {
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
