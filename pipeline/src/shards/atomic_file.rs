//! A file that appears under its name complete or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file under a temporary name in the target's folder, which is removed unless it is [persisted](Self::persist).
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
}

impl AtomicFile {
    /// Makes the temporary file.
    ///
    /// # Errors
    /// If the folder does not exist or cannot be written.
    pub fn create(target: &Path) -> io::Result<AtomicFile> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        // Unique among this process's threads and among the processes of a machine.
        let (process, count) = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let temporary = target.with_file_name(format!(".{name}.{process}-{count}.tmp"));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        Ok(AtomicFile { file, temporary, target: target.to_owned() })
    }

    /// Writes a whole file: on the disk and under its name, or not there.
    ///
    /// # Errors
    /// If the file cannot be made or written, or the name belongs to a folder.
    pub fn write_all_to(target: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = Self::create(target)?;
        file.write_all(bytes)?;
        file.sync()?;
        file.persist()
    }

    /// Waits until the bytes are on the disk, so that a power cut after [`persist`](Self::persist) loses nothing.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Puts the file under its name, over any file that had it.
    ///
    /// # Errors
    /// If the name belongs to a folder, or the folder cannot be written.
    pub fn persist(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a rename there is nothing of this name. A file that cannot be removed does no harm.
        let _ = fs::remove_file(&self.temporary);
    }
}
