//! What a fuzzer feeds with bytes, of the readers of shards: whatever they are, the answer is a value that holds what it
//! promises, or an error.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::index::{HASHED_HEADER_BYTES, HEADER_BYTES, Index, VERSION};
use super::mapping::FileStamp;
use crate::sources::tar::members::BLOCK;
use crate::sources::tar::scan::scan;

/// Reads an archive as it is, and once more with the checksum of every header put right, since a fuzzer does not add up.
pub fn tar(bytes: &[u8]) {
    read_tar(bytes);
    let mut repaired = bytes.to_owned();
    for block in repaired.as_chunks_mut::<BLOCK>().0 {
        if &block[257..262] == b"ustar" {
            block[CHECKSUM].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    read_tar(&repaired);
}

const CHECKSUM: Range<usize> = 148..156;

fn read_tar(archive: &[u8]) {
    let Ok(found) = scan(archive, |_| ()) else { return };
    let samples = found.index.samples();
    assert!(samples <= found.members);
    let shard = FileStamp { bytes: archive.len() as u64, mtime_ns: 0 };
    let index =
        Index::from_bytes(found.index.finish(shard), &|_, _| true).expect("what was scanned can be indexed");
    for position in 0..samples {
        let record = index.record(position).expect("every sample has a record");
        let image = &archive[record.offset as usize..][..record.length as usize];
        assert_eq!(Some(crc32fast::hash(image)), record.crc32);
        assert!(index.key(position).is_some());
    }
}

/// Reads an index as it is, and once more with its version and its hashes put right.
pub fn index(bytes: &[u8]) {
    const VERSION_FIELD: Range<usize> = 8..12;
    /// The lengths of the classes, the findings and the state.
    const REST: [usize; 3] = [56, 64, 72];
    const HASHES: Range<usize> = 96..112;
    read_index(bytes.to_owned());
    if let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() {
        let mut header = *header;
        let rest_bytes = REST.iter().fold(0u64, |sum, &at| sum.saturating_add(u64_at(&header, at)));
        let rest_bytes = usize::try_from(rest_bytes).unwrap_or(usize::MAX);
        let (contents, rest) = body.split_at(body.len().saturating_sub(rest_bytes));
        header[VERSION_FIELD].copy_from_slice(&VERSION.to_le_bytes());
        for (place, section) in header[HASHES].chunks_exact_mut(8).zip([contents, rest]) {
            place.copy_from_slice(&xxh3_64(section).to_le_bytes());
        }
        let hash = xxh3_64(&header[..HASHED_HEADER_BYTES]);
        header[HASHED_HEADER_BYTES..].copy_from_slice(&hash.to_le_bytes());
        read_index([&header, body].concat());
    }
}

fn read_index(bytes: Vec<u8>) {
    // The shard that the header names, so that it is not turned away for another.
    let shard = FileStamp { bytes: u64_at(&bytes, 16), mtime_ns: u64_at(&bytes, 24).cast_signed() };
    let Ok(index) = Index::from_bytes(bytes, &|_, _| true) else { return };
    for position in 0..index.samples() {
        let record = index.record(position).expect("every sample has a record");
        let end = record.offset.checked_add(record.length.into());
        assert!(!record.is_plain || end.is_some_and(|end| end <= shard.bytes));
        assert!(index.key(position).is_some());
    }
    let named = index.names().iter().map(|(_, samples)| samples).sum::<u64>();
    assert!(index.record(index.samples()).is_none() && index.numbered() + named <= index.samples());
    // As many as it says, or fewer where they are not what a builder wrote.
    let _ = (index.finding_counts().count(), index.findings().count());
}

/// Zero behind the end.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..).and_then(|field| field.first_chunk());
    u64::from_le_bytes(field.copied().unwrap_or_default())
}
