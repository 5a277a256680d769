//! TIFF: the layouts that Pillow also reads and that are known to decode correctly. Others are rejected by name.

use std::io::{Cursor, ErrorKind};
use std::mem;

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use tiff::TiffError;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::Tag;

use super::super::convert;
use super::super::{Color, DecodeError, ImageFormat, ImageInfo};

const FORMAT: ImageFormat = ImageFormat::Tiff;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// What the tags say of the pixels.
struct PixelTags {
    /// As stored.
    width: u32,
    height: u32,
    pixels: Pixels,
    bits: u16,
    /// Samples a pixel, those that are no colour included.
    samples: u16,
    is_planar: bool,
    orientation: Orientation,
}

/// The colours of a pixel, by the photometric interpretation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pixels {
    /// White is 0 in the file, which the `tiff` crate has turned round.
    WhiteIsZero,
    BlackIsZero,
    Rgb {
        alpha: Alpha,
    },
    /// Inks.
    Cmyk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alpha {
    /// None, or one that colours are not multiplied by.
    Apart,
    /// Colours are multiplied by it.
    Associated,
}

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let PixelTags { width, height, pixels, bits, samples, orientation, .. } =
        PixelTags::read(&mut reader(bytes)?)?;
    let color = match (pixels, samples) {
        (Pixels::WhiteIsZero | Pixels::BlackIsZero, 1) => Color::Gray,
        (Pixels::WhiteIsZero | Pixels::BlackIsZero, _) => Color::GrayAlpha,
        (Pixels::Rgb { .. }, 3) => Color::Rgb,
        (Pixels::Rgb { .. }, _) => Color::Rgba,
        (Pixels::Cmyk, _) => Color::Cmyk,
    };
    let (width, height) = if is_on_its_side(orientation) { (height, width) } else { (width, height) };
    Ok(ImageInfo { format: FORMAT, width, height, color, bits: bits as u8, progressive: false })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    stored: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let mut reader = reader(bytes)?;
    let tags = PixelTags::read(&mut reader)?;
    let buffer = reader.image_buffer_layout().map_err(decode_error)?;
    // No byte of LZW or Deflate stands for more: a small file must not allocate what it promises. Faxes may be blank.
    if tags.bits > 1 && buffer.complete_len / 4096 > bytes.len() {
        return Err(DecodeError::Truncated(FORMAT));
    }
    stored.clear();
    stored.resize(buffer.complete_len, 0);
    reader.read_image_bytes(stored).map_err(decode_error)?;
    if tags.is_planar && buffer.planes > 1 {
        *stored = interleaved(stored, buffer.planes, usize::from(tags.bits / 8));
    }
    rgb.resize(super::rgb_len(info), 0);
    tags.convert(stored, rgb)?;
    turn(tags.orientation, tags.width, tags.height, rgb);
    Ok(())
}

fn is_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Pillow applies a TIFF's orientation, unlike a JPEG's.
fn turn(orientation: Orientation, width: u32, height: u32, rgb: &mut Vec<u8>) {
    if orientation == Orientation::NoTransforms {
        return;
    }
    let stored = RgbImage::from_raw(width, height, mem::take(rgb));
    let mut image = DynamicImage::ImageRgb8(stored.expect("an image has three bytes for each of its pixels"));
    image.apply_orientation(orientation);
    *rgb = image.into_rgb8().into_raw();
}

/// One plane after the other to one pixel after the other.
fn interleaved(planes: &[u8], count: usize, sample: usize) -> Vec<u8> {
    let plane = planes.len() / count;
    let starts = (0..plane).step_by(sample.max(1));
    let samples =
        starts.flat_map(|at| (0..count).map(move |number| &planes[number * plane + at..][..sample]));
    samples.flatten().copied().collect()
}

