//! 32 values at a time, for radius 0 and 1.
//!
//! `vpdpwssd` multiplies pairs of 16-bit numbers and adds them: here the sum of the inner taps and that of the end taps
//! with their weights. A weight has 24 bits, so it is split: with T = 2^16 H + L, (T + 2^23) >> 24 is
//! (H + ((L + 2^23) >> 16)) >> 8, exactly.

use std::arch::x86_64::*;

use super::BoxKernel;
use crate::augment::cpu::Avx512;

const LANES: usize = 32;

pub(super) fn blur_line(_: Avx512, padded: &[u16], step: usize, kernel: BoxKernel, out: &mut [u16]) {
    // SAFETY: the value proves that the processor has these parts of AVX-512.
    unsafe {
        match kernel.radius {
            0 => weigh::<1>(padded, step, kernel, out),
            _ => weigh::<3>(padded, step, kernel, out),
        }
    }
}

/// A box of `INNER` full weights.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn weigh<const INNER: usize>(padded: &[u16], step: usize, kernel: BoxKernel, out: &mut [u16]) {
    let [low, high] = kernel.halves().map(|pair| _mm512_set1_epi32(pair));
    let tap = |number: usize| &padded[number * step..][..out.len()];
    let (near, far) = (tap(0), tap(INNER + 1));
    let inner: [&[u16]; INNER] = std::array::from_fn(|number| tap(number + 1));
    let whole = out.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let sum = inner
            .iter()
            .skip(1)
            .fold(load(inner[0], start), |sum, tap| _mm512_add_epi16(sum, load(tap, start)));
        let ends = _mm512_add_epi16(load(near, start), load(far, start));
        let means = _mm512_packus_epi32(
            mean(_mm512_unpacklo_epi16(sum, ends), low, high),
            mean(_mm512_unpackhi_epi16(sum, ends), low, high),
        );
        // SAFETY: `out` has `LANES` values from `start` on.
        unsafe { _mm512_storeu_si512(out[start..start + LANES].as_mut_ptr().cast(), means) };
    }
    for i in whole..out.len() {
        let sum = inner.iter().map(|tap| u32::from(tap[i])).sum();
        out[i] = kernel.mean(sum, u32::from(near[i] + far[i]));
    }
}

/// The means of pairs of sums, weighed by the two parts of each weight.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn mean(pairs: __m512i, low: __m512i, high: __m512i) -> __m512i {
    let half = _mm512_set1_epi32(1 << 23);
    let lower = _mm512_dpwssd_epi32(half, pairs, low);
    let upper = _mm512_dpwssd_epi32(_mm512_srai_epi32::<16>(lower), pairs, high);
    _mm512_srli_epi32::<8>(upper)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[u16], start: usize) -> __m512i {
    // SAFETY: the slice has `LANES` values.
    unsafe { _mm512_loadu_si512(values[start..start + LANES].as_ptr().cast()) }
}
