//! Parses JPEG headers: size and colours for all callers, frame and scan headers for the decoder.

use super::markers::{self, Part};
use super::tables::Tables;
use super::{malformed, unsupported};
use crate::decode::{Color, DecodeError, ImageFormat, ImageInfo};

/// Components that a file can have.
pub(super) const MOST_COMPONENTS: usize = 4;

/// Reads the frame header.
pub(in crate::decode) fn probe(bytes: &[u8]) -> Result<ImageInfo, DecodeError> {
    let mut rest = markers::after_start(bytes)?;
    loop {
        let part;
        (part, rest) = markers::next(rest)?;
        match part {
            Part::Segment(0xc4 | 0xc8 | 0xcc, _) => {} // Tables and the like, numbered among the frames.
            Part::Segment(marker @ 0xc0..=0xcf, body) => return frame_info(marker, body),
            Part::Segment(0xda, _) => return Err(malformed("a scan before the frame header")),
            Part::Segment(..) => {}
            Part::End => return Err(malformed("the end marker before any pixels")),
        }
    }
}

/// Reads a start-of-frame segment (ITU-T T.81, B.2.2).
fn frame_info(marker: u8, body: &[u8]) -> Result<ImageInfo, DecodeError> {
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

/// What the components mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    /// Inks as their complement's YCbCr, and black.
    Ycck,
}

/// How a component is sampled, and which steps it is quantised with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Component {
    id: u8,
    /// Blocks of an MCU, across: 1 to 4.
    pub(super) h: usize,
    /// Blocks of an MCU, down: 1 to 4.
    pub(super) v: usize,
    pub(super) quantization: u8,
}

/// The frame header: what all scans share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    all: [Component; MOST_COMPONENTS],
    count: usize,
}

/// A scan header (B.2.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    /// For each component of the scan: its number in the frame, and its tables.
    all: [Selected; MOST_COMPONENTS],
    count: usize,
    /// The first and the last zig-zag index that it codes, in a progressive file.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The bits below which coefficients were cut off before this scan, 0 if nothing was coded, and are after it.
    pub(super) high: u32,
    pub(super) low: u32,
}

/// A component in a scan.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Selected {
    pub(super) component: usize,
    pub(super) dc: u8,
    pub(super) ac: u8,
}

impl Frame {
    fn read(marker: u8, body: &[u8]) -> Result<Self, DecodeError> {
        let info = frame_info(marker, body)?;
        let (count, rest) = (usize::from(body[5]), &body[6..]);
        if rest.len() != 3 * count {
            return Err(malformed("a frame header of the wrong length"));
        }
        let mut all = [Component::default(); MOST_COMPONENTS];
        for (component, &[id, sampling, quantization]) in all.iter_mut().zip(rest.as_chunks().0) {
            let (h, v) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !matches!((h, v), (1..=4, 1..=4)) {
                return Err(malformed(format!("sampling factors {h} x {v}")));
            }
            *component = Component { id, h, v, quantization };
        }
        let frame = Self {
            width: info.width as usize,
            height: info.height as usize,
            progressive: info.progressive,
            all,
            count,
        };
        let (h_most, v_most) = frame.most();
        match frame.components().iter().find(|c| !h_most.is_multiple_of(c.h) || !v_most.is_multiple_of(c.v)) {
            Some(Component { h, v, .. }) => {
                Err(unsupported(format!("sampling factors {h} x {v} beside {h_most} x {v_most}")))
            }
            None => Ok(frame),
        }
    }

    /// One, three or four.
    pub(super) fn components(&self) -> &[Component] {
        &self.all[..self.count]
    }

    /// Whether the components are numbered from 1 on, as JFIF has it.
    pub(super) fn has_usual_numbers(&self) -> bool {
        self.components().iter().map(|component| component.id).eq(1..=self.count as u8)
    }

    /// The largest sampling factors: the blocks of an MCU where a component is not subsampled.
    pub(super) fn most(&self) -> (usize, usize) {
        let most = |factor: fn(&Component) -> usize| self.components().iter().map(factor).max().unwrap_or(1);
        (most(|c| c.h), most(|c| c.v))
    }

    /// The frame as a scan of its only component sees it: of one block an MCU, whatever the factors say (A.2.2).
    pub(super) fn of_single_blocks(mut self) -> Self {
        if self.count == 1 {
            (self.all[0].h, self.all[0].v) = (1, 1);
        }
        self
    }

    /// Whether a scan has everything, so that its pixels can be made as it is read.
    pub(super) fn is_complete_in(&self, scan: &Scan) -> bool {
        !self.progressive && scan.components().iter().map(|selected| selected.component).eq(0..self.count)
    }
}

