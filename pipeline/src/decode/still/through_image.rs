//! PNG and WebP, by the `image` crate.

use std::io::{Cursor, ErrorKind};

use image::error::ImageError;
use image::{ColorType, ImageDecoder, ImageReader, Limits};

use super::super::convert;
use super::super::{Color, DecodeError, ImageFormat, ImageInfo};

/// Reads the header.
pub(super) fn probe(bytes: &[u8], format: ImageFormat) -> Result<ImageInfo, DecodeError> {
    let decoder = reader(bytes, format)?.into_decoder().map_err(|error| decode_error(format, error))?;
    let (width, height) = decoder.dimensions();
    let color = if decoder.color_type().has_alpha() { Color::Rgba } else { Color::Rgb };
    Ok(ImageInfo { format, width, height, color, bits: 8, progressive: false })
}

/// PNG's header is a fixed struct, and the `image` crate hides whether the file has a palette.
pub(super) fn probe_png(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let format = ImageFormat::Png;
    let header = bytes.get(8..26).ok_or(DecodeError::Truncated(format))?;
    let &[_, _, _, _, b'I', b'H', b'D', b'R', w3, w2, w1, w0, h3, h2, h1, h0, bits, kind] = header else {
        return Err(DecodeError::Malformed { format, reason: "the first chunk is not IHDR".to_owned() });
    };
    let color = match kind {
        0 => Color::Gray,
        2 => Color::Rgb,
        3 => Color::Palette,
        4 => Color::GrayAlpha,
        6 => Color::Rgba,
        _ => return Err(DecodeError::Malformed { format, reason: format!("colour type {kind}") }),
    };
    Ok(ImageInfo {
        format,
        width: u32::from_be_bytes([w3, w2, w1, w0]),
        height: u32::from_be_bytes([h3, h2, h1, h0]),
        color,
        bits,
        progressive: false,
    })
}

/// Decodes to RGB, through `stored` when the file's pixels have another layout.
pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    stored: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let format = info.format;
    // Deflate shrinks to 1/1032 at best: a small file with a huge header must not allocate what it promises.
    if format == ImageFormat::Png && info.pixels() * bits_per_pixel(info) / 8 > bytes.len() as u64 * 1032 {
        return Err(DecodeError::Truncated(format));
    }
    let mut reader = reader(bytes, format)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(info.pixels() * 16 + (16 << 20));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| decode_error(format, error))?;
    let layout = decoder.color_type();
    if layout == ColorType::Rgb8 {
        rgb.resize(super::rgb_len(info), 0);
        return decoder.read_image(rgb).map_err(|error| decode_error(format, error));
    }
    stored.resize(decoder.total_bytes() as usize, 0);
    decoder.read_image(stored).map_err(|error| decode_error(format, error))?;
    rgb.resize(super::rgb_len(info), 0);
    match layout {
        ColorType::L8 => convert::gray(stored, rgb),
        ColorType::La8 => convert::gray_alpha(stored, rgb),
        ColorType::Rgba8 => convert::rgba(stored, rgb),
        ColorType::L16 => convert::gray16(stored, rgb),
        // Gray with one transparent value is gray, not gray with an alpha channel.
        ColorType::La16 if info.color == Color::Gray => convert::gray16_transparent(stored, rgb),
        ColorType::La16 => convert::gray_alpha16(stored, rgb),
        ColorType::Rgb16 => convert::rgb16(stored, rgb),
        ColorType::Rgba16 => convert::rgba16(stored, rgb),
        _ => return Err(DecodeError::Unsupported { format, reason: "floating-point pixels".to_owned() }),
    }
    Ok(())
}

/// Of a PNG.
fn bits_per_pixel(info: &ImageInfo) -> u64 {
    let channels = match info.color {
        Color::Gray | Color::Palette => 1,
        Color::GrayAlpha => 2,
        Color::Rgb => 3,
        Color::Rgba | Color::Cmyk => 4,
    };
    channels * u64::from(info.bits)
}

fn reader(bytes: &[u8], format: ImageFormat) -> Result<ImageReader<Cursor<&[u8]>>, DecodeError> {
    let known = match format {
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::WebP => image::ImageFormat::WebP,
        _ => return Err(DecodeError::Unsupported { format, reason: "no decoder".to_owned() }),
    };
    Ok(ImageReader::with_format(Cursor::new(bytes), known))
}

fn decode_error(format: ImageFormat, error: ImageError) -> DecodeError {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(format)
        }
        ImageError::Unsupported(error) => DecodeError::Unsupported { format, reason: error.to_string() },
        other => DecodeError::Malformed { format, reason: other.to_string() },
    }
}
