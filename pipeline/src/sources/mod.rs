//! The kinds of sources. A new kind takes a file here and a line in [`KINDS`].
//!
//! | file | source |
//! |---|---|
//! | `tar` | a WebDataset tar, mapped |
//! | `zip` | a zip of images; stored members are mapped, deflated ones inflated |
//! | `parquet` | a Hugging Face Parquet file; plain values are mapped, compressed ones unpacked once into the cache folder |
//! | `folder` | a folder of image files, listed once, read file by file |
//! | `remote` | a tar, zip or Parquet file in a bucket or on a web server, fetched into the cache folder |
//! | `plain_file` | the common part of kinds whose samples are stored verbatim in one file |
//!
//! A kind lists its samples once, in an [`Index`]: offset, length, checksum, label and key of each. After that, a
//! source is its index and a way to get a record's bytes, [`Source::fetch`]. Numbering, order, labels and errors are
//! the same for all kinds ([`crate::shards`]).

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use crate::shards::index::Index;
use crate::shards::open::Opening;
use crate::shards::{ReadCause, ShardError};

pub(crate) use self::folder::{holds_images, is_image_file};

mod folder;
mod parquet;
mod plain_file;
#[cfg(feature = "remote")]
pub(crate) mod remote;
pub(crate) mod tar;
mod zip;

/// A kind of source: how one is known, and how it is opened.
pub(crate) trait Kind: Sync {
    /// Whether the file or folder at `path` is of this kind. `head` is the beginning of a file; `None` for a folder.
    fn claims(&self, path: &Path, head: Option<&[u8]>) -> bool;

    /// Maps or lists the source, and indexes it if it has no fresh index.
    ///
    /// # Errors
    /// If it is damaged, has no images or cannot be read.
    fn open(&self, path: &Path, opening: &Opening<'_>) -> Result<Opened, ShardError>;
}

/// All kinds; the first that claims a path opens it. The last one claims everything, and says what it is instead.
pub(crate) static KINDS: [&dyn Kind; 4] = [&folder::Folders, &zip::Zips, &parquet::Parquets, &tar::Tars];

/// What becomes of a path.
pub(crate) struct Opened {
    pub(crate) index: Index,
    pub(crate) source: Box<dyn Source>,
}

/// From records to bytes. One source serves all threads.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// Size of the source, in bytes.
    fn bytes(&self) -> u64;

    /// Asks the system to load a sample's bytes into memory, without waiting.
    fn read_ahead(&self, sample: Indexed<'_>);

    /// Whether [`fetch`](Self::fetch) may wait for a disk or a network for longer than a page fault. Then the read
    /// stage calls it instead of a worker.
    fn waits(&self) -> bool {
        false
    }

    /// Whether the source is fetched whole before its samples are read.
    fn is_remote(&self) -> bool {
        false
    }

    /// Size in the cache, in bytes, if it is remote.
    fn cached_bytes(&self) -> u64 {
        0
    }

    /// Starts to fetch it if it is remote, without waiting.
    fn bring_near(&self) {}

    /// Releases fetched data, so that others can take its place in the cache. Reading another sample fetches it again.
    fn let_go(&self) {}

    /// A sample's bytes: borrowed from a mapping, or in `buffer`, whose contents are overwritten.
    ///
    /// # Errors
    /// If they are not those that were indexed, or cannot be read.
    fn fetch(&self, sample: Indexed<'_>, buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause>;

    /// Checks that the borrowed bytes read so far came from the source, without reading any.
    ///
    /// # Errors
    /// If they did not.
    fn check_borrowed(&self, _sample: Indexed<'_>) -> Result<(), ReadCause> {
        Ok(())
    }

    /// Why the bytes of a sample may differ from those that were indexed, if known.
    fn why_changed(&self) -> Option<ReadCause> {
        None
    }

    /// The extensions of the files' names (`jpg`, `left.png`) by the samples' offsets, if the index's keys do not
    /// include them.
    fn extensions(&self) -> HashMap<u64, String> {
        HashMap::new()
    }

    /// Whether keys in the index are names with their extension.
    fn has_names(&self) -> bool {
        false
    }
}

/// A sample as the index has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Indexed<'a> {
    pub(crate) index: &'a Index,
    pub(crate) record: crate::shards::index::Record,
    pub(crate) position: u64,
}

/// The ends of the names of files that are shards.
pub(crate) fn is_shards_extension(extension: &OsStr) -> bool {
    ["tar", "zip", "parquet"].iter().any(|shards| extension.eq_ignore_ascii_case(shards))
}

/// The kind of what lies at `path`.
pub(crate) fn kind_of(path: &Path, head: Option<&[u8]>) -> &'static dyn Kind {
    let [.., last] = KINDS;
    KINDS.into_iter().find(|kind| kind.claims(path, head)).unwrap_or(last)
}
