//! BMP, as Pillow's BmpImagePlugin reads it.

use super::super::{Color, DecodeError, ImageFormat, ImageInfo};

const FORMAT: ImageFormat = ImageFormat::Bmp;

/// Bytes before the header that begins with its own length.
const FILE_HEADER: usize = 14;

/// What the header says.
struct Header {
    width: u32,
    height: u32,
    /// Rows go from top to bottom.
    is_top_down: bool,
    bits: u16,
    pixels: Pixels,
    /// Where the pixels begin.
    offset: usize,
    /// Blue, green, red, and perhaps a byte of padding.
    palette: Vec<[u8; 3]>,
}

/// How the pixels are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pixels {
    /// 1, 4 or 8 bits, an index into the palette.
    Indices,
    /// 16, 24 or 32 bits, of which these are red, green and blue.
    Masked([u32; 3]),
    /// Runs of indices of 4 or 8 bits.
    Runs,
}

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let Header { width, height, bits, pixels, .. } = Header::read(bytes)?;
    let color = if matches!(pixels, Pixels::Masked(_)) { Color::Rgb } else { Color::Palette };
    let bits = if color == Color::Rgb { 8 } else { bits as u8 };
    Ok(ImageInfo { format: FORMAT, width, height, color, bits, progressive: false })
}

pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    stored: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let header = Header::read(bytes)?;
    let data = bytes.get(header.offset..).ok_or(DecodeError::Truncated(FORMAT))?;
    let (width, height) = (info.width as usize, info.height as usize);
    let (bits, stride) = match header.pixels {
        Pixels::Runs => {
            read_runs(data, header.bits == 4, width, height, stored)?;
            (8, width)
        }
        _ => (usize::from(header.bits), (width * usize::from(header.bits)).div_ceil(32) * 4),
    };
    let rows = if header.pixels == Pixels::Runs { stored.as_slice() } else { data };
    if rows.len() / stride < height {
        return Err(DecodeError::Truncated(FORMAT));
    }
    rgb.resize(super::rgb_len(info), 0);
    for (y, out) in rgb.chunks_mut(3 * width).enumerate() {
        let y = if header.is_top_down { y } else { height - 1 - y };
        let row = &rows[y * stride..][..stride];
        for (x, pixel) in out.as_chunks_mut().0.iter_mut().enumerate() {
            *pixel = match header.pixels {
                Pixels::Masked(masks) => masks.map(|mask| channel(value(row, x, bits), mask)),
                _ => header.palette.get(value(row, x, bits) as usize).copied().unwrap_or_default(),
            };
        }
    }
    Ok(())
}

/// The pixel in column `x` of a row.
fn value(row: &[u8], x: usize, bits: usize) -> u32 {
    match bits {
        1 | 4 => u32::from(row[x * bits / 8] >> (8 - bits - x * bits % 8)) & ((1 << bits) - 1),
        _ => {
            row[x * bits / 8..][..bits / 8].iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
        }
    }
}

/// The bits under the mask, to 0 to 255, rounded down.
fn channel(value: u32, mask: u32) -> u8 {
    let shift = mask.trailing_zeros() % 32;
    let (bits, max) = ((value & mask) >> shift, mask >> shift);
    match max {
        255 => bits as u8,
        _ => (u64::from(bits) * 255 / u64::from(max).max(1)) as u8,
    }
}

/// Runs to indices, a byte each, rows in the file's order. What is stepped over has index 0.
fn read_runs(
    data: &[u8],
    four_bits: bool,
    width: usize,
    height: usize,
    indices: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    // Two bytes step over at most 255 rows and columns, or make 255 pixels: a small file must not allocate what it promises.
    if data.len() as u64 * 255 * width as u64 / 2 < (width * height) as u64 {
        return Err(DecodeError::Truncated(FORMAT));
    }
    indices.clear();
    indices.resize(width * height, 0);
    let mut data = data.iter().copied();
    let mut next = || data.next().ok_or(DecodeError::Truncated(FORMAT));
    let (mut x, mut y) = (0, 0);
    while y * width + x < width * height {
        let mut put = |x: &mut usize, index| {
            if *x < width {
                indices[y * width + *x] = index;
                *x += 1;
            }
        };
        match (next()?, next()?) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => return Err(DecodeError::Truncated(FORMAT)),
            (0, 2) => (x, y) = (width.min(x + usize::from(next()?)), y + usize::from(next()?)),
            (0, count) if four_bits => {
                let bytes = count.div_ceil(2);
                for pair in 0..bytes {
                    let byte = next()?;
                    put(&mut x, byte >> 4);
                    if 2 * pair + 1 < count {
                        put(&mut x, byte & 15);
                    }
                }
                skip_padding(bytes, &mut next)?;
            }
            (0, count) => {
                for _ in 0..count {
                    put(&mut x, next()?);
                }
                skip_padding(count, &mut next)?;
            }
            (count, byte) => {
                let of_four = [byte >> 4, byte & 15];
                (0..count)
                    .for_each(|i| put(&mut x, if four_bits { of_four[usize::from(i % 2)] } else { byte }));
            }
        }
    }
    Ok(())
}

