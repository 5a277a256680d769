//! The tile with AVX2 and fused multiply-add.

use std::arch::x86_64::*;

use super::{Kernel, Store, Sums};
use crate::backend::cpu::Instructions;

/// Proof that the machine has AVX2 and fused multiply-add.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// `None` if the machine can't, or [`Instructions::limit`] is below.
    pub(in super::super) fn detect() -> Option<Self> {
        Instructions::Avx2.are_usable().then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    const LANES: usize = 8;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn sum<const V: usize>(
        self,
        rows: [*const f32; 8],
        step: usize,
        starts: [*const f32; V],
        offsets: &[u32],
        store: Store,
        sums: &mut Sums,
    ) {
        // SAFETY: a value of this type exists only where the machine has the instructions; the caller promises the rest.
        unsafe { sum(rows, step, starts, offsets, store, sums) }
    }
}

/// As [`Kernel::sum`].
#[target_feature(enable = "avx2,fma")]
unsafe fn sum<const V: usize>(
    rows: [*const f32; 8],
    step: usize,
    starts: [*const f32; V],
    offsets: &[u32],
    store: Store,
    sums: &mut Sums,
) {
    let mut tile = [[_mm256_setzero_ps(); V]; Avx2::ROWS];
    let mut at = 0;
    for offset in offsets {
        let mut right = [_mm256_setzero_ps(); V];
        for (right, start) in right.iter_mut().zip(starts) {
            // SAFETY: the caller promises a vector at each start and offset.
            *right = unsafe { _mm256_loadu_ps(start.add(*offset as usize)) };
        }
        for (row, tile) in rows.iter().zip(&mut tile) {
            // SAFETY: the caller promises a value at every step.
            let left = unsafe { _mm256_set1_ps(*row.add(at)) };
            for (sum, right) in tile.iter_mut().zip(right) {
                *sum = _mm256_fmadd_ps(left, right, *sum);
            }
        }
        at += step;
    }
    for (tile, sums) in tile.iter().zip(sums.0.chunks_exact_mut(Avx2::COLUMNS)) {
        for (tile, sums) in tile.iter().zip(sums.chunks_exact_mut(Avx2::LANES)) {
            let to = sums.as_mut_ptr();
            // SAFETY: the chunk is a vector long.
            unsafe {
                match store {
                    Store::Overwrite => _mm256_storeu_ps(to, *tile),
                    Store::Add => _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), *tile)),
                }
            }
        }
    }
}
