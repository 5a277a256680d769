//! Encoded bytes become RGB pixels, those of Pillow's `Image.open(file).convert("RGB")`.
//!
//! JPEG goes through zune-jpeg, every other format through the `image` crate. Gray, CMYK and YCCK, 16-bit, palette and
//! alpha inputs are converted with Pillow's rules: alpha is dropped, not blended. EXIF orientation is NOT
//! applied, as torchvision's `ImageFolder` loader does not apply it either.

mod convert;
mod error;
mod jpeg;
mod probe;
mod still;

pub use error::{DecodeError, FirstBytes};
pub use probe::{Color, ImageFormat, ImageInfo, probe};

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

/// How large an image a [`Decoder`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels (width times height) of an image; a header that asks for more is refused before anything is
    /// allocated. The default, 178,956,970, is where Pillow raises its decompression bomb error.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 2 * (1024 * 1024 * 1024 / 4 / 3) }
    }
}

/// Bytes of scratch that are kept after an image: a rare huge one must not hold its memory for the rest of the run.
const KEPT_BYTES: usize = 64 << 20;

/// Decodes one image after another into the same scratch memory. One per worker.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: DecodeLimits,
    rgb: Vec<u8>,
    stored: Vec<u8>,
}

impl Decoder {
    /// A decoder that refuses images beyond `limits`.
    pub fn new(limits: DecodeLimits) -> Self {
        Self { limits, rgb: Vec::new(), stored: Vec::new() }
    }

    /// Decodes an image file to RGB.
    ///
    /// # Errors
    /// When the bytes are not a whole image of a known format within the limits.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<RgbImage<'_>, DecodeError> {
        let info = probe(bytes)?;
        let ImageInfo { format, width, height, .. } = info;
        let max_pixels = self.limits.max_pixels;
        if info.pixels() > max_pixels {
            return Err(DecodeError::TooLarge { format, width, height, max_pixels });
        }
        for scratch in [&mut self.rgb, &mut self.stored] {
            if scratch.capacity() > KEPT_BYTES {
                *scratch = Vec::new();
            }
        }
        let decode = if format == ImageFormat::Jpeg { jpeg::decode } else { still::decode };
        decode(bytes, &info, &mut self.stored, &mut self.rgb)?;
        Ok(RgbImage { width: width as usize, height: height as usize, pixels: &self.rgb })
    }
}

#[cfg(test)]
mod tests;
