//! What packing wrote, left out, or stopped at.

use std::path::PathBuf;

use serde::Serialize;

use crate::shards::ShardError;

/// What [`pack`](super::pack) wrote.
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
    /// Images that could not be decoded, where that was asked for.
    pub skipped: Vec<SkippedImage>,
    /// Files that are no images, or lie outside the class folders.
    pub ignored_files: u64,
}

/// An image that [`pack`](super::pack) left out.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedImage {
    /// The file.
    pub path: PathBuf,
    /// Why it could not be used.
    pub cause: String,
}

/// Why [`pack`](super::pack) stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The source has no class folder with an image in it.
    #[error("{}: no class folders with images (expected FOLDER/CLASS/IMAGE.jpg)", .path.display())]
    NoImages {
        /// The source folder.
        path: PathBuf,
    },
    /// The target holds shards already.
    #[error("{}: already holds shards (found {found})", .path.display())]
    NotEmpty {
        /// The target folder.
        path: PathBuf,
        /// Name of the first shard there.
        found: String,
    },
    /// An option out of its range.
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
    #[error("none of the {images} images could be decoded (first: {}: {})", .first.path.display(), .first.cause)]
    AllSkipped {
        /// Images tried.
        images: u64,
        /// The first of them.
        first: SkippedImage,
    },
    /// Reading the source, or writing a shard, failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
}
