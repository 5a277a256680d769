//! Tiles in plain loops: what the engines compute, bit by bit, for tests on every machine.

use super::{Engine, Factors, SIDE, STEP, Sums, TILE};
#[cfg(target_arch = "x86_64")]
use super::{amx::Amx, dot_products::DotProducts};
use crate::backend::cpu::bf16::widened;

/// Loops that add in the order of this engine.
#[derive(Clone, Copy, Debug)]
pub(in super::super::super) enum Emulated {
    Amx,
    DotProducts,
}

impl Emulated {
    /// The engine, where the machine has it.
    pub(super) fn engine(self) -> Option<Engine> {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Amx => Amx::detect().map(Engine::Amx),
            Self::DotProducts => DotProducts::detect().map(Engine::DotProducts),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return None;
    }

    /// # Safety
    /// As [`Engine::sum`].
    pub(super) unsafe fn sum<const M: usize, const N: usize>(
        self,
        &Factors { left, row, offsets, right }: &Factors<'_, M, N>,
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
                        self.add(left, right.iter().skip(column).step_by(SIDE), sum);
                    }
                }
            }
        }
    }

    /// Adds the products of a step. Products of halves are exact, so that a sum is rounded once.
    fn add<'a>(self, left: &[u16], right: impl Iterator<Item = &'a u32>, sum: &mut f32) {
        let products = left.chunks_exact(2).zip(right).map(|(pair, word)| {
            [widened(pair[0]) * widened(*word as u16), widened(pair[1]) * widened((*word >> 16) as u16)]
        });
        match self {
            Self::Amx => {
                let (even, odd) = products.fold((0.0, 0.0), |(even, odd), [a, b]| (even + a, odd + b));
                *sum += even + odd;
            }
            Self::DotProducts => *sum = products.fold(*sum, |sum, [even, odd]| (sum + odd) + even),
        }
    }
}
