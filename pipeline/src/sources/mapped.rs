//! Samples that lie in one mapped file as they are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Indexed, Source};
use crate::shards::ReadCause;
use crate::shards::index::Record;
use crate::shards::mapping::Mapping;

/// A file in memory, and its path.
///
/// The file is not held open, so the number of shards is not bounded by the limit on descriptors. A file that
/// is replaced by renaming another over it, grows or is deleted stays readable as it was: the mapping holds it.
#[derive(Debug)]
pub(super) struct MappedFile {
    path: PathBuf,
    mapping: Arc<Mapping>,
    extensions: Extensions,
}

/// Finds the ends of the files' names in an archive, by the offsets of their contents.
type Extensions = fn(&[u8]) -> HashMap<u64, String>;

impl MappedFile {
    pub(super) fn new(path: &Path, mapping: Mapping) -> MappedFile {
        Self::shared(path, Arc::new(mapping))
    }

    pub(super) fn shared(path: &Path, mapping: Arc<Mapping>) -> MappedFile {
        MappedFile { path: path.to_owned(), mapping, extensions: |_| HashMap::new() }
    }

    /// With names that the index's keys don't have.
    pub(super) fn with_extensions(self, extensions: Extensions) -> MappedFile {
        MappedFile { extensions, ..self }
    }

    pub(super) fn contents(&self) -> &[u8] {
        self.mapping.bytes()
    }

    pub(super) fn will_need(&self, record: &Record) {
        self.mapping.will_need(byte_range(record));
    }

    /// Whether none of a sample's pages was lost so far.
    pub(super) fn check(&self, sample: Indexed<'_>) -> Result<(), ReadCause> {
        if self.mapping.intact_until() >= byte_range(&sample.record).end {
            return Ok(());
        }
        Err(self.shrunk().unwrap_or(ReadCause::Unreadable))
    }

    /// Whether the file is shorter now than it was when it was mapped.
    pub(super) fn shrunk(&self) -> Option<ReadCause> {
        let (expected, found) = (self.contents().len() as u64, fs::metadata(&self.path).ok()?.len());
        (found < expected).then_some(ReadCause::Shrunk { expected, found })
    }
}

/// A source whose samples lie in the file as they are.
impl Source for MappedFile {
    fn bytes(&self) -> u64 {
        self.contents().len() as u64
    }

    fn read_ahead(&self, sample: Indexed<'_>) {
        self.will_need(&sample.record);
    }

    fn fetch(&self, sample: Indexed<'_>, _buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        let bytes = self.contents().get(byte_range(&sample.record));
        bytes.map(Cow::Borrowed).ok_or(ReadCause::Index)
    }

    fn check_borrowed(&self, sample: Indexed<'_>) -> Result<(), ReadCause> {
        self.check(sample)
    }

    fn why_changed(&self) -> Option<ReadCause> {
        self.shrunk()
    }

    fn extensions(&self) -> HashMap<u64, String> {
        (self.extensions)(self.contents())
    }
}

fn byte_range(record: &Record) -> Range<usize> {
    let start = usize::try_from(record.offset).unwrap_or(usize::MAX);
    start..start.saturating_add(record.length as usize)
}
