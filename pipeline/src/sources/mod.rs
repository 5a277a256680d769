//! Where the bytes of samples lie. A new kind of source is a file here and a line in [`KINDS`].
//!
//! | file | source |
//! |---|---|
//! | `tar` | a WebDataset tar, mapped |
//! | `zip` | a zip of images: stored members mapped, deflated ones inflated |
//! | `parquet` | a Hugging Face parquet: plain values mapped, compressed ones unpacked once into the cache folder |
//! | `folder` | a folder of image files, listed once, read file by file |
//! | `remote` | a tar, a zip or a parquet in a bucket or on a web server, fetched into the cache folder |
//! | `plain_file` | what the kinds whose samples lie in one file as they are have in common |
//!
//! A kind lists its samples in an [`Index`], once: offset, length, checksum, label and key of each. From then on a source is its index
//! and a way from a record to bytes, [`Source::fetch`]; what numbers, order, labels and errors are is the same for all ([`crate::shards`]).

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
    /// Whether what lies at `path` is one. `head` is how a file begins; `None` for a folder.
    fn claims(&self, path: &Path, head: Option<&[u8]>) -> bool;

    /// Maps or lists it, and indexes it where there is no fresh index yet.
    ///
    /// # Errors
    /// It is damaged, holds no image, or cannot be read.
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
    /// Size of all that the source holds, in bytes.
    fn bytes(&self) -> u64;

    /// Asks the system to bring a sample's bytes into memory, and returns at once.
    fn read_ahead(&self, sample: Indexed<'_>);

    /// Whether [`fetch`](Self::fetch) may wait for a disk or a network for longer than a page fault takes, so that it is the read
    /// stage that calls it, and no worker.
    fn waits(&self) -> bool {
        false
    }

    /// Whether the source is fetched whole before its samples are read.
    fn is_remote(&self) -> bool {
        false
    }

    /// Room that it takes in the cache, where it is remote, in bytes.
    fn cached_bytes(&self) -> u64 {
        0
    }

    /// Begins to fetch it, where it is remote, and returns at once.
    fn bring_near(&self) {}

    /// Lets go of what was fetched, which may make room for others; samples that are read later fetch it again.
    fn let_go(&self) {}

    /// A sample's bytes: borrowed from a mapping, or in `buffer`, whose contents are overwritten.
    ///
    /// # Errors
    /// They are not those that were indexed, or cannot be read.
    fn fetch(&self, sample: Indexed<'_>, buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause>;

    /// Whether what was read of borrowed bytes until now came from the source; reads none of them.
    ///
    /// # Errors
    /// It did not.
    fn check_borrowed(&self, _sample: Indexed<'_>) -> Result<(), ReadCause> {
        Ok(())
    }

    /// Why the bytes of a sample may be others than those that were indexed, where that is known.
    fn why_changed(&self) -> Option<ReadCause> {
        None
    }

    /// The ends of the files' names (`jpg`, `left.png`), by the samples' offsets, where the index's keys don't have them.
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
