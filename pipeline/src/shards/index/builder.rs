//! Makes an index, one sample at a time.

use xxhash_rust::xxh3::Xxh3;

use super::super::mapping::FileStamp;
use super::Record;
use super::format::{Header, RECORD_BYTES, record_bytes};

/// An index that grows.
#[derive(Debug, Default)]
pub(in crate::shards) struct IndexBuilder {
    records: Vec<u8>,
    keys: Vec<u8>,
}

/// The keys of one shard take more bytes than a record can point into.
#[derive(Debug)]
pub(in crate::shards) struct IndexFull;

impl IndexBuilder {
    pub(in crate::shards) fn push(&mut self, record: Record, key: &str) -> Result<(), IndexFull> {
        let key_end = u32::try_from(self.keys.len() + key.len()).map_err(|_| IndexFull)?;
        self.keys.extend_from_slice(key.as_bytes());
        self.records.extend_from_slice(&record_bytes(&record, key_end));
        Ok(())
    }

    pub(in crate::shards) fn samples(&self) -> u64 {
        (self.records.len() / RECORD_BYTES) as u64
    }

    /// The whole index, for a shard in this state.
    pub(in crate::shards) fn finish(mut self, shard: FileStamp) -> Vec<u8> {
        let mut hash = Xxh3::new();
        hash.update(&self.records);
        hash.update(&self.keys);
        let (samples, key_bytes) = (self.samples(), self.keys.len() as u64);
        let header = Header { shard, samples, key_bytes, body_hash: hash.digest() };
        let mut bytes = header.to_bytes().to_vec();
        bytes.append(&mut self.records);
        bytes.append(&mut self.keys);
        bytes
    }
}
