//! Where the samples of one shard lie.
//!
//! The index has one form, in memory as on the disk, and is used where it lies: opening the mapped sidecar of a
//! million samples costs one pass over it, and its pages can be dropped again.
//!
//! ```text
//! header    88 bytes, see `format::Header`
//! records   24 bytes a sample: offset u64, length u32, crc32 u32, label u32, end of the key u32
//! keys      one behind the other, UTF-8
//! names     of classes, where labels are names: length u16 and UTF-8
//! findings  what became no sample, see `findings`; nothing in most shards
//! ```
//! Numbers are little-endian. The label `u32::MAX` stands for none; where the offset's highest bit is set, the label is the place
//! of a name.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::builder::{IndexBuilder, IndexFull, TooManyNames};
pub(super) use self::findings::{Entry, FindingsBuilder};
pub(super) use self::format::HEADER_BYTES;
pub(super) use self::format::Stale;
#[cfg(any(test, fuzzing))]
pub(super) use self::format::{HASHED_HEADER_BYTES, VERSION};
use self::format::{Header, RECORD_BYTES};
use super::finding::FindingKind;
use super::mapping::{FileStamp, Mapping};

mod builder;
mod findings;
mod format;
pub(super) mod sidecar;

/// Where one sample's image lies, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// From the start of the shard, in bytes.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) length: u32,
    /// Of the image's bytes.
    pub(super) crc32: u32,
    pub(super) label: Option<StoredLabel>,
}

/// A label as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredLabel {
    Number(u32),
    /// The place of a name in [`Index::names`].
    Name(u32),
}

/// The index of one shard. Lookups check every bound, because a mapped sidecar may be overwritten at any time.
#[derive(Debug)]
pub(super) struct Index {
    bytes: Bytes,
    samples: usize,
    keys: Range<usize>,
    findings: Range<usize>,
    numbered: u64,
    names: Vec<(String, u64)>,
    contents_hash: u64,
}

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(Mapping),
}

impl Index {
    /// Takes the mapped contents of a sidecar, if they are the index of a shard in this state.
    pub(super) fn from_mapping(mapping: Mapping, shard: FileStamp) -> Result<Index, Stale> {
        Index::new(Bytes::Mapped(mapping), shard)
    }

    /// As [`from_mapping`](Self::from_mapping), from bytes that stay in memory.
    pub(super) fn from_bytes(bytes: Vec<u8>, shard: FileStamp) -> Result<Index, Stale> {
        Index::new(Bytes::Owned(bytes), shard)
    }

    fn new(bytes: Bytes, shard: FileStamp) -> Result<Index, Stale> {
        let all = bytes.as_slice();
        let header = Header::parse(all)?;
        header.check_shard(shard)?;
        let sections = header.sections(all)?;
        let intact = xxh3_64(sections.contents) == header.contents_hash
            && xxh3_64(sections.findings) == header.findings_hash;
        if !intact {
            return Err(Stale::Corrupt);
        }
        let names = format::parse_names(sections.names)?;
        let labelled = format::check_records(&sections, shard, names.len())?;
        let samples = usize::try_from(header.samples).map_err(|_| Stale::Corrupt)?;
        let findings = all.len() - sections.findings.len()..all.len();
        let keys = HEADER_BYTES + samples * RECORD_BYTES..findings.start - sections.names.len();
        Ok(Index {
            samples,
            keys,
            findings,
            numbered: labelled.numbers,
            names: names.into_iter().zip(labelled.by_name).collect(),
            contents_hash: header.contents_hash,
            bytes,
        })
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples as u64
    }

    /// Samples whose label is a number.
    pub(super) fn numbered(&self) -> u64 {
        self.numbered
    }

    /// Names that are labels, and how many samples have each.
    pub(super) fn names(&self) -> &[(String, u64)] {
        &self.names
    }

    /// Hash of all records, keys and names.
    pub(super) fn contents_hash(&self) -> u64 {
        self.contents_hash
    }

    /// How often each kind was found, of those that were.
    pub(super) fn finding_counts(&self) -> impl Iterator<Item = (FindingKind, u64)> {
        findings::counts(self.section(&self.findings))
    }

    /// The findings that are kept by name: the first 10,000 of each kind.
    pub(super) fn findings(&self) -> impl Iterator<Item = Entry<'_>> {
        findings::entries(self.section(&self.findings))
    }

    pub(super) fn record(&self, position: u64) -> Option<Record> {
        self.raw_record(position).map(|raw| format::parse_record(raw).0)
    }

    pub(super) fn key(&self, position: u64) -> Option<&str> {
        let start = match position.checked_sub(1) {
            Some(before) => format::parse_record(self.raw_record(before)?).1,
            None => 0,
        };
        let end = format::parse_record(self.raw_record(position)?).1;
        std::str::from_utf8(self.section(&self.keys).get(start as usize..end as usize)?).ok()
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
