//! The segments of a JPEG file (ITU-T T.81, B.1.1), read as leniently as libjpeg reads them.

use super::{TRUNCATED, malformed};
use crate::decode::DecodeError;

/// A marker and what its length field encloses.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) body: &'a [u8],
}

/// The next segment with a body, and what follows it. As in libjpeg, stray bytes between segments are skipped.
pub(super) fn next_segment(bytes: &[u8]) -> Result<(Segment<'_>, &[u8]), DecodeError> {
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
