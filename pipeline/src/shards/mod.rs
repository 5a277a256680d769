//! Reads images from WebDataset tars, zips, Parquet files and folders as one numbered sequence of samples. Each source
//! is indexed once; its bytes are memory-mapped and read without a copy where possible. `sources` has what differs
//! between the kinds.
//!
//! ```text
//! patterns -> paths -> source and index (sidecar, or what the source lists) -> ShardSet::read -> EncodedSample
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `set` | [`ShardSet`]: all shards as one numbered sequence |
//! | `sample` | [`EncodedSample`] and its [`Location`] |
//! | `shard` | [`Shard`]: one source and its index |
//! | `near` | fetching and releasing remote shards |
//! | `open` | opens and indexes many sources in parallel |
//! | `pattern`, `classes` | patterns to files, also by WebDataset's `shardindex.json`; the names of the classes |
//! | `index` | the format and location of the sidecar |
//! | `name`, `label`, `labels` | parses names and labels; labels from folders and tables |
//! | `fingerprint` | [`Fingerprint`]: identifies the images, independently of their files |
//! | `finding`, `warnings` | [`Finding`]: images and labels in no sample, and the warnings about them |
//! | `foreign` | recognises files of other types |
//! | `contents` | a file's bytes, by [`Access`] |
//! | `mapping`, `fault` | the memory map, and what happens when its file shrinks |
//! | `writer`, `atomic_file` | [`ShardWriter`]; [`AtomicFile`]: appears complete or not at all |
//!
//! # What a sample is
//! In a folder or a zip, a sample is an image file; in a Parquet file, a row. In a tar, it is a run of members with the
//! same key: the path up to the first dot of the base name. The rest of the name is the extension. The image is the
//! first member whose extension is `jpg`, `jpeg`, `jpe`, `jfif`, `pjpeg`, `png`, `webp`, `gif`, `bmp`, `dib`, `tif`,
//! `tiff`, `ppm`, `pgm`, `pbm`, `pnm`, `pam` or `img` (in upper or lower case); otherwise the first whose extension
//! ends in one of them (`left.jpg`); otherwise the first member that is an image. `cls` is the label, a decimal number
//! or the name of a class. Without `cls`, the label is the value of `label` or `cls` in `json`, if they do not differ.
//! A label elsewhere in the shard counts if exactly one sample has its key. Other members are ignored. A repeated
//! extension under one key starts another sample, so keys need not be unique. This covers the files that the
//! `webdataset` package, Hugging Face and img2dataset write.
//!
//! Images and labels that belong to no sample are recorded in the index as [`Finding`]s.
//!
//! # Memory maps and SIGBUS
//! Reading a mapped page that the file no longer has, because the file was truncated or a disk failed, raises SIGBUS,
//! which ends most programs. Here it results in bad samples: the first map installs a SIGBUS handler in the process.
//! The handler handles faults in this crate's own maps and passes any other to the previous handler, including Rust's
//! and Python's. It is never removed. A handler that is installed later must pass other faults on in the same way; if
//! it does not, a shard that shrinks ends the process.
//!
//! A program can do without the handler by opening its shards with [`Access::Copied`] ([`Loader`](crate::Loader):
//! [`fault_handler(false)`](crate::loader::LoaderBuilder::fault_handler)). Then nothing is mapped, and the same samples
//! are bad. This costs one system call per sample, and what [`Access::Copied`] lists.
//!
//! # Names as labels
//! Class names are the lines of `classes.txt`, if there is one. Otherwise they are all names in the set, sorted, so a
//! class has the same number in every shard. [`OpenOptions::class_names`] takes the names of another set, so that both
//! use the same numbers. In a set with numeric labels, a name counts as a label only if `classes.txt` lists it.

pub use self::atomic_file::{AtomicFile, sync_names};
pub(crate) use self::classes::FILE_NAME as CLASSES_FILE;
pub use self::contents::Access;
pub use self::error::{ReadCause, ReadError, ShardError};
pub use self::finding::{Finding, FindingKind, Subject};
pub use self::fingerprint::{BadFingerprint, Fingerprint};
pub use self::index::sidecar::user_cache_dir as default_cache_dir;
pub use self::labels::Labels;

#[cfg(feature = "remote")]
pub(crate) use self::pattern::expand_braces;
pub use self::sample::{EncodedSample, Location};
pub use self::set::{IndexProgress, OpenOptions, ShardSet};
pub use self::shard::Shard;
pub use self::writer::ShardWriter;

mod atomic_file;
mod classes;
pub(crate) mod contents;
mod error;
#[cfg(unix)]
mod fault;
pub(crate) mod finding;
mod fingerprint;
pub(crate) mod foreign;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub(crate) mod index;
pub(crate) mod label;
pub(crate) mod labels;
pub(crate) mod mapping;
pub(crate) mod name;
mod near;
pub(crate) mod open;
mod pattern;
mod sample;
mod set;
mod shard;
mod warnings;
mod writer;
