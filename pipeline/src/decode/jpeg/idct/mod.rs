//! The inverse DCT of libjpeg's default path (jidctint.c, and jidctred.c for reduced sizes), bit for bit.
//!
//! Coefficients and intermediate values are 16 bits wide, as in libjpeg-turbo's SIMD code; wider ones occur only in
//! damaged files.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
pub(super) mod scalar;

#[cfg(test)]
mod tests;

use super::steps::Steps;

/// Coefficients in the order that the vector kernels load: see [`slot`].
pub(super) type Block = [i16; 64];

/// A coefficient times its step, by their place.
#[inline(always)]
pub(super) fn dequantised(block: &Block, steps: &Steps, place: usize) -> i16 {
    block[place].wrapping_mul(steps.0[place])
}

/// Where a block holds the coefficient of vertical frequency `row` and horizontal frequency `column`.
///
/// Rows stand in the pairs that are multiplied and added together (0 and 4, 2 and 6, 1 and 3, 5 and 7), element by
/// element; the columns' order makes the same pairs of the columns adjacent after the first pass.
pub(super) const fn slot(row: usize, column: usize) -> usize {
    const PAIR: [usize; 8] = [0, 2, 1, 2, 0, 3, 1, 3];
    const HALF: [usize; 8] = [0, 0, 0, 1, 1, 0, 1, 1];
    const LANE: [usize; 8] = [0, 4, 2, 5, 1, 6, 3, 7];
    PAIR[row] * 16 + LANE[column] * 2 + HALF[row]
}

/// Fraction bits of the cosines.
const CONST_BITS: u32 = 13;
/// Fraction bits that the first pass keeps.
const PASS1_BITS: u32 = 2;

/// The block where only DC is left, `size` x `size`: what every reduced or full transform then gives.
#[inline(always)]
pub(super) fn flat(dc: i16, size: usize, out: &mut [u8], stride: usize) {
    // The first pass's result saturates at 16 bits, as in the transforms.
    let widened = (i32::from(dc) << PASS1_BITS).clamp(i16::MIN.into(), i16::MAX.into());
    let value = (((widened + (1 << (PASS1_BITS + 2))) >> (PASS1_BITS + 3)) + 128).clamp(0, 255) as u8;
    match size {
        8 => fill::<8>(value, out, stride),
        4 => fill::<4>(value, out, stride),
        2 => fill::<2>(value, out, stride),
        _ => out[0] = value,
    }
}

/// Rows of a constant size, which are one store each.
#[inline(always)]
fn fill<const SIZE: usize>(value: u8, out: &mut [u8], stride: usize) {
    for row in out.chunks_mut(stride).take(SIZE) {
        *row.first_chunk_mut().expect("a row of the block") = [value; SIZE];
    }
}
