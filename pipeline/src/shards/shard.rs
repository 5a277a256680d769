//! One source and its index.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::{ReadCause, ReadError};
use super::finding::{Finding, FindingKind, Subject};
use super::fingerprint::Fingerprint;
use super::index::{Index, Record, StoredLabel};
use super::name;
use super::sample::{EncodedSample, Location};
use crate::sources::{Indexed, Opened, Source};

/// One source of a set, a tar, zip, Parquet file or folder, with the index of its samples.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    source: Box<dyn Source>,
    index: Index,
    /// Whether the index's labels are passed over.
    unlabelled: bool,
    /// The label that each of the index's names stands for in the set.
    named_labels: Vec<Option<u32>>,
    /// The labels in the set that the labels in the shard stand for, where they are others.
    renumbered: Option<Vec<u32>>,
}

impl Shard {
    /// Without labels, if it is `unlabelled`, whatever the index has.
    pub(super) fn new(path: PathBuf, opened: Opened, unlabelled: bool) -> Shard {
        let Opened { index, source } = opened;
        let named_labels = vec![None; index.names().len()];
        Shard { path, source, index, unlabelled, named_labels, renumbered: None }
    }

    /// The file or folder, as named by the patterns.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of samples in this shard; at least 1.
    pub fn samples(&self) -> u64 {
        self.index.samples()
    }

    /// Number of samples with a label.
    pub fn labelled(&self) -> u64 {
        let names = self.names().iter().zip(&self.named_labels);
        let named = names.filter(|(_, label)| label.is_some()).map(|((_, samples), _)| samples);
        self.numbered() + named.sum::<u64>()
    }

    /// The number of findings of each kind that occurred.
    pub fn finding_counts(&self) -> impl Iterator<Item = (FindingKind, u64)> {
        self.index.finding_counts().filter(|(kind, _)| self.tells(*kind))
    }

