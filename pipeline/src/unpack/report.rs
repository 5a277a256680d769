//! What unpacking wrote, left out, or stopped at.

use std::path::PathBuf;

use serde::Serialize;

use super::folder::Written;
use crate::inspect::UnusableSample;
use crate::shards::{Location, ShardError};

/// What [`unpack`](super::unpack) wrote.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UnpackReport {
    /// Files written.
    pub images: u64,
    /// Those in class folders.
    pub labelled: u64,
    /// Those whose name is not their key's: another file had it already, or no file can have it.
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
    /// The target holds something, which might be overwritten or taken for unpacked images.
    #[error("{}: is not empty (found {found})", .path.display())]
    NotEmpty {
        /// The target folder.
        path: PathBuf,
        /// The first name in it.
        found: String,
    },
    /// The target is no folder.
    #[error("{}: is no folder", .path.display())]
    NotAFolder {
        /// The target.
        path: PathBuf,
    },
    /// Writing failed.
    #[error(transparent)]
    Shard(#[from] ShardError),
}
