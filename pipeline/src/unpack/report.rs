//! Results and errors of unpacking.

use std::path::PathBuf;

use serde::Serialize;

use super::folder::Written;
use crate::inspect::UnusableSample;
use crate::shards::{Location, ShardError};

/// The result of [`unpack`](super::unpack).
#[derive(Debug, Clone, Default, Serialize)]
pub struct UnpackReport {
    /// Files written.
    pub images: u64,
    /// Files written into class folders.
    pub labelled: u64,
    /// Files with a changed name, because another file had the key's name or it is not valid as a file name.
    pub renamed: u64,
    /// Images that could not be read, decoded or named.
    pub left_out: Vec<UnusableSample>,
}

impl UnpackReport {
    pub(super) fn count(&mut self, label: Option<u32>, written: Written) {
        self.images += 1;
        self.labelled += u64::from(label.is_some());
        self.renamed += u64::from(written == Written::UnderAnotherName);
    }

    pub(super) fn leave_out(&mut self, sample: u64, at: Location<'_>, cause: String) {
        self.left_out.push(UnusableSample { sample, at: at.into_owned(), cause });
    }
}

/// Why [`unpack`](super::unpack) stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// [`UnpackOptions::stop`](super::UnpackOptions::stop) was set.
    #[error("interrupted")]
    Stopped,
    /// The target is not empty: its files could be overwritten, or be mistaken for unpacked images.
    #[error("{}: is not empty (found {found})", .path.display())]
    NotEmpty {
        /// The target folder.
        path: PathBuf,
        /// The first name in it.
        found: String,
    },
    /// The target is not a folder.
    #[error("{}: is not a folder", .path.display())]
    NotAFolder {
        /// The target.
        path: PathBuf,
    },
    /// Writing failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
}
