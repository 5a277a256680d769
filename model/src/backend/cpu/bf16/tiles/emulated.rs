//! Tiles in plain loops: what AMX computes, bit by bit, for tests on every machine.

use super::{SIDE, STEP, Sums, TILE, Tiles};
use crate::backend::cpu::bf16::widened;

/// Loops in AMX's order.
#[derive(Clone, Copy)]
pub(in super::super) struct Emulated;

impl Tiles for Emulated {
    fn ready<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }

    unsafe fn sum<const M: usize, const N: usize>(
        self,
        left: [*const u16; M],
        row: usize,
        offsets: &[u32],
        right: [*const u32; N],
        sums: &mut Sums,
    ) {
        sums.0.fill(0.0);
        for (step, offset) in offsets.iter().enumerate() {
            for (m, n) in (0..M).flat_map(|m| (0..N).map(move |n| (m, n))) {
                // SAFETY: the caller promises so many words.
                let right = unsafe { std::slice::from_raw_parts(right[n].add(step * TILE), TILE) };
                for r in 0..SIDE {
                    // SAFETY: the caller promises so many halves.
                    let left =
                        unsafe { std::slice::from_raw_parts(left[m].add(r * row + *offset as usize), STEP) };
                    let sums = &mut sums.0[m * N * TILE + (r * N + n) * SIDE..][..SIDE];
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let (mut even, mut odd) = (0.0f32, 0.0f32);
                        for (k, pair) in left.chunks_exact(2).enumerate() {
                            let word = right[k * SIDE + column];
                            // Products of halves are exact, so that a sum is rounded once.
                            even += widened(pair[0]) * widened(word as u16);
                            odd += widened(pair[1]) * widened((word >> 16) as u16);
                        }
                        *sum += even + odd;
                    }
                }
            }
        }
    }
}
