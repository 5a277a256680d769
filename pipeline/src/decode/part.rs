//! A part of an image, at full or reduced size.

use super::{ImageInfo, RgbImage};

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

/// How much smaller an image is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// As it is.
    #[default]
    Full,
    /// Half the width and height, rounded up.
    Half,
    /// A quarter of the width and height, rounded up.
    Quarter,
    /// An eighth of the width and height, rounded up.
    Eighth,
}

/// What is wanted of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where, in pixels of the full image. What lies outside the image is cut off.
    pub region: Region,
    /// How much smaller, where the decoder can.
    pub scale: Scale,
}

/// The part of an image that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct RgbPart<'a> {
    /// The scale that came out: [`Scale::Full`] where the file's decoder knows no other.
    pub scale: Scale,
    /// Where the part begins, in columns of the image at `scale`.
    pub left: usize,
    /// Where the part begins, in rows of the image at `scale`.
    pub top: usize,
    /// The pixels. At a reduced scale the region is rounded outwards.
    pub image: RgbImage<'a>,
}

impl Region {
    /// What of it lies in an image of this size.
    pub(super) fn within(&self, width: usize, height: usize) -> Self {
        let (left, top) = (self.left.min(width), self.top.min(height));
        Self { left, top, width: self.width.min(width - left), height: self.height.min(height - top) }
    }

    /// The smallest region of the image at `scale` that covers it.
    pub(super) fn scaled_outwards(&self, scale: Scale) -> Self {
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
    /// Pixels of the full image along one of the scaled image's.
    pub fn denominator(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

impl Part {
    /// The whole image at full scale.
    pub fn whole(info: &ImageInfo) -> Self {
        let region = Region { left: 0, top: 0, width: info.width as usize, height: info.height as usize };
        Self { region, scale: Scale::Full }
    }
}
