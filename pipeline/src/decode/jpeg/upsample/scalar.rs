//! The filters in plain arithmetic: what the vector kernel is tested against.

use std::ops::Range;

use super::Rounding;

/// Twice as wide, at a quarter of the way from row `near` to row `far`. `wide` has two samples for each of `near`.
pub(in super::super) fn widen(near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
    widen_range(near, far, rounding, wide, 0..near.len());
}

/// As [`widen`], for some of the narrow samples.
pub(super) fn widen_range(
    near: &[u8],
    far: &[u8],
    [left, right]: Rounding,
    wide: &mut [u8],
    range: Range<usize>,
) {
    let at = |i: usize| 3 * u16::from(near[i]) + u16::from(far[i]);
    let last = near.len() - 1;
    for i in range {
        let (before, after) = (at(i.saturating_sub(1)), at((i + 1).min(last)));
        wide[2 * i] = ((3 * at(i) + before + left) >> 4) as u8;
        wide[2 * i + 1] = ((3 * at(i) + after + right) >> 4) as u8;
    }
}

/// As wide, at a quarter of the way between two rows (`h1v2_fancy_upsample`). `rounding` is 1 above the nearer row and 2
/// below it.
pub(in super::super) fn between(near: &[u8], far: &[u8], rounding: u16, out: &mut [u8]) {
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + rounding) >> 2) as u8;
    }
}

/// Twice as wide, each sample repeated (`h2v1_upsample`).
pub(in super::super) fn repeat(row: &[u8], wide: &mut [u8]) {
    for (out, &sample) in wide.as_chunks_mut::<2>().0.iter_mut().zip(row) {
        *out = [sample; 2];
    }
}
