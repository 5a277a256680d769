//! The inner loops as one set for each instruction set, chosen once an image.

use super::color;
use super::idct::{self, Block};
use super::upsample::{self, Rounding};

/// Inverse DCT, upsampling and colour conversion. All sets give the same bytes.
pub(super) trait Kernels: Copy {
    /// A block to 8 x 8 samples; `out` begins with the first.
    fn idct(self, block: &Block, out: &mut [u8], stride: usize);
    /// A block to 4 x 4 samples.
    fn idct_half(self, block: &Block, out: &mut [u8], stride: usize);
    /// Doubles the width of a row, between two rows.
    fn widen(self, near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]);
    /// Rows of Y, Cb and Cr to RGB.
    fn ycc_to_rgb(self, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]);
}

/// Plain arithmetic, for any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar;

impl Kernels for Scalar {
    fn idct(self, block: &Block, out: &mut [u8], stride: usize) {
        idct::scalar::full(block, out, stride);
    }

    fn idct_half(self, block: &Block, out: &mut [u8], stride: usize) {
        idct::scalar::half(block, out, stride);
    }

    fn widen(self, near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
        upsample::scalar::widen(near, far, rounding, wide);
    }

    fn ycc_to_rgb(self, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
        color::scalar::ycc_to_rgb(y, cb, cr, rgb);
    }
}

/// AVX2, and the bit manipulation that every processor with it has. A value proves that they were detected.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2"))
        .then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Kernels for Avx2 {
    #[inline(always)]
    fn idct(self, block: &Block, out: &mut [u8], stride: usize) {
        // SAFETY: `self` proves AVX2, here and below.
        unsafe { idct::avx2::full(block, out, stride) }
    }

    #[inline(always)]
    fn idct_half(self, block: &Block, out: &mut [u8], stride: usize) {
        idct::scalar::half(block, out, stride);
    }

    #[inline(always)]
    fn widen(self, near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
        // SAFETY: as above.
        unsafe { upsample::avx2::widen(near, far, rounding, wide) }
    }

    #[inline(always)]
    fn ycc_to_rgb(self, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
        // SAFETY: as above.
        unsafe { color::avx2::ycc_to_rgb(y, cb, cr, rgb) }
    }
}
