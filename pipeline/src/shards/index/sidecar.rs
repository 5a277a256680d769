//! The file that holds a shard's index, and where it lives.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::super::atomic_file::AtomicFile;
use super::super::mapping::{FileStamp, Mapping};
use super::{Index, Stale};

/// The two places for the index of one shard, in the order of preference.
#[derive(Debug)]
pub(in crate::shards) struct Sidecar {
    /// `train-000.tar.idx`.
    beside: PathBuf,
    /// In the cache directory, if there is one.
    cached: Option<PathBuf>,
}

impl Sidecar {
    /// Places for the index of `shard`. Without `cache_dir`, the user's cache directory is the second one.
    pub(in crate::shards) fn of(shard: &Path, cache_dir: Option<&Path>) -> Sidecar {
        let mut name = shard.file_name().unwrap_or_default().to_owned();
        name.push(".idx");
        let cache_dir = cache_dir.map(Path::to_owned).or_else(user_cache_dir);
        let cached = cache_dir.map(|dir| {
            // Shards of the same name in other folders have other indexes.
            let place = fs::canonicalize(shard).unwrap_or_else(|_| shard.to_owned());
            let hash = xxh3_64(place.as_os_str().as_encoded_bytes());
            dir.join(format!("{hash:016x}-{}", name.to_string_lossy()))
        });
        Sidecar { beside: shard.with_file_name(&name), cached }
    }

    /// The index, if either place has one that fits the shard.
    pub(in crate::shards) fn load(&self, shard: FileStamp) -> Option<Index> {
        self.places().find_map(|path| match load(path, shard) {
            Ok(index) => index,
            Err(stale) => {
                tracing::info!("{}: {stale}, the shard is indexed anew", path.display());
                None
            }
        })
    }

    /// Puts the index where it can be put, and gives back the file's path.
    ///
    /// # Errors
    /// Neither place can be written; the reason is the last one's.
    pub(in crate::shards) fn store(&self, index: &[u8]) -> io::Result<&Path> {
        let mut result = Err(io::ErrorKind::ReadOnlyFilesystem.into());
        if self.may_write_beside() {
            result = store(&self.beside, index).map(|()| self.beside.as_path());
        }
        match (&result, &self.cached) {
            (Err(_), Some(cached)) => {
                fs::create_dir_all(cached.parent().unwrap_or(Path::new(".")))?;
                store(cached, index).map(|()| cached.as_path())
            }
            _ => result,
        }
    }

    fn places(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.beside), self.cached.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// Not into a folder that is marked read-only, even for root, who could; nor over someone else's file.
    fn may_write_beside(&self) -> bool {
        let folder = self.beside.parent().filter(|folder| !folder.as_os_str().is_empty());
        let metadata = fs::metadata(folder.unwrap_or(Path::new(".")));
        metadata.is_ok_and(|metadata| !metadata.permissions().readonly()) && !is_foreign(&self.beside)
    }
}

fn load(path: &Path, shard: FileStamp) -> Result<Option<Index>, Stale> {
    // Whatever keeps a sidecar from being read, the shard itself is still there.
    let Ok((mapping, _)) = Mapping::open(path) else { return Ok(None) };
    Index::from_mapping(mapping, shard).map(Some)
}

fn is_foreign(path: &Path) -> bool {
    let parse = |(mapping, _): (Mapping, FileStamp)| super::format::Header::parse(mapping.bytes());
    Mapping::open(path).map(parse).is_ok_and(|parsed| parsed == Err(Stale::Foreign))
}

fn store(path: &Path, index: &[u8]) -> io::Result<()> {
    // Not synced: an index that a power cut has damaged is recognised, and built again.
    let mut file = AtomicFile::create(path)?;
    file.write_all(index)?;
    file.persist_unsynced()
}

/// `$XDG_CACHE_HOME/simsiam` or `~/.cache/simsiam`.
fn user_cache_dir() -> Option<PathBuf> {
    let from = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("simsiam"))
}