impl Scan {
    fn read(frame: &Frame, body: &[u8]) -> Result<Self, DecodeError> {
        let (&count, rest) =
            body.split_first().ok_or_else(|| malformed("a scan header that is too short"))?;
        let count = usize::from(count);
        if !(1..=MOST_COMPONENTS).contains(&count) || rest.len() != 2 * count + 3 {
            return Err(malformed("a scan header of the wrong length"));
        }
        let (selectors, parameters) = rest.split_at(2 * count);
        let mut all = [Selected::default(); MOST_COMPONENTS];
        let mut seen = [false; MOST_COMPONENTS];
        for (i, (selected, &[id, tables])) in all.iter_mut().zip(selectors.as_chunks().0).enumerate() {
            // As libjpeg searches them, so that components which share an identifier are told apart by their order.
            let component = (i..frame.count)
                .find(|&component| frame.all[component].id == id)
                .filter(|&component| !std::mem::replace(&mut seen[component], true))
                .ok_or_else(|| {
                    malformed("a scan of components that are not the frame's, or in another order")
                })?;
            *selected = Selected { component, dc: tables >> 4, ac: tables & 15 };
        }
        let blocks: usize =
            all[..count].iter().map(|s| frame.all[s.component].h * frame.all[s.component].v).sum();
        if count > 1 && blocks > 10 {
            return Err(malformed("more than ten blocks in an MCU"));
        }
        let [first, last, bits] = [parameters[0], parameters[1], parameters[2]];
        let (high, low) = (u32::from(bits >> 4), u32::from(bits & 15));
        let scan = Self { all, count, first: first.into(), last: last.into(), high, low };
        if frame.progressive && !scan.is_of_progression() {
            return Err(malformed(format!("a progressive scan of {first} to {last}, bits {high} to {low}")));
        }
        Ok(scan)
    }

    /// Whether the parameters are a progressive scan's (G.1.1.1): libjpeg reads no others.
    fn is_of_progression(&self) -> bool {
        let band = match self.first {
            0 => self.last == 0,
            first => first <= self.last && self.last < 64 && self.count == 1,
        };
        band && self.low <= 13 && (self.high == 0 || self.low + 1 == self.high)
    }

    /// From one to four.
    pub(super) fn components(&self) -> &[Selected] {
        &self.all[..self.count]
    }
}

/// Goes through a file from one scan to the next.
pub(super) struct Reader<'a> {
    /// What follows the last scan header.
    pub(super) rest: &'a [u8],
    frame: Option<Frame>,
    /// MCUs between restart markers; `usize::MAX` where there are none.
    pub(super) restart_interval: usize,
    jfif: bool,
    adobe: Option<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let rest = markers::after_start(bytes)?;
        Ok(Self { rest, frame: None, restart_interval: usize::MAX, jfif: false, adobe: None })
    }

    /// Reads up to the next scan's data, and the tables on the way into `tables`. `None` at the end of the image.
    pub(super) fn next_scan(&mut self, tables: &mut Tables) -> Result<Option<(Frame, Scan)>, DecodeError> {
        loop {
            let part;
            (part, self.rest) = markers::next(self.rest)?;
            let Part::Segment(marker, body) = part else { return Ok(None) };
            match marker {
                0xc4 => tables.define_huffman(body)?,
                0xdb => tables.define_quantization(body)?,
                0xc0..=0xc3 | 0xc5..=0xcb | 0xcd..=0xcf if self.frame.is_some() => {
                    return Err(malformed("a second frame header"));
                }
                0xc0..=0xc3 | 0xc5..=0xcb | 0xcd..=0xcf => self.frame = Some(Frame::read(marker, body)?),
                0xdd => {
                    let mcus =
                        body.try_into().map_err(|_| malformed("a restart interval of the wrong length"))?;
                    self.restart_interval = match u16::from_be_bytes(mcus) {
                        0 => usize::MAX,
                        mcus => mcus.into(),
                    };
                }
                // The rest of the segment, which libjpeg wants to be there, is a thumbnail's size.
                0xe0 => self.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                0xee if body.len() >= 12 && body.starts_with(b"Adobe") => self.adobe = Some(body[11]),
                0xda => {
                    let frame = self.frame.ok_or_else(|| malformed("a scan before the frame header"))?;
                    return Ok(Some((frame, Scan::read(&frame, body)?)));
                }
                _ => {}
            }
        }
    }

    /// Reads up to the end of the image, where no further scan may come.
    pub(super) fn end(&mut self, tables: &mut Tables) -> Result<(), DecodeError> {
        match self.next_scan(tables)? {
            Some(_) => Err(malformed("a scan of components that are complete")),
            None => Ok(()),
        }
    }

    /// libjpeg's guess, from what stood before the first scan (jdapimin.c, `default_decompress_parms`).
    pub(super) fn coding(&self, frame: &Frame) -> Coding {
        match (frame.components(), self.jfif, self.adobe) {
            ([_], ..) => Coding::Gray,
            ([_, _, _, _], _, None | Some(0)) => Coding::Cmyk,
            ([_, _, _, _], ..) => Coding::Ycck,
            (_, false, Some(0)) => Coding::Rgb,
            ([r, g, b], false, None) if [r.id, g.id, b.id] == *b"RGB" => Coding::Rgb,
            _ => Coding::YCbCr,
        }
    }
}
