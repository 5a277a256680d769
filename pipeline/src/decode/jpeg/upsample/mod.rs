//! Upsamples chroma by libjpeg's triangle filter ("fancy upsampling", jdsample.c), bit for bit.
//!
//! A wide row has two samples per sample of the narrow one: 3/4 of the nearer neighbour plus 1/4 of the farther one;
//! the ends are repeated. The same applies between rows, so in both directions the weights are 9/16, 3/16, 3/16 and
//! 1/16.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
pub(super) mod scalar;

#[cfg(test)]
mod tests;

/// What is added to the left and right sample, in sixteenths, before the fraction is cut off.
pub(super) type Rounding = [u16; 2];

/// Where only the width doubles (`h2v1_fancy_upsample`): the nearer and the farther row are the same.
pub(super) const ONE_ROW: Rounding = [4, 8];
/// Where width and height double (`h2v2_fancy_upsample`).
pub(super) const BETWEEN_ROWS: Rounding = [8, 7];
