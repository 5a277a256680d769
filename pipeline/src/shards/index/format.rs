//! The index's bytes.

use xxhash_rust::xxh3::xxh3_64;

use super::super::mapping::FileStamp;
use super::Record;

pub(super) const MAGIC: &[u8; 8] = b"SIMSIDX\n";
/// Raised with every change of the format; an index of another version is built anew.
/// 2: labels also come from `.json` members. 3: `.pgm`, `.pbm` and `.pnm` members are images.
pub(in crate::shards) const VERSION: u32 = 3;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const RECORD_BYTES: usize = 24;
/// The label of a sample without one.
pub(super) const NO_LABEL: u32 = u32::MAX;

/// Why an index is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::shards) enum Stale {
    #[error("is no shard index")]
    Foreign,
    #[error("is damaged")]
    Corrupt,
    #[error("has version {0}, not {VERSION}")]
    Version(u32),
    #[error("describes another state of the shard")]
    Shard,
}

/// The first 64 bytes: magic, version and a reserved zero (4 bytes each), then the fields below in order, then
/// xxh3 of all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) shard: FileStamp,
    pub(super) samples: u64,
    pub(super) key_bytes: u64,
    /// xxh3 of the records and keys.
    pub(super) body_hash: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let mtime = self.shard.mtime_ns.cast_unsigned();
        let fields = [self.shard.bytes, mtime, self.samples, self.key_bytes, self.body_hash];
        for (place, field) in bytes[16..56].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let hash = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&hash.to_le_bytes());
        bytes
    }

    pub(super) fn parse(file: &[u8]) -> Result<Header, Stale> {
        let magic = &file[..file.len().min(MAGIC.len())];
        if !MAGIC.starts_with(magic) {
            return Err(Stale::Foreign);
        }
        let bytes: &[u8; HEADER_BYTES] = file.first_chunk().ok_or(Stale::Corrupt)?;
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(Stale::Version(version));
        }
        if xxh3_64(&bytes[..56]) != u64_at(bytes, 56) {
            return Err(Stale::Corrupt);
        }
        let shard = FileStamp { bytes: u64_at(bytes, 16), mtime_ns: u64_at(bytes, 24).cast_signed() };
        let (samples, key_bytes) = (u64_at(bytes, 32), u64_at(bytes, 40));
        Ok(Header { shard, samples, key_bytes, body_hash: u64_at(bytes, 48) })
    }

    pub(super) fn check_shard(&self, shard: FileStamp) -> Result<(), Stale> {
        if self.shard == shard { Ok(()) } else { Err(Stale::Shard) }
    }

    /// Records and keys of a file that is exactly as long as this header says.
    pub(super) fn body<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], Stale> {
        let records = self.samples.checked_mul(RECORD_BYTES as u64);
        let length = records.and_then(|records| records.checked_add(self.key_bytes));
        let body = &file[HEADER_BYTES.min(file.len())..];
        if length == Some(body.len() as u64) { Ok(body) } else { Err(Stale::Corrupt) }
    }
}

/// Verifies that every record lies in the shard and every key in the keys; returns how many samples have labels.
///
/// Only a faulty writer gets past the hash with anything else: this is the second line.
pub(super) fn check_records(body: &[u8], header: &Header) -> Result<u64, Stale> {
    let (records, keys) = body.split_at(body.len() - header.key_bytes as usize);
    let (mut labelled, mut key_start) = (0, 0);
    for raw in records.as_chunks::<RECORD_BYTES>().0 {
        let (record, key_end) = parse_record(raw);
        let end = record.offset.checked_add(u64::from(record.length));
        if key_end < key_start || end.is_none_or(|end| end > header.shard.bytes) {
            return Err(Stale::Corrupt);
        }
        key_start = key_end;
        labelled += u64::from(record.label.is_some());
    }
    if key_start as usize != keys.len() {
        return Err(Stale::Corrupt);
    }
    Ok(labelled)
}

/// A record, and where its key ends in the keys; it begins where the one before ends.
pub(super) fn parse_record(raw: &[u8; RECORD_BYTES]) -> (Record, u32) {
    let label = Some(u32_at(raw, 16)).filter(|&label| label != NO_LABEL);
    let record = Record { offset: u64_at(raw, 0), length: u32_at(raw, 8), crc32: u32_at(raw, 12), label };
    (record, u32_at(raw, 20))
}

pub(super) fn record_bytes(record: &Record, key_end: u32) -> [u8; RECORD_BYTES] {
    let mut raw = [0; RECORD_BYTES];
    raw[..8].copy_from_slice(&record.offset.to_le_bytes());
    let rest = [record.length, record.crc32, record.label.unwrap_or(NO_LABEL), key_end];
    for (place, field) in raw[8..].chunks_exact_mut(4).zip(rest) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    raw
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("fields end before the header or record does"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("fields end before the header or record does"))
}
