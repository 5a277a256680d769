//! The file of a shard's index, and its location.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::super::atomic_file::AtomicFile;
use super::super::contents::{Access, Contents};
use super::super::mapping::open_file;
use super::super::set::OpenOptions;
use super::format::{HEADER_BYTES, Header};
use super::{Index, IsFresh, Stale};

/// The two places for the index of one source, in the order of preference.
#[derive(Debug)]
pub(crate) struct Sidecar {
    /// `train-000.tar.idx`; `None` for an index that only goes into the cache directory.
    beside: Option<PathBuf>,
    /// In the cache directory, if there is one.
    cached: Option<PathBuf>,
    access: Access,
}

impl Sidecar {
    /// Places for the index of the file `shard`.
    pub(crate) fn of(shard: &Path, options: &OpenOptions) -> Sidecar {
        let beside = shard.with_file_name(index_name(shard));
        Sidecar { beside: Some(beside), ..Sidecar::cached(shard, "", options) }
    }

    /// The place for an index of `source` that is not to lie beside it. Indexes of different `variant`s are kept apart.
    pub(crate) fn cached(source: &Path, variant: &str, options: &OpenOptions) -> Sidecar {
        let cache_dir = options.cache_dir.clone().or_else(user_cache_dir);
        let cached = cache_dir.map(|dir| {
            // Sources of the same name in other folders have other indexes.
            let place = fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
            let hash = xxh3_64(&[place.as_os_str().as_encoded_bytes(), variant.as_bytes()].concat());
            dir.join(format!("{hash:016x}-{}", index_name(&place).to_string_lossy()))
        });
        Sidecar { beside: None, cached, access: options.access }
    }

    /// The index, if either place has one that is fresh.
    pub(crate) fn load(&self, is_fresh: IsFresh<'_>) -> Option<Index> {
        self.places().find_map(|path| match load(path, self.access, is_fresh) {
            Ok(index) => index,
            Err(stale) => {
                tracing::info!("{}: {stale}, the source is indexed anew", path.display());
                None
            }
        })
    }

    /// Puts the index where it can be put, and gives back the file's path.
    ///
    /// # Errors
    /// Neither place can be written; the reason is the last one's.
    pub(crate) fn store(&self, index: &[u8]) -> io::Result<&Path> {
        let mut result = Err(io::ErrorKind::ReadOnlyFilesystem.into());
        if let Some(beside) = self.beside.as_deref().filter(|beside| may_write(beside)) {
            result = store(beside, index).map(|()| beside);
        }
        match (&result, &self.cached) {
            (Err(_), Some(cached)) => {
                fs::create_dir_all(cached.parent().unwrap_or(Path::new(".")))?;
                store(cached, index).map(|()| cached.as_path())
            }
            _ => result,
        }
    }

    /// Removes the index, because the source is known to have changed in a way that freshness does not show.
    pub(crate) fn discard(&self) {
        for path in self.places() {
            let _ = fs::remove_file(path); // If it can't be, the next run meets the same changes.
        }
    }

    fn places(&self) -> impl Iterator<Item = &Path> {
        [&self.beside, &self.cached].into_iter().flatten().map(PathBuf::as_path)
    }
}

fn index_name(source: &Path) -> OsString {
    let mut name = source.file_name().unwrap_or_default().to_owned();
    name.push(".idx");
    name
}

/// Not into a folder that is marked read-only, even for root, who could; nor over someone else's file.
fn may_write(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let metadata = fs::metadata(folder.unwrap_or(Path::new(".")));
    metadata.is_ok_and(|metadata| !metadata.permissions().readonly()) && !is_foreign(path)
}

fn load(path: &Path, access: Access, is_fresh: IsFresh<'_>) -> Result<Option<Index>, Stale> {
    // Whatever keeps a sidecar from being read, the source itself is still there.
    let Ok((contents, _)) = Contents::open(path, access) else { return Ok(None) };
    match contents {
        Contents::Mapped(mapping) => Index::from_mapping(mapping, is_fresh).map(Some),
        #[cfg(unix)]
        Contents::Copied { .. } => {
            let Ok(bytes) = contents.whole(path, <[u8]>::to_vec) else { return Ok(None) };
            Index::from_bytes(bytes, is_fresh).map(Some)
        }
    }
}

/// Whether a file is there that is no index.
fn is_foreign(path: &Path) -> bool {
    let header = open_file(path).and_then(|(file, _)| {
        let mut header = Vec::new();
        file.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
        Ok(header)
    });
    header.is_ok_and(|header| Header::parse(&header) == Err(Stale::Foreign))
}

fn store(path: &Path, index: &[u8]) -> io::Result<()> {
    // Not synced: an index that a power cut has damaged is recognised, and built again.
    let mut file = AtomicFile::create(path)?;
    file.write_all(index)?;
    file.persist_unsynced()
}

/// Where indexes and fetched shards go by default: `$XDG_CACHE_HOME/simsiam` or `~/.cache/simsiam`; `None` if neither variable is set.
pub fn user_cache_dir() -> Option<PathBuf> {
    let from = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("simsiam"))
}