impl PixelTags {
    fn read(reader: &mut Reader<'_>) -> Result<PixelTags, DecodeError> {
        let (width, height) = reader.dimensions().map_err(decode_error)?;
        let mut tag = |tag| {
            Ok::<_, DecodeError>(
                reader.find_tag_unsigned_vec::<u16>(tag).map_err(decode_error)?.unwrap_or_default(),
            )
        };
        let mut first =
            |name, default| Ok::<u16, DecodeError>(tag(name)?.first().copied().unwrap_or(default));
        let photometric = first(Tag::PhotometricInterpretation, 0)?;
        let samples = first(Tag::SamplesPerPixel, 1)?;
        let (fill_order, predictor) = (first(Tag::FillOrder, 1)?, first(Tag::Predictor, 1)?);
        let (compression, planes) = (first(Tag::Compression, 1)?, first(Tag::PlanarConfiguration, 1)?);
        let orientation = u8::try_from(first(Tag::Orientation, 1)?).ok().and_then(Orientation::from_exif);
        let is_tiled = first(Tag::TileWidth, 0)? > 0;
        let (all_bits, formats) = (tag(Tag::BitsPerSample)?, tag(Tag::SampleFormat)?);
        let extra = tag(Tag::ExtraSamples)?;

        let bits = all_bits.first().copied().unwrap_or(1);
        let is_planar = planes == 2 && samples > 1;
        let alpha = if extra.first() == Some(&1) { Alpha::Associated } else { Alpha::Apart };
        let pixels = match (photometric, samples, bits) {
            (0, 1, 1 | 2 | 4 | 8 | 16) => Pixels::WhiteIsZero,
            (1, 1, 1 | 2 | 4 | 8 | 16) => Pixels::BlackIsZero,
            (1, 2, 8) if alpha == Alpha::Apart && !is_planar => Pixels::BlackIsZero,
            (2, 3.., 8 | 16) => Pixels::Rgb { alpha },
            (5, 4.., 8 | 16) if !is_planar => Pixels::Cmyk,
            _ => {
                return Err(unsupported(format!(
                    "{} of {samples} x {bits} bits{}",
                    photometric_name(photometric),
                    if is_planar { " in planes" } else { "" }
                )));
            }
        };
        if all_bits.iter().any(|&other| other != bits) {
            return Err(unsupported("samples of different sizes".to_owned()));
        }
        if formats.iter().any(|&format| format != 1) {
            return Err(unsupported("signed or floating-point samples".to_owned()));
        }
        if fill_order != 1 {
            return Err(unsupported("bits in reverse order".to_owned()));
        }
        if let 6 | 7 = compression {
            return Err(unsupported("JPEG compression".to_owned()));
        }
        // What the `tiff` crate gets wrong or panics on.
        if is_planar && (is_tiled || predictor != 1) {
            return Err(unsupported("planes in tiles or with a predictor".to_owned()));
        }
        let has_unused = extra.len() > usize::from(matches!(extra.first(), Some(1 | 2)));
        if predictor != 1 && has_unused && photometric > 1 {
            return Err(unsupported("a predictor over unused samples".to_owned()));
        }
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        Ok(PixelTags { width, height, pixels, bits, samples, is_planar, orientation })
    }

    fn convert(&self, stored: &mut [u8], rgb: &mut [u8]) -> Result<(), DecodeError> {
        let PixelTags { pixels, bits, width, .. } = *self;
        let channels = stored.len() * 3 / (rgb.len() * usize::from(bits / 8).max(1)).max(1);
        match (pixels, bits, channels) {
            (Pixels::WhiteIsZero | Pixels::BlackIsZero, 1 | 2 | 4, _) => {
                convert::gray_bits(stored, usize::from(bits), width as usize, rgb);
            }
            (Pixels::WhiteIsZero | Pixels::BlackIsZero, 8, 1) => convert::gray(stored, rgb),
            (Pixels::BlackIsZero, 8, 2) => convert::gray_alpha(stored, rgb),
            (Pixels::BlackIsZero, 16, 1) => convert::gray16(stored, rgb),
            (Pixels::WhiteIsZero, 16, 1) => {
                // Numbers again, which Pillow does not turn round.
                stored.iter_mut().for_each(|byte| *byte = !*byte);
                convert::gray16(stored, rgb);
            }
            (Pixels::Rgb { .. }, 8, 3) => rgb.copy_from_slice(stored),
            (Pixels::Rgb { .. }, 16, 3) => convert::rgb16(stored, rgb),
            (Pixels::Rgb { alpha: Alpha::Apart }, 8, 4) => convert::rgba(stored, rgb),
            (Pixels::Rgb { alpha: Alpha::Apart }, 16, 4) => convert::rgba16(stored, rgb),
            (Pixels::Rgb { alpha: Alpha::Associated }, 8, 4) => convert::premultiplied(stored, rgb),
            (Pixels::Rgb { alpha: Alpha::Associated }, 16, 4) => convert::premultiplied16(stored, rgb),
            (Pixels::Cmyk, 8, 4) => convert::cmyk(stored, rgb),
            (Pixels::Cmyk, 16, 4) => convert::cmyk16(stored, rgb),
            _ => return Err(unsupported(format!("{channels} channels of {bits} bits"))),
        }
        Ok(())
    }
}

fn reader(bytes: &[u8]) -> Result<Reader<'_>, DecodeError> {
    // The caller bounds the pixels, whose buffer is ours. A strip, and what the tags say, is no larger than the file.
    let mut limits = Limits::default();
    limits.intermediate_buffer_size = bytes.len();
    limits.decoding_buffer_size = bytes.len().saturating_mul(64);
    Ok(Decoder::new(Cursor::new(bytes)).map_err(decode_error)?.with_limits(limits))
}

fn photometric_name(photometric: u16) -> String {
    let name = match photometric {
        0 | 1 => "gray",
        2 => "RGB",
        3 => "a palette",
        4 => "a mask",
        5 => "CMYK",
        6 => "YCbCr",
        8..=10 => "L*a*b*",
        other => return format!("photometric interpretation {other}"),
    };
    name.to_owned()
}

fn unsupported(reason: String) -> DecodeError {
    DecodeError::Unsupported { format: FORMAT, reason }
}

fn decode_error(error: TiffError) -> DecodeError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(FORMAT)
        }
        TiffError::UnsupportedError(error) => unsupported(error.to_string()),
        other => DecodeError::Malformed { format: FORMAT, reason: other.to_string() },
    }
}
