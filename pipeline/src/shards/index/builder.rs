//! Makes an index, one sample at a time.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::super::label::Label;
use super::super::mapping::FileStamp;
use super::findings::FindingsBuilder;
use super::format::{self, Header, RECORD_BYTES, record_bytes};
use super::{Record, StoredLabel};

/// An index that grows.
#[derive(Debug, Default)]
pub(in crate::shards) struct IndexBuilder {
    records: Vec<u8>,
    keys: Vec<u8>,
    /// Class names, and their place in order of appearance.
    names: BTreeMap<String, u32>,
    pub(in crate::shards) findings: FindingsBuilder,
}

/// The keys of one shard take more bytes than a record can point into.
#[derive(Debug)]
pub(in crate::shards) struct IndexFull;

/// The names of one shard are more than classes can be.
#[derive(Debug)]
pub(in crate::shards) struct TooManyNames;

/// Most class names of one shard: data sets have a few thousand classes, and as many captions as images.
const MOST_NAMES: usize = 1 << 16;

impl IndexBuilder {
    pub(in crate::shards) fn push(&mut self, record: Record, key: &str) -> Result<(), IndexFull> {
        let key_end = u32::try_from(self.keys.len() + key.len()).map_err(|_| IndexFull)?;
        self.keys.extend_from_slice(key.as_bytes());
        self.records.extend_from_slice(&record_bytes(&record, key_end));
        Ok(())
    }

    /// A label as records hold it.
    pub(in crate::shards) fn store(&mut self, label: &Label) -> Result<StoredLabel, TooManyNames> {
        let name = match label {
            Label::Number(number) => return Ok(StoredLabel::Number(*number)),
            Label::Name(name) => name,
        };
        if let Some(&place) = self.names.get(name) {
            return Ok(StoredLabel::Name(place));
        }
        let next = self.names.len();
        if next == MOST_NAMES {
            return Err(TooManyNames);
        }
        self.names.insert(name.clone(), next as u32);
        Ok(StoredLabel::Name(next as u32))
    }

    /// Gives a sample that was pushed another label.
    pub(in crate::shards) fn set_label(&mut self, position: usize, label: StoredLabel) {
        let raw = &mut self.records.as_chunks_mut().0[position];
        let (record, key_end) = format::parse_record(raw);
        *raw = record_bytes(&Record { label: Some(label), ..record }, key_end);
    }

    /// Key and label of the samples from `first` on, by position.
    pub(in crate::shards) fn samples_from(
        &self,
        first: usize,
    ) -> impl Iterator<Item = (usize, &[u8], Option<StoredLabel>)> {
        let records = self.records.as_chunks::<RECORD_BYTES>().0;
        let end = |position: usize| format::parse_record(&records[position]).1 as usize;
        (first..records.len()).map(move |position| {
            let start = position.checked_sub(1).map_or(0, end);
            let label = format::parse_record(&records[position]).0.label;
            (position, &self.keys[start..end(position)], label)
        })
    }

    pub(in crate::shards) fn samples(&self) -> u64 {
        (self.records.len() / RECORD_BYTES) as u64
    }

    /// The whole index, for a shard in this state.
    pub(in crate::shards) fn finish(self, shard: FileStamp) -> Vec<u8> {
        let (names, findings) = (format::names_to_bytes(&self.names), self.findings.to_bytes());
        let mut hash = Xxh3::new();
        [&self.records, &self.keys, &names].into_iter().for_each(|section| hash.update(section));
        let header = Header {
            shard,
            samples: self.samples(),
            key_bytes: self.keys.len() as u64,
            name_bytes: names.len() as u64,
            finding_bytes: findings.len() as u64,
            contents_hash: hash.digest(),
            findings_hash: xxh3_64(&findings),
        };
        [&header.to_bytes()[..], &self.records, &self.keys, &names, &findings].concat()
    }
}
