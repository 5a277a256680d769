//! A complete file in the cache, and its record.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{CacheError, Key};

/// The record's name in the entry's folder. Its time of change is when the entry was last asked for.
pub(super) const RECORD: &str = ".record";

/// What was known of a file when it was complete.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Record {
    bytes: u64,
    xxh3: u64,
    /// When the file was last written, in nanoseconds since 1970.
    written_ns: u64,
}

impl Record {
    /// Reads the whole file.
    pub(super) fn of(file: &File) -> io::Result<Record> {
        let metadata = file.metadata()?;
        Ok(Record { bytes: metadata.len(), xxh3: checksum(file)?, written_ns: written_ns(&metadata)? })
    }

    /// Whether the file is what it was. Its contents are read only if it was written to since.
    fn fits(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let untouched = written_ns(&metadata)? == self.written_ns;
        Ok(metadata.len() == self.bytes && (untouched || checksum(file)? == self.xxh3))
    }
}

fn written_ns(metadata: &fs::Metadata) -> io::Result<u64> {
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(since.as_nanos() as u64)
}

fn checksum(mut file: &File) -> io::Result<u64> {
    let (mut hasher, mut buffer) = (Xxh3::new(), vec![0; 1 << 20]);
    io::Seek::rewind(&mut file)?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digest()),
            bytes => hasher.update(&buffer[..bytes]),
        }
    }
}

/// A file of the cache, which no process evicts while this lives.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    /// Locked, shared.
    _file: File,
}

impl Held {
    /// Where the file is. It is to be read, not written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Of a file that is locked already, shared.
    pub(super) fn new(path: PathBuf, file: File) -> Held {
        Held { path, _file: file }
    }

    /// The entry of `key` in `dir`, marked as used now; `None` when there is none, or none that is sound.
    pub(super) fn find(dir: &Path, key: &Key) -> Result<Option<Held>, CacheError> {
        let folder = dir.join(key.folder());
        let (path, record_path) = (folder.join(key.name()), folder.join(RECORD));
        let text = match fs::read(&record_path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &record_path)(error)),
        };
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { return Ok(None) };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("open", &path)(error)),
        };
        file.lock_shared().map_err(CacheError::io("lock", &path))?;
        if !record.fits(&file).map_err(CacheError::io("read", &path))? {
            tracing::warn!(
                "{}: the file has changed since it was fetched, it is fetched anew",
                path.display()
            );
            return Ok(None);
        }
        mark_as_used(&record_path).map_err(CacheError::io("write", &record_path))?;
        Ok(Some(Held { path, _file: file }))
    }
}

fn mark_as_used(record: &Path) -> io::Result<()> {
    File::options().append(true).open(record)?.set_modified(SystemTime::now())
}
