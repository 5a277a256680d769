//! Reads format, size and colours from the header, without decoding a pixel.

use std::fmt;

use super::{DecodeError, FirstBytes, foreign, jpeg, still};

/// What a file's header says about its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    /// Container and codec.
    pub format: ImageFormat,
    /// Width in pixels, as stored: EXIF orientation is not applied.
    pub width: u32,
    /// Height in pixels, as stored.
    pub height: u32,
    /// The colour coding.
    pub color: Color,
    /// Bits per sample, before conversion to 8.
    pub bits: u8,
    /// Whether it is a progressive JPEG.
    pub progressive: bool,
}

/// The supported formats.
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

/// The colour coding of a file.
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
/// If the bytes are not an image, end within the header, or declare an image without pixels.
pub fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let info = match ImageFormat::of(bytes)? {
        ImageFormat::Jpeg => jpeg::probe(bytes)?,
        format => still::probe(bytes, format)?,
    };
    let ImageInfo { format, width, height, .. } = info;
    if width == 0 || height == 0 {
        return Err(DecodeError::ZeroSize { format, width, height });
    }
    Ok(info)
}

impl ImageInfo {
    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl ImageFormat {
    /// The usual end of such a file's name.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Pnm => "pnm",
        }
    }

    /// Tells the format by the first bytes.
    fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            [b'B', b'M', ..] => Ok(Self::Bmp),
            // The second of each is BigTIFF.
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Self::Tiff),
            [b'P', b'1'..=b'7', b'#' | b' ' | b'\t'..=b'\r', ..] => Ok(Self::Pnm),
            _ => Err(foreign::recognise(bytes).unwrap_or(DecodeError::NotAnImage(FirstBytes::of(bytes)))),
        }
    }
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
