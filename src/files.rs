//! Files that are written at once.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serializer;
use simsiam_pipeline::shards::AtomicFile;

/// Writes a file, or leaves what was there.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    AtomicFile::write_all_to(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes `name.json` into a folder. A file there that says something else is left alone, and the name gets a number; the file's path.
///
/// # Errors
/// If it cannot be written, or a file there cannot be read.
pub(crate) fn write_numbered(
    dir: &Path,
    name: &str,
    json: &[u8],
    is_same: impl Fn(&[u8]) -> bool,
) -> Result<PathBuf> {
    let mut number = 1;
    loop {
        let path = match number {
            1 => dir.join(format!("{name}.json")),
            _ => dir.join(format!("{name}-{number}.json")),
        };
        match fs::read(&path) {
            Ok(before) if is_same(&before) => return Ok(path),
            Ok(_) => number += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return write_whole(&path, json).map(|()| path);
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// A path for JSON, which is UTF-8, as paths need not be.
pub(crate) fn as_text<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}
