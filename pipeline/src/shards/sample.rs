//! One sample: its bytes, and its location for error messages.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

use super::error::ReadError;
use super::shard::Shard;

/// An encoded image, borrowed from its mapping without a copy if its source is mapped.
#[derive(Debug, Clone)]
pub struct EncodedSample<'a> {
    /// The image file, byte for byte.
    pub bytes: Cow<'a, [u8]>,
    /// The label; a class name is given as its number.
    pub label: Option<u32>,
    pub(super) shard: &'a Shard,
    pub(super) position: u64,
}

impl EncodedSample<'_> {
    /// The sample's name. In a tar: what its members' names have in common, up to the first dot of the base name. In a
    /// folder or a zip: the path without the extension. In a Parquet file: the row's path, or its number.
    pub fn key(&self) -> String {
        self.shard.key(self.position)
    }

    /// Checks that [`bytes`](Self::bytes) are still those that were indexed.
    ///
    /// Call it after decoding. If the file is overwritten or truncated while it is mapped, the bytes change while they
    /// are read (lost ones read as zeros), and the decoded image must be discarded. Costs one CRC-32 over cached bytes,
    /// or nothing if they are a copy.
    ///
    /// # Errors
    /// The shard shrank, the disk failed, or the bytes were overwritten.
    pub fn check_intact(&self) -> Result<(), ReadError> {
        match &self.bytes {
            Cow::Borrowed(bytes) => self.shard.check_bytes(self.position, bytes),
            Cow::Owned(_) => Ok(()),
        }
    }

    /// Whether what was read of [`bytes`](Self::bytes) until now came from the source; reads none of them.
    pub(crate) fn check_pages(&self) -> Result<(), ReadError> {
        match &self.bytes {
            Cow::Borrowed(_) => self.shard.check_borrowed(self.position),
            Cow::Owned(_) => Ok(()),
        }
    }

    /// The buffer that was read into, for the next sample; a new one where nothing was copied.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        match self.bytes {
            Cow::Borrowed(_) => Vec::new(),
            Cow::Owned(buffer) => buffer,
        }
    }
}

/// The location of a sample. Displays as ``shard train-003.tar, sample 1042 "n0144"``.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location<'a> {
    /// The shard, as named by the patterns; empty for a number that no sample has. Serialised as it is displayed: no path need be UTF-8.
    #[serde(serialize_with = "as_text")]
    pub shard: Cow<'a, Path>,
    /// The sample's number within the shard, from 0.
    pub sample: u64,
    /// Offset of its image in the shard, in bytes.
    pub offset: u64,
    /// Its key.
    pub key: String,
}

fn as_text<S: Serializer>(path: &impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.as_ref().display())
}

impl Location<'_> {
    /// The same location, which does not borrow from its set.
    pub fn into_owned(self) -> Location<'static> {
        Location {
            shard: Cow::Owned(self.shard.into_owned()),
            sample: self.sample,
            offset: self.offset,
            key: self.key,
        }
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shard.as_os_str().is_empty() {
            return write!(f, "sample {}", self.sample);
        }
        write!(f, "shard {}, sample {} {:?}", self.shard.display(), self.sample, self.key)
    }
}
