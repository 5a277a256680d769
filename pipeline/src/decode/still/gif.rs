//! The first frame of a GIF, on its logical screen.

use std::io::ErrorKind;

use gif::{DecodeOptions, DecodingError, MemoryLimit};

use super::super::{Color, DecodeError, ImageFormat, ImageInfo};

/// Where the first frame lies, and what is around it.
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    transparent: Option<u8>,
    /// Red, green and blue of each index.
    palette: Vec<u8>,
    screen: (u32, u32),
}

type Reader<'a> = gif::Decoder<&'a [u8]>;

/// Reads the headers of the screen and of the first frame; the image is as large as both.
pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let (_, Frame { screen: (width, height), .. }) = first_frame(bytes)?;
    Ok(ImageInfo {
        format: ImageFormat::Gif,
        width,
        height,
        color: Color::Palette,
        bits: 8,
        progressive: false,
    })
}

/// What the frame does not cover has the transparent colour, or failing that the palette's first, as Pillow shows it: not
/// the background colour of the header.
pub(super) fn decode(
    bytes: &[u8],
    info: &ImageInfo,
    stored: &mut Vec<u8>,
    rgb: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (mut reader, frame) = first_frame(bytes)?;
    let Frame { left, top, width, height, transparent, palette, .. } = frame;
    stored.resize(width * height, 0);
    if !stored.is_empty() {
        reader.read_into_buffer(stored).map_err(decode_error)?;
    }
    let color = |index: u8| -> [u8; 3] {
        let at = 3 * usize::from(index);
        palette.get(at..at + 3).and_then(|color| color.try_into().ok()).unwrap_or_default()
    };
    rgb.resize(super::rgb_len(info), 0);
    rgb.as_chunks_mut().0.fill(color(transparent.unwrap_or(0)));
    let stride = 3 * info.width as usize;
    for (row, indices) in rgb.chunks_mut(stride).skip(top).zip(stored.chunks(width.max(1))) {
        let pixels = row[3 * left..].as_chunks_mut().0;
        pixels.iter_mut().zip(indices).for_each(|(pixel, &index)| *pixel = color(index));
    }
    Ok(())
}

fn first_frame(bytes: &[u8]) -> Result<(Reader<'_>, Frame), DecodeError> {
    let mut options = DecodeOptions::new();
    // The indices go into a buffer of ours, whose size the caller has checked.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let mut reader = options.read_info(bytes).map_err(decode_error)?;
    let frame = reader.next_frame_info().map_err(decode_error)?;
    let frame = frame.ok_or_else(|| malformed("no frame".to_owned()))?;
    let [left, top, width, height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    let (transparent, palette) = (frame.transparent, frame.palette.clone());
    let palette = palette.or_else(|| reader.global_palette().map(<[u8]>::to_vec)).unwrap_or_default();
    let side = |screen: u16, frame: usize| u32::from(screen).max(frame as u32);
    let screen = (side(reader.width(), left + width), side(reader.height(), top + height));
    Ok((reader, Frame { left, top, width, height, transparent, palette, screen }))
}

fn malformed(reason: String) -> DecodeError {
    DecodeError::Malformed { format: ImageFormat::Gif, reason }
}

fn decode_error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::UnexpectedEof => DecodeError::Truncated(ImageFormat::Gif),
        DecodingError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(ImageFormat::Gif)
        }
        other => malformed(other.to_string()),
    }
}
