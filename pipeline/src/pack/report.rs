//! Results and errors of packing.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::shards::{FindingKind, ShardError};

/// The result of [`pack`](super::pack).
#[derive(Debug, Clone, Serialize)]
pub struct PackReport {
    /// Names of the classes; the position of a name is its label.
    pub classes: Vec<String>,
    /// The shards, in order.
    pub shards: Vec<PathBuf>,
    /// Images in the shards.
    pub images: u64,
    /// Bytes of all shards.
    pub bytes: u64,
    /// Images under another key than their path: dots in their names become `_`, and what has the key of another gets a number.
    pub renamed: u64,
    /// Samples that could not be read, or not decoded for re-encoding.
    pub skipped: Vec<SkippedSample>,
    /// The file that lists them, if there are any.
    pub left_out: Option<PathBuf>,
}

/// A sample that [`pack_set`](super::pack_set) left out.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedSample {
    /// Where it is: shard, number and key.
    pub at: String,
    /// Why it was left out.
    pub cause: String,
}

impl fmt::Display for SkippedSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.cause)
    }
}

/// Why [`pack`](super::pack) stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// [`PackOptions::stop`](super::PackOptions::stop) was set.
    #[error("interrupted")]
    Stopped,
    /// The source's folders may be classes or something else, and the labels were not said to come from elsewhere.
    #[error(
        "{}: its folders may be classes or something else ({found}); {advice}; or pack one of its folders by itself",
        .path.display(), advice = FindingKind::UnclearFolders.advice().unwrap_or_default()
    )]
    UnclearFolders {
        /// The source.
        path: PathBuf,
        /// Why it is unclear.
        found: String,
    },
    /// The target already holds shards.
    #[error("{}: already holds shards (found {found})", .path.display())]
    NotEmpty {
        /// The target folder.
        path: PathBuf,
        /// Name of the first shard there.
        found: String,
    },
    /// An option is out of range.
    #[error("{name} must be {range}, not {found}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its allowed values.
        range: &'static str,
        /// The given value.
        found: u64,
    },
    /// None of the images could be decoded.
    #[error("none of the {images} images could be decoded (first: {first})")]
    AllSkipped {
        /// Images tried.
        images: u64,
        /// The first of them.
        first: SkippedSample,
    },
    /// Reading the source, or writing a shard, failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
}
