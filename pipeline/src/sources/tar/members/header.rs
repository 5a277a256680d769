//! One 512-byte header.

use std::borrow::Cow;
use std::ops::Range;

use super::BLOCK;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const TYPE_FLAG: usize = 156;
const MAGIC: Range<usize> = 257..263;
const PREFIX: Range<usize> = 345..500;

/// A header whose checksum is right.
#[derive(Debug)]
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

/// What a header is about, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    /// A hard or symbolic link: has no contents, whatever its size field says.
    Link,
    /// A device or pipe: likewise.
    Special,
    Folder,
    GnuLongName,
    GnuSparse,
    Pax,
    PaxGlobal,
    /// Its contents, if any, are skipped: GNU long link names, volume labels, vendors' extensions.
    Other,
}

impl<'a> Header<'a> {
    pub(super) fn new(block: &'a [u8; BLOCK]) -> Result<Header<'a>, String> {
        let stored = number(&block[CHECKSUM]);
        // The field counts as spaces in the sum. Old writers summed signed bytes.
        let fields = || block.iter().enumerate().map(|(i, &b)| if CHECKSUM.contains(&i) { b' ' } else { b });
        let unsigned: u64 = fields().map(u64::from).sum();
        let signed: i64 = fields().map(|byte| i64::from(byte as i8)).sum();
        match stored {
            Ok(sum) if sum == unsigned || i64::try_from(sum) == Ok(signed) => Ok(Header(block)),
            _ => Err("bad header checksum".into()),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.0[TYPE_FLAG] {
            b'0' | 0 | b'7' => Kind::Regular,
            b'1' | b'2' => Kind::Link,
            b'3' | b'4' | b'6' => Kind::Special,
            b'5' => Kind::Folder,
            b'L' => Kind::GnuLongName,
            b'S' => Kind::GnuSparse,
            b'x' | b'X' => Kind::Pax,
            b'g' => Kind::PaxGlobal,
            _ => Kind::Other,
        }
    }

    pub(super) fn size(&self) -> Result<u64, String> {
        number(&self.0[SIZE]).map_err(|()| "bad size in header".into())
    }

    /// The name field, behind the prefix field where the format has one.
    pub(super) fn name(&self) -> Cow<'a, [u8]> {
        let (prefix, name) = (until_nul(&self.0[PREFIX]), until_nul(&self.0[NAME]));
        // GNU's own format says "ustar  " and keeps times where POSIX has the prefix.
        if &self.0[MAGIC] != b"ustar\0" || prefix.is_empty() {
            return Cow::Borrowed(name);
        }
        Cow::Owned([prefix, b"/", name].concat())
    }
}

pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits between spaces and zero bytes, or GNU's base-256 where the first bit is set.
fn number(field: &[u8]) -> Result<u64, ()> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        // The bit next to the flag is the sign.
        let fits = high.first() == Some(&0x80) && high[1..].iter().all(|&byte| byte == 0);
        return low.try_into().ok().filter(|_| fits).map(u64::from_be_bytes).ok_or(());
    }
    let digits = until_nul(field).trim_ascii();
    let octal = |value: u64, &digit: &u8| match digit {
        b'0'..=b'7' => value.checked_mul(8).map(|value| value + u64::from(digit - b'0')),
        _ => None,
    };
    digits.iter().try_fold(0, octal).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_writer() {
        assert_eq!(number(b"00000001705\0"), Ok(0o1705));
        assert_eq!(number(b"  1705 \0\0\0\0\0"), Ok(0o1705));
        assert_eq!(number(b"777777777777"), Ok(0o777_777_777_777));
        assert_eq!(number(&[0; 12]), Ok(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\x01"), Ok((2 << 32) + 1));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Err(()), "negative");
        assert_eq!(number(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), Err(()), "over 64 bits");
        assert_eq!(number(b"0000000a705\0"), Err(()));
    }
}
