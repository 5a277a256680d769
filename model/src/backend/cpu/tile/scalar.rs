//! The tile in scalar loops: the reference for tests of the others, and the fallback.

use super::{Kernel, Store, Sums};

/// Plain loops; they become vectors of four where the baseline has them.
#[derive(Clone, Copy)]
pub(in super::super) struct Scalar;

impl Kernel for Scalar {
    const LANES: usize = 8;
    const ROWS: usize = 4;

    unsafe fn sum<const V: usize>(
        self,
        rows: [*const f32; 8],
        step: usize,
        starts: [*const f32; V],
        offsets: &[u32],
        store: Store,
        sums: &mut Sums,
    ) {
        let mut tile = [[[0.0f32; 8]; V]; 4];
        for (k, offset) in offsets.iter().enumerate() {
            for v in 0..V {
                // SAFETY: the caller promises eight values at each start and offset.
                let right = unsafe { starts[v].add(*offset as usize).cast::<[f32; 8]>().read_unaligned() };
                for (row, tile) in rows.iter().zip(&mut tile) {
                    // SAFETY: the caller promises a value at every step.
                    let left = unsafe { *row.add(k * step) };
                    multiply_add(left, &right, &mut tile[v]);
                }
            }
        }
        for (tile, sums) in tile.iter().zip(sums.0.chunks_exact_mut(Self::COLUMNS)) {
            match store {
                Store::Overwrite => sums[..V * 8].copy_from_slice(tile.as_flattened()),
                Store::Add => sums.iter_mut().zip(tile.as_flattened()).for_each(|(to, sum)| *to += sum),
            }
        }
    }
}

/// Adds `left right` to `sums`, rounded once, as fused multiply-add rounds: results are the same bits on every processor.
#[inline(always)]
fn multiply_add(left: f32, right: &[f32; 8], sums: &mut [f32; 8]) {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        return fused(left, right, sums);
    }
    // Without the instruction, `mul_add` is a call for each value. A product of two f32 is exact in f64, so the sum is
    // rounded to f64 and then to f32. Twice is once too often only where the first ends half way between two f32, or where
    // f32 has fewer digits than usual.
    const HALF_WAY: u32 = 1 << 28;
    const FEWER_DIGITS: u32 = 0x3810_0000; // from here on the upper half of an f64 is that of a normal f32
    let (mut exact, mut is_rare) = ([0.0f64; 8], 0);
    for lane in 0..8 {
        exact[lane] = f64::from(left) * f64::from(right[lane]) + f64::from(sums[lane]);
    }
    for sum in exact {
        let (lower, upper) = (sum.to_bits() as u32, (sum.to_bits() >> 32) as u32 & 0x7fff_ffff);
        is_rare |= u32::from(lower & (2 * HALF_WAY - 1) == HALF_WAY);
        is_rare |= u32::from(upper.wrapping_sub(1) < FEWER_DIGITS - 1); // but for 0
    }
    if is_rare != 0 {
        return fused_rarely(left, right, sums);
    }
    for lane in 0..8 {
        sums[lane] = exact[lane] as f32;
    }
}

#[inline(always)]
fn fused(left: f32, right: &[f32; 8], sums: &mut [f32; 8]) {
    for lane in 0..8 {
        sums[lane] = left.mul_add(right[lane], sums[lane]);
    }
}

#[cold]
#[inline(never)]
fn fused_rarely(left: f32, right: &[f32; 8], sums: &mut [f32; 8]) {
    fused(left, right, sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_once() {
        // The sum is 2^-60 less than half way between two f32, and half way when it is rounded to f64.
        let (a, b, c) =
            (2f32.powi(-12) - 2f32.powi(-30), 2f32.powi(-12) + 2f32.powi(-30), 1.0 + 2f32.powi(-23));
        assert_ne!((f64::from(a) * f64::from(b) + f64::from(c)) as f32, a.mul_add(b, c));
        let ties = [(a, b, c), (-a, b, -c), (2f32.powi(-12), 2f32.powi(-12), 1.0)];
        let small = [(1e-20, 1.5e-20, 1e-41), (1e-30, 1e-30, -1e-45), (0.0, 3.0, -0.0), (-0.0, 1.0, 0.0)];
        let large = [(f32::MAX, 2.0, f32::MIN), (f32::INFINITY, 1.0, 1.0), (f32::MAX, 1.0, f32::MAX)];
        let noise = (0..100_000u32).map(|i| {
            let value =
                |seed: u32| f32::from_bits((i.wrapping_mul(0x9e37_79b9) ^ seed).wrapping_mul(0x85eb_ca6b));
            (value(1), value(2), value(3))
        });
        for (a, b, c) in ties.into_iter().chain(small).chain(large).chain(noise) {
            let (mut sums, expected) = ([c; 8], a.mul_add(b, c));
            multiply_add(a, &[b; 8], &mut sums);
            let found = sums[0];
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{a} {b} {c}: {found}, not {expected}"
            );
        }
    }
}
