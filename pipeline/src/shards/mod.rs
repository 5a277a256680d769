//! WebDataset shards: tar archives that are memory-mapped, indexed once, and read without a copy.
//!
//! ```text
//! patterns -> paths -> map -> index (sidecar, or scan the tar) -> ShardSet::read -> EncodedSample
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `set` | [`ShardSet`]: all shards as one numbered sequence |
//! | `sample` | [`EncodedSample`] and its [`Location`] |
//! | `shard` | [`Shard`]: one mapped tar and its index |
//! | `open` | maps and indexes many shards in parallel |
//! | `pattern`, `classes` | which files, also by WebDataset's `shardindex.json`; the names of the classes |
//! | `index` | the sidecar's format, and where it lives |
//! | `scan`, `label`, `tar` | members to samples and their labels; bytes to members |
//! | `mapping`, `fault` | the memory map, and what happens when its file shrinks |
//! | `writer`, `atomic_file` | [`ShardWriter`]; [`AtomicFile`]: complete or not there |
//!
//! # What a sample is
//! Consecutive members with the same key, which is the path up to the first dot of the base name. The rest is
//! the extension: the image is the first member whose extension is `jpg`, `jpeg`, `png`, `webp`, `gif`, `bmp`,
//! `tif`, `tiff`, `ppm`, `pgm`, `pbm` or `pnm` in any case, or failing that ends in one of them (`left.jpg`); `cls` is
//! the label, a decimal number. Without `cls`, it is the number under `label` or `cls` of the object in `json`, if there is one and
//! they don't differ. Other members are ignored. An extension that comes twice under one key begins another sample, so
//! keys need not be unique. That covers what the `webdataset` package, Hugging Face and img2dataset write.

pub use self::atomic_file::AtomicFile;
pub use self::error::{ReadCause, ReadError, ShardError};
pub use self::sample::{EncodedSample, Location};
pub use self::set::{IndexProgress, OpenOptions, ShardSet};
pub use self::shard::Shard;
pub use self::writer::ShardWriter;
pub(crate) use self::{classes::FILE_NAME as CLASSES_FILE, scan::is_image};

mod atomic_file;
mod classes;
mod error;
#[cfg(unix)]
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod index;
mod label;
mod mapping;
mod open;
mod pattern;
mod sample;
mod scan;
mod set;
mod shard;
mod tar;
mod writer;
