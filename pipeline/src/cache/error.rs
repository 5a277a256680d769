//! Errors of the cache.

use std::io;
use std::path::{Path, PathBuf};

/// Why an entry could not be had, or not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// No eviction makes room for it.
    #[error("{bytes} bytes do not fit into the cache {} of {limit} bytes: it must be larger", .dir.display())]
    TooLarge { dir: PathBuf, limit: u64, bytes: u64 },
    /// Everything in the cache is being read or written.
    #[error(
        "no room for {bytes} bytes in the cache {} of {limit} bytes: {in_use} of them were in use for {seconds} s; \
         it must be larger, or shared by fewer programs",
        .dir.display()
    )]
    NoRoom { dir: PathBuf, limit: u64, in_use: u64, bytes: u64, seconds: f64 },
    /// The program that writes the entry is alive and makes no progress.
    #[error("another program is fetching {name} into the cache {} and has written nothing for {seconds} s", .dir.display())]
    Unfinished { dir: PathBuf, name: String, seconds: f64 },
    /// A program has stopped in the moment in which it changed the folder.
    #[error("another program has had the cache {} locked for {seconds} s: is it stopped?", .dir.display())]
    Locked { dir: PathBuf, seconds: f64 },
    /// The disk has less room than the cache was promised.
    #[error(
        "the disk is full: {bytes} bytes do not fit into the cache {} of {limit} bytes; free some space, or make it smaller",
        .dir.display()
    )]
    DiskFull { dir: PathBuf, limit: u64, bytes: u64 },
    /// The operating system refused.
    #[error("cannot {action} {}: {cause}", .path.display())]
    Io { path: PathBuf, action: &'static str, cause: io::Error },
}

impl CacheError {
    /// For `map_err`: names the path and what was being done to it.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError + use<> {
        let path = path.to_owned();
        move |cause| CacheError::Io { path, action, cause }
    }
}
