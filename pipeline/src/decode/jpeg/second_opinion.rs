//! Decodes a file with zune-jpeg, for comparison with the project's decoder.

use std::panic;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::header::{Coding, Reader};
use super::tables::Tables;
use crate::decode::DecodeError;
use crate::image::RgbImage;

/// Levels that rounding, and other filters at edges, may make of a difference.
const ROUNDING: u8 = 32;

/// The share of an image's values that differ by more than rounding explains. `None` where zune-jpeg does not read the file,
/// or may be wrong: it loses its place in several sequential scans, and has its own ways with colours, samplings and images
/// that are unusual.
///
/// # Errors
/// When the header is not whole.
pub(in crate::decode) fn differing_share(
    bytes: &[u8],
    own: RgbImage<'_>,
) -> Result<Option<f64>, DecodeError> {
    if !is_read_by_zune(bytes)? {
        return Ok(None);
    }
    let options = DecoderOptions::new_fast()
        .set_max_width(65_535)
        .set_max_height(65_535)
        .set_strict_mode(true)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let zunes = panic::catch_unwind(|| JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode());
    let Ok(Ok(zunes)) = zunes else { return Ok(None) };
    if zunes.len() != own.pixels.len() {
        return Ok(Some(1.0));
    }
    let differing =
        zunes.iter().zip(own.pixels).filter(|(zunes, own)| zunes.abs_diff(**own) > ROUNDING).count();
    Ok(Some(differing as f64 / zunes.len() as f64))
}

/// Whether the file is gray or ordinary YCbCr, 4:4:4, 4:2:2 or 4:2:0, in one scan or progressive.
fn is_read_by_zune(bytes: &[u8]) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(bytes)?;
    let Some((frame, scan)) = reader.next_scan(&mut Tables::default())? else { return Ok(false) };
    let factors = frame.components().iter().map(|component| (component.h, component.v));
    let usual = match reader.coding(&frame) {
        Coding::Gray => true,
        Coding::YCbCr => {
            frame.has_usual_numbers()
                && [(1, 1), (2, 1), (2, 2)].iter().any(|&luma| factors.clone().eq([luma, (1, 1), (1, 1)]))
        }
        _ => false,
    };
    Ok(usual && frame.width > 16 && frame.height > 16 && (frame.progressive || frame.is_complete_in(&scan)))
}
