//! Samples that are stored verbatim in one file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Indexed, Source};
use crate::shards::ReadCause;
use crate::shards::contents::Contents;
use crate::shards::index::Record;

/// An opened file, and its path.
///
/// A mapped file is not held open, so the number of shards is not bounded by the limit on descriptors. A file that
/// is replaced by renaming another over it, grows or is deleted stays readable as it was.
#[derive(Debug)]
pub(super) struct PlainFile {
    path: PathBuf,
    contents: Arc<Contents>,
    extensions: Extensions,
}

/// Finds the ends of the files' names in an archive, by the offsets of their contents.
type Extensions = fn(&[u8]) -> HashMap<u64, String>;

impl PlainFile {
    pub(super) fn new(path: &Path, contents: impl Into<Arc<Contents>>) -> PlainFile {
        PlainFile { path: path.to_owned(), contents: contents.into(), extensions: |_| HashMap::new() }
    }

    /// With names that the index's keys don't have.
    pub(super) fn with_extensions(self, extensions: Extensions) -> PlainFile {
        PlainFile { extensions, ..self }
    }

    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    pub(super) fn will_need(&self, record: &Record) {
        self.contents.will_need(byte_range(record));
    }

    /// Whether none of a sample's bytes was lost so far.
    pub(super) fn check(&self, sample: Indexed<'_>) -> Result<(), ReadCause> {
        if self.contents.is_intact_until(byte_range(&sample.record).end) {
            return Ok(());
        }
        Err(self.shrunk().unwrap_or(ReadCause::Unreadable))
    }

    /// Whether the file is shorter now than it was when it was opened.
    pub(super) fn shrunk(&self) -> Option<ReadCause> {
        self.contents.shrunk(&self.path)
    }
}

/// A source whose samples lie in the file as they are.
impl Source for PlainFile {
    fn bytes(&self) -> u64 {
        self.contents.length() as u64
    }

    fn read_ahead(&self, sample: Indexed<'_>) {
        self.will_need(&sample.record);
    }

    fn fetch(&self, sample: Indexed<'_>, buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        self.contents.part(byte_range(&sample.record), buffer)
    }

    fn check_borrowed(&self, sample: Indexed<'_>) -> Result<(), ReadCause> {
        self.check(sample)
    }

    fn why_changed(&self) -> Option<ReadCause> {
        self.shrunk()
    }

    fn extensions(&self) -> HashMap<u64, String> {
        // Where it cannot be read, none is known.
        self.contents.whole(&self.path, self.extensions).unwrap_or_default()
    }
}

fn byte_range(record: &Record) -> Range<usize> {
    let start = usize::try_from(record.offset).unwrap_or(usize::MAX);
    start..start.saturating_add(record.length as usize)
}
