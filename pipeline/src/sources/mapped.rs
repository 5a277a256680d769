//! Samples that lie in one mapped file as they are.

use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Indexed;
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
}

impl MappedFile {
    pub(super) fn new(path: &Path, mapping: Mapping) -> MappedFile {
        Self::shared(path, Arc::new(mapping))
    }

    pub(super) fn shared(path: &Path, mapping: Arc<Mapping>) -> MappedFile {
        MappedFile { path: path.to_owned(), mapping }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.mapping.bytes()
    }

    pub(super) fn will_need(&self, record: &Record) {
        self.mapping.will_need(byte_range(record));
    }

    /// A sample's bytes where they lie.
    pub(super) fn fetch(&self, sample: Indexed<'_>) -> Result<Cow<'_, [u8]>, ReadCause> {
        let bytes = self.mapping.bytes().get(byte_range(&sample.record));
        bytes.map(Cow::Borrowed).ok_or(ReadCause::Index)
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
        let (expected, found) = (self.bytes().len() as u64, fs::metadata(&self.path).ok()?.len());
        (found < expected).then_some(ReadCause::Shrunk { expected, found })
    }
}

fn byte_range(record: &Record) -> Range<usize> {
    let start = usize::try_from(record.offset).unwrap_or(usize::MAX);
    start..start.saturating_add(record.length as usize)
}
