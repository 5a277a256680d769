//! The folder's contents, and the lock that guards changes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entry::RECORD;
use super::{CacheError, Claim, Held, Key, Reservation};

/// What an entry's folder and record are counted as, in bytes.
pub(crate) const OVERHEAD: u64 = 4096;
/// The end of the name of a folder whose file is not complete.
pub(super) const PARTIAL: &str = ".partial";

/// The right to change the folder, for a moment. Any process's.
pub(super) struct Ledger<'a> {
    dir: &'a Path,
    _lock: File,
}

/// What a claim has to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Obstacle {
    /// Someone else changes the folder.
    Ledger,
    /// Someone else writes the entry, and last did so at this time.
    Writer { at: Option<SystemTime> },
    /// So many bytes are being read or written.
    Room { in_use: u64 },
}

impl Obstacle {
    /// Whether nothing has moved since it was `before`.
    pub(super) fn is_still(&self, before: Obstacle) -> bool {
        match (*self, before) {
            (Obstacle::Writer { at: now }, Obstacle::Writer { at: before }) => now == before,
            (now, before) => std::mem::discriminant(&now) == std::mem::discriminant(&before),
        }
    }
}

/// A folder of one file, complete or not.
struct Entry {
    folder: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Ledger<'_> {
    /// The ledger of `dir`, unless someone has it.
    pub(super) fn open(dir: &Path) -> Result<Option<Ledger<'_>>, CacheError> {
        let path = dir.join(".lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(CacheError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Ledger { dir, _lock: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(CacheError::io("lock", &path)(error)),
        }
    }

    /// The entry, or room for it, or what is in the way.
    pub(super) fn claim(
        &self,
        limit: u64,
        key: &Key,
        bytes: u64,
    ) -> Result<Result<Claim, Obstacle>, CacheError> {
        if let Some(held) = Held::find(self.dir, key)? {
            return Ok(Ok(Claim::Held(held)));
        }
        // What is left of an entry that is no longer sound makes way.
        remove(&self.dir.join(key.folder()))?;
        let partial = self.dir.join(key.folder() + PARTIAL);
        if is_in_use(&partial)? {
            let at = fs::metadata(partial.join(key.name())).and_then(|metadata| metadata.modified()).ok();
            return Ok(Err(Obstacle::Writer { at }));
        }
        let needed = bytes.saturating_add(OVERHEAD);
        if needed > limit {
            return Err(CacheError::TooLarge { dir: self.dir.to_owned(), limit, bytes });
        }
        if let Err(obstacle) = self.make_room(limit - needed)? {
            return Ok(Err(obstacle));
        }
        Reservation::begin(self.dir, limit, key, bytes).map(|reservation| Ok(Claim::Reserved(reservation)))
    }

    /// Removes what was left by processes that are gone, and then the entries that were used longest ago, until no more than
    /// `target` bytes are left. Removes none of them if that is not enough.
    fn make_room(&self, target: u64) -> Result<Result<(), Obstacle>, CacheError> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|entry| entry.used);
        let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let mut evicted = Vec::new();
        for entry in &entries {
            if left > target && !is_in_use(&entry.folder)? {
                left -= entry.bytes;
                evicted.push(&entry.folder);
            }
        }
        if left > target {
            return Ok(Err(Obstacle::Room { in_use: left }));
        }
        for folder in evicted {
            tracing::debug!("{}: evicted from the cache", folder.display());
            remove(folder)?;
        }
        Ok(Ok(()))
    }

    /// All entries, complete or being written.
    fn entries(&self) -> Result<Vec<Entry>, CacheError> {
        let mut entries = Vec::new();
        for folder in list(self.dir)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let hash = name.strip_suffix(PARTIAL).unwrap_or(&name);
            if hash.len() != 32 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                continue; // Not this cache's.
            }
            if hash.len() < name.len() && !is_in_use(&folder)? {
                remove(&folder)?;
                continue;
            }
            let mut entry = Entry { folder: folder.clone(), bytes: OVERHEAD, used: SystemTime::UNIX_EPOCH };
            for file in list(&folder)? {
                // What its writer is just removing is gone.
                let Ok(metadata) = fs::metadata(&file) else { continue };
                if file.ends_with(RECORD) {
                    entry.used = metadata.modified().map_err(CacheError::io("read", &file))?;
                } else {
                    entry.bytes += metadata.len();
                }
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// Whether someone reads or writes a file in this folder, or the folder changes just now.
fn is_in_use(folder: &Path) -> Result<bool, CacheError> {
    for path in list(folder)? {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(CacheError::io("open", &path)(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(CacheError::io("lock", &path)(error)),
        }
    }
    Ok(false)
}

/// What is in a folder; nothing, if it is none or none any longer.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotADirectory | NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(CacheError::io("list", folder)(error)),
    };
    let path = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.path());
    entries.map(path).collect::<io::Result<_>>().map_err(CacheError::io("list", folder))
}

fn remove(folder: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CacheError::io("remove", folder)(error)),
        _ => Ok(()),
    }
}