/// Literal pixels take an even number of bytes.
fn skip_padding(bytes: u8, next: &mut impl FnMut() -> Result<u8, DecodeError>) -> Result<(), DecodeError> {
    if bytes % 2 == 1 { next().map(|_| ()) } else { Ok(()) }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, DecodeError> {
        let u16_at = |at: usize| bytes.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
        let u16_at = |at| u16_at(at).ok_or(DecodeError::Truncated(FORMAT));
        let u32_at = |at| Ok::<u32, DecodeError>(u32::from(u16_at(at)?) | u32::from(u16_at(at + 2)?) << 16);
        let length = u32_at(FILE_HEADER)?;
        let header_end = FILE_HEADER + length as usize;
        let (width, signed_height, bits, compression, colors) = match length {
            12 => (u32::from(u16_at(18)?), i32::from(u16_at(20)?), u16_at(24)?, 0, 0),
            40 | 52 | 56 | 64 | 108 | 124 => {
                (u32_at(18)?, u32_at(22)?.cast_signed(), u16_at(28)?, u32_at(30)?, u32_at(46)?)
            }
            _ => return Err(unsupported(format!("a header of {length} bytes"))),
        };
        // Masks stand behind the short header, and in the longer ones.
        let masks_in = |at: usize| Ok::<_, DecodeError>([u32_at(at)?, u32_at(at + 4)?, u32_at(at + 8)?]);
        let pixels = match (compression, bits) {
            (0, 1 | 4 | 8) => Pixels::Indices,
            (0, 16) => Pixels::Masked([0x7c00, 0x3e0, 0x1f]),
            (0, 24 | 32) => Pixels::Masked(BGR),
            (1, 8) | (2, 4) => Pixels::Runs,
            (3, 16 | 24 | 32) => match masks_in(FILE_HEADER + 40)? {
                [0, 0, 0] => Pixels::Masked(BGR),
                masks => Pixels::Masked(masks),
            },
            (0..=3, _) => {
                return Err(unsupported(format!("{bits} bits a pixel (compression {compression})")));
            }
            _ => return Err(unsupported(format!("compression {compression}"))),
        };
        let palette_at = if compression == 3 && length == 40 { header_end + 12 } else { header_end };
        let mut offset = u32_at(10)? as usize;
        let mut palette = Vec::new();
        if !matches!(pixels, Pixels::Masked(_)) {
            let entry = if length == 12 { 3 } else { 4 };
            let colors = if colors == 0 { 1 << bits } else { colors as usize };
            let stored = bytes.get(palette_at..).ok_or(DecodeError::Truncated(FORMAT))?;
            palette
                .extend(stored.chunks_exact(entry).take(colors.min(256)).map(|bgr| [bgr[2], bgr[1], bgr[0]]));
            // Some writers forget that the palette lies between.
            if offset == header_end {
                offset = offset.saturating_add(entry.saturating_mul(colors));
            }
        }
        let (height, is_top_down) = (signed_height.unsigned_abs(), signed_height < 0);
        Ok(Header { width, height, is_top_down, bits, pixels, offset, palette })
    }
}

/// The masks of pixels whose bytes are blue, green, red.
const BGR: [u32; 3] = [0xff_0000, 0xff00, 0xff];

fn unsupported(reason: String) -> DecodeError {
    DecodeError::Unsupported { format: FORMAT, reason }
}
