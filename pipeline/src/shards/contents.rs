//! The bytes of a file: memory-mapped, or copied where no fault handler may be installed.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::ops::Range;
use std::path::Path;

use super::ShardError;
use super::error::ReadCause;
use super::mapping::{FileStamp, Mapping, mtime_ns, open_file};

/// How the bytes of shards and their indexes are accessed. Samples and errors are the same with both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// By memory maps. The first one installs a SIGBUS handler, as described in [`shards`](super).
    #[default]
    Mapped,
    /// By reading, without a handler. Each sample is copied, each shard keeps a file descriptor open, indexes stay in
    /// memory, a tar without a fresh index is loaded whole while it is indexed, and Parquet files are unpacked into the
    /// cache folder. On Windows, which has no SIGBUS, this equals [`Mapped`](Self::Mapped).
    Copied,
}

/// What archives are read from.
pub(crate) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// An opened file.
#[derive(Debug)]
pub(crate) enum Contents {
    Mapped(Mapping),
    #[cfg(unix)]
    Copied {
        file: File,
        length: usize,
    },
}

impl Contents {
    /// Opens the file, and says which state of it.
    pub(crate) fn open(path: &Path, access: Access) -> io::Result<(Contents, FileStamp)> {
        #[cfg(unix)]
        if access == Access::Copied {
            let (file, metadata) = open_file(path)?;
            let length = usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
            let stamp = FileStamp { bytes: metadata.len(), mtime_ns: mtime_ns(&metadata) };
            return Ok((Contents::Copied { file, length }, stamp));
        }
        let (mapping, stamp) = Mapping::open(path)?;
        Ok((Contents::Mapped(mapping), stamp))
    }

    /// All of it, if it is mapped.
    pub(crate) fn mapped(&self) -> Option<&[u8]> {
        match self {
            Contents::Mapped(mapping) => Some(mapping.bytes()),
            #[cfg(unix)]
            Contents::Copied { .. } => None,
        }
    }

    /// In bytes, when it was opened.
    pub(crate) fn length(&self) -> usize {
        match self {
            Contents::Mapped(mapping) => mapping.bytes().len(),
            #[cfg(unix)]
            Contents::Copied { length, .. } => *length,
        }
    }

    /// Runs `pass`, which reads all of it from front to back.
    ///
    /// # Errors
    /// A part of the file was lost meanwhile, or it cannot be read.
    pub(crate) fn whole<T>(&self, path: &Path, pass: impl FnOnce(&[u8]) -> T) -> Result<T, ShardError> {
        match self {
            Contents::Mapped(mapping) => {
                let result = mapping.sequentially(pass);
                mapping.check_whole(path)?;
                Ok(result)
            }
            #[cfg(unix)]
            Contents::Copied { file, length } => {
                let mut bytes = Vec::new();
                match read_into(file, 0..*length, &mut bytes) {
                    Ok(()) => Ok(pass(&bytes)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        let offset = length_now(file);
                        Err(ShardError::Truncated {
                            path: path.into(),
                            offset,
                            found: "the file shrank".into(),
                        })
                    }
                    Err(error) => Err(ShardError::io("read", path)(error)),
                }
            }
        }
    }

