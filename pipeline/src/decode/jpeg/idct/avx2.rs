//! The transforms with AVX2: each pass multiplies and adds pairs of 16-bit values into eight 32-bit lanes.

use std::arch::x86_64::*;

use super::{Block, CONST_BITS, PASS1_BITS, Steps};

/// As [`scalar::full`](super::scalar::full).
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn full(block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
    const FIRST: u32 = CONST_BITS - PASS1_BITS;
    const SECOND: u32 = CONST_BITS + PASS1_BITS + 3;
    let pairs = dequantised(block, steps);
    let rows = pass::<{ FIRST as i32 }>(pairs, 1 << (FIRST - 1));
    // The second pass's rounding also lifts its results by 128, to the range of samples.
    let columns = pass::<{ SECOND as i32 }>(pair_columns(rows), (1 << (SECOND - 1)) + (128 << SECOND));
    store(columns, out, stride);
}

/// As [`scalar::half`](super::scalar::half).
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn half(block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
    const FIRST: u32 = CONST_BITS - PASS1_BITS + 1;
    const SECOND: u32 = CONST_BITS + PASS1_BITS + 3 + 1;
    assert!(stride >= 4 && out.len() >= 3 * stride + 4, "room for four rows");
    let pairs = dequantised(block, steps);
    let [r0, r1, r2, r3] = half_pass::<{ FIRST as i32 }>(pairs, 1 << (FIRST - 1));
    // Only the low half of each vector counts from here on.
    let (p04_p13, p26_p57) = four_rows(r0, r1, r2, r3);
    let high = |pairs| _mm256_permute2x128_si256::<0x11>(pairs, pairs);
    let pairs = [p04_p13, p26_p57, high(p04_p13), high(p26_p57)];
    let [c0, c1, c2, c3] = half_pass::<{ SECOND as i32 }>(pairs, (1 << (SECOND - 1)) + (128 << SECOND));
    let mut rows = [0u8; 16];
    // SAFETY: `rows` is 16 bytes.
    unsafe {
        _mm_storeu_si128(rows.as_mut_ptr().cast(), _mm256_castsi256_si128(four_columns(c0, c1, c2, c3)));
    }
    for (row, out) in rows.as_chunks::<4>().0.iter().zip(out.chunks_mut(stride)) {
        out[..4].copy_from_slice(row);
    }
}

/// As [`pass`], to four results.
#[inline]
#[target_feature(enable = "avx2")]
fn half_pass<const SHIFT: i32>([p04, p26, p13, p57]: [__m256i; 4], rounding: i32) -> [__m256i; 4] {
    let middle = _mm256_madd_epi16(p04, pair(1 << (CONST_BITS + 1), 0));
    let middle = _mm256_add_epi32(middle, _mm256_set1_epi32(rounding));
    let even = _mm256_madd_epi16(p26, pair(15_137, -6_270));
    let outer = _mm256_add_epi32(
        _mm256_madd_epi16(p13, pair(20_995, 7_373)),
        _mm256_madd_epi16(p57, pair(-4_926, -4_176)),
    );
    let inner = _mm256_add_epi32(
        _mm256_madd_epi16(p13, pair(8_697, -17_799)),
        _mm256_madd_epi16(p57, pair(11_893, -1_730)),
    );
    let (sum, difference) = (_mm256_add_epi32(middle, even), _mm256_sub_epi32(middle, even));
    [
        _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(sum, outer)),
        _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(difference, inner)),
        _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(difference, inner)),
        _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(sum, outer)),
    ]
}

