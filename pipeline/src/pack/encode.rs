//! Converts an image to the bytes that are written to the shard.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};

use super::source::{SourceImage, extension};
use super::{Loaded, PackError, PackOptions};
use crate::decode::{self, DecodeError, DecodeLimits, Decoder};
use crate::shards::ShardError;

/// What becomes of each image.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encoding {
    /// Copied byte for byte.
    Keep,
    /// Copied if its longer side is at most this; otherwise scaled down to it and encoded.
    ScaleTo { max_side: u32 },
    /// Scaled down if need be, and encoded in any case.
    Encode { max_side: Option<u32>, quality: u8 },
}

/// Of images that are scaled without a quality being asked for: beyond it files grow faster than they improve.
const DEFAULT_QUALITY: u8 = 95;

impl Encoding {
    pub(super) fn new(options: &PackOptions) -> Result<Encoding, PackError> {
        let check = |name, range, value: Option<u64>, holds: fn(u64) -> bool| match value {
            Some(found) if !holds(found) => Err(PackError::Option { name, range, found }),
            _ => Ok(()),
        };
        let PackOptions { shard_bytes, max_side, quality, .. } = *options;
        check("shard size", "at least 1 byte", Some(shard_bytes), |bytes| bytes > 0)?;
        check("max side", "at least 1 pixel", max_side.map(u64::from), |side| side > 0)?;
        check("quality", "1 to 100", quality.map(u64::from), |quality| (1..=100).contains(&quality))?;
        Ok(match (max_side, quality) {
            (None, None) => Encoding::Keep,
            (Some(max_side), None) => Encoding::ScaleTo { max_side },
            (max_side, Some(quality)) => Encoding::Encode { max_side, quality },
        })
    }
}

/// Refuses what is another kind of file under an image's name. A damaged image is kept: `inspect --verify` names it.
fn known_kind(bytes: &[u8]) -> Result<(), String> {
    match decode::probe(bytes) {
        Err(
            error @ (DecodeError::Empty
            | DecodeError::NotAnImage(_)
            | DecodeError::OtherImage(_)
            | DecodeError::OtherFile(_)),
        ) => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Reads one image. What cannot be read or decoded is left out; a shard that cannot be fetched ends the packing.
pub(super) fn load(image: &SourceImage<'_>, encoding: Encoding) -> Result<Loaded, ShardError> {
    let bytes = match image.read()? {
        Ok(bytes) => bytes,
        Err(cause) => return Ok(Err(cause)),
    };
    let (max_side, quality) = match encoding {
        Encoding::Keep => return Ok(known_kind(&bytes).map(|()| (extension(&bytes), bytes))),
        Encoding::ScaleTo { max_side } => match fits(&bytes, max_side) {
            Ok(true) => return Ok(Ok((extension(&bytes), bytes))),
            Ok(false) => (Some(max_side), DEFAULT_QUALITY),
            Err(error) => return Ok(Err(error.to_string())),
        },
        Encoding::Encode { max_side, quality } => (max_side, quality),
    };
    Ok(encode(&bytes, max_side, quality).map(|jpeg| ("jpg", jpeg)))
}

fn fits(bytes: &[u8], max_side: u32) -> Result<bool, DecodeError> {
    decode::probe(bytes).map(|info| info.width.max(info.height) <= max_side)
}

fn encode(bytes: &[u8], max_side: Option<u32>, quality: u8) -> Result<Vec<u8>, String> {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let decoded = decoder.decode(bytes).map_err(|error| error.to_string())?;
    let side = |pixels: usize| u32::try_from(pixels).map_err(|error| error.to_string());
    let (width, height) = (side(decoded.width)?, side(decoded.height)?);
    let mut rgb = image::RgbImage::from_raw(width, height, decoded.pixels.to_vec())
        .expect("a decoded image has three bytes for each of its pixels");
    if let Some((width, height)) = max_side.and_then(|max_side| scaled(width, height, max_side)) {
        rgb = imageops::resize(&rgb, width, height, FilterType::Lanczos3);
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality)
        .encode_image(&rgb)
        .map_err(|error| error.to_string())?;
    Ok(jpeg)
}

/// The size whose longer side is `max_side`, in the same proportion; `None` where the image is that small already.
fn scaled(width: u32, height: u32, max_side: u32) -> Option<(u32, u32)> {
    let longer = width.max(height);
    let scale = |side: u32| {
        let rounded = (u64::from(side) * u64::from(max_side) + u64::from(longer) / 2) / u64::from(longer);
        u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
    };
    (longer > max_side).then(|| (scale(width), scale(height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_keeps_the_proportion_and_never_enlarges() {
        assert_eq!(scaled(500, 375, 256), Some((256, 192)));
        assert_eq!(scaled(375, 500, 256), Some((192, 256)));
        assert_eq!(scaled(10_000, 3, 100), Some((100, 1)));
        assert_eq!(scaled(256, 100, 256), None);
    }

    #[test]
    fn options_out_of_range_are_named() {
        let error = |options: PackOptions| Encoding::new(&options).unwrap_err().to_string();
        let options = PackOptions::default();
        assert_eq!(
            error(PackOptions { quality: Some(0), ..options.clone() }),
            "quality must be 1 to 100, not 0"
        );
        assert_eq!(
            error(PackOptions { quality: Some(101), ..options.clone() }),
            "quality must be 1 to 100, not 101"
        );
        assert_eq!(
            error(PackOptions { max_side: Some(0), ..options }),
            "max side must be at least 1 pixel, not 0"
        );
    }
}
