//! What the project's own decoder does not read, by zune-jpeg: progressive files, four channels as Pillow converts them,
//! and headers out of the ordinary.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::markers::next_segment;
use super::{TRUNCATED, malformed, unsupported};
use crate::decode::{Color, DecodeError, ImageInfo, convert};

/// Decodes the whole image to RGB, through `ink` when there are four channels.
pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    ink: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    if !has_end(bytes)? {
        return Err(TRUNCATED);
    }
    let options = DecoderOptions::new_fast().set_max_width(65_535).set_max_height(65_535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(decode_error)?;
    // Headers are read leniently, as libjpeg does; pixels strictly.
    let strict = options.set_strict_mode(true);
    let pixels = info.width as usize * info.height as usize;
    rgb.resize(pixels * 3, 0);
    if info.color != Color::Cmyk {
        decoder.set_options(strict.jpeg_set_out_colorspace(ColorSpace::RGB));
        return decoder.decode_into(rgb).map_err(decode_error);
    }
    let coding = decoder.input_colorspace().unwrap_or(ColorSpace::CMYK);
    decoder.set_options(strict.jpeg_set_out_colorspace(coding));
    ink.resize(pixels * 4, 0);
    decoder.decode_into(ink).map_err(decode_error)?;
    match coding {
        ColorSpace::CMYK => convert::inverted_cmyk(ink, rgb),
        ColorSpace::YCCK => convert::inverted_ycck(ink, rgb),
        _ => return Err(unsupported("four channels of this Adobe colour transform")),
    }
    Ok(())
}

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
