//! Where a coefficient goes in its block, and what it is multiplied by.

use super::idct::slot;

/// For each zig-zag index the coefficient's place in the block (low 6 bits) and its quantisation step (high 16).
///
/// Indices beyond 63 exist so that the decoding loop needs no bounds check: they lead to the place of the DC
/// coefficient, which is written last.
#[derive(Debug)]
pub(super) struct Steps([u32; 256]);

impl Steps {
    /// From a table in the file's order: 64 bytes, or 128 for 16-bit steps.
    pub(super) fn new(source: &[u8]) -> Self {
        let wide = source.len() == 128;
        let mut steps = [0; 256];
        for (k, (step, &natural)) in steps.iter_mut().zip(&ZIGZAG).enumerate() {
            let value = if wide {
                u16::from_be_bytes([source[2 * k], source[2 * k + 1]])
            } else {
                u16::from(source[k])
            };
            let place = slot(usize::from(natural) / 8, usize::from(natural) % 8);
            *step = u32::from(value) << 16 | place as u32;
        }
        Self(steps)
    }

    /// Place and step of zig-zag index `k`.
    #[inline(always)]
    pub(super) fn at(&self, k: usize) -> (usize, i32) {
        let step = self.0[k & 255];
        ((step & 63) as usize, (step >> 16) as i32)
    }
}

/// Row-major index of each zig-zag index (ITU-T T.81, figure A.6).
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
