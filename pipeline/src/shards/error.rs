//! Errors of a shard as a whole, and of one of its samples.

use std::io;
use std::path::{Path, PathBuf};

use super::{Location, foreign};
use crate::sampler::MixtureError;

/// Why a set of shards could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The list of patterns was empty.
    #[error("no shards were named")]
    NoPatterns,
    /// A path without wildcards names nothing.
    #[error("{}: no such file or folder", .path.display())]
    NotFound {
        /// The path after brace expansion.
        path: PathBuf,
    },
    /// A dangling link.
    #[error("{}: a link to {}, which does not exist", .path.display(), .target.display())]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// A glob or a folder holds no shard and no image.
    #[error(
        "{pattern}: {} no image, and no .tar, .zip or .parquet file{}",
        if Path::new(pattern).exists() { "holds" } else { "matches" },
        .below.as_ref().map_or_else(String::new, |folder| format!("; there are some in {}: name that folder", folder.display()))
    )]
    NoMatch {
        /// The pattern after brace expansion.
        pattern: String,
        /// A folder within it that holds shards.
        below: Option<PathBuf>,
    },
    /// A folder of shards that are compressed.
    #[error(
        "{}: holds no .tar file but {tars} compressed, which cannot be mapped (first: {}); {}",
        .path.display(), .first.display(), foreign::decompress(.first)
    )]
    Compressed {
        /// The folder.
        path: PathBuf,
        /// Compressed tars in it.
        tars: usize,
        /// The first of them.
        first: PathBuf,
    },
    /// A remote shard could not be listed or fetched.
    #[error("{0}")]
    Remote(String),
    /// Invalid weights of a mixture.
    #[error(transparent)]
    Mixture(#[from] MixtureError),
    /// An invalid table of labels.
    #[error("labels {}: {cause}", .path.display())]
    BadTable {
        /// The table.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// An invalid pattern.
    #[error("{pattern}: {cause}")]
    BadPattern {
        /// The pattern, as given.
        pattern: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The bytes at `offset` cannot be the header of a tar member.
    #[error("shard {}: not a tar archive ({found} at offset {offset})", .path.display())]
    NotTar {
        /// The shard.
        path: PathBuf,
        /// Offset in the shard, in bytes.
        offset: u64,
        /// What was found there.
        found: String,
    },
    /// A file of another type, recognised by its first bytes.
    #[error("shard {}: not a tar archive but {what}; {advice}", .path.display())]
    Foreign {
        /// The shard.
        path: PathBuf,
        /// The type.
        what: &'static str,
        /// How to convert it to a shard.
        advice: String,
    },
    /// A Parquet file without a column of images.
    #[error("{}: no column of images, as byte strings or as a struct with `bytes` (columns: {cause})", .path.display())]
    NoImageColumn {
        /// The file.
        path: PathBuf,
        /// The columns that were found.
        cause: String,
    },
    /// There is no cache folder to unpack or fetch into.
    #[error("there is no cache folder for what has to be fetched or unpacked: --cache-dir names one")]
    NoCache,
    /// A damaged or invalid zip or Parquet file.
    #[error("{}: not a {what} that can be read: {cause}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// `zip archive` or `Parquet file`.
        what: &'static str,
        /// The reader's reason.
        cause: String,
    },
    /// The archive ends before its last member does.
    #[error("shard {}: truncated ({found} at offset {offset})", .path.display())]
    Truncated {
        /// The shard.
        path: PathBuf,
        /// Offset of the truncated member, in bytes.
        offset: u64,
        /// What is missing.
        found: String,
    },
    /// A valid archive with a feature that is not supported.
    #[error("shard {}: not supported ({found} at offset {offset})", .path.display())]
    Unsupported {
        /// The shard.
        path: PathBuf,
        /// Offset in the shard, in bytes.
        offset: u64,
        /// What was found.
        found: String,
    },
    /// A valid archive without images.
    #[error("shard {}: no images among its {members} members{unused}", .path.display())]
    NoImages {
        /// The shard.
        path: PathBuf,
        /// Regular files in the archive.
        members: u64,
        /// The unusable images in it, after a separator.
        unused: String,
    },
    /// A key that would be read back differently.
    #[error("shard {}: key {key:?} cannot be stored ({cause})", .path.display())]
    BadKey {
        /// The shard being written.
        path: PathBuf,
        /// The rejected key.
        key: String,
        /// The violated rule.
        cause: &'static str,
    },
    /// A label that would be read back as missing.
    #[error("shard {}: the label {} of key {key:?} cannot be stored (it stands for none)", .path.display(), u32::MAX)]
    BadLabel {
        /// The shard being written.
        path: PathBuf,
        /// The key of the sample.
        key: String,
    },
    /// An operation of the system failed.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// A verb: `open`, `map`, `write`.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl ShardError {
    /// The same error about another path: of a copy, about the original.
    #[cfg(feature = "remote")]
    pub(crate) fn about(self, copy: &Path, original: &Path) -> ShardError {
        let (copy, original) = (copy.display().to_string(), original.display().to_string());
        ShardError::Remote(self.to_string().replace(&copy, &original))
    }

    /// For `map_err`: names the path and what was being done to it.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ShardError + use<> {
        let path = path.to_owned();
        move |source| ShardError::Io { path, action, source }
    }
}

/// Why the bytes of a sample could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {cause}")]
pub struct ReadError {
    /// The sample.
    pub at: Location<'static>,
    /// The cause.
    pub cause: ReadCause,
}

/// Why the bytes of a sample are not those that were indexed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadCause {
    /// The file was truncated while it was mapped.
    #[error("the shard shrank from {expected} to {found} bytes while in use")]
    Shrunk {
        /// Size when the shard was opened, in bytes.
        expected: u64,
        /// Size now, in bytes.
        found: u64,
    },
    /// Pages could not be loaded, although the file has its full length.
    #[error("the system could not read these bytes from the disk")]
    Unreadable,
    /// The bytes differ from those that were indexed.
    #[error("the bytes changed (crc32 {found:08x}, indexed as {expected:08x})")]
    Checksum {
        /// CRC-32 in the index.
        expected: u32,
        /// CRC-32 of the bytes now.
        found: u32,
    },
    /// A file of a folder is longer or shorter than when the folder was listed.
    #[error("the file has {found} bytes or more, and had {expected} when its folder was listed")]
    Resized {
        /// Size in the index, in bytes.
        expected: u64,
        /// Bytes read now: at most one more than expected.
        found: u64,
    },
    /// The system could not open or read the file.
    #[error("{0}")]
    Io(String),
    /// A remote shard could not be fetched. The sample is not at fault, and another attempt may succeed.
    #[error("{0}")]
    Unreachable(String),
    /// Compressed data does not inflate to what the archive declares.
    #[error("cannot be inflated: {0}")]
    Inflate(&'static str),
    /// The mapped index was overwritten while in use.
    #[error("the index changed while in use")]
    Index,
    /// No sample has this number.
    #[error("there are only {len} samples")]
    OutOfRange {
        /// Samples in the set.
        len: u64,
    },
}
