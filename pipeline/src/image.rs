//! Pixels, and the regions and scales at which an image can be decoded.

/// Interleaved 8-bit RGB pixels, rows from top to bottom without padding.
#[derive(Debug, Clone, Copy)]
pub struct RgbImage<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub pixels: &'a [u8],
}

/// Interleaved 8-bit RGB rows of a part of an image, which may have been decoded at a reduced size.
///
/// Positions and sizes are in pixels of the image as it was decoded, at `scale`.
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
    /// The size at which the image was decoded.
    pub scale: Scale,
}

/// What to decode of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The region, in pixels of the whole image at full size; clipped to the image.
    pub region: Region,
    /// The scale, if the decoder supports it.
    pub scale: Scale,
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// The scale at which an image is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Full size.
    #[default]
    Full,
    /// Half the width and height, rounded up.
    Half,
    /// A quarter of the width and height, rounded up.
    Quarter,
    /// An eighth of the width and height, rounded up.
    Eighth,
}

impl<'a> RgbPart<'a> {
    /// The part's rows, without the padding between them.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> {
        let width = self.width;
        self.pixels.chunks(self.stride.max(1)).take(self.height).map(move |row| &row[..3 * width])
    }

    /// The rows from row `top`, column `left` on, both counted in the decoded image and not in the part.
    pub(crate) fn rows_from(&self, top: usize, left: usize) -> &'a [u8] {
        &self.pixels[(top - self.top) * self.stride + (left - self.left) * 3..]
    }
}

impl<'a> From<RgbImage<'a>> for RgbPart<'a> {
    fn from(RgbImage { width, height, pixels }: RgbImage<'a>) -> Self {
        Self { left: 0, top: 0, width, height, stride: width * 3, pixels, scale: Scale::Full }
    }
}

impl Region {
    /// The whole image, whatever its size.
    pub const EVERYTHING: Self = Self { left: 0, top: 0, width: usize::MAX, height: usize::MAX };

    /// What of it lies in an image of this size.
    pub(crate) fn within(&self, width: usize, height: usize) -> Self {
        let (left, top) = (self.left.min(width), self.top.min(height));
        Self { left, top, width: self.width.min(width - left), height: self.height.min(height - top) }
    }

    /// The smallest region of the image at `scale` that covers it.
    pub(crate) fn scaled_outwards(&self, scale: Scale) -> Self {
        let by = scale.denominator();
        let (left, top) = (self.left / by, self.top / by);
        Self {
            left,
            top,
            width: (self.left + self.width).div_ceil(by) - left,
            height: (self.top + self.height).div_ceil(by) - top,
        }
    }
}

impl Scale {
    /// Pixels of the full image per pixel of the scaled one, along one side.
    pub fn denominator(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

impl Wanted {
    /// The whole image at full scale.
    pub const WHOLE: Self = Self { region: Region::EVERYTHING, scale: Scale::Full };
}

/// Writes three planes pixel by pixel. The loop of kernels that are compiled for each instruction set.
#[inline(always)]
pub(crate) fn interleave<T: Copy>([r, g, b]: [&[T]; 3], out: &mut [T]) {
    for (((out, &r), &g), &b) in out.as_chunks_mut::<3>().0.iter_mut().zip(r).zip(g).zip(b) {
        *out = [r, g, b];
    }
}