    /// The findings of indexing: the first 10,000 of each kind.
    pub fn findings(&self) -> impl Iterator<Item = Finding<'_>> {
        let findings = self.index.findings().filter(|(kind, ..)| self.tells(*kind));
        findings.map(|(kind, offset, member, found)| Finding {
            kind,
            shard: self.path.as_path().into(),
            member: member.into(),
            offset,
            found: found.into(),
        })
    }

    /// Whether a kind of finding matters: where no label is used, none is missed.
    fn tells(&self, kind: FindingKind) -> bool {
        !(self.unlabelled && kind.subject() == Subject::Label)
    }

    /// Names that are labels, and how many samples have each.
    pub(super) fn names(&self) -> &[(String, u64)] {
        if self.unlabelled { &[] } else { self.index.names() }
    }

    /// What its labels stand for, where it says so itself.
    pub(super) fn class_names(&self) -> Option<&[String]> {
        self.index.class_names()
    }

    /// Samples whose label is a number.
    pub(super) fn numbered(&self) -> u64 {
        if self.unlabelled { 0 } else { self.index.numbered() }
    }

    /// Settles which label each of the [names](Self::names) stands for.
    pub(super) fn name_labels(&mut self, label: impl Fn(&str) -> Option<u32>) {
        self.named_labels = self.names().iter().map(|(name, _)| label(name)).collect();
    }

    /// Lets label `i` of the shard stand for `labels[i]` in the set.
    pub(super) fn renumber(&mut self, labels: Vec<u32>) {
        self.renumbered = Some(labels);
    }

    /// Size of the file, or of all images of a folder, in bytes.
    pub fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// Of the images.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.index.fingerprint()
    }

    pub(super) fn encoded_bytes(&self, position: u64) -> u64 {
        self.index.record(position).map_or(0, |record| record.length.into())
    }

    /// Length and CRC-32 of every sample's image, the latter where it is known.
    pub(super) fn images(&self) -> impl Iterator<Item = (u32, Option<u32>)> {
        (0..self.samples())
            .filter_map(|position| self.index.record(position))
            .map(|record| (record.length, record.crc32))
    }

    /// What stands behind the first dot of the images' names (`jpg`, `left.png`), by their numbers in the shard.
    pub(crate) fn extensions(&self) -> HashMap<u64, String> {
        let extension = |position| {
            let name = self.source.has_names().then(|| self.index.key(position))??;
            Some(String::from_utf8_lossy(name::without_extension(&name).1).into_owned())
        };
        let mut by_offset = self.source.extensions();
        let of = |position: u64| {
            let record = self.index.record(position)?;
            Some((position, by_offset.remove(&record.offset).or_else(|| extension(position))?))
        };
        (0..self.samples()).filter_map(of).collect()
    }

    pub(super) fn label(&self, position: u64) -> Option<u32> {
        self.settled(self.index.record(position)?)
    }

    fn settled(&self, record: Record) -> Option<u32> {
        match record.label.filter(|_| !self.unlabelled)? {
            StoredLabel::Number(number) => match &self.renumbered {
                Some(labels) => Some(labels.get(number as usize).copied().unwrap_or(number)),
                None => Some(number),
            },
            StoredLabel::Name(place) => *self.named_labels.get(place as usize)?,
        }
    }

    /// A copy of a sample's key; `?` where the index cannot tell.
    pub(super) fn key(&self, position: u64) -> String {
        let Some(key) = self.index.key(position) else { return "?".into() };
        let key = if self.source.has_names() { name::without_extension(&key).0 } else { &key };
        String::from_utf8_lossy(key).into_owned()
    }

    pub(super) fn locate(&self, position: u64) -> Location<'_> {
        let offset = self.index.record(position).map_or(0, |record| record.offset);
        Location { shard: self.path.as_path().into(), sample: position, offset, key: self.key(position) }
    }

    pub(super) fn read_ahead(&self, position: u64) {
        if let Some(sample) = self.indexed(position) {
            self.source.read_ahead(sample);
        }
    }

    /// Whether it is fetched before it is read.
    pub(super) fn is_remote(&self) -> bool {
        self.source.is_remote()
    }

    /// Room that it takes in the cache, in bytes.
    pub(super) fn cached_bytes(&self) -> u64 {
        self.source.cached_bytes()
    }

    /// Begins to fetch it.
    pub(super) fn bring_near(&self) {
        self.source.bring_near();
    }

    /// Lets go of what was fetched.
    pub(super) fn let_go(&self) {
        self.source.let_go();
    }

    /// Whether reading may wait for a disk or a network.
    pub(super) fn waits(&self) -> bool {
        self.source.waits()
    }

    pub(super) fn read(&self, position: u64, buffer: Vec<u8>) -> Result<EncodedSample<'_>, ReadError> {
        let sample = self.peek(position, buffer)?;
        self.check_bytes(position, &sample.bytes)?;
        Ok(sample)
    }

    pub(super) fn peek(&self, position: u64, buffer: Vec<u8>) -> Result<EncodedSample<'_>, ReadError> {
        let sample = self.indexed(position).ok_or_else(|| self.error(position, ReadCause::Index))?;
        let bytes = self.source.fetch(sample, buffer).map_err(|cause| self.error(position, cause))?;
        Ok(self.sample(sample, bytes))
    }

    /// The sample whose bytes another thread has [read](Self::read).
    pub(super) fn with_bytes(&self, position: u64, bytes: Vec<u8>) -> Result<EncodedSample<'_>, ReadError> {
        let sample = self.indexed(position).ok_or_else(|| self.error(position, ReadCause::Index))?;
        Ok(self.sample(sample, bytes.into()))
    }

    fn sample<'a>(
        &'a self,
        Indexed { record, position, .. }: Indexed<'a>,
        bytes: Cow<'a, [u8]>,
    ) -> EncodedSample<'a> {
        let label = self.settled(record);
        EncodedSample { bytes, label, shard: self, position }
    }

    /// Whether the sample's bytes are those that were indexed, as far as the index knows.
    pub(super) fn check_bytes(&self, position: u64, bytes: &[u8]) -> Result<(), ReadError> {
        let sample = self.indexed(position).ok_or_else(|| self.error(position, ReadCause::Index))?;
        let Some(expected) = sample.record.crc32 else { return self.check_borrowed(position) };
        let found = crc32fast::hash(bytes);
        self.check_borrowed(position)?;
        if found == expected {
            return Ok(());
        }
        // Without a lost page: the part of a file's last page that is behind its end reads as zeros, and so
        // does a file that was cut and has grown again.
        let cause = self.source.why_changed().unwrap_or(ReadCause::Checksum { expected, found });
        Err(self.error(position, cause))
    }

    /// Whether none of the bytes that were read of a borrowed sample were lost so far.
    pub(super) fn check_borrowed(&self, position: u64) -> Result<(), ReadError> {
        let sample = self.indexed(position).ok_or_else(|| self.error(position, ReadCause::Index))?;
        self.source.check_borrowed(sample).map_err(|cause| self.error(position, cause))
    }

    fn indexed(&self, position: u64) -> Option<Indexed<'_>> {
        let record: Record = self.index.record(position)?;
        Some(Indexed { index: &self.index, record, position })
    }

    fn error(&self, position: u64, cause: ReadCause) -> ReadError {
        ReadError { at: self.locate(position).into_owned(), cause }
    }
}
