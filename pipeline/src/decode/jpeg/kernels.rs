//! The inner loops, one set per instruction set, chosen once per image.

use super::bits::Bits;
use super::entropy::{Coder, Damage, LongBlock};
use super::idct::{self, Block};
use super::steps::Steps;
use super::upsample::{self, Rounding};
use super::{color, entropy};
use crate::instructions::Instructions;

/// What is done with one of the sets. `run` is compiled for each.
pub(super) trait Task {
    /// Does it.
    fn run<K: Kernels>(self, kernels: K) -> Result<(), Damage>;
}

/// Does it with the best set that is allowed.
pub(super) fn run(instructions: Instructions, task: impl Task) -> Result<(), Damage> {
    #[cfg(target_arch = "x86_64")]
    if instructions.include(Instructions::Avx2)
        && let Some(avx2) = Avx2::detect()
    {
        // SAFETY: `avx2` proves that the processor has what the function needs.
        return unsafe { run_avx2(avx2, task) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = instructions;
    task.run(Scalar)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe")]
fn run_avx2(avx2: Avx2, task: impl Task) -> Result<(), Damage> {
    task.run(avx2)
}

/// Entropy decoding, inverse DCT, upsampling and colour conversion. All sets give the same bytes.
pub(super) trait Kernels: Copy {
    /// The next block's coefficients: [`Coder::decode`].
    fn decode(
        self,
        coder: &Coder<'_>,
        bits: &mut Bits<'_>,
        prediction: &mut i32,
        block: &mut LongBlock,
    ) -> Result<usize, Damage>;
    /// Passes over a block: [`Coder::skip`].
    fn skip(self, coder: &Coder<'_>, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage>;
    /// A block to samples, `side` x `side`; `out` begins with the first. `flat` says that there is only DC.
    #[inline(always)]
    fn transform(self, block: &Block, flat: bool, steps: &Steps, side: usize, out: &mut [u8], stride: usize) {
        match side {
            _ if flat => idct::flat(idct::dequantised(block, steps, 0), side, out, stride),
            8 => self.idct(block, steps, out, stride),
            4 => self.idct_half(block, steps, out, stride),
            2 => self.idct_quarter(block, steps, out, stride),
            _ => idct::flat(idct::dequantised(block, steps, 0), 1, out, stride),
        }
    }
    /// A block to 8 x 8 samples; `out` begins with the first.
    fn idct(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize);
    /// A block to 4 x 4 samples.
    fn idct_half(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize);
    /// A block to 2 x 2 samples.
    fn idct_quarter(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize);
    /// Doubles the width of a row, between two rows.
    fn widen(self, near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]);
    /// Rows of Y, Cb and Cr to RGB.
    fn ycc_to_rgb(self, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]);
}

/// Plain arithmetic, for any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar;

impl Kernels for Scalar {
    fn decode(
        self,
        coder: &Coder<'_>,
        bits: &mut Bits<'_>,
        prediction: &mut i32,
        block: &mut LongBlock,
    ) -> Result<usize, Damage> {
        coder.decode(bits, prediction, block)
    }

    fn skip(self, coder: &Coder<'_>, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage> {
        coder.skip(bits, prediction)
    }

    fn idct(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
        idct::scalar::full(block, steps, out, stride);
    }

    fn idct_half(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
        idct::scalar::half(block, steps, out, stride);
    }

    fn idct_quarter(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
        idct::scalar::quarter(block, steps, out, stride);
    }

    fn widen(self, near: &[u8], far: &[u8], rounding: Rounding, wide: &mut [u8]) {
        upsample::scalar::widen(near, far, rounding, wide);
    }

    fn ycc_to_rgb(self, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
        color::scalar::ycc_to_rgb(y, cb, cr, rgb);
    }
}

/// AVX2, and the bit manipulation that processors with it have. A value proves that they were detected.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("movbe"))
        .then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Kernels for Avx2 {
    #[inline(always)]
    fn decode(
        self,
        coder: &Coder<'_>,
        bits: &mut Bits<'_>,
        prediction: &mut i32,
        block: &mut LongBlock,
    ) -> Result<usize, Damage> {
        // SAFETY: `self` proves what the function needs, here and below.
        unsafe { entropy::bmi2::decode(coder, bits, prediction, block) }
    }

    #[inline(always)]
    fn skip(self, coder: &Coder<'_>, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage> {
        // SAFETY: as above.
        unsafe { entropy::bmi2::skip(coder, bits, prediction) }
    }

    #[inline(always)]
    fn idct(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
        // SAFETY: as above.
        unsafe { idct::avx2::full(block, steps, out, stride) }
    }

    #[inline(always)]
    fn idct_half(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
        // SAFETY: as above.
        unsafe { idct::avx2::half(block, steps, out, stride) }
    }

    #[inline(always)]
    fn idct_quarter(self, block: &Block, steps: &Steps, out: &mut [u8], stride: usize) {
        // SAFETY: as above.
        unsafe { idct::avx2::quarter(block, steps, out, stride) }
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
