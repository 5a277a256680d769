//! The filters in scalar code, the reference for tests of the SIMD kernel.

use super::Rounding;

/// Twice as wide, at a quarter of the way from row `near` to row `far`. `wide` has two samples for each of `near`.
pub(in super::super) fn widen(near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
    let last = near.len() - 1;
    let at = |i: usize| sum(near[i], far[i]);
    for (i, out) in wide.as_chunks_mut().0.iter_mut().enumerate().take(near.len()) {
        *out = pair(at(i.saturating_sub(1)), at(i), at((i + 1).min(last)), rounding);
    }
}

/// The first and last pair of [`widen`], of two samples or more: they have a neighbour on one side only.
#[inline]
pub(super) fn widen_ends(near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
    if let (&[a, b, ..], &[c, d, ..]) = (near, far) {
        let (first, second) = (sum(a, c), sum(b, d));
        wide[..2].copy_from_slice(&pair(first, first, second, rounding));
    }
    if let (&[.., b, a], &[.., d, c]) = (near, far) {
        let (last, second) = (sum(a, c), sum(b, d));
        wide[2 * near.len() - 2..][..2].copy_from_slice(&pair(second, last, last, rounding));
    }
}

/// Four times the sample at a quarter of the way between rows.
#[inline(always)]
fn sum(near: u8, far: u8) -> u16 {
    3 * u16::from(near) + u16::from(far)
}

/// The two samples made of one, between its neighbours.
#[inline(always)]
fn pair(before: u16, at: u16, after: u16, [left, right]: Rounding) -> [u8; 2] {
    [((3 * at + before + left) >> 4) as u8, ((3 * at + after + right) >> 4) as u8]
}

/// As wide, at a quarter of the way between two rows (`h1v2_fancy_upsample`). `rounding` is 1 above the nearer row and 2
/// below it.
pub(in super::super) fn between(near: &[u8], far: &[u8], rounding: u16, out: &mut [u8]) {
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + rounding) >> 2) as u8;
    }
}

/// `times` as wide, each sample repeated (`h2v1_upsample`, `int_upsample`).
pub(in super::super) fn repeat(row: &[u8], times: usize, wide: &mut [u8]) {
    match times {
        2 => wide.as_chunks_mut::<2>().0.iter_mut().zip(row).for_each(|(out, &sample)| *out = [sample; 2]),
        _ => wide.chunks_exact_mut(times).zip(row).for_each(|(out, &sample)| out.fill(sample)),
    }
}
