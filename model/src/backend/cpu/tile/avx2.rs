//! The tile with AVX2 and fused multiply-add.

use std::arch::asm;
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
        // SAFETY: the caller promises a vector at each start and offset, and a value at every step.
        unsafe {
            let starts = starts.map(|start| start.add(*offset as usize));
            let rows: [*const f32; Avx2::ROWS] = std::array::from_fn(|r| rows[r].add(at));
            step_of(rows, starts, &mut tile);
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

/// Adds the products of a value of each row and the vectors at `starts`.
///
/// Written out, because a tile of three vectors takes all 16 registers: a compiler that loads one value before it is due
/// keeps a sum in memory instead, and every step waits for that.
///
/// # Safety
/// A value can be read at each row, and a vector at each start.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step_of<const V: usize>(
    rows: [*const f32; Avx2::ROWS],
    starts: [*const f32; V],
    tile: &mut [[__m256; V]; Avx2::ROWS],
) {
    if V < 3 {
        for (row, tile) in rows.iter().zip(tile) {
            // SAFETY: the caller promises what is read.
            let left = unsafe { _mm256_set1_ps(**row) };
            for (sum, start) in tile.iter_mut().zip(starts) {
                // SAFETY: the caller promises what is read.
                *sum = _mm256_fmadd_ps(left, unsafe { _mm256_loadu_ps(start) }, *sum);
            }
        }
        return;
    }
    // SAFETY: the caller promises what is read; nothing else is touched.
    unsafe {
        asm!(
            "vmovups {x}, [{s0}]",
            "vmovups {y}, [{s1}]",
            "vmovups {z}, [{s2}]",
            "vbroadcastss {w}, [{r0}]",
            "vfmadd231ps {a0}, {w}, {x}",
            "vfmadd231ps {a1}, {w}, {y}",
            "vfmadd231ps {a2}, {w}, {z}",
            "vbroadcastss {w}, [{r1}]",
            "vfmadd231ps {b0}, {w}, {x}",
            "vfmadd231ps {b1}, {w}, {y}",
            "vfmadd231ps {b2}, {w}, {z}",
            "vbroadcastss {w}, [{r2}]",
            "vfmadd231ps {c0}, {w}, {x}",
            "vfmadd231ps {c1}, {w}, {y}",
            "vfmadd231ps {c2}, {w}, {z}",
            "vbroadcastss {w}, [{r3}]",
            "vfmadd231ps {d0}, {w}, {x}",
            "vfmadd231ps {d1}, {w}, {y}",
            "vfmadd231ps {d2}, {w}, {z}",
            s0 = in(reg) starts[0], s1 = in(reg) starts[1], s2 = in(reg) starts[2],
            r0 = in(reg) rows[0], r1 = in(reg) rows[1], r2 = in(reg) rows[2], r3 = in(reg) rows[3],
            x = out(ymm_reg) _, y = out(ymm_reg) _, z = out(ymm_reg) _, w = out(ymm_reg) _,
            a0 = inout(ymm_reg) tile[0][0], a1 = inout(ymm_reg) tile[0][1], a2 = inout(ymm_reg) tile[0][2],
            b0 = inout(ymm_reg) tile[1][0], b1 = inout(ymm_reg) tile[1][1], b2 = inout(ymm_reg) tile[1][2],
            c0 = inout(ymm_reg) tile[2][0], c1 = inout(ymm_reg) tile[2][1], c2 = inout(ymm_reg) tile[2][2],
            d0 = inout(ymm_reg) tile[3][0], d1 = inout(ymm_reg) tile[3][1], d2 = inout(ymm_reg) tile[3][2],
            options(readonly, nostack, preserves_flags),
        );
    }
}
