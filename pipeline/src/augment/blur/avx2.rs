//! 16 values at a time, for radius 0 and 1.
//!
//! `vpmaddwd` multiplies pairs of 16-bit numbers and adds them: here the sum of the inner taps and that of the end taps
//! with their weights. A weight has 24 bits, so it is split: with T = 2^16 H + L, (T + 2^23) >> 24 is
//! (H + ((L + 2^23) >> 16)) >> 8, exactly.

use std::arch::x86_64::*;

use super::BoxKernel;
use crate::augment::cpu::Avx2;

const LANES: usize = 16;

pub(super) fn blur_line(_: Avx2, padded: &[u16], step: usize, kernel: BoxKernel, out: &mut [u16]) {
    // SAFETY: the value proves that the processor has AVX2.
    unsafe {
        match kernel.radius {
            0 => weigh::<1>(padded, step, kernel, out),
            _ => weigh::<3>(padded, step, kernel, out),
        }
    }
}

/// A box of `INNER` full weights.
#[target_feature(enable = "avx2")]
fn weigh<const INNER: usize>(padded: &[u16], step: usize, kernel: BoxKernel, out: &mut [u16]) {
    let [low, high] = kernel.halves().map(|pair| _mm256_set1_epi32(pair));
    let tap = |number: usize| &padded[number * step..][..out.len()];
    let (near, far) = (tap(0), tap(INNER + 1));
    let inner: [&[u16]; INNER] = std::array::from_fn(|number| tap(number + 1));
    let whole = out.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let sum = inner
            .iter()
            .skip(1)
            .fold(load(inner[0], start), |sum, tap| _mm256_add_epi16(sum, load(tap, start)));
        let ends = _mm256_add_epi16(load(near, start), load(far, start));
        let means = _mm256_packus_epi32(
            mean(_mm256_unpacklo_epi16(sum, ends), low, high),
            mean(_mm256_unpackhi_epi16(sum, ends), low, high),
        );
        // SAFETY: `out` has `LANES` values from `start` on.
        unsafe { _mm256_storeu_si256(out[start..start + LANES].as_mut_ptr().cast(), means) };
    }
    for i in whole..out.len() {
        let sum = inner.iter().map(|tap| u32::from(tap[i])).sum();
        out[i] = kernel.mean(sum, u32::from(near[i] + far[i]));
    }
}

/// The means of pairs of sums, weighed by the two parts of each weight.
#[inline]
#[target_feature(enable = "avx2")]
fn mean(pairs: __m256i, low: __m256i, high: __m256i) -> __m256i {
    let half = _mm256_set1_epi32(1 << 23);
    let lower = _mm256_add_epi32(half, _mm256_madd_epi16(pairs, low));
    let upper = _mm256_add_epi32(_mm256_srai_epi32::<16>(lower), _mm256_madd_epi16(pairs, high));
    _mm256_srli_epi32::<8>(upper)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[u16], start: usize) -> __m256i {
    // SAFETY: the slice has `LANES` values.
    unsafe { _mm256_loadu_si256(values[start..start + LANES].as_ptr().cast()) }
}
