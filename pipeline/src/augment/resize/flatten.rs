//! The vertical pass: weighted sums of rows.

use super::{HALF, to_byte};
use crate::augment::cpu::for_each_cpu;

for_each_cpu! {
    /// Writes the weighted sum of as many rows as there are weights, which begin every `stride` bytes of `rows`.
    pub(super) fn flatten(rows: &[u8], stride: usize, weights: &[i32], out: &mut [u8]) {
        /// Columns whose sums stay in registers.
        const BLOCK: usize = 32;
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        let whole = blocks.len() * BLOCK;
        for (number, out) in blocks.iter_mut().enumerate() {
            let mut sums = [HALF; BLOCK];
            for (row, &weight) in weights.iter().enumerate() {
                let start = row * stride + number * BLOCK;
                for (sum, &value) in sums.iter_mut().zip(&rows[start..start + BLOCK]) {
                    *sum += i32::from(value) * weight;
                }
            }
            for (out, &sum) in out.iter_mut().zip(&sums) {
                *out = to_byte(sum);
            }
        }
        for (column, out) in rest.iter_mut().enumerate() {
            let taps = rows[whole + column..].iter().step_by(stride).zip(weights);
            *out = to_byte(HALF + taps.map(|(&value, weight)| i32::from(value) * weight).sum::<i32>());
        }
    }
}
