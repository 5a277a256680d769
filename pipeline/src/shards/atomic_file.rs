//! Writes files atomically: a file appears under its name complete or not at all.

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
    /// Creates the temporary file. Of a link, the file that it leads to is written.
    ///
    /// # Errors
    /// If the folder does not exist or cannot be written, or if the target is there and is a device, a pipe or a socket.
    pub fn create(target: &Path) -> io::Result<AtomicFile> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let target = &fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        if fs::metadata(target).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            let cause = "it is a device, a pipe or a socket, which a file must not replace";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, cause));
        }
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        let process = std::process::id();
        loop {
            // Unique among this process's threads and among the processes of a machine. In a container, or on another machine with
            // the same disk, a process of the same number may have left a file of that name.
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let temporary = target.with_file_name(format!(".{name}.{process}-{count}.tmp"));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok(AtomicFile { file, temporary, target: target.to_owned() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a whole file atomically and durably.
    ///
    /// # Errors
    /// If the file cannot be created or written, or `target` is a folder.
    pub fn write_all_to(target: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = Self::create(target)?;
        file.write_all(bytes)?;
        file.sync()?;
        file.persist()
    }

    /// Waits until the bytes are on the disk, so that after [`persist`](Self::persist) a power cut loses nothing.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Renames the file to its final name, replacing any file of that name, and waits until the name is on the disk (on
    /// Unix, if the file system supports it).
    ///
    /// # Errors
    /// If the target is a folder, its folder is not writable, or the disk fails.
    pub fn persist(self) -> io::Result<()> {
        self.rename()?;
        sync_names(folder_of(&self.target))
    }

    /// As [`persist`](Self::persist), without waiting: for what can be made again.
    pub(super) fn persist_unsynced(self) -> io::Result<()> {
        self.rename()
    }

    fn rename(&self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Waits until the names in a folder are on the disk, if the file system supports it.
///
/// # Errors
/// If the disk fails.
#[cfg(unix)]
pub fn sync_names(folder: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot be asked, and a folder that may be written need not be readable.
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => Ok(()),
        result => result,
    }
}

/// Elsewhere a folder cannot be opened as a file.
#[cfg(not(unix))]
pub fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_waited_for_in_the_files_own_folder() {
        for (file, folder) in [("a", "."), ("./a", "."), ("runs/a", "runs"), ("/a", "/")] {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder), "{file}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(sync_names(dir.path()).is_ok());
        #[cfg(unix)]
        assert!(sync_names(&dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn what_a_process_of_the_same_number_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        let first = AtomicFile::create(&target).unwrap().temporary.clone();
        let name = first.file_name().unwrap().to_str().unwrap().strip_suffix(".tmp").unwrap();
        let (process, count) = name.rsplit_once('-').unwrap();
        let count: u64 = count.parse().unwrap();
        let left: Vec<_> =
            (1..200).map(|more| dir.path().join(format!("{process}-{}.tmp", count + more))).collect();
        left.iter().for_each(|left| fs::write(left, b"left").unwrap());
        AtomicFile::write_all_to(&target, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(left.iter().all(|left| fs::read(left).unwrap() == b"left"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_what_is_no_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| dir.path().join(name));
        fs::write(&file, b"before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        AtomicFile::write_all_to(&link, b"after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"after");

        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = AtomicFile::write_all_to(&socket, b"x").unwrap_err();
        assert!(error.to_string().starts_with("it is a device, a pipe or a socket"), "{error}");
        assert!(!socket.is_file());
    }

    #[test]
    fn a_file_is_complete_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        AtomicFile::write_all_to(&target, b"first").unwrap();
        let mut second = AtomicFile::create(&target).unwrap();
        second.write_all(b"second").unwrap();
        drop(second);
        assert_eq!(fs::read(&target).unwrap(), b"first");
        let mut third = AtomicFile::create(&target).unwrap();
        third.write_all(b"third").unwrap();
        third.persist_unsynced().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"third");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary files are left");
    }
}
