//! YCbCr to RGB with AVX2, 32 pixels at a time.

use std::arch::x86_64::*;

use super::scalar;

/// Pixels of one step.
const STEP: usize = 32;

/// As [`scalar::ycc_to_rgb`].
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn ycc_to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    let count = y.len();
    if count < STEP {
        return scalar::ycc_to_rgb(y, cb, cr, rgb);
    }
    for at in (0..count - STEP).step_by(STEP) {
        step(y, cb, cr, rgb, at);
    }
    // The last step overlaps the one before.
    step(y, cb, cr, rgb, count - STEP);
}

#[inline]
#[target_feature(enable = "avx2")]
fn step(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8], at: usize) {
    let low = convert(load(y, at), load(cb, at), load(cr, at));
    let high = convert(load(y, at + 16), load(cb, at + 16), load(cr, at + 16));
    // Packing works within halves of 16 bytes; the permutation puts the pixels in order again.
    let pack = |i: usize| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(low[i], high[i]));
    let out = &mut rgb[3 * at..3 * (at + STEP)];
    for (i, bytes) in interleave(pack(0), pack(1), pack(2)).into_iter().enumerate() {
        // SAFETY: `out` is 96 bytes, three vectors.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(32 * i).cast(), bytes) };
    }
}

/// Sixteen samples as 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn load(row: &[u8], at: usize) -> __m256i {
    let samples = &row[at..at + 16];
    // SAFETY: `samples` is 16 bytes.
    _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(samples.as_ptr().cast()) })
}

/// Sixteen pixels to red, green and blue, still to be saturated.
///
/// The factors of [`rgb_from_ycc`](crate::decode::convert::rgb_from_ycc), less their whole parts, fit into 16 bits:
/// 91,881 = 65,536 + 26,345, 116,130 = 2 * 65,536 - 2 * 7,471 and 46,802 = 65,536 - 18,734.
#[inline]
#[target_feature(enable = "avx2")]
fn convert(y: __m256i, cb: __m256i, cr: __m256i) -> [__m256i; 3] {
    let center = _mm256_set1_epi16(128);
    let (cb, cr) = (_mm256_sub_epi16(cb, center), _mm256_sub_epi16(cr, center));
    let (double_cb, double_cr) = (_mm256_add_epi16(cb, cb), _mm256_add_epi16(cr, cr));
    // floor((floor(2 x) + 1) / 2) rounds x, for the odd factor.
    let r = _mm256_mulhi_epi16(double_cr, _mm256_set1_epi16(26_345));
    let r = _mm256_srai_epi16::<1>(_mm256_add_epi16(r, _mm256_set1_epi16(1)));
    let r = _mm256_add_epi16(_mm256_add_epi16(y, cr), r);
    let b = _mm256_mulhrs_epi16(cb, _mm256_set1_epi16(-7_471));
    let b = _mm256_add_epi16(_mm256_add_epi16(y, double_cb), b);
    let low = green(_mm256_unpacklo_epi16(cb, cr));
    let high = green(_mm256_unpackhi_epi16(cb, cr));
    let g = _mm256_add_epi16(_mm256_sub_epi16(y, cr), _mm256_packs_epi32(low, high));
    [r, g, b]
}

/// What pairs of Cb and Cr add to green, without the whole -Cr.
#[inline]
#[target_feature(enable = "avx2")]
fn green(pairs: __m256i) -> __m256i {
    let factors = _mm256_set1_epi32(18_734 << 16 | (-22_554i16 as u16) as i32);
    let sum = _mm256_add_epi32(_mm256_madd_epi16(pairs, factors), _mm256_set1_epi32(1 << 15));
    _mm256_srai_epi32::<16>(sum)
}

/// 32 bytes of each channel to 96 bytes of pixels.
///
/// In each half the bytes are first rotated to where they end up modulo 16, then the three channels are blended: 16 is 1
/// modulo 3, so that each position gets a different channel in each of the three outputs.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(r: __m256i, g: __m256i, b: __m256i) -> [__m256i; 3] {
    let both = |half| _mm256_broadcastsi128_si256(half);
    let r = _mm256_shuffle_epi8(r, both(_mm_setr_epi8(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5)));
    let g = _mm256_shuffle_epi8(g, both(_mm_setr_epi8(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10)));
    let b = _mm256_shuffle_epi8(b, both(_mm_setr_epi8(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15)));
    // Set in every third byte, from the second and from the third on.
    let second = both(_mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0));
    let third = both(_mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0));
    let blend = |a, b, c| _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, second), c, third);
    let (first, middle, last) = (blend(r, g, b), blend(g, b, r), blend(b, r, g));
    [
        _mm256_permute2x128_si256::<0x20>(first, middle),
        _mm256_permute2x128_si256::<0x30>(last, first),
        _mm256_permute2x128_si256::<0x31>(middle, last),
    ]
}
