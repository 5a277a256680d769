//! Tiles by AVX-512's dot products of two halves, `VDPBF16PS`.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::{Factors, SIDE, STEP, Sums, TILE};
use crate::backend::cpu::Instructions;

/// A sum is one chain; of each pair of halves the odd one is added first. Subnormal numbers count as 0. A value is the proof
/// that the processor has the instructions.
#[derive(Clone, Copy)]
pub(in super::super::super) struct DotProducts(());

impl DotProducts {
    /// `None` if the processor has no such instructions, or [`Instructions::limit`] is below.
    pub(super) fn detect() -> Option<Self> {
        (exist() && Instructions::Avx512Bf16.are_usable()).then_some(Self(()))
    }

    /// # Safety
    /// As [`Engine::sum`](super::Engine::sum).
    #[inline(always)]
    pub(super) unsafe fn sum<const M: usize, const N: usize>(
        self,
        &Factors { left, row, offsets, right }: &Factors<'_, M, N>,
        sums: &mut Sums,
    ) {
        let width = N * SIDE;
        for (m, left) in left.into_iter().enumerate() {
            let sums = &mut sums.0[m * SIDE * width..][..SIDE * width];
            // SAFETY: a value of this type exists only where the processor has the instructions; the caller promises the rest.
            unsafe {
                match N {
                    1 => sum_rows::<16, 1>(left, row, offsets, [right[0]], sums),
                    2 => {
                        let (top, bottom) = sums.split_at_mut(8 * width);
                        let right = [right[0], right[1]];
                        sum_rows::<8, 2>(left, row, offsets, right, top);
                        sum_rows::<8, 2>(left.add(8 * row), row, offsets, right, bottom);
                    }
                    _ => unreachable!("tiles come as 4 x 1 or 2 x 2"),
                }
            }
        }
    }
}

fn exist() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// Whether they do twice the work of fused multiply-adds in the same time, as on AMD's processors since Zen 4. Intel's need four
/// times as long for each (half the work in the same time, measured on a Xeon of 2023), and its new ones have AMX.
pub(super) fn are_fast() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD" && exist()
}

/// `R` rows of `N` tiles.
///
/// # Safety
/// As [`Engine::sum`](super::Engine::sum).
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn sum_rows<const R: usize, const N: usize>(
    left: *const u16,
    row: usize,
    offsets: &[u32],
    right: [*const u32; N],
    sums: &mut [f32],
) {
    // SAFETY: halves are any bits.
    let halves = |words: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(words) };
    let mut totals = [[_mm512_setzero_ps(); N]; R];
    for (step, offset) in offsets.iter().enumerate() {
        for k in 0..STEP / 2 {
            // SAFETY: the caller promises what is read.
            unsafe {
                let right =
                    right.map(|right| halves(_mm512_loadu_si512(right.add(step * TILE + k * SIDE).cast())));
                for (r, totals) in totals.iter_mut().enumerate() {
                    let pair = left.add(r * row + *offset as usize + 2 * k).cast::<i32>().read_unaligned();
                    let pair = halves(_mm512_set1_epi32(pair));
                    for (total, right) in totals.iter_mut().zip(right) {
                        *total = _mm512_dpbf16_ps(*total, pair, right);
                    }
                }
            }
        }
    }
    for (total, sums) in totals.as_flattened().iter().zip(sums.chunks_exact_mut(SIDE)) {
        // SAFETY: a vector is as many values.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *total) };
    }
}
