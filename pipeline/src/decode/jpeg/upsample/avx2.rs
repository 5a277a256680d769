//! The filter with AVX2, up to sixteen narrow samples at a time.

use std::arch::x86_64::*;

use super::{Rounding, scalar};

/// As [`scalar::widen`].
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn widen(near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
    let count = near.len();
    if count < 10 {
        return scalar::widen(near, far, rounding, wide);
    }
    scalar::widen_ends(near, far, rounding, wide);
    // The last step of the rest overlaps the one before.
    if count < 18 {
        step::<8>(near, far, rounding, wide, 1);
        step::<8>(near, far, rounding, wide, count - 9);
        return;
    }
    for at in (1..count - 17).step_by(16) {
        step::<16>(near, far, rounding, wide, at);
    }
    step::<16>(near, far, rounding, wide, count - 17);
}

/// Filters `N` narrow samples, 8 or 16, from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn step<const N: usize>(near: &[u8], far: &[u8], [left, right]: Rounding, wide: &mut [u8], at: usize) {
    let (near, far) = (&near[at - 1..][..N + 2], &far[at - 1..][..N + 2]);
    let sum = |from: usize| {
        let (near, far) = (load::<N>(near, from), load::<N>(far, from));
        _mm256_add_epi16(_mm256_mullo_epi16(near, _mm256_set1_epi16(3)), far)
    };
    let three = _mm256_mullo_epi16(sum(1), _mm256_set1_epi16(3));
    let left = _mm256_add_epi16(_mm256_add_epi16(three, sum(0)), _mm256_set1_epi16(left as i16));
    let right = _mm256_add_epi16(_mm256_add_epi16(three, sum(2)), _mm256_set1_epi16(right as i16));
    // The right sample's four fraction bits are cut off by leaving them in the left one's byte, masked.
    let right = _mm256_and_si256(_mm256_slli_epi16::<4>(right), _mm256_set1_epi16(0xff00u16 as i16));
    let both = _mm256_or_si256(_mm256_srli_epi16::<4>(left), right);
    let out = &mut wide[2 * at..2 * (at + N)];
    // SAFETY: `out` is 2 N bytes, 16 or 32.
    unsafe {
        match N {
            16 => _mm256_storeu_si256(out.as_mut_ptr().cast(), both),
            _ => _mm_storeu_si128(out.as_mut_ptr().cast(), _mm256_castsi256_si128(both)),
        }
    }
}

/// `N` samples as 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn load<const N: usize>(row: &[u8], at: usize) -> __m256i {
    let samples = &row[at..at + N];
    // SAFETY: `samples` is N bytes, 8 or 16.
    let bytes = unsafe {
        match N {
            16 => _mm_loadu_si128(samples.as_ptr().cast()),
            _ => _mm_loadl_epi64(samples.as_ptr().cast()),
        }
    };
    _mm256_cvtepu8_epi16(bytes)
}
