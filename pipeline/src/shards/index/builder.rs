//! Builds an index, one sample at a time.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use super::super::fingerprint::Fingerprint;
use super::super::label::Label;
use super::super::mapping::FileStamp;
use super::findings::FindingsBuilder;
use super::format::{self, Header, RECORD_BYTES, record_bytes};
use super::{Record, StoredLabel};

/// An index that grows.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    records: Vec<u8>,
    keys: Vec<u8>,
    /// Class names, and their place in order of appearance.
    names: BTreeMap<String, u32>,
    /// What the labels that are numbers stand for, where the source says it.
    pub(crate) class_names: Vec<String>,
    pub(crate) findings: FindingsBuilder,
    /// What the source needs to tell whether it has changed.
    pub(crate) state: Vec<u8>,
}

/// The keys of one shard take more bytes than a record can point into.
#[derive(Debug)]
pub(crate) struct IndexFull;

/// The names of one shard are more than classes can be.
#[derive(Debug)]
pub(crate) struct TooManyNames;

/// Most class names of one shard: data sets have a few thousand classes, and as many captions as images.
const MOST_NAMES: usize = 1 << 16;

impl IndexBuilder {
    pub(crate) fn push(&mut self, record: Record, key: &[u8]) -> Result<(), IndexFull> {
        let key_end = u32::try_from(self.keys.len() + key.len()).map_err(|_| IndexFull)?;
        self.keys.extend_from_slice(key);
        self.records.extend_from_slice(&record_bytes(&record, key_end));
        Ok(())
    }

    /// A label as records hold it.
    pub(crate) fn store(&mut self, label: &Label) -> Result<StoredLabel, TooManyNames> {
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

    /// The name at a place.
    #[cfg(test)]
    pub(crate) fn name(&self, place: u32) -> &str {
        self.names.iter().find(|(_, other)| **other == place).map_or("", |(name, _)| name)
    }

    /// Gives a sample that was pushed another label.
    pub(crate) fn set_label(&mut self, position: usize, label: Option<StoredLabel>) {
        let raw = &mut self.records.as_chunks_mut().0[position];
        let (record, key_end) = format::parse_record(raw);
        *raw = record_bytes(&Record { label, ..record }, key_end);
    }

    /// Key and label of the samples from `first` on, by position.
    pub(crate) fn samples_from(
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

    pub(crate) fn samples(&self) -> u64 {
        (self.records.len() / RECORD_BYTES) as u64
    }

    fn fingerprint(&self) -> (u64, u64) {
        let mut fingerprint = Fingerprint::EMPTY;
        for raw in self.records.as_chunks::<RECORD_BYTES>().0 {
            let (record, _) = format::parse_record(raw);
            fingerprint.push(record.length, record.crc32);
        }
        let (lengths, checksums) = fingerprint.hashes();
        (lengths, checksums.unwrap_or(format::UNKNOWN))
    }

    /// The whole index, for a shard in this state.
    pub(crate) fn finish(self, shard: FileStamp) -> Vec<u8> {
        let mut by_place = vec![""; self.names.len()];
        self.names.iter().for_each(|(name, &place)| by_place[place as usize] = name);
        let names = format::names_to_bytes(by_place);
        let classes = format::names_to_bytes(self.class_names.iter().map(String::as_str));
        let findings = self.findings.to_bytes();
        let contents = [&self.records[..], &self.keys, &names];
        let rest = [&classes[..], &findings, &self.state];
        let hash = |sections: &[&[u8]]| {
            let mut hash = Xxh3::new();
            sections.iter().for_each(|section| hash.update(section));
            hash.digest()
        };
        let header = Header {
            shard,
            samples: self.samples(),
            key_bytes: self.keys.len() as u64,
            name_bytes: names.len() as u64,
            class_bytes: classes.len() as u64,
            finding_bytes: findings.len() as u64,
            state_bytes: self.state.len() as u64,
            fingerprint: self.fingerprint(),
            contents_hash: hash(&contents),
            rest_hash: hash(&rest),
        };
        let header = header.to_bytes();
        [&header[..]].into_iter().chain(contents).chain(rest).collect::<Vec<_>>().concat()
    }
}
