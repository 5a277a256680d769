//! The zig-zag order of coefficients and their quantisation steps.

use super::idct::slot;

/// Quantisation steps, in the order of a block.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct Steps(pub(super) [i16; 64]);

impl Steps {
    /// Of a component that the file does not have.
    pub(super) const ZERO: Self = Self([0; 64]);

    /// From a table in the file's order: 64 bytes, or 128 for 16-bit steps. Products wrap at 16 bits as libjpeg-turbo's do,
    /// so that the sign of a step above 32,767 does not matter.
    pub(super) fn new(source: &[u8]) -> Self {
        let wide = source.len() == 128;
        let mut steps = [0; 64];
        for (k, &place) in PLACES.iter().enumerate().take(64) {
            steps[usize::from(place)] = if wide {
                i16::from_be_bytes([source[2 * k], source[2 * k + 1]])
            } else {
                i16::from(source[k])
            };
        }
        Self(steps)
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Where a block holds the coefficient of each zig-zag index. Those beyond 63 share a place behind the block.
pub(super) const PLACES: [u8; 256] = {
    let mut places = [64; 256];
    let mut k = 0;
    while k < 64 {
        places[k] = slot(ZIGZAG[k] as usize / 8, ZIGZAG[k] as usize % 8) as u8;
        k += 1;
    }
    places
};

/// Row-major index of each zig-zag index (ITU-T T.81, figure A.6).
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
