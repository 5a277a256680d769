//! Where the samples of one shard lie.
//!
//! The index has one form, in memory as on the disk, and is used where it lies: opening the mapped sidecar of a
//! million samples costs one pass over it, and its pages can be dropped again.
//!
//! ```text
//! header   64 bytes, see `format::Header`
//! records  24 bytes a sample: offset u64, length u32, crc32 u32, label u32, end of the key u32
//! keys     one behind the other, UTF-8
//! ```
//! Numbers are little-endian. The label `u32::MAX` stands for none.

use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::builder::{IndexBuilder, IndexFull};
pub(super) use self::format::Stale;
#[cfg(any(test, fuzzing))]
pub(super) use self::format::VERSION;
use self::format::{HEADER_BYTES, Header, RECORD_BYTES};
use super::mapping::{FileStamp, Mapping};

mod builder;
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
    pub(super) label: Option<u32>,
}

/// The index of one shard. Lookups check every bound, because a mapped sidecar may be overwritten at any time.
#[derive(Debug)]
pub(super) struct Index {
    bytes: Bytes,
    samples: usize,
    labelled: u64,
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
        let body = header.body(all)?;
        if xxh3_64(body) != header.body_hash {
            return Err(Stale::Corrupt);
        }
        let labelled = format::check_records(body, &header)?;
        let samples = usize::try_from(header.samples).map_err(|_| Stale::Corrupt)?;
        Ok(Index { samples, labelled, contents_hash: header.body_hash, bytes })
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples as u64
    }

    /// Samples that have a label.
    pub(super) fn labelled(&self) -> u64 {
        self.labelled
    }

    /// Hash of all records and keys.
    pub(super) fn contents_hash(&self) -> u64 {
        self.contents_hash
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
        let keys = self.bytes.as_slice().get(HEADER_BYTES + self.samples * RECORD_BYTES..)?;
        std::str::from_utf8(keys.get(start as usize..end as usize)?).ok()
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
