//! The index of one shard: where its samples are.
//!
//! The index has the same form in memory and on disk and is used in place: opening the mapped sidecar of a million
//! samples costs one pass over it, and the system can reclaim its pages.
//!
//! ```text
//! header    120 bytes, see `format::Header`
//! records   24 bytes a sample: offset u64, length u32, crc32 u32, label u32, end of the key u32
//! keys      one behind the other
//! names     of classes, where labels are names: length u16 and UTF-8
//! classes   what labels that are numbers stand for, as names; nothing where the source does not say
//! findings  what became no sample, see `findings`; nothing in most shards
//! state     what the source keeps to tell whether it has changed; nothing for a file
//! ```
//! Numbers are little-endian. The label `u32::MAX` means none. The offset's highest bit marks a label that is the
//! position of a name; the next bits mark an unknown checksum, and bytes that are not stored verbatim.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

pub(crate) use self::builder::{IndexBuilder, IndexFull, TooManyNames};
pub(crate) use self::findings::{Entry, FindingsBuilder};
pub(crate) use self::format::HEADER_BYTES;
pub(crate) use self::format::Stale;
#[cfg(any(test, fuzzing))]
pub(crate) use self::format::{HASHED_HEADER_BYTES, VERSION};
use self::format::{Header, RECORD_BYTES};
use super::finding::FindingKind;
use super::fingerprint::Fingerprint;
use super::mapping::{FileStamp, Mapping};

mod builder;
mod findings;
mod format;
pub(crate) mod sidecar;

/// Where one sample's image lies, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// From the start of the source, in bytes.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) length: u32,
    /// Of the image's bytes, where they were read.
    pub(crate) crc32: Option<u32>,
    pub(crate) label: Option<StoredLabel>,
    /// Whether the bytes lie in the source as they are, from `offset` on. Those of a file of its own don't, nor those that are
    /// compressed.
    pub(crate) is_plain: bool,
}

/// A label as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredLabel {
    Number(u32),
    /// The place of a name in [`Index::names`].
    Name(u32),
}

/// Whether a source is in the state that was indexed.
pub(crate) type IsFresh<'a> = &'a dyn Fn(FileStamp, &[u8]) -> bool;

/// The index of one shard. Lookups check every bound, because a mapped sidecar may be overwritten at any time.
#[derive(Debug)]
pub(crate) struct Index {
    bytes: Bytes,
    samples: usize,
    keys: Range<usize>,
    findings: Range<usize>,
    numbered: u64,
    names: Vec<(String, u64)>,
    class_names: Vec<String>,
    fingerprint: Fingerprint,
}

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(Mapping),
}

impl Index {
    /// Takes the mapped contents of a sidecar, if they are an index and `is_fresh`, which is told the stamp and the state of the
    /// source that was indexed.
    pub(crate) fn from_mapping(mapping: Mapping, is_fresh: IsFresh<'_>) -> Result<Index, Stale> {
        Index::new(Bytes::Mapped(mapping), is_fresh)
    }

    /// As [`from_mapping`](Self::from_mapping), from bytes that stay in memory.
    pub(crate) fn from_bytes(bytes: Vec<u8>, is_fresh: IsFresh<'_>) -> Result<Index, Stale> {
        Index::new(Bytes::Owned(bytes), is_fresh)
    }

    /// The bytes of an index of the same source elsewhere, under another stamp; `None` if they are none, or of a source of another
    /// length.
    #[cfg(feature = "remote")]
    pub(crate) fn restamped(mut bytes: Vec<u8>, stamp: FileStamp) -> Option<Vec<u8>> {
        let header = Header::parse(&bytes).ok().filter(|header| header.shard.bytes == stamp.bytes)?;
        bytes[..HEADER_BYTES].copy_from_slice(&Header { shard: stamp, ..header }.to_bytes());
        Index::from_bytes(bytes.clone(), &|found, _| found == stamp).ok()?;
        Some(bytes)
    }

    fn new(bytes: Bytes, is_fresh: IsFresh<'_>) -> Result<Index, Stale> {
        let all = bytes.as_slice();
        let header = Header::parse(all)?;
        let sections = header.sections(all)?;
        if xxh3_64(sections.rest) != header.rest_hash {
            return Err(Stale::Corrupt);
        }
        if !is_fresh(header.shard, sections.state) {
            return Err(Stale::Shard);
        }
        if xxh3_64(sections.contents) != header.contents_hash {
            return Err(Stale::Corrupt);
        }
        let names = format::parse_names(sections.names)?;
        let class_names = format::parse_names(sections.classes)?;
        let labelled = format::check_records(&sections, header.shard, names.len())?;
        let samples = usize::try_from(header.samples).map_err(|_| Stale::Corrupt)?;
        let after = all.len() - sections.state.len();
        let findings = after - sections.findings.len()..after;
        let (lengths, checksums) = header.fingerprint;
        let checksums = Some(checksums).filter(|&hash| hash != format::UNKNOWN);
        let keys_start = HEADER_BYTES + samples * RECORD_BYTES;
        let keys = keys_start..keys_start + sections.keys.len();
        Ok(Index {
            samples,
            keys,
            findings,
            numbered: labelled.numbers,
            class_names,
            names: names.into_iter().zip(labelled.by_name).collect(),
            fingerprint: Fingerprint::from_parts(header.samples, lengths, checksums),
            bytes,
        })
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples as u64
    }

    /// Samples whose label is a number.
    pub(crate) fn numbered(&self) -> u64 {
        self.numbered
    }

    /// Names that are labels, and how many samples have each.
    pub(crate) fn names(&self) -> &[(String, u64)] {
        &self.names
    }

    /// What the labels that are numbers stand for, where the source says it: entry `i` names label `i`.
    pub(crate) fn class_names(&self) -> Option<&[String]> {
        Some(&self.class_names[..]).filter(|names| !names.is_empty())
    }

    /// Of the images.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// How often each kind was found, of those that were.
    pub(crate) fn finding_counts(&self) -> impl Iterator<Item = (FindingKind, u64)> {
        findings::counts(self.section(&self.findings))
    }

    /// The findings that are kept by name: the first 10,000 of each kind.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Entry> {
        findings::entries(self.section(&self.findings))
    }

    pub(crate) fn record(&self, position: u64) -> Option<Record> {
        self.raw_record(position).map(|raw| format::parse_record(raw).0)
    }

    /// A copy of a sample's key: the mapped sidecar may change at any time, and text may not.
    pub(crate) fn key(&self, position: u64) -> Option<Vec<u8>> {
        let start = match position.checked_sub(1) {
            Some(before) => format::parse_record(self.raw_record(before)?).1,
            None => 0,
        };
        let end = format::parse_record(self.raw_record(position)?).1;
        self.section(&self.keys).get(start as usize..end as usize).map(<[u8]>::to_vec)
    }

    fn section(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.as_slice().get(range.clone()).unwrap_or_default()
    }

    fn raw_record(&self, position: u64) -> Option<&[u8; RECORD_BYTES]> {
        let position = usize::try_from(position).ok().filter(|&position| position < self.samples)?;
        self.bytes.as_slice().get(HEADER_BYTES + position * RECORD_BYTES..)?.first_chunk()
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(mapping) => mapping.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
