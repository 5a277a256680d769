//! Decodes images to RGB, with the pixels of Pillow's `Image.open(file).convert("RGB")`.
//!
//! The project's own decoder reads JPEGs, and can decode a region or a reduced size; `still` reads every other format.
//! Gray, CMYK and YCCK, 16-bit, palette and alpha inputs are converted with Pillow's rules: alpha is dropped, not
//! blended. EXIF orientation is NOT applied, as torchvision's `ImageFolder` loader does not apply it either.

mod convert;
mod error;
mod foreign;
mod jpeg;
mod probe;
mod still;

pub use error::{DecodeError, FirstBytes};
pub use probe::{Color, ImageFormat, ImageInfo, probe};

use crate::image::{Region, RgbImage, RgbPart, Scale, Wanted};
use crate::instructions::Instructions;
use jpeg::JpegDecoder;

/// The largest image that a [`Decoder`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Maximum number of pixels (width times height). A header that declares more is rejected before anything is
    /// allocated. The default, 178,956,970, is where Pillow raises its decompression bomb error.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 2 * (1024 * 1024 * 1024 / 4 / 3) }
    }
}

/// Bytes that a scratch buffer may keep whatever comes: beyond them, a rare huge image must not hold its memory for the
/// rest of the run.
const KEPT_BYTES: usize = 64 << 20;

/// Decodes images one after another, reusing its memory. Each worker has one.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) limits: DecodeLimits,
    kept_bytes: usize,
    jpeg: JpegDecoder,
    rgb: Vec<u8>,
    stored: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DecodeLimits::default())
    }
}

impl Decoder {
    /// A decoder that rejects images beyond `limits`.
    pub fn new(limits: DecodeLimits) -> Self {
        Self::with_instructions(limits, Instructions::Detected)
    }

    /// A decoder limited to these instructions. The pixels are the same.
    pub fn with_instructions(limits: DecodeLimits, instructions: Instructions) -> Self {
        Self {
            limits,
            kept_bytes: KEPT_BYTES,
            jpeg: JpegDecoder::new(instructions),
            rgb: Vec::new(),
            stored: Vec::new(),
        }
    }

    /// Decodes an image file to RGB.
    ///
    /// # Errors
    /// If the bytes are not a complete image of a supported format within the limits.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<RgbImage<'_>, DecodeError> {
        let info = probe(bytes)?;
        let RgbPart { width, height, pixels, .. } = self.decode_known(bytes, &info, &Wanted::WHOLE)?;
        Ok(RgbImage { width, height, pixels })
    }

    /// Decodes an image file and, for ordinary JPEGs, compares the pixels with those of a second decoder, zune-jpeg.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and if more than 1 % of the values differ by more than rounding.
    pub fn verify(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let info = probe(bytes)?;
        let RgbPart { width, height, pixels, .. } = self.decode_known(bytes, &info, &Wanted::WHOLE)?;
        if info.format != ImageFormat::Jpeg {
            return Ok(());
        }
        match jpeg::differing_share(bytes, RgbImage { width, height, pixels })? {
            Some(share) if share > 0.01 => {
                Err(DecodeError::Disputed { format: info.format, percent: 100.0 * share })
            }
            _ => Ok(()),
        }
    }

    /// Decodes a region of an image file to RGB. Its pixels equal those of the whole image.
    ///
    /// Of a JPEG, only the region is decoded. At a reduced scale, pixels are those of libjpeg's reduced transforms
    /// (Pillow's `Image.draft`). Of every other file, the region is cropped from the whole image at full scale.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), but damage below the region goes unnoticed.
    pub fn decode_part(&mut self, bytes: &[u8], wanted: &Wanted) -> Result<RgbPart<'_>, DecodeError> {
        let info = probe(bytes)?;
        self.decode_known(bytes, &info, wanted)
    }

    /// As [`decode_part`](Self::decode_part), of a file that [`probe`] gave `info` for.
    pub(crate) fn decode_known(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        wanted: &Wanted,
    ) -> Result<RgbPart<'_>, DecodeError> {
        let &ImageInfo { format, width, height, .. } = info;
        let max_pixels = self.limits.max_pixels;
        if info.pixels() > max_pixels {
            return Err(DecodeError::TooLarge { format, width, height, max_pixels });
        }
        self.free_oversized(bytes.len(), info.pixels() as usize);
        let whole = (width as usize, height as usize);
        let region = wanted.region.within(whole.0, whole.1);
        let wanted = Wanted { region, scale: wanted.scale };
        if region.width == 0 || region.height == 0 {
            let Region { left, top, .. } = region.scaled_outwards(wanted.scale);
            return Ok(RgbPart {
                left,
                top,
                width: 0,
                height: 0,
                stride: 0,
                pixels: &[],
                scale: wanted.scale,
            });
        }
        if format == ImageFormat::Jpeg {
            let Region { left, top, width, height } =
                self.jpeg.decode(bytes, info, &wanted, &mut self.rgb)?;
            let pixels = &self.rgb[..3 * width * height];
            return Ok(RgbPart { left, top, width, height, stride: 3 * width, pixels, scale: wanted.scale });
        }
        still::decode(bytes, info, &mut self.stored, &mut self.rgb)?;
        let (Region { left, top, width, height }, stride) = (region, 3 * whole.0);
        let pixels = &self.rgb[top * stride + 3 * left..(top + height) * stride];
        Ok(RgbPart { left, top, width, height, stride, pixels, scale: Scale::Full })
    }

    /// Frees buffers that are too large to be kept for an image of `pixels` in a file of `file` bytes.
    fn free_oversized(&mut self, file: usize, pixels: usize) {
        free_oversized(&mut self.rgb, 3 * pixels, self.kept_bytes);
        // A stored pixel has at most four channels of 16 bits.
        free_oversized(&mut self.stored, 8 * pixels, self.kept_bytes);
        self.jpeg.free_oversized(file, pixels, self.kept_bytes);
    }
}

/// Frees a buffer that has more than `kept_bytes` and more than four times the `needed` bytes that an image takes at most,
/// so that images of one size, however large, share theirs.
fn free_oversized<T>(buffer: &mut Vec<T>, needed: usize, kept_bytes: usize) {
    let bytes = buffer.capacity() * size_of::<T>();
    if bytes > kept_bytes && bytes / 4 > needed {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests;
