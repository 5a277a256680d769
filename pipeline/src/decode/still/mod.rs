//! Decoders for every format except JPEG.
//!
//! The `image` crate decodes PNG and WebP; the crates `gif` and `tiff` decode GIF and TIFF to indices and samples,
//! which are converted to RGB here; BMP and PNM are read here. The rules are Pillow's, which `image` does not follow:
//! how 5 bits become 8, what a frame does not cover, what associated alpha means.

mod bmp;
mod gif;
mod pnm;
mod through_image;
mod tiff;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{DecodeError, ImageFormat, ImageInfo};
use crate::stages::panic_message;

/// Reads the header.
pub(super) fn probe(bytes: &[u8], format: ImageFormat) -> Result<ImageInfo, DecodeError> {
    without_panic(format, || match format {
        ImageFormat::Png => through_image::probe_png(bytes),
        ImageFormat::WebP | ImageFormat::Jpeg => through_image::probe(bytes, format),
        ImageFormat::Gif => gif::probe(bytes),
        ImageFormat::Bmp => bmp::probe(bytes),
        ImageFormat::Tiff => tiff::probe(bytes),
        ImageFormat::Pnm => pnm::probe(bytes),
    })
}

/// Decodes to RGB, through `stored` when the file's pixels have another layout.
pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    stored: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    without_panic(info.format, || match info.format {
        ImageFormat::Png | ImageFormat::WebP | ImageFormat::Jpeg => {
            through_image::decode(bytes, info, stored, rgb)
        }
        ImageFormat::Gif => gif::decode(bytes, info, stored, rgb),
        ImageFormat::Bmp => bmp::decode(bytes, info, stored, rgb),
        ImageFormat::Tiff => tiff::decode(bytes, info, stored, rgb),
        ImageFormat::Pnm => pnm::decode(bytes, info, rgb),
    })
}

/// A file that makes a decoder panic is malformed: most decoders here are not the project's own.
fn without_panic<T>(
    format: ImageFormat,
    decode: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    // Nothing outlives a panic but scratch memory, whose contents no decoder relies on.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let reason = format!("the decoder panicked: {}", panic_message(&*panic));
        Err(DecodeError::Malformed { format, reason })
    })
}

/// Bytes of an image in RGB.
fn rgb_len(info: &ImageInfo) -> usize {
    info.width as usize * info.height as usize * 3
}

#[cfg(test)]
mod tests;
