//! What stands before the pixels: size and colours for everyone, and the whole header of files that the project's own
//! decoder reads.

use super::markers::{Segment, next_segment};
use super::tables::Tables;
use super::{malformed, unsupported};
use crate::decode::{Color, DecodeError, ImageFormat, ImageInfo};

/// Reads the frame header.
pub(in crate::decode) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let mut rest = bytes;
    loop {
        let segment;
        (segment, rest) = next_segment(rest)?;
        match segment.marker {
            0xc4 | 0xc8 | 0xcc => {} // Tables and the like, numbered among the frames.
            0xc0..=0xcf => return frame_info(segment),
            0xda => return Err(malformed("a scan before the frame header")),
            _ => {}
        }
    }
}

/// Reads a start-of-frame segment (ITU-T T.81, B.2.2).
fn frame_info(Segment { marker, body }: Segment<'_>) -> Result<ImageInfo, DecodeError> {
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

/// The header of a file with one sequential, Huffman-coded, interleaved scan.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) coding: Coding,
    /// One or three.
    pub(super) components: Components,
    /// MCUs between restart markers; `usize::MAX` where there are none.
    pub(super) restart_interval: usize,
    /// What follows the scan header.
    pub(super) scan: &'a [u8],
}

/// What the components mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gray,
    YCbCr,
    Rgb,
}

/// How a component is sampled, and which tables it uses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Component {
    id: u8,
    /// Blocks of an MCU, across: 1 or 2.
    pub(super) h: usize,
    /// Blocks of an MCU, down: 1 or 2.
    pub(super) v: usize,
    pub(super) quantization: u8,
    pub(super) dc: u8,
    pub(super) ac: u8,
}

/// The components of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Components {
    all: [Component; 3],
    count: usize,
}

impl std::ops::Deref for Components {
    type Target = [Component];

    fn deref(&self) -> &[Component] {
        &self.all[..self.count]
    }
}

/// Reads everything up to the pixels, and the tables into `tables`. `None` where anything is out of the ordinary: the
/// fallback decoder then reads the file, or says what is wrong with it.
pub(super) fn read<'a>(bytes: &'a [u8], tables: &mut Tables) -> Option<Header<'a>> {
    tables.forget();
    let (mut frame, mut jfif, mut adobe, mut restart_interval) = (None, false, None, usize::MAX);
    let mut rest = bytes;
    loop {
        let segment;
        (segment, rest) = next_segment(rest).ok()?;
        let body = segment.body;
        match segment.marker {
            0xc4 => tables.define_huffman(body)?,
            0xdb => tables.define_quantization(body)?,
            0xc0 | 0xc1 if frame.is_none() => frame = Some(Frame::read(body)?),
            0xdd => match u16::from_be_bytes(*body.first_chunk()?) {
                0 => restart_interval = usize::MAX,
                mcus => restart_interval = mcus.into(),
            },
            0xe0 => jfif |= body.starts_with(b"JFIF\0"),
            0xee if body.starts_with(b"Adobe") => adobe = body.get(11).copied(),
            0xe0..=0xef | 0xfe => {}
            0xda => break select(frame?, body, jfif, adobe, restart_interval, rest),
            _ => return None,
        }
    }
}

struct Frame {
    width: usize,
    height: usize,
    components: Components,
}

impl Frame {
    fn read(body: &[u8]) -> Option<Self> {
        let (&[8, h1, h0, w1, w0, count], rest) = body.split_first_chunk()? else { return None };
        let count = usize::from(count);
        if !matches!(count, 1 | 3) || rest.len() != 3 * count {
            return None;
        }
        let mut all = [Component::default(); 3];
        for (component, &[id, sampling, quantization]) in all.iter_mut().zip(rest.as_chunks().0) {
            let (h, v) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            *component = Component { id, h, v, quantization, ..Component::default() };
        }
        // A scan of one component has one block an MCU, whatever its sampling factors say (A.2.2).
        if count == 1 {
            (all[0].h, all[0].v) = (1, 1);
        }
        let [width, height] = [[w1, w0], [h1, h0]].map(|side| usize::from(u16::from_be_bytes(side)));
        let known = all[..count].iter().all(|c| matches!((c.h, c.v), (1 | 2, 1 | 2)));
        // More than ten blocks an MCU are not allowed (B.2.3).
        let few = all[..count].iter().map(|c| c.h * c.v).sum::<usize>() <= 10;
        (known && few && width > 0 && height > 0).then_some(Self {
            width,
            height,
            components: Components { all, count },
        })
    }
}

/// Joins the frame with its scan header (B.2.3), which must list all components in the frame's order.
fn select<'a>(
    mut frame: Frame,
    scan_header: &[u8],
    jfif: bool,
    adobe: Option<u8>,
    restart_interval: usize,
    scan: &'a [u8],
) -> Option<Header<'a>> {
    let (&count, rest) = scan_header.split_first()?;
    let (selectors, rest) = rest.split_at_checked(2 * usize::from(count))?;
    if usize::from(count) != frame.components.count || rest != [0, 63, 0] {
        return None;
    }
    for (component, &[id, tables]) in frame.components.all.iter_mut().zip(selectors.as_chunks().0) {
        if component.id != id {
            return None;
        }
        (component.dc, component.ac) = (tables >> 4, tables & 15);
    }
    let coding = coding(&frame.components, jfif, adobe);
    let Frame { width, height, components } = frame;
    Some(Header { width, height, coding, components, restart_interval, scan })
}

/// libjpeg's guess (jdapimin.c, `default_decompress_parms`).
fn coding(components: &[Component], jfif: bool, adobe: Option<u8>) -> Coding {
    match (components, jfif, adobe) {
        ([_], _, _) => Coding::Gray,
        (_, false, Some(0)) => Coding::Rgb,
        ([r, g, b], false, None) if [r.id, g.id, b.id] == *b"RGB" => Coding::Rgb,
        _ => Coding::YCbCr,
    }
}
