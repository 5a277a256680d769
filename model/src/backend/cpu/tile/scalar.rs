//! The tile as plain loops: what the others are held against, and what runs where there is no other.

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
                    tile[v] = multiply_add(left, right, tile[v]);
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

/// `left right + sums`, rounded once, as fused multiply-add rounds: results are the same bits on every processor.
#[inline(always)]
fn multiply_add(left: f32, right: [f32; 8], sums: [f32; 8]) -> [f32; 8] {
    let fused = || std::array::from_fn(|lane| left.mul_add(right[lane], sums[lane]));
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        return fused();
    }
    // Without the instruction, `mul_add` is a call for each value. A product of two f32 is exact in f64, so the sum is
    // rounded to f64 and then to f32. That is one rounding too many only where the first one ends half way between two
    // f32, or where f32 has fewer digits.
    let mut rounded_twice = false;
    let exact: [f64; 8] = std::array::from_fn(
        #[inline(always)]
        |lane| f64::from(left) * f64::from(right[lane]) + f64::from(sums[lane]),
    );
    for sum in exact {
        rounded_twice |= sum.to_bits() & 0x1fff_ffff == 0x1000_0000;
        rounded_twice |= (sum.abs() < f64::from(f32::MIN_POSITIVE)) & (sum != 0.0);
    }
    if rounded_twice { fused() } else { exact.map(|sum| sum as f32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_once() {
        // The first sum is 1 + 2^-24 + 2^-60: rounded to f64 it lies half way between two f32.
        let ties = [
            (1.0 + 2f32.powi(-12), 2f32.powi(-12), 1.0 - 2f32.powi(-12)),
            (2f32.powi(-30), 2f32.powi(-30), 1.0 + 2f32.powi(-23)),
        ];
        let small = [(1e-20, 1.5e-20, 1e-41), (1e-30, 1e-30, -1e-45), (0.0, 3.0, -0.0), (-0.0, 1.0, 0.0)];
        let large = [(f32::MAX, 2.0, f32::MIN), (f32::INFINITY, 1.0, 1.0), (f32::MAX, 1.0, f32::MAX)];
        let noise = (0..100_000u32).map(|i| {
            let value =
                |seed: u32| f32::from_bits((i.wrapping_mul(0x9e37_79b9) ^ seed).wrapping_mul(0x85eb_ca6b));
            (value(1), value(2), value(3))
        });
        for (a, b, c) in ties.into_iter().chain(small).chain(large).chain(noise) {
            let (found, expected) = (multiply_add(a, [b; 8], [c; 8])[0], a.mul_add(b, c));
            assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{a} {b} {c}: {found}, not {expected}"
            );
        }
    }
}
