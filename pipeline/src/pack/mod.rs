//! Writes shards from an ImageFolder: one folder of images for each class.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::shards::ShardError;

/// How to write shards.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// A shard is closed once it holds this many bytes. Default: 256 MiB, enough to read one after the other at full disk speed.
    pub shard_bytes: u64,
    /// Seed of the shuffle.
    pub seed: u64,
    /// Images whose longer side exceeds this many pixels are scaled down to it. Default: never.
    pub max_side: Option<u32>,
    /// JPEG quality, 1 to 100, that every image is encoded anew with. Default: images that need not be scaled are copied
    /// byte for byte, and the others encoded at quality 95.
    pub quality: Option<u8>,
    /// Names begin with this: `train` gives `train-000.tar`.
    pub prefix: String,
    /// Threads that read and encode. Default: as many as the machine has cores.
    pub threads: usize,
}

impl Default for PackOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        PackOptions {
            shard_bytes: 256 << 20,
            seed: 0,
            max_side: None,
            quality: None,
            prefix: "train".into(),
            threads,
        }
    }
}

/// How far [`pack`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackProgress {
    /// Images packed or skipped.
    pub done: u64,
    /// Images found.
    pub total: u64,
    /// Bytes written to shards.
    pub bytes: u64,
}

/// What [`pack`] wrote.
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

/// An image that [`pack`] left out.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedImage {
    /// The file.
    pub path: PathBuf,
    /// Why it could not be used.
    pub cause: String,
}

/// Why [`pack`] stopped.
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

/// Packs the images of `source` into shards in `out`.
pub fn pack(
    _source: &Path,
    _out: &Path,
    _options: &PackOptions,
    _progress: &mut dyn FnMut(PackProgress),
) -> Result<PackReport, PackError> {
    unimplemented!()
}
