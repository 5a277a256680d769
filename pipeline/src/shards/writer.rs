//! Writes a shard.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::ShardError;
use super::atomic_file::AtomicFile;

/// Writes one shard. The file appears under its name only when it is [finished](Self::finish).
///
/// The same samples give the same bytes: members record no time, owner or other property of the machine.
pub struct ShardWriter {
    path: PathBuf,
    archive: Builder<BufWriter<AtomicFile>>,
    bytes: u64,
    last_key: Option<String>,
}

impl ShardWriter {
    /// Starts a shard at `path`, in an existing folder.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn create(path: &Path) -> Result<ShardWriter, ShardError> {
        let file = AtomicFile::create(path).map_err(ShardError::io("create", path))?;
        let archive = Builder::new(BufWriter::with_capacity(1 << 20, file));
        Ok(ShardWriter { path: path.to_owned(), archive, bytes: 0, last_key: None })
    }

    /// Adds a sample: the image as `key.extension` and, with a label, `key.cls`.
    ///
    /// The extension is written unchanged. [`ShardSet`](super::ShardSet) skips samples whose extension is not that of
    /// an [image](super#what-a-sample-is).
    ///
    /// # Errors
    /// If the key is empty or has a dot in its base name (it would be read back as another key); if it equals the
    /// previous sample's key (both would be read back as one sample); if the label is `u32::MAX`, which means none;
    /// I/O.
    pub fn append(
        &mut self,
        key: &str,
        extension: &str,
        bytes: &[u8],
        label: Option<u32>,
    ) -> Result<(), ShardError> {
        self.check_key(key)?;
        if label == Some(u32::MAX) {
            return Err(ShardError::BadLabel { path: self.path.clone(), key: key.to_owned() });
        }
        self.last_key = Some(key.to_owned());
        self.append_member(&format!("{key}.{extension}"), bytes)?;
        match label {
            Some(label) => self.append_member(&format!("{key}.cls"), label.to_string().as_bytes()),
            None => Ok(()),
        }
    }

    /// Bytes written so far, including headers and padding.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Completes the archive, waits until it is on the disk, and gives it its name.
    ///
    /// # Errors
    /// I/O; then no shard is left.
    pub fn finish(self) -> Result<(), ShardError> {
        let ShardWriter { path, archive, .. } = self;
        let finish = || {
            let file = archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync()?;
            file.persist()
        };
        finish().map_err(ShardError::io("write", &path))
    }

    fn append_member(&mut self, name: &str, contents: &[u8]) -> Result<(), ShardError> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.archive.append_data(&mut header, name, contents).map_err(ShardError::io("write", &self.path))?;
        self.bytes += 512 + (contents.len() as u64).next_multiple_of(512);
        Ok(())
    }

    fn check_key(&self, key: &str) -> Result<(), ShardError> {
        let base = key.rsplit('/').next().unwrap_or_default();
        let cause = if base.is_empty() {
            "its base name is empty"
        } else if base.contains('.') {
            "its base name has a dot, where the extension would begin"
        } else if self.last_key.as_deref() == Some(key) {
            "it is that of the sample before"
        } else {
            return Ok(());
        };
        Err(ShardError::BadKey { path: self.path.clone(), key: key.to_owned(), cause })
    }
}

impl std::fmt::Debug for ShardWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardWriter")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