/// As [`scalar::quarter`](super::scalar::quarter).
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn quarter(block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
    const FIRST: u32 = CONST_BITS - PASS1_BITS + 2;
    const SECOND: u32 = CONST_BITS + PASS1_BITS + 3 + 2;
    let [p04, _, p13, p57] = dequantised(block, steps);
    let [r0, r1] = quarter_pass::<{ FIRST as i32 }>([p04, p13, p57], 1 << (FIRST - 1));
    // The rows twice, because there are no others; only the low half of each vector counts from here on.
    let (p04_p13, p26_p57) = four_rows(r0, r1, r0, r1);
    let high = |pairs| _mm256_permute2x128_si256::<0x11>(pairs, pairs);
    let pairs = [p04_p13, high(p04_p13), high(p26_p57)];
    let [c0, c1] = quarter_pass::<{ SECOND as i32 }>(pairs, (1 << (SECOND - 1)) + (128 << SECOND));
    let rows = _mm256_castsi256_si128(four_columns(c0, c1, c0, c1));
    let rows = (_mm_extract_epi16::<0>(rows) as u16, _mm_extract_epi16::<2>(rows) as u16);
    out[..2].copy_from_slice(&rows.0.to_le_bytes());
    out[stride..stride + 2].copy_from_slice(&rows.1.to_le_bytes());
}

/// As [`pass`], to two results, for which the pair (2, 6) and index 4 don't count.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter_pass<const SHIFT: i32>([p04, p13, p57]: [__m256i; 3], rounding: i32) -> [__m256i; 2] {
    // The even factor is 2^15, which 16 bits don't hold.
    let even = _mm256_slli_epi32::<1>(_mm256_madd_epi16(p04, pair(1 << (CONST_BITS + 1), 0)));
    let even = _mm256_add_epi32(even, _mm256_set1_epi32(rounding));
    let odd = _mm256_add_epi32(
        _mm256_madd_epi16(p13, pair(29_692, -10_426)),
        _mm256_madd_epi16(p57, pair(6_967, -5_906)),
    );
    [
        _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even, odd)),
        _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even, odd)),
    ]
}

/// The coefficients times their steps, as they lie in the block.
#[inline]
#[target_feature(enable = "avx2")]
fn dequantised(block: &Block, steps: &Steps) -> [__m256i; 4] {
    // SAFETY: each chunk is 32 bytes.
    let load = |chunk: &[i16; 16]| unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) };
    let (coefficients, steps) = (block.as_chunks().0, steps.0.as_chunks().0);
    std::array::from_fn(|i| _mm256_mullo_epi16(load(&coefficients[i]), load(&steps[i])))
}

/// Transforms eight vectors at once. Gets the pairs (0, 4), (2, 6), (1, 3), (5, 7) of each, gives the eight results, without
/// `SHIFT` fraction bits.
#[inline]
#[target_feature(enable = "avx2")]
fn pass<const SHIFT: i32>([p04, p26, p13, p57]: [__m256i; 4], rounding: i32) -> [__m256i; 8] {
    const ONE: i16 = 1 << CONST_BITS;
    let rounding = _mm256_set1_epi32(rounding);
    let sum = _mm256_add_epi32(_mm256_madd_epi16(p04, pair(ONE, ONE)), rounding);
    let difference = _mm256_add_epi32(_mm256_madd_epi16(p04, pair(ONE, -ONE)), rounding);
    let a = _mm256_madd_epi16(p26, pair(10_703, 4_433));
    let b = _mm256_madd_epi16(p26, pair(4_433, -10_704));
    let even = [
        _mm256_add_epi32(sum, a),
        _mm256_add_epi32(difference, b),
        _mm256_sub_epi32(difference, b),
        _mm256_sub_epi32(sum, a),
    ];
    let odd = [
        _mm256_add_epi32(
            _mm256_madd_epi16(p13, pair(11_363, 9_633)),
            _mm256_madd_epi16(p57, pair(6_437, 2_260)),
        ),
        _mm256_add_epi32(
            _mm256_madd_epi16(p13, pair(9_633, -2_259)),
            _mm256_madd_epi16(p57, pair(-11_362, -6_436)),
        ),
        _mm256_add_epi32(
            _mm256_madd_epi16(p13, pair(6_437, -11_362)),
            _mm256_madd_epi16(p57, pair(2_261, 9_633)),
        ),
        _mm256_add_epi32(
            _mm256_madd_epi16(p13, pair(2_260, -6_436)),
            _mm256_madd_epi16(p57, pair(9_633, -11_363)),
        ),
    ];
    let first = |i: usize| _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[i], odd[i]));
    let last = |i: usize| _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[i], odd[i]));
    [first(0), first(1), first(2), first(3), last(3), last(2), last(1), last(0)]
}

