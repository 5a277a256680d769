//! Converts component rows to interleaved RGB with libjpeg's fixed-point arithmetic (jdcolor.c), bit for bit.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
pub(super) mod scalar;

#[cfg(test)]
mod tests;
