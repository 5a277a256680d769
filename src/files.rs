//! Files that are written at once.

use std::path::Path;

use anyhow::{Context, Result};
use simsiam_pipeline::shards::AtomicFile;

/// Writes a file, or leaves what was there.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    AtomicFile::write_all_to(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
