//! The segments of a JPEG file (ITU-T T.81, B.1.1), read as leniently as libjpeg reads them.

use super::{TRUNCATED, malformed};
use crate::decode::DecodeError;

/// What stands between pixels.
pub(super) enum Part<'a> {
    /// A segment: its marker and what its length field encloses.
    Segment(u8, &'a [u8]),
    /// The end of the image.
    End,
}

/// What follows the marker that an image starts with.
pub(super) fn after_start(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    bytes.strip_prefix(&[0xff, 0xd8]).ok_or_else(|| malformed("no start marker"))
}

/// The next segment or the end, and what follows it. As in libjpeg, stray bytes between segments are skipped, and a length
/// that does not even enclose itself is taken for an empty segment's (a comment of length 0 occurs).
pub(super) fn next(bytes: &[u8]) -> Result<(Part<'_>, &[u8]), DecodeError> {
    let mut rest = bytes;
    loop {
        let (marker, after) = next_marker(rest).ok_or(TRUNCATED)?;
        match marker {
            0xd9 => return Ok((Part::End, after)),
            0x01 | 0xd0..=0xd7 => rest = after, // These stand alone.
            0xc0..=0xcf | 0xda..=0xdd | 0xe0..=0xef | 0xfe => {
                let length = after.first_chunk().ok_or(TRUNCATED)?;
                let length = usize::from(u16::from_be_bytes(*length)).max(2);
                let (segment, after) = after.split_at_checked(length).ok_or(TRUNCATED)?;
                return Ok((Part::Segment(marker, &segment[2..]), after));
            }
            0xd8 => return Err(malformed("a second start marker")),
            _ => return Err(malformed(format!("a marker that is none of JPEG's (ff {marker:02x})"))),
        }
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
