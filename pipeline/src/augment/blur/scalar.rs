//! The definition, for every radius.

use super::BoxKernel;
use crate::augment::cpu::for_each_cpu;

for_each_cpu! {
    pub(super) fn blur_line(padded: &[u16], step: usize, kernel: BoxKernel, out: &mut [u16]) {
        /// Values whose sums are found together.
        const BLOCK: usize = 32;
        for (number, out) in out.chunks_mut(BLOCK).enumerate() {
            let tap = |tap: usize| &padded[number * BLOCK + tap * step..][..out.len()];
            let mut sums = [0u32; BLOCK];
            for inner in 1..2 * kernel.radius + 2 {
                sums.iter_mut().zip(tap(inner)).for_each(|(sum, &value)| *sum += u32::from(value));
            }
            let (near, far) = (tap(0), tap(2 * kernel.radius + 2));
            for (i, out) in out.iter_mut().enumerate() {
                *out = kernel.mean(sums[i], u32::from(near[i] + far[i]));
            }
        }
    }
}
