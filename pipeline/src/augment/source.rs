//! What an augmenter reads: the part of an image that was decoded.

use crate::decode::RgbImage;

/// Interleaved 8-bit RGB rows of a part of an image, which may have been decoded at a fraction of its size.
///
/// Positions and sizes are in pixels of the image as it was decoded: of the whole image over `denominator`.
#[derive(Debug, Clone, Copy)]
pub struct RgbPart<'a> {
    /// First column of the part.
    pub left: usize,
    /// First row of the part.
    pub top: usize,
    /// Columns of the part.
    pub width: usize,
    /// Rows of the part.
    pub height: usize,
    /// Bytes from the start of one row to the next, at least `3 * width`.
    pub stride: usize,
    /// Rows from top to bottom; the last one may end after its last pixel.
    pub pixels: &'a [u8],
    /// 1, 2, 4 or 8: each pixel stands for a square of so many of the whole image.
    pub denominator: usize,
}

impl<'a> RgbPart<'a> {
    /// The rows from row `top`, column `left` on, both counted in the decoded image and not in the part.
    pub(super) fn rows_from(&self, top: usize, left: usize) -> &'a [u8] {
        &self.pixels[(top - self.top) * self.stride + (left - self.left) * 3..]
    }
}

impl<'a> From<RgbImage<'a>> for RgbPart<'a> {
    fn from(RgbImage { width, height, pixels }: RgbImage<'a>) -> Self {
        Self { left: 0, top: 0, width, height, stride: width * 3, pixels, denominator: 1 }
    }
}
