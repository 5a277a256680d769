//! Writes a shard.
use super::ShardError;
use std::path::Path;
/// Writes one shard, which appears under its name only when it is [finished](Self::finish).
#[derive(Debug)]
pub struct ShardWriter {}
impl ShardWriter {
    /// Begins a shard at `path`.
    pub fn create(_path: &Path) -> Result<ShardWriter, ShardError> {
        unimplemented!()
    }
    /// Adds a sample: `key.extension` and, with a label, `key.cls`.
    pub fn append(
        &mut self,
        _key: &str,
        _extension: &str,
        _bytes: &[u8],
        _label: Option<u32>,
    ) -> Result<(), ShardError> {
        unimplemented!()
    }
    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        unimplemented!()
    }
    /// Closes the archive, and puts it under its name.
    pub fn finish(self) -> Result<(), ShardError> {
        unimplemented!()
    }
}
