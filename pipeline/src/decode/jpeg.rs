//! JPEG: the header by hand, the pixels by zune-jpeg, four-channel colours as Pillow converts them.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::convert;
use super::{Color, DecodeError, ImageFormat, ImageInfo};

/// Reads the frame header.
pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let mut rest = bytes;
    loop {
        let segment;
        (segment, rest) = next_segment(rest)?;
        match segment.marker {
            0xc4 | 0xc8 | 0xcc => {} // Tables and the like, numbered among the frames.
            0xc0..=0xcf => return frame(segment),
            0xda => return Err(malformed("a scan before the frame header")),
            _ => {}
        }
    }
}

/// Decodes to RGB, through `ink` when there are four channels.
///
/// Damaged or missing entropy-coded data is an error, where libjpeg would warn and fill in gray.
pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    ink: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    // Each 8 x 8 block takes a bit or more: a small file with a huge header must not allocate what it promises.
    if (bytes.len() as u64) < info.pixels() / 64 / 8 {
        return Err(TRUNCATED);
    }
    if !has_end(bytes)? {
        return Err(TRUNCATED);
    }
    let options = DecoderOptions::new_fast().set_max_width(65_535).set_max_height(65_535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(decode_error)?;
    // Headers are read leniently, as libjpeg does; pixels strictly.
    let strict = options.set_strict_mode(true);
    let pixels = info.width as usize * info.height as usize;
    if info.color != Color::Cmyk {
        rgb.resize(pixels * 3, 0);
        decoder.set_options(strict.jpeg_set_out_colorspace(ColorSpace::RGB));
        return decoder.decode_into(rgb).map_err(decode_error);
    }
    let coding = decoder.input_colorspace().unwrap_or(ColorSpace::CMYK);
    decoder.set_options(strict.jpeg_set_out_colorspace(coding));
    ink.resize(pixels * 4, 0);
    rgb.resize(pixels * 3, 0);
    decoder.decode_into(ink).map_err(decode_error)?;
    match coding {
        ColorSpace::CMYK => convert::inverted_cmyk(ink, rgb),
        ColorSpace::YCCK => convert::inverted_ycck(ink, rgb),
        _ => return Err(unsupported("four channels of this Adobe colour transform")),
    }
    Ok(())
}

const TRUNCATED: DecodeError = DecodeError::Truncated(ImageFormat::Jpeg);

/// Whether an end marker follows the start of the scans. Without one libjpeg, and so Pillow, calls a file truncated, and
/// zune-jpeg may not notice. A thumbnail in the header has an end of its own, which does not count.
fn has_end(bytes: &[u8]) -> Result<bool, DecodeError> {
    let mut rest = bytes;
    loop {
        let segment;
        (segment, rest) = next_segment(rest)?;
        if segment.marker == 0xda {
            return Ok(rest.windows(2).rev().any(|pair| pair == [0xff, 0xd9]));
        }
    }
}

struct Segment<'a> {
    marker: u8,
    body: &'a [u8],
}

/// The next segment with a body, and what follows it. As in libjpeg, stray bytes between segments are skipped.
fn next_segment(bytes: &[u8]) -> Result<(Segment<'_>, &[u8]), DecodeError> {
    let mut rest = bytes;
    loop {
        let (marker, after) = next_marker(rest).ok_or(TRUNCATED)?;
        if marker == 0xd9 {
            return Err(malformed("the end marker before any pixels"));
        }
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            rest = after; // These stand alone.
            continue;
        }
        let length = after.first_chunk().ok_or(TRUNCATED)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length < 2 {
            return Err(malformed("a segment shorter than its length field"));
        }
        let body = after.get(2..length).ok_or(TRUNCATED)?;
        return Ok((Segment { marker, body }, &after[length..]));
    }
}

/// The code of the next marker, and what follows it.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut bytes = bytes;
    loop {
        let start = bytes.iter().position(|&byte| byte == 0xff)?;
        let code = start + bytes[start..].iter().position(|&byte| byte != 0xff)?;
        let (&marker, rest) = bytes[code..].split_first()?;
        if marker != 0 {
            return Some((marker, rest));
        }
        bytes = rest;
    }
}

/// Reads a start-of-frame segment (ITU-T T.81, B.2.2).
fn frame(Segment { marker, body }: Segment<'_>) -> Result<ImageInfo, DecodeError> {
    let &[bits, h1, h0, w1, w0, channels, ..] = body else {
        return Err(malformed("a frame header that is too short"));
    };
    if !matches!(marker, 0xc0..=0xc2) {
        return Err(unsupported(match marker {
            0xc9..=0xcf => "arithmetic coding",
            0xc3 | 0xc7 => "lossless coding",
            _ => "hierarchical coding",
        }));
    }
    if bits != 8 {
        return Err(unsupported(format!("{bits} bits a channel")));
    }
    let color = match channels {
        1 => Color::Gray,
        3 => Color::Rgb,
        4 => Color::Cmyk,
        _ => return Err(unsupported(format!("{channels} channels"))),
    };
    Ok(ImageInfo {
        format: ImageFormat::Jpeg,
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
        color,
        bits,
        progressive: marker == 0xc2,
    })
}

fn decode_error(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => TRUNCATED,
        DecodeErrors::FormatStatic("Premature end of buffer") => TRUNCATED,
        DecodeErrors::FormatStatic(reason) => malformed(reason),
        DecodeErrors::Format(reason)
        | DecodeErrors::HuffmanDecode(reason)
        | DecodeErrors::DqtError(reason)
        | DecodeErrors::SosError(reason)
        | DecodeErrors::SofError(reason)
        | DecodeErrors::MCUError(reason) => malformed(reason),
        other => malformed(other.to_string()),
    }
}

fn malformed(reason: impl Into<String>) -> DecodeError {
    DecodeError::Malformed { format: ImageFormat::Jpeg, reason: reason.into().trim().to_owned() }
}

fn unsupported(reason: impl Into<String>) -> DecodeError {
    DecodeError::Unsupported { format: ImageFormat::Jpeg, reason: reason.into() }
}
