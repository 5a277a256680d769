//! Starts a new shard when the current one is full.

use std::fs;
use std::path::{Path, PathBuf};

use super::PackOptions;
use super::source::SourceImage;
use crate::shards::{ShardError, ShardWriter};

/// The shards that are written one after the other.
pub(super) struct RollingShards<'a> {
    out: &'a Path,
    options: &'a PackOptions,
    /// Digits of a shard's number, so that the names sort as the numbers do.
    digits: usize,
    open: Option<(PathBuf, ShardWriter)>,
    finished: Vec<PathBuf>,
    finished_bytes: u64,
}

impl<'a> RollingShards<'a> {
    pub(super) fn new(
        out: &'a Path,
        options: &'a PackOptions,
        images: &[SourceImage<'_>],
    ) -> RollingShards<'a> {
        // Two headers and two paddings a sample; re-encoded images are seldom larger than they were.
        let bytes: u64 = images.iter().map(|image| image.bytes + 2048).sum();
        let count = bytes / options.shard_bytes + 1;
        let digits = count.to_string().len().max(3);
        RollingShards { out, options, digits, open: None, finished: Vec::new(), finished_bytes: 0 }
    }

    pub(super) fn append(
        &mut self,
        image: &SourceImage<'_>,
        extension: &str,
        bytes: &[u8],
    ) -> Result<(), ShardError> {
        let (_, writer) = match &mut self.open {
            Some(open) => open,
            None => {
                let PackOptions { prefix, .. } = self.options;
                let (number, digits) = (self.finished.len(), self.digits);
                let path = self.out.join(format!("{prefix}-{number:0digits$}.tar"));
                let writer = ShardWriter::create(&path)?;
                self.open.insert((path, writer))
            }
        };
        writer.append(&image.key, extension, bytes, image.label)?;
        if writer.bytes() >= self.options.shard_bytes { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), ShardError> {
        let Some((path, writer)) = self.open.take() else { return Ok(()) };
        writer.finish()?;
        self.finished_bytes += fs::metadata(&path).map_err(ShardError::io("open", &path))?.len();
        self.finished.push(path);
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.finished_bytes + self.open.as_ref().map_or(0, |(_, writer)| writer.bytes())
    }

    pub(super) fn finish(mut self) -> Result<(Vec<PathBuf>, u64), ShardError> {
        self.close()?;
        Ok((self.finished, self.finished_bytes))
    }
}
