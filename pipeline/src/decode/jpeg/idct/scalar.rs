//! The transforms in scalar code, the reference for tests of the SIMD kernels.

use super::{Block, CONST_BITS, PASS1_BITS, Steps, dequantised, slot};

/// 8 x 8 samples (jidctint.c, `jpeg_idct_islow`, with its factored products multiplied out).
pub(in super::super) fn full(block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
    let mut rows = [[0; 8]; 8];
    for column in 0..8 {
        let input = std::array::from_fn(|row| dequantised(block, steps, slot(row, column)).into());
        for (row, value) in rows.iter_mut().zip(eight(input)) {
            row[column] = between_passes(value, CONST_BITS - PASS1_BITS);
        }
    }
    for (row, out) in rows.into_iter().zip(out.chunks_mut(stride)) {
        for (out, value) in out.iter_mut().zip(eight(row)) {
            *out = sample(value, CONST_BITS + PASS1_BITS + 3);
        }
    }
}

/// 4 x 4 samples (jidctred.c, `jpeg_idct_4x4`).
pub(in super::super) fn half(block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
    let mut rows = [[0; 8]; 4];
    for column in 0..8 {
        let input = std::array::from_fn(|row| dequantised(block, steps, slot(row, column)).into());
        for (row, value) in rows.iter_mut().zip(four(input)) {
            row[column] = between_passes(value, CONST_BITS - PASS1_BITS + 1);
        }
    }
    for (row, out) in rows.into_iter().zip(out.chunks_mut(stride)) {
        for (out, value) in out.iter_mut().zip(four(row)) {
            *out = sample(value, CONST_BITS + PASS1_BITS + 3 + 1);
        }
    }
}

/// 2 x 2 samples (jidctred.c, `jpeg_idct_2x2`).
pub(in super::super) fn quarter(block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
    let mut rows = [[0; 8]; 2];
    for column in [0, 1, 3, 5, 7] {
        let input = std::array::from_fn(|row| dequantised(block, steps, slot(row, column)).into());
        for (row, value) in rows.iter_mut().zip(two(input)) {
            row[column] = between_passes(value, CONST_BITS - PASS1_BITS + 2);
        }
    }
    for (row, out) in rows.into_iter().zip(out.chunks_mut(stride)) {
        for (out, value) in out.iter_mut().zip(two(row)) {
            *out = sample(value, CONST_BITS + PASS1_BITS + 3 + 2);
        }
    }
}

fn eight(input: [i32; 8]) -> [i32; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let (sum, difference) = ((i0 + i4) << CONST_BITS, (i0 - i4) << CONST_BITS);
    let (a, b) = (10_703 * i2 + 4_433 * i6, 4_433 * i2 - 10_704 * i6);
    let even = [sum + a, difference + b, difference - b, sum - a];
    let odd = [
        11_363 * i1 + 9_633 * i3 + 6_437 * i5 + 2_260 * i7,
        9_633 * i1 - 2_259 * i3 - 11_362 * i5 - 6_436 * i7,
        6_437 * i1 - 11_362 * i3 + 2_261 * i5 + 9_633 * i7,
        2_260 * i1 - 6_436 * i3 + 9_633 * i5 - 11_363 * i7,
    ];
    std::array::from_fn(|i| if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] })
}

fn four(input: [i32; 8]) -> [i32; 4] {
    let [i0, i1, i2, i3, _, i5, i6, i7] = input;
    let even = 15_137 * i2 - 6_270 * i6;
    let (sum, difference) = ((i0 << (CONST_BITS + 1)) + even, (i0 << (CONST_BITS + 1)) - even);
    let outer = 20_995 * i1 + 7_373 * i3 - 4_926 * i5 - 4_176 * i7;
    let inner = 8_697 * i1 - 17_799 * i3 + 11_893 * i5 - 1_730 * i7;
    // Only coefficients that no encoder writes add up to more than 32 bits.
    [
        sum.wrapping_add(outer),
        difference.wrapping_add(inner),
        difference.wrapping_sub(inner),
        sum.wrapping_sub(outer),
    ]
}

fn two(input: [i32; 8]) -> [i32; 2] {
    let [i0, i1, _, i3, _, i5, _, i7] = input;
    let even = i0 << (CONST_BITS + 2);
    let odd = 29_692 * i1 - 10_426 * i3 + 6_967 * i5 - 5_906 * i7;
    [even.wrapping_add(odd), even.wrapping_sub(odd)]
}

/// Rounds away `bits` and saturates, for the second pass.
fn between_passes(value: i32, bits: u32) -> i32 {
    (value.wrapping_add(1 << (bits - 1)) >> bits).clamp(i16::MIN.into(), i16::MAX.into())
}

/// Rounds away `bits` and lifts the range to that of a sample. (Only sums that no encoder writes wrap.)
fn sample(value: i32, bits: u32) -> u8 {
    (value.wrapping_add((1 << (bits - 1)) + (128 << bits)) >> bits).clamp(0, 255) as u8
}
