//! The target folder.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::UnpackError;
use super::names::Place;
use crate::shards::ShardError;

/// A folder that was empty, so that every name in it is of this unpacking.
pub(super) struct NewFolder {
    path: PathBuf,
    /// The last number behind each name that several images have.
    numbers: HashMap<PathBuf, u64>,
}

/// Under which name a file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    AsItsKey,
    UnderAnotherName,
}

/// Why a file was not written.
pub(super) enum WriteError {
    /// This one cannot have its name.
    Name(String),
    /// The next ones would fare no better.
    Folder(ShardError),
}

impl NewFolder {
    pub(super) fn create(path: &Path) -> Result<NewFolder, UnpackError> {
        fs::create_dir_all(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                UnpackError::NotAFolder { path: path.to_owned() }
            }
            _ => ShardError::io("create", path)(error).into(),
        })?;
        let mut entries = fs::read_dir(path).map_err(ShardError::io("list", path))?;
        if let Some(entry) = entries.next() {
            let found = entry.map_err(ShardError::io("list", path))?.file_name();
            let found = found.to_string_lossy().into_owned();
            return Err(UnpackError::NotEmpty { path: path.to_owned(), found });
        }
        Ok(NewFolder { path: path.to_owned(), numbers: HashMap::new() })
    }

    /// Writes a file at `place`, or where there is one already, under the name with a number.
    pub(super) fn write(&mut self, place: &Place, bytes: &[u8]) -> Result<Written, WriteError> {
        let wanted = self.path.join(&place.path);
        if let Some(folder) = wanted.parent() {
            fs::create_dir_all(folder).map_err(|error| write_error(error, "create", folder))?;
        }
        let mut path = wanted.clone();
        loop {
            match write_new(&path, bytes) {
                Ok(()) if path == wanted && !place.is_changed => return Ok(Written::AsItsKey),
                Ok(()) => return Ok(Written::UnderAnotherName),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let number = self.numbers.entry(wanted.clone()).or_insert(1);
                    *number += 1;
                    path = numbered(&wanted, *number);
                }
                Err(error) => return Err(write_error(error, "write", &path)),
            }
        }
    }
}

/// `a.left.jpg` gives `a-2.left.jpg`.
fn numbered(path: &Path, number: u64) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
    path.with_file_name(format!("{stem}-{number}.{extension}"))
}

/// Writes a file that was not there; on an error it is not there again.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes).inspect_err(|_| {
        // That the rest of it cannot be removed either is no news beside the error.
        let _ = fs::remove_file(path);
    })
}

fn write_error(error: io::Error, action: &'static str, path: &Path) -> WriteError {
    match error.kind() {
        ErrorKind::InvalidFilename => WriteError::Name("its name is too long for a file".to_owned()),
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            WriteError::Name(format!("{} would have to be a folder, and is a file", path.display()))
        }
        _ => WriteError::Folder(ShardError::io(action, path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut folder = NewFolder::create(&out).unwrap();
        let place = |path: &str| Place { path: path.into(), is_changed: false };
        let mut write = |path: &str| folder.write(&place(path), path.as_bytes());
        assert!(matches!(write("c/a.jpg"), Ok(Written::AsItsKey)));
        for number in [2, 3] {
            assert!(matches!(write("c/a.jpg"), Ok(Written::UnderAnotherName)));
            assert_eq!(fs::read(out.join(format!("c/a-{number}.jpg"))).unwrap(), b"c/a.jpg");
        }
        let Err(WriteError::Name(cause)) = write("c/a.jpg/b.jpg") else { panic!("a file became a folder") };
        assert!(cause.ends_with("c/a.jpg would have to be a folder, and is a file"), "{cause}");
        assert!(matches!(write(&format!("c/{}.jpg", "a".repeat(255))), Err(WriteError::Name(_))));
        assert!(matches!(NewFolder::create(&out), Err(UnpackError::NotEmpty { .. })));
        assert!(matches!(NewFolder::create(&out.join("c/a.jpg")), Err(UnpackError::NotAFolder { .. })));
    }
}
