//! A read-only memory map of a file, which survives truncation of the file.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::UNIX_EPOCH;

use memmap2::Mmap;

use super::ShardError;
#[cfg(unix)]
use super::fault::Registration;

/// A whole file, mapped. Pages that get lost read as zeros, and [`intact_until`](Self::intact_until) tells.
#[derive(Debug)]
pub(crate) struct Mapping {
    // Declared first, so dropped first: a range must leave the table before it is unmapped.
    #[cfg(unix)]
    registration: Registration,
    map: Mmap,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    /// Size in bytes.
    pub(crate) bytes: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
}

impl Mapping {
    /// Maps the file, and says which state of it.
    pub(crate) fn open(path: &Path) -> io::Result<(Mapping, FileStamp)> {
        let (file, metadata) = open_file(path)?;
        // SAFETY: the map is read-only and private to this struct, which hands it out as bytes. Another process may
        // write to the file meanwhile: every use tolerates any bytes at any time (bounds are checked against the
        // map, checksums against the index; decoders read the map by safe code, and their SIMD kernels work on what was
        // copied or decoded from it), and lost pages are replaced by `fault`.
        let map = unsafe { Mmap::map(&file) }?;
        #[cfg(unix)]
        let registration = Registration::new(map.as_ptr(), map.len())?;
        let stamp = FileStamp { bytes: map.len() as u64, mtime_ns: mtime_ns(&metadata) };
        Ok((
            Mapping {
                #[cfg(unix)]
                registration,
                map,
            },
            stamp,
        ))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Bytes from the start that are sure to be the file's; the rest was lost at some time.
    #[cfg(unix)]
    pub(crate) fn intact_until(&self) -> usize {
        self.registration.intact_until()
    }

    /// Bytes from the start that are sure to be the file's: all, where files in use cannot be cut short.
    #[cfg(not(unix))]
    pub(crate) fn intact_until(&self) -> usize {
        usize::MAX
    }

    /// After the whole of it was read.
    ///
    /// # Errors
    /// Pages were lost.
    pub(crate) fn check_whole(&self, path: &Path) -> Result<(), ShardError> {
        let intact_until = self.intact_until();
        if intact_until >= self.map.len() {
            return Ok(());
        }
        let found = "pages that cannot be read: the file shrank, or the disk failed".into();
        Err(ShardError::Truncated { path: path.into(), offset: intact_until as u64, found })
    }

    /// Starts reading pages that will be needed soon.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        #[cfg(unix)]
        if range.end <= self.map.len() && !range.is_empty() {
            // Advice is all it is: when the system does not take it, the pages come in on first use.
            let _ = self.map.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Runs `pass`, which reads the whole map from front to back.
    pub(crate) fn sequentially<T>(&self, pass: impl FnOnce(&[u8]) -> T) -> T {
        #[cfg(unix)]
        let _ = self.map.advise(memmap2::Advice::Sequential);
        let result = pass(&self.map);
        #[cfg(unix)]
        let _ = self.map.advise(memmap2::Advice::Normal);
        result
    }
}

/// Opens a file, and nothing that one would have to wait for.
pub(super) fn open_file(path: &Path) -> io::Result<(File, fs::Metadata)> {
    // Asked before it is opened: opening a pipe would wait for someone to write into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// When a file or folder was last changed, in nanoseconds since 1970.
pub(crate) fn mtime_ns(metadata: &fs::Metadata) -> i64 {
    let since_1970 = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since_1970.and_then(|time| i64::try_from(time.as_nanos()).ok()).unwrap_or(0)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_cut_file_reads_as_zeros_and_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        let (map, stamp) = Mapping::open(&path).unwrap();
        assert_eq!((stamp.bytes, map.intact_until()), (1 << 20, usize::MAX));

        OpenOptions::new().write(true).open(&path).unwrap().set_len(300_000).unwrap();
        assert_eq!(map.bytes()[299_999], 7);
        assert_eq!(map.intact_until(), usize::MAX, "nothing was touched yet");
        assert_eq!(map.bytes()[900_000], 0);
        assert!((300_000..=900_000).contains(&map.intact_until()));
        assert_eq!(map.bytes()[299_999], 7, "what is left stays readable");
        assert_eq!(map.bytes()[310_000], 0);
        assert!((300_000..=310_000).contains(&map.intact_until()), "the first lost page counts");
    }

    #[test]
    fn many_threads_fault_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for _ in 0..20 {
            std::fs::write(&path, vec![7; 1 << 20]).unwrap();
            let (map, _) = Mapping::open(&path).unwrap();
            OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        assert_eq!(map.bytes().iter().step_by(512).map(|&b| u64::from(b)).sum::<u64>(), 0)
                    });
                }
            });
            assert_eq!(map.intact_until(), 0);
        }
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, []).unwrap();
        assert!(Mapping::open(&path).unwrap().0.bytes().is_empty());
    }
}
