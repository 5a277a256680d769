//! Results and errors of packing.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::shards::ShardError;

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
    /// Images that could not be decoded for re-encoding.
    pub skipped: Vec<SkippedFile>,
    /// Other files in the source that are in no shard.
    pub others: Vec<SkippedFile>,
    /// The file that lists both, if there are any.
    pub left_out: Option<PathBuf>,
}

/// A file that [`pack`](super::pack) left out.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedFile {
    /// The file.
    pub path: PathBuf,
    /// Why it was left out.
    pub cause: String,
}

impl fmt::Display for SkippedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

/// Why [`pack`](super::pack) stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// [`PackOptions::stop`](super::PackOptions::stop) was set.
    #[error("interrupted")]
    Stopped,
    /// The source has no image.
    #[error("{}: no images{}", .path.display(), first_of(.others))]
    NoImages {
        /// The source folder.
        path: PathBuf,
        /// The other files in it.
        others: Vec<SkippedFile>,
    },
    /// The folders of the source are parts of a data set, such as `train` and `val`.
    #[error("{}: {parts} are parts of a data set rather than classes; pack each by itself: {commands}", .path.display())]
    Parts {
        /// The source folder.
        path: PathBuf,
        /// The parts.
        parts: String,
        /// The commands that pack them.
        commands: String,
    },
    /// Images lie beside folders with images.
    #[error(
        "{}: images lie in the folder itself ({loose}) and in folders of it ({in_folders}); --labels top packs those in folders, \
         which are their classes, and --labels none packs all without labels",
        .path.display()
    )]
    Loose {
        /// The source folder.
        path: PathBuf,
        /// Images in the source itself.
        loose: u64,
        /// Images in its folders.
        in_folders: u64,
    },
    /// Images lie in folders within folders.
    #[error(
        "{}: images lie in folders within folders (first: {}), which can be meant in several ways: {choices}",
        .path.display(), .first.display()
    )]
    Nested {
        /// The source folder.
        path: PathBuf,
        /// The first such image.
        first: PathBuf,
        /// The possible meanings, with the flag or command for each.
        choices: String,
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
        first: SkippedFile,
    },
    /// Reading the source, or writing a shard, failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
}

fn first_of(others: &[SkippedFile]) -> String {
    match others {
        [] => String::new(),
        [first, ..] => format!(" (other files: {}; first: {first})", others.len()),
    }
}
