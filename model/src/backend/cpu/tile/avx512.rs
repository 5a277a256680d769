//! The tile with AVX-512.

use std::arch::x86_64::*;

use super::{Kernel, Store, Sums};
use crate::backend::cpu::Instructions;

/// Proof that the machine has AVX-512.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// `None` if the machine can't, or [`Instructions::limit`] is below.
    pub(in super::super) fn detect() -> Option<Self> {
        Instructions::Avx512.are_usable().then_some(Self(()))
    }
}

impl Kernel for Avx512 {
    const LANES: usize = 16;
    const ROWS: usize = 8;

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
#[target_feature(enable = "avx512f")]
unsafe fn sum<const V: usize>(
    rows: [*const f32; 8],
    step: usize,
    starts: [*const f32; V],
    offsets: &[u32],
    store: Store,
    sums: &mut Sums,
) {
    let mut tile = [[_mm512_setzero_ps(); V]; Avx512::ROWS];
    let mut at = 0;
    for offset in offsets {
        let mut right = [_mm512_setzero_ps(); V];
        for (right, start) in right.iter_mut().zip(starts) {
            // SAFETY: the caller promises a vector at each start and offset.
            *right = unsafe { _mm512_loadu_ps(start.add(*offset as usize)) };
        }
        for (row, tile) in rows.iter().zip(&mut tile) {
            // SAFETY: the caller promises a value at every step.
            let left = unsafe { _mm512_set1_ps(*row.add(at)) };
            for (sum, right) in tile.iter_mut().zip(right) {
                *sum = _mm512_fmadd_ps(left, right, *sum);
            }
        }
        at += step;
    }
    for (tile, sums) in tile.iter().zip(sums.0.chunks_exact_mut(Avx512::COLUMNS)) {
        for (tile, sums) in tile.iter().zip(sums.chunks_exact_mut(Avx512::LANES)) {
            let to = sums.as_mut_ptr();
            // SAFETY: the chunk is a vector long.
            unsafe {
                match store {
                    Store::Overwrite => _mm512_storeu_ps(to, *tile),
                    Store::Add => _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), *tile)),
                }
            }
        }
    }
}
