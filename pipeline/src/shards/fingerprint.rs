//! Identifies the images of a set, independently of the files that hold them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies images in order. The same images have the same fingerprint in a tar, a zip, a folder or a bucket, in any
/// number of shards. Names and labels do not affect it.
///
/// It hashes the images' lengths and, if the index has them, their CRC-32. A folder's index has only lengths, so its
/// files need not be read. Displays as `samples-lengths-checksums`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint {
    samples: u64,
    lengths: u64,
    /// `None` if one image's is unknown.
    checksums: Option<u64>,
}

/// Both hashes are values of a polynomial modulo this Mersenne prime at [`POINT`], with a coefficient for each image: so that of
/// two sets joined follows from those of both.
const PRIME: u64 = (1 << 61) - 1;
const POINT: u64 = 0x0a76_1d64_78bd_642f;

impl Fingerprint {
    /// Of no images.
    pub(crate) const EMPTY: Fingerprint = Fingerprint { samples: 0, lengths: 0, checksums: Some(0) };

    /// Of hashes that an index has kept.
    pub(crate) fn from_parts(samples: u64, lengths: u64, checksums: Option<u64>) -> Fingerprint {
        Fingerprint { samples, lengths, checksums }
    }

    /// The hash of the lengths, and that of the checksums.
    pub(crate) fn hashes(&self) -> (u64, Option<u64>) {
        (self.lengths, self.checksums)
    }

    /// Adds an image behind the others.
    pub(crate) fn push(&mut self, length: u32, crc32: Option<u32>) {
        let step = |hash, value: u32| add(multiply(hash, POINT), coefficient(value));
        self.samples += 1;
        self.lengths = step(self.lengths, length);
        self.checksums = self.checksums.zip(crc32).map(|(hash, crc32)| step(hash, crc32));
    }

    /// Adds the images of another set behind these.
    pub(crate) fn append(&mut self, other: &Fingerprint) {
        let shift = power(POINT, other.samples);
        let join = |hash, behind| add(multiply(hash, shift), behind);
        self.samples += other.samples;
        self.lengths = join(self.lengths, other.lengths);
        self.checksums = self.checksums.zip(other.checksums).map(|(hash, behind)| join(hash, behind));
    }

    /// Eight hexadecimal digits of the lengths' hash, for file names; the same for any source.
    pub fn short(&self) -> String {
        format!("{:08x}", self.lengths >> 29)
    }

    /// Whether both may belong to the same images: equal numbers, lengths and, where both have them, checksums.
    pub fn matches(&self, other: &Fingerprint) -> bool {
        let same_checksums = self.checksums.zip(other.checksums).is_none_or(|(one, another)| one == another);
        (self.samples, self.lengths) == (other.samples, other.lengths) && same_checksums
    }
}

/// Spreads a value over all numbers below the prime (the SplitMix64 finaliser), and is never 0.
fn coefficient(value: u32) -> u64 {
    let mut x = u64::from(value).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % (PRIME - 1) + 1
}

fn add(a: u64, b: u64) -> u64 {
    (a + b) % PRIME
}

fn multiply(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

fn power(base: u64, exponent: u64) -> u64 {
    let (mut result, mut square, mut rest) = (1, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        rest >>= 1;
    }
    result
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.samples, self.lengths)?;
        self.checksums.map_or(Ok(()), |checksums| write!(f, "-{checksums:016x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let mut parts = text.split('-');
        let hash = |part: &str| u64::from_str_radix(part, 16).ok();
        let samples = parts.next().and_then(|part| part.parse().ok());
        let lengths = parts.next().and_then(hash);
        let checksums = parts.next().map(|part| hash(part).ok_or(BadFingerprint)).transpose()?;
        match (samples, lengths, parts.next()) {
            (Some(samples), Some(lengths), None) => Ok(Fingerprint { samples, lengths, checksums }),
            _ => Err(BadFingerprint),
        }
    }
}

/// A text that is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint of images (`samples-lengths-checksums`)")]
pub struct BadFingerprint;

impl TryFrom<String> for Fingerprint {
    type Error = BadFingerprint;

    fn try_from(text: String) -> Result<Self, BadFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(images: impl IntoIterator<Item = (u32, Option<u32>)>) -> Fingerprint {
        let mut fingerprint = Fingerprint::EMPTY;
        images.into_iter().for_each(|(length, crc32)| fingerprint.push(length, crc32));
        fingerprint
    }

    fn images() -> Vec<(u32, Option<u32>)> {
        (0..40_u32).map(|i| (i.wrapping_mul(2_654_435_761), Some(i ^ 0x5555))).collect()
    }

    #[test]
    fn the_cut_into_shards_does_not_matter_and_the_order_does() {
        let images = images();
        let whole = of(images.clone());
        for cut in 0..=images.len() {
            let mut joined = of(images[..cut].to_vec());
            joined.append(&of(images[cut..].to_vec()));
            assert_eq!(joined, whole, "{cut}");
        }
        let mut swapped = images.clone();
        swapped.swap(3, 4);
        assert!(!of(swapped).matches(&whole));
        assert!(!of(images[1..].to_vec()).matches(&whole));
    }

    #[test]
    fn unknown_checksums_match_any() {
        let whole = of(images());
        let lengths_only = of(images().into_iter().map(|(length, _)| (length, None)));
        assert!(lengths_only.matches(&whole) && whole.matches(&lengths_only) && lengths_only != whole);
        let other_bytes =
            of(images().into_iter().map(|(length, crc32)| (length, crc32.map(|crc32| crc32 + 1))));
        assert!(!other_bytes.matches(&whole) && other_bytes.matches(&lengths_only));
    }

    #[test]
    fn is_read_back_from_text() {
        for fingerprint in [of(images()), of([(7, None)]), Fingerprint::EMPTY] {
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }
        for text in ["", "12", "12-xyz", "12-ab-cd-ef", "12345678901234567890123-0-0"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(BadFingerprint), "{text}");
        }
    }
}