/// A pair of factors in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn pair(low: i16, high: i16) -> __m256i {
    _mm256_set1_epi32(i32::from(high) << 16 | i32::from(low as u16))
}

/// From eight rows, whose columns come in the order of [`slot`](super::slot), to pairs of columns with a row a lane.
#[inline]
#[target_feature(enable = "avx2")]
fn pair_columns([r0, r1, r2, r3, r4, r5, r6, r7]: [__m256i; 8]) -> [__m256i; 4] {
    let (p04_p13_top, p26_p57_top) = four_rows(r0, r1, r2, r3);
    let (p04_p13_bottom, p26_p57_bottom) = four_rows(r4, r5, r6, r7);
    [
        _mm256_permute2x128_si256::<0x20>(p04_p13_top, p04_p13_bottom),
        _mm256_permute2x128_si256::<0x20>(p26_p57_top, p26_p57_bottom),
        _mm256_permute2x128_si256::<0x31>(p04_p13_top, p04_p13_bottom),
        _mm256_permute2x128_si256::<0x31>(p26_p57_top, p26_p57_bottom),
    ]
}

/// The pairs of four rows: (0, 4) in the low and (1, 3) in the high half of the first, (2, 6) and (5, 7) in the second.
#[inline]
#[target_feature(enable = "avx2")]
fn four_rows(r0: __m256i, r1: __m256i, r2: __m256i, r3: __m256i) -> (__m256i, __m256i) {
    let (even, odd) = (_mm256_packs_epi32(r0, r2), _mm256_packs_epi32(r1, r3));
    let (top, bottom) = (_mm256_unpacklo_epi32(even, odd), _mm256_unpackhi_epi32(even, odd));
    (_mm256_unpacklo_epi64(top, bottom), _mm256_unpackhi_epi64(top, bottom))
}

/// Saturates eight columns, a row a lane, to samples and stores them row by row.
#[inline]
#[target_feature(enable = "avx2")]
fn store([c0, c1, c2, c3, c4, c5, c6, c7]: [__m256i; 8], out: &mut [u8], stride: usize) {
    assert!(stride >= 8 && out.len() >= 7 * stride + 8, "room for eight rows");
    let (left, right) = (four_columns(c0, c1, c2, c3), four_columns(c4, c5, c6, c7));
    let (low, high) = (_mm256_unpacklo_epi32(left, right), _mm256_unpackhi_epi32(left, right));
    let rows = [
        _mm256_castsi256_si128(low),
        _mm256_castsi256_si128(high),
        _mm256_extracti128_si256::<1>(low),
        _mm256_extracti128_si256::<1>(high),
    ];
    for (i, two_rows) in rows.into_iter().enumerate() {
        // SAFETY: rows 2 i and 2 i + 1 are at most 7, and eight bytes of row 7 end inside `out`, as asserted.
        unsafe {
            let first = out.as_mut_ptr().add(2 * i * stride);
            _mm_storel_epi64(first.cast(), two_rows);
            _mm_storel_epi64(first.add(stride).cast(), _mm_unpackhi_epi64(two_rows, two_rows));
        }
    }
}

/// Four columns as bytes, the four of a row together; rows 0 to 3 in the low half, 4 to 7 in the high one.
#[inline]
#[target_feature(enable = "avx2")]
fn four_columns(c0: __m256i, c1: __m256i, c2: __m256i, c3: __m256i) -> __m256i {
    let bytes = _mm256_packus_epi16(_mm256_packs_epi32(c0, c1), _mm256_packs_epi32(c2, c3));
    let transposed = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(transposed))
}
