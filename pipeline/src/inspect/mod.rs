//! Counts what shards hold and, on request, decodes all of it.

pub use self::report::{BadSample, Report, Spread};

mod report;

use crate::shards::ShardSet;

/// How to look at a set of shards.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// Decode every image and compare every checksum, instead of reading the images' headers.
    pub verify: bool,
    /// Threads that read and decode. Default: as many as the machine has cores.
    pub threads: usize,
}

impl Default for InspectOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        InspectOptions { verify: false, threads }
    }
}

/// How far [`inspect`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectProgress {
    /// Samples looked at.
    pub done: u64,
    /// Samples in the set.
    pub total: u64,
    /// Bad ones among `done`.
    pub bad: u64,
}

/// Looks at every sample of `set`.
pub fn inspect(
    _set: &ShardSet,
    _options: &InspectOptions,
    _progress: &mut dyn FnMut(InspectProgress),
) -> Report {
    unimplemented!()
}
