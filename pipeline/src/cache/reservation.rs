//! A file of the cache that is being written.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::entry::{RECORD, Record};
use super::ledger::{Ledger, PARTIAL};
use super::{CacheError, Held, Key, LOOK_AGAIN};

/// How long a file that is finished, or given up, waits for whoever looks over the folder.
const LEDGER_PATIENCE: Duration = Duration::from_secs(60);

/// Room for one file, and the right to write it. Dropped without [`commit`](Self::commit), it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Reservation {
    place: Place,
    /// Locked, exclusively.
    file: Mutex<File>,
    is_committed: bool,
}

/// Where a file of how many bytes is to be.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    limit: u64,
    key: Key,
    bytes: u64,
}

impl Reservation {
    /// Makes the partial file. Whoever calls has the ledger, and has seen that nobody else writes the entry.
    pub(super) fn begin(dir: &Path, limit: u64, key: &Key, bytes: u64) -> Result<Reservation, CacheError> {
        let place = Place { dir: dir.to_owned(), limit, key: key.clone(), bytes };
        let file = place.create().map_err(|error| place.error(error))?;
        Ok(Reservation { place, file: Mutex::new(file), is_committed: false })
    }

    /// Writes a part of the file. Parts may come in any order, and more than once.
    ///
    /// # Errors
    /// If the disk is full or fails.
    ///
    /// # Panics
    /// If the part ends behind the bytes that were reserved.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), CacheError> {
        assert!(offset + bytes.len() as u64 <= self.place.bytes, "more bytes than were reserved");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes));
        written.map_err(|error| self.place.error(error))
    }

    /// Puts the file under its name once all of it is written and on the disk. Takes as long as the disk does.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub(crate) fn commit(mut self) -> Result<Held, CacheError> {
        let file = self.finish().map_err(|error| self.place.error(error))?;
        let ledger = self.place.ledger()?;
        let folder = self.place.dir.join(self.place.key.folder());
        fs::rename(self.place.partial(), &folder).map_err(CacheError::io("write", &folder))?;
        self.is_committed = true;
        // For a moment the lock may be no one's, but nobody evicts without the ledger.
        file.lock_shared().map_err(CacheError::io("lock", &folder))?;
        drop(ledger);
        Ok(Held::new(folder.join(self.place.key.name()), file))
    }

    /// So that a test can write to a full disk.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) {
        self.file = Mutex::new(file);
    }

    fn finish(&self) -> io::Result<File> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?;
        // After a power cut the file could be full of zeros, if its name came to the disk before its bytes.
        file.sync_all()?;
        let record = serde_json::to_vec(&Record::of(&file)?)?;
        fs::write(self.place.partial().join(RECORD), record)?;
        Ok(file)
    }
}

impl Place {
    fn create(&self) -> io::Result<File> {
        fs::create_dir_all(self.partial())?;
        let path = self.partial().join(self.key.name());
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.lock()?;
        // No space on the disk yet, only the length that the ledger counts.
        file.set_len(self.bytes)?;
        Ok(file)
    }

    fn partial(&self) -> PathBuf {
        self.dir.join(self.key.folder() + PARTIAL)
    }

    fn ledger(&self) -> Result<Ledger<'_>, CacheError> {
        let since = Instant::now();
        while since.elapsed() < LEDGER_PATIENCE {
            if let Some(ledger) = Ledger::open(&self.dir)? {
                return Ok(ledger);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Err(CacheError::Locked { dir: self.dir.clone(), seconds: LEDGER_PATIENCE.as_secs_f64() })
    }

    fn error(&self, error: io::Error) -> CacheError {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => {
                CacheError::DiskFull { dir: self.dir.clone(), limit: self.limit, bytes: self.bytes }
            }
            _ => CacheError::io("write", &self.partial())(error),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // With the ledger, for someone else may begin with the same name. Without it, the next one who looks over the folder
        // finds a file that nobody has locked.
        if !self.is_committed
            && let Ok(_ledger) = self.place.ledger()
        {
            let _ = fs::remove_dir_all(self.place.partial());
        }
    }
}
