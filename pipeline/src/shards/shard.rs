//! One mapped tar and its index.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::{ReadCause, ReadError};
use super::finding::{Finding, FindingKind};
use super::index::{Index, Record, StoredLabel};
use super::mapping::Mapping;
use super::name;
use super::sample::{EncodedSample, Location};
use super::tar::Members;

/// One shard: a tar archive in memory, and where its samples lie.
///
/// The file is not held open, so the number of shards is not bounded by the limit on descriptors. A file that
/// is replaced by renaming another over it, grows or is deleted stays readable as it was: the mapping holds it.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    mapping: Mapping,
    index: Index,
    /// The label that each of the index's names stands for in the set.
    named_labels: Vec<Option<u32>>,
    /// The labels in the set that the labels in the shard stand for, where they are others.
    renumbered: Option<Vec<u32>>,
}

impl Shard {
    pub(super) fn new(path: PathBuf, mapping: Mapping, index: Index) -> Shard {
        let named_labels = vec![None; index.names().len()];
        Shard { path, mapping, index, named_labels, renumbered: None }
    }

    /// The file, as the patterns named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples in this shard; at least 1.
    pub fn samples(&self) -> u64 {
        self.index.samples()
    }

    /// Samples that have a label.
    pub fn labelled(&self) -> u64 {
        let names = self.index.names().iter().zip(&self.named_labels);
        let named = names.filter(|(_, label)| label.is_some()).map(|((_, samples), _)| samples);
        self.index.numbered() + named.sum::<u64>()
    }

    /// How often indexing found each kind of thing that became no sample or no label, of those that it found.
    pub fn finding_counts(&self) -> impl Iterator<Item = (FindingKind, u64)> {
        self.index.finding_counts()
    }

    /// What indexing found besides samples: the first 10,000 of each kind.
    pub fn findings(&self) -> impl Iterator<Item = Finding<'_>> {
        self.index.findings().map(|(kind, offset, member, found)| Finding {
            kind,
            shard: self.path.as_path().into(),
            member: member.into(),
            offset,
            found: found.into(),
        })
    }

    /// Names that are labels, and how many samples have each.
    pub(super) fn names(&self) -> &[(String, u64)] {
        self.index.names()
    }

    /// Samples whose label is a number.
    pub(super) fn numbered(&self) -> u64 {
        self.index.numbered()
    }

    /// Settles which label each of the [names](Self::names) stands for.
    pub(super) fn name_labels(&mut self, label: impl Fn(&str) -> Option<u32>) {
        self.named_labels = self.index.names().iter().map(|(name, _)| label(name)).collect();
    }

    /// Lets label `i` of the shard stand for `labels[i]` in the set.
    pub(super) fn renumber(&mut self, labels: Vec<u32>) {
        self.renumbered = Some(labels);
    }

    /// Size of the archive, in bytes.
    pub fn bytes(&self) -> u64 {
        self.mapping.bytes().len() as u64
    }

    /// A hash of every sample's place, checksum, label and key.
    pub(super) fn contents_hash(&self) -> u64 {
        self.index.contents_hash()
    }

    /// Length and CRC-32 of every sample's image.
    pub(super) fn images(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..self.samples())
            .filter_map(|position| self.index.record(position))
            .map(|record| (record.length, record.crc32))
    }

    /// What stands behind the first dot of the members' names (`jpg`, `left.png`), by where their contents begin. The index
    /// does not keep it.
    pub(crate) fn extensions(&self) -> HashMap<u64, String> {
        let members = Members::new(self.mapping.bytes()).map_while(Result::ok);
        let named = members.filter_map(|member| {
            let (_, extension) = name::split(&member.name)?;
            Some((member.offset as u64, String::from_utf8_lossy(extension).into_owned()))
        });
        named.collect()
    }

    pub(super) fn label(&self, position: u64) -> Option<u32> {
        self.settled(self.index.record(position)?.label?)
    }

    fn settled(&self, label: StoredLabel) -> Option<u32> {
        match label {
            StoredLabel::Number(number) => match &self.renumbered {
                Some(labels) => Some(labels.get(number as usize).copied().unwrap_or(number)),
                None => Some(number),
            },
            StoredLabel::Name(place) => *self.named_labels.get(place as usize)?,
        }
    }

    pub(super) fn locate(&self, position: u64) -> Location<'_> {
        let offset = self.index.record(position).map_or(0, |record| record.offset);
        let key = self.index.key(position).unwrap_or("?");
        Location { shard: self.path.as_path().into(), sample: position, offset, key: key.into() }
    }

    pub(super) fn read_ahead(&self, position: u64) {
        if let Some(range) = self.index.record(position).map(|record| byte_range(&record)) {
            self.mapping.will_need(range);
        }
    }

    pub(super) fn read(&self, position: u64) -> Result<EncodedSample<'_>, ReadError> {
        let sample = self.peek(position)?;
        sample.check_intact()?;
        Ok(sample)
    }

    pub(super) fn peek(&self, position: u64) -> Result<EncodedSample<'_>, ReadError> {
        let record = self.record(position)?;
        let bytes = self.mapping.bytes().get(byte_range(&record));
        let (Some(bytes), Some(key)) = (bytes, self.index.key(position)) else {
            return Err(self.error(position, ReadCause::Index));
        };
        let label = record.label.and_then(|label| self.settled(label));
        Ok(EncodedSample { bytes, label, key, shard: self, position })
    }

    /// Whether the sample's bytes are those that were indexed.
    pub(super) fn check_bytes(&self, position: u64, bytes: &[u8]) -> Result<(), ReadError> {
        let found = crc32fast::hash(bytes);
        self.check_pages(position)?;
        let expected = self.record(position)?.crc32;
        if found == expected {
            return Ok(());
        }
        // Without a lost page: the part of a file's last page that is behind its end reads as zeros, and so
        // does a file that was cut and has grown again.
        Err(self.error(position, self.shrunk().unwrap_or(ReadCause::Checksum { expected, found })))
    }

    /// Whether none of the sample's pages was lost so far.
    pub(super) fn check_pages(&self, position: u64) -> Result<(), ReadError> {
        if self.mapping.intact_until() >= byte_range(&self.record(position)?).end {
            return Ok(());
        }
        Err(self.error(position, self.shrunk().unwrap_or(ReadCause::Unreadable)))
    }

    /// Whether the file is shorter now than it was when it was mapped.
    fn shrunk(&self) -> Option<ReadCause> {
        let (expected, found) = (self.bytes(), fs::metadata(&self.path).ok()?.len());
        (found < expected).then_some(ReadCause::Shrunk { expected, found })
    }

    fn record(&self, position: u64) -> Result<Record, ReadError> {
        self.index.record(position).ok_or_else(|| self.error(position, ReadCause::Index))
    }

    fn error(&self, position: u64, cause: ReadCause) -> ReadError {
        ReadError { at: self.locate(position).into_owned(), cause }
    }
}

fn byte_range(record: &Record) -> Range<usize> {
    let start = usize::try_from(record.offset).unwrap_or(usize::MAX);
    start..start.saturating_add(record.length as usize)
}