    /// Reads here and there; ask [`check_whole`](Self::check_whole) after it.
    pub(crate) fn reader(&self) -> io::Result<Box<dyn ReadSeek + '_>> {
        Ok(match self {
            Contents::Mapped(mapping) => Box::new(Cursor::new(mapping.bytes())),
            #[cfg(unix)]
            Contents::Copied { file, .. } => Box::new(BufReader::new(file.try_clone()?)),
        })
    }

    /// Whether all that was read of the map until now was the file's.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn check_whole(&self, path: &Path) -> Result<(), ShardError> {
        match self {
            Contents::Mapped(mapping) => mapping.check_whole(path),
            #[cfg(unix)]
            Contents::Copied { .. } => Ok(()),
        }
    }

    /// A part of it: borrowed from the map, or in `buffer`, whose contents are overwritten.
    ///
    /// # Errors
    /// There is no such part, or it cannot be read.
    pub(crate) fn part(&self, range: Range<usize>, mut buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        match self {
            Contents::Mapped(mapping) => {
                mapping.bytes().get(range).map(Cow::Borrowed).ok_or(ReadCause::Index)
            }
            #[cfg(unix)]
            Contents::Copied { file, length } => {
                if range.start > range.end || range.end > *length {
                    return Err(ReadCause::Index);
                }
                match read_into(file, range, &mut buffer) {
                    Ok(()) => Ok(buffer.into()),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Err(ReadCause::Shrunk { expected: *length as u64, found: length_now(file) })
                    }
                    Err(error) => Err(ReadCause::Io(error.to_string())),
                }
            }
        }
    }

    /// Starts reading a part that will be needed soon.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        match self {
            Contents::Mapped(mapping) => mapping.will_need(range),
            #[cfg(unix)]
            Contents::Copied { file, length } => will_need(file, range.start..range.end.min(*length)),
        }
    }

    /// Whether no byte before `end` that was read from the map was lost so far.
    pub(crate) fn is_intact_until(&self, end: usize) -> bool {
        match self {
            Contents::Mapped(mapping) => mapping.intact_until() >= end,
            #[cfg(unix)]
            Contents::Copied { .. } => true,
        }
    }

    /// Whether the file, which was opened as `path`, is shorter now than it was then.
    pub(crate) fn shrunk(&self, path: &Path) -> Option<ReadCause> {
        let now = match self {
            // It is not held open.
            Contents::Mapped(_) => fs::metadata(path),
            #[cfg(unix)]
            Contents::Copied { file, .. } => file.metadata(),
        };
        let (expected, found) = (self.length() as u64, now.ok()?.len());
        (found < expected).then_some(ReadCause::Shrunk { expected, found })
    }
}

#[cfg(unix)]
fn read_into(file: &File, range: Range<usize>, buffer: &mut Vec<u8>) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    // What is there already need not be zeroed first.
    buffer.resize(range.len(), 0);
    file.read_exact_at(buffer, range.start as u64)
}

#[cfg(unix)]
fn length_now(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// Advice is all it is, so nobody is told when the system does not take it.
#[cfg(target_os = "linux")]
fn will_need(file: &File, range: Range<usize>) {
    use std::os::fd::AsRawFd;
    let (Ok(start), Ok(length)) = (i64::try_from(range.start), i64::try_from(range.len())) else { return };
    // SAFETY: the descriptor is open as long as `file` is borrowed; the call reads and writes no memory of this process.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), start, length, libc::POSIX_FADV_WILLNEED) };
}

#[cfg(all(unix, not(target_os = "linux")))]
fn will_need(_file: &File, _range: Range<usize>) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn copied(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf, Contents) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, bytes).expect("a file");
        let (contents, stamp) = Contents::open(&path, Access::Copied).expect("it opens");
        assert_eq!((contents.length(), stamp.bytes), (bytes.len(), bytes.len() as u64));
        (dir, path, contents)
    }

    #[test]
    fn parts_are_copied_into_the_buffer() {
        let (_dir, path, contents) = copied(b"abcdef");
        contents.will_need(0..6);
        let Cow::Owned(part) = contents.part(1..4, vec![9; 10]).unwrap() else { panic!("borrowed") };
        assert_eq!(part, b"bcd");
        assert_eq!(contents.part(6..6, part).unwrap(), &b""[..]);
        assert_eq!(contents.part(4..7, Vec::new()), Err(ReadCause::Index));
        assert_eq!(contents.whole(&path, <[u8]>::to_vec).unwrap(), b"abcdef");
    }

    #[test]
    fn a_file_that_shrank_is_an_error() {
        let (_dir, path, contents) = copied(b"abcdef");
        assert_eq!(contents.shrunk(&path), None);
        File::options().write(true).open(&path).unwrap().set_len(2).unwrap();
        assert_eq!(contents.part(0..2, Vec::new()).unwrap(), &b"ab"[..]);
        let shrunk = ReadCause::Shrunk { expected: 6, found: 2 };
        assert_eq!(contents.part(1..4, Vec::new()), Err(shrunk));
        let error = contents.whole(&path, |_| ()).unwrap_err();
        assert!(matches!(error, ShardError::Truncated { offset: 2, .. }), "{error}");
    }

    #[test]
    fn a_file_that_is_replaced_stays_readable() {
        let (dir, path, contents) = copied(b"abcdef");
        let other = dir.path().join("other");
        fs::write(&other, b"x").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(contents.part(0..6, Vec::new()).unwrap(), &b"abcdef"[..]);
    }
}
